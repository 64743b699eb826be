"""Ranges and ramps of quantities (word length, number, place ...): the best of all bounds at once.

Each quantity is cut into at most ``_BINS`` bins over the discover positions. The sums of a residual in every bin and fold
give the cross-validated gain (``text_fit.gains``) of every interval and every ramp between bin edges in one product.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

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

    @cached_property
    def shapes(self) -> tuple[Shape, ...]:
        """The intervals and ramps between bins that can be tried."""
        lows = tuple(self.lows.tolist())
        return tuple(s for shape in ("interval", "ramp") if len((s := _shape(self.name, lows, shape)).pairs))


@dataclass(frozen=True, slots=True)
class Shape:
    """All intervals, or all ramps, between the bins of a quantity.

    Attributes:
        name: ``interval`` or ``ramp``.
        pairs: first and last bin of each, ``[candidate, 2]``.
        table, squared: values of each in every bin, and their squares, ``[candidate, bin]``.
        simplicity: what its gain counts for, ``[candidate]``.
    """

    name: str
    pairs: NDArray[np.int64]
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


@dataclass(frozen=True, kw_only=True)
class Tally:
    """What ranges are to explain: a residual at the positions where a condition may hold.

    Attributes:
        at: these positions; ``None`` for all.
        residual: of each, times the weight that the condition would have there.
        weight: square of that weight; ``None``: 1.
        fold: cross-validation fold of each, 0 to ``folds`` - 1.
        ridge: pseudo-count that shrinks weights of rare conditions.
    """

    at: NDArray[np.int64] | None
    residual: Array
    weight: Array | None
    fold: NDArray[np.int64]
    folds: int
    ridge: float

    @classmethod
    def of(
        cls, residual: Array, fold: NDArray[np.int64], folds: int, *, ridge: float, gate: Array | None = None
    ) -> Tally:
        """Args: ``gate``: positions (0 to 1) at which the condition may hold; elsewhere it counts for nothing."""
        if gate is None:
            return cls(at=None, residual=residual, weight=None, fold=fold, folds=folds, ridge=ridge)
        at = np.flatnonzero(gate)
        weight = gate[at]
        return cls(
            at=at, residual=residual[at] * weight, weight=weight**2, fold=fold[at], folds=folds, ridge=ridge
        )  # fmt: skip

    def sums(self, quantity: Binned) -> tuple[Array, Array]:
        """Sum of the residual and of the squared weights in each bin and fold, ``[bin, fold]``."""
        n, codes = len(quantity.lows), quantity.codes if self.at is None else quantity.codes[self.at]
        cells = codes * self.folds + self.fold
        told, count = (
            np.bincount(cells, w, minlength=(n + 1) * self.folds).astype(np.float64)
            for w in (self.residual, self.weight)
        )
        return told[: n * self.folds].reshape(n, self.folds), count[: n * self.folds].reshape(n, self.folds)


def best_bounds(quantity: Binned, tally: Tally) -> list[Bounded]:
    """The best interval and the best ramp of a quantity, by cross-validated gain; those that gain."""
    sums, counts = tally.sums(quantity)
    out: list[Bounded] = []
    for shape in quantity.shapes:
        # folds first: sums over folds are then sums of long rows
        a, b = (np.ascontiguousarray(x.T) for x in (shape.table @ sums, shape.squared @ counts))
        gain = gains(a, b, tally.ridge) * shape.simplicity
        k = int(np.argmax(gain))
        if gain[k] > 0:
            out.append(_bounded(quantity, shape, k, float(gain[k])))
    return out


def gains(a: Array, b: Array, ridge: float) -> Array:
    """Cross-validated reduction of squared error of each candidate: ``a`` and ``b`` are ``[fold, candidate]``."""
    weight = (a.sum(axis=0) - a) / (b.sum(axis=0) - b + ridge)
    return (2 * weight * a - weight**2 * b).sum(axis=0)


def sharpened(found: Bounded, residual: Array, tally: Tally) -> Bounded:
    """An interval whose bounds are moved to the nearby values that gain most (bins only come near them)."""
    if isinstance(found.predicate, Ramp):
        return found
    quantity, (low, high) = found.quantity, bounds_of(found.predicate)
    at = slice(None) if tally.at is None else tally.at
    x, r, f = quantity.values[at], residual[at], tally.fold
    folds, ridge = tally.folds, tally.ridge
    seen, n = np.unique(x[np.isfinite(x)]), len(quantity.lows)

    def around(value: float) -> NDArray[np.float64]:
        k = int(np.searchsorted(quantity.lows, value, side="right")) - 1
        near = (seen >= quantity.lows[max(k - 1, 0)]) & (seen <= quantity.highs[min(k + 1, n - 1)])
        return seen[near][:60]

    def gain(low: float, high: float) -> float:
        inside = (x >= low) & (x <= high)
        a = np.bincount(f[inside], r[inside], minlength=folds).astype(np.float64)
        b = np.bincount(f[inside], minlength=folds).astype(np.float64)
        w = (a.sum() - a) / (b.sum() - b + ridge)
        return float((2 * w * a - w**2 * b).sum())

    best = gain(low, high)
    for lo in around(low) if low > quantity.lows[0] else ():
        if (g := gain(float(lo), high)) > best:
            best, low = g, float(lo)
    for hi in around(high) if high < _OPEN else ():
        if (g := gain(low, float(hi))) > best:
            best, high = g, float(hi)
    return Bounded(quantity, ranged(quantity.name, low, high), max(best, found.gain))


def bounds_of(predicate: Predicate) -> tuple[float, float]:
    """The bounds of a range."""
    if isinstance(predicate, Position):
        return float(predicate.first), float(predicate.last) if predicate.last >= 0 else _OPEN
    assert isinstance(predicate, (NumberRange, InRange))
    return predicate.low, predicate.high


def _bounded(quantity: Binned, shape: Shape, k: int, gain: float) -> Bounded:
    i, j = shape.pairs[k].tolist()
    low = float(quantity.lows[i])
    if shape.name == "ramp":
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


@lru_cache(maxsize=64)
def _shape(name: str, lows: tuple[float, ...], shape: str) -> Shape:
    pairs, at, n = _pairs(len(lows), shape), np.array(lows), len(lows)
    if shape == "interval":
        k = np.arange(n)
        table = ((k >= pairs[:, :1]) & (k <= pairs[:, 1:])).astype(np.float64)
        # an interval with one bound is simpler than one with two: its gain counts for a little more
        simplicity = np.where((pairs[:, 0] == 0) | (pairs[:, 1] == n - 1), 1.02, 1.0)
    else:
        rows = [ramp(name, at, float(at[i]), float(at[j])) for i, j in pairs]
        table, simplicity = np.stack(rows) if rows else np.zeros((0, n)), np.ones(len(pairs))
    return Shape(shape, pairs, table, table**2, simplicity)


@lru_cache(maxsize=32)
def _pairs(n: int, shape: str) -> NDArray[np.int64]:
    """Index pairs of bins: intervals that are not everything, ramps up and down over two steps at least."""
    if shape == "interval":
        pairs = [(i, j) for i in range(n) for j in range(i, n) if (i, j) != (0, n - 1) or n == 1]
    else:
        pairs = [(i, j) for i in range(n) for j in range(n) if abs(i - j) >= 2]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)
