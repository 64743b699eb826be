"""Ranges and ramps of quantities (word length, number, place ...): the best of all bounds at once.

Each quantity is cut into at most ``_BINS`` bins over the discover positions. The sums of a residual in every bin and fold
give the cross-validated gain (``text_fit.gains``) of every interval and every ramp between bin edges in one product.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maieutic.explain.predicates.base import Predicate
from maieutic.explain.predicates.text import NumberRange, Position
from maieutic.explain.predicates.text_amounts import QUANTITIES, InRange, Ramp, ramp
from maieutic.explain.views_text import Text

Array = NDArray[np.float64]
_BINS = 40
#: quantities of the token itself
TOKEN_QUANTITIES = ("number", "digits", "letters")
#: a bound at or beyond the largest value seen is no bound
_OPEN = 1e15


@dataclass(frozen=True)
class Binned:
    """One quantity over the discover positions.

    Attributes:
        name: of the quantity.
        values: NaN where it is not defined, ``[position]``.
        codes: bin of each position, the last one for undefined.
        lows, highs: smallest and largest value in each bin.
    """

    name: str
    values: Array
    codes: NDArray[np.int64]
    lows: Array
    highs: Array

    @property
    def tried(self) -> Tried:
        """The intervals and ramps between bins that can be tried."""
        return _tried(self.name, tuple(self.lows.tolist()))

    @cached_property
    def levels(self) -> Array:
        """The different values, ascending."""
        return np.unique(self.values[np.isfinite(self.values)])

    @cached_property
    def ranks(self) -> NDArray[np.int64]:
        """Which of ``levels`` each position has, the number of levels where it has none, ``[position]``."""
        return np.searchsorted(self.levels, self.values)


@dataclass(frozen=True, slots=True)
class Tried:
    """All intervals between the bins of a quantity, then all ramps.

    Attributes:
        pairs: first and last bin of each, ``[candidate, 2]``.
        intervals: how many of them are intervals.
        table, squared: values of each in every bin, and their squares, ``[bin, candidate]``.
        simplicity: what its gain counts for, ``[candidate]``.
    """

    pairs: NDArray[np.int64]
    intervals: int
    table: Array
    squared: Array
    simplicity: Array


def binned(text: Text) -> list[Binned]:
    """All quantities of these texts."""
    return [b for name in QUANTITIES if (b := cut(name, text.quantity(name)))]


def cut(name: str, values: Array) -> Binned | None:
    """A quantity in bins of about equal size, a bin a value while there are few values; ``None`` when it never varies."""
    known = values[np.isfinite(values)]
    levels = np.unique(known)
    if len(levels) < 2 and len(known) == len(values):
        return None
    if not len(levels):
        return None
    most = 2 * _BINS if name in ("number", "digits") else _BINS
    if len(levels) > most:
        quantiles = np.unique(np.quantile(known, np.linspace(0, 1, most + 1), method="lower"))
        small = levels[: _BINS // 2] if name not in ("number", "digits") else levels[:12]
        edges = np.unique(np.concatenate([small, quantiles]))
    else:
        edges = levels
    codes = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 1)
    codes = np.where(np.isfinite(values), codes, len(edges))
    highs = edges.copy()
    np.maximum.at(highs, codes[np.isfinite(values)], known)
    return Binned(name, values, codes, edges, highs)


@dataclass(frozen=True, slots=True)
class Bounded:
    """A range or ramp of a quantity with its gain; ``column`` gives its values over discover positions."""

    quantity: Binned
    predicate: Predicate
    gain: float

    @property
    def column(self) -> Array:
        x, p = self.quantity.values, self.predicate
        if isinstance(p, Ramp):
            return ramp(self.quantity.name, x, p.low, p.high)
        low, high = bounds_of(p)
        return ((x >= low) & (x <= high)).astype(np.float64)

    @property
    def role(self) -> str:
        return "token" if self.quantity.name in TOKEN_QUANTITIES else "context"


class Ranges:
    """All ranges and ramps of some quantities over positions in cross-validation folds.

    Args:
        quantities: in bins.
        fold: of each position, 0 to ``folds`` - 1.
    """

    def __init__(self, quantities: Sequence[Binned], fold: NDArray[np.int64], folds: int) -> None:
        self.quantities, self.fold, self.folds = tuple(quantities), fold, folds
        #: bin and fold of each position in one number, by quantity
        self._cells = {q.name: q.codes * folds + fold for q in quantities}
        self._tried = {q.name: q.tried for q in quantities}
        self._counts = {q.name: self._binned(q, self._cells[q.name], None) for q in quantities}

    def _binned(self, q: Binned, cells: NDArray[np.int64], weights: Array | None) -> Array:
        n = len(q.lows)
        sums = np.bincount(cells, weights, minlength=(n + 1) * self.folds).astype(np.float64)
        return sums[: n * self.folds].reshape(n, self.folds)

    def best(
        self, residual: Array, *, ridge: float, gate: Array | None = None, names: Sequence[str] | None = None
    ) -> list[Bounded]:
        """The best interval and the best ramp of each quantity, by cross-validated gain; those that gain.

        Args:
            residual: what is to be explained, ``[position]``.
            ridge: pseudo-count that shrinks weights of rare conditions.
            gate: positions (0 to 1) at which the condition may hold; elsewhere it counts for nothing.
            names: of the quantities; all of them otherwise.
        """
        at = None if gate is None else np.flatnonzero(gate)
        weight = None if gate is None or at is None else gate[at]
        told = residual if at is None or weight is None else residual[at] * weight
        out: list[Bounded] = []
        for q in self.quantities:
            if names is not None and q.name not in names:
                continue
            cells, tried = self._cells[q.name] if at is None else self._cells[q.name][at], self._tried[q.name]
            count = self._counts[q.name] if weight is None else self._binned(q, cells, weight**2)
            a, b = self._binned(q, cells, told).T @ tried.table, count.T @ tried.squared
            gain = gains(a, b, ridge) * tried.simplicity
            for first, end in ((0, tried.intervals), (tried.intervals, len(gain))):
                k = first + int(np.argmax(gain[first:end])) if end > first else -1
                if k >= 0 and gain[k] > 0:
                    out.append(_bounded(q, tried, k, float(gain[k])))
        return out

    def sharpened(self, found: Bounded, residual: Array, *, ridge: float, gate: Array | None = None) -> Bounded:
        """An interval whose bounds are moved to the nearby values that gain most (bins only come near them)."""
        if isinstance(found.predicate, Ramp):
            return found
        q, (low, high) = found.quantity, bounds_of(found.predicate)
        at = slice(None) if gate is None else np.flatnonzero(gate)
        n, cells = len(q.levels), q.ranks[at] * self.folds + self.fold[at]
        told, count = (
            np.bincount(cells, w, minlength=(n + 1) * self.folds)[: n * self.folds].reshape(n, self.folds)
            for w in (residual[at], None)
        )
        seen, (told, count) = count.any(axis=1), (_running(told), _running(count))

        def around(value: float) -> NDArray[np.int64]:
            k = int(np.searchsorted(q.lows, value, side="right")) - 1
            least, most = q.lows[max(k - 1, 0)], q.highs[min(k + 1, len(q.lows) - 1)]
            return np.flatnonzero(seen & (q.levels >= least) & (q.levels <= most))[:60]

        def gained(first: NDArray[np.int64], end: NDArray[np.int64]) -> Array:
            """Gains of the ranges of levels from ``first`` up to, not including, ``end``."""
            end = np.maximum(end, first)
            return gains((told[end] - told[first]).T, (count[end] - count[first]).T, ridge)

        i, j = np.searchsorted(q.levels, [low]), np.searchsorted(q.levels, [high], side="right")
        best = float(gained(i, j)[0])
        if low > q.lows[0] and len(tried := around(low)):
            gain = gained(tried, np.repeat(j, len(tried)))
            if gain.max() > best:
                i, best = tried[[int(np.argmax(gain))]], float(gain.max())
                low = float(q.levels[i[0]])
        if high < _OPEN and len(tried := around(high)):
            gain = gained(np.repeat(i, len(tried)), tried + 1)
            if gain.max() > best:
                best, high = float(gain.max()), float(q.levels[tried[int(np.argmax(gain))]])
        return Bounded(q, ranged(q.name, low, high), max(best, found.gain))


def _running(rows: NDArray[Any]) -> Array:
    """Sums of the rows before each, and of all: ranges that hold the same have the same sums, to the bit."""
    total = np.zeros((len(rows) + 1, rows.shape[1]))
    np.cumsum(rows, axis=0, out=total[1:])
    return total


def gains(a: Array, b: Array, ridge: float) -> Array:
    """Cross-validated reduction of squared error of each candidate: ``a`` and ``b`` are ``[fold, candidate]``."""
    weight = (a.sum(axis=0) - a) / (b.sum(axis=0) - b + ridge)
    return (2 * weight * a - weight**2 * b).sum(axis=0)


def bounds_of(predicate: Predicate) -> tuple[float, float]:
    """The bounds of a range."""
    if isinstance(predicate, Position):
        return float(predicate.first), float(predicate.last) if predicate.last >= 0 else _OPEN
    assert isinstance(predicate, (NumberRange, InRange))
    return predicate.low, predicate.high


def _bounded(quantity: Binned, tried: Tried, k: int, gain: float) -> Bounded:
    i, j = tried.pairs[k].tolist()
    low = float(quantity.lows[i])
    if k >= tried.intervals:
        return Bounded(quantity, Ramp(quantity=quantity.name, low=low, high=float(quantity.lows[j])), gain)
    high = float(quantity.highs[j]) if j < len(quantity.lows) - 1 else _OPEN
    return Bounded(quantity, ranged(quantity.name, low, high), gain)


def ranged(name: str, low: float, high: float) -> Predicate:
    """The predicate of a range."""
    if name == "number":
        return NumberRange(low=low, high=high)
    if name == "place":
        return Position(first=int(low), last=-1 if high >= _OPEN else int(high))
    return InRange(quantity=name, low=low, high=high)


@lru_cache(maxsize=32)
def _tried(name: str, lows: tuple[float, ...]) -> Tried:
    at, n = np.array(lows), len(lows)
    intervals, ramps = _pairs(n, "interval"), _pairs(n, "ramp")
    k = np.arange(n)[:, None]
    inside = ((k >= intervals[:, 0]) & (k <= intervals[:, 1])).astype(np.float64)
    rows = [ramp(name, at, float(at[i]), float(at[j])) for i, j in ramps]
    table = np.concatenate([inside, np.stack(rows, axis=1)], axis=1) if rows else inside
    # an interval with one bound is simpler than one with two: its gain counts for a little more
    simple = np.where((intervals[:, 0] == 0) | (intervals[:, 1] == n - 1), 1.02, 1.0)
    return Tried(
        pairs=np.concatenate([intervals, ramps]), intervals=len(intervals), table=table, squared=table**2,
        simplicity=np.concatenate([simple, np.ones(len(ramps))]),
    )  # fmt: skip


@lru_cache(maxsize=32)
def _pairs(n: int, shape: str) -> NDArray[np.int64]:
    """Index pairs of bins: intervals that are not everything, ramps up and down over two steps at least."""
    if shape == "interval":
        pairs = [(i, j) for i in range(n) for j in range(i, n) if (i, j) != (0, n - 1) or n == 1]
    else:
        pairs = [(i, j) for i in range(n) for j in range(n) if abs(i - j) >= 2]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)
