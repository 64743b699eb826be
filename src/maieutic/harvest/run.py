"""The harvest: one pass of a corpus through a subject, all sites at once, into an Atlas.

Streaming and resumable: a checkpoint holds the summaries, the readouts so far and the number of the next batch, and the
plan of batches depends on the corpus alone, so a harvest that was killed and run again ends with the same bytes. Only
the discover split feeds summaries and exemplars; the other splits are read for the kept units alone.

A stimulus that does not load, or for which the subject gives no finite values, is left out and counted with its reason
(``Atlas.failed``), so that one bad file does not cost a night; when most are like that, the harvest stops.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from maieutic.errors import StoreError, UsageError
from maieutic.harvest.atlas import Atlas, Observed
from maieutic.harvest.readable import Readable
from maieutic.harvest.readouts import Keeper, Readouts, column
from maieutic.harvest.summary import SiteSummary
from maieutic.stimuli.base import SPLITS, Corpus, Split
from maieutic.store import read_tensors, write_table, write_tensors
from maieutic.subjects.base import Subject, Unit
from maieutic.subjects.reading import plan_batches

#: called with (stimuli done, stimuli in all)
Progress = Callable[[int, int], None]
#: seconds between checkpoints
CHECKPOINT_EVERY = 15.0
#: good enough to plan batches by, without tokenising twice
CHARACTERS_PER_TOKEN = 4
#: rises when the contents of a harvest change for the same inputs
HARVEST_VERSION = 1


@dataclass(frozen=True, slots=True)
class _Batch:
    split: Split
    stimuli: tuple[int, ...]


def harvest(
    subject: Subject,
    corpus: Corpus,
    sites: Sequence[str],
    *,
    run: str | Path | None = None,
    keep: Sequence[Unit] | None = None,
    progress: Progress | None = None,
    checkpoint_every: float = CHECKPOINT_EVERY,
) -> Atlas:
    """Pass a corpus through a subject once and summarise every unit of the sites.

    Args:
        subject: the model.
        corpus: what to show it; of the subject's modality.
        sites: names of the hook points.
        run: folder to keep the result and the checkpoints in (``RUN/harvest/SUBJECT``); ``None``: memory only.
        keep: units whose value at every position of all three splits is kept (explaining and scoring them is then free
            of forward passes). Image subjects keep every unit by default, one value an image.
        progress: called after every batch.
        checkpoint_every: seconds between checkpoints.

    Returns:
        The atlas. A finished harvest with the same subject, corpus and settings is read back instead of repeated.

    Raises:
        UsageError: unknown site, empty corpus, wrong modality.
        StoreError: the folder holds a harvest with other settings, or cannot be written.
        UserError: most stimuli cannot be loaded, or the subject gives NaN, infinity or an error for most of them.
    """
    _check(subject, corpus, sites)
    kept = tuple(_default_keep(subject, sites) if keep is None else keep)
    folder = None if run is None else Path(run) / "harvest" / slug(subject.name)
    key = fingerprint(subject, corpus, sites, kept)
    if folder is not None and (folder / "done.safetensors").exists():
        return load_atlas(subject, corpus, folder, key=key)
    state = _State.resume(folder, key, subject, corpus, sites, kept)
    batches = _plan(subject, corpus, state.readable, everything=bool(kept))
    total, last = sum(len(b.stimuli) for b in batches), time.monotonic()
    for number in range(state.next, len(batches)):
        _read_batch(subject, corpus, sites, batches[number], state)
        state.next = number + 1
        if progress is not None:
            progress(sum(len(b.stimuli) for b in batches[: state.next]), total)
        if folder is not None and time.monotonic() - last > checkpoint_every:
            state.write(folder / "checkpoint.safetensors", key)
            last = time.monotonic()
    state.readable.check(sum(len(b.stimuli) for b in batches), discover=corpus.split("discover"))
    readouts = state.keeper.done()
    if folder is not None:
        _write_tables(folder, corpus, state.summaries)
        state.write(folder / "done.safetensors", key)
        (folder / "checkpoint.safetensors").unlink(missing_ok=True)
    return _atlas(subject, corpus, state.summaries, readouts, state.readable)


def load_atlas(subject: Subject, corpus: Corpus, folder: Path, *, key: str | None = None) -> Atlas:
    """Read a finished harvest back; ``StoreError`` when it was made with another subject, corpus or settings."""
    arrays, note = read_tensors(folder / "done.safetensors")
    if key is not None and note["key"] != key:
        raise StoreError(
            f"{folder} was harvested with other settings (model, corpus, sites or kept units): use another --run"
        )
    if note["corpus"] != corpus.fingerprint or note["subject"] != subject.fingerprint:
        what = "corpus" if note["corpus"] != corpus.fingerprint else "model"
        raise StoreError(
            f"the {what} is not the one {folder} was harvested with: harvest again into a new --run folder"
        )
    state = _State.from_arrays(arrays, note, ())
    return _atlas(subject, corpus, state.summaries, _readouts(arrays, note), state.readable)


def slug(name: str) -> str:
    """A name as a folder name."""
    safe = "".join(c if c.isalnum() or c in "-._" else "-" for c in name).strip("-.")
    return safe if safe == name else f"{safe[:60]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def fingerprint(subject: Subject, corpus: Corpus, sites: Sequence[str], kept: Sequence[Unit]) -> str:
    """Digest of everything that decides a harvest's contents."""
    units = [(column(u), "" if u.vector is None else hashlib.sha256(u.vector.tobytes()).hexdigest()[:16]) for u in kept]
    parts = [HARVEST_VERSION, subject.fingerprint, corpus.fingerprint, list(sites), units, subject.batch_size]
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


