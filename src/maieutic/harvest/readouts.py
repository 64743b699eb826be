"""Readouts: the measured values of chosen units over a whole corpus, as the harvest kept them, float32 to the bit.

Values come position by position and are asked for unit by unit, so they are kept in chunks of some thousand positions,
each ``[unit, position]``: one unit's values are a few contiguous reads. With a file they live on disk and are mapped into
memory, so that several processes share the pages and the harvest itself holds one chunk, whatever the corpus.

On disk: ``NAME.npy``, ``[chunk, unit, position]`` of full chunks, which only ever grows; and ``NAME.safetensors``, what was
read so far with the values after the last full chunk, written whole or not at all. A harvest that was killed goes on from
any earlier count of stimuli, and its files end with the same bytes.

Columns are raw (a unit's sign is applied on reading), so both tails of a neuron share one column. What this module does not
do: decide which units are kept, or keep them sparsely (``sparse.py``).
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from maieutic.errors import StoreError
from maieutic.store import disk_error, read_tensors, write_tensors
from maieutic.subjects.base import Unit, Values

if TYPE_CHECKING:
    import torch

#: most bytes a chunk takes, and so about the memory a harvest needs for readouts
CHUNK_BYTES = 32 << 20


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
        parts: float32 ``[column, position]`` each; together the positions of all stimuli, one after another.
        file: the file they are mapped from, if any.
    """

    columns: tuple[str, ...]
    stimulus: NDArray[np.int32]
    lengths: NDArray[np.int32]
    parts: tuple[NDArray[np.float32], ...]
    file: Path | None = None

    @classmethod
    def open(cls, file: Path, *, stimuli: int | None = None) -> Readouts:
        """Map kept values; with ``stimuli`` only those of the first so many.

        Raises:
            StoreError: the file is missing or damaged, or holds fewer stimuli.
        """
        arrays, note = read_tensors(file)
        try:
            columns, chunk = tuple(note["columns"]), int(note["chunk"])
            stimulus, lengths, tail = (arrays[name] for name in ("stimulus", "lengths", "tail"))
        except KeyError as error:
            raise StoreError(f"{file} holds no readouts: delete it and run the harvest again") from error
        chunks = (int(lengths.sum()) - tail.shape[1]) // chunk
        parts = (*_mapped(_values_file(file), chunks, len(columns), chunk), tail)
        whole = cls(columns=columns, stimulus=stimulus, lengths=lengths, parts=parts, file=file)
        if stimuli is not None and stimuli > len(stimulus):
            raise StoreError(
                f"{file} holds {len(stimulus)} stimuli, not {stimuli}: delete it and run the harvest again"
            )
        return whole if stimuli is None else whole.first(stimuli)

    @classmethod
    def joined(cls, parts: Sequence[Readouts], *, file: Path | None = None) -> Readouts:
        """The readouts of several shards, in the order given; nothing is loaded whole.

        Args:
            parts: of one set of columns and of different stimuli.
            file: where to write them anew as one, with the bytes that one harvest in this order would have written;
                ``None``: a view of the parts.
        """
        assert parts, "at least one shard"
        assert all(p.columns == parts[0].columns for p in parts), "shards of one set of columns"
        stimulus = np.concatenate([p.stimulus for p in parts])
        assert len(np.unique(stimulus)) == len(stimulus), "shards of different stimuli"
        lengths, values = np.concatenate([p.lengths for p in parts]), tuple(a for p in parts for a in p.parts)
        view = cls(columns=parts[0].columns, stimulus=stimulus, lengths=lengths, parts=values)
        if file is None:
            return view
        keeper = Keeper.empty((), view.columns, file)
        keeper.copy(view)
        return keeper.done()

    def first(self, stimuli: int) -> Readouts:
        """The values of the first so many stimuli, as they stood when no more had been read."""
        left, parts = int(self.lengths[:stimuli].sum()), list[NDArray[np.float32]]()
        for part in self.parts:
            if left <= 0:
                break
            parts.append(part[:, :left])
            left -= part.shape[1]
        return Readouts(
            columns=self.columns,
            stimulus=self.stimulus[:stimuli],
            lengths=self.lengths[:stimuli],
            parts=tuple(parts),
            file=self.file,
        )

    @property
    def count(self) -> int:
        """How many stimuli were read."""
        return len(self.stimulus)

    @cached_property
    def _row(self) -> Mapping[int, int]:
        return {stimulus: row for row, stimulus in enumerate(self.stimulus.tolist())}

    @cached_property
    def _index(self) -> Mapping[str, int]:
        return {name: i for i, name in enumerate(self.columns)}

    @cached_property
    def _bounds(self) -> NDArray[np.int64]:
        """Where each part begins, and where the last one ends."""
        return np.concatenate([[0], np.cumsum([p.shape[1] for p in self.parts])]).astype(np.int64)

    @cached_property
    def _ends(self) -> NDArray[np.int64]:
        """Where each stimulus ends."""
        return np.cumsum(self.lengths, dtype=np.int64)

    def has(self, unit: Unit) -> bool:
        return column(unit) in self._index

    def read(self, unit: Unit, stimuli: Sequence[int]) -> list[Values]:
        """Values ``[position]`` of a kept unit at each of the stimuli (corpus indices).

        Cost: the parts in which the stimuli stand, about 10 ns a position when their pages are in memory.
        """
        if not len(stimuli):
            return []
        at, rows = self._index[column(unit)], np.array([self._row[s] for s in stimuli])
        end, length = self._ends[rows], self.lengths[rows]
        needed = self._parts_of(end - length, end)
        values = np.concatenate([np.zeros(0, np.float32), *(self.parts[i][at] for i in np.flatnonzero(needed))])
        if unit.sign < 0:
            np.negative(values, out=values)
        skipped = np.concatenate([[0], np.cumsum(np.where(needed, 0, np.diff(self._bounds)))])
        start = end - length - skipped[np.searchsorted(self._bounds, end - length, side="right") - 1]
        return [values[a : a + n] for a, n in zip(start.tolist(), length.tolist(), strict=True)]

    def _parts_of(self, start: NDArray[np.int64], end: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which parts hold positions of any stimulus."""
        some = end > start
        first = np.searchsorted(self._bounds, start[some], side="right") - 1
        last = np.searchsorted(self._bounds, end[some], side="left")
        steps = np.zeros(len(self.parts) + 1, np.int64)
        np.add.at(steps, first, 1)
        np.add.at(steps, last, -1)
        return np.cumsum(steps)[: len(self.parts)] > 0

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Everything as arrays in memory; ``values`` is ``[position, column]``. ``from_arrays`` is the way back."""
        whole = np.concatenate([np.zeros((len(self.columns), 0), np.float32), *self.parts], axis=1)
        return {"stimulus": self.stimulus, "lengths": self.lengths, "values": np.ascontiguousarray(whole.T)}

    @classmethod
    def from_arrays(cls, columns: Sequence[str], arrays: Mapping[str, NDArray[Any]]) -> Readouts:
        """Readouts in memory."""
        values = np.ascontiguousarray(arrays["values"].T)
        return cls(columns=tuple(columns), stimulus=arrays["stimulus"], lengths=arrays["lengths"], parts=(values,))


@dataclass(kw_only=True)
class Keeper:
    """Collects readouts batch by batch; holds one chunk when it writes to a file, everything when it does not.

    Attributes:
        units: whose values are kept.
        columns: their names.
        chunk: positions of a full chunk.
        file: where ``done`` writes what was read; the values stand beside it.
        full: full chunks, in memory or as they stand in the file.
        tail: ``[column, chunk]``, of which ``filled`` positions are filled.
    """

    units: Sequence[Unit]
    columns: tuple[str, ...]
    chunk: int
    file: Path | None
    tail: NDArray[np.float32]
    filled: int = 0
    chunks: int = 0
    full: list[NDArray[np.float32]] = field(default_factory=list[NDArray[np.float32]])
    stimulus: list[NDArray[np.int32]] = field(default_factory=list[NDArray[np.int32]])
    lengths: list[NDArray[np.int32]] = field(default_factory=list[NDArray[np.int32]])

    @classmethod
    def of(cls, units: Sequence[Unit], start: Readouts | None = None, file: Path | None = None) -> Keeper:
        """A keeper with nothing in it, or one that goes on from a checkpoint.

        Args:
            units: whose values are kept; one with the key of another of opposite sign shares its column.
            start: what was read before. When it was opened from ``file`` (``Readouts.open(file, stimuli=…)``), the file is
                cut back to it and nothing is copied; ``start`` must not be read any more after that.
            file: ``NAME.safetensors``, where ``done`` writes; ``None``: everything stays in memory.

        Raises:
            StoreError: the file cannot be written.
        """
        columns = start.columns if start is not None else tuple(dict.fromkeys(column(u) for u in units))
        assert all(column(u) in columns for u in units), "a checkpoint of these units"
        if start is None or file is None or start.file != file:
            keeper = cls.empty(units, columns, file)
            if start is not None:
                keeper.copy(start)
            return keeper
        keeper = cls.empty(units, columns, None)
        keeper.file, keeper.chunk = file, _chunk_of(file)
        keeper.chunks, keeper.filled = divmod(int(start.lengths.sum()), keeper.chunk)
        keeper.tail = np.zeros((len(columns), keeper.chunk), np.float32)
        rest, at = keeper.filled, keeper.filled
        for part in reversed(start.parts):
            taken = min(rest, part.shape[1])
            keeper.tail[:, at - taken : at] = part[:, part.shape[1] - taken :]
            rest, at = rest - taken, at - taken
        keeper.stimulus, keeper.lengths = [np.array(start.stimulus)], [np.array(start.lengths)]
        _cut(_values_file(file), keeper.chunks, keeper.tail.shape)
        return keeper

    @classmethod
    def empty(cls, units: Sequence[Unit], columns: Sequence[str], file: Path | None) -> Keeper:
        """A keeper of nothing yet; with a file, one that begins it anew."""
        chunk = min(max(CHUNK_BYTES // (4 * max(len(columns), 1)), 1), 1 << 20)
        tail = np.zeros((len(columns), chunk), np.float32)
        if file is not None:
            _cut(_values_file(file), 0, tail.shape)
        return cls(units=units, columns=tuple(columns), chunk=chunk, file=file, tail=tail)

    def add(self, batch: Mapping[str, torch.Tensor], *, lengths: NDArray[np.int64], stimuli: Sequence[int]) -> None:
        """Take the kept units' columns of a batch, ``[stimulus, position, unit]`` per site, on any device.

        Raises:
            StoreError: a chunk was full and could not be written.
        """
        if not self.units:
            return
        table = np.empty((len(self.columns), int(lengths.sum())), np.float32)
        for site, rows in self._by_site.items():
            _columns_into(table, batch[site], rows, lengths)
        self.stimulus.append(np.asarray(stimuli, np.int32))
        self.lengths.append(lengths.astype(np.int32))
        self._append(table)

    @cached_property
    def _by_site(self) -> Mapping[str, Mapping[int, Unit]]:
        """Per site which column is which unit."""
        out: dict[str, dict[int, Unit]] = {}
        at = {name: i for i, name in enumerate(self.columns)}
        for unit in self.units:
            out.setdefault(unit.site, {}).setdefault(at[column(unit)], unit)
        return out

    def copy(self, readouts: Readouts) -> None:
        """Take everything of other readouts of the same columns."""
        self.stimulus.append(np.array(readouts.stimulus))
        self.lengths.append(np.array(readouts.lengths))
        for part in readouts.parts:
            self._append(part)

    def _append(self, table: NDArray[np.float32]) -> None:
        """``[column, position]``"""
        at = 0
        while at < table.shape[1]:
            taken = min(self.chunk - self.filled, table.shape[1] - at)
            self.tail[:, self.filled : self.filled + taken] = table[:, at : at + taken]
            self.filled, at = self.filled + taken, at + taken
            if self.filled == self.chunk:
                self._finish_chunk()

    def _finish_chunk(self) -> None:
        if self.file is None:
            self.full.append(self.tail)
            self.tail = np.zeros_like(self.tail)
        else:
            _write_chunk(_values_file(self.file), self.chunks, self.tail)
        self.chunks, self.filled = self.chunks + 1, 0

    def done(self) -> Readouts:
        """What was read so far; with a file, written there. The keeper may go on: this is a checkpoint, too.

        Raises:
            StoreError: the file cannot be written; what it held before is untouched.
        """
        nothing, tail = np.zeros(0, np.int32), np.array(self.tail[:, : self.filled])
        stimulus, lengths = np.concatenate([nothing, *self.stimulus]), np.concatenate([nothing, *self.lengths])
        if self.file is None:
            parts = (*self.full, tail)
            return Readouts(columns=self.columns, stimulus=stimulus, lengths=lengths, parts=parts)
        arrays = {"stimulus": stimulus, "lengths": lengths, "tail": tail}
        write_tensors(self.file, arrays, note={"columns": list(self.columns), "chunk": self.chunk})
        return Readouts.open(self.file)


def _columns_into(
    table: NDArray[np.float32], values: torch.Tensor, rows: Mapping[int, Unit], lengths: NDArray[np.int64]
) -> None:
    """Fill rows of ``[column, position]`` from a site's ``[stimulus, position, unit]``, padding left out."""
    import torch

    real = torch.arange(values.shape[1])[None, :] < torch.as_tensor(lengths)[:, None]
    mask = None if bool(real.all()) else real.to(values.device)

    def positions(chosen: torch.Tensor) -> NDArray[np.float32]:
        flat = chosen.flatten(0, 1) if mask is None else chosen[mask]
        return flat.float().cpu().numpy()

    indexed = {row: unit.index for row, unit in rows.items() if unit.index is not None}
    if indexed:
        index = torch.tensor(list(indexed.values()), device=values.device)
        every = list(indexed.values()) == list(range(values.shape[2]))
        table[list(indexed)] = positions(values if every else values.index_select(2, index)).T
    for row, unit in rows.items():
        if unit.vector is not None:
            # one product a direction, as a subject reads it: a product of all of them differs in the last bits
            table[row] = positions(values @ torch.from_numpy(unit.vector).to(values) + unit.offset)


# --- the file of full chunks ---------------------------------------------------------------------------------------


def _values_file(file: Path) -> Path:
    return file.with_suffix(".npy")


def _header(chunks: int, shape: tuple[int, ...]) -> bytes:
    """The same length for any number of chunks: numpy pads headers so that the first axis can grow."""
    out = io.BytesIO()
    about = {"descr": "<f4", "fortran_order": False, "shape": (chunks, *shape)}
    np.lib.format.write_array_header_1_0(out, about)
    return out.getvalue()


def _cut(path: Path, chunks: int, shape: tuple[int, ...]) -> None:
    """Make the file one of exactly so many chunks, those that it has already."""
    header = _header(chunks, shape)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("r+b" if path.exists() else "w+b") as handle:
            handle.write(header)
            handle.truncate(len(header) + chunks * 4 * shape[0] * shape[1])
    except OSError as error:
        raise disk_error(error, path) from error


def _write_chunk(path: Path, number: int, values: NDArray[np.float32]) -> None:
    """Write a chunk in its place, then count it in the header."""
    header = _header(number + 1, values.shape)
    try:
        with path.open("r+b") as handle:
            handle.seek(len(header) + number * values.nbytes)
            handle.write(cast(Any, values).data)
            handle.seek(0)
            handle.write(header)
    except OSError as error:
        raise disk_error(error, path) from error


def _mapped(path: Path, chunks: int, columns: int, chunk: int) -> tuple[NDArray[np.float32], ...]:
    if chunks == 0 or columns == 0:
        return ()
    offset = len(_header(chunks, (columns, chunk)))
    try:
        shape = (chunks, columns, chunk)
        values = np.asarray(np.memmap(path, np.float32, "r", offset, shape))
    except (OSError, ValueError) as error:
        raise StoreError(f"{path} is missing or damaged ({error}): delete it and run the harvest again") from error
    return tuple(values)


def _chunk_of(file: Path) -> int:
    return int(read_tensors(file)[1]["chunk"])
