"""The pictures of the planted image network: drawn shapes, concepts with exact truth, and the law of the classes.

A picture holds one or two things (a shape in a colour, plain or striped) on a light, muted ground. Truth is a function of the
annotations alone, of any picture: each thing says its shape, its colour and whether it is striped, and where it is.
What this module does not do: it holds no network and no corpus; the seed only deals shapes and colours out to roles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from maieutic.subjects.planted.network_law import Law

Box = tuple[float, float, float, float]
#: side of the network's input in pixels
SIDE = 24
_COLOURS = {
    "red": (214, 39, 40), "green": (44, 150, 44), "blue": (40, 70, 200), "yellow": (240, 215, 40),
    "purple": (140, 60, 170), "orange": (250, 140, 20), "pink": (245, 150, 195), "turquoise": (40, 195, 190),
}  # fmt: skip
#: colours of things that no concept is about
_PLAIN_COLOURS = {"brown": (95, 65, 45), "black": (20, 20, 20), "grey": (75, 75, 80)}
#: shapes that differ at a glance: the network is small
_SHAPES = ("bar", "cross", "pillar", "ring", "square", "triangle")


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A thing in a picture: what it looks like, and where it is (centre and size in fractions of the frame)."""

    shape: str
    colour: str
    striped: bool = False
    x: float = 0.5
    y: float = 0.5
    scale: float = 0.4
    turn: float = 0.0

    @property
    def name(self) -> str:
        """``striped red ring``."""
        return f"{'striped ' if self.striped else ''}{self.colour} {self.shape}"

    @property
    def concepts(self) -> tuple[str, ...]:
        """What it falls under, the whole name first."""
        return (self.name, self.shape, self.colour, *(("striped",) if self.striped else ()))

    @property
    def box(self) -> Box:
        half = self.scale / 2
        return (self.x - half, self.y - half, self.x + half, self.y + half)


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A ground of one colour, darker at the bottom by ``shade``, with things on it."""

    ground: tuple[int, int, int]
    shade: float
    things: tuple[Drawn, ...]

    def render(self, side: int = SIDE) -> Image.Image:
        """The RGB picture, drawn at four times the size and scaled down."""
        light = np.linspace(1.0, 1.0 - self.shade, side)[:, None, None]
        canvas = Image.fromarray((np.ones((side, side, 1)) * light * np.array(self.ground)).astype(np.uint8))
        for thing in self.things:
            stamp = draw(thing, max(2, round(thing.scale * side)))
            corner = (round(thing.x * side - stamp.width / 2), round(thing.y * side - stamp.height / 2))
            canvas.paste(stamp, corner, stamp)
        return canvas


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureConcept:
    """A condition on the things of a picture; true when some thing meets it.

    Attributes:
        name, kind, about: for people; kinds are ``single``, ``or``, ``and_not``, ``positional``, ``idle``.
        any_of: a thing falls under one of these.
        unless: and no thing of the picture falls under this.
        top: and that thing's centre is in the top half.
    """

    name: str
    kind: str
    about: str
    any_of: tuple[str, ...]
    unless: str = ""
    top: bool = False

    @property
    def involved(self) -> tuple[str, ...]:
        return (*self.any_of, *((self.unless,) if self.unless else ()))

    def truth(self, things: Sequence[Any]) -> float:
        """1 or 0 for the annotated things (anything with ``concepts`` and ``box``) of a picture."""
        if any(self.unless in t.concepts for t in things):
            return 0.0
        return float(any(self._met(t) for t in things))

    def _met(self, thing: Any) -> bool:
        _, top, _, bottom = thing.box
        return any(c in thing.concepts for c in self.any_of) and (not self.top or (top + bottom) / 2 < 0.5)


@dataclass(frozen=True, kw_only=True)
class Gallery:
    """Concepts of a seed, the classes that they raise, and how pictures are drawn.

    Attributes:
        concepts: planted concepts.
        classes: names of the network's outputs; the last is ``something else``.
        raises: per concept the classes that it raises; empty for an idle one.
    """

    concepts: tuple[PictureConcept, ...]
    classes: tuple[str, ...]
    raises: tuple[tuple[int, ...], ...]

    @cached_property
    def law(self) -> Law:
        """Class probabilities from the strengths of the concepts."""
        n = len(self.classes)
        background = np.full(n, 0.2 / (n - 1))
        background[-1] = 0.8
        return Law.of(background, self.raises)

    def strengths(self, things: Sequence[Sequence[Any]]) -> NDArray[np.float64]:
        """Truth of every concept, ``[picture, concept]``."""
        return np.array([[c.truth(t) for c in self.concepts] for t in things]).reshape(-1, len(self.concepts))

    def near_misses(self, things: Sequence[Sequence[Any]]) -> NDArray[np.bool_]:
        """Where a concept's own things are shown but its further conditions fail, ``[picture, concept]``."""
        shown = [[any(w in t.concepts for t in row for w in c.any_of) for c in self.concepts] for row in things]
        return np.array(shown, dtype=bool).reshape(-1, len(self.concepts)) & (self.strengths(things) == 0)

    def sample(self, n: int, rng: np.random.Generator, *, rare: float = 0.05) -> list[Picture]:
        """Pictures in which each concept is true in about a share ``rare``."""
        return [self._picture(rng, rare) for _ in range(n)]

    def _picture(self, rng: np.random.Generator, rare: float) -> Picture:
        """A picture about one of the concepts (or the negation of one), or about none."""
        topics = [*self.concepts, *(c for c in self.concepts if c.unless or c.top)]
        drawn = int(rng.random() / rare)
        looks = [_plain_look(rng, self._free)]
        if rng.random() < 0.4:
            looks.append(_plain_look(rng, self._free))
        if drawn < len(topics):
            topic = topics[drawn]
            wanted = topic.any_of[int(rng.integers(len(topic.any_of)))]
            looks[0] = _with(looks[0], wanted)
            if drawn >= len(self.concepts) and topic.unless:
                looks = [looks[0], _with(_plain_look(rng, self._free), topic.unless)]
            high = None if not topic.top else drawn < len(self.concepts)
        else:
            high = None
        return Picture(ground=_ground(rng), shade=float(rng.uniform(0, 0.15)), things=_placed(looks, rng, high))

    @cached_property
    def _free(self) -> tuple[str, ...]:
        """Shapes that no concept is about."""
        taken = {w for c in self.concepts for w in c.involved}
        return tuple(s for s in _SHAPES if s not in taken)


