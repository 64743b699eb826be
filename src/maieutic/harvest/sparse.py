"""Every non-zero activation of chosen sites, sorted by unit: for ReLU layers and SAE latents, where most values are zero.

A harvest meets values position by position; people ask for them unit by unit. So non-zeros are spooled while the harvest
runs, in runs of bounded size that are each sorted by unit, and the runs are merged once at the end. Memory stays bounded
by one run, whatever the corpus. The merged arrays are mapped: one unit is two contiguous reads.

``harvest(…, run=…, sparse=Sparse(sites=["layers.3.mlp"]))`` leaves a store in ``RUN/harvest/SUBJECT/sparse``, a run a shard::

    store = SparseStore.open(folder)
    stimulus, position, value = store.read(unit)

By itself::

    writer = SparseWriter.to(folder, {"layers.3.mlp": 1536})  # or stimuli=n: go on from a mark
    writer.add("layers.3.mlp", values, lengths=lengths, stimuli=stimuli)  # every site, batch by batch, before the next batch
    writer.mark()  # with every checkpoint: how many stimuli are spooled
    store = writer.done()

On disk, below the folder: ``runs/*.safetensors`` while it goes on, then ``sparse.safetensors`` (offsets, stimuli, lengths)
and per site ``position.N.npy`` (uint32, counted over all stimuli in the order read) and ``value.N.npy``. Exact for float32;
float16 rounds to 11 bits. What this module does not do: keep values at or below the threshold; for those see ``readouts.py``.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from maieutic.errors import StoreError, UsageError
from maieutic.store import read_tensors, write_tensors, writing
from maieutic.subjects.base import Unit

if TYPE_CHECKING:
    import torch

#: non-zeros spooled before they are sorted and written: about 12 bytes each, and twice that while they are sorted
RUN_ENTRIES = 4_000_000
#: most positions of a corpus that a uint32 can name
MOST_POSITIONS = 2**32
INDEX = "sparse.safetensors"

Precision = Literal["float32", "float16"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sparse:
    """What a harvest keeps sparsely: sites, the threshold that ``|value|`` must exceed, and the precision of values."""

    sites: tuple[str, ...]
    threshold: float = 0.0
    precision: Precision = "float32"


@dataclass(frozen=True, slots=True, kw_only=True)
class SparseRun:
    """Non-zeros of some stimuli, sorted by unit, as they are written; plain data.

    Attributes:
        arrays: ``stimulus``, ``lengths``; per site N ``unit.N``, ``position.N`` (counted from the first stimulus), ``value.N``.
        note: widths by site, threshold, precision.
    """

    arrays: Mapping[str, NDArray[Any]]
    note: Mapping[str, Any]

    def write(self, folder: Path, start: int, end: int) -> None:
        """Spool it; runs are merged in the order of ``start`` (of stimuli, or of shards).

        Raises:
            StoreError: it cannot be written; the runs before it are untouched.
        """
        write_tensors(folder / "runs" / f"{start:012d}-{end:012d}.safetensors", self.arrays, note=self.note)


class Activations(NamedTuple):
    """Where a unit was active, in the order read: corpus index, position in the stimulus, value."""

    stimulus: NDArray[np.int32]
    position: NDArray[np.int32]
    value: NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class SparseStore:
    """All non-zeros of some sites.

    Attributes:
        sites: their names.
        threshold: values with ``|value|`` above it are kept.
        stimulus, lengths: corpus index and positions of each stimulus, in the order read.
        offsets: per site ``[unit + 1]``, where a unit's entries begin and end.
        position, value: per site, all entries, unit by unit.
    """

    sites: tuple[str, ...]
    threshold: float
    stimulus: NDArray[np.int32]
    lengths: NDArray[np.int32]
    offsets: tuple[NDArray[np.int64], ...]
    position: tuple[NDArray[np.uint32], ...]
    value: tuple[NDArray[Any], ...]

    @classmethod
    def open(cls, folder: Path) -> SparseStore:
        """Map a finished store.

        Raises:
            StoreError: it is missing or damaged.
        """
        arrays, note = read_tensors(folder / INDEX)
        offsets = tuple(arrays[f"offsets.{n}"] for n in range(len(note["sites"])))
        return cls(
            sites=tuple(note["sites"]),
            threshold=note["threshold"],
            stimulus=arrays["stimulus"],
            lengths=arrays["lengths"],
            offsets=offsets,
            position=tuple(_mapped(folder / f"position.{n}.npy", int(o[-1])) for n, o in enumerate(offsets)),
            value=tuple(_mapped(folder / f"value.{n}.npy", int(o[-1])) for n, o in enumerate(offsets)),
        )

    @classmethod
    def merged(cls, spools: Sequence[Path], folder: Path) -> SparseStore:
        """Merge what the writers of several shards spooled, in the order given; their runs stay where they are.

        The bytes are those of one writer that read the stimuli in this order.

        Raises:
            StoreError: a run is damaged, or the folder cannot be written.
        """
        runs = [run for spool in spools for run in _runs(spool)]
        assert runs, "a writer that was marked"
        _merge(runs, folder)
        return cls.open(folder)

    @cached_property
    def _starts(self) -> NDArray[np.int64]:
        return np.concatenate([[0], np.cumsum(self.lengths, dtype=np.int64)])[:-1]

    @property
    def bytes(self) -> int:
        """Bytes of all entries on disk."""
        return sum(a.nbytes for a in (*self.position, *self.value))

    def has(self, unit: Unit) -> bool:
        return unit.index is not None and unit.site in self.sites

    def read(self, unit: Unit) -> Activations:
        """Every place where a neuron or latent was above the threshold; values times the unit's sign."""
        site, at = self.sites.index(unit.site), unit.index
        assert at is not None, "directions are not kept sparsely"
        chosen = slice(int(self.offsets[site][at]), int(self.offsets[site][at + 1]))
        place, value = self.position[site][chosen], self.value[site][chosen].astype(np.float32)
        row = np.searchsorted(self._starts, place, side="right") - 1
        position = (place - self._starts[row]).astype(np.int32)
        return Activations(self.stimulus[row], position, -value if unit.sign < 0 else value)


