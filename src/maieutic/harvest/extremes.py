"""The strongest stimuli of each unit: which, where in them, and the value there.

A stimulus enters once, with its strongest position. Order is by value, ties by corpus index, so both stand in one integer,
the *rank*: sorting ranks sorts extremes, and the strongest of a union are the strongest of the strongest of its parts. A
rank is 32 bits of value, 25 of corpus index, and 7 that are 0 but while it is sorted, when they say where it came from.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_PLACES = 7
#: ranks that can be sorted at once
MOST_SORTED = 1 << _PLACES
#: corpus indices that fit
MOST_STIMULI = 1 << (32 - _PLACES)
#: the rank of no stimulus: behind every other
NONE = np.int64((2**63 - 1) // MOST_SORTED * MOST_SORTED)

#: rows whose places a byte can count
_MOST_ROWS = 255
_DOWN = np.arange(_MOST_ROWS, 0, -1).astype(np.uint8)[:, None]

Ranks = NDArray[np.int64]
Positions = NDArray[np.int32]


def ranks(value: NDArray[np.float32], stimulus: NDArray[np.int32], *, tail: int) -> Ranks:
    """Ranks of values at stimuli, broadcast together; ascending ranks are the strongest of the tail (1: high, -1: low)."""
    bits = np.ascontiguousarray(value + np.float32(0)).view(np.int32)  # -0.0 becomes 0.0: they are one value
    ordered = bits ^ ((bits >> 31) & np.int32(0x7FFFFFFF))
    out = (~ordered if tail > 0 else ordered).astype(np.int64)
    out <<= 32
    out |= stimulus.astype(np.int64) << _PLACES
    return out


def stimulus_of(rank: Ranks) -> NDArray[np.int32]:
    """Corpus indices; -1 where there is none."""
    return np.where(rank == NONE, np.int64(-1), (rank & 0xFFFFFFFF) >> _PLACES).astype(np.int32)


def value_of(rank: Ranks, *, tail: int) -> NDArray[np.float32]:
    """Values; where there is none, the weakest there could be (-inf for the high tail, inf for the low)."""
    ordered = (rank >> 32).astype(np.int32)
    ordered = ~ordered if tail > 0 else ordered
    value = (ordered ^ ((ordered >> 31) & np.int32(0x7FFFFFFF))).view(np.float32)
    return np.where(rank == NONE, np.float32(-tail * np.inf), value).astype(np.float32)


def nothing(units: int, keep: int) -> tuple[Ranks, Positions]:
    """No extremes: ``[unit, keep]``."""
    return np.full((units, keep), NONE, np.int64), np.full((units, keep), -1, np.int32)


def first(values: NDArray[np.float32], extreme: NDArray[np.float32]) -> Positions:
    """Where each unit first has its extreme: ``[position, unit]`` and ``[unit]``; 0 where it is NaN.

    Rows are compared as they lie in memory and places counted down in bytes, at 0.5 ns a value: turning the array round for
    ``argmax`` costs three times as much.
    """
    out = np.zeros(len(extreme), np.int32)
    for begin in range(
        (len(values) - 1) // _MOST_ROWS * _MOST_ROWS, -1, -_MOST_ROWS
    ):  # the first rows have the last word
        part = values[begin : begin + _MOST_ROWS]
        same = np.equal(part, extreme).view(np.uint8)
        same *= _DOWN[-len(part) :]
        best = same.max(0)
        np.copyto(out, np.int32(begin + len(part)) - best, where=best > 0)
    return out


def strongest(rank: Ranks, position: Positions, keep: int) -> tuple[Ranks, Positions]:
    """Of each row, of at most `MOST_SORTED`, the ``keep`` strongest, strongest first. Stimuli are distinct within a row."""
    return _unplaced(np.sort(rank | np.arange(rank.shape[1]), axis=1)[:, :keep], position)


def _unplaced(placed: Ranks, position: Positions) -> tuple[Ranks, Positions]:
    return placed & -MOST_SORTED, np.take_along_axis(position, placed & (MOST_SORTED - 1), 1)


def stronger(a: tuple[Ranks, Positions], b: tuple[Ranks, Positions]) -> tuple[Ranks, Positions]:
    """The strongest of two, each strongest first and ``[unit, keep]``; as many as one has.

    The n smallest of two ascending rows of n are the smaller of each pair of the one and the other turned round (Batcher 1968).
    That leaves half as much to sort, in a size for which numpy's sort is ten times as fast.
    """
    keep = a[0].shape[1]
    place = np.arange(keep)
    placed = np.minimum(a[0] | place, b[0][:, ::-1] | (keep + place[::-1]))
    placed.sort(axis=1)
    return _unplaced(placed, np.concatenate([a[1], b[1]], axis=1))


def merged(kept: tuple[Ranks, Positions], rank: Ranks, position: Positions) -> tuple[Ranks, Positions]:
    """Kept extremes ``[unit, keep]`` with new ones ``[unit, new]``; rows that nothing new enters are left as they are."""
    (rows,) = np.nonzero(rank.min(axis=1, initial=NONE) < kept[0][:, -1])
    if len(rows):
        keep = kept[0].shape[1]
        new, old = nothing(len(rows), keep), (kept[0][rows], kept[1][rows])
        entering = strongest(rank[rows], position[rows], keep=keep)
        width = entering[0].shape[1]
        new[0][:, :width], new[1][:, :width] = entering
        kept[0][rows], kept[1][rows] = stronger(old, new)
    return kept
