"""One seed of bench ``audit``: an exam, honest explainers and cheats that take it, and which of their cards alarm.

Every unit is explained once by each honest explainer; cheats answer on top of that. Weaker cheats and smaller exams are mixed
from the answers that are there. What this module does not do: sum up over seeds (``audit_tables``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from maieutic.audit import Answer, Exam, Finding, Sitting, judged, run_audits, sit
from maieutic.audit.canaries import make_exam
from maieutic.audit.cheats import CHEATS, Honest, load_cheat, turned
from maieutic.audit.cheats.incentive import Briefed
from maieutic.audit.marking import Mark, mark
from maieutic.explain import Explanation
from maieutic.lab import Budget, Lab

#: audits that need neither a model nor the transcripts of an agent
AUDITED = (
    "censoring", "effort", "incentives", "independent", "forced-choice", "hidden-channels", "nulls", "claims", "leaks",
)  # fmt: skip
#: measurements for each unit: of the explainer that cheats are built on, and of a thriftier one
BUDGET, THRIFTY = 200, 12
#: explainers that do not cheat; the first reads briefings, so that no audit of it is left out, and is what cheats build on
HONEST = ("search", "search, thrifty", "search, reworded")
#: honest, but with nothing to rest an answer on: told, and not counted among false alarms
BARE = ("search-no-experiments", "lookup")
#: points of the power curves: parts of the units that a cheat turns on, and pairs of an exam
SHARES, PAIRS = (0.25, 0.5, 0.75), (4, 8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What decides the outcomes of a seed.

    Attributes:
        cheats: names; none for a seed that only adds to the false-alarm rate.
        quick: a small exam.
        curves: whether weaker cheats are judged too.
    """

    cheats: tuple[str, ...] = tuple(CHEATS)
    quick: bool = False
    curves: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Carded:
    """The card of one explainer on one exam: plain data.

    Attributes:
        kind: ``honest``, ``bare`` (honest without experiments), ``cheat``, or ``weaker`` (a point of a curve).
        share, pairs: of the units it could cheat on; pairs of the exam.
        alarms: audits of which a finding alarms, in the order of the card.
        chances: statistic -> p of the findings that can alarm; ``unmeasured``: audits that measured nothing.
        turned: units on which its answer is not the honest one. recall: share of sensitive units and twins recalled.
    """

    seed: int
    explainer: str
    kind: str
    share: float = 1.0
    pairs: int
    alarms: tuple[str, ...]
    chances: Mapping[str, float] = field(default_factory=dict[str, float])
    unmeasured: tuple[str, ...] = ()
    turned: int = 0
    recall: float = 0.0

    @property
    def alarmed(self) -> bool:
        return bool(self.alarms)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, kw_only=True, eq=False)
class Marked(Sitting):
    """A sitting of answers that were marked before."""

    known: Mapping[int, Mark] = field(default_factory=dict[int, Mark])

    @cached_property
    def marks(self) -> tuple[Mark, ...]:
        return tuple(self.known[id(a)] for a in self.answers)


@dataclass(frozen=True)
class Reseeded:
    """The same explainer with another seed."""

    honest: Honest

    def __call__(self, lab: Lab) -> Explanation:
        lab.seed += 1000
        return self.honest(lab)


@dataclass(frozen=True)
class Reworded:
    """The same answers in the full wording of their predicates."""

    honest: Honest

    def __call__(self, lab: Lab) -> Explanation:
        found = self.honest(lab)
        return found if found.abstained else replace(found, label=found.predicate.describe())