def _default_keep(subject: Subject, sites: Sequence[str]) -> list[Unit]:
    if subject.modality == "text" and any(subject.site(s).width != 1 for s in sites):
        return []
    widths = {s: subject.site(s).width for s in sites}
    return [subject.unit(s, i) for s, width in widths.items() for i in range(width or 0)]


def _plan(subject: Subject, corpus: Corpus, readable: Readable, *, everything: bool) -> list[_Batch]:
    """Batches of one split each, stimuli of like length together; the same for the same corpus.

    Texts are loaded here, to know their lengths; those that do not load are left out.
    """
    out: list[_Batch] = []
    for split in SPLITS if everything else SPLITS[:1]:
        chosen = [i for i, s in enumerate(corpus.stimuli) if s.split == split]
        lengths = [1] * len(chosen)
        if corpus.modality == "text":
            texts = {i: text for i in chosen if (text := readable.content(corpus[i])) is not None}
            chosen = list(texts)
            lengths = [len(text) // CHARACTERS_PER_TOKEN + 1 for text in texts.values()]
        out += [_Batch(split, tuple(chosen[j] for j in b)) for b in plan_batches(lengths, subject.batch_size)]
    return out


def _read_batch(subject: Subject, corpus: Corpus, sites: Sequence[str], batch: _Batch, state: _State) -> None:
    """Read what can be read of a batch into the summaries and the kept readouts."""
    read = state.readable.forward(subject, [corpus[i] for i in batch.stimuli], sites)
    if not read.kept:
        return
    chosen = [batch.stimuli[i] for i in read.kept]
    values = {s: v if v.ndim == 3 else v[:, None, :] for s, v in read.values.items()}
    if batch.split == "discover":
        for site in sites:
            if site not in state.summaries:
                state.summaries[site] = SiteSummary.empty(values[site].shape[2])
            ids = [corpus[i].id for i in chosen]
            state.summaries[site].add(values[site], lengths=read.lengths, stimuli=chosen, ids=ids)
    state.keeper.add(values, lengths=read.lengths, stimuli=chosen)


@dataclass(kw_only=True)
class _State:
    """What a checkpoint holds."""

    next: int
    summaries: dict[str, SiteSummary]
    keeper: Keeper
    about: dict[str, Any]
    readable: Readable

    @classmethod
    def resume(
        cls, folder: Path | None, key: str, subject: Subject, corpus: Corpus, sites: Sequence[str], kept: Sequence[Unit]
    ) -> _State:
        """The checkpoint of this very harvest, or a fresh start."""
        file = None if folder is None else folder / "checkpoint.safetensors"
        if file is not None and file.exists():
            arrays, note = read_tensors(file)
            if note["key"] == key:
                return cls.from_arrays(arrays, note, kept)
        widths = {s: subject.site(s).width for s in sites}
        summaries = {s: SiteSummary.empty(width) for s, width in widths.items() if width is not None}
        about = {"subject": subject.fingerprint, "corpus": corpus.fingerprint}
        return cls(next=0, summaries=summaries, keeper=Keeper.of(kept), about=about, readable=Readable(subject.name))

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any], note: Mapping[str, Any], kept: Sequence[Unit]) -> _State:
        summaries = {
            site: SiteSummary.from_arrays({k.partition("|")[2]: v for k, v in arrays.items() if k.startswith(f"{n}|")})
            for n, site in enumerate(note["sites"])
        }
        keeper, about = Keeper.of(kept, _readouts(arrays, note)), {k: note[k] for k in ("subject", "corpus")}
        readable = Readable("the subject", failed=dict(note.get("failed", {})))
        return cls(next=note["next"], summaries=summaries, keeper=keeper, about=about, readable=readable)

    def write(self, file: Path, key: str) -> None:
        readouts, sites = self.keeper.done(), list(self.summaries)
        arrays = {f"readouts|{k}": v for k, v in readouts.arrays().items()}
        for n, site in enumerate(sites):
            arrays |= {f"{n}|{k}": v for k, v in self.summaries[site].arrays().items()}
        write_tensors(
            file,
            arrays,
            note={
                "key": key,
                "next": self.next,
                "sites": sites,
                "columns": list(readouts.columns),
                "failed": dict(sorted(self.readable.failed.items())),
                **self.about,
            },  # fmt: skip
        )


