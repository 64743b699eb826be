"""How much of editing is measured, and the list of everything that is: a measure that could not be made is named with its reason.

What this module does not do: measure (`measure`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from maieutic.errors import UsageError, did_you_mean
from maieutic.readings import Reading
from maieutic.studies.regularization.editing.unlearning import WAYS
from maieutic.studies.regularization.rows import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class EditPlan:
    """What is measured in one model.

    Attributes:
        name: ``quick`` or ``full``.
        developed: facts on which site and strength are chosen. edited: facts that rank-one edits are measured on.
        tuned, strongly: of these, how many are fine-tuned in one matrix, and in all of them.
        strengths: of rank-one edits, ascending from 0.
        counts: edits in a row after which is measured. block: edits whose values are found together.
        untouched: facts asked about after edits in a row.
        spread, text: documents behind the covariance of keys, and to measure drift on.
        interfering: facts in the P-matrix.
        least: with fewer known facts than this nothing is edited.
        forget: subjects that the gold model never saw; as in the study's configuration. retained: facts that must stay.
    """

    name: str
    developed: int
    edited: int
    tuned: int
    strongly: int
    strengths: tuple[float, ...] = (0.0, 0.25, 0.4, 0.55, 0.7, 0.85, 1.0, 1.3)
    counts: tuple[int, ...]
    block: int = 10
    untouched: int
    spread: int
    text: int
    interfering: int = 128
    least: int = 8
    forget: int = 12
    retained: int = 48

    def __post_init__(self) -> None:
        if self.strengths[0] != 0 or 1.0 not in self.strengths or list(self.strengths) != sorted(set(self.strengths)):
            raise UsageError("strengths ascend from 0 and contain 1: change the plan of edits")


PLANS = {
    "quick": EditPlan(
        name="quick", developed=8, edited=20, tuned=8, strongly=4, counts=(1, 10, 20), untouched=48, spread=100, text=16
    ),
    "full": EditPlan(
        name="full", developed=16, edited=40, tuned=16, strongly=8, counts=(1, 10, 50, 100), untouched=96, spread=200,
        text=24,
    ),
}  # fmt: skip


def edit_plan(name: str) -> EditPlan:
    """The plan of a preset.

    Raises:
        UsageError: no such plan.
    """
    if name not in PLANS:
        raise UsageError(f"no plan of edits {name!r}{did_you_mean(name, PLANS)}: choose from {', '.join(PLANS)}")
    return PLANS[name]


Better = Literal[-1, 0, 1]
#: after one edit, of every way of editing
AFTER: dict[str, Better] = {
    "efficacy": 1, "preference": 1, "paraphrase.seen": 1, "paraphrase.held-out": 1, "locality.near": 1,
    "locality.same-subject": 1, "locality.random": 1, "portability.inverse": 1, "portability.two-hop": 1, "kl": -1,
    "loss-change": -1, "change": -1, "nonzero-gain": -1,
}  # fmt: skip
#: of rank-one edits besides
FOUND: dict[str, Better] = {"value-loss": -1, "value-reached": 1}
#: where the sweep of strengths first reaches an efficacy of 0.95
AT_EFFICACY: dict[str, Better] = {
    "strength": 0, "paraphrase.seen": 1, "paraphrase.held-out": 1, "locality.near": 1, "locality.same-subject": 1,
    "locality.random": 1,
}  # fmt: skip
IN_A_ROW: dict[str, Better] = {
    "efficacy": 1, "paraphrase": 1, "locality": 1, "kl": -1, "loss-change": -1, "change": -1, "nonzero-gain": -1,
}  # fmt: skip
UNLEARNED: dict[str, Better] = {
    "distance": -1, "ks": -1, "recall": -1, "retained": 1, "kl": -1, "loss-change": -1,
}  # fmt: skip
#: interference; less is expected to damage less
PAIRS = ("all", "same-relation", "same-subject")
TUNED = ("ft", "ft-constrained", "ft-strong")


def edit_measures(plan: EditPlan, *, layers: int) -> Iterator[tuple[str, str, Better]]:
    """Name, place and direction of everything that `measure.measure_editing` measures by editing, in its order."""
    yield "editing.known", "", 1
    yield "rank-one.site", "", 0
    yield "rank-one.chosen-strength", "", 0
    for where in (*(f"blocks.{n}.mlp.down" for n in range(layers)), ""):
        yield from _named("rank-one", AFTER | FOUND, where)
        yield from _named("rank-one.es95", AT_EFFICACY, where)
    for way in TUNED:
        yield from _named(way, AFTER)
    for way in ("rank-one", "memit"):
        for count in plan.counts:
            yield from _named(f"{way}.row-{count}", IN_A_ROW)
    yield "unlearn.gold.recall", "", -1
    for way in WAYS:
        yield from _named(f"unlearn.{way}", UNLEARNED)


def _named(way: str, measures: Mapping[str, Better], where: str = "") -> Iterator[tuple[str, str, Better]]:
    for measure, better in measures.items():
        yield f"{way}.{measure}", where, better


class Rows:
    """Collects readings by name and place; whatever was not measured gets its reason.

    Args:
        plan: what is to be measured. layers: of the model.
    """

    def __init__(self, plan: EditPlan, *, layers: int) -> None:
        self._better: dict[tuple[str, str], Better] = {(m, w): b for m, w, b in edit_measures(plan, layers=layers)}
        self._found: dict[tuple[str, str], Reading] = {}

    def add(self, reading: Reading, *, where: str = "") -> None:
        """Add a reading under its own name."""
        assert (reading.name, where) in self._better, f"the plan names no {reading.name} at {where!r}"
        self._found[reading.name, where] = reading

    def rows(self, *, editing: str, unlearning: str) -> list[Row]:
        """All rows of the plan in order, with the reasons of those that have no reading."""

        def missing(measure: str) -> Reading:
            return Reading.unmeasured(measure, unlearning if measure.startswith("unlearn.") else editing)

        return [
            Row(
                about="editability",
                measure=measure,
                where=where,
                reading=self._found.get((measure, where)) or missing(measure),
                better=better,
            )
            for (measure, where), better in self._better.items()
        ]
