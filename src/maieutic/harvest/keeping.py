"""The files of a harvest: shards that are done while it runs, and what it leaves.

``RUN/harvest/SUBJECT`` holds, while it runs, ``parts/NAME/`` (summaries of some shards, a file a site, and ``part.json``),
``parts/readouts/`` and ``parts/sparse/``. Every so many parts are merged into one, so that disk and memory stay flat; merging
is exact, so it does not matter which. In the end ``summary.N.safetensors`` a site, ``readouts.safetensors`` and ``sparse/``
stand beside ``done.json``, which is written last. Folders and files appear whole or not at all.

Only the driver writes here. What this module does not do: it reads no network and makes no summaries.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

from maieutic.errors import StoreError
from maieutic.harvest.readouts import Readouts
from maieutic.harvest.shards import ShardResult
from maieutic.harvest.sparse import SparseStore
from maieutic.harvest.summary import SiteSummary
from maieutic.store import disk_error, read_tensors, write_tensors, writing

#: parts that may stand side by side before they are merged
MOST_PARTS = 8
DONE = "done.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Merged shards on disk: their numbers, what failed in them, the sites summarised (in the order of their files)."""

    folder: Path
    shards: frozenset[int]
    failed: Mapping[str, str]
    sites: tuple[str, ...]

    def summary(self, number: int) -> SiteSummary:
        """Of the site with that number."""
        return read_summary(self.folder / f"{number}.safetensors")


class Parts:
    """Shards that are done, of one harvest."""

    def __init__(self, folder: Path, key: str, *, shards: int, kept: bool) -> None:
        """Those of this very harvest that a former process left; of another one: none, and its files go.

        Args:
            folder: ``RUN/harvest/SUBJECT``.
            key: of the harvest and of how it is cut into shards.
            shards: how many there are. kept: whether there are readouts.
        """
        self.folder, self.count, self.kept = folder / "parts", shards, kept
        plan = self.folder / "plan.json"
        if read_json(plan).get("key") != key:
            remove(self.folder)
            write_json(plan, {"key": key, "shards": shards})
        self.parts = self._found()

    def _found(self) -> list[Part]:
        """Largest first; a part whose shards stand in a larger one was merged by a process that was then killed."""
        parts: list[Part] = []
        for file in sorted(self.folder.glob("*/part.json")):
            note = read_json(file)
            shards = frozenset(int(n) for n in note["shards"])
            parts.append(Part(folder=file.parent, shards=shards, failed=note["failed"], sites=tuple(note["sites"])))
        out: list[Part] = []
        for part in sorted(parts, key=lambda p: (-len(p.shards), p.folder.name)):
            if any(part.shards <= larger.shards for larger in out):
                remove(part.folder)
            else:
                out.append(part)
        return out

    @property
    def done(self) -> set[int]:
        """Numbers of the shards that are done."""
        return {n for part in self.parts for n in part.shards}

    def add(self, result: ShardResult) -> None:
        """Keep a shard's result.

        Raises:
            StoreError: it cannot be written.
        """
        if self.kept:
            Readouts.joined([result.readouts], file=self._readouts(result.number))
        if result.sparse is not None:
            result.sparse.write(self.folder / "sparse", result.number, result.number + 1)
        summaries = iter(result.summaries.items())
        self.parts.append(self._write(f"{result.number:06d}", summaries, {result.number}, result.failed))
        if len(self.parts) >= MOST_PARTS:
            self._merge()

    def _merge(self) -> None:
        old = self.parts
        shards = {n for p in old for n in p.shards}
        failed = {k: v for p in old for k, v in p.failed.items()}
        # the name of a part of so many shards is that of no shard, so it replaces nothing
        self.parts = [self._write(f"first-{len(shards):06d}", self.summaries(), shards, failed)]
        for part in old:
            remove(part.folder)

    def _write(
        self, name: str, summaries: Iterator[tuple[str, SiteSummary]], shards: set[int], failed: Mapping[str, str]
    ) -> Part:
        target, temporary = self.folder / name, self.folder / f".{name}"
        remove(temporary)
        sites: list[str] = []
        for site, summary in summaries:
            write_tensors(temporary / f"{len(sites)}.safetensors", summary.arrays())
            sites.append(site)
        write_json(temporary / "part.json", {"shards": sorted(shards), "failed": dict(failed), "sites": sites})
        try:
            remove(target)
            temporary.replace(target)
        except OSError as error:
            raise disk_error(error, target) from error
        return Part(folder=target, shards=frozenset(shards), failed=failed, sites=tuple(sites))

    def summaries(self) -> Iterator[tuple[str, SiteSummary]]:
        """Each site with the summary of all parts, one site in memory at a time."""
        parts = [p for p in self.parts if p.sites]
        for number, site in enumerate(parts[0].sites if parts else ()):
            yield site, reduce(SiteSummary.merge, (p.summary(number) for p in parts))

    @property
    def failed(self) -> dict[str, str]:
        """What could not be read, stimulus id -> why."""
        return {k: v for part in self.parts for k, v in part.failed.items()}

    def readouts(self) -> Readouts | None:
        """Those of all shards as one file, in the order of the shards."""
        if not self.kept:
            return None
        parts = [Readouts.open(self._readouts(n)) for n in range(self.count)]
        return Readouts.joined(parts, file=self.folder.parent / "readouts.safetensors")

    def sparse(self) -> None:
        """Merge the non-zeros of all shards, in the order of the shards, into a store beside the summaries."""
        SparseStore.merged([self.folder / "sparse"], self.folder.parent / "sparse")

    def remove(self) -> None:
        """Remove them all, once the harvest is done."""
        remove(self.folder)

    def _readouts(self, number: int) -> Path:
        return self.folder / "readouts" / f"{number:06d}.safetensors"


class Sites(Mapping[str, SiteSummary]):
    """Summaries of a finished harvest, each read from its file when it is first asked for."""

    def __init__(self, folder: Path, sites: Sequence[str]) -> None:
        self._files = {site: folder / f"summary.{n}.safetensors" for n, site in enumerate(sites)}
        self._read: dict[str, SiteSummary] = {}

    def __getitem__(self, site: str) -> SiteSummary:
        if site not in self._read:
            self._read[site] = read_summary(self._files[site])
        return self._read[site]

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


def read_summary(file: Path) -> SiteSummary:
    """The summary in a file; ``StoreError`` when it is damaged or missing."""
    arrays, _ = read_tensors(file)
    try:
        return SiteSummary.from_arrays(arrays)
    except (KeyError, IndexError) as error:
        raise StoreError(f"{file} holds no summary: delete {file.parent} and run the harvest again") from error


def read_json(file: Path) -> dict[str, Any]:
    """The content of a JSON file; an empty mapping where there is none or it is damaged."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}  # pyright: ignore[reportUnknownVariableType]


def write_json(file: Path, content: Mapping[str, Any]) -> None:
    """Write JSON, whole."""
    with writing(file) as temporary:
        temporary.write_text(json.dumps(content, sort_keys=True, indent=1), encoding="utf-8")


def remove(folder: Path) -> None:
    """Remove a folder, if it is there; ``StoreError`` when it cannot be."""
    try:
        if folder.exists():
            shutil.rmtree(folder)
    except OSError as error:
        raise disk_error(error, folder) from error
