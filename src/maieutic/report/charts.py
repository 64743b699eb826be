"""Geometry of the report's charts: plain numbers in percent of the width, so that they stretch with the page.

No drawing here: templates turn these into SVG.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from maieutic.readings import Reading

if TYPE_CHECKING:
    from maieutic.report.confusion import Confusion

_BINS = 50
#: above this many units dots would run into each other; columns say the same
_DOTS = 150


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """Scores of many units on a line from 0 to 1.

    Attributes:
        name: whose scores.
        own: whether it is the label's (not a control's).
        dots: (percent of the width, step above or below the middle).
        columns: (percent of the width, width in percent, height 0 to 1), instead of dots when there are many.
        middle: median in percent, or ``None`` without values.
        median: the same as a number.
        n: values; ``missing``: units without one.
    """

    name: str
    own: bool
    dots: tuple[tuple[float, float], ...]
    columns: tuple[tuple[float, float, float], ...]
    middle: float | None
    median: float | None
    n: int
    missing: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """How many units have at least a score, as a stair in a square of 100 by 100; ``kind``: own, control or null."""

    name: str
    kind: Literal["own", "control", "null"]
    points: str
    n: int
    median: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A value with its interval on a line from 0 to 1, in percent of the width."""

    at: float
    left: float
    width: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A histogram bin: place and width in percent, height 0 to 1 (logarithm of the count), and what it counts."""

    left: float
    width: float
    height: float
    low: float
    high: float
    count: int


def percent(value: float) -> float:
    """0 to 1 as 0 to 100, clipped, two digits."""
    return round(100 * min(max(value, 0.0), 1.0), 2)


def bar(reading: Reading) -> Bar | None:
    """Where a reading stands; ``None`` when it was not measured."""
    if reading.value is None:
        return None
    low = reading.value if reading.low is None else reading.low
    high = reading.value if reading.high is None else reading.high
    left = percent(low)
    return Bar(at=percent(reading.value), left=left, width=round(percent(high) - left, 2))


def strip(name: str, values: Sequence[float | None], *, own: bool) -> Strip:
    """Lay out the scores of many units."""
    known = sorted(v for v in values if v is not None)
    median = float(np.median(known)) if known else None
    few = len(known) <= _DOTS
    return Strip(
        name=name,
        own=own,
        dots=_stacked(known) if few else (),
        columns=() if few else _columns(known),
        middle=None if median is None else percent(median),
        median=median,
        n=len(known),
        missing=len(values) - len(known),
    )


def _stacked(values: Sequence[float]) -> tuple[tuple[float, float], ...]:
    """Dots that share a place step aside: 0, +1, -1, +2 ... squeezed to three steps either way."""
    places = [min(int(percent(v) / 100 * _BINS), _BINS - 1) for v in values]
    seen: dict[int, int] = {}
    dots: list[tuple[float, float]] = []
    for value, place in zip(values, places, strict=True):
        k, total = seen.get(place, 0), places.count(place)
        seen[place] = k + 1
        step = math.ceil(k / 2) * (1 if k % 2 else -1)
        dots.append((percent(value), round(step * min(1.0, 3 / max(total // 2, 1)), 2)))
    return tuple(dots)


def _columns(values: Sequence[float]) -> tuple[tuple[float, float, float], ...]:
    counts, _ = np.histogram(np.clip(values, 0, 1), bins=_BINS, range=(0, 1))
    top, width = max(int(counts.max()), 1), 100 / _BINS
    return tuple((round(i * width, 2), width, round(int(c) / top, 3)) for i, c in enumerate(counts) if c)


def curve(
    name: str, values: Sequence[float] | NDArray[np.float64], total: int, *, kind: Literal["own", "control", "null"]
) -> Curve:
    """The share of ``total`` units with at least a score, from 0 to 1; what has no score has none at all."""
    given = np.asarray(values, dtype=np.float64)
    found = np.sort(given[np.isfinite(given)])
    at = np.linspace(0, 1, 101)
    above = (len(found) - np.searchsorted(found, at, side="left")) / max(total, 1)
    points = " ".join(f"{percent(x):g},{round(100 - percent(y), 2):g}" for x, y in zip(at, above, strict=True))
    return Curve(
        name=name, kind=kind, points=points, n=len(found), median=float(np.median(found)) if len(found) else None
    )


def histogram(edges: Sequence[float], counts: Sequence[int]) -> list[Column]:
    """Columns of equal width, one a bin, with the logarithm of the count as height."""
    assert len(edges) == len(counts) + 1
    top, width = math.log1p(max(counts, default=0)) or 1.0, 100 / max(len(counts), 1)
    return [
        Column(left=round(i * width, 3), width=round(width, 3), height=round(math.log1p(count) / top, 3),
               low=float(edges[i]), high=float(edges[i + 1]), count=int(count))
        for i, count in enumerate(counts)
    ]  # fmt: skip


def confusion_cells(grid: Confusion) -> list[tuple[float, float, int, int]]:
    """Cells of a plot of predicted against measured: place in a square of 100, shade 1 to 10, count. Empty ones are left out."""
    top = math.log1p(max(map(max, grid.grid)))
    step = 100 / len(grid.grid)
    return [
        (round(step * x, 2), round(100 - step * (y + 1), 2), max(round(10 * math.log1p(count) / top), 1), count)
        for y, row in enumerate(grid.grid)
        for x, count in enumerate(row)
        if count
    ]
