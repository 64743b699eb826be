"""Predicates over images: what is shown, its colours and textures, where it stands, and weighted sums of these.

Every predicate of this module reads one ``ImageView`` and returns one value in [0, 1]. None looks at a network.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from maieutic.errors import UserError
from maieutic.explain.predicates.base import Predicate, Prediction
from maieutic.explain.predicates.image_pixels import COLOURS, INDEX, SHAPES

if TYPE_CHECKING:
    from maieutic.explain.views_image import Box, ImageView

#: words for the high and the low end of each texture and shape
_ENDS: dict[str, tuple[str, str]] = {
    "brightness": ("brightness", "darkness"),
    "saturation": ("vivid colours", "muted colours"),
    "edges": ("strong edges", "few edges"),
    "horizontal": ("horizontal lines", "few horizontal lines"),
    "vertical": ("vertical lines", "few vertical lines"),
    "diagonal": ("diagonal lines", "few diagonal lines"),
    "fine": ("fine detail", "little fine detail"),
    "coarse": ("coarse blobs", "even surfaces"),
    "reddish": ("reddish tones", "few reddish tones"),
    "greenish": ("greenish tones", "few greenish tones"),
    "bluish": ("bluish tones", "few bluish tones"),
    "yellowish": ("yellowish tones", "few yellowish tones"),
    "contrast": ("strong contrast", "weak contrast"),
    "size": ("a large size", "a small size"),
    "tall": ("a tall shape", "a shape that is not tall"),
    "wide": ("a wide shape", "a shape that is not wide"),
    "round": ("a compact, round outline", "a ragged outline"),
    "regular": ("a repeating pattern", "no repeating pattern"),
}
_WHERE: dict[str, str] = {
    "whole": "",
    "things": " on the object",
    "ground": " in the background",
    "top": " at the top",
    "bottom": " at the bottom",
    "left": " on the left",
    "right": " on the right",
    "centre": " in the centre",
}
SIDES = ("left", "right", "top", "bottom", "centre")
RELATIONS = ("left of", "right of", "above", "below", "overlapping")
_IRREGULAR = {
    "person": "people", "man": "men", "woman": "women", "child": "children", "mouse": "mice", "goose": "geese",
    "foot": "feet", "tooth": "teeth", "leaf": "leaves", "knife": "knives", "wolf": "wolves", "ox": "oxen",
    "calf": "calves", "shelf": "shelves",
}  # fmt: skip
_SAME = frozenset({
    "fish", "sheep", "deer", "food", "fruit", "furniture", "clothing", "equipment", "produce", "aircraft", "bread",
    "water", "grass", "sky", "snow", "sand", "wildlife", "seafood", "hardware", "money", "jewelry", "currency", "moose",
    "bison", "livestock", "poultry", "vegetation", "transport", "citrus", "swine", "cattle", "domestic fowl",
})  # fmt: skip


def shown(concept: str) -> str:
    """A concept or tag in the plural, as a label says it: ``birds``, ``brick backgrounds``, ``whole photographs``."""
    kind, colon, name = concept.partition(":")
    if not colon:
        return {"photo": "whole photographs", "several": "several objects"}.get(concept, plural(concept))
    if kind != "background":
        return f"{kind} {name}"
    general = {"texture": "textured", "photo": "blurred photo", "plain": "plain"}
    return f"{general.get(name, name.rpartition('/')[2])} backgrounds"


def plural(name: str) -> str:
    """English plural of a concept's name: ``canary`` -> ``canaries``, ``bird of prey`` -> ``birds of prey``."""
    first, of, rest = name.partition(" of ")
    if of:
        return f"{plural(first)} of {rest}"
    head, space, last = name.rpartition(" ")
    if last in _SAME or last.endswith(("ware", "wear")):
        return name
    if last in _IRREGULAR:
        return head + space + _IRREGULAR[last]
    if last.endswith("man") and last not in ("human", "german", "caiman"):
        return head + space + last[:-3] + "men"
    if last.endswith("s") and not last.endswith(("ss", "us", "is")):
        return name
    if last.endswith(("s", "x", "z", "ch", "sh")):
        return name + "es"
    if last.endswith("y") and last[-2:-1] not in "aeiou":
        return name[:-1] + "ies"
    return name + "s"


