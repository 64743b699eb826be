"""Stratified reservoirs: a few positions from every octave of a unit's range, so that exemplars cover the whole of it.

A tail of a unit (values above 0, values below) is cut into octaves of |value|, 2^-20 to 2^12. Of the ``OCTAVES`` strongest,
counted down from that of the unit's own extreme, the ``EACH`` positions with the smallest key are kept: keys are hashes, so these
are uniform samples of an octave, and the smallest of a union are among the smallest of its parts. An octave once left
behind by a larger extreme never comes back, so merging is exact whatever the order.

Entries stand in ``[unit, tail, octave, place]``: high tail first, strongest octave first, smallest key first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: octaves kept a tail, and positions kept an octave
OCTAVES, EACH = 5, 4
#: the key of no entry
NONE = np.uint64(2**64 - 1)
#: half-octave bins of |value| from 2^-20 to 2^12, per sign
BINS = 64

_LOWEST = 2 * (127 - 20)  # half-octave index of 2^-20 in the float32 bit pattern


def _tables() -> tuple[NDArray[np.intp], NDArray[np.int8]]:
    """For the top ten bits of a float32 (sign, exponent, half-octave): histogram cell, and signed octave (0: too small)."""
    code = np.arange(1024)
    step = np.clip((code & 511) - (_LOWEST - 1), 0, BINS)
    sign = np.where(code >= 512, -1, 1)
    return (BINS + sign * step).astype(np.intp), (sign * ((step + 1) // 2)).astype(np.int8)


_CELL, _OCTAVE = _tables()


@dataclass(frozen=True, kw_only=True)
class Bands:
    """Entries of units, ``[unit, 2, OCTAVES, EACH]`` each.

    Attributes:
        key: uint64: a hash in the high half, the corpus index of the stimulus in the low half.
        value: float32. position: int32.
    """

    key: NDArray[np.uint64]
    value: NDArray[np.float32]
    position: NDArray[np.int32]

    @property
    def arrays(self) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        return self.key, self.value, self.position

    def of(self, part: slice) -> Bands:
        """A view of some of the units."""
        return Bands(key=self.key[part], value=self.value[part], position=self.position[part])

    def copy(self) -> Bands:
        return Bands(key=self.key.copy(), value=self.value.copy(), position=self.position.copy())


#: octaves of the highest and of the lowest value of each unit, ``[2, unit]``
Octaves = NDArray[np.int8]


def nothing(units: int) -> Bands:
    """No entries."""
    shape = (units, 2, OCTAVES, EACH)
    return Bands(key=np.full(shape, NONE), value=np.zeros(shape, np.float32), position=np.full(shape, -1, np.int32))


def codes(values: NDArray[np.float32]) -> NDArray[np.uint16]:
    """The top ten bits of each value: its sign and half-octave without a logarithm."""
    return (values.view(np.uint32) >> np.uint32(22)).astype(np.uint16)


def histogram(code: NDArray[np.uint16]) -> NDArray[np.int64]:
    """Counts ``[unit, 2 * BINS + 1]`` of codes ``[unit, position]``: half-octaves from large negative to large positive."""
    units, width = len(code), 2 * BINS + 1
    cells = _CELL.take(code)  # half the time of indexing
    cells += np.arange(0, units * width, width)[:, None]
    return np.bincount(cells.reshape(-1), minlength=units * width).reshape(units, width)


def octaves(maximum: NDArray[np.float32], minimum: NDArray[np.float32]) -> Octaves:
    """Octaves of extremes, 1 (2^-20) to 32 (2^11 and beyond); 0 or less where a tail has nothing."""
    both = np.stack([maximum, minimum])
    found = _OCTAVE[codes(np.where(np.isfinite(both), both, 0).astype(np.float32))]
    found[1] *= -1
    return found


def chosen(
    values: NDArray[np.float32],
    code: NDArray[np.uint16],
    counts: NDArray[np.int64],
    key: NDArray[np.uint64],
    position: NDArray[np.int32],
    extreme: Octaves,
) -> Bands:
    """Entries from positions that are all new.

    Args:
        values, code: ``[unit, position]``. counts: their `histogram`.
        key, position: of each column; at most 65,536.
        extreme: `octaves` of the units' extremes, these positions included.
    """
    units, n = values.shape
    order = np.argsort(key, kind="stable")
    place = np.empty(n, np.int32)
    place[order] = np.arange(n)
    # sorting (octave, place by key) brings the positions of an octave together, the smallest keys first
    ordered = _OCTAVE.take(code).astype(np.int32)
    ordered <<= 16
    ordered += place
    ordered.sort(axis=1)
    # two half-octaves of the histogram are an octave, the one in the middle is zero: octave o begins at index 32 + o
    per_octave = np.empty((units, BINS + 1), np.int32)
    np.add(counts[:, 0:BINS:2], counts[:, 1:BINS:2], out=per_octave[:, : BINS // 2], casting="same_kind")
    per_octave[:, BINS // 2] = counts[:, BINS]
    np.add(counts[:, BINS + 1 :: 2], counts[:, BINS + 2 :: 2], out=per_octave[:, BINS // 2 + 1 :], casting="same_kind")
    ends = np.cumsum(per_octave, axis=1, dtype=np.int32)
    # octave of each slot: down from the high extreme, up from the low one
    wanted = extreme.T[:, :, None].astype(np.int64) - np.arange(OCTAVES)
    there = wanted > 0
    at = (BINS // 2 + np.where(there, wanted * np.array([1, -1])[None, :, None], 0)).reshape(units, -1)
    end, size = (np.take_along_axis(a, at, 1).reshape(units, 2, OCTAVES, 1) for a in (ends, per_octave))
    number = np.arange(EACH)
    filled = there[:, :, :, None] & (number < size)
    index = np.minimum(end - size + number, n - 1).reshape(units, -1)
    column = order[np.take_along_axis(ordered, index, 1) & 0xFFFF]
    shape = (units, 2, OCTAVES, EACH)
    return Bands(
        key=np.where(filled, key[column].reshape(shape), NONE),
        value=np.where(filled, np.take_along_axis(values, column, 1).reshape(shape), np.float32(0)),
        position=np.where(filled, position[column].reshape(shape), np.int32(-1)),
    )


def shift(bands: Bands, old: Octaves, new: Octaves) -> None:
    """Move entries down, in place, where extremes have grown from ``old`` to ``new``."""
    steps = np.where(old > 0, new - old, 0)
    for tail in (0, 1):
        (rows,) = np.nonzero(steps[tail])
        source = np.arange(OCTAVES)[None, :, None] - steps[tail][rows].astype(np.int64)[:, None, None]
        for array, empty in zip(bands.arrays, (NONE, np.float32(0), np.int32(-1)), strict=True):
            moved = np.take_along_axis(array[rows, tail], np.maximum(source, 0), 1)
            array[rows, tail] = np.where(source >= 0, moved, empty)


def add(bands: Bands, more: Bands) -> None:
    """Bring entries of other positions in, in place; both are counted down from the same extremes."""
    own, new = ([a.reshape(-1, EACH) for a in b.arrays] for b in (bands, more))
    (cells,) = np.nonzero(new[0][:, 0] < own[0][:, -1])
    # of two ascending rows, the smaller of each pair of the one and the other turned round: see `extremes.stronger`
    both = [(mine[cells].T.copy(), other[cells].T[::-1].copy()) for mine, other in zip(own, new, strict=True)]
    smaller = both[0][1] < both[0][0]
    rows = [np.where(smaller, other, mine) for mine, other in both]
    for distance in (
        2,
        1,
    ):  # which first fall and then rise, or the other way: two steps of a network sort four of them
        rows = _exchanged(rows, distance)
    for mine, row in zip(own, rows, strict=True):
        mine[cells] = row.T


def _exchanged(rows: list[NDArray[Any]], distance: int) -> list[NDArray[Any]]:
    """Put pairs of places so far apart in the order of their keys: ``[place, cell]`` of keys, values, positions."""
    shape = (EACH // (2 * distance), 2, distance, -1)
    a, b = zip(*((r.reshape(shape)[:, 0], r.reshape(shape)[:, 1]) for r in rows), strict=True)
    wrong = b[0] < a[0]
    pairs = zip(a, b, strict=True)
    return [np.stack([np.where(wrong, y, x), np.where(wrong, x, y)], 1).reshape(EACH, -1) for x, y in pairs]


def merged(a: Bands, b: Bands, octaves_a: Octaves, octaves_b: Octaves, octaves_both: Octaves) -> Bands:
    """The entries of both, counted down from the extremes of the two together."""
    out, other = a.copy(), b.copy()
    shift(out, octaves_a, octaves_both)
    shift(other, octaves_b, octaves_both)
    add(out, other)
    return out
