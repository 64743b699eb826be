"""Reading, Cost and intervals: the one way a measurement is expressed.

A ``Reading`` is a value with a 95 % interval, or ``unmeasured`` with a reason; nothing turns the second into the
first. Intervals come from a cluster bootstrap: whole documents (or groups of near-duplicate images) are drawn with
replacement, because positions inside a document are not independent. What is not protected: clusters that are
themselves correlated, and selection (choosing the best of many labels) unless the choice was made on other data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Counts = NDArray[np.floating[Any]]
#: bootstrap resamples behind every interval
RESAMPLES = 1000
#: prediction levels kept for the interval of a ranking; the point value always uses all of them
MAX_LEVELS = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a measurement used.

    Attributes:
        measurements: stimuli shown to the subject; of these ``tokens`` of text and ``images``.
        seconds: wall time.
        llm_tokens: read and written by language models that explained, described or judged.
        dollars: their price, where it is known.
    """

    measurements: int = 0
    tokens: int = 0
    images: int = 0
    seconds: float = 0.0
    dollars: float = 0.0
    llm_tokens: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            measurements=self.measurements + other.measurements,
            tokens=self.tokens + other.tokens,
            images=self.images + other.images,
            seconds=self.seconds + other.seconds,
            dollars=self.dollars + other.dollars,
            llm_tokens=self.llm_tokens + other.llm_tokens,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One measured quantity.

    Attributes:
        name: what was measured, dotted (``predictive``, ``predictive.pearson``, ``predictive.control.constant``).
        value: the point estimate, or ``None`` exactly when ``reason`` says why it was not measured.
        low, high: 95 % interval (cluster bootstrap unless ``details`` says otherwise).
        n: sample size (positions or images) behind the value.
        reason: why there is no value.
        cost: what it took.
        details: further plain JSON values (number of clusters, base rate, threshold, seed...).
    """

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    reason: str | None = None
    cost: Cost = field(default_factory=Cost)
    details: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        assert (self.value is None) == (self.reason is not None), "a reading has a value or a reason, never both"
        assert self.value is None or np.isfinite(self.value), f"{self.name}: {self.value} is not a finite number"

    @classmethod
    def unmeasured(cls, name: str, reason: str, *, n: int = 0, details: Mapping[str, Any] | None = None) -> Reading:
        """A reading without a value. It stays so through every aggregate."""
        return cls(name=name, value=None, reason=reason, n=n, details=details or {})

    @property
    def measured(self) -> bool:
        return self.value is not None

    def __str__(self) -> str:
        if self.value is None:
            return f"unmeasured ({self.reason})"
        interval = "" if self.low is None or self.high is None else f" [{self.low:.3f}, {self.high:.3f}]"
        return f"{self.value:.3f}{interval} (n={self.n})"

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "details": dict(self.details)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Reading:
        stored: dict[str, Any] = {**data, "cost": Cost(**data["cost"])}
        return cls(**stored)


# --- estimates: a value with its bootstrap replicates --------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A statistic with its values on resampled clusters.

    Estimates made with the same weights are paired: ``a - b`` is the difference on the *same* resampled clusters.

    Attributes:
        value: the statistic on the whole sample; ``nan`` where it is undefined.
        replicates: the statistic on each resample, ``[resample]``; ``nan`` where that resample leaves it undefined.
    """

    value: float
    replicates: FloatArray

    def __sub__(self, other: Estimate) -> Estimate:
        assert len(self.replicates) == len(other.replicates), "estimates are paired only on the same resamples"
        return Estimate(value=self.value - other.value, replicates=self.replicates - other.replicates)

    def interval(self, *, coverage: float = 0.95) -> tuple[float, float] | None:
        """Percentile interval over the defined replicates; ``None`` when fewer than half are defined."""
        defined = self.replicates[np.isfinite(self.replicates)]
        if 2 * len(defined) < len(self.replicates) or not len(defined):
            return None
        low, high = np.quantile(defined, [(1 - coverage) / 2, (1 + coverage) / 2])
        return float(low), float(high)

    def reading(
        self,
        name: str,
        *,
        n: int,
        undefined: str = "undefined on this sample",
        details: Mapping[str, Any] | None = None,
    ) -> Reading:
        """The estimate as a reading; unmeasured with the reason ``undefined`` when the value is not finite."""
        if not np.isfinite(self.value):
            return Reading.unmeasured(name, undefined, n=n, details=details)
        interval = self.interval()
        low, high = (None, None) if interval is None else interval
        return Reading(name=name, value=float(self.value), low=low, high=high, n=n, details=details or {})