@dataclass(kw_only=True)
class SparseWriter:
    """Spools the non-zeros of a harvest; holds one run.

    Attributes:
        folder: where the store will stand; ``None``: nothing is written, see ``taken``.
        widths: units of each site, by name.
        threshold: keep values with ``|value|`` above it.
        precision: of the kept values.
        marked: stimuli in the runs written so far.
    """

    folder: Path | None
    widths: Mapping[str, int]
    threshold: float = 0.0
    precision: Precision = "float32"
    marked: int = 0
    stimulus: list[int] = field(default_factory=list[int])
    lengths: list[int] = field(default_factory=list[int])
    _entries: dict[str, list[_Entries]] = field(default_factory=dict[str, "list[_Entries]"])
    _batch: tuple[int, ...] = ()
    _begins: int = 0
    _ends: int = 0
    _held: int = 0

    @classmethod
    def to(
        cls,
        folder: Path,
        widths: Mapping[str, int],
        *,
        threshold: float = 0.0,
        precision: Precision = "float32",
        stimuli: int = 0,
    ) -> SparseWriter:
        """A writer into a folder; with ``stimuli`` it goes on after so many, the count that a ``mark`` gave.

        Raises:
            StoreError: there was no mark at that count.
        """
        writer = cls(folder=folder, widths=dict(widths), threshold=threshold, precision=precision, marked=stimuli)
        ends = [0]
        for run in _runs(folder):
            if run.end > stimuli:
                run.file.unlink()
            else:
                ends.append(run.end)
        if ends[-1] != stimuli:
            raise StoreError(f"{folder} holds {ends[-1]} stimuli, not {stimuli}: delete it and run the harvest again")
        return writer

    def add(self, site: str, values: torch.Tensor, *, lengths: NDArray[np.int64], stimuli: Sequence[int]) -> None:
        """Take a site's values ``[stimulus, position, unit]``, padded on the right, on any device.

        Raises:
            UsageError: a value does not fit float16.
            StoreError: a run could not be written.
        """
        if tuple(stimuli) != self._batch:
            self._next_batch(stimuli, lengths)
        import torch

        real = torch.arange(values.shape[1])[None, :] < torch.as_tensor(lengths)[:, None]
        table = values.flatten(0, 1) if bool(real.all()) else values[real.to(values.device)]
        place, unit = torch.nonzero(table.abs() > self.threshold, as_tuple=True)
        entries = _Entries(
            unit=unit.to(torch.int32).cpu().numpy().astype(np.uint32),
            position=(place.cpu().numpy() + self._begins).astype(np.uint32),
            value=self._rounded(table[place, unit].float().cpu().numpy()),
        )
        self._entries.setdefault(site, []).append(entries)
        self._held += len(entries.unit)

    def _next_batch(self, stimuli: Sequence[int], lengths: NDArray[np.int64]) -> None:
        if self._held >= RUN_ENTRIES and self.folder is not None:
            self.mark()
        self._begins, self._ends = self._ends, self._ends + int(lengths.sum())
        self._batch = tuple(stimuli)
        self.stimulus += list(stimuli)
        self.lengths += lengths.tolist()

    def _rounded(self, values: NDArray[np.float32]) -> NDArray[Any]:
        if (
            self.precision == "float16"
            and len(values)
            and float(np.abs(values).max()) > float(np.finfo(np.float16).max)
        ):
            raise UsageError(f"a value of {np.abs(values).max():.3g} does not fit float16: keep float32")
        return values.astype(self.precision)

    def mark(self) -> int:
        """Write what is held as a run; gives the stimuli spooled so far, from which a writer can go on.

        Raises:
            StoreError: it cannot be written; the runs before it are untouched.
        """
        assert self.folder is not None, "a writer into a folder"
        if not self.stimulus:
            return self.marked
        end = self.marked + len(self.stimulus)
        self.taken().write(self.folder, self.marked, end)
        self.marked = end
        return end

    def taken(self) -> SparseRun:
        """What is held, as a run; the writer then holds nothing."""
        arrays: dict[str, NDArray[Any]] = {
            "stimulus": np.array(self.stimulus, np.int32),
            "lengths": np.array(self.lengths, np.int32),
        }
        for n, site in enumerate(self.widths):
            joined = _Entries.joined(self._entries.get(site, []), self.precision)
            order = np.argsort(joined.unit, kind="stable")
            for name in ("unit", "position", "value"):
                arrays[f"{name}.{n}"] = getattr(joined, name)[order]
        self.stimulus, self.lengths, self._entries = [], [], {}
        self._batch, self._held, self._begins, self._ends = (), 0, 0, 0
        note = {"widths": dict(self.widths), "threshold": self.threshold, "precision": self.precision}
        return SparseRun(arrays=arrays, note=note)

    def done(self) -> SparseStore:
        """Write what is held, merge all runs, and remove them.

        Raises:
            StoreError: no space; the runs are still there.
        """
        assert self.folder is not None, "a writer into a folder"
        if self.stimulus or not self.marked:
            self.mark() if self.stimulus else self.taken().write(self.folder, 0, 0)
        store = SparseStore.merged([self.folder], self.folder)
        shutil.rmtree(self.folder / "runs", ignore_errors=True)
        return store


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entries:
    """Non-zeros: unit, position counted from the start of the run, value."""

    unit: NDArray[np.uint32]
    position: NDArray[np.uint32]
    value: NDArray[Any]

    @classmethod
    def joined(cls, parts: Sequence[_Entries], precision: str) -> _Entries:
        nothing = np.zeros(0, np.uint32)
        return cls(
            unit=np.concatenate([nothing, *(p.unit for p in parts)]),
            position=np.concatenate([nothing, *(p.position for p in parts)]),
            value=np.concatenate([np.zeros(0, precision), *(p.value for p in parts)]),
        )


