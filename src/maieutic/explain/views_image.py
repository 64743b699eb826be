"""What an image predicate reads: the concepts an image shows, where they are, and its visual features.

Concepts come from annotations (things and tags of a ``Stimulus``), or from a *reader* (a network that names what a
picture shows) when a picture has none. Nothing here decides what a unit means, and nothing guesses: a concept that
nobody annotated is an error, not "absent".
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

import numpy as np
from numpy.typing import NDArray

from maieutic.errors import UserError
from maieutic.explain.leaves_image import Leaves, predicted
from maieutic.explain.looks import LEAST, load_looks, save_looks
from maieutic.explain.predicates.base import Predicate
from maieutic.explain.predicates.image_pixels import INDEX, SIDE, pixel_features
from maieutic.stimuli.base import Corpus, Stimulus, Thing
from maieutic.stimuli.scenes import image_id

if TYPE_CHECKING:
    from PIL.Image import Image

    from maieutic.subjects.base import Subject

Box = tuple[float, float, float, float]
Reader = Callable[["Image"], Mapping[str, float]]
#: tags that say how a picture was made, kept beside annotated things
KINDS = frozenset({"photo", "several", "background:texture", "background:photo", "background:plain"})
#: lists of pictures of which columns are kept: the splits, and those of them that a network could not read whole
_LISTS = 6
_NO_NAMES = (
    "nothing is known of what this picture shows: pass Stimulus objects with tags or things, pictures of the corpus, "
    "or bind the explanation to ImageViewer(subject, corpus, reader=...)"
)


@dataclass(frozen=True, kw_only=True)
class ImageView:
    """One image, as predicates see it.

    Attributes:
        shares: per concept the share of the image that its largest thing covers (a tag: 1), or ``None`` when unknown.
        things: annotated things with boxes.
        pixels: gives the visual features ``[feature]`` (see ``image_pixels.NAMES``), computed on first use.
    """

    shares: Mapping[str, float] | None
    things: tuple[Thing, ...] = ()
    pixels: Callable[[], NDArray[np.float32]] = field(repr=False)

    def __len__(self) -> int:
        return 1

    def share(self, concept: str) -> float:
        """Share of the image covered by the concept, 0 to 1; ``UserError`` when the picture has no annotation."""
        if self.shares is None:
            raise UserError(_NO_NAMES)
        return self.shares.get(concept, 0.0)

    def boxes(self, concept: str) -> list[Box]:
        """Boxes of the things that fall under the concept."""
        if self.shares is None:
            raise UserError(_NO_NAMES)
        return [t.box for t in self.things if concept in t.concepts]

    def feature(self, name: str) -> float:
        """A visual feature by name, 0 to 1."""
        return float(self.pixels()[INDEX[name]])


def area(box: Box) -> float:
    """Share of the image inside a box."""
    return max(box[2] - box[0], 0.0) * max(box[3] - box[1], 0.0)


def shares_of(stimulus: Stimulus) -> dict[str, float]:
    """Concepts of the stimulus' things and its tags, with the largest share of the image that each covers.

    Where things are annotated, folder tags are left out (they repeat the concepts, and do not follow edits), and so are
    names of backgrounds: no background stands on two sides of a split, so its name could never be confirmed.
    """
    tags = [t for t in stimulus.tags if not stimulus.things or t in KINDS]
    shares = dict.fromkeys(tags, 1.0)
    for thing in stimulus.things:
        for concept in thing.concepts or (thing.name,):
            shares[concept] = max(shares.get(concept, 0.0), area(thing.box))
    return shares


class ImageViewer:
    """Turns a ``Stimulus`` or a PIL image into an ``ImageView``. Visual features are kept for the last ``keep`` images.

    Args:
        subject: not read; part of the viewer contract (text viewers need its tokens).
        corpus: where annotations of plain PIL images are looked up, by their pixels.
        reader: names what a picture shows, concept -> share or probability; asked for pictures without annotations.
        keep: images whose features are kept, about 700 bytes each.
    """

    modality: ClassVar[Literal["image"]] = "image"

    def __init__(
        self,
        subject: Subject | None = None,
        corpus: Corpus | None = None,
        *,
        reader: Reader | None = None,
        keep: int = 50_000,
    ) -> None:
        self.reader, self._keep = reader, keep
        self._features: OrderedDict[str, NDArray[np.float32]] = OrderedDict()
        self._corpus, self._new = corpus, 0
        self._lists: OrderedDict[tuple[int, ...], tuple[tuple[Any, ...], Leaves]] = OrderedDict()
        self._loaded = False

    def __call__(self, stimulus: Any, /) -> ImageView:
        found = stimulus if isinstance(stimulus, Stimulus) else self._looked_up(stimulus)
        if found is None:
            image = cast("Image", stimulus)
            key = image_id(image)
            shares = None if self.reader is None else dict(self.reader(image))
            return ImageView(shares=shares, pixels=lambda: self._pixels(key, lambda: pixel_features(image, None)))
        shares = shares_of(found)
        if not shares and not found.things and self.reader is not None:
            shares = dict(self.reader(found.content))
        known = bool(shares) or found.scene is not None
        return ImageView(
            shares=shares if known else None,
            things=found.things,
            pixels=lambda: self._pixels(found.id, lambda: pixel_features(found.content, _mask(found))),
        )

    def predict(self, predicate: Predicate, stimuli: Sequence[Any]) -> NDArray[np.float64]:
        """What ``predicate.evaluate`` gives on each of the images, ``[image]``, to the bit.

        What predicates name is kept for the last lists of pictures of the corpus that were asked about (its splits), so
        that further labels on them cost next to nothing.
        """
        found = predicted(predicate, self._leaves(stimuli))
        self.keep_features()
        return found

    def keep_features(self) -> None:
        """Leave the features of the corpus' pictures to other processes, when many are new."""
        if self._corpus is not None and self._new >= LEAST:
            save_looks(self._corpus, self._features)
            self._new = 0

    def _leaves(self, stimuli: Sequence[Any]) -> Leaves:
        key = tuple(map(id, stimuli))
        if key in self._lists:
            self._lists.move_to_end(key)
            return self._lists[key][1]
        leaves = Leaves([self(s) for s in stimuli], dtype=np.float64)
        if all(isinstance(s, Stimulus) and self._corpus_has(s) for s in stimuli):  # fresh pictures are not kept alive
            self._lists[key] = tuple(stimuli), leaves  # the pictures too, so that their ids stay their own
            while len(self._lists) > _LISTS:
                self._lists.popitem(last=False)
        return leaves

    def _corpus_has(self, stimulus: Stimulus) -> bool:
        return self._by_id.get(stimulus.id) == stimulus

    @cached_property
    def _by_id(self) -> Mapping[str, Stimulus]:
        return {} if self._corpus is None else {s.id: s for s in self._corpus.stimuli}

    def _looked_up(self, image: Any) -> Stimulus | None:
        """The corpus' stimulus with exactly these pixels."""
        return self._by_id.get(image_id(image)) if self._corpus is not None else None

    def _pixels(self, key: str, compute: Callable[[], NDArray[np.float32]]) -> NDArray[np.float32]:
        if not self._loaded:
            self._loaded = True
            self._features |= {} if self._corpus is None else load_looks(self._corpus)
        if key in self._features:
            self._features.move_to_end(key)
            return self._features[key]
        row = self._features[key] = compute()
        self._new += key in self._by_id
        if len(self._features) > self._keep:
            self._features.popitem(last=False)
        return row


