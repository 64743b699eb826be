"""The studio: looks stamps and photos up by what they show, and composes new scenes, inside one split.

``Studio(split="discover").paste("gorilla", "#808080")`` is a scene; explainers get a studio of their own split, so
none of their experiments can touch what scorers use. What this module does not do: draw what is not in the library.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from maieutic.errors import UsageError, did_you_mean
from maieutic.stimuli.base import SPLITS, Split, Thing, split_of
from maieutic.stimuli.library import Library, Picture, open_library
from maieutic.stimuli.scenes import SIZE, Background, Placement, Scene, find_texture

#: grounds without texture: muted, from dark to light; each belongs to one split by hash, as everything else
PLAIN_COLOURS: tuple[str, ...] = (
    "#d9d4c7", "#b8c4bb", "#8fa3ad", "#c9b8a8", "#7d8471", "#a5978b", "#dfe3e6", "#6b7a8f", "#94b0a2", "#bfa6a0",
    "#5f6b5a", "#c4cdd6", "#e3dccb", "#8a7f8d", "#a9b18f", "#75868a", "#d0c0c8", "#9c8f78", "#b3bfc9", "#68736b",
    "#cfd8c8", "#847a6e", "#a0a8b8", "#e0d0c0",
)  # fmt: skip
#: how far a stamp may be enlarged before it looks like a blur
_ENLARGE = 2.5


@dataclass(frozen=True, kw_only=True)
class Studio:
    """Pictures of one split (``None``: all), and scenes made of them.

    Attributes:
        split: whose material may be used.
        library: the picture library; opened (and prepared, and fetched) when not given.
        seed: of the choices made when a background, place or scale is left open.
    """

    split: Split | None = "discover"
    library: Library = field(default_factory=open_library, repr=False)
    seed: int = 0

    # --- looking up ------------------------------------------------------------------------------------------------
    def stamps(self, concept: str | None = None) -> list[Picture]:
        """Stamps that fall under a concept (``bird``), or all; in the order of their keys."""
        return [p for p in self.library.of("stamp", self.split) if concept is None or shows(p, concept)]

    def photos(self, concept: str | None = None) -> list[Picture]:
        """Whole photos that fall under a concept, or all."""
        return [p for p in self.library.of("photo", self.split) if concept is None or shows(p, concept)]

    def textures(self) -> list[Picture]:
        """Tileable textures."""
        return self.library.of("texture", self.split)

    def concepts(self, *, at_least: int = 1) -> dict[str, int]:
        """Concepts of the stamps → how many stamps fall under each, most frequent first."""
        counts = Counter(c for p in self.stamps() for c in dict.fromkeys(p.concepts))
        return {c: n for c, n in sorted(counts.items(), key=lambda item: (-item[1], item[0])) if n >= at_least}

    def find(self, what: str | Thing | Picture) -> list[Picture]:
        """Stamps for a key, a name, a concept or a thing: namesakes first, then everything under the concept.

        Raises:
            UsageError: nothing in this split shows it; names the nearest concept.
        """
        if isinstance(what, Picture):
            return [self._allowed(what)]
        word = what.name if isinstance(what, Thing) else what
        if word in self.library.pictures:
            return [self._allowed(self.library.pictures[word])]
        matching = self.stamps(word)
        if not matching:
            known = self.concepts()
            where = f" in the {self.split} split" if self.split else ""
            raise UsageError(
                f"no stamp shows {word!r}{where}{did_you_mean(word, known)}: choose one of {len(known)} concepts, "
                f"as in  {', '.join(list(known)[:5]) or 'none; run  maieutic fetch'}"
            )
        wanted = normal(word)
        return sorted(matching, key=lambda p: (normal(p.name) != wanted, p.key))

    def backgrounds(self, *, seed: int = 0) -> list[Background]:
        """One background of every texture, landscape photo and plain colour of this split, with seeded crops."""
        found: list[Background] = []
        # monuments and landscapes make grounds; a close-up of an animal or a tool would be a second object
        photos = self.photos()
        views = [p for p in photos if p.folders[:1] == ("town",)] or photos
        for picture in (*self.textures(), *views):
            found.append(background_of(picture, rng(seed, picture.key)))
        for colour in PLAIN_COLOURS:
            if self.split is None or split_of(f"plain {colour}") == self.split:
                found.append(Background(kind="plain", key=colour, shade=0.15))
        return found

    def background(self, what: Background | str | None = None) -> Background:
        """A background by colour (``#808080``), texture or photo name or key; ``None``: one chosen by the seed."""
        if isinstance(what, Background):
            return what
        if what is None:
            every = self.backgrounds(seed=self.seed)
            if not every:
                return Background(kind="plain", key="#808080")
            return every[int(rng(self.seed, "background").integers(len(every)))]
        if what.startswith("#"):
            return Background(kind="plain", key=what)
        for picture in (*self.textures(), *self.photos()):
            if what in (picture.key, picture.key.partition(":")[2], picture.name):
                return background_of(picture, rng(self.seed, picture.key))
        return background_of(self.library.pictures[find_texture(self.library, what)], rng(self.seed, what))

    # --- composing -------------------------------------------------------------------------------------------------
    def paste(
        self,
        what: str | Thing | Picture,
        background: Background | str | None = None,
        *,
        x: float = 0.5,
        y: float = 0.5,
        scale: float = 0.7,
        flip: bool = False,
        which: int = 0,
    ) -> Scene:
        """A new scene with one object.

        Args:
            what: a stamp's key or name, a concept, or a thing seen in another stimulus.
            background: see ``background``.
            x, y: centre of the object, fractions of the frame; it is moved inwards when it would be cut off.
            scale: its longest side as a fraction of the frame; small stamps are not enlarged beyond 2.5 times.
            flip: mirrored.
            which: which of the stamps that fit (see ``find``), modulo their number.
        """
        stamps = self.find(what)
        placement = place(stamps[which % len(stamps)], x=x, y=y, scale=scale, flip=flip)
        return Scene(background=self.background(background), placements=(placement,), library=self.library)

    def add(
        self, scene: Scene, what: str | Thing | Picture, *, x: float, y: float, scale: float = 0.35, which: int = 0
    ) -> Scene:
        """One more object in front of a scene."""
        stamps = self.find(what)
        return scene.plus(place(stamps[which % len(stamps)], x=x, y=y, scale=scale))

    def empty(self, background: Background | str | None = None) -> Scene:
        """A background without any object: the control for everything pasted on it."""
        return Scene(background=self.background(background), library=self.library)

    def _allowed(self, picture: Picture) -> Picture:
        if self.split is not None and picture.split != self.split:
            raise UsageError(
                f"{picture.key} belongs to the {picture.split} split, this studio works in {self.split}: choose another"
            )
        return picture


def normal(word: str) -> str:
    """A word for comparison: lower case, no plural s."""
    word = word.strip().lower().replace("_", " ")
    return word[:-1] if word.endswith("s") and not word.endswith(("ss", "us")) else word


def shows(picture: Picture, concept: str) -> bool:
    """Whether a picture's name or one of its concepts is that concept (case and plural aside)."""
    wanted = normal(concept)
    return any(normal(c) == wanted for c in (picture.name, *picture.concepts))


def rng(seed: int, *what: str) -> np.random.Generator:
    """A generator for one purpose: the same for the same seed and words, whatever else is drawn."""
    digest = hashlib.sha256(f"{seed}|{'|'.join(what)}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big"))


