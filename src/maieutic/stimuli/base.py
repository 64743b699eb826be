"""Stimulus and Corpus: what is shown, where it came from, and the fixed three-way split.

``discover`` is what explainers see; ``select`` chooses thresholds and predicates; ``test`` is read by scorers only.
The split is a function of the content hash of a stimulus' *group* (a document, a photo stamp, a cluster of
near-duplicates), so nothing shared stands on two sides. Nothing here reads a network.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    pass

Split = Literal["discover", "select", "test"]
SPLITS: tuple[Split, ...] = ("discover", "select", "test")
#: cumulative shares: half to discover, a fifth to select, the rest to test
SPLIT_EDGES = (0.50, 0.70, 1.00)


def split_of(group: str) -> Split:
    """The split of a group, by hash: the same on every machine, whatever else the corpus holds."""
    share = int.from_bytes(hashlib.sha256(b"maieutic-split:" + group.encode()).digest()[:8], "big") / 2**64
    return next(s for s, edge in zip(SPLITS, SPLIT_EDGES, strict=True) if share < edge)


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """An object seen in an image: its name, every concept it falls under, and where it is.

    Attributes:
        name: what a person calls it (``gorilla``).
        concepts: name and hypernyms, specific to general (``gorilla, ape, primate, mammal, animal``).
        box: left, top, right, bottom in fractions of the image, 0 to 1.
    """

    name: str
    concepts: tuple[str, ...]
    box: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True, kw_only=True)
class Stimulus:
    """One text or one image.

    Attributes:
        id: hex digest of the content (the UTF-8 text, or the RGB pixels with their size).
        modality: ``text`` or ``image``.
        group: what it must share a split with (document, stamp, near-duplicate cluster).
        split: from ``group``.
        tags: free labels (topic of a passage, folder names).
        things: annotated objects of an image (empty when unknown).
        scene: how the image was composed (`stimuli.scenes.Scene`), so that it can be edited exactly; ``None``: a photo.
        source: licence and origin key into ``Corpus.attribution``.
        load: gives the content; called lazily, so a corpus of images stays on disk.
    """

    id: str
    modality: Literal["text", "image"]
    load: Callable[[], Any] = field(repr=False, compare=False)
    group: str = ""
    split: Split = "discover"
    tags: tuple[str, ...] = ()
    things: tuple[Thing, ...] = ()
    scene: Any = field(default=None, repr=False, compare=False)
    source: str = ""

    @property
    def content(self) -> Any:
        """The string, or the RGB ``PIL.Image``."""
        return self.load()

    def mask(self) -> NDArray[np.bool_] | None:
        """Pixels of the annotated things, ``[height, width]``, when the scene knows them."""
        return None if self.scene is None else self.scene.mask()


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """A named set of stimuli of one modality, already split. Iterate, index, or take ``corpus.split("discover")``."""

    name: str
    modality: Literal["text", "image"]
    stimuli: Sequence[Stimulus]
    attribution: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @classmethod
    def from_texts(
        cls,
        texts: Iterable[str],
        *,
        tags: Sequence[str | Sequence[str]] | None = None,
        documents: Sequence[str] | None = None,
        name: str = "texts",
        window: int | None = None,
        size: int | None = None,
    ) -> Corpus:
        """A corpus of texts, each one stimulus; see `stimuli.user.from_texts`."""
        from maieutic.stimuli.user import from_texts

        return from_texts(texts, tags=tags, documents=documents, name=name, window=window, size=size)

    @classmethod
    def from_images(
        cls,
        images: Iterable[Any],
        *,
        tags: Sequence[str | Sequence[str]] | None = None,
        documents: Sequence[str] | None = None,
        name: str = "images",
        size: int | None = None,
    ) -> Corpus:
        """A corpus of PIL images, paths or arrays; see `stimuli.user.from_images`."""
        from maieutic.stimuli.user import from_images

        return from_images(images, tags=tags, documents=documents, name=name, size=size)

    def __len__(self) -> int:
        return len(self.stimuli)

    def __iter__(self) -> Iterator[Stimulus]:
        return iter(self.stimuli)

    @overload
    def __getitem__(self, i: int) -> Stimulus: ...
    @overload
    def __getitem__(self, i: slice) -> Sequence[Stimulus]: ...
    def __getitem__(self, i: int | slice) -> Stimulus | Sequence[Stimulus]:
        return self.stimuli[i]

    def split(self, name: Split) -> list[Stimulus]:
        """The stimuli of one split, in order."""
        return [s for s in self.stimuli if s.split == name]

    @cached_property
    def fingerprint(self) -> str:
        """Digest over ids, groups and splits, in order; computed once, since a corpus does not change."""
        digest = hashlib.sha256()
        for s in self.stimuli:
            digest.update(f"{s.id}\t{s.group}\t{s.split}\n".encode())
        return digest.hexdigest()[:16]
