"""Choosing among finished hypotheses on the select split, and how far to believe the one chosen.

Score of a candidate: average precision plus half its Pearson correlation, both on select. The simplest candidate whose
score is within a quarter of a standard error (documents resampled, paired) of the best is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maieutic.explain.predicates.base import Predicate
from maieutic.explain.search.text_setting import Side
from maieutic.readings import Estimate, average_precision, cluster_weights, pearson

Array = NDArray[np.float64]
_RESAMPLES = 200
_TOLERANCE = 0.25


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A finished hypothesis with its predictions on select; a larger ``size`` is less simple."""

    name: str
    predicate: Predicate
    predicted: Array
    size: int


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A candidate with its scores on select."""

    candidate: Candidate
    precision: Estimate
    correlation: Estimate

    @property
    def score(self) -> Estimate:
        """AP + r / 2; either counts as 0 where it is undefined (no active position, a constant prediction)."""
        ap, r = self.precision, self.correlation
        return Estimate(
            value=float(np.nan_to_num(ap.value) + 0.5 * np.nan_to_num(r.value)),
            replicates=np.nan_to_num(ap.replicates) + 0.5 * np.nan_to_num(r.replicates),
        )


def measured(candidate: Candidate, side: Side) -> Measured:
    """Scores with their paired replicates over documents."""
    weights = cluster_weights(int(side.group.max()) + 1, resamples=_RESAMPLES)
    precision = average_precision(
        side.active, candidate.predicted, clusters=side.group, weights=weights, max_levels=64
    )  # fmt: skip
    r = pearson(candidate.predicted, side.target, clusters=side.group, weights=weights)
    return Measured(candidate=candidate, precision=precision, correlation=r)


def choose(found: Sequence[Measured]) -> Measured:
    """The simplest of those that are not clearly worse than the best."""
    best = max(found, key=lambda m: (m.score.value, -m.candidate.size))
    for m in sorted(found, key=lambda m: m.candidate.size):
        error = float(np.std((best.score - m.score).replicates))
        if best.score.value - m.score.value <= _TOLERANCE * error + 0.003:
            return m
    return best


def beats(one: Estimate, other: Estimate) -> float:
    """Share of resampled document sets on which ``one`` is above ``other``, ties half."""
    difference = (one - other).replicates
    difference = difference[np.isfinite(difference)]
    return float(((difference > 0) + 0.5 * (difference == 0)).mean()) if len(difference) else 0.5


def above_chance(found: Measured, side: Side) -> str | None:
    """Why the candidate cannot be told from chance on select, or ``None`` when it can.

    Chance: average precision equal to the base rate of each resample, correlation 0.
    """
    if side.active.sum() < 3:
        return None  # too few active positions to say
    r = found.correlation.interval(coverage=0.99)
    if r is None or r[0] <= 0.0:
        return "no hypothesis predicts the unit on documents that were not used to find it"
    if found.correlation.value < 0.02:
        return f"the best hypothesis explains next to nothing (correlation {found.correlation.value:.3f})"
    return None
