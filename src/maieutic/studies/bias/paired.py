"""Paired effects with two kinds of chance: which bases were tried, and which fillers stand for a level.

A base (an object, a photo, a template) is measured at both levels of a contrast, so everything else about it cancels. A
filler is one of several things that stand for a level: a picture of water, a name of a group. Bases of one cluster
(near-duplicates, paraphrases) are drawn together.

Intervals: percentile bootstrap over clusters *and* fillers at once (the pigeonhole bootstrap: Owen 2007, "The pigeonhole
bootstrap", Annals of Applied Statistics 1), which errs on the wide side. p-values: random signs of whole clusters; where
each level has at least `RANDOM` fillers also exchanged labels of fillers, and a t-test whose variance is that over
clusters plus that over fillers (Clark 1973, "The language-as-fixed-effect fallacy": a test over one of the two alone takes
the accidents of the other for an effect). The largest of them counts.

What this module does not do: measure anything, decide between hypotheses, or treat fewer than `RANDOM` fillers as a sample:
there the p-value is about the fillers that were used.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from maieutic.readings import RESAMPLES, Estimate, FloatArray, cluster_weights

Control = Literal["holm", "bh"]
#: from this many fillers a level on, they are treated as drawn from many
RANDOM = 4
#: random signs and exchanges where there are too many to try all
DRAWS = 9999
_EXACT_CLUSTERS = 13
_EXACT_EXCHANGES = 10_000


@dataclass(frozen=True, kw_only=True)
class Cells:
    """Values of one contrast.

    Attributes:
        level, reference: the output, ``[base, filler]``; ``nan`` where it was not measured.
        clusters: of each base, 0 to the number of clusters less 1.
        same: column ``j`` of both is the same filler, so that fillers are paired too.
    """

    level: FloatArray
    reference: FloatArray
    clusters: NDArray[np.int64]
    same: bool = False

    def __post_init__(self) -> None:
        assert self.level.ndim == self.reference.ndim == 2, "[base, filler]"
        assert len(self.level) == len(self.reference) == len(self.clusters), "a row a base"
        assert not self.same or self.level.shape == self.reference.shape, "the same fillers on both sides"

    @property
    def n_clusters(self) -> int:
        return int(self.clusters.max()) + 1 if len(self.clusters) else 0

    def differences(self) -> FloatArray:
        """Of each base, level less reference, each the mean over its fillers; ``nan`` where a side is missing."""
        if self.same:
            return _row_means(self.level - self.reference)
        return _row_means(self.level) - _row_means(self.reference)


def _row_means(values: FloatArray) -> FloatArray:
    known = np.isfinite(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(known, values, 0.0).sum(axis=1) / known.sum(axis=1)


# --- effects -------------------------------------------------------------------------------------------------------


def effect(cells: Cells, *, seed: int = 0, resamples: int = RESAMPLES) -> Estimate:
    """The mean difference over bases, with replicates over clusters and fillers; ``nan`` without a complete base.

    Estimates of the same bases and seed draw the same clusters, so their difference is paired.
    """
    d = cells.differences()
    if not np.isfinite(d).any():
        return Estimate(value=math.nan, replicates=np.full(resamples, math.nan))
    drawn = _redrawn(cells, seed, resamples)
    weights = cluster_weights(cells.n_clusters, resamples=resamples, seed=seed)[:, cells.clusters].astype(np.float64)
    there = np.isfinite(drawn)
    with np.errstate(invalid="ignore", divide="ignore"):
        replicates = (weights * np.where(there, drawn, 0.0)).sum(axis=1) / (weights * there).sum(axis=1)
    return Estimate(value=float(np.nanmean(d)), replicates=replicates)


def _redrawn(cells: Cells, seed: int, resamples: int) -> FloatArray:
    """Differences of each base with fillers drawn anew, ``[resample, base]``."""
    first = cluster_weights(cells.level.shape[1], resamples=resamples, seed=seed + 7919).astype(np.float64)
    if cells.same:
        return _weighted(cells.level - cells.reference, first)
    second = cluster_weights(cells.reference.shape[1], resamples=resamples, seed=seed + 104729).astype(np.float64)
    return _weighted(cells.level, first) - _weighted(cells.reference, second)


def _weighted(values: FloatArray, weights: FloatArray) -> FloatArray:
    known = np.isfinite(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (weights @ np.where(known, values, 0.0).T) / (weights @ known.T.astype(np.float64))


def standardised(cells: Cells) -> float | None:
    """d_z: mean over standard deviation of the clusters' mean differences; ``None`` where they do not vary."""
    means = _cluster_means(cells)
    if len(means) < 2:
        return None
    spread = float(means.std(ddof=1))
    return float(means.mean()) / spread if spread > 1e-12 * max(1.0, abs(float(means.mean()))) else None


def _cluster_sums(cells: Cells) -> tuple[FloatArray, FloatArray]:
    """Sums of differences and numbers of bases, of the clusters that have any."""
    d = cells.differences()
    there = np.isfinite(d)
    count = np.bincount(cells.clusters[there], minlength=cells.n_clusters).astype(np.float64)
    sums = np.bincount(cells.clusters[there], weights=d[there], minlength=cells.n_clusters).astype(np.float64)
    kept = count > 0
    return sums[kept], count[kept]


def _cluster_means(cells: Cells) -> FloatArray:
    sums, count = _cluster_sums(cells)
    return sums / count