def gallery(seed: int = 0) -> Gallery:
    """The concepts of a seed: the same kinds over other shapes and colours."""
    rng = np.random.default_rng([seed, 13])
    colours = [sorted(_COLOURS)[i] for i in rng.permutation(len(_COLOURS)).tolist()]
    shapes = [_SHAPES[i] for i in rng.permutation(len(_SHAPES)).tolist()]
    a, b, c, idle = colours[:4]
    shape, this, other, high = shapes[:4]
    concepts = (
        PictureConcept(name="colour-0", kind="single", about=f"{a} things", any_of=(a,)),
        PictureConcept(name="shape-0", kind="single", about=shape, any_of=(shape,)),
        PictureConcept(name="texture-0", kind="single", about="striped things", any_of=("striped",)),
        PictureConcept(name="or-0", kind="or", about=f"{b} or {c} things", any_of=(b, c)),
        PictureConcept(name="and_not-0", kind="and_not", about=f"{this} without {other}", any_of=(this,), unless=other),
        PictureConcept(name="place-0", kind="positional", about=f"{high} in the top half", any_of=(high,), top=True),
        PictureConcept(name="idle-0", kind="idle", about=f"{idle} things, used for nothing", any_of=(idle,)),
    )
    raises = tuple(() if c.kind == "idle" else (i,) for i, c in enumerate(concepts))
    classes = (*(c.about for c in concepts if c.kind != "idle"), "something else")
    return Gallery(concepts=concepts, classes=classes, raises=raises)


def _plain_look(rng: np.random.Generator, free: Sequence[str]) -> Drawn:
    """A thing that no concept is about."""
    colours = sorted(_PLAIN_COLOURS)
    return Drawn(shape=free[int(rng.integers(len(free)))], colour=colours[int(rng.integers(len(colours)))])


