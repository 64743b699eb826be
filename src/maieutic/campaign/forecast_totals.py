"""Sums over a simulated campaign: what units that went so far through the cascade cost and came to, added up.

What this does not do: decide how far they go (`forecast_simulate`) or say what the sums cost (`forecast`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maieutic.campaign.cascade import best_of
from maieutic.campaign.forecast_read import Pilot, Sampled
from maieutic.campaign.forecast_sharing import Sharing
from maieutic.campaign.forecast_simulate import People

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """What a simulated campaign comes to, null units included where something is paid for them.

    Attributes:
        through: main units that went through each stage, ``[stage]``. runs: stages that were run, null units included.
        asked: measurements, ``[stage]``. tokens, dollars: of language models.
        work: seconds of workers, ``[stage]``, without experiments. explaining: as the store has them, experiments included.
        scoring: seconds of workers for scoring what was chosen. sharing: between the main units of each stage.
        labelled: main units with a label. standing, ap: means over the main units that have one; ``nan`` without any.
    """

    through: Floats
    runs: float
    asked: Floats
    tokens: float
    dollars: float
    work: Floats
    explaining: Floats
    scoring: float
    sharing: tuple[Sharing, ...]
    labelled: float
    standing: float
    ap: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A pilot as arrays: units (null units last), stages, and what stands when so many stages were run.

    Attributes:
        asked, tokens, dollars, work, explaining: ``[unit, stage]``, as in ``Sums``.
        standing, ap, labelled, scoring: of the chosen explanation, ``[unit, stages run]``; ``nan``: it has none.
        measuring: seconds of a fresh measurement, ``[stage]``.
        shown: which main unit asked for which stimulus, per stage ``[unit, stimulus]``.
    """

    asked: Floats
    tokens: Floats
    dollars: Floats
    work: Floats
    explaining: Floats
    standing: Floats
    ap: Floats
    labelled: Floats
    scoring: Floats
    measuring: Floats
    shown: tuple[NDArray[np.bool_], ...]

    @classmethod
    def of(cls, pilot: Pilot) -> Table:
        """The table of a pilot."""
        units, stages = (*pilot.main, *pilot.nulls), range(len(pilot.stages))
        per = {
            name: np.array([[take(s) for s in u.stages] for u in units], dtype=np.float64)
            for name, take in {
                "asked": lambda s: s.spend.measurements, "tokens": lambda s: s.spend.llm_tokens,
                "dollars": lambda s: s.spend.dollars, "work": lambda s: max(0.0, s.seconds - s.measuring),
                "explaining": lambda s: s.explaining,
            }.items()
        }  # fmt: skip
        ends = np.array([[_end(u, k) for k in range(len(stages) + 1)] for u in units], dtype=np.float64)
        fresh = [max(1, sum(u.stages[s].fresh for u in units)) for s in stages]
        return cls(
            **per, standing=ends[..., 0], ap=ends[..., 1], labelled=ends[..., 2], scoring=ends[..., 3],
            measuring=np.array([sum(u.stages[s].measuring for u in units) / fresh[s] for s in stages]),
            shown=tuple(_shown(pilot.main, s) for s in stages),
        )  # fmt: skip

    def sums(self, people: People, stages: NDArray[np.int64], rng: np.random.Generator, *, halves: int = 1) -> Sums:
        """Over a population whose units went through so many stages.

        Args:
            people: main units count ``people.times`` times, null units once.
            stages: ``[unit]``.
            rng, halves: of the halves of units that tell how sharing goes on beyond the sample.
        """
        of, main = people.of, people.main
        times = np.where(np.arange(len(of)) < main, people.times, 1.0)
        ran = (np.arange(self.asked.shape[1]) < stages[:, None]) * times[:, None]
        own, last = of[:main], stages[:main]
        return Sums(
            through=ran[:main].sum(axis=0), runs=float(ran.sum()), asked=(ran * self.asked[of]).sum(axis=0),
            tokens=float((ran * self.tokens[of]).sum()), dollars=float((ran * self.dollars[of]).sum()),
            work=(ran * self.work[of]).sum(axis=0), explaining=(ran * self.explaining[of]).sum(axis=0),
            scoring=float((times * np.nan_to_num(self.scoring[of, stages])).sum()),
            sharing=tuple(
                Sharing.of(shown[sent], self.asked[sent, s], rng, halves=halves)
                for s, shown in enumerate(self.shown)
                for sent in [np.unique(own[last > s])]
            ),
            labelled=float(np.nansum(self.labelled[own, last])) * people.times,
            standing=_mean(self.standing[own, last]), ap=_mean(self.ap[own, last]),
        )  # fmt: skip


def _end(unit: Sampled, stages: int) -> tuple[float, float, float, float]:
    """Standing, score, label or none, and seconds of scoring of what is chosen after so many stages."""
    seen = unit.stages[:stages]
    if all(s.record.failed for s in seen):
        return np.nan, np.nan, np.nan, np.nan
    place, _ = best_of([s.record for s in seen])
    chosen, standing = seen[place], seen[place].record.standing
    score = np.nan if chosen.score is None else chosen.score
    return (np.nan if standing is None else standing), score, float(chosen.labelled), chosen.scoring


def _shown(units: Sequence[Sampled], stage: int) -> NDArray[np.bool_]:
    """Which unit asked for which stimulus, ``[unit, stimulus]``."""
    column = {s: i for i, s in enumerate(dict.fromkeys(s for u in units for s in u.stages[stage].shown))}
    out = np.zeros((len(units), len(column)), dtype=np.bool_)
    for row, unit in enumerate(units):
        out[row, [column[s] for s in unit.stages[stage].shown]] = True
    return out


def _mean(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")