@dataclass(frozen=True, slots=True)
class _Run:
    """A file of sorted non-zeros and the stimuli it is about: from ``start`` to before ``end``, in the order read."""

    file: Path
    start: int
    end: int


def _runs(folder: Path) -> list[_Run]:
    files = sorted((folder / "runs").glob("[0-9]*.safetensors"))
    return [_Run(f, *(int(part) for part in f.stem.split("-"))) for f in files]


# --- merging -------------------------------------------------------------------------------------------------------


def _merge(runs: Sequence[_Run], folder: Path) -> None:
    """Merge runs site by site; each is mapped, and blocks of units of about ``RUN_ENTRIES`` entries are in memory."""
    with ExitStack() as stack:
        opened = [_opened(run.file, stack) for run in runs]
        note = opened[0].note
        assert all(o.note == note for o in opened), "runs of one harvest"
        lengths = [cast(NDArray[np.int32], o.all("lengths")) for o in opened]
        begins = np.cumsum([0, *(int(n.sum(dtype=np.int64)) for n in lengths)])
        if begins[-1] > MOST_POSITIONS:
            raise StoreError(f"{begins[-1]} positions are more than a sparse store holds (2^32): harvest in two --run")
        index: dict[str, NDArray[Any]] = {
            "stimulus": np.concatenate([o.all("stimulus") for o in opened]),
            "lengths": np.concatenate(lengths),
        }
        for n, width in enumerate(note["widths"].values()):
            index[f"offsets.{n}"] = _merge_site(opened, begins, n, width, folder, note["precision"])
        about = {"sites": list(note["widths"]), "threshold": note["threshold"], "precision": note["precision"]}
        write_tensors(folder / INDEX, index, note=about)


