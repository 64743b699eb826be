"""The Lab: where an explainer questions one unit. Every measurement goes through it and into the ledger.

It shows the discover split, lets the select split be read for choosing, and never hands out the test split. It does
not isolate model-written code (that is the jailed worker's task).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np

from maieutic.errors import BudgetExhaustedError, UserError
from maieutic.harvest.atlas import Atlas, Exemplar, Observed
from maieutic.lab.bank import Bank
from maieutic.lab.ledger import Entry, Ledger
from maieutic.readings import Cost
from maieutic.stimuli.base import Corpus, Stimulus
from maieutic.subjects.base import Intervention, Modality, Subject, Unit, Values


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Limits of one explanation. ``measurements`` counts stimuli shown in experiments."""

    measurements: int = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A stimulus to measure, with what is expected of it.

    Attributes:
        stimulus: what to show.
        hypothesis: what it tests, in words.
        kind: what was done to make it (``substitute``, ``delete``, ``paste`` ...).
        expect: predicted activation, 0 to 1 on the lab's scale, or ``None``.
        position: token position to read; -1: the maximum over positions.
        pair: ledger id of the unedited original.
        detail: plain JSON kept with the entry.
    """

    stimulus: Stimulus
    hypothesis: str
    kind: str
    expect: float | None = None
    position: int = -1
    pair: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


#: so many values are beyond 1 at least in a large corpus of texts
_FEW = 8


def activation_scale(discover: Sequence[Values], *, modality: Modality) -> tuple[float, float]:
    """Raw values that count as 0 and as 1: the median and the 99.9th percentile of discover positions (images: 99th).

    In a large corpus the eighth largest value of a text counts as 1 when it is larger, so that what is rare and strong
    is still told from what is rarer and stronger. Where the two are equal, a unit that rests nearly always has its
    largest value as 1, and one that fires nearly always its smallest as 0. Activations beyond are clipped to 0-1.
    """
    values = np.concatenate(discover)
    zero = float(np.median(values))
    one = float(np.quantile(values, 0.999 if modality == "text" else 0.99))
    if modality == "text" and len(values) >= _FEW:
        one = max(one, float(np.partition(values, -_FEW)[-_FEW]))
    if one <= zero:
        one = float(values.max())
    if one <= zero:
        zero = float(values.min())
    return zero, one


class Lab:
    """One unit of one subject, an atlas (or a corpus), a ledger and a budget."""

    def __init__(
        self,
        subject: Subject,
        unit: Unit,
        atlas: Atlas,
        *,
        budget: Budget | None = None,
        seed: int = 0,
        bank: Bank | None = None,
    ) -> None:
        """A lab with an empty ledger.

        Args:
            subject, unit: what is questioned.
            atlas: a harvest of this subject.
            budget: of measurements; counts what is asked, whether or not the bank had it.
            seed: of everything random in the explanation.
            bank: measurements shared with labs on other units of the subject. Without one every question is a pass, and
                texts of one call go through in batches, whose values differ in the last bits.

        Raises:
            UserError: atlas or bank is of another subject, or the bank lacks the unit's site.
        """
        if subject.name != atlas.subject:
            raise UserError(
                f"the atlas was harvested from {atlas.subject}, not {subject.name}: harvest this subject first"
            )
        if bank is not None:
            if bank.subject is not subject:
                raise UserError(
                    f"the bank measures {bank.subject.name}, not this {subject.name}: give each its own bank"
                )
            bank.check([unit])
        self.subject, self.unit, self.atlas = subject, unit, atlas
        self.budget, self.seed = budget or Budget(), seed
        self.ledger = Ledger(unit=unit.key)
        #: every stimulus measured so far, by content id
        self.shown: dict[str, Stimulus] = {}
        #: per ledger entry the raw values at every position (not stored with the run)
        self.values: dict[str, Values] = {}
        # not for explainers: a value is seen once its prediction stands in the ledger's question
        self._bank = bank

    # --- looking -------------------------------------------------------------------------------------------------
    @property
    def corpus(self) -> Corpus:
        """The harvested corpus; explainers use its discover and select stimuli only."""
        return self.atlas.corpus

    def exemplars(self, n: int = 20, *, where: Literal["top", "spectrum"] = "top") -> list[Exemplar]:
        """Exemplars of the discover split: ``top``, or over the whole activation ``spectrum``."""
        return self.atlas.exemplars(self.unit, n, where=where)

    @cached_property
    def discover(self) -> Sequence[Observed]:
        """Every discover stimulus with the unit's values. Free when the harvest kept the unit."""
        return self.atlas.observed(self.unit, "discover")

    @cached_property
    def select(self) -> Sequence[Observed]:
        """The select split: for choosing among finished hypotheses and thresholds, not for finding them."""
        return self.atlas.observed(self.unit, "select")

    @cached_property
    def scale(self) -> tuple[float, float]:
        """Raw values that count as 0 and as 1 (see ``activation_scale``)."""
        return activation_scale([o.values for o in self.discover], modality=self.subject.modality)

    def scaled(self, value: Any) -> Any:
        """Raw activation on the 0-1 scale (a constant unit: 0)."""
        zero, one = self.scale
        array = (
            np.clip((np.asarray(value, dtype=np.float64) - zero) / (one - zero), 0.0, 1.0)
            if one > zero
            else 0.0 * value
        )
        return float(array) if np.ndim(array) == 0 else array

    @property
    def remaining(self) -> int:
        """Measurements left in the budget."""
        return self.budget.measurements - len(self.ledger)

    # --- sessions ------------------------------------------------------------------------------------------------
    def session(self, *, measurements: int, seed: int) -> Lab:
        """A lab on the same unit with a ledger and a budget of its own. What the corpus showed is shared."""
        budget = Budget(measurements=measurements)
        other = Lab(self.subject, self.unit, self.atlas, budget=budget, seed=seed, bank=self._bank)
        other.discover, other.ledger = self.discover, Ledger(unit=self.ledger.unit)
        return other

    def absorb(self, other: Lab, **mark: Any) -> dict[str, str]:
        """Append a session's ledger to this one's; ids are renumbered, and ``mark`` is added to every detail.

        Returns:
            The new id of each of the session's entries.
        """
        ids: dict[str, str] = {}
        for entry in other.ledger.entries:
            new = self.ledger.next_id()
            ids[entry.id] = new
            pair = ids.get(entry.pair) if entry.pair else None
            self.ledger.append(replace(entry, id=new, pair=pair, detail={**entry.detail, **mark}))
            self.values[new] = other.values[entry.id]
        self.shown.update(other.shown)
        return ids

    # --- asking --------------------------------------------------------------------------------------------------
    def measure(self, questions: Sequence[Question], *, interventions: Sequence[Intervention] = ()) -> list[Entry]:
        """Show stimuli and record what came, in order. The expectation of each is part of the question.

        Raises:
            BudgetExhaustedError: more questions than ``remaining``; nothing was measured.
            UserError: the subject gave NaN or infinity; nothing was recorded.
        """
        return measure_together([self], [questions], interventions=interventions)[0]

    def _record(self, question: Question, values: Values, seconds: float, *, fresh: bool) -> Entry:
        text = question.stimulus.modality == "text"
        self.shown[question.stimulus.id] = question.stimulus
        # an empty text has no position: it rests
        read = values[question.position : question.position + 1] if question.position >= 0 else values
        value = float(read.max()) if len(values) else self.scale[0]
        self.values[self.ledger.next_id()] = values
        return self.ledger.append(
            Entry(
                id=self.ledger.next_id(),
                unit=self.unit.key,
                kind=question.kind,
                hypothesis=question.hypothesis,
                expect=question.expect,
                value=value,
                scaled=float(self.scaled(value)),
                stimulus=question.stimulus.id,
                shown=question.stimulus.content if text else "",
                position=question.position,
                pair=question.pair,
                seed=self.seed,
                detail=question.detail,
                cost=Cost(measurements=1, tokens=len(values) if text else 0, images=0 if text else 1, seconds=seconds),
                fresh=fresh,
            )
        )