def mean_estimate(estimates: Sequence[Estimate]) -> Estimate:
    """The mean of paired estimates: of their values, and resample by resample."""
    return Estimate(
        value=float(np.mean([e.value for e in estimates])),
        replicates=np.mean([e.replicates for e in estimates], axis=0),
    )


@lru_cache(maxsize=16)
def cluster_weights(clusters: int, *, resamples: int = RESAMPLES, seed: int = 0) -> NDArray[np.float32]:
    """How often each cluster is drawn in each resample, ``[resample, cluster]``; every row sums to ``clusters``.

    The same arguments give the same array (read-only, kept), so that everything measured with it is paired.
    """
    drawn = np.random.default_rng(seed).integers(0, clusters, size=(resamples, clusters))
    rows = np.arange(resamples)[:, None] * clusters
    counts = np.bincount((rows + drawn).ravel(), minlength=resamples * clusters)
    weights = counts.reshape(resamples, clusters).astype(np.float32)
    weights.flags.writeable = False
    return weights


def from_sums(
    columns: FloatArray,
    statistic: Callable[[FloatArray], FloatArray],
    *,
    clusters: NDArray[np.int64],
    weights: NDArray[np.float32],
) -> Estimate:
    """Any statistic that is a function of sums over positions.

    Args:
        columns: what is summed, ``[position, column]``.
        statistic: ``[..., column]`` sums to ``[...]`` values; may give ``nan``.
        clusters: cluster of each position, 0 to ``weights.shape[1] - 1``.
        weights: from ``cluster_weights``.
    """
    n = weights.shape[1]
    sums = np.stack([np.bincount(clusters, weights=c, minlength=n) for c in columns.T], axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = statistic(sums.sum(axis=0))
        replicates = statistic(weights.astype(np.float64) @ sums)
    return Estimate(value=float(value), replicates=replicates)


def pearson(x: FloatArray, y: FloatArray, *, clusters: NDArray[np.int64], weights: NDArray[np.float32]) -> Estimate:
    """Pearson correlation, -1 to 1; ``nan`` when either side never changes. Chance level 0."""
    x, y = (np.asarray(v, dtype=np.float64) for v in (x, y))
    # centred and scaled first: sums of squares of large raw values would cancel
    x, y = (v - v.mean() if np.ptp(v) > 0 else np.zeros_like(v) for v in (x, y))
    x, y = (v / (np.abs(v).max() or 1.0) for v in (x, y))
    sums = np.stack([np.ones_like(x), x, y, x * x, y * y, x * y]).T  # each column lies in one piece
    return from_sums(sums, _correlation, clusters=clusters, weights=weights)


def _correlation(sums: FloatArray) -> FloatArray:
    n, x, y, xx, yy, xy = np.moveaxis(sums, -1, 0)
    spread_x, spread_y = xx - x * x / n, yy - y * y / n
    # a resample without spread leaves rounding noise, not a correlation
    flat = (spread_x <= 1e-12 * n) | (spread_y <= 1e-12 * n)
    return np.where(flat, np.nan, np.clip((xy - x * y / n) / np.sqrt(np.abs(spread_x * spread_y)), -1.0, 1.0))


# --- rankings: average precision and AUROC -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """How well predictions rank active positions above the rest.

    Attributes:
        average_precision: step-wise average precision (below), 0 to 1; a constant prediction gets the base rate.
        auroc: chance that an active position is ranked above an inactive one, ties counting half; chance level 0.5.
    """

    average_precision: Estimate
    auroc: Estimate


@dataclass(frozen=True, slots=True)
class _Counts:
    """Per cluster (or summed) counts at each prediction level that holds an active position, highest first.

    ``above``: inactive positions ranked above the level and below the previous one; ``tied``: inactive positions on
    the level; ``below``: inactive positions under the last level. Inactive positions between two such levels may be
    pooled without loss: neither statistic changes.
    """

    active: Counts  # [..., level]
    above: Counts  # [..., level]
    tied: Counts  # [..., level]
    below: Counts  # [..., 1]

    def summed(self) -> _Counts:
        """Over all clusters, ``[1, level]``; exact, since counts are whole."""
        return _Counts(*(p.sum(axis=0, keepdims=True) for p in (self.active, self.above, self.tied, self.below)))

    def single(self) -> tuple[Counts, Counts, Counts, Counts]:
        """In single precision, exact up to 16 million."""
        on, above, tied, below = (p.astype(np.float32) for p in (self.active, self.above, self.tied, self.below))
        return on, above, tied, below


def ranking(
    active: NDArray[np.bool_],
    predicted: FloatArray,
    *,
    clusters: NDArray[np.int64],
    weights: NDArray[np.float32],
    max_levels: int = MAX_LEVELS,
) -> Ranking:
    """Average precision and AUROC with their replicates.

    Ties are one group, as in scikit-learn: AP = sum over levels of (recall gained at the level) x (precision at the
    end of the level). Both point values are exact. Replicates are exact too unless more than ``max_levels`` distinct
    predictions hold an active position; then neighbouring levels are pooled and the replicates are shifted by the
    (small) difference that pooling makes to the point value.
    """
    counts = _counted(active, predicted, clusters=clusters, n=weights.shape[1], max_levels=max_levels)
    drawn = _Counts(*(weights @ part for part in counts.clusters.single()))
    return Ranking(
        average_precision=counts.estimate(_stepwise, _stepwise(drawn)),
        auroc=counts.estimate(_concordance, _concordance(drawn)),
    )


def average_precision(
    active: NDArray[np.bool_],
    predicted: FloatArray,
    *,
    clusters: NDArray[np.int64],
    weights: NDArray[np.float32],
    max_levels: int = MAX_LEVELS,
) -> Estimate:
    """``ranking(...).average_precision``, to the bit, at half the cost."""
    counts = _counted(active, predicted, clusters=clusters, n=weights.shape[1], max_levels=max_levels)
    on, above, tied, below = counts.clusters.single()
    # ties need not be told apart: counts are whole numbers, so the sum is the same in either order
    drawn = _Counts(weights @ on, weights @ (above + tied), np.zeros_like(below[:1]), below)
    return counts.estimate(_stepwise, _stepwise(drawn))


@dataclass(frozen=True, slots=True)
class _Counted:
    """Counts behind a ranking: ``clusters`` a row each, ``whole`` over all levels, ``pooled`` over those kept."""

    clusters: _Counts
    whole: _Counts
    pooled: _Counts | None

    def estimate(self, statistic: Callable[[_Counts], Counts], drawn: Counts) -> Estimate:
        """The exact value, with replicates shifted by what pooling changes."""
        value = float(statistic(self.whole)[0])
        if self.pooled is not None:
            drawn = drawn + value - statistic(self.pooled)
        return Estimate(value=value, replicates=drawn.astype(np.float64))


def _counted(
    active: NDArray[np.bool_], predicted: FloatArray, *, clusters: NDArray[np.int64], n: int, max_levels: int
) -> _Counted:
    active, predicted = np.asarray(active, dtype=np.bool_), np.asarray(predicted, dtype=np.float64)
    levels = np.unique(predicted[active])
    together = np.zeros(len(active), dtype=np.int64)
    if len(levels) <= max_levels:
        per = _counts(active, predicted, levels, clusters, n)
        return _Counted(clusters=per, whole=per.summed(), pooled=None)
    # pool levels so that each holds about the same number of active positions
    ranked = np.sort(predicted[active])
    kept = np.unique(ranked[np.linspace(0, len(ranked) - 1, max_levels).astype(np.int64)])
    per = _counts(active, predicted, kept, clusters, n)
    return _Counted(clusters=per, whole=_counts(active, predicted, levels, together, 1), pooled=per.summed())


def _counts(
    active: NDArray[np.bool_], predicted: FloatArray, levels: FloatArray, clusters: NDArray[np.int64], n: int
) -> _Counts:
    """Counts ``[cluster, level]``; ``levels`` ascending and not above the lowest active prediction."""
    k = len(levels)
    level = k - np.searchsorted(levels, predicted, side="right")  # 0 = highest; k = under all of them
    cell = clusters * (k + 1) + level
    edges = np.append(levels[::-1], -np.inf)
    on = predicted <= edges[level]

    def table(chosen: NDArray[np.bool_]) -> FloatArray:
        return np.bincount(cell[chosen], minlength=n * (k + 1)).reshape(n, k + 1).astype(np.float64)

    above = table(~active & ~on)
    return _Counts(table(active)[:, :k], above[:, :k], table(~active & on)[:, :k], above[:, k:])


def _stepwise(c: _Counts) -> Counts:
    """Step-wise average precision, ``[...]``; ``nan`` without an active position."""
    found = np.cumsum(c.active, axis=-1)
    shown = found + np.cumsum(c.above + c.tied, axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = np.where(shown > 0, found / shown, 0.0)
        return (c.active * precision).sum(axis=-1) / c.active.sum(axis=-1)


def _concordance(c: _Counts) -> Counts:
    """AUROC, ``[...]``; ``nan`` without an active or without an inactive position."""
    inactive = c.above + c.tied
    total = inactive.sum(axis=-1, keepdims=True) + c.below
    under = total - np.cumsum(inactive, axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return (c.active * (under + 0.5 * c.tied)).sum(axis=-1) / (c.active.sum(axis=-1) * total[..., 0])


# --- aggregates ----------------------------------------------------------------------------------------------------


def calibration_bins(claimed: FloatArray, bins: int) -> NDArray[np.int64]:
    """The bin of equal width that each claim from 0 to 1 falls into; the last bin holds 1."""
    # 0.3 * 10 is a little less than 3 in binary
    return np.clip(np.floor(claimed * bins + 1e-9), 0, bins - 1).astype(np.int64)


def calibration_sums(
    claimed: FloatArray, true: FloatArray, bins: int
) -> tuple[FloatArray, Callable[[FloatArray], FloatArray]]:
    """Columns and statistic of the expected calibration error, for ``from_sums``.

    ECE = sum over bins of (claims in the bin / all claims) x |share that is true - mean claim|; 0 is perfect.

    Args:
        claimed: chances, 0 to 1, ``[claim]``. true: what came, 0 or 1.
        bins: of equal width.
    """
    inside = np.eye(bins)[calibration_bins(claimed, bins)]
    columns = np.concatenate([inside, inside * claimed[:, None], inside * true[:, None]], axis=1)

    def error(sums: FloatArray) -> FloatArray:
        n, sure, right = sums[..., :bins], sums[..., bins : 2 * bins], sums[..., 2 * bins :]
        return np.abs(right - sure).sum(axis=-1) / n.sum(axis=-1)

    return columns, error


def wilson(successes: int, n: int) -> tuple[float, float]:
    """95 % Wilson interval of a share; (0, 1) when nothing was tried."""
    if n == 0:
        return 0.0, 1.0
    z, p = 1.959964, successes / n
    centre, half = p + z * z / (2 * n), z * float(np.sqrt(p * (1 - p) / n + z * z / (4 * n * n)))
    scale = 1 + z * z / n
    return max((centre - half) / scale, 0.0), min((centre + half) / scale, 1.0)


def share_reading(name: str, outcomes: Sequence[bool], *, details: Mapping[str, Any] | None = None) -> Reading:
    """The share of true outcomes with its Wilson interval; unmeasured when there is none."""
    if not outcomes:
        return Reading.unmeasured(name, "nothing to count", details=details)
    low, high = wilson(sum(outcomes), len(outcomes))
    value = sum(outcomes) / len(outcomes)
    return Reading(name=name, value=value, low=low, high=high, n=len(outcomes), details=details or {})


def mean_reading(name: str, readings: Sequence[Reading], *, seed: int = 0) -> Reading:
    """The mean over those that were measured, with a bootstrap interval over them.

    Unmeasured readings never become numbers: they are counted by reason in ``details["unmeasured"]`` beside
    ``details["of"]``, and when nothing was measured the mean is unmeasured too.
    """
    values = np.array([r.value for r in readings if r.value is not None], dtype=np.float64)
    reasons: dict[str, int] = {}
    for r in readings:
        if r.reason is not None:
            reasons[r.reason] = reasons.get(r.reason, 0) + 1
    details = {"of": len(readings), "unmeasured": dict(sorted(reasons.items()))}
    if not len(values):
        why = "; ".join(f"{reason} ({count})" for reason, count in sorted(reasons.items())) or "no readings"
        return Reading.unmeasured(name, why, details=details)
    replicates = cluster_weights(len(values), seed=seed).astype(np.float64) @ values / len(values)
    return Estimate(value=float(values.mean()), replicates=replicates).reading(name, n=len(values), details=details)
