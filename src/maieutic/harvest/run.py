"""The harvest: one pass of a corpus through a subject, all sites at once, into an Atlas.

The corpus is cut into shards (`plan`), each is read by whoever is free (`shards`), and what they give is merged (`keeping`,
`summary`). Merging is exact, so one process, several, and a harvest that was killed and run again end with the same bytes.
Only the discover split feeds summaries and exemplars; the other splits are read for the kept units alone.

A stimulus that does not load, or for which the subject gives no finite values, is left out and counted with its reason
(``Atlas.failed``), so that one bad file does not cost a night; when most are like that, the harvest stops.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from maieutic.errors import StoreError, UsageError, UserError
from maieutic.executors import Broken, Executor, Work
from maieutic.harvest.atlas import Atlas, Observed
from maieutic.harvest.keeping import DONE, Parts, Sites, read_json, write_json
from maieutic.harvest.plan import Shard, plan, shards
from maieutic.harvest.readable import Readable
from maieutic.harvest.readouts import Readouts, column
from maieutic.harvest.shards import Order, ShardResult, Source, Worker, perform
from maieutic.harvest.sparse import Sparse
from maieutic.harvest.summary import Limits, SiteSummary
from maieutic.stimuli.base import SPLITS, Corpus, Split
from maieutic.store import locked, write_rows, write_table, write_tensors
from maieutic.subjects.base import Subject, Unit

#: called with (stimuli done, stimuli in all)
Progress = Callable[[int, int], None]
#: rises when the contents of a harvest change for the same inputs
HARVEST_VERSION = 2
#: units whose exemplars are in memory at once while they are written
AT_ONCE = 4096


def harvest(
    subject: Subject,
    corpus: Corpus,
    sites: Sequence[str],
    *,
    run: str | Path | None = None,
    keep: Sequence[Unit] | None = None,
    progress: Progress | None = None,
    executor: Executor | None = None,
    source: Source | None = None,
    sparse: Sparse | None = None,
) -> Atlas:
    """Pass a corpus through a subject once and summarise every unit of the sites.

    Args:
        subject: the model.
        corpus: what to show it; of the subject's modality.
        sites: names of the hook points.
        run: folder to keep the result in, and shards that are done (``RUN/harvest/SUBJECT``); ``None``: memory only.
        keep: units whose value at every position of all three splits is kept (explaining and scoring them is then free
            of forward passes). Image subjects keep every unit by default, one value an image.
        progress: called after every batch; with an executor after every shard.
        executor: who reads the shards; ``None``: this process.
        source: how workers of an executor come by subject and corpus; their names otherwise.
        sparse: sites (of ``sites``) whose every non-zero over all three splits is kept, sorted by unit, in
            ``RUN/harvest/SUBJECT/sparse`` (`SparseStore`); needs ``run``.

    Returns:
        The atlas. A finished harvest with the same subject, corpus and settings is read back instead of repeated.

    Raises:
        UsageError: unknown site, empty corpus, wrong modality.
        StoreError: the folder holds a harvest with other settings, cannot be written, or another process harvests into it.
        UserError: most stimuli cannot be loaded, or the subject gives NaN, infinity or an error for most of them; or workers
            cannot make subject and corpus, or were lost.
    """
    _check(subject, corpus, sites)
    _check_sparse(subject, sites, sparse, run)
    kept = tuple(_default_keep(subject, sites) if keep is None else keep)
    folder = None if run is None else Path(run) / "harvest" / slug(subject.name)
    key = fingerprint(subject, corpus, sites, kept, sparse=sparse)
    if folder is not None and (folder / DONE).exists():  # which a read-only disk may hold
        return load_atlas(subject, corpus, folder, key=key)
    order = _order(subject, sites, kept, sparse)
    with nullcontext() if folder is None else _alone(folder):
        if folder is not None and (folder / DONE).exists():  # by the process that has just let go of it
            return load_atlas(subject, corpus, folder, key=key)
        return _harvested(subject, corpus, order, folder, key, progress=progress, executor=executor, source=source)


@contextmanager
def _alone(folder: Path) -> Generator[None]:
    """No other process harvests into this folder meanwhile."""
    lock = locked(folder)
    try:
        yield
    finally:
        lock.release()


def _order(subject: Subject, sites: Sequence[str], kept: tuple[Unit, ...], sparse: Sparse | None) -> Order:
    widths = {s: subject.site(s).width for s in sites}
    return Order(
        sites=tuple(dict.fromkeys(sites)),
        widths={s: w for s, w in widths.items() if w is not None},
        kept=kept,
        limits=Limits.of(list(widths.values())),
        sparse=sparse,
    )


def _harvested(
    subject: Subject,
    corpus: Corpus,
    order: Order,
    folder: Path | None,
    key: str,
    *,
    progress: Progress | None,
    executor: Executor | None,
    source: Source | None,
) -> Atlas:
    """Read what is not read yet, and finish."""
    kept = order.kept
    readable = Readable(subject.name)
    batches = plan(
        corpus, batch_size=subject.batch_size, everything=bool(kept or order.sparse), content=readable.content
    )
    jobs = shards(batches, modality=corpus.modality, units=sum(order.widths.values()))
    results = (
        _Memory(kept) if folder is None else Parts(folder, f"{key} {_cut(jobs)}", shards=len(jobs), kept=bool(kept))
    )
    _perform(subject, corpus, order, jobs, results, _Told(progress, jobs, results.done), executor, source)
    readable.failed |= dict(sorted(results.failed.items()))
    readable.check(sum(j.stimuli for j in jobs), discover=corpus.split("discover"))
    return _finish(subject, corpus, order, results, readable, folder, key)


def _cut(jobs: Sequence[Shard]) -> str:
    """Digest of how the corpus is cut into shards."""
    parts = [[b.stimuli for b in job.batches] for job in jobs]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


class _Memory:
    """Results of shards where there is no folder: merged as they come."""

    def __init__(self, kept: Sequence[Unit]) -> None:
        self.done: set[int] = set()
        self.failed: dict[str, str] = {}
        self._kept = kept
        self._sites: dict[str, SiteSummary] = {}
        self._readouts: dict[int, Readouts] = {}

    def add(self, result: ShardResult) -> None:
        """Take a shard's result."""
        for site, summary in result.summaries.items():
            before = self._sites.get(site)
            self._sites[site] = summary if before is None else before.merge(summary)
        self._readouts[result.number] = result.readouts
        self.failed |= result.failed
        self.done.add(result.number)

    def summaries(self) -> Iterator[tuple[str, SiteSummary]]:
        """Each site with its summary."""
        yield from self._sites.items()

    def readouts(self) -> Readouts | None:
        """Those of all shards in their order."""
        return Readouts.joined([self._readouts[n] for n in sorted(self._readouts)]) if self._kept else None

    def remove(self) -> None:
        """Nothing is left behind."""


