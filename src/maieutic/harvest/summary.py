"""Mergeable statistics of one site: moments, log histogram, extreme stimuli, and a uniform sample of positions.

Size does not grow with the corpus: about 2 kB a unit for moments, histogram and extremes, plus ``SAMPLE`` floats a unit
for the uniform sample that all units of the site share (so units can be compared at the same positions). Which positions
are in the sample depends on their hash alone, and ties among extremes go to the earlier stimulus, so neither depends on
the order or grouping of batches. Sums are float64: equal for equal batches, equal to rounding for other groupings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

#: extreme stimuli kept per unit and tail
TOP = 64
#: positions in the uniform sample
SAMPLE = 2048
#: half-octave bins of |value| from 2^-20 to 2^12, per sign
BINS = 64
_LOWEST = 2 * (127 - 20)  # half-octave index of 2^-20 in the float32 bit pattern


@dataclass(kw_only=True)
class SiteSummary:
    """Statistics of all units of one site over the positions added so far.

    Attributes:
        count: positions seen.
        total, total_sq: sum and sum of squares, float64 ``[unit]``.
        minimum, maximum: float32 ``[unit]``.
        histogram: int64 ``[unit, 2 * BINS + 1]``: negative half-octaves from large to small, zero, positive ones.
        top_value, top_stimulus, top_position: the highest value of each of the ``TOP`` strongest stimuli, ``[unit, TOP]``,
            strongest first; stimulus -1 where there is none. ``low_*``: the same for the lowest values.
        sample_key: hash of each sampled position, ascending, uint64 ``[sample]``.
        sample_stimulus, sample_position: where it is. sample_values: float32 ``[sample, unit]``.
    """

    count: int
    total: NDArray[np.float64]
    total_sq: NDArray[np.float64]
    minimum: NDArray[np.float32]
    maximum: NDArray[np.float32]
    histogram: NDArray[np.int64]
    top_value: NDArray[np.float32]
    top_stimulus: NDArray[np.int32]
    top_position: NDArray[np.int32]
    low_value: NDArray[np.float32]
    low_stimulus: NDArray[np.int32]
    low_position: NDArray[np.int32]
    sample_key: NDArray[np.uint64]
    sample_stimulus: NDArray[np.int32]
    sample_position: NDArray[np.int32]
    sample_values: NDArray[np.float32]

    @classmethod
    def empty(cls, units: int, *, top: int = TOP) -> SiteSummary:
        """The summary of nothing, for a site with ``units`` units."""
        rest = np.full((units, top), -1, np.int32)
        return cls(
            count=0,
            total=np.zeros(units),
            total_sq=np.zeros(units),
            minimum=np.full(units, np.inf, np.float32),
            maximum=np.full(units, -np.inf, np.float32),
            histogram=np.zeros((units, 2 * BINS + 1), np.int64),
            top_value=np.full((units, top), -np.inf, np.float32),
            top_stimulus=rest,
            top_position=rest.copy(),
            low_value=np.full((units, top), np.inf, np.float32),
            low_stimulus=rest.copy(),
            low_position=rest.copy(),
            sample_key=np.zeros(0, np.uint64),
            sample_stimulus=np.zeros(0, np.int32),
            sample_position=np.zeros(0, np.int32),
            sample_values=np.zeros((0, units), np.float32),
        )

    @property
    def units(self) -> int:
        return len(self.total)

    def add(
        self, values: torch.Tensor, *, lengths: NDArray[np.int64], stimuli: Sequence[int], ids: Sequence[str]
    ) -> None:
        """Add a batch.

        Args:
            values: ``[stimulus, position, unit]``, padded on the right.
            lengths: real positions of each stimulus.
            stimuli: their indices in the corpus.
            ids: their content ids (what the uniform sample hashes).
        """
        import torch

        mask = torch.arange(values.shape[1])[None, :] < torch.as_tensor(lengths)[:, None]
        real = (values if bool(mask.all()) else values[mask]).reshape(-1, values.shape[2])
        if not len(real):
            return
        self.count += len(real)
        self.total += real.sum(0).double().numpy()
        self.total_sq += torch.linalg.vector_norm(real, dim=0).double().square().numpy()
        self._add_histogram(real)
        self._add_extremes(values, mask, stimuli)
        self._add_sample(real, lengths=lengths, stimuli=stimuli, ids=ids)

    def _add_histogram(self, real: torch.Tensor) -> None:
        import torch

        # the top bits of a float32 are its half-octave: shifting replaces a logarithm
        bits = real.contiguous().view(torch.int32)
        step = (((bits & 0x7FFFFFFF) >> 22) - (_LOWEST - 1)).clamp_(0, BINS)
        cell = torch.where(bits < 0, BINS - step, BINS + step)
        cell += torch.arange(self.units, dtype=torch.int32)[None, :] * (2 * BINS + 1)
        counts = torch.bincount(cell.reshape(-1), minlength=self.histogram.size)
        self.histogram += counts.reshape(self.histogram.shape).numpy()

    def _add_extremes(self, values: torch.Tensor, mask: torch.Tensor, stimuli: Sequence[int]) -> None:
        import torch

        index = np.asarray(stimuli, np.int32)
        full, blank = bool(mask.all()), mask[:, :, None]
        high, high_at = (values if full else torch.where(blank, values, -torch.inf)).max(1)
        low, low_at = (values if full else torch.where(blank, values, torch.inf)).min(1)
        self.maximum = np.maximum(self.maximum, high.amax(0).numpy())
        self.minimum = np.minimum(self.minimum, low.amin(0).numpy())
        top = (self.top_value, self.top_stimulus, self.top_position)
        self.top_value, self.top_stimulus, self.top_position = _merged(
            top, high.numpy(), index, high_at.numpy(), sign=1
        )
        low_ = (self.low_value, self.low_stimulus, self.low_position)
        self.low_value, self.low_stimulus, self.low_position = _merged(
            low_, low.numpy(), index, low_at.numpy(), sign=-1
        )

    def _add_sample(
        self, real: torch.Tensor, *, lengths: NDArray[np.int64], stimuli: Sequence[int], ids: Sequence[str]
    ) -> None:
        position = np.concatenate([np.arange(n, dtype=np.int32) for n in lengths])
        seeds = np.array([int(i[:16], 16) for i in ids], np.uint64)
        key = _hash(np.repeat(seeds, lengths), position)
        limit = self.sample_key[-1] if len(self.sample_key) >= SAMPLE else np.uint64(2**64 - 1)
        (chosen,) = np.nonzero(key <= limit)
        if not len(chosen):
            return
        self._keep_sample(
            np.concatenate([self.sample_key, key[chosen]]),
            np.concatenate([self.sample_stimulus, np.repeat(np.asarray(stimuli, np.int32), lengths)[chosen]]),
            np.concatenate([self.sample_position, position[chosen]]),
            np.concatenate([self.sample_values, real[chosen].numpy()]),
        )

    def _keep_sample(self, key: Any, stimulus: Any, position: Any, values: Any) -> None:
        order = np.lexsort((position, stimulus, key))[:SAMPLE]
        self.sample_key, self.sample_stimulus = key[order], stimulus[order]
        self.sample_position, self.sample_values = position[order], values[order]

    def merge(self, other: SiteSummary) -> SiteSummary:
        """The summary of both sets of positions (disjoint stimuli of one corpus). Neither is changed."""
        assert self.units == other.units, "summaries of one site"
        both = SiteSummary.empty(self.units, top=self.top_value.shape[1])
        both.count = self.count + other.count
        both.total, both.total_sq = self.total + other.total, self.total_sq + other.total_sq
        both.minimum, both.maximum = np.minimum(self.minimum, other.minimum), np.maximum(self.maximum, other.maximum)
        both.histogram = self.histogram + other.histogram
        tops = [np.concatenate([a, b], 1) for a, b in zip(self._top(), other._top(), strict=True)]
        both.top_value, both.top_stimulus, both.top_position = _strongest(*tops, keep=self.top_value.shape[1], sign=1)
        lows = [np.concatenate([a, b], 1) for a, b in zip(self._low(), other._low(), strict=True)]
        both.low_value, both.low_stimulus, both.low_position = _strongest(*lows, keep=self.top_value.shape[1], sign=-1)
        both._keep_sample(
            np.concatenate([self.sample_key, other.sample_key]),
            np.concatenate([self.sample_stimulus, other.sample_stimulus]),
            np.concatenate([self.sample_position, other.sample_position]),
            np.concatenate([self.sample_values, other.sample_values]),
        )
        return both

    def _top(self) -> tuple[Any, Any, Any]:
        return self.top_value, self.top_stimulus, self.top_position

    def _low(self) -> tuple[Any, Any, Any]:
        return self.low_value, self.low_stimulus, self.low_position

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All fields as arrays (``uint64`` keys as ``int64`` bits, which safetensors can hold)."""
        out = {f.name: np.asarray(getattr(self, f.name)) for f in fields(self)}
        out["sample_key"] = self.sample_key.view(np.int64)
        return {k: np.ascontiguousarray(v) for k, v in out.items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> SiteSummary:
        data: dict[str, Any] = {f.name: arrays[f.name] for f in fields(cls)}
        data["count"] = int(np.ravel(data["count"])[0])  # contiguous arrays have at least one axis
        data["sample_key"] = data["sample_key"].view(np.uint64)
        return cls(**data)


def _merged(kept: tuple[Any, Any, Any], value: Any, stimulus: Any, position: Any, *, sign: int) -> tuple[Any, Any, Any]:
    """Kept extremes ``[unit, k]`` with a batch's ``value`` and ``position`` ``[stimulus, unit]``; most units need no change."""
    threshold = sign * kept[0][:, -1]
    (rows,) = np.nonzero((sign * value).max(0) >= threshold)
    if not len(rows):
        return kept
    joined = (
        np.concatenate([kept[0][rows], value[:, rows].T], 1),
        np.concatenate([kept[1][rows], np.broadcast_to(stimulus, (len(rows), len(stimulus)))], 1),
        np.concatenate([kept[2][rows], position[:, rows].T.astype(np.int32)], 1),
    )
    for target, new in zip(kept, _strongest(*joined, keep=kept[0].shape[1], sign=sign), strict=True):
        target[rows] = new
    return kept


def _strongest(value: Any, stimulus: Any, position: Any, *, keep: int, sign: int) -> tuple[Any, Any, Any]:
    """Per row the ``keep`` strongest, ties to the earlier stimulus."""
    order = np.lexsort((stimulus, -sign * value), axis=1)[:, :keep]
    return tuple(np.take_along_axis(a, order, 1) for a in (value, stimulus, position))  # pyright: ignore[reportReturnType]


def _hash(seed: NDArray[np.uint64], position: NDArray[np.int32]) -> NDArray[np.uint64]:
    """splitmix64 (Steele et al. 2014) of a stimulus' seed and a position: the sampling priority."""
    with np.errstate(over="ignore"):
        z = seed + (position.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))