def _readouts(arrays: Mapping[str, Any], note: Mapping[str, Any]) -> Readouts:
    parts = {name: arrays[f"readouts|{name}"] for name in ("stimulus", "lengths", "values")}
    return Readouts.from_arrays(note["columns"], parts)


def _atlas(
    subject: Subject, corpus: Corpus, summaries: Mapping[str, SiteSummary], readouts: Readouts, readable: Readable
) -> Atlas:
    indices = {split: [i for i, s in enumerate(corpus.stimuli) if s.split == split] for split in SPLITS}

    def observe(unit: Unit, split: Split) -> Sequence[Observed]:
        chosen = [i for i in indices[split] if corpus[i].id not in readable.failed]
        if readouts.has(unit):
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


def _write_tables(folder: Path, corpus: Corpus, summaries: Mapping[str, SiteSummary]) -> None:
    """Statistics and exemplars as Parquet, for other tools."""
    for site, s in summaries.items():
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
        tails = [
            _exemplar_columns(corpus, tail, *arrays)
            for tail, arrays in (
                ("top", (s.top_value, s.top_stimulus, s.top_position)),
                ("low", (s.low_value, s.low_stimulus, s.low_position)),
            )
        ]
        columns = {name: np.concatenate([t[name] for t in tails]) for name in tails[0]}
        write_table(folder / f"exemplars.{slug(site)}.parquet", columns)


def _exemplar_columns(corpus: Corpus, tail: str, value: Any, stimulus: Any, position: Any) -> dict[str, Any]:
    unit, rank = np.nonzero(stimulus >= 0)
    ids = np.array([s.id for s in corpus.stimuli])
    return {
        "unit": unit,
        "tail": np.full(len(unit), tail),
        "rank": rank,
        "stimulus": ids[stimulus[unit, rank]],
        "position": position[unit, rank],
        "value": value[unit, rank],
    }