@dataclass(kw_only=False)
class _Told:
    """Tells progress in stimuli."""

    progress: Progress | None
    jobs: Sequence[Shard]
    finished: set[int]

    def __post_init__(self) -> None:
        self.total = sum(j.stimuli for j in self.jobs)
        self.done = sum(j.stimuli for j in self.jobs if j.number in self.finished)

    def __call__(self, stimuli: int) -> None:
        """So many more are done."""
        self.done += stimuli
        if self.progress is not None:
            self.progress(self.done, self.total)


def _perform(
    subject: Subject,
    corpus: Corpus,
    order: Order,
    jobs: Sequence[Shard],
    results: Parts | _Memory,
    told: _Told,
    executor: Executor | None,
    source: Source | None,
) -> None:
    """Read the shards that are not done yet."""
    jobs = [j for j in jobs if j.number not in results.done]
    if executor is None:
        worker = Worker(subject=subject, corpus=corpus, order=order, step=told)
        for job in jobs:
            results.add(perform(worker, job))
        return
    source = source or Source(subject=subject.name, corpus=corpus.name)
    arguments = {"source": source, "order": order, "subject": subject.fingerprint, "corpus": corpus.fingerprint}
    work = Work(
        prepare="maieutic.harvest.shards:prepare",
        perform="maieutic.harvest.shards:perform",
        arguments=arguments,
        state=Worker(subject=subject, corpus=corpus, order=order) if executor.name == "in-process" else None,
    )
    broken: list[Broken] = []
    with closing(executor.run(work, jobs)) as endings:  # pyright: ignore[reportArgumentType]
        for ending in endings:
            if isinstance(ending, Broken):
                broken.append(ending)
                continue
            results.add(ending.result)
            told(jobs[ending.index].stimuli)
    if broken:
        raise UserError(
            f"{len(broken)} of {len(jobs)} shards of the harvest of {subject.name} failed, the first because "
            f"{broken[0].reason}: put that right and run the same command again, what is done is kept"
        )


