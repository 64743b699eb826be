"""Predicates about amounts: how long a word is, how far into a line, how near after something, how many of something.

``InRange`` holds between two bounds, ``Ramp`` grows from one to the other. All read the text up to the position only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from maieutic.errors import UserError
from maieutic.explain.predicates.base import Predicate, Prediction
from maieutic.explain.predicates.text_windows import among, since
from maieutic.explain.views_text import Text

#: what a person calls each quantity of a position; ``number`` is compared on a logarithmic scale by ``Ramp``
QUANTITIES: dict[str, str] = {
    "place": "how far into the text",
    "number": "how large a number is",
    "digits": "how large the digits of the token are",
    "letters": "how long a word is",
    "word of the sentence": "how many words into the sentence",
    "token of the sentence": "how far into the sentence",
    "token of the line": "how far into the line",
    "indentation": "how far the line is indented",
    "open brackets": "how many brackets are open",
}


def _checked(quantity: str) -> None:
    if quantity not in QUANTITIES:
        raise UserError(f"{quantity!r} is no quantity of a text: use one of {', '.join(QUANTITIES)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class InRange(Predicate):
    """The quantity lies in [low, high]; never where it is not defined (the length of a mark)."""

    op: ClassVar[str] = "in_range"
    reads_books: ClassVar[bool] = True
    quantity: str
    low: float
    high: float

    def __post_init__(self) -> None:
        _checked(self.quantity)

    def evaluate(self, view: Text) -> Prediction:
        x = view.quantity(self.quantity)
        return ((x >= self.low) & (x <= self.high)).astype(np.float64)

    def describe(self) -> str:
        low, high = f"{self.low:g}", f"{self.high:g}"
        exact = self.low == self.high
        if self.quantity == "letters":
            if self.high >= 99:
                return f"words of {low} letters or more"
            return f"words of {low} letters" if exact else f"words of {low} to {high} letters"
        if self.quantity == "digits":
            return f"digits from {low}" + (" on" if self.high >= 99e7 else f" to {high}") + ", also within a number"
        if self.quantity == "indentation":
            return f"on lines indented by {low}" + ("" if exact else " or more" if self.high >= 99 else f" to {high}")
        if self.quantity == "open brackets":
            if self.high == 0:
                return "outside brackets"
            count = low if exact else f"{low} or more" if self.high >= 99 else f"{low} to {high}"
            return f"inside {count} bracket{'' if count == '1' else 's'}"
        what, _, whole = self.quantity.partition(" of ")
        if self.high >= 99:
            return f"{what}s from the {ordinal(self.low)} on, of {whole}"
        return f"{what} {low} of {whole}" if exact else f"{what}s {low} to {high} of {whole}"


def ordinal(n: float) -> str:
    """1st, 2nd, 3rd, 4th ... 11th, 12th, 13th ... 21st."""
    k = round(n)
    ending = "th" if 10 <= k % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(k % 10, "th")
    return f"{k}{ending}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ramp(Predicate):
    """0 at ``low``, 1 at ``high``, linear between (numbers: logarithmic); falling when ``low > high``."""

    op: ClassVar[str] = "ramp"
    reads_books: ClassVar[bool] = True
    quantity: str
    low: float
    high: float

    def __post_init__(self) -> None:
        _checked(self.quantity)
        if self.low == self.high:
            raise UserError(f"the ramp of {self.quantity} is empty: give low and high different values")

    def evaluate(self, view: Text) -> Prediction:
        return ramp(self.quantity, view.quantity(self.quantity), self.low, self.high)

    def describe(self) -> str:
        less = self.low > self.high
        words = QUANTITIES[self.quantity]
        if self.quantity in ("number", "digits"):
            return f"numbers, the {'smaller' if less else 'larger'} the more"
        if self.quantity == "letters":
            return f"words, the {'shorter' if less else 'longer'} the more"
        return f"any token, {'less' if less else 'more'} the further: {words}"


def ramp(quantity: str, x: NDArray[np.float64], low: float, high: float) -> Prediction:
    """Values of ``Ramp``; 0 where the quantity is not defined."""
    at = scale(quantity, x)
    lo, hi = (float(scale(quantity, np.array(v))) for v in (low, high))
    return np.clip(np.nan_to_num((at - lo) / (hi - lo), nan=0.0), 0.0, 1.0)


def scale(quantity: str, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """The scale on which a quantity grows evenly: numbers by their logarithm."""
    return np.log10(x + 1.0) if quantity in ("number", "digits") else x


@dataclass(frozen=True, slots=True, kw_only=True)
class Nearness(Predicate):
    """1 up to ``near`` tokens after the part last held, falling to 0 at ``far``."""

    op: ClassVar[str] = "nearness"
    reads_books: ClassVar[bool] = True
    part: Predicate
    near: float
    far: float

    def evaluate(self, view: Text) -> Prediction:
        gap = since(self.part.over(view) > 0.5, view.starts)
        return np.clip((self.far - gap) / (self.far - self.near), 0.0, 1.0)

    def describe(self) -> str:
        return f"the nearer after {self.part.describe()} the more"


@dataclass(frozen=True, slots=True, kw_only=True)
class HowMany(Predicate):
    """Share ``(count - low) / (high - low)`` of tokens among the last ``n`` (this one too) that meet the part, 0 to 1."""

    op: ClassVar[str] = "how_many"
    reads_books: ClassVar[bool] = True
    part: Predicate
    n: int
    low: float = 0.0
    high: float = 1.0

    def evaluate(self, view: Text) -> Prediction:
        count = among(self.part.over(view) > 0.5, self.n, view.starts)
        return np.clip((count - self.low) / (self.high - self.low), 0.0, 1.0)

    def describe(self) -> str:
        return f"the more of the last {self.n} tokens are {self.part.describe()}, the more"


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierOnLine(Predicate):
    """``part`` held at an earlier token of the same line."""

    op: ClassVar[str] = "earlier_on_line"
    reads_books: ClassVar[bool] = True
    part: Predicate

    def evaluate(self, view: Text) -> Prediction:
        back = since(self.part.over(view) > 0.5, view.starts)
        return (back < view.quantity("token of the line")).astype(np.float64)

    def describe(self) -> str:
        return f"after {self.part.describe()} on the line"