def _one(value: float) -> Prediction:
    return np.array([min(max(value, 0.0), 1.0)])


def _ramp(value: float, low: float, high: float) -> float:
    """0 at ``low``, 1 at ``high``, linear between; falling when ``low > high``."""
    return (value - low) / (high - low)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shows(Predicate):
    """The image shows the concept: 0 or 1; with ``full`` graded, reaching 1 when it covers that share of the image."""

    op: ClassVar[str] = "shows"
    concept: str
    full: float = 0.0

    def evaluate(self, view: ImageView) -> Prediction:
        share = view.share(self.concept)
        return _one(share / self.full if self.full > 0 else float(share > 0))

    def describe(self) -> str:
        return shown(self.concept)


@dataclass(frozen=True, slots=True, kw_only=True)
class Colour(Predicate):
    """Share of a colour in a region: 0 at ``low``, 1 at ``high`` (falling when ``low > high``: little of it)."""

    op: ClassVar[str] = "colour"
    name: str
    where: str = "whole"
    low: float = 0.0
    high: float = 0.5

    def __post_init__(self) -> None:
        _checked(f"{self.name}@{self.where}", self.name, COLOURS, self.low, self.high)

    def evaluate(self, view: ImageView) -> Prediction:
        return _one(_ramp(view.feature(f"{self.name}@{self.where}"), self.low, self.high))

    def describe(self) -> str:
        return f"{'' if self.high > self.low else 'little '}{self.name}{_WHERE[self.where]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Texture(Predicate):
    """A texture or layout feature in a region: 0 at ``low``, 1 at ``high`` (falling when ``low > high``)."""

    op: ClassVar[str] = "texture"
    feature: str
    where: str = "whole"
    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        _checked(self._key, self.feature, tuple(_ENDS), self.low, self.high)

    @property
    def _key(self) -> str:
        return self.feature if self.feature in SHAPES else f"{self.feature}@{self.where}"

    def evaluate(self, view: ImageView) -> Prediction:
        return _one(_ramp(view.feature(self._key), self.low, self.high))

    def describe(self) -> str:
        words = _ENDS[self.feature][int(self.low > self.high)]
        return words if self.feature in SHAPES else f"{words}{_WHERE[self.where]}"


