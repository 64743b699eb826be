"""Looking back over positions without leaving the text: what stood so far back, among the last few, since when.

``starts`` gives for every position the first position of its own text (0 everywhere in a single text), so each function
works on one text and on many end to end. Nothing here knows what a condition means.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
Starts = NDArray[np.int64]


def back(values: NDArray[np.floating] | Flags, n: int, starts: Starts) -> Array:
    """The value ``n`` positions earlier; 0 where the text had not begun."""
    out = np.zeros(len(values))
    if n < len(values):
        out[n:] = np.where(np.arange(n, len(values)) - n >= starts[n:], values[: len(values) - n], 0.0)
    return out


def reached(held: Flags, n: int, starts: Starts) -> Array:
    """1 where ``held`` at any of the ``n`` earlier positions."""
    total, at = _counted(held), np.arange(len(held))
    return (total[:-1] - total[np.maximum(at - n, starts)] > 0).astype(np.float64)


def among(held: Flags, n: int, starts: Starts) -> Array:
    """How many of the last ``n`` positions, this one included, hold."""
    total, at = _counted(held), np.arange(1, len(held) + 1)
    return (total[1:] - total[np.maximum(at - n, starts)]).astype(np.float64)


def since(held: Flags, starts: Starts) -> Array:
    """Positions since ``held`` last did before this one (1: at the one before); infinite when never."""
    at = np.arange(len(held), dtype=np.float64)
    last = np.maximum.accumulate(np.where(held, at, -np.inf))
    before = np.concatenate([[-np.inf], last])[:-1]
    return np.where(before >= starts, at - before, np.inf)


def _counted(held: Flags) -> NDArray[np.int64]:
    """``[position + 1]``: how many of the positions before held."""
    total = np.zeros(len(held) + 1, dtype=np.int64)
    np.cumsum(held, out=total[1:])
    return total