def _merge_site(
    runs: Sequence[_Opened], begins: NDArray[np.int64], site: int, width: int, folder: Path, precision: str
) -> NDArray[np.int64]:
    """Write the sorted entries of one site; gives ``[unit + 1]`` offsets."""
    counts = np.zeros(width, np.int64)
    for run in runs:
        for part in run.pieces(f"unit.{site}"):
            counts += np.bincount(part, minlength=width)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    with (
        writing(folder / f"position.{site}.npy") as place_file,
        writing(folder / f"value.{site}.npy") as value_file,
        place_file.open("wb") as places,
        value_file.open("wb") as values,
    ):
        _npy_header(places, np.dtype(np.uint32), int(offsets[-1]))
        _npy_header(values, np.dtype(precision), int(offsets[-1]))
        at = [0] * len(runs)
        for a, b in _blocks(offsets):
            ends = [run.find(f"unit.{site}", b) for run in runs]
            for position, value in _block(runs, begins, site, list(zip(at, ends, strict=True)), alone=b == a + 1):
                places.write(cast(Any, position).data)
                values.write(cast(Any, value).data)
            at = ends
    return offsets


def _blocks(offsets: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Ranges of units of at most ``RUN_ENTRIES`` entries each, or one unit alone."""
    units, a = len(offsets) - 1, 0
    while a < units:
        b = max(int(np.searchsorted(offsets, offsets[a] + RUN_ENTRIES, side="right")) - 1, a + 1)
        yield a, min(b, units)
        a = b


def _block(
    runs: Sequence[_Opened], begins: NDArray[np.int64], site: int, spans: Sequence[tuple[int, int]], *, alone: bool
) -> Iterator[tuple[NDArray[np.uint32], NDArray[Any]]]:
    """The entries of a range of units, by unit and then by position; a unit alone needs no sorting and comes in pieces."""
    parts: list[_Entries] = []
    for run, begin, (a, b) in zip(runs, begins.tolist(), spans, strict=False):
        for low in range(a, b, RUN_ENTRIES):
            piece = slice(low, min(low + RUN_ENTRIES, b))
            position = (run.cut(f"position.{site}", piece) + np.int64(begin)).astype(np.uint32)
            value = run.cut(f"value.{site}", piece)
            if alone:
                yield position, value
            else:
                parts.append(_Entries(unit=run.cut(f"unit.{site}", piece), position=position, value=value))
    if parts:
        joined = _Entries.joined(parts, str(parts[0].value.dtype))
        order = np.argsort(joined.unit, kind="stable")
        yield joined.position[order], joined.value[order]


@dataclass(frozen=True, slots=True)
class _Opened:
    """A run's arrays, read slice by slice."""

    handle: Any
    note: dict[str, Any]

    def all(self, name: str) -> NDArray[Any]:
        return self.handle.get_tensor(name)

    def cut(self, name: str, piece: slice) -> NDArray[Any]:
        return self.handle.get_slice(name)[piece]

    def size(self, name: str) -> int:
        return int(self.handle.get_slice(name).get_shape()[0])

    def pieces(self, name: str) -> Iterator[NDArray[Any]]:
        size = self.size(name)
        for low in range(0, size, RUN_ENTRIES):
            yield self.cut(name, slice(low, min(low + RUN_ENTRIES, size)))

    def find(self, name: str, unit: int) -> int:
        """Where the entries of ``unit`` begin in a sorted array, by bisection of the file."""
        low, high = 0, self.size(name)
        while low < high:
            middle = (low + high) // 2
            if int(self.cut(name, slice(middle, middle + 1))[0]) < unit:
                low = middle + 1
            else:
                high = middle
        return low


def _opened(file: Path, stack: ExitStack) -> _Opened:
    from safetensors import SafetensorError, safe_open

    try:
        handle = cast(Any, stack.enter_context(safe_open(file, framework="numpy")))
    except (SafetensorError, OSError) as error:
        raise StoreError(f"{file} is missing or damaged ({error}): delete it and run the harvest again") from error
    return _Opened(handle, json.loads((handle.metadata() or {}).get("note", "{}")))


# --- files ---------------------------------------------------------------------------------------------------------


def _npy_header(handle: Any, dtype: np.dtype[Any], count: int) -> None:
    about = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": (count,)}
    np.lib.format.write_array_header_1_0(handle, about)


def _mapped(file: Path, count: int) -> NDArray[Any]:
    try:
        values = np.load(file, mmap_mode="r" if count else None, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise StoreError(f"{file} is missing or damaged ({error}): delete it and run the harvest again") from error
    if len(values) != count:
        raise StoreError(f"{file} holds {len(values)} entries, not {count}: delete it and run the harvest again")
    return np.asarray(values)
