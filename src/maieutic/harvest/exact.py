"""Sums that do not depend on order: fixed-point numbers in two int64 limbs.

Each addend is cut to a multiple of 2^-62 on its own; integers then add exactly, so any grouping and any order of
the same addends gives the same bits. An addend counts for at most ``MOST`` in size: 131,072 of that size fit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: bits of the fraction
_FRACTION = 62
_ONE = np.int64(1) << _FRACTION
#: an addend beyond this counts as this
MOST = 2.0**46

Limbs = NDArray[np.int64]


def zero(units: int) -> Limbs:
    """The empty sum of each unit: ``[2, unit]``, whole parts and fractions in units of 2^-62 (0 to 2^62 - 1)."""
    return np.zeros((2, units), np.int64)


def add(total: Limbs, addend: NDArray[np.float64]) -> None:
    """Add ``[unit]`` finite values to the sums, in place."""
    bounded = np.clip(addend, -MOST, MOST)
    whole = np.trunc(bounded)
    # the rest has the sign of the whole, so this difference and its product are exact; what is below 2^-62 is cut off
    total[1] += ((bounded - whole) * float(_ONE)).astype(np.int64)
    total[0] += whole.astype(np.int64)
    _carry(total)


def joined(a: Limbs, b: Limbs) -> Limbs:
    """The sums of both."""
    total = a + b
    _carry(total)
    return total


def value(total: Limbs) -> NDArray[np.float64]:
    """The sums as float64, rounded once."""
    return total[0].astype(np.float64) + total[1].astype(np.float64) / float(_ONE)


def _carry(total: Limbs) -> None:
    total[0] += total[1] >> _FRACTION
    total[1] &= _ONE - 1
