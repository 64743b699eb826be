"""One shard of a harvest, done by whoever is asked to: a function of subject, corpus and shard alone.

A worker in another process prepares itself from a `Source`: names, or functions that can be pickled. What comes back is
plain data; only the driver writes files (`keeping`).

A stimulus that does not load, or for which the subject gives no finite values, is left out and counted with its reason. A
batch that fails is halved until the bad one stands alone; so is one for which the device has not enough memory. Errors of
use (an unknown site) and errors that are no ``UserError`` pass through: they say something about the program.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from maieutic.errors import StoreError, UsageError, UserError
from maieutic.harvest.plan import Batch, Shard
from maieutic.harvest.readable import Readable, line
from maieutic.harvest.readouts import Keeper, Readouts
from maieutic.harvest.sparse import Sparse, SparseRun, SparseWriter
from maieutic.harvest.summary import Limits, SiteSummary
from maieutic.stimuli.base import Corpus
from maieutic.subjects.base import Subject, Unit

if TYPE_CHECKING:
    import torch

    from maieutic.harvest.reduction import Reduction, Taken


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """How a worker in another process comes by the subject and the corpus of a harvest.

    Attributes:
        subject: a name for ``load_subject``, or a function without arguments that can be pickled.
        corpus: a name for ``load_corpus``, or such a function.
        size: of the corpus, where it is named.
    """

    subject: str | Callable[[], Subject]
    corpus: str | Callable[[], Corpus]
    size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a harvest is of; the same for all its shards.

    Attributes:
        sites: to be summarised, in the order asked for.
        widths: of those that are known.
        kept: units whose values are kept at every position.
        limits: see `Limits`.
        sparse: sites whose non-zeros are all kept, or ``None``.
    """

    sites: tuple[str, ...]
    widths: Mapping[str, int]
    kept: tuple[Unit, ...]
    limits: Limits
    sparse: Sparse | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardResult:
    """What a shard gives: summaries of discover by site (none where it holds no discover stimuli), readouts, what failed,
    and the non-zeros of sites that are kept sparsely.
    """

    number: int
    summaries: Mapping[str, SiteSummary]
    readouts: Readouts
    failed: Mapping[str, str]
    sparse: SparseRun | None = None


@dataclass(kw_only=True)
class Worker:
    """A worker's state: what `perform` reads with. ``step`` is called with the stimuli of each batch that is done."""

    subject: Subject
    corpus: Corpus
    order: Order
    step: Callable[[int], None] = field(default=lambda stimuli: None)


def prepare(*, source: Source, order: Order, subject: str, corpus: str) -> Worker:
    """A worker's state in another process.

    Args:
        source: where subject and corpus come from. order: what is harvested.
        subject, corpus: fingerprints of those meant.

    Raises:
        UserError: the source gives another subject or corpus.
    """
    from maieutic.stimuli.corpora import load_corpus
    from maieutic.subjects.registry import load_subject

    model = load_subject(source.subject) if isinstance(source.subject, str) else source.subject()
    texts = load_corpus(source.corpus, size=source.size) if isinstance(source.corpus, str) else source.corpus()
    for what, meant, given in (("subject", subject, model.fingerprint), ("corpus", corpus, texts.fingerprint)):
        if meant != given:
            raise UserError(
                f"a worker's {what} is another one than the driver's: give  harvest(…, source=Source(…))  functions that "
                "make the very same"
            )
    return Worker(subject=model, corpus=texts, order=order)


def perform(worker: Worker, shard: Shard) -> ShardResult:
    """Read one shard."""
    reading = _Reading(worker)
    for batch in shard.batches:
        reading.batch(batch)
        worker.step(len(batch.stimuli))
    return reading.result(shard)