def measure_together(
    labs: Sequence[Lab], questions: Sequence[Sequence[Question]], *, interventions: Sequence[Intervention] = ()
) -> list[list[Entry]]:
    """Show the same stimuli to several units of one subject in one pass, and record what came in each lab.

    Args:
        labs: of one subject; read from their bank if they share one.
        questions: per lab, in the order of the stimuli, which are the same in all.
        interventions: made in the pass.

    Raises:
        BudgetExhaustedError: more questions than a lab has ``remaining``; nothing was measured.
        UserError: the subject gave NaN or infinity; nothing was recorded.
    """
    assert len({id(lab.subject) for lab in labs}) == 1, "one pass is of one subject"
    assert len({tuple(q.stimulus.id for q in asked) for asked in questions}) == 1, "all are shown the same"
    for lab, asked in zip(labs, questions, strict=True):
        if len(asked) > lab.remaining:
            raise BudgetExhaustedError(
                f"{len(asked)} measurements asked, {lab.remaining} left of {lab.budget.measurements}: raise --budget"
            )
    if not questions[0]:
        return [[] for _ in labs]
    start, subject = time.perf_counter(), labs[0].subject
    measured, fresh = _read(labs, [q.stimulus for q in questions[0]], interventions)
    sick = next((q for q, v in zip(questions[0], measured, strict=True) if not np.isfinite(v).all()), None)
    if sick is not None:
        raise UserError(
            f"{subject.name} gave NaN or infinity in an experiment ({sick.kind}, stimulus {sick.stimulus.id[:12]}): "
            "fix the model, or explain this unit without experiments"
        )
    seconds = (time.perf_counter() - start) / (len(questions[0]) * len(labs))
    return [
        [
            lab._record(q, values[:, i], seconds, fresh=new)
            for q, values, new in zip(asked, measured, fresh, strict=True)
        ]
        for i, (lab, asked) in enumerate(zip(labs, questions, strict=True))
    ]


def _read(
    labs: Sequence[Lab], stimuli: Sequence[Stimulus], interventions: Sequence[Intervention]
) -> tuple[list[Values], list[bool]]:
    """Values ``[position, lab]`` at each stimulus, and which were measured now: changed passes are nobody else's."""
    units = [lab.unit for lab in labs]
    bank = labs[0]._bank
    if bank is None or interventions or any(lab._bank is not bank for lab in labs):
        return labs[0].subject.read(stimuli, units, interventions=interventions), [True] * len(stimuli)
    return bank.read(stimuli, units)
