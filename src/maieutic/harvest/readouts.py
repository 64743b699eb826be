"""Readouts: the measured values of chosen units over a whole corpus, as the harvest kept them.

Columns are raw (a unit's sign is applied on reading), so both tails of a neuron share one column.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from maieutic.subjects.base import Unit, Values

if TYPE_CHECKING:
    import torch


def column(unit: Unit) -> str:
    """Name of the unit's column: its key without the sign."""
    return unit.key.removesuffix("-")


@dataclass(frozen=True, kw_only=True)
class Readouts:
    """Values of kept units.

    Attributes:
        columns: names of the kept units, in the order of the columns.
        stimulus: corpus index of each stimulus, in the order it was read.
        lengths: positions of each of them.
        values: float32 ``[position, column]``, stimuli one after another.
    """

    columns: tuple[str, ...]
    stimulus: NDArray[np.int32]
    lengths: NDArray[np.int32]
    values: NDArray[np.float32]

    @cached_property
    def _place(self) -> Mapping[int, slice]:
        ends = np.cumsum(self.lengths)
        rows = zip(self.stimulus.tolist(), self.lengths.tolist(), ends.tolist(), strict=True)
        return {s: slice(end - n, end) for s, n, end in rows}

    @cached_property
    def _index(self) -> Mapping[str, int]:
        return {name: i for i, name in enumerate(self.columns)}

    def has(self, unit: Unit) -> bool:
        return column(unit) in self._index

    def read(self, unit: Unit, stimuli: Sequence[int]) -> list[Values]:
        """Values ``[position]`` of a kept unit at each of the stimuli (corpus indices)."""
        values = self.values[:, self._index[column(unit)]]
        return [unit.sign * values[self._place[i]] for i in stimuli]

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {"stimulus": self.stimulus, "lengths": self.lengths, "values": self.values}


@dataclass(kw_only=True)
class Keeper:
    """Collects readouts batch by batch."""

    units: Sequence[Unit]
    stimulus: list[NDArray[np.int32]]
    lengths: list[NDArray[np.int32]]
    values: list[NDArray[np.float32]]

    @classmethod
    def of(cls, units: Sequence[Unit], start: Readouts | None = None) -> Keeper:
        """An empty keeper, or one that goes on from a checkpoint."""
        if start is None:
            return cls(units=units, stimulus=[], lengths=[], values=[])
        return cls(units=units, stimulus=[start.stimulus], lengths=[start.lengths], values=[start.values])

    def add(self, batch: Mapping[str, torch.Tensor], *, lengths: NDArray[np.int64], stimuli: Sequence[int]) -> None:
        """Take the kept units' columns of a batch, ``[stimulus, position, unit]`` per site."""
        import torch

        if not self.units:
            return
        parts: list[torch.Tensor] = []
        for unit in self.units:
            values = batch[unit.site]
            if unit.index is not None:
                parts.append(values[:, :, unit.index])
            else:
                assert unit.vector is not None
                parts.append(values @ torch.from_numpy(unit.vector) + unit.offset)
        table = torch.stack(parts, dim=-1).numpy()
        self.stimulus.append(np.asarray(stimuli, np.int32))
        self.lengths.append(lengths.astype(np.int32))
        self.values.append(np.concatenate([table[i, :n] for i, n in enumerate(lengths)]))

    def done(self) -> Readouts:
        width = len(self.units)
        return Readouts(
            columns=tuple(column(u) for u in self.units),
            stimulus=np.concatenate([np.zeros(0, np.int32), *self.stimulus]),
            lengths=np.concatenate([np.zeros(0, np.int32), *self.lengths]),
            values=np.concatenate([np.zeros((0, width), np.float32), *self.values]),
        )