def _with(thing: Drawn, wanted: str) -> Drawn:
    """The thing with the shape, colour or texture that a word names."""
    if wanted == "striped":
        return Drawn(shape=thing.shape, colour=thing.colour, striped=True)
    if wanted in _SHAPES:
        return Drawn(shape=wanted, colour=thing.colour)
    return Drawn(shape=thing.shape, colour=wanted)


def _placed(looks: Sequence[Drawn], rng: np.random.Generator, high: bool | None) -> tuple[Drawn, ...]:
    """The things at their places: two stand side by side; ``high`` says in which half the first is."""
    found: list[Drawn] = []
    sides = [0.0, 0.5] if rng.random() < 0.5 else [0.5, 0.0]
    for i, look in enumerate(looks):
        scale = float(rng.uniform(0.44, 0.5))
        x = rng.uniform(0.25, 0.75) if len(looks) == 1 else sides[i] + rng.uniform(0.24, 0.26)
        y = float(rng.uniform(0.24, 0.76))
        if i == 0 and high is not None:
            y = float(rng.uniform(0.22, 0.4) if high else rng.uniform(0.6, 0.78))
        found.append(
            Drawn(
                shape=look.shape,
                colour=look.colour,
                striped=look.striped,
                x=float(x),
                y=y,
                scale=scale,
                turn=float(rng.uniform(-6, 6)),
            )  # fmt: skip
        )
    return tuple(found)


def _ground(rng: np.random.Generator) -> tuple[int, int, int]:
    """A light, muted colour."""
    light, tint = rng.uniform(165, 235), rng.uniform(-16, 16, size=3)
    r, g, b = (int(v) for v in np.clip(light + tint, 0, 255))
    return r, g, b


def draw(thing: Drawn, side: int) -> Image.Image:
    """The thing alone, RGBA ``[side, side]``; its place is not used."""
    return _stamp(thing.shape, thing.colour, thing.striped, round(thing.turn), side)


@lru_cache(maxsize=4096)
def _stamp(shape: str, colour: str, striped: bool, turn: int, side: int) -> Image.Image:
    big = 4 * side
    mask = Image.new("L", (big, big), 0)
    _outline(ImageDraw.Draw(mask), shape, big, turn)
    fill = Image.new("RGB", (big, big), {**_COLOURS, **_PLAIN_COLOURS}[colour])
    if striped:
        pen, width = ImageDraw.Draw(fill), max(1, big // 6)
        for at in range(0, big, 2 * width):
            pen.rectangle((at, 0, at + width - 1, big), fill=(250, 250, 250))
    fill.putalpha(mask)
    return fill.resize((side, side), Image.Resampling.BOX)


def _outline(pen: ImageDraw.ImageDraw, shape: str, big: int, turn: int) -> None:
    if shape == "ring":
        pen.ellipse((0.03 * big, 0.03 * big, 0.97 * big, 0.97 * big), fill=255)
        pen.ellipse((0.3 * big, 0.3 * big, 0.7 * big, 0.7 * big), fill=0)
        return
    angle = np.deg2rad(turn)
    rotate = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    for polygon in _polygons(shape):
        corners = (np.array(polygon) @ rotate.T * 0.5 + 0.5) * big
        pen.polygon([(float(x), float(y)) for x, y in corners], fill=255)


def _polygons(shape: str) -> list[list[tuple[float, float]]]:
    """Corners in a frame from -1 to 1, y downwards."""
    if shape == "square":
        return [[(-0.75, -0.75), (0.75, -0.75), (0.75, 0.75), (-0.75, 0.75)]]
    if shape == "triangle":
        return [[(0.0, -0.9), (0.9, 0.75), (-0.9, 0.75)]]
    if shape == "bar":
        return [[(-0.95, -0.3), (0.95, -0.3), (0.95, 0.3), (-0.95, 0.3)]]
    if shape == "pillar":
        return [[(-0.3, -0.95), (0.3, -0.95), (0.3, 0.95), (-0.3, 0.95)]]
    assert shape == "cross", f"no shape is called {shape}"
    upright = [(-0.25, -0.95), (0.25, -0.95), (0.25, 0.95), (-0.25, 0.95)]
    return [upright, [(y, x) for x, y in upright]]