def background_of(picture: Picture, draw: np.random.Generator) -> Background:
    """A texture tiled, or a blurred crop of a photo (blurred so that what the photo shows is not a second object)."""
    x, y = (round(float(v), 3) for v in draw.random(2))
    if picture.kind == "texture":
        # tiles of about their own size up to twice that: larger ones look smeared
        zoom = min(1.0, max(picture.size) * float(draw.uniform(1.0, 2.0)) / SIZE)
        return Background(kind="texture", key=picture.key, zoom=round(zoom, 3), x=x, y=y)
    zoom, blur = round(float(draw.uniform(0.35, 0.75)), 3), round(float(draw.uniform(3.5, 7.0)), 2)
    return Background(kind="photo", key=picture.key, zoom=zoom, x=x, y=y, blur=blur)


def place(picture: Picture, *, x: float, y: float, scale: float, flip: bool = False) -> Placement:
    """A placement whose object is not cut off by the frame nor enlarged beyond 2.5 times."""
    scale = min(scale, _ENLARGE * max(picture.size) / SIZE, 1.0)
    width, height = (scale * side / max(picture.size) for side in picture.size)
    x = min(max(x, width / 2), 1 - width / 2)
    y = min(max(y, height / 2), 1 - height / 2)
    return Placement(stamp=picture.key, x=round(x, 4), y=round(y, 4), scale=round(scale, 4), flip=flip)


def all_studios(library: Library, *, seed: int = 0) -> dict[Split, Studio]:
    """One studio for each split."""
    return {split: Studio(split=split, library=library, seed=seed) for split in SPLITS}