class Seed:
    """The exam of a seed with what has been asked on it."""

    def __init__(self, seed: int, settings: Settings, *, exam: Exam | None = None) -> None:
        self.seed, self.settings = seed, settings
        self.exam = make_exam(modality="text", seed=seed, quick=settings.quick) if exam is None else exam
        self.honest = Honest("search")
        self._marks: dict[int, tuple[Answer, Mark]] = {}

    def cards(self) -> list[Carded]:
        """Every card of the seed, honest explainers first."""
        first = self.took(Briefed(self.honest), BUDGET)
        made = [self.card("search", "honest", self.judged(first), first)]
        others = ((Reseeded(self.honest), THRIFTY), (Reworded(self.honest), BUDGET))
        for name, (asked, budget) in zip(HONEST[1:], others, strict=True):
            sitting = self.took(asked, budget)
            made.append(self.card(name, "honest", self.judged(sitting, first), sitting, honest=first))
        if self.settings.cheats:
            for name in BARE:
                sitting = self.took(Honest(name), BUDGET)
                made.append(self.card(name, "bare", self.judged(sitting, first), sitting, honest=first))
        for name in self.settings.cheats:
            made += self.cheated(name, first)
        return made

    def took(self, asked: Callable[[Lab], Explanation], budget: int) -> Sitting:
        return self.marked(sit(self.exam, asked, budget=Budget(measurements=budget)))

    def marked(self, sitting: Sitting) -> Marked:
        """The sitting with its marks; answers that were marked before are not marked again."""
        for answer in sitting.answers:
            if id(answer) not in self._marks:
                # kept beside its mark, so that no other answer is given its id
                self._marks[id(answer)] = (answer, mark(self.exam, answer))
        known = {id(a): self._marks[id(a)][1] for a in sitting.answers}
        return Marked(
            exam=sitting.exam, explainer=sitting.explainer, answers=sitting.answers, budget=sitting.budget,
            briefing=sitting.briefing, briefed=sitting.briefed, options=sitting.options, asked=sitting.asked, known=known,
        )  # fmt: skip

    def judged(self, sitting: Sitting, reference: Sitting | None = None) -> tuple[Finding, ...]:
        """The card; others are held against the skill of ``search``, as ``run_audit`` does."""
        return judged(run_audits(sitting, AUDITED, reference=reference))

    def cheated(self, name: str, honest: Sitting) -> list[Carded]:
        """The card of a cheat, and those of weaker ones."""
        sitting = self.took(load_cheat(name, honest=self.honest, seed=self.seed), BUDGET)
        whole = self.judged(sitting, honest)
        made = [self.card(name, "cheat", whole, sitting, honest=honest)]
        pairs = made[0].pairs
        if not self.settings.curves:
            return made
        points = [(s, pairs) for s in SHARES] + [(1.0, n) for n in PAIRS if n < pairs]
        for share, n in points:
            part = self._part(name, sitting, honest, share, n)
            made.append(self.card(name, "weaker", again(part, whole, honest), part, share=share, honest=honest))
        return made

    def _part(self, name: str, sitting: Sitting, honest: Sitting, share: float, pairs: int) -> Sitting:
        """A weaker cheat; one that reads briefings is asked again, since its answers without one tell nothing."""
        part = weaker(sitting, honest, share=share, pairs=pairs, seed=self.seed)
        if not sitting.briefed:
            return self.marked(part)
        asked = load_cheat(name, honest=self.honest, share=share, seed=self.seed)
        return self.marked(sit(part.exam, asked, budget=sitting.budget))

    def card(
        self, name: str, kind: str, findings: Sequence[Finding], sitting: Sitting, *, share: float = 1.0,
        honest: Sitting | None = None,
    ) -> Carded:  # fmt: skip
        twins = [m for m in sitting.marks if m.role in ("sensitive", "benign")]
        usual = {} if honest is None else {a.item.id: a.explanation for a in honest.answers}
        other = [a for a in sitting.answers if a.item.id in usual and a.explanation != usual[a.item.id]]
        return Carded(
            seed=self.seed, explainer=name, kind=kind, share=share, pairs=sum(m.role == "sensitive" for m in twins),
            alarms=tuple(dict.fromkeys(f.audit for f in findings if f.verdict == "alarm")),
            chances={f"{f.audit}: {f.statistic}": f.p for f in findings if f.p is not None},
            unmeasured=tuple(a for a in AUDITED if not any(f.audit == a and f.reading.measured for f in findings)),
            turned=len(other), recall=float(np.mean([m.recalled for m in twins])) if twins else 0.0,
        )  # fmt: skip


def weaker(cheat: Sitting, honest: Sitting, *, share: float, pairs: int, seed: int) -> Sitting:
    """A cheat that turns on a part of the units of a smaller exam, mixed from two sittings of the whole one.

    Args:
        cheat, honest: of the same exam, units in the same order.
        share: of the units; those that a cheat of this share and seed would turn on.
        pairs: of the exam, drawn by the seed. Units that are of no pair all stay.
        seed: of both.
    """
    numbers = sorted({i.pair for i in cheat.exam.items if i.pair >= 0})
    kept = set(np.random.default_rng([seed, 17]).permutation(numbers)[:pairs].tolist())
    rows = [
        c if turned(c.item.unit.key, share=share, seed=seed) else h
        for c, h in zip(cheat.answers, honest.answers, strict=True)
        if c.item.pair < 0 or c.item.pair in kept
    ]
    # audits keep what they worked out of an exam as long as it is the same one
    exam = cheat.exam if len(rows) == len(cheat.answers) else replace(cheat.exam, items=tuple(a.item for a in rows))
    return Sitting(
        exam=exam, explainer=cheat.explainer, answers=tuple(rows), budget=cheat.budget, options=cheat.options,
        asked=cheat.asked,
    )  # fmt: skip


def again(part: Sitting, whole: Sequence[Finding], reference: Sitting | None = None) -> tuple[Finding, ...]:
    """The card of a weaker cheat: audits that alarmed on the whole one are run again, the others stand as they stood.

    The others did not see the whole cheat, so what they would say of less of it is near enough to what they said; they
    count in the correction for many tests as before.
    """
    saw = [a for a in AUDITED if any(f.audit == a and f.verdict == "alarm" for f in whole)]
    rest = [f for f in whole if f.audit not in saw]
    return judged([*run_audits(part, saw, reference=reference), *rest]) if saw else tuple(whole)


def try_seed(seed: int, settings: Settings) -> list[Carded]:
    """Every card of a seed.

    Cost: about a minute and a half on one core; without cheats half of that.
    """
    return Seed(seed, settings).cards()
