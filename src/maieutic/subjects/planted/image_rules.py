"""Rules of planted image units: functions of annotations (things with boxes), grounds and pixels, one value a picture.

What counts as green, busy or dark is defined here, by hue angles and gradients of a 64 x 64 copy, apart from what any
explainer uses. Combinations of rules are in `image_mixes`.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from maieutic.errors import UserError
from maieutic.subjects.base import raw
from maieutic.subjects.planted.rule import Rule, Truth

if TYPE_CHECKING:
    from PIL.Image import Image

#: key of ``Image.info`` under which annotations travel with the pixels
_NOTE = "maieutic.things"
#: side of the copy that colours and textures are read from
_SIDE = 64
_KEPT = 8000
Box = tuple[float, float, float, float]
Pixels = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Seen:
    """An image as rules see it.

    Attributes:
        boxes: concept -> boxes of its things (left, top, right, bottom; 0 to 1). The empty concept: every thing.
        picture: gives the pixels.
        ground: how the ground was made (``plain``, ``texture``, ``photo``); empty when unknown.
        inside: gives the exact pixels of the things, ``[height, width]``, or ``None`` when unknown.
    """

    boxes: Mapping[str, Sequence[Box]]
    picture: Callable[[], Image] = field(repr=False)
    ground: str = ""
    inside: Callable[[], Mask | None] = field(default=lambda: None, repr=False)

    @cached_property
    def pixels(self) -> Pixels:
        """RGB, ``[64, 64, 3]`` in [0, 1]."""
        return np.asarray(self.picture().convert("RGB").resize((_SIDE, _SIDE)), dtype=np.float64) / 255.0

    @cached_property
    def things(self) -> Mask:
        """Where things are, ``[64, 64]``: the exact mask, else their boxes."""
        exact = self.inside()
        if exact is not None:
            rows, columns = ((np.arange(_SIDE) * n) // _SIDE for n in exact.shape)
            return exact[np.ix_(rows, columns)]
        at = (np.arange(_SIDE) + 0.5) / _SIDE
        mask = np.zeros((_SIDE, _SIDE), dtype=bool)
        for left, top, right, bottom in self.boxes.get("", ()):
            mask |= ((at >= top) & (at < bottom))[:, None] & ((at >= left) & (at < right))[None]
        return mask

    @cached_property
    def hues(self) -> tuple[Pixels, Pixels, Pixels]:
        """Hue in degrees, saturation and value, ``[64, 64]`` each."""
        r, g, b = np.moveaxis(self.pixels, -1, 0)
        value, low = self.pixels.max(axis=-1), self.pixels.min(axis=-1)
        chroma = value - low
        safe = np.maximum(chroma, 1e-9)
        hue = np.where(
            value == r, ((g - b) / safe) % 6, np.where(value == g, (b - r) / safe + 2, (r - g) / safe + 4)
        )  # fmt: skip
        return 60.0 * hue, chroma / np.maximum(value, 1e-9), value

    @cached_property
    def tints(self) -> Mapping[tuple[str, str], float]:
        """Share of each colour in each region."""
        return tints(self.hues, self.things)

    def region(self, where: str) -> Mask:
        """``whole``, ``things`` or ``ground`` (what is not a thing), ``[64, 64]``."""
        if where == "whole":
            return np.ones((_SIDE, _SIDE), dtype=bool)
        return self.things if where == "things" else ~self.things


_seen: OrderedDict[Any, Seen] = OrderedDict()


def seen(stimulus: Any) -> Seen:
    """Annotations and pixels of a ``Stimulus``, or of an image that carries them (``annotated``).

    Raises:
        UserError: a bare image, of which nothing is known.
    """
    things = getattr(stimulus, "things", None)
    tags: Sequence[str] = getattr(stimulus, "tags", ())
    scene = getattr(stimulus, "scene", None)
    key = getattr(stimulus, "id", None)
    if things is None:
        things, tags, scene = getattr(stimulus, "info", {}).get(_NOTE, (None, (), None))
        if things is None:
            raise UserError(
                "a planted image subject reads annotations: give it Stimulus objects, or harvest annotated(corpus)"
            )
        # the digest by which stimuli are named: the same picture is looked at once
        key = hashlib.sha256(repr(stimulus.size).encode() + stimulus.convert("RGB").tobytes()).hexdigest()
    known = (key, things, tags, None if scene is None else scene.background.kind)
    if known not in _seen:
        _seen[known] = _looked_at(stimulus, things, tags, scene)
        if len(_seen) > _KEPT:
            _seen.popitem(last=False)
    return _seen[known]


def _looked_at(stimulus: Any, things: Sequence[Any], tags: Sequence[str], scene: Any) -> Seen:
    # tags say what a picture is about where nobody annotated things; beside things they may be about its making
    boxes: dict[str, list[Box]] = {} if things else {tag: [(0.0, 0.0, 1.0, 1.0)] for tag in tags}
    for thing in things:
        for concept in dict.fromkeys(("", thing.name, *thing.concepts)):
            boxes.setdefault(concept, []).append(thing.box)
    tagged = next((t.partition(":")[2] for t in tags if t in _GROUND_TAGS), "")
    return Seen(
        boxes,
        lambda: cast("Image", raw(stimulus)),
        ground=tagged if scene is None else scene.background.kind,
        inside=lambda: None if scene is None else scene.mask(),
    )


_GROUND_TAGS = frozenset({"background:plain", "background:texture", "background:photo"})


def annotated(corpus: Any) -> Any:
    """The same corpus, with each picture carrying its annotations, so that planted subjects can read bare pictures."""

    def loader(stimulus: Any) -> Callable[[], Any]:
        def load() -> Any:
            picture = stimulus.content.copy()
            picture.info[_NOTE] = (stimulus.things, stimulus.tags, stimulus.scene)
            return picture

        return load

    return replace(corpus, stimuli=tuple(replace(s, load=loader(s)) for s in corpus.stimuli))


def _one(value: float) -> Truth:
    return np.array([0.0 if value < 0 else 1.0 if value > 1 else float(value)])


# --- things --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shows(Rule):
    """Fires when any of ``any_of`` is in the picture, and all of ``and_also``, and none of ``and_not``."""

    any_of: tuple[str, ...]
    and_also: tuple[str, ...] = ()
    and_not: tuple[str, ...] = ()

    def truth(self, view: Seen) -> Truth:
        here = view.boxes
        return _one(
            any(c in here for c in self.any_of)
            and all(c in here for c in self.and_also)
            and not any(c in here for c in self.and_not)
        )


@dataclass(frozen=True)
class ShowsAt(Rule):
    """Fires when the middle of a thing lies in one half of the picture, or within a quarter of its centre."""

    concept: str
    half: str  # left, right, top, bottom, centre

    def truth(self, view: Seen) -> Truth:
        return _one(any(_lies(box, self.half) for box in view.boxes.get(self.concept, ())))


def _lies(box: Box, half: str) -> bool:
    x, y = _middle(box)
    if half == "centre":
        return abs(x - 0.5) < 0.25 and abs(y - 0.5) < 0.25
    return {"left": x < 0.5, "right": x >= 0.5, "top": y < 0.5, "bottom": y >= 0.5}[half]


def _middle(box: Box) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


@dataclass(frozen=True)
class Related(Rule):
    """Fires when a thing ``a`` is ``left of``, ``right of``, ``above`` or ``below`` a thing ``b``, or touches it (``on``)."""

    a: str
    relation: str
    b: str

    def truth(self, view: Seen) -> Truth:
        pairs = [(p, q) for p in view.boxes.get(self.a, ()) for q in view.boxes.get(self.b, ()) if p != q]
        return _one(any(self._holds(p, q) for p, q in pairs))

    def _holds(self, p: Box, q: Box) -> bool:
        (x, y), (u, v) = _middle(p), _middle(q)
        if self.relation == "on":
            return min(p[2], q[2]) > max(p[0], q[0]) and min(p[3], q[3]) > max(p[1], q[1])
        return {"left of": x < u, "right of": x > u, "above": y < v, "below": y > v}[self.relation]


@dataclass(frozen=True)
class Size(Rule):
    """Grows with the share of the picture that the largest such thing covers; 1 at ``full`` and above."""

    concept: str
    full: float

    def truth(self, view: Seen) -> Truth:
        areas = [(r - x) * (b - y) for x, y, r, b in view.boxes.get(self.concept, ())]
        return _one(max(areas, default=0.0) / self.full)


@dataclass(frozen=True)
class Number(Rule):
    """Grows with the number of such things; 1 at ``full`` and above."""

    concept: str
    full: int

    def truth(self, view: Seen) -> Truth:
        return _one(len(view.boxes.get(self.concept, ())) / self.full)


@dataclass(frozen=True)
class Shaped(Rule):
    """Fires when such a thing is ``tall`` or ``wide``: one side of its box at least 1.6 times the other."""

    concept: str
    shape: str  # tall, wide

    def truth(self, view: Seen) -> Truth:
        for left, top, right, bottom in view.boxes.get(self.concept, ()):
            w, h = right - left, bottom - top
            if (h >= 1.6 * w) if self.shape == "tall" else (w >= 1.6 * h):
                return _one(1.0)
        return _one(0.0)


# --- grounds and pixels ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ground(Rule):
    """Fires on pictures whose ground is ``plain``, a ``texture`` or a blurred ``photo``."""

    kind: str

    def truth(self, view: Seen) -> Truth:
        return _one(view.ground == self.kind)


@dataclass(frozen=True)
class Colour(Rule):
    """Grows with the share of pixels in which one channel leads; 0 up to ``start``, 1 from ``full``."""

    colour: str  # red, green, blue
    start: float
    full: float

    def truth(self, view: Seen) -> Truth:
        share = led(view.pixels, self.colour)
        return _one((share - self.start) / (self.full - self.start))


def colour_share(picture: Image, colour: str) -> float:
    """Share of pixels in which one channel clearly leads the other two, on a 64 x 64 copy."""
    return led(Seen({}, lambda: picture).pixels, colour)


def led(pixels: Pixels, colour: str, *, lead: float = 1.25) -> float:
    """The same of RGB in [0, 1], ``[height, width, 3]``; ``lead``: how far the channel is above the next."""
    i = ("red", "green", "blue").index(colour)
    other = np.maximum(pixels[..., (i + 1) % 3], pixels[..., (i + 2) % 3])
    return float(((pixels[..., i] > lead * other) & (pixels[..., i] > 60 / 255)).mean())


#: hue angles of the colours that a person calls by these names when they are vivid, degrees
HUES: Mapping[str, tuple[float, float]] = {
    "red": (345, 375), "orange": (15, 42), "yellow": (42, 70), "green": (70, 170), "blue": (170, 258),
    "purple": (258, 320), "pink": (320, 345),
}  # fmt: skip
#: all colours that a tint may have
COLOURS = (*HUES, "black", "white", "grey")
#: weights of red, green and blue in what looks bright
_EYE = np.array([0.2126, 0.7152, 0.0722])


@dataclass(frozen=True)
class Tint(Rule):
    """Grows with the share of a colour in the ``whole``, its ``things`` or the ``ground``: 0 at ``start``, 1 at ``full``.

    With ``start`` equal to ``full`` it is on or off.
    """

    colour: str
    where: str
    start: float
    full: float

    def truth(self, view: Seen) -> Truth:
        return ramped(tinted(view, self.colour, self.where), self.start, self.full)


def tinted(view: Seen, colour: str, where: str) -> float:
    """Share of a region with the colour, 0 to 1: by hue where vivid; black, white and grey by value."""
    return view.tints[colour, where]


def tints(
    hues: tuple[Pixels, Pixels, Pixels], things: Mask, *, vivid: float = 0.35, turn: float = 0.0
) -> dict[tuple[str, str], float]:
    """The share of every colour in every region; 0 in a region without pixels.

    ``vivid`` is the least saturation of a hue, ``turn`` is added to all hues, degrees.
    """
    hue, saturation, value = (hues[0] + turn) % 360, hues[1], hues[2]
    # bounds of hue angles, the first colour also from 345 on
    edges = [15.0, *(high for _, high in list(HUES.values())[1:])]
    number = np.searchsorted(edges, hue, side="right") % len(HUES)
    number = np.where((saturation >= vivid) & (value >= 0.25), number, len(COLOURS))
    pale = saturation < 0.15 + (vivid - 0.35) / 2
    for i, found in enumerate(
        (value < 0.2 - (vivid - 0.35) / 4, pale & (value > 0.85), pale & (value >= 0.2) & (value <= 0.85))
    ):
        number = np.where(found, len(HUES) + i, number)
    inside = np.bincount(number[things], minlength=len(COLOURS) + 1)
    whole = np.bincount(number.ravel(), minlength=len(COLOURS) + 1)
    counts = {"whole": whole, "things": inside, "ground": whole - inside}
    return {
        (colour, where): float(row[i] / max(int(row.sum()), 1))
        for where, row in counts.items()
        for i, colour in enumerate(COLOURS)
    }


@dataclass(frozen=True)
class Light(Rule):
    """Grows with the mean brightness of a region from ``start`` to ``full`` (falls when ``start`` is the higher)."""

    where: str
    start: float
    full: float

    def truth(self, view: Seen) -> Truth:
        return ramped(lightness(view, self.where), self.start, self.full)


def lightness(view: Seen, where: str) -> float:
    """Mean brightness of a region as an eye weighs the three channels, 0 to 1."""
    region = view.region(where)
    return float((view.pixels[region] @ _EYE).mean()) if region.any() else 0.0


@dataclass(frozen=True)
class Busy(Rule):
    """Grows with how much neighbouring pixels of a region differ, from ``start`` to ``full`` (or falls)."""

    where: str
    start: float
    full: float

    def truth(self, view: Seen) -> Truth:
        return ramped(busyness(view, self.where), self.start, self.full)


def busyness(view: Seen, where: str) -> float:
    """Mean absolute difference to the pixel on the right and below, 0 to 1."""
    grey = view.pixels.mean(axis=-1)
    steps = np.abs(np.diff(grey, axis=1, append=grey[:, -1:])) + np.abs(np.diff(grey, axis=0, append=grey[-1:]))
    region = view.region(where)
    return float(steps[region].mean()) if region.any() else 0.0


def ramped(value: float, start: float, full: float) -> Truth:
    """0 at ``start``, 1 at ``full``; on or off when they are equal."""
    return _one(value >= full) if start == full else _one((value - start) / (full - start))