def _finish(
    subject: Subject,
    corpus: Corpus,
    order: Order,
    results: Parts | _Memory,
    readable: Readable,
    folder: Path | None,
    key: str,
) -> Atlas:
    """Merge what the shards gave, and write it."""
    readouts = results.readouts()
    if folder is None:
        return _atlas(subject, corpus, dict(_summaries(results, order)), readouts, readable)
    sites: list[str] = []
    for site, summary in _summaries(results, order):
        write_tensors(folder / f"summary.{len(sites)}.safetensors", summary.arrays())
        _write_tables(folder, corpus, site, summary)
        sites.append(site)
    if order.sparse is not None and isinstance(results, Parts):
        results.sparse()
    note = {
        "key": key,
        "sites": sites,
        "kept": readouts is not None,
        "failed": readable.failed,
        "subject": subject.fingerprint,
        "corpus": corpus.fingerprint,
    }
    write_json(folder / DONE, note)
    results.remove()
    return _atlas(subject, corpus, Sites(folder, sites), readouts, readable)


def _summaries(results: Parts | _Memory, order: Order) -> Iterator[tuple[str, SiteSummary]]:
    """Each site with its summary, in the order asked for; of nothing where no stimulus had a position."""
    nothing = ((s, SiteSummary.empty(w, order.limits)) for s, w in order.widths.items())
    first = next(found := results.summaries(), None)
    if first is None:
        yield from nothing
        return
    yield first
    yield from found


def load_atlas(subject: Subject, corpus: Corpus, folder: Path, *, key: str | None = None) -> Atlas:
    """Read a finished harvest back; ``StoreError`` when it was made with another subject, corpus or settings."""
    note = read_json(folder / DONE)
    if not note:
        raise StoreError(f"{folder} holds no finished harvest: run the harvest again")
    if key is not None and note["key"] != key:
        raise StoreError(
            f"{folder} was harvested with other settings (model, corpus, sites or kept units): use another --run"
        )
    if note["corpus"] != corpus.fingerprint or note["subject"] != subject.fingerprint:
        what = "corpus" if note["corpus"] != corpus.fingerprint else "model"
        raise StoreError(
            f"the {what} is not the one {folder} was harvested with: harvest again into a new --run folder"
        )
    readouts = Readouts.open(folder / "readouts.safetensors") if note["kept"] else None
    readable = Readable(subject.name, failed=dict(note["failed"]))
    return _atlas(subject, corpus, Sites(folder, note["sites"]), readouts, readable)


def slug(name: str) -> str:
    """A name as a folder name."""
    safe = "".join(c if c.isalnum() or c in "-._" else "-" for c in name).strip("-.")
    return safe if safe == name else f"{safe[:60]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def fingerprint(
    subject: Subject, corpus: Corpus, sites: Sequence[str], kept: Sequence[Unit], *, sparse: Sparse | None = None
) -> str:
    """Digest of everything that decides a harvest's contents."""
    units = [(column(u), "" if u.vector is None else hashlib.sha256(u.vector.tobytes()).hexdigest()[:16]) for u in kept]
    parts: list[Any] = [
        HARVEST_VERSION,
        subject.fingerprint,
        corpus.fingerprint,
        list(sites),
        units,
        subject.batch_size,
    ]
    if sparse is not None:
        parts.append([list(sparse.sites), sparse.threshold, sparse.precision])
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _check(subject: Subject, corpus: Corpus, sites: Sequence[str]) -> None:
    if not sites:
        raise UsageError(f"no sites named: choose from  maieutic models {subject.name}")
    for site in sites:
        subject.site(site)
    if corpus.modality != subject.modality:
        raise UsageError(
            f"{subject.name} reads {subject.modality}, the corpus {corpus.name} is {corpus.modality}: choose another --corpus"
        )
    if not corpus.split("discover"):
        raise UsageError(
            f"the corpus {corpus.name} has no discover stimuli ({len(corpus)} in all): give it more documents"
        )


