"""The bank: measurements that units share. A stimulus passes through the subject once, and every unit of the bank's sites
reads its own value from what was kept.

Stimuli are known by content (``Stimulus.id``). Of each the values of all units of all sites are kept: float32, exact, so
the reading of any neuron, either tail or a direction is to the bit what ``Subject.read`` gives for that stimulus alone.
The least recently read are forgotten when memory is full; with a folder, files outlive the process and are shared with
others (`bank_files`).

Many threads may read at once. One pass runs at a time, made by whichever thread is there, of the stimulus that has waited
longest, with others that wait. On a CPU a value must not depend on who else asked. Padding changes it in the last bits, so
texts share a pass only when they are equally long, and only after it was seen, once for each number of texts and length,
that they read there to the bit what each reads alone (it is so where sums are made in an order that the number of rows does
not change; short texts are then up to twice as fast). Images go one at a time, which is no slower. On a GPU a pass holds
texts of like length, and values depend on their company in the last bits.

What this module does not do: it keeps no ledger and charges no budget (the `Lab` does both), takes no interventions, and
never says whether something is in it without being asked for the values: what others have measured must not steer what is
asked.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakKeyDictionary

from maieutic.errors import UsageError, UserError
from maieutic.lab.bank_files import BankFiles
from maieutic.stimuli.base import Stimulus
from maieutic.subjects.base import Subject, Unit, Values
from maieutic.subjects.reading import plan_batches, unit_columns

if TYPE_CHECKING:
    import torch

    #: per site what `Subject.forward` gave for one stimulus: text ``[1, position, unit]``, image ``[1, unit]``
    Record = Mapping[str, torch.Tensor]

#: rises when the same model gives other values for the same stimulus
_VERSION = 1
#: after so many numbers and lengths of texts, most of which were seen to change bits together, all are measured alone
_HOPELESS = 8
#: what was seen of the texts of a subject: (sites, threads) -> (number, length) -> whether they share a pass exactly
_PROVED: WeakKeyDictionary[Subject, dict[Any, dict[tuple[int, int], bool]]] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True, kw_only=True)
class BankUse:
    """What a bank has done so far.

    Attributes:
        asked: stimuli asked for, once for each question.
        fresh: of these, measured for the one who asked.
        loaded: of these, read from a file.
        forwards: passes of the subject, those that compare texts together with texts alone included.
        bytes: values held in memory now.
        evicted: stimuli forgotten to make room.
    """

    asked: int = 0
    fresh: int = 0
    loaded: int = 0
    forwards: int = 0
    bytes: int = 0
    evicted: int = 0


@dataclass(slots=True, eq=False, kw_only=True)
class _Wanted:
    """A stimulus that is not in the bank yet, with how many threads wait for it and what became of it."""

    stimulus: Stimulus
    length: int
    waiting: int = 0
    taken: bool = False
    loaded: bool = False
    record: Record | None = None
    error: Exception | None = None

    @property
    def done(self) -> bool:
        return self.record is not None or self.error is not None


class Bank:
    """Measurements of one subject at some sites, shared by labs and threads (see the module)."""

    def __init__(
        self,
        subject: Subject,
        *,
        sites: Sequence[str],
        limit_bytes: int = 1 << 30,
        folder: Path | None = None,
        folder_bytes: int = 4 << 30,
        batch: int | None = None,
    ) -> None:
        """An empty bank, or what a folder still holds.

        Args:
            subject: what is measured.
            sites: hook points whose units can be read; a pass ends at the last one.
            limit_bytes: most memory for values. A text takes 4 bytes for each of its positions and each unit of the sites
                (100 tokens, 1,536 units: 0.6 MB), an image 4 bytes a unit.
            folder: where values are kept on disk too (``RUN/bank``); other processes' files are found there.
            folder_bytes: about the most disk space; the files longest unused go first.
            batch: most stimuli in a pass, whatever that does to the last bits; otherwise ``subject.batch_size`` on a GPU, and
                on a CPU as many as change no bit (see the module). Halved for good when the device runs out of memory.

        Raises:
            UsageError: no site, or one that the subject does not have.
        """
        if not sites:
            raise UsageError("a bank needs a site: give sites=[...], as  maieutic models NAME  lists them")
        self.subject = subject
        self.sites = tuple(dict.fromkeys(subject.site(s).name for s in sites))
        device = _device(subject)
        #: networks on the CPU: only texts of one length share a pass, and only in numbers and lengths proved to be exact
        self._exact = batch is None and device == "cpu" and subject.modality == "text" and subject.per_pass == 1
        self._proved = _proofs(subject, self.sites) if self._exact else {}
        alone = 1 if device == "cpu" else subject.batch_size
        self._batch = max(1, subject.batch_size if self._exact else batch or alone)
        self._limit = limit_bytes
        self._files: BankFiles | None = None
        if folder is not None:
            together = 1 if self._exact else self._batch
            self._files = BankFiles(folder / _key(subject, self.sites, device, together), limit_bytes=folder_bytes)
        #: guards everything below; waited on by threads whose stimuli another thread measures
        self._state = threading.Condition()
        self._kept: OrderedDict[str, Record] = OrderedDict()
        self._wanted: dict[str, _Wanted] = {}
        self._passing = False
        self._asked = self._fresh = self._loaded = self._forwards = self._bytes = self._evicted = 0

    @property
    def use(self) -> BankUse:
        """What has been asked, measured, kept and forgotten so far."""
        with self._state:
            return BankUse(
                asked=self._asked, fresh=self._fresh, loaded=self._loaded, forwards=self._forwards,
                bytes=self._bytes, evicted=self._evicted,
            )  # fmt: skip

    def read(self, stimuli: Sequence[Stimulus], units: Sequence[Unit]) -> tuple[list[Values], list[bool]]:
        """Values of several units at each stimulus, measured now where nobody has asked for it before.

        Returns:
            Per stimulus float32 ``[position, unit]``, as ``Subject.read`` gives (images: one position); and whether it was
            measured for this call. A stimulus that stands twice, or that another thread was already waiting for, is not.

        Cost: a pass for each stimulus that is new.

        Raises:
            UsageError: no unit, or one at a site that the bank does not have.
            Exception: what the subject raised for the first of these stimuli that it could not measure. The others are
                kept, and the failed one is tried again when it is asked for again.
        """
        if not units:
            raise UsageError("there is no unit to read: give at least one, as in  subject.unit(site, 0)")
        self.check(units)
        records, mine, opened = self._find(stimuli)
        try:
            while self._turn(mine):
                pass
        finally:
            self._leave(mine.values())
        for wanted in mine.values():
            if wanted.error is not None:
                raise wanted.error
            if wanted.loaded:
                opened.discard(wanted.stimulus.id)
            assert wanted.record is not None
            records[wanted.stimulus.id] = wanted.record
        fresh: list[bool] = []
        for stimulus in stimuli:
            fresh.append(stimulus.id in opened)
            opened.discard(stimulus.id)
        with self._state:
            self._fresh += sum(fresh)
        # columns are stacked into memory of their own: nobody holds, or writes into, what the bank keeps
        return [unit_columns(records[s.id], units)[0] for s in stimuli], fresh

    def check(self, units: Sequence[Unit]) -> None:
        """Whether these units can be read here.

        Raises:
            UsageError: one stands at a site that the bank does not have.
        """
        other = next((u for u in units if u.site not in self.sites), None)
        if other is not None:
            raise UsageError(
                f"the bank has {', '.join(self.sites)}, not {other.site}: give this site to Bank(sites=...)"
            )

    # --- who measures what, and when -----------------------------------------------------------------------------------
    def _find(self, stimuli: Sequence[Stimulus]) -> tuple[dict[str, Record], dict[str, _Wanted], set[str]]:
        """Records at hand, what must be waited for, and which of these nobody waited for before."""
        distinct = {s.id: s for s in stimuli}
        lengths = {i: self._length(s) for i, s in distinct.items()} if self._batch > 1 else {}
        records: dict[str, Record] = {}
        mine: dict[str, _Wanted] = {}
        opened: set[str] = set()
        with self._state:
            self._asked += len(stimuli)
            for key, stimulus in distinct.items():
                if key in self._kept:
                    self._kept.move_to_end(key)
                    records[key] = self._kept[key]
                    continue
                if key not in self._wanted:
                    self._wanted[key] = _Wanted(stimulus=stimulus, length=lengths.get(key, 1))
                    opened.add(key)
                mine[key] = self._wanted[key]
                mine[key].waiting += 1
        return records, mine, opened

    def _length(self, stimulus: Stimulus) -> int:
        """Positions; an error in the stimulus is left for its own pass to raise."""
        if self.subject.modality == "image":
            return 1
        try:
            return len(self.subject.tokens(stimulus.content))
        except Exception:
            return 1

    def _turn(self, mine: Mapping[str, _Wanted]) -> bool:
        """Wait for another thread's pass or make one; ``False`` once everything of mine is done."""
        with self._state:
            while self._passing and not all(w.done for w in mine.values()):
                self._state.wait()
            if all(w.done for w in mine.values()):
                return False
            batch = self._next()
            self._passing = True
            for wanted in batch:
                wanted.taken = True
        try:
            self._measure(batch)
        finally:
            with self._state:
                self._passing = False
                for wanted in batch:
                    # after an interruption, or with a batch too large for the device, others try again
                    wanted.taken = False
                self._state.notify_all()
        return True

    def _next(self) -> list[_Wanted]:
        """The stimulus that has waited longest, with others that fit into its pass."""
        pending = [w for w in self._wanted.values() if not w.taken]
        if self._batch == 1:
            return pending[:1]
        if self._exact:
            alike = [w for w in pending if w.length == pending[0].length][: self._batch]
            # 8, 4, 2: few numbers to prove
            sizes = (1 << k for k in range(len(alike).bit_length() - 1, 0, -1))
            return alike[: next((n for n in sizes if self._proved.get((n, alike[0].length), True)), 1)]
        plan = plan_batches([w.length for w in pending], self._batch)
        return [pending[i] for i in next(batch for batch in plan if 0 in batch)]

    def _leave(self, mine: Any) -> None:
        """Give up waiting: what nobody waits for any more is not measured."""
        with self._state:
            for wanted in mine:
                wanted.waiting -= 1
                key = wanted.stimulus.id
                if not wanted.waiting and not wanted.taken and self._wanted.get(key) is wanted:
                    del self._wanted[key]

    # --- measuring -----------------------------------------------------------------------------------------------------
    def _measure(self, batch: Sequence[_Wanted]) -> None:
        """Fill in what became of each, unless the device had no memory for so many: then the next batch is smaller."""
        new = [w for w in batch if not self._from_file(w)]
        if not new:
            return
        try:
            records = self._records(new)
        except Exception as error:  # a subject may raise anything: it is the error of whoever asked for the stimulus
            self._failed(new, error)
            return
        for wanted, record in zip(new, records, strict=True):
            self._settle(wanted, record)
        if self._files is not None:
            for wanted, record in zip(new, records, strict=True):
                self._files.save(wanted.stimulus.id, {s: v.numpy() for s, v in record.items()})

    def _from_file(self, wanted: _Wanted) -> bool:
        arrays = None if self._files is None else self._files.load(wanted.stimulus.id, self.sites)
        if arrays is None:
            return False
        import torch

        wanted.loaded = True
        with self._state:
            self._loaded += 1
        # a clone lies where torch would have put it: sums over other alignments may round differently
        self._settle(wanted, {s: torch.from_numpy(a).clone() for s, a in arrays.items()})
        return True

    def _records(self, new: Sequence[_Wanted]) -> list[Record]:
        """Values of each; on a CPU to the bit those of a pass of its own."""
        together = self._pass([w.stimulus for w in new])
        shape = (len(new), new[0].length)
        if not self._exact or len(new) == 1 or self._proved.get(shape):
            return together
        alone = [self._pass([w.stimulus])[0] for w in new]
        self._proved[shape] = all(map(_same, together, alone))
        failed = sum(not exact for exact in self._proved.values())
        if failed >= _HOPELESS and failed > len(self._proved) / 2:
            self._exact, self._batch = False, 1
        return alone

    def _pass(self, stimuli: Sequence[Stimulus]) -> list[Record]:
        with self._state:
            self._forwards += 1
        # stimuli as they are, not their contents: planted subjects read the annotations, as in `Subject.read`
        done = self.subject.forward(cast("Any", stimuli), self.sites)
        text = self.subject.modality == "text"
        return [
            {
                s: (done.values[s][i : i + 1, : int(n)] if text else done.values[s][i : i + 1]).clone()
                for s in self.sites
            }
            for i, n in enumerate(done.lengths)
        ]

    def _failed(self, new: Sequence[_Wanted], error: Exception) -> None:
        full = _out_of_memory(error)
        if full:
            _empty_cache()
        if len(new) > 1 and full:
            self._batch = max(1, len(new) // 2)
        elif len(new) > 1:
            # one of them is to blame: each alone, so that every thread gets the error that is its own
            for wanted in new:
                self._measure([wanted])
        else:
            name = self.subject.name
            why = (
                f"{name} ran out of memory on a single stimulus: show it smaller ones, or use a device with more memory"
            )
            self._settle(new[0], UserError(why) if full else error)

    def _settle(self, wanted: _Wanted, found: Record | Exception) -> None:
        """Tell everyone who waits, and keep what was measured as long as there is room."""
        with self._state:
            self._wanted.pop(wanted.stimulus.id, None)
            if isinstance(found, Exception):
                wanted.error = found
            else:
                wanted.record = found
                self._kept[wanted.stimulus.id] = found
                self._bytes += _size(found)
            while self._bytes > self._limit:
                self._bytes -= _size(self._kept.popitem(last=False)[1])
                self._evicted += 1
            self._state.notify_all()


def _same(a: Record, b: Record) -> bool:
    """Whether values are equal to the bit, NaN and signs of zero too."""
    return all(a[s].shape == b[s].shape and a[s].numpy().tobytes() == b[s].numpy().tobytes() for s in a)


def _size(record: Record) -> int:
    return sum(v.nbytes for v in record.values())


def _device(subject: Subject) -> str:
    """Kind of device that the subject's weights are on (``cpu`` for what has none)."""
    network: Any = getattr(subject, "model", None) or getattr(subject, "module", None)
    parameters = getattr(network, "parameters", None)
    first: Any = next(iter(parameters()), None) if parameters is not None else None
    return "cpu" if first is None else str(first.device.type)


def _proofs(subject: Subject, sites: Sequence[str]) -> dict[tuple[int, int], bool]:
    """What banks of the subject have seen so far; they share it, since it is true of the subject and the processor."""
    import torch

    return _PROVED.setdefault(subject, {}).setdefault((tuple(sites), torch.get_num_threads()), {})


def _key(subject: Subject, sites: Sequence[str], device: str, batch: int) -> str:
    """Folder name for everything that the bits of a value depend on."""
    import torch

    what = [_VERSION, subject.fingerprint, *sites, device, batch, version("torch"), torch.get_num_threads()]
    return hashlib.blake2b(json.dumps(what).encode(), digest_size=8).hexdigest()


def _out_of_memory(error: Exception) -> bool:
    import torch

    said = isinstance(error, RuntimeError) and ("out of memory" in str(error) or "can't allocate memory" in str(error))
    return said or isinstance(error, (torch.OutOfMemoryError, MemoryError))


def _empty_cache() -> None:
    import torch

    if torch.cuda.is_available():
        with suppress(RuntimeError):  # the device may be in trouble: the next pass tells
            torch.cuda.empty_cache()