def _checked(key: str, name: str, known: tuple[str, ...], low: float, high: float) -> None:
    if name not in known or key not in INDEX:
        raise UserError(f"{key!r} is no visual feature: use one of {', '.join(known)} in {', '.join(_WHERE)}")
    if low == high:
        raise UserError(f"the range of {key} is empty ({low} to {high}): give low and high different values")


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed(Predicate):
    """A thing of the concept has its centre in that part of the image (``centre``: the middle half)."""

    op: ClassVar[str] = "placed"
    concept: str
    where: str

    def __post_init__(self) -> None:
        if self.where not in SIDES:
            raise UserError(f"{self.where!r} is no place: use one of {', '.join(SIDES)}")

    def evaluate(self, view: ImageView) -> Prediction:
        return _one(float(any(_stands(box, self.where) for box in view.boxes(self.concept))))

    def describe(self) -> str:
        return f"{plural(self.concept)}{_WHERE[self.where]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Formed(Predicate):
    """A thing of the concept (empty: any) is taller than wide, or wider than tall.

    0 where one side is ``low`` octaves longer than the other, 1 at ``high``; 1 octave is twice as long.
    """

    op: ClassVar[str] = "formed"
    concept: str
    form: str
    low: float = 0.3
    high: float = 1.05

    def __post_init__(self) -> None:
        if self.form not in ("tall", "wide"):
            raise UserError(f"{self.form!r} is no form: use tall or wide")
        if self.low == self.high:
            raise UserError(f"the range of {self.form} is empty: give low and high different values")

    def evaluate(self, view: ImageView) -> Prediction:
        boxes = view.boxes(self.concept) if self.concept else [t.box for t in view.things]
        ratios = [(b[3] - b[1]) / max(b[2] - b[0], 1e-6) for b in boxes]
        best = max(((r if self.form == "tall" else 1 / max(r, 1e-6)) for r in ratios), default=0.0)
        return _one(_ramp(float(np.log2(max(best, 1e-6))), self.low, self.high))

    def describe(self) -> str:
        return f"{self.form} {plural(self.concept) if self.concept else 'things'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Count(Predicate):
    """Grows with the number of things of the concept (empty: of any); 1 at ``full`` and above."""

    op: ClassVar[str] = "count"
    concept: str
    full: int

    def __post_init__(self) -> None:
        if self.full < 1:
            raise UserError(f"{self.full} is no number of things: give 1 or more")

    def evaluate(self, view: ImageView) -> Prediction:
        here = view.boxes(self.concept) if self.concept else view.things
        return _one(len(here) / self.full)

    def describe(self) -> str:
        return f"many {plural(self.concept) if self.concept else 'things'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation(Predicate):
    """A thing of concept ``a`` stands left of, right of, above, below or overlapping a thing of concept ``b``."""

    op: ClassVar[str] = "relation"
    a: str
    relation: str
    b: str

    def __post_init__(self) -> None:
        if self.relation not in RELATIONS:
            raise UserError(f"{self.relation!r} is no relation: use one of {', '.join(RELATIONS)}")

    def evaluate(self, view: ImageView) -> Prediction:
        pairs = [(p, q) for p in view.boxes(self.a) for q in view.boxes(self.b) if p != q]
        return _one(float(any(_related(p, q, self.relation) for p, q in pairs)))

    def describe(self) -> str:
        return f"{plural(self.a)} {self.relation} {plural(self.b)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Blend(Predicate):
    """``base`` plus the strength-weighted sum of a few parts, clipped to [0, 1]; negative strengths take away."""

    op: ClassVar[str] = "blend"
    parts: tuple[Predicate, ...]
    strengths: tuple[float, ...]
    base: float = 0.0

    def __post_init__(self) -> None:
        if len(self.parts) != len(self.strengths):
            raise UserError(f"a blend of {len(self.parts)} parts needs as many strengths, not {len(self.strengths)}")

    def evaluate(self, view: ImageView) -> Prediction:
        values = [float(p.evaluate(view)[0]) for p in self.parts]
        return _one(self.base + sum(s * v for s, v in zip(self.strengths, values, strict=True)))

    def describe(self) -> str:
        """Parts from strong to weak; parts that take away come last."""
        order = sorted(zip(self.strengths, self.parts, strict=True), key=lambda sp: -sp[0])
        gives = [p.describe() for s, p in order if s > 0]
        takes = [p.describe() for s, p in reversed(order) if s < 0]
        text = ", ".join(gives) or "anything"
        return text + (f", less with {', '.join(takes)}" if takes else "")


def _stands(box: Box, where: str) -> bool:
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    tests = {"left": x < 0.5, "right": x >= 0.5, "top": y < 0.5, "bottom": y >= 0.5}
    return tests[where] if where in tests else abs(x - 0.5) < 0.25 and abs(y - 0.5) < 0.25


def _related(a: Box, b: Box, relation: str) -> bool:
    ax, ay, bx, by = (a[0] + a[2]) / 2, (a[1] + a[3]) / 2, (b[0] + b[2]) / 2, (b[1] + b[3]) / 2
    overlap = min(a[2], b[2]) > max(a[0], b[0]) and min(a[3], b[3]) > max(a[1], b[1])
    tests = {"left of": ax < bx, "right of": ax > bx, "above": ay < by, "below": ay > by, "overlapping": overlap}
    return tests[relation]
