"""Ranges and ramps of quantities (word length, number, place ...): the best of all bounds at once.

Each quantity is cut into at most ``_BINS`` bins over the discover positions. The sums of a residual in every bin and fold
give the cross-validated gain (``text_fit.gains``) of every interval and every ramp between bin edges in one product.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from maieutic.explain.predicates.base import Predicate
from maieutic.explain.predicates.text import NumberRange, Position
from maieutic.explain.predicates.text_amounts import QUANTITIES, InRange, Ramp, ramp
from maieutic.explain.views_text import TextView

Array = NDArray[np.float64]
_BINS = 40
#: quantities of the token itself
TOKEN_QUANTITIES = ("number", "digits", "letters")
#: a bound at or beyond the largest value seen is no bound
_OPEN = 1e15


@dataclass(frozen=True, slots=True)
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


def binned(views: Sequence[TextView]) -> list[Binned]:
    """All quantities of these texts."""
    return [
        b for name in QUANTITIES if (b := cut(name, np.concatenate([v.quantity(name) for v in views] or [np.zeros(0)])))
    ]


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
    highs = np.array([known[codes[np.isfinite(values)] == k].max(initial=edges[k]) for k in range(len(edges))])
    return Binned(name, values, codes, edges, highs)


@dataclass(frozen=True, slots=True)
class Bounded:
    """A range (or ramp) of a quantity, with its values over discover positions and its gain."""

    predicate: Predicate
    column: Array
    gain: float
    role: str


def best_bounds(
    quantity: Binned, residual: Array, fold: NDArray[np.int64], folds: int, *, ridge: float, gate: Array | None = None
) -> list[Bounded]:
    """The best interval and the best ramp of a quantity, by cross-validated gain; those that gain.

    Args:
        gate: positions (0 or 1) at which the condition may hold; elsewhere it counts for nothing.
    """
    n = len(quantity.lows)
    at = np.arange(len(residual)) if gate is None else np.flatnonzero(gate)
    weight = np.ones(len(at)) if gate is None else gate[at]
    rows = quantity.codes[at] * folds + fold[at]
    sums = np.bincount(rows, residual[at] * weight, minlength=(n + 1) * folds)[: n * folds].reshape(n, folds)
    counts = np.bincount(rows, weight**2, minlength=(n + 1) * folds)[: n * folds].reshape(n, folds)
    out: list[Bounded] = []
    for shape in ("interval", "ramp"):
        pairs = _pairs(n, shape)
        if not len(pairs):
            continue
        table = _table(quantity.name, tuple(quantity.lows.tolist()), shape)
        a, b = table @ sums, _squared(quantity.name, tuple(quantity.lows.tolist()), shape) @ counts
        w = (a.sum(axis=1, keepdims=True) - a) / (b.sum(axis=1, keepdims=True) - b + ridge)
        gain = (2 * w * a - w**2 * b).sum(axis=1) * _simplicity(n, shape)
        k = int(np.argmax(gain))
        if gain[k] > 0:
            out.append(_bounded(quantity, shape, pairs[k], float(gain[k])))
    return out


def sharpened(
    quantity: Binned, found: Bounded, residual: Array, fold: NDArray[np.int64], folds: int, *, ridge: float,
    gate: Array | None = None,
) -> Bounded:  # fmt: skip
    """An interval whose bounds are moved to the nearby values that gain most (bins only come near them)."""
    bounds = _bounds_of(found.predicate)
    if bounds is None:
        return found
    at = np.arange(len(residual)) if gate is None else np.flatnonzero(gate)
    x, r, f = quantity.values[at], residual[at], fold[at]
    seen, n = np.unique(x[np.isfinite(x)]), len(quantity.lows)
    low, high = bounds

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
    values = ((quantity.values >= low) & (quantity.values <= high)).astype(np.float64)
    return Bounded(ranged(quantity.name, low, high), values, max(best, found.gain), found.role)


def _bounds_of(predicate: Predicate) -> tuple[float, float] | None:
    if isinstance(predicate, Position):
        return float(predicate.first), float(predicate.last) if predicate.last >= 0 else _OPEN
    return (predicate.low, predicate.high) if isinstance(predicate, (NumberRange, InRange)) else None


def _bounded(quantity: Binned, shape: str, pair: NDArray[np.int64], gain: float) -> Bounded:
    i, j = int(pair[0]), int(pair[1])
    role = "token" if quantity.name in TOKEN_QUANTITIES else "context"
    x = quantity.values
    if shape == "ramp":
        low, high = float(quantity.lows[i]), float(quantity.lows[j])
        values = ramp(quantity.name, x, low, high)
        return Bounded(Ramp(quantity=quantity.name, low=low, high=high), values, gain, role)
    low = float(quantity.lows[i])
    high = float(quantity.highs[j]) if j < len(quantity.lows) - 1 else _OPEN
    return Bounded(ranged(quantity.name, low, high), ((x >= low) & (x <= high)).astype(np.float64), gain, role)


def ranged(name: str, low: float, high: float) -> Predicate:
    """The predicate of a range."""
    if name == "number":
        return NumberRange(low=low, high=high)
    if name == "place":
        return Position(first=int(low), last=-1 if high >= _OPEN else int(high))
    return InRange(quantity=name, low=low, high=high)


@lru_cache(maxsize=32)
def _simplicity(n: int, shape: str) -> Array:
    """An interval with one bound is simpler than one with two: its gain counts for a little more."""
    pairs = _pairs(n, shape)
    if shape != "interval":
        return np.ones(len(pairs))
    return np.where((pairs[:, 0] == 0) | (pairs[:, 1] == n - 1), 1.02, 1.0)


@lru_cache(maxsize=32)
def _pairs(n: int, shape: str) -> NDArray[np.int64]:
    """Index pairs of bins: intervals that are not everything, ramps up and down over two steps at least."""
    if shape == "interval":
        pairs = [(i, j) for i in range(n) for j in range(i, n) if (i, j) != (0, n - 1) or n == 1]
    else:
        pairs = [(i, j) for i in range(n) for j in range(n) if abs(i - j) >= 2]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


@lru_cache(maxsize=64)
def _table(name: str, lows: tuple[float, ...], shape: str) -> Array:
    """Values of every candidate in every bin, ``[candidate, bin]``."""
    pairs, at = _pairs(len(lows), shape), np.array(lows)
    k = np.arange(len(lows))
    if shape == "interval":
        return ((k >= pairs[:, :1]) & (k <= pairs[:, 1:])).astype(np.float64)
    return np.stack([ramp(name, at, float(at[i]), float(at[j])) for i, j in pairs])


@lru_cache(maxsize=64)
def _squared(name: str, lows: tuple[float, ...], shape: str) -> Array:
    return _table(name, lows, shape) ** 2
