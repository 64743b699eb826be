"""Rules of planted text units: conditions on tokens and on what stands before them, and how they are put together.

A condition is 0 or 1 at a position, a grade anything between; ``All`` takes the weakest of its parts, ``Either`` the
strongest, so that rules nest. None reads beyond its position. Words are compared in lower case.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maieutic.subjects.planted.rule import Rule, Truth
from maieutic.subjects.planted.text_view import TextView


class TextRule(Rule):
    """A rule over the tokens of texts."""

    @abstractmethod
    def truth(self, view: TextView) -> Truth:
        """``[position]`` over all texts of the view, 0 to 1."""

    @abstractmethod
    def say(self) -> str:
        """The rule in words."""

    def cues(self) -> tuple[str, ...]:
        """Tokens that the rule names, outermost first."""
        return ()


@dataclass(frozen=True)
class Words(TextRule):
    """Fires on words (or marks), each with its strength; ``called`` is the name of a class that they make up."""

    strengths: tuple[tuple[str, float], ...]
    called: str = ""

    def truth(self, view: TextView) -> Truth:
        return view.strengths(self.strengths)

    def say(self) -> str:
        if self.called:
            return self.called
        if len({s for _, s in self.strengths}) > 1:
            return ", ".join(f"{w!r} ({s:g})" for w, s in self.strengths)
        return " or ".join(repr(w) for w, _ in self.strengths)

    def cues(self) -> tuple[str, ...]:
        return tuple(w for w, _ in self.strengths)


def words(*some: str, called: str = "") -> Words:
    """Any of these, at full strength."""
    return Words(tuple((w, 1.0) for w in some), called)


@dataclass(frozen=True)
class Spelled(TextRule):
    """Fires on tokens of letters that are spelled in a way.

    ``begins``, ``ends``: with these letters, and longer. ``capital``: first letter only. ``capitals``: two or more, all.
    ``letters``: at least that many.
    """

    how: str
    what: str = ""

    def truth(self, view: TextView) -> Truth:
        return (view.letters & self._holds(view))[view.codes].astype(np.float64)

    def _holds(self, view: TextView) -> NDArray[np.bool_]:
        """For every token of the vocabulary, tokens of letters assumed."""
        low, sizes = view.lower, view.sizes
        if self.how == "begins":
            return (sizes > len(self.what)) & np.char.startswith(low, self.what)
        if self.how == "ends":
            return (sizes > len(self.what)) & np.char.endswith(low, self.what)
        if self.how == "capital":
            return np.array([t[:1].isupper() and t[1:] == t[1:].lower() for t in view.vocabulary], dtype=np.bool_)
        if self.how == "capitals":
            return (sizes > 1) & np.array([t.isupper() for t in view.vocabulary], dtype=np.bool_)
        assert self.how == "letters", self.how
        return sizes >= int(self.what)

    def say(self) -> str:
        told = {
            "begins": f"a word that begins with {self.what}-",
            "ends": f"a word that ends in -{self.what}",
            "capital": "a word with a capital letter",
            "capitals": "a word in capital letters",
            "letters": f"a word of {self.what} letters or more",
        }
        return told[self.how]


@dataclass(frozen=True)
class Number(TextRule):
    """Fires on a number from ``low`` to ``high``, as written up to here; ``digits``: on a token of so many digits."""

    low: float = 0.0
    high: float = np.inf
    digits: int = 0

    def truth(self, view: TextView) -> Truth:
        if self.digits:
            return view.each(lambda t: float(t.isdigit() and len(t) == self.digits))
        with np.errstate(invalid="ignore"):
            return ((view.number >= self.low) & (view.number <= self.high)).astype(np.float64)

    def say(self) -> str:
        return f"{self.digits} digits together" if self.digits else f"a number from {self.low:g} to {self.high:g}"


_INSIDE = {"(": "inside parentheses", "[": "inside square brackets", "{": "inside braces",
           '"': "inside double quotation marks", "#": "inside a comment"}  # fmt: skip
_MATE = {"(": ")", "[": "]", "{": "}", '"': '"', "#": "#"}


@dataclass(frozen=True)
class Inside(TextRule):
    """Fires where a bracket, a double quotation mark or a comment is open (the token that opens it not included)."""

    mark: str

    def truth(self, view: TextView) -> Truth:
        return (view.column(self.mark) > 0).astype(np.float64)

    def say(self) -> str:
        return _INSIDE[self.mark]

    def cues(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((self.mark, _MATE[self.mark])))


_PLACES = {"place": "of the text", "sentence": "of a sentence", "line": "of a line"}


@dataclass(frozen=True)
class At(TextRule):
    """Fires on tokens ``first`` to ``last``, counted from 0, of the text, of a sentence or of a line."""

    of: str
    first: int = 0
    last: int = 0

    def truth(self, view: TextView) -> Truth:
        at = view.column(self.of)
        return ((at >= self.first) & (at <= self.last)).astype(np.float64)

    def say(self) -> str:
        which = f"token {self.first + 1}" if self.first == self.last else f"tokens {self.first + 1} to {self.last + 1}"
        return f"{which} {_PLACES[self.of]}"


@dataclass(frozen=True)
class NthWord(TextRule):
    """Fires on the n-th word of a sentence, counted from 1; marks and numbers do not count."""

    n: int

    def truth(self, view: TextView) -> Truth:
        return (view.column("nth") == self.n).astype(np.float64)

    def say(self) -> str:
        return f"word {self.n} of a sentence"


@dataclass(frozen=True)
class Indented(TextRule):
    """Fires on lines that begin with at least so many columns of white space."""

    columns: int

    def truth(self, view: TextView) -> Truth:
        return (view.column("indent") >= self.columns).astype(np.float64)

    def say(self) -> str:
        return f"on a line indented by {self.columns} columns or more"


@dataclass(frozen=True)
class After(TextRule):
    """Fires exactly ``n`` tokens after one that the part fires on."""

    part: TextRule
    n: int = 1

    def truth(self, view: TextView) -> Truth:
        return view.back(self.part.truth(view), self.n)

    def say(self) -> str:
        return f"the token right after {self.part.say()}" if self.n == 1 else f"{self.n} tokens after {self.part.say()}"

    def cues(self) -> tuple[str, ...]:
        return self.part.cues()


@dataclass(frozen=True)
class Before(TextRule):
    """Fires where the part fired at any of the ``within`` tokens before."""

    part: TextRule
    within: int

    def truth(self, view: TextView) -> Truth:
        return (view.among(self.part.truth(view) >= 0.5, self.within) > 0).astype(np.float64)

    def say(self) -> str:
        where = "token" if self.within == 1 else f"{self.within} tokens"
        return f"{self.part.say()} in the {where} before"

    def cues(self) -> tuple[str, ...]:
        return self.part.cues()


@dataclass(frozen=True)
class OnLine(TextRule):
    """Fires where the part fired earlier on the same line."""

    part: TextRule

    def truth(self, view: TextView) -> Truth:
        return (view.since(self.part.truth(view) >= 0.5) <= view.column("line")).astype(np.float64)

    def say(self) -> str:
        return f"after {self.part.say()} on the line"

    def cues(self) -> tuple[str, ...]:
        return self.part.cues()


@dataclass(frozen=True)
class Passage(TextRule):
    """Fires where at least ``least`` of the last ``within`` tokens, this one included, fire the part."""

    part: TextRule
    within: int
    least: int = 1

    def truth(self, view: TextView) -> Truth:
        return (view.among(self.part.truth(view) >= 0.5, self.within, itself=True) >= self.least).astype(np.float64)

    def say(self) -> str:
        return f"{self.least} or more of the last {self.within} tokens are {self.part.say()}"

    def cues(self) -> tuple[str, ...]:
        return self.part.cues()


# --- put together --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class All(TextRule):
    """The weakest of the parts: fires when all do."""

    parts: tuple[TextRule, ...]

    def truth(self, view: TextView) -> Truth:
        return np.minimum.reduce([p.truth(view) for p in self.parts])

    def say(self) -> str:
        return ", and ".join(p.say() for p in self.parts)

    def cues(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(c for p in self.parts for c in p.cues()))


@dataclass(frozen=True)
class Either(TextRule):
    """The strongest of the parts, each times its strength."""

    parts: tuple[TextRule, ...]
    strengths: tuple[float, ...] = ()

    def truth(self, view: TextView) -> Truth:
        strengths = self.strengths or (1.0,) * len(self.parts)
        return np.maximum.reduce([s * p.truth(view) for p, s in zip(self.parts, strengths, strict=True)])

    def say(self) -> str:
        if not self.strengths:
            return ", or ".join(p.say() for p in self.parts)
        return "; ".join(f"{p.say()} ({s:g})" for p, s in zip(self.parts, self.strengths, strict=True))

    def cues(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(c for p in self.parts for c in p.cues()))


@dataclass(frozen=True)
class Without(TextRule):
    """Fires where the part does not."""

    part: TextRule

    def truth(self, view: TextView) -> Truth:
        return 1.0 - self.part.truth(view)

    def say(self) -> str:
        return f"not ({self.part.say()})"

    def cues(self) -> tuple[str, ...]:
        return self.part.cues()


# --- grades --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Grade(TextRule):
    """Grows with a quantity, from 0 at ``low`` to 1 at ``high`` and beyond.

    ``letters``: length of a word. ``number``: logarithm (base 10) of the number as written up to here, plus 1. ``near``:
    minus the tokens since the part last fired. ``count``: how many of the last ``within`` tokens fire the part.
    ``depth``: open brackets of all kinds. ``place``: tokens of the text before. ``indent``: columns.
    """

    of: str
    low: float
    high: float
    part: TextRule | None = None
    within: int = 0

    def truth(self, view: TextView) -> Truth:
        return np.clip((self._quantity(view) - self.low) / (self.high - self.low), 0.0, 1.0)

    def _quantity(self, view: TextView) -> Any:
        if self.of == "letters":
            return view.each(lambda t: len(t) if t.isalpha() else -1e9)
        if self.of == "number":
            return np.where(np.isnan(view.number), -1e9, np.log10(np.nan_to_num(view.number) + 1))
        if self.of == "depth":
            return sum(view.column(c) for c in "([{")
        if self.of in ("place", "indent"):
            return view.column(self.of)
        assert self.part is not None
        on = self.part.truth(view) >= 0.5
        return -view.since(on) if self.of == "near" else view.among(on, self.within, itself=True)

    def say(self) -> str:
        part = "" if self.part is None else self.part.say()
        told = {
            "letters": "how long a word is",
            "number": "how large a number is (its logarithm)",
            "near": f"how short a way after {part}",
            "count": f"how many of the last {self.within} tokens are {part}",
            "depth": "how many brackets are open",
            "place": "how far into the text",
            "indent": "how far the line is indented",
        }
        return f"{told[self.of]}, from {abs(self.low):g} to {abs(self.high):g}"

    def cues(self) -> tuple[str, ...]:
        return ("(", "[", "{") if self.of == "depth" else () if self.part is None else self.part.cues()