def _mask(stimulus: Stimulus) -> NDArray[np.bool_] | None:
    """``[64, 64]`` pixels of the things: the exact mask where the scene has one, else their boxes."""
    exact = stimulus.mask()
    if exact is not None:
        return mask_at(exact)
    partial = [t.box for t in stimulus.things if area(t.box) < 0.95]
    if not partial:
        return None
    y, x = (np.mgrid[0:SIDE, 0:SIDE] + 0.5) / SIDE
    inside = np.zeros((SIDE, SIDE), dtype=bool)
    for left, top, right, bottom in partial:
        inside |= (x >= left) & (x < right) & (y >= top) & (y < bottom)
    return inside


def mask_at(exact: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A mask of any size at ``[64, 64]``, each pixel read at its middle."""
    ys, xs = (np.arange(SIDE) * n // SIDE + n // (2 * SIDE) for n in exact.shape[:2])
    return exact[np.ix_(np.minimum(ys, exact.shape[0] - 1), np.minimum(xs, exact.shape[1] - 1))]


_viewers: OrderedDict[str, ImageViewer] = OrderedDict()


def shared_viewer(subject: Subject | None, corpus: Corpus) -> ImageViewer:
    """One viewer a corpus and process, so that features are computed once for all units; the last two are kept."""
    key = f"{corpus.name}:{corpus.fingerprint}"
    if key not in _viewers:
        _viewers[key] = ImageViewer(subject, corpus)
    _viewers.move_to_end(key)
    while len(_viewers) > 2:
        _viewers.popitem(last=False)
    return _viewers[key]
