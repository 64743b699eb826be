"""Labels that people wrote, scored like a machine's: read into predicates, kept under the explainer ``person``, and scored on the
test split with every control, so that people and machine stand side by side.

A label that was written before the machine's was seen counts before one that corrects it. What this module does not do: ask
people, or score their silence: the comparison is over the units that somebody labelled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maieutic.campaign import Run, open_run
from maieutic.campaign.keeping import keep_explanation
from maieutic.campaign.scoring import score_units
from maieutic.errors import UserError
from maieutic.explain import Explanation, viewer_of
from maieutic.explain.submitted import explanation_of
from maieutic.lab import Budget, Lab
from maieutic.lab.workbench import Submission
from maieutic.progress import Report, silent
from maieutic.report.pairing import Paired, pair, side_of
from maieutic.report.records import Records
from maieutic.report.said import PERSON, Said, latest, read_said
from maieutic.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Human:
    """People's labels beside a machine's.

    Attributes:
        blind, corrected: units whose label was written before, or after, the machine's was seen.
        unreadable: (unit, why) of labels that no predicate could be made of; they count as no label.
        beside: A is the people, B the machine; over the units that both have a score for.
    """

    blind: int
    corrected: int
    unreadable: tuple[tuple[str, str], ...]
    beside: Paired

    def lines(self) -> list[str]:
        """In words, a line each."""
        p = self.beside
        told = [
            f"{self.blind} labels written blind, {self.corrected} corrections, {len(self.unreadable)} that cannot be executed",
            f"AP of people {p.mean_a}; of {p.b.explainer} {p.mean_b}; people minus machine {p.difference}",
            f"people better on {p.wins} units, worse on {p.losses}, the same on {p.ties}",
        ]
        told += [f"control {name}: people {a}; machine {b}" for name, a, b, _ in p.controls]
        return [*told, *(f"{n} units: {why}" for why, n in p.left_out), *p.notes]

    def to_json(self) -> dict[str, Any]:
        return {
            "blind": self.blind, "corrected": self.corrected,
            "unreadable": [{"unit": u, "why": why} for u, why in self.unreadable], "beside": self.beside.to_json(),
        }  # fmt: skip


def labels_of(said: Iterable[Said], *, person: str | None = None) -> dict[str, Said]:
    """The label that people gave each unit: one written blind before a correction, the latest of each.

    Args:
        said: everything that was said.
        person: only this person's; ``None``: anybody's.
    """
    found: dict[str, Said] = {}
    for s in latest(said):
        wanted = person is None or s.person.casefold() == person.casefold()
        if wanted and s.verdict in ("label", "correct"):
            before = found.get(s.unit)
            if before is None or s.blind or not before.blind:
                found[s.unit] = s
    return dict(sorted(found.items()))


def score_people(
    folder: Path,
    *,
    machine: str | None = None,
    person: str | None = None,
    scorers: Sequence[str] = ("predictive",),
    opener: Callable[[Path], Run] = open_run,
    report: Report = silent,
) -> Human:
    """Keep and score the labels that people wrote of a run, and set them beside a machine's.

    Args:
        folder: of the run; nobody else may be writing to it.
        machine: the explainer beside them; ``None``: the run's usual one.
        person: only this person's labels.
        scorers: by which they are scored.
        opener: opens the run with its model and corpus.
        report: called with progress.

    Cost: loads the model; then as long as scoring so many units takes.

    Raises:
        UserError: nobody wrote a label; a unit is not of this run.
        StoreError: somebody else is writing to the run.
    """
    wanted = labels_of(read_said(folder).said, person=person)
    if not wanted:
        raise UserError(f"nobody wrote a label in {folder}: label units with  maieutic view {folder}")
    with Store.open(folder, write=True):  # before a model is loaded: whether anybody else is writing
        pass
    with opener(folder) as run:
        units = {u.key: u for u in run.units}
        other = next((key for key in wanted if key not in units), None)
        if other is not None:
            raise UserError(f"{other} is not a unit of {folder}: take its lines out of people.jsonl")
        viewer = viewer_of(run.subject, run.corpus)
        unreadable: list[tuple[str, str]] = []
        for key, said in wanted.items():
            lab = Lab(run.subject, units[key], run.atlas, budget=Budget(measurements=0), seed=run.seed)
            found = _explanation(said, lab, viewer)
            unreadable += [(key, found.reason)] if found.reason is not None else []
            keep_explanation(run, lab, found, blind=said.blind)
        usual = machine or _usual(run)
        _score(run, [units[k] for k in wanted], scorers, report)
        own = side_of(run.store, PERSON, name=folder.name)
        beside = pair(own, side_of(run.store, usual, name=folder.name))
    blind = sum(s.blind for s in wanted.values())
    return Human(blind=blind, corrected=len(wanted) - blind, unreadable=tuple(unreadable), beside=beside)


def _explanation(said: Said, lab: Lab, viewer: Any) -> Explanation:
    """What a person wrote, as an explanation; one without a label where nothing of it can be executed."""
    submission = Submission(unit=lab.unit.key, name=lab.unit.key, label=said.text)
    try:
        return explanation_of(submission, lab, viewer, explainer=PERSON)
    except UserError as error:
        return Explanation.unexplained(lab.unit.key, str(error), explainer=PERSON)


def _usual(run: Run) -> str:
    records = Records.of(run.store)
    usual = records.usual()
    return usual if usual != PERSON else next((n for n in records.explainers() if n != PERSON), usual)


def _score(run: Run, units: Sequence[Any], scorers: Sequence[str], report: Report) -> None:
    from dataclasses import replace

    with Store.open(run.folder, write=True) as store:
        score_units(replace(run, store=store), units, explainer=PERSON, scorers=scorers, report=report)
