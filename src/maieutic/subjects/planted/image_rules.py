"""Rules of planted image units: functions of annotations (things with boxes) and of pixels, one value a picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from maieutic.errors import UserError
from maieutic.subjects.base import raw
from maieutic.subjects.planted.rule import Rule, Truth

if TYPE_CHECKING:
    from PIL.Image import Image

#: key of ``Image.info`` under which annotations travel with the pixels
_NOTE = "maieutic.things"
Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Seen:
    """An image as rules see it: concept -> boxes (left, top, right, bottom; 0 to 1), and the picture."""

    boxes: Mapping[str, Sequence[Box]]
    picture: Callable[[], Image]


def seen(stimulus: Any) -> Seen:
    """Annotations and pixels of a ``Stimulus``, or of an image that carries them (``annotated``).

    Raises:
        UserError: a bare image, of which nothing is known.
    """
    things = getattr(stimulus, "things", None)
    tags: Sequence[str] = getattr(stimulus, "tags", ())
    if things is None:
        things, tags = getattr(stimulus, "info", {}).get(_NOTE, (None, ()))
    if things is None:
        raise UserError(
            "a planted image subject reads annotations: give it Stimulus objects, or harvest annotated(corpus)"
        )
    # tags say what a picture is about where nobody annotated things; beside things they may be about its making
    boxes: dict[str, list[Box]] = {} if things else {tag: [(0.0, 0.0, 1.0, 1.0)] for tag in tags}
    for thing in things:
        for concept in dict.fromkeys((thing.name, *thing.concepts)):
            boxes.setdefault(concept, []).append(thing.box)
    return Seen(boxes, lambda: cast("Image", raw(stimulus)))


def annotated(corpus: Any) -> Any:
    """The same corpus, with each picture carrying its annotations, so that planted subjects can read bare pictures."""

    def loader(stimulus: Any) -> Callable[[], Any]:
        def load() -> Any:
            picture = stimulus.content.copy()
            picture.info[_NOTE] = (stimulus.things, stimulus.tags)
            return picture

        return load

    return replace(corpus, stimuli=tuple(replace(s, load=loader(s)) for s in corpus.stimuli))


@dataclass(frozen=True)
class Shows(Rule):
    """Fires when any of ``any_of`` is in the picture, and all of ``and_also``, and none of ``and_not``."""

    any_of: tuple[str, ...]
    and_also: tuple[str, ...] = ()
    and_not: tuple[str, ...] = ()

    def truth(self, view: Seen) -> Truth:
        here = view.boxes
        on = (
            any(c in here for c in self.any_of)
            and all(c in here for c in self.and_also)
            and not any(c in here for c in self.and_not)
        )
        return np.array([float(on)])


@dataclass(frozen=True)
class ShowsAt(Rule):
    """Fires when the middle of a thing lies in one half of the picture."""

    concept: str
    half: str  # left, right, top, bottom

    def truth(self, view: Seen) -> Truth:
        on = False
        for left, top, right, bottom in view.boxes.get(self.concept, ()):
            x, y = (left + right) / 2, (top + bottom) / 2
            on = on or {"left": x < 0.5, "right": x > 0.5, "top": y < 0.5, "bottom": y > 0.5}[self.half]
        return np.array([float(on)])


@dataclass(frozen=True)
class Size(Rule):
    """Grows with the share of the picture that the largest such thing covers; 1 at ``full`` and above."""

    concept: str
    full: float

    def truth(self, view: Seen) -> Truth:
        areas = [(r - x) * (b - y) for x, y, r, b in view.boxes.get(self.concept, ())]
        return np.array([min(max(areas, default=0.0) / self.full, 1.0)])


@dataclass(frozen=True)
class Colour(Rule):
    """Grows with the share of pixels of a colour; 0 up to ``start``, 1 from ``full``."""

    colour: str  # red, green, blue
    start: float
    full: float

    def truth(self, view: Seen) -> Truth:
        share = colour_share(view.picture(), self.colour)
        return np.array([float(np.clip((share - self.start) / (self.full - self.start), 0.0, 1.0))])


def colour_share(picture: Image, colour: str) -> float:
    """Share of pixels in which one channel clearly leads the other two, on a 64 x 64 copy."""
    pixels = np.asarray(picture.convert("RGB").resize((64, 64)), dtype=np.float64)
    i = ("red", "green", "blue").index(colour)
    other = np.maximum(pixels[..., (i + 1) % 3], pixels[..., (i + 2) % 3])
    return float(((pixels[..., i] > 1.25 * other) & (pixels[..., i] > 60)).mean())
