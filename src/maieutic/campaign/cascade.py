"""A cascade: several explainers, cheapest first; which unit goes on to the next one is decided by what that is expected to gain.

Pure decisions over plain records: the same records give the same decisions, whoever ran what and in what order it
finished. What is decided on is the standing on the select split, never a score on test.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from maieutic.errors import UsageError

Name = TypeVar("Name")
#: standings of one bin are alike: below 0.25, ... up to 1
BINS = 4
#: so many imagined units stand behind what is expected of a stage before it was tried, each gaining this share of the rest
PRIOR_UNITS, PRIOR_GAIN = 4.0, 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One explainer of a cascade.

    Attributes:
        explainer: its name. options: of it.
        budget: measurements a unit, at most.
    """

    explainer: str
    budget: int = 0
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """When a unit goes on.

    Attributes:
        enough: a standing (0 to 1) with which nothing more is tried.
        least: the smallest expected gain in standing that a further stage is worth.
    """

    enough: float = 0.9
    least: float = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """How one stage ended for a unit: its standing (``None``: it cannot be judged), what it asked for, whether it failed."""

    standing: float | None
    measurements: int = 0
    failed: bool = False


def parse_stages(text: str, options: Mapping[str, Mapping[str, Any]] | None = None) -> tuple[Stage, ...]:
    """Stages from ``search-no-experiments,search:120``: explainers in order, with measurements a unit after a colon.

    Args:
        text: names, separated by commas.
        options: by explainer.

    Raises:
        UsageError: no stage, a stage twice, or a budget that is no number.
    """
    stages: list[Stage] = []
    for part in (p.strip() for p in text.split(",")):
        name, _, budget = part.partition(":")
        if not name or (budget and not budget.isdigit()):
            raise UsageError(f"{part!r} is no stage: write EXPLAINER or EXPLAINER:MEASUREMENTS, as in  search:120")
        stages.append(Stage(explainer=name, budget=int(budget or 0), options=(options or {}).get(name, {})))
    if len({s.explainer for s in stages}) < len(stages):
        raise UsageError(f"the cascade {text!r} names an explainer twice: name each once")
    return tuple(stages)


def best_of(records: Sequence[Record]) -> tuple[int, float]:
    """The stage whose explanation is chosen, the earlier of equals, and its standing; what cannot be judged stands at 0."""
    places = [(r.standing or 0.0, -i) for i, r in enumerate(records) if not r.failed]
    if not places:
        return len(records) - 1, 0.0
    value, place = max(places)
    return -place, value


@dataclass(frozen=True, slots=True)
class Experience:
    """What stages gained and cost so far: per stage and bin of the standing before, units and summed gain."""

    units: Mapping[tuple[int, int], int]
    gain: Mapping[tuple[int, int], float]
    asked: Mapping[int, int]

    @classmethod
    def of(cls, histories: Sequence[Sequence[Record]]) -> Experience:
        """From the records of units, in an order that does not change."""
        units: dict[tuple[int, int], int] = {}
        gain: dict[tuple[int, int], float] = {}
        asked: dict[int, int] = {}
        for records in histories:
            after = 0.0
            for stage, record in enumerate(records):
                before, after = after, after if record.failed else max(after, record.standing or 0.0)
                if stage:
                    place = stage, bin_of(before)
                    units[place] = units.get(place, 0) + 1
                    gain[place] = gain.get(place, 0.0) + after - before
                    asked[stage] = asked.get(stage, 0) + record.measurements
        return cls(units, gain, asked)

    def whole(self, stage: int) -> tuple[int, float]:
        """Units that went through the stage, and their summed gain."""
        tried = sorted(place for place in self.units if place[0] == stage)
        return sum(self.units[p] for p in tried), sum((self.gain[p] for p in tried), start=0.0)

    def expected(self, stage: int, standing: float, *, whole: tuple[int, float] | None = None) -> float:
        """Gain in standing that the stage is expected to bring a unit: a mean over like units, drawn to that over all.

        A stage that was never tried is expected to bring ``PRIOR_GAIN`` of what is missing. ``whole``: as the method of that
        name gives it, for those who ask for many units.
        """
        n_all, sum_all = self.whole(stage) if whole is None else whole
        drawn = (sum_all + PRIOR_UNITS * PRIOR_GAIN * (1.0 - standing)) / (n_all + PRIOR_UNITS)
        here = stage, bin_of(standing)
        return (self.gain.get(here, 0.0) + PRIOR_UNITS * drawn) / (self.units.get(here, 0) + PRIOR_UNITS)

    def cost(self, stage: int, budget: int) -> float:
        """Measurements that the stage is expected to ask for, at least 1."""
        n = sum(count for (s, _), count in self.units.items() if s == stage)
        return max(1.0, (self.asked.get(stage, 0) + budget) / (n + 1))


def bin_of(standing: float) -> int:
    """The bin of a standing, 0 to ``BINS - 1``."""
    return min(int(standing * BINS), BINS - 1)


def order_of(
    histories: Mapping[Name, Sequence[Record]],
    stages: Sequence[Stage],
    rules: Rules,
    *,
    weights: Mapping[Name, float] | None = None,
    learn_from: Sequence[Name] | None = None,
) -> list[tuple[Name, int]]:
    """Units with the stage each should go through next, the most expected gain per measurement first.

    Units without any record come first, by weight. A unit that stands high enough, or of which the next stage is
    expected to gain too little, is left as it is.

    Args:
        histories: records of each unit, one a stage it went through.
        stages: of the cascade.
        rules: when a unit goes on.
        weights: how much a unit matters, by name; 1 otherwise.
        learn_from: names of the units whose records tell what stages gain; all of them otherwise.
    """
    known = [histories[n] for n in (learn_from if learn_from is not None else histories) if n in histories]
    experience = Experience.of(known)
    whole = [experience.whole(n) for n in range(len(stages))]
    cost = [experience.cost(n, s.budget) for n, s in enumerate(stages)]
    ranked: list[tuple[tuple[float, float, int], Name, int]] = []
    for place, (name, records) in enumerate(histories.items()):
        stage, weight = len(records), (weights or {}).get(name, 1.0)
        if stage == 0:
            ranked.append(((0.0, -weight, place), name, 0))
            continue
        if stage >= len(stages) or (standing := best_of(records)[1]) >= rules.enough:
            continue
        gain = experience.expected(stage, standing, whole=whole[stage])
        if gain >= rules.least:
            ranked.append(((1.0, -weight * gain / cost[stage], place), name, stage))
    return [(name, stage) for _, name, stage in sorted(ranked, key=lambda r: r[0])]
