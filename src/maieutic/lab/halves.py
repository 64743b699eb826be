"""Stimuli in two halves that share no group, and means over stimuli with intervals that respect groups.

What is chosen on one half is measured on the other, so that a choice among thousands of units or tokens does not flatter
itself. What this module does not do: run anything.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maieutic.errors import UsageError
from maieutic.readings import Estimate, FloatArray, Reading, cluster_weights, from_sums
from maieutic.stimuli.base import Stimulus

#: fewer on either side carry no interval
LEAST = 3


def halves(stimuli: Sequence[Stimulus], *, most: int | None = None) -> tuple[list[Stimulus], list[Stimulus]]:
    """Stimuli to choose on, and stimuli to measure on: whole groups, alternately by the hash of the group.

    Args:
        stimuli: in any order; the halves depend on their groups alone.
        most: of each half at most so many.

    Raises:
        UsageError: fewer than `LEAST` groups for one half.
    """
    groups: dict[str, list[Stimulus]] = {}
    for s in stimuli:
        groups.setdefault(s.group or s.id, []).append(s)
    ordered = sorted(groups, key=lambda g: hashlib.sha256(b"maieutic-halves:" + g.encode()).digest())
    if len(ordered) < 2 * LEAST:
        raise UsageError(
            f"{len(ordered)} independent stimuli are too few to choose on one half and measure on the other: "
            f"give {2 * LEAST} or more"
        )
    first, second = ([s for g in ordered[start::2] for s in groups[g]] for start in (0, 1))
    return first[:most], second[:most]


def group_numbers(stimuli: Sequence[Stimulus]) -> NDArray[np.int64]:
    """The number of each stimulus' group, ``[stimulus]``, from 0 in the order in which groups first appear."""
    known: dict[str, int] = {}
    return np.array([known.setdefault(s.group or s.id, len(known)) for s in stimuli], dtype=np.int64)


def grouped(values: FloatArray, groups: NDArray[np.int64], *, seed: int = 0) -> Estimate:
    """The mean of values ``[stimulus]``, with whole groups drawn with replacement; paired for equal groups and seeds."""
    columns = np.stack([np.ones(len(values)), np.asarray(values, dtype=np.float64)], axis=1)
    weights = cluster_weights(int(groups.max()) + 1, seed=seed)
    return from_sums(columns, lambda sums: sums[..., 1] / sums[..., 0], clusters=groups, weights=weights)


def grouped_reading(
    name: str,
    values: FloatArray,
    groups: NDArray[np.int64],
    *,
    seed: int = 0,
    details: Mapping[str, Any] | None = None,
) -> Reading:
    """`grouped` as a reading; unmeasured with fewer than `LEAST` groups."""
    different = int(len(set(groups.tolist())))
    if different < LEAST:
        return Reading.unmeasured(
            name, f"{different} independent stimuli carry no interval: give {LEAST} or more", n=len(values)
        )
    return grouped(values, groups, seed=seed).reading(name, n=len(values), details=details)