# --- tests ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Test:
    """A two-sided p-value, its parts by name, and the smallest that so many clusters and fillers allow."""

    p: float
    parts: dict[str, float]
    least: float

    def to_json(self) -> dict[str, Any]:
        return {"p": self.p, "parts": self.parts, "least": self.least}


def test_of(cells: Cells, *, seed: int = 0) -> Test | None:
    """The test of no difference; ``None`` with fewer than two clusters."""
    sums, _ = _cluster_sums(cells)
    if len(sums) < 2:
        return None
    parts = {"signs of clusters": sign_flip(sums, seed=seed)}
    if min(cells.level.shape[1], cells.reference.shape[1]) >= RANDOM:
        parts["fillers"] = _fillers_p(cells, seed)
        parts["clusters and fillers"] = crossed_p(cells)
    return Test(p=max(parts.values()), parts=parts, least=_least(len(sums), cells if len(parts) > 1 else None))


def _least(clusters: int, cells: Cells | None) -> float:
    """The smallest p of random signs of clusters, and of exchanges of fillers where these are tested."""
    found = max(2.0 ** (1 - clusters), 1.0 / (DRAWS + 1) if clusters > _EXACT_CLUSTERS else 0.0)
    if cells is None:
        return found
    first, second = cells.level.shape[1], cells.reference.shape[1]
    if cells.same:
        return max(found, 2.0 ** (1 - first))
    # with equal numbers the mirrored exchange differs as much
    return max(found, (2 if first == second else 1) / math.comb(first + second, first))


def sign_flip(sums: FloatArray, *, seed: int = 0) -> float:
    """Two-sided p under random signs of cluster sums: all of them up to 13 clusters, `DRAWS` seeded ones beyond."""
    n, observed = len(sums), abs(float(sums.sum()))
    room = 1e-9 * max(1.0, float(np.abs(sums).sum()))
    if n <= _EXACT_CLUSTERS:
        signs = 1.0 - 2.0 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
        return float(np.mean(np.abs(signs @ sums) >= observed - room))
    signs = 1.0 - 2.0 * np.random.default_rng(seed).integers(0, 2, size=(DRAWS, n))
    return float((1 + np.sum(np.abs(signs @ sums) >= observed - room)) / (DRAWS + 1))


def exchange(first: FloatArray, second: FloatArray, *, seed: int = 0) -> float:
    """Two-sided p of a difference of means when labels are exchanged between two sets of values."""
    every, k = np.concatenate([first, second]), len(first)
    total, n = float(every.sum()), len(every)
    observed = abs(float(first.mean() - second.mean()))
    room = 1e-9 * max(1.0, float(np.abs(every).max()))
    if math.comb(n, k) <= _EXACT_EXCHANGES:
        own = np.array([every[list(c)].sum() for c in combinations(range(n), k)])
        return float(np.mean(np.abs(own / k - (total - own) / (n - k)) >= observed - room))
    draw = np.random.default_rng(seed)
    own = np.array([every[draw.permutation(n)[:k]].sum() for _ in range(DRAWS)])
    return float((1 + np.sum(np.abs(own / k - (total - own) / (n - k)) >= observed - room)) / (DRAWS + 1))


def _fillers_p(cells: Cells, seed: int) -> float:
    if cells.same:
        return sign_flip(_finite(_row_means((cells.level - cells.reference).T)), seed=seed)
    return exchange(_finite(_row_means(cells.level.T)), _finite(_row_means(cells.reference.T)), seed=seed)


def _finite(values: FloatArray) -> FloatArray:
    return values[np.isfinite(values)]


def crossed_p(cells: Cells) -> float:
    """Two-sided p of a t-test with the variance over clusters plus that over fillers, freedom after Satterthwaite (1946)."""
    sums, count = _cluster_sums(cells)
    bases, n = float(count.sum()), len(sums)
    mean = float(sums.sum()) / bases
    parts = [(float(((sums - mean * count) ** 2).sum()) * n / (n - 1) / bases**2, n - 1)]
    sides = [cells.level - cells.reference] if cells.same else [cells.level, cells.reference]
    for side in sides:
        own = _finite(_row_means(side.T))
        parts.append((float(own.var(ddof=1)) / len(own), len(own) - 1))
    variance = sum(v for v, _ in parts)
    if variance <= 1e-24 * max(1.0, mean * mean):
        return 1.0 if mean == 0 else 0.0
    freedom = variance**2 / sum(v * v / f for v, f in parts)
    return float(2 * stats.t.sf(abs(mean) / math.sqrt(variance), freedom))


# --- many tests ----------------------------------------------------------------------------------------------------


def adjusted(p: Sequence[float], control: Control = "holm") -> list[float]:
    """p-values adjusted for their number: Holm (1979; any false finding) or Benjamini and Hochberg (1995; their share)."""
    return _holm(p) if control == "holm" else _benjamini_hochberg(p)


def _holm(p: Sequence[float]) -> list[float]:
    order = sorted(range(len(p)), key=lambda i: p[i])
    found, before = [0.0] * len(p), 0.0
    for rank, i in enumerate(order):
        before = max(before, min(1.0, (len(p) - rank) * p[i]))
        found[i] = before
    return found


def _benjamini_hochberg(p: Sequence[float]) -> list[float]:
    order = sorted(range(len(p)), key=lambda i: p[i], reverse=True)
    found, after = [0.0] * len(p), 1.0
    for rank, i in enumerate(order):
        after = min(after, p[i] * len(p) / (len(p) - rank))
        found[i] = after
    return found