class _Reading:
    """A shard under way."""

    def __init__(self, worker: Worker) -> None:
        self.worker, order = worker, worker.order
        self.keeper = Keeper.of(order.kept)
        self.reduction: Reduction | None = None
        self.readable = Readable(worker.subject.name)
        sparse = order.sparse
        self.sparse = None if sparse is None else _spool(sparse, order.widths)
        whole = () if sparse is None else sparse.sites
        self._kept_sites = tuple(dict.fromkeys((*(u.site for u in order.kept), *whole)))

    def batch(self, batch: Batch) -> None:
        """Read what can be read of a batch, so many stimuli at once as one pass takes."""
        loaded = {i: c for i in batch.stimuli if (c := self.readable.content(self.worker.corpus[i])) is not None}
        size, chosen = self.worker.subject.per_pass, list(loaded)
        for at in range(0, len(chosen), size):
            self._show(chosen[at : at + size], loaded, batch)
        self.readable.check_early()

    def result(self, shard: Shard) -> ShardResult:
        """What came of it."""
        return ShardResult(
            number=shard.number,
            summaries={} if self.reduction is None else self.reduction.summaries(),
            readouts=self.keeper.done(),
            failed=self.readable.failed,
            sparse=None if self.sparse is None else self.sparse.taken(),
        )

    def _show(self, stimuli: Sequence[int], loaded: Mapping[int, Any], batch: Batch) -> None:
        why = self._try(stimuli, loaded, batch)
        if why is None:
            return
        if len(stimuli) == 1:
            self.readable.failed[self.worker.corpus[stimuli[0]].id] = why
            return
        middle = len(stimuli) // 2
        for half in (stimuli[:middle], stimuli[middle:]):
            self._show(half, loaded, batch)

    def _try(self, stimuli: Sequence[int], loaded: Mapping[int, Any], batch: Batch) -> str | None:
        """One pass, into summaries and readouts; or why it failed, and then nothing has changed."""
        import torch

        taken = self._taken(stimuli, batch)
        sites = list(dict.fromkeys((*taken.summarised, *taken.copied)))
        try:
            self.worker.subject.stream([loaded[i] for i in stimuli], sites, taken)
            taken.finish()
        except (UsageError, StoreError):
            raise
        except UserError as error:
            return f"the subject could not read it ({line(error)})"
        except torch.cuda.OutOfMemoryError:
            why = "the device has not enough memory for it even alone"
        else:
            self._commit(taken)
            return None
        torch.cuda.empty_cache()  # outside the handler: the error holds on to the tensors of the pass
        return why

    def _taken(self, stimuli: Sequence[int], batch: Batch) -> Taken:
        from maieutic.harvest.reduction import LIMIT, Taken

        order, summarised = self.worker.order, batch.split == "discover"
        seeds = np.array([int(self.worker.corpus[i].id[:16], 16) for i in stimuli], np.uint64)
        return Taken(
            stimuli=tuple(stimuli),
            seeds=seeds,
            summarised=order.sites if summarised else (),
            copied=self._kept_sites,
            limit=LIMIT if self.reduction is None else self.reduction.limit,
            thinning=order.limits.thinning,
        )

    def _commit(self, taken: Taken) -> None:
        from maieutic.harvest.reduction import Reduction

        name, corpus = self.worker.subject.name, self.worker.corpus
        for place, site in taken.bad.items():
            self.readable.failed[corpus[taken.stimuli[place]].id] = f"{name} gave NaN or infinity at {site}"
        if self.reduction is None and taken.widths:
            self.reduction = Reduction(taken.widths, self.worker.order.limits)
        if self.reduction is not None:
            self.reduction.commit(taken)
        self.readable.read_so_far += len(taken.stimuli) - len(taken.bad)
        for places, lengths, values in taken.copies():
            self._keep(values, lengths=lengths, stimuli=[taken.stimuli[p] for p in places])
        if empty := taken.untaken():
            self._keep_empty([taken.stimuli[p] for p in empty])

    def _keep_empty(self, stimuli: Sequence[int]) -> None:
        """Stimuli without positions have readouts of length 0."""
        import torch

        widths = self.worker.order.widths
        nothing = {s: torch.zeros(len(stimuli), 0, widths.get(s, 0)) for s in self._kept_sites}
        self._keep(nothing, lengths=np.zeros(len(stimuli), np.int64), stimuli=stimuli)

    def _keep(self, values: Mapping[str, torch.Tensor], *, lengths: NDArray[np.int64], stimuli: Sequence[int]) -> None:
        self.keeper.add(values, lengths=lengths, stimuli=stimuli)
        for site in () if self.sparse is None else self.sparse.widths:
            assert self.sparse is not None
            self.sparse.add(site, values[site], lengths=lengths, stimuli=stimuli)


def _spool(sparse: Sparse, widths: Mapping[str, int]) -> SparseWriter:
    """Collects a shard's non-zeros in memory."""
    return SparseWriter(
        folder=None,
        widths={s: widths[s] for s in sparse.sites},
        threshold=sparse.threshold,
        precision=sparse.precision,
    )
