"""The library of picture material: cut-out stamps, photos and textures, prepared once from the data packages.

Preparing reads every original, trims stamps to their object, shrinks them to at most 256 px, names them, groups
near-duplicates and writes them (lossless) with one ``library.json`` into the cache (about 15 s once); opening reads
only that file. A package that is missing is said in the notes. What this module does not do: compose pictures.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from maieutic.errors import UserError
from maieutic.stimuli.base import Split, split_of
from maieutic.stimuli.packages import INSTALLED, PackageUnavailableError, Progress, cache_dir, ensure, writing_cache

if TYPE_CHECKING:
    from PIL.Image import Image

#: raise when the preparation changes, so that old caches are left alone
VERSION = 6
_PACKAGES = ("tuxpaint-stamps-default", "gcompris-qt-data", "gimp-data", "wordnet-base")


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One prepared picture.

    Attributes:
        key: unique name, ``stamp:animals/birds/owl``, ``photo:erase/gorilla``, ``texture:Stone/brick``.
        kind: ``stamp`` (an object on transparent ground), ``photo`` (a whole photo), ``texture`` (tileable).
        name: what a person calls it.
        concepts: name and what it is a kind of, specific to general.
        folders: the folders it lay in, outermost first.
        group: its cluster of near-duplicates and namesakes; decides its split.
        source: key into the library's attribution.
        file: path relative to the library's folder.
        size: width and height in pixels.
        hash: content digest of the prepared pixels.
    """

    key: str
    kind: Literal["stamp", "photo", "texture"]
    name: str
    concepts: tuple[str, ...]
    folders: tuple[str, ...]
    group: str
    source: str
    file: str
    size: tuple[int, int]
    hash: str

    @property
    def split(self) -> Split:
        return split_of(self.group)


@dataclass(frozen=True, kw_only=True)
class Library:
    """All prepared pictures by key, with their attribution; pictures are read from disk on demand and kept."""

    folder: Path
    pictures: Mapping[str, Picture] = field(repr=False)
    attribution: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    notes: tuple[str, ...] = ()
    fingerprint: str = ""

    def of(self, kind: str, split: Split | None = None) -> list[Picture]:
        """Pictures of a kind (and a split), in the order of their keys."""
        return [p for p in self.pictures.values() if p.kind == kind and (split is None or p.split == split)]

    def image(self, key: str) -> Image:
        """The picture's pixels: RGBA for a stamp, RGB otherwise. Do not change them: they are shared."""
        picture = self.pictures[key]
        return _read(self.folder / picture.file, "RGBA" if picture.kind == "stamp" else "RGB")

    def __hash__(self) -> int:
        return hash((self.folder, self.fingerprint))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Library) and (self.folder, self.fingerprint) == (other.folder, other.fingerprint)


@lru_cache(maxsize=2048)
def _read(path: Path, mode: str) -> Image:
    from PIL import Image as Pictures

    try:
        # an image format may drop the transparency of a picture that has none
        with Pictures.open(path) as image:
            return image.convert(mode)
    except (OSError, SyntaxError) as error:
        raise UserError(
            f"the picture library is damaged at {path}: delete {path.parent.parent} and run the command again"
        ) from error


def open_library(*, fetch: bool = True, progress: Progress | None = None) -> Library:
    """The prepared library; prepares it first when needed.

    Args:
        fetch: whether missing packages may be fetched (about 225 MB once).
        progress: called with short lines.

    Raises:
        UserError: no package with pictures is there.
    """
    roots: dict[str, Path] = {}
    notes: list[str] = []
    for name in _PACKAGES:
        try:
            roots[name] = ensure(name, fetch=fetch, progress=progress)
        except PackageUnavailableError as error:
            notes.append(str(error))
    if not set(roots) & {"tuxpaint-stamps-default", "gcompris-qt-data"}:
        raise UserError(
            f"there are no pictures yet: run  maieutic fetch, or give a folder of images ({' | '.join(notes[:2])})"
        )
    name = f"library-v{VERSION}-" + hashlib.sha256(_state(roots).encode()).hexdigest()[:10]
    folder = cache_dir() / name
    if not (folder / "library.json").is_file():
        with writing_cache(name):
            if not (folder / "library.json").is_file():
                _prepare(folder, roots, progress)
    return _load(folder, tuple(notes))


def _state(roots: Mapping[str, Path]) -> str:
    """What the library is made from; a new version of a package makes a new library."""
    versions = {n: (r / ".complete").read_text(encoding="utf-8") if r != INSTALLED else "/" for n, r in roots.items()}
    return json.dumps(versions, sort_keys=True)


def _prepare(folder: Path, roots: Mapping[str, Path], progress: Progress | None) -> None:
    from maieutic.stimuli.prepare import prepare

    if progress is not None:
        progress("preparing the picture library (once, about 15 s)")
    scratch = folder.with_name(folder.name + ".partial")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    pictures, attribution = prepare(scratch, roots)
    data = {"version": VERSION, "attribution": attribution, "pictures": [asdict(p) for p in pictures]}
    (scratch / "library.json").write_text(json.dumps(data, indent=0, sort_keys=True), encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    scratch.rename(folder)


@lru_cache(maxsize=4)
def _load(folder: Path, notes: tuple[str, ...]) -> Library:
    try:
        text = (folder / "library.json").read_text(encoding="utf-8")
        data = json.loads(text)
        pictures = {p.key: p for p in _pictures(data["pictures"])}
        attribution = data["attribution"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"the picture library is damaged ({error}): delete {folder} and run the command again"
        ) from error
    return Library(
        folder=folder,
        pictures=pictures,
        attribution=attribution,
        notes=notes,
        fingerprint=hashlib.sha256(text.encode()).hexdigest()[:16],
    )


def _pictures(rows: list[dict[str, Any]]) -> Iterator[Picture]:
    for row in rows:
        values: dict[str, Any] = {**row, **{k: tuple(row[k]) for k in ("concepts", "folders", "size")}}
        yield Picture(**values)
