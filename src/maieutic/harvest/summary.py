"""Mergeable statistics of one site: moments, log histogram, extreme stimuli, stratified and uniform samples of positions.

Size does not grow with the corpus: about 2.7 kB a unit (``SiteSummary.unit_bytes``), plus the uniform sample, whose positions
all units share so that they can be compared there. Merging is exact: sums are integers (`exact`), extremes are ordered by value
and then by corpus index (`extremes`), samples by a hash of stimulus and position (`bands`, here). So any split of a
corpus into parts, merged in any order, gives the same bytes. What fills a summary is `reduction`; nothing here reads a network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maieutic.harvest import bands, exact, extremes
from maieutic.harvest.bands import BINS, Bands

#: extreme stimuli kept per unit and tail
TOP = 64
#: positions in the uniform sample: at most, and at least where many sites share `SAMPLE_FLOATS`
SAMPLE, LEAST_SAMPLE = 2048, 128
#: values in the uniform samples of all sites together (64 MiB), as far as ``LEAST_SAMPLE`` allows
SAMPLE_FLOATS = 1 << 24
#: with more units than this, histogram and bands are made from a share of positions, chosen by hash
DENSE_UNITS = 1024
#: halvings of that share at most
MOST_THINNING = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much of a harvest is kept: decided once for all its sites, by their widths.

    Attributes:
        sample: positions in the uniform sample.
        thinning: histogram and bands see every position (0) or one in ``2 ** thinning``.
        top: extreme stimuli a unit and tail.
    """

    sample: int = SAMPLE
    thinning: int = 0
    top: int = TOP

    @classmethod
    def of(cls, widths: Sequence[int | None]) -> Limits:
        """For sites of these widths (one that is not known counts as one unit)."""
        units = max(sum(w or 1 for w in widths), 1)
        thinning = max((-(-units // DENSE_UNITS) - 1).bit_length(), 0)
        sample = min(max(SAMPLE_FLOATS // units, LEAST_SAMPLE), SAMPLE)
        return cls(sample=sample, thinning=min(thinning, MOST_THINNING))


@dataclass(frozen=True, kw_only=True)
class SiteSummary:
    """Statistics of all units of one site over some positions.

    Attributes:
        count: positions.
        counted: positions in the histogram and seen by the bands.
        capacity: most positions in the uniform sample.
        sums, squares: exact sums of values and of their squares, see `exact`, ``[2, unit]``.
        minimum, maximum: float32 ``[unit]``.
        histogram: uint32 ``[unit, 2 * BINS + 1]``: negative half-octaves from large to small, zero, positive ones.
        high_rank, high_position: the strongest position of each of the strongest stimuli, ``[unit, top]``, see `extremes`.
        low_rank, low_position: the same for the lowest values.
        band_key, band_value, band_position: stratified reservoirs ``[unit, 2, octave, place]``, see `bands`.
        sample_key: hash of each sampled position, ascending, uint64 ``[sample]``.
        sample_stimulus, sample_position: where it is. sample_values: float32 ``[sample, unit]``.
    """

    count: int
    counted: int
    capacity: int
    sums: exact.Limbs
    squares: exact.Limbs
    minimum: NDArray[np.float32]
    maximum: NDArray[np.float32]
    histogram: NDArray[np.uint32]
    high_rank: extremes.Ranks
    high_position: extremes.Positions
    low_rank: extremes.Ranks
    low_position: extremes.Positions
    band_key: NDArray[np.uint64]
    band_value: NDArray[np.float32]
    band_position: NDArray[np.int32]
    sample_key: NDArray[np.uint64]
    sample_stimulus: NDArray[np.int32]
    sample_position: NDArray[np.int32]
    sample_values: NDArray[np.float32]

    @classmethod
    def empty(cls, units: int, limits: Limits | None = None) -> SiteSummary:
        """The summary of nothing, for a site with ``units`` units."""
        limits = limits or Limits()
        high, low, none = extremes.nothing(units, limits.top), extremes.nothing(units, limits.top), bands.nothing(units)
        return cls(
            count=0,
            counted=0,
            capacity=limits.sample,
            sums=exact.zero(units),
            squares=exact.zero(units),
            minimum=np.full(units, np.inf, np.float32),
            maximum=np.full(units, -np.inf, np.float32),
            histogram=np.zeros((units, 2 * BINS + 1), np.uint32),
            high_rank=high[0],
            high_position=high[1],
            low_rank=low[0],
            low_position=low[1],
            band_key=none.key,
            band_value=none.value,
            band_position=none.position,
            sample_key=np.zeros(0, np.uint64),
            sample_stimulus=np.zeros(0, np.int32),
            sample_position=np.zeros(0, np.int32),
            sample_values=np.zeros((0, units), np.float32),
        )

    @property
    def units(self) -> int:
        return len(self.minimum)

    @property
    def unit_bytes(self) -> int:
        """Bytes of one unit, the uniform sample aside."""
        own = [a.nbytes for name, a in self.arrays().items() if not name.startswith("sample_") and a.size > 1]
        return sum(own) // max(self.units, 1)

    @cached_property
    def total(self) -> NDArray[np.float64]:
        """Sum of values, ``[unit]``."""
        return exact.value(self.sums)

    @cached_property
    def total_sq(self) -> NDArray[np.float64]:
        """Sum of squares, ``[unit]``."""
        return exact.value(self.squares)

    @cached_property
    def top_value(self) -> NDArray[np.float32]:
        """Highest value of each of the strongest stimuli, ``[unit, top]``, strongest first; -inf where there is none."""
        return extremes.value_of(self.high_rank, tail=1)

    @cached_property
    def top_stimulus(self) -> NDArray[np.int32]:
        """Their corpus indices; -1 where there is none."""
        return extremes.stimulus_of(self.high_rank)

    @property
    def top_position(self) -> NDArray[np.int32]:
        """Where in them."""
        return self.high_position

    @cached_property
    def low_value(self) -> NDArray[np.float32]:
        """Lowest value of each of the strongest stimuli of the low tail, lowest first; inf where there is none."""
        return extremes.value_of(self.low_rank, tail=-1)

    @cached_property
    def low_stimulus(self) -> NDArray[np.int32]:
        """Their corpus indices; -1 where there is none."""
        return extremes.stimulus_of(self.low_rank)

    def banded(self, unit: int, *, tail: int) -> list[tuple[int, int, float]]:
        """(corpus index, position, value) of the entries of one tail of a unit (1: above 0, -1: below), strongest first."""
        which = 0 if tail > 0 else 1
        key, value, position = (a[unit, which].ravel() for a in self.bands.arrays)
        there = key != bands.NONE
        stimulus = (key & np.uint64(0xFFFFFFFF))[there].tolist()
        rows = zip(stimulus, position[there].tolist(), value[there].tolist(), strict=True)
        return sorted(rows, key=lambda r: (-tail * r[2], r[0], r[1]))

    def merge(self, other: SiteSummary) -> SiteSummary:
        """The summary of both sets of positions (disjoint stimuli of one corpus). Neither is changed."""
        assert self.units == other.units, "summaries of one site"
        assert self.capacity == other.capacity and self.high_rank.shape == other.high_rank.shape, "of one harvest"
        minimum, maximum = np.minimum(self.minimum, other.minimum), np.maximum(self.maximum, other.maximum)
        high = extremes.stronger((self.high_rank, self.high_position), (other.high_rank, other.high_position))
        low = extremes.stronger((self.low_rank, self.low_position), (other.low_rank, other.low_position))
        octaves = bands.octaves(maximum, minimum)
        reservoirs = bands.merged(self.bands, other.bands, self.octaves, other.octaves, octaves)
        return SiteSummary(
            count=self.count + other.count,
            counted=self.counted + other.counted,
            capacity=self.capacity,
            sums=exact.joined(self.sums, other.sums),
            squares=exact.joined(self.squares, other.squares),
            minimum=minimum,
            maximum=maximum,
            histogram=self.histogram + other.histogram,
            high_rank=high[0],
            high_position=high[1],
            low_rank=low[0],
            low_position=low[1],
            band_key=reservoirs.key,
            band_value=reservoirs.value,
            band_position=reservoirs.position,
            **_sampled(self, other),
        )

    @property
    def bands(self) -> Bands:
        """The stratified reservoirs."""
        return Bands(key=self.band_key, value=self.band_value, position=self.band_position)

    @property
    def octaves(self) -> bands.Octaves:
        """Octaves of the highest and the lowest value of each unit."""
        return bands.octaves(self.maximum, self.minimum)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All fields as contiguous arrays."""
        return {f.name: np.ascontiguousarray(getattr(self, f.name)) for f in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> SiteSummary:
        data: dict[str, Any] = {f.name: arrays[f.name] for f in fields(cls)}
        for name in ("count", "counted", "capacity"):
            data[name] = int(np.ravel(data[name])[0])  # contiguous arrays have at least one axis
        return cls(**data)


def _sampled(a: SiteSummary, b: SiteSummary) -> dict[str, Any]:
    names = ("sample_key", "sample_stimulus", "sample_position", "sample_values")
    both = {name: np.concatenate([getattr(a, name), getattr(b, name)]) for name in names}
    order = np.lexsort((both["sample_position"], both["sample_stimulus"], both["sample_key"]))[: a.capacity]
    return {name: array[order] for name, array in both.items()}


def keys(seed: NDArray[np.uint64], position: NDArray[np.int32]) -> NDArray[np.uint64]:
    """splitmix64 (Steele et al. 2014) of a stimulus' seed and a position: the sampling priority."""
    with np.errstate(over="ignore"):
        z = seed + (position.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))