def _check_sparse(subject: Subject, sites: Sequence[str], sparse: Sparse | None, run: str | Path | None) -> None:
    if sparse is None:
        return
    if run is None:
        raise UsageError("non-zeros are kept in files: give the harvest a folder with run=…")
    if not sparse.sites or not set(sparse.sites) <= set(sites):
        raise UsageError(f"sparse sites are some of those harvested ({', '.join(sites)}): name one of them")
    if unknown := [s for s in sparse.sites if subject.site(s).width is None]:
        raise UsageError(f"{subject.name} does not say how many units {unknown[0]} has: leave it out of sparse=…")


def _default_keep(subject: Subject, sites: Sequence[str]) -> list[Unit]:
    if subject.modality == "text" and any(subject.site(s).width != 1 for s in sites):
        return []
    widths = {s: subject.site(s).width for s in sites}
    return [subject.unit(s, i) for s, width in widths.items() for i in range(width or 0)]


def _atlas(
    subject: Subject,
    corpus: Corpus,
    summaries: Mapping[str, SiteSummary],
    readouts: Readouts | None,
    readable: Readable,
) -> Atlas:
    indices = {split: [i for i, s in enumerate(corpus.stimuli) if s.split == split] for split in SPLITS}

    def observe(unit: Unit, split: Split) -> Sequence[Observed]:
        chosen = [i for i in indices[split] if corpus[i].id not in readable.failed]
        if readouts is not None and readouts.has(unit):
            values = dict(zip(chosen, readouts.read(unit, chosen), strict=True))
        else:
            values = {i: unit.sign * v for i, v in _measured(replace(unit, sign=1), split).items()}
        return [Observed(corpus[i], values[i]) for i in chosen if i in values]

    @lru_cache(maxsize=64)
    def _measured(unit: Unit, split: Split) -> dict[int, Any]:
        chosen = [i for i in indices[split] if corpus[i].id not in readable.failed]
        found = readable.read(subject, [corpus[i] for i in chosen], unit)
        return {chosen[k]: v for k, v in found.items()}

    return Atlas(subject=subject.name, corpus=corpus, sites=summaries, observe=observe, failed=readable.failed)


def _write_tables(folder: Path, corpus: Corpus, site: str, s: SiteSummary) -> None:
    """Statistics and exemplars of a site as Parquet, for other tools."""
    count = max(s.count, 1)
    mean = s.total / count
    write_table(
        folder / f"statistics.{slug(site)}.parquet",
        {
            "unit": np.arange(s.units),
            "positions": np.full(s.units, s.count),
            "mean": mean,
            "std": np.sqrt(np.maximum(s.total_sq / count - mean**2, 0)),
            "min": s.minimum,
            "max": s.maximum,
        },
    )
    ids = np.array([x.id for x in corpus.stimuli])
    blocks = (slice(low, low + AT_ONCE) for low in range(0, max(s.units, 1), AT_ONCE))
    write_rows(folder / f"exemplars.{slug(site)}.parquet", (_exemplar_columns(ids, s, block) for block in blocks))


def _exemplar_columns(ids: Any, s: SiteSummary, block: slice) -> dict[str, Any]:
    """Exemplars of some units, unit by unit: highest first, then lowest first."""
    value, stimulus, position = (
        np.concatenate([getattr(s, f"{tail}_{name}")[block] for tail in ("top", "low")], axis=1)
        for name in ("value", "stimulus", "position")
    )
    unit, place = np.nonzero(stimulus >= 0)
    top = s.top_value.shape[1]
    return {
        "unit": unit + block.start,
        "tail": np.where(place < top, "top", "low"),
        "rank": place % top,
        "stimulus": ids[stimulus[unit, place]],
        "position": position[unit, place],
        "value": value[unit, place],
    }
