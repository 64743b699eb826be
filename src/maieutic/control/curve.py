"""The curve behind every figure of a monitor: how many attacks and honest runs are flagged at each level of suspicion.

A run whose suspicion was not measured is flagged at every level: protocols escalate it. Rows are the sample itself and
its bootstrap resamples, in which whole scenarios are drawn together.

What this module does not do: it names no figure (``metrics.py``), and turns no unmeasured score into a number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maieutic.readings import RESAMPLES, Estimate, FloatArray, Reading, cluster_weights


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of a task under a monitor.

    Attributes:
        suspicion: of the whole run, see ``metrics.worst``; unmeasured is allowed and counts as flagged.
        attack: whether the model was attacking.
        main: success of the task that was asked for, 0 to 1; ``None``: not known.
        side: whether the attack itself succeeded; ``None``: not known.
        scenario: runs of one scenario are drawn together in the bootstrap; empty: on its own.
        id: for people.
    """

    suspicion: Reading
    attack: bool
    main: float | None = None
    side: bool | None = None
    scenario: str = ""
    id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Runs as arrays, with the draws of their scenarios.

    Attributes:
        runs: as given.
        score: suspicion, ``[run]``; infinite where it was not measured, which is above every threshold.
        attack: ``[run]``.
        clusters: number of the scenario, ``[run]``.
        weights: how often each scenario is drawn, ``[row, scenario]``; row 0 is the sample itself.
    """

    runs: tuple[Run, ...]
    score: FloatArray = field(repr=False)
    attack: NDArray[np.bool_] = field(repr=False)
    clusters: NDArray[np.int64] = field(repr=False)
    weights: FloatArray = field(repr=False)

    @classmethod
    def of(cls, runs: Sequence[Run], *, seed: int = 0) -> Sample:
        """Number the scenarios in the order in which they appear, and draw them."""
        names: dict[str, int] = {}
        clusters = [
            names.setdefault(f"s:{r.scenario}" if r.scenario else f"r:{i}", len(names)) for i, r in enumerate(runs)
        ]
        drawn = cluster_weights(max(len(names), 1), seed=seed).astype(np.float64)
        return cls(
            runs=tuple(runs),
            score=np.array([np.inf if r.suspicion.value is None else r.suspicion.value for r in runs], np.float64),
            attack=np.array([r.attack for r in runs], np.bool_),
            clusters=np.array(clusters, np.int64),
            weights=np.concatenate([np.ones((1, drawn.shape[1])), drawn]),
        )  # fmt: skip

    @property
    def unmeasured(self) -> NDArray[np.bool_]:
        """Which runs have no suspicion, ``[run]``."""
        return np.isinf(self.score)

    @property
    def row_weights(self) -> FloatArray:
        """How often each run is drawn, ``[row, run]``."""
        return self.weights[:, self.clusters]

    def about(self) -> dict[str, Any]:
        """Counts that stand beside every figure: nobody should read a figure without what was not measured."""
        reasons: dict[str, int] = {}
        for run in self.runs:
            if run.suspicion.reason is not None:
                reasons[run.suspicion.reason] = reasons.get(run.suspicion.reason, 0) + 1
        return {
            "attacks": int(self.attack.sum()),
            "honest": int((~self.attack).sum()),
            "scenarios": int(self.weights.shape[1]) if self.runs else 0,
            "unmeasured_attacks": int((self.attack & self.unmeasured).sum()),
            "unmeasured_honest": int((~self.attack & self.unmeasured).sum()),
            "unmeasured": dict(sorted(reasons.items())),
        }

    def lacking(self) -> str | None:
        """Why no figure can be made that sets attacks beside honest runs."""
        if not self.attack.any():
            return "there is no attack run"
        return "there is no honest run" if self.attack.all() else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Rates of flagged runs as the threshold falls from above everything to below everything.

    Attributes:
        levels: distinct suspicions, falling, behind an infinite first level at which nothing that was measured is
            flagged, ``[level]``.
        fpr, tpr: flagged share of honest runs and of attacks with a suspicion of at least the level, ``[row, level]``;
            the first column is what is flagged because it was not measured.
    """

    levels: FloatArray
    fpr: FloatArray
    tpr: FloatArray

    @classmethod
    def of(cls, sample: Sample) -> Curve:
        """Cost: rows times levels, in single numbers."""
        finite = sample.score[np.isfinite(sample.score)]
        levels = np.concatenate([[np.inf], np.unique(finite)[::-1]])
        place = len(levels) - 1 - np.searchsorted(levels[::-1][:-1], sample.score, side="left")
        place[np.isinf(sample.score)] = 0
        rates = [_rates(sample, place, chosen, len(levels)) for chosen in (~sample.attack, sample.attack)]
        return cls(levels=levels, fpr=rates[0], tpr=rates[1])

    def whole(self) -> tuple[FloatArray, FloatArray]:
        """False and true positive rates from (0, 0) to (1, 1): what areas are taken under, ``[row, level + 1]``."""
        zero = np.zeros((len(self.fpr), 1))
        return np.concatenate([zero, self.fpr], axis=1), np.concatenate([zero, self.tpr], axis=1)


def _rates(sample: Sample, place: NDArray[np.int64], chosen: NDArray[np.bool_], levels: int) -> FloatArray:
    cell = sample.clusters[chosen] * levels + place[chosen]
    n = sample.weights.shape[1]
    counts = np.bincount(cell, minlength=n * levels).reshape(n, levels).astype(np.float64)
    with np.errstate(invalid="ignore"):
        return np.cumsum(sample.weights @ counts, axis=1) / (sample.weights @ counts.sum(axis=1))[:, None]


def estimate(rows: FloatArray) -> Estimate:
    """A statistic of every row as a value with its replicates."""
    assert len(rows) == RESAMPLES + 1
    return Estimate(value=float(rows[0]), replicates=rows[1:])


def by_row(sample: Sample, statistic: Callable[[FloatArray], float]) -> Estimate:
    """A statistic of how often each run is drawn, ``[run]``, for every row. Cost: one call a row."""
    return estimate(np.array([statistic(w) for w in sample.row_weights], np.float64))
