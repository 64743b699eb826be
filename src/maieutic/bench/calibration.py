"""Calibration of confidence: does a label that an explainer is 0.8 sure of turn out right eight times in ten?

Answers fall into ten bins of equal width by confidence. The expected calibration error is

    ECE = sum over bins of (answers in the bin / all answers) x |share right - mean confidence|

0 is perfect, 1 the worst. Abstentions claim nothing and do not count. What this does not show: whether answers are
often right; an explainer that is never right and never sure is well calibrated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from maieutic.readings import Reading, calibration_bins, calibration_sums, cluster_weights, from_sums, wilson

BINS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """Answers with about the same confidence.

    Attributes:
        low, high: edges; the last bin holds its upper edge.
        n: answers.
        confidence: their mean confidence.
        right: share that was right, with its 95 % Wilson interval ``right_low`` to ``right_high``.
    """

    low: float
    high: float
    n: int
    confidence: float
    right: float
    right_low: float
    right_high: float


def reliability(confidence: Sequence[float], right: Sequence[bool], *, bins: int = BINS) -> list[Bin]:
    """The bins that hold an answer, from the least sure to the surest."""
    sure, good = np.asarray(confidence, dtype=np.float64), np.asarray(right, dtype=np.float64)
    place = calibration_bins(sure, bins)
    out: list[Bin] = []
    for b in range(bins):
        here = place == b
        n = int(here.sum())
        if n:
            low, high = wilson(int(good[here].sum()), n)
            out.append(
                Bin(
                    low=b / bins,
                    high=(b + 1) / bins,
                    n=n,
                    confidence=float(sure[here].mean()),
                    right=float(good[here].mean()),
                    right_low=low,
                    right_high=high,
                )  # fmt: skip
            )
    return out


def calibration_error(name: str, confidence: Sequence[float], right: Sequence[bool], *, bins: int = BINS) -> Reading:
    """The expected calibration error with a bootstrap interval over answers; unmeasured without an answer.

    The interval lies a little high, since a resample of few answers is never quite calibrated.
    """
    if not len(confidence):
        return Reading.unmeasured(name, "nothing was answered")
    sure, good = np.asarray(confidence, dtype=np.float64), np.asarray(right, dtype=np.float64)
    columns, error = calibration_sums(sure, good, bins)
    estimate = from_sums(columns, error, clusters=np.arange(len(sure)), weights=cluster_weights(len(sure)))
    return estimate.reading(name, n=len(sure))
