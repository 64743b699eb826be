"""Predicates that read the whole text around a token: named patterns, neighbours on both sides, repetition.

For labels that people wrote about a text as a whole. Unlike the other predicates about text these may look past their
position, so none of them can be computed by a model that reads from left to right at that moment; see ``NextIs`` too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from maieutic.explain.predicates.base import Predicate, Prediction
from maieutic.explain.views_text import Text, TextView

_UNIT = (
    r"(?:seconds?|minutes?|hours?|days?|nights?|weeks?|weekends?|months?|years?|decades?|"
    r"centur(?:y|ies)|time|while|moments?)"
)
_SOME = (
    r"(?:an?|the|one|two|three|four|five|six|seven|eight|nine|ten|twelve|twenty|\d[\d,.]*|several|some|few|many|couple of|next|"
    r"last|this|half an?|long|short)"
)
_TYPES: Mapping[str, str] = {
    "integer variables": "int|long|short|unsigned|size_t|u?int\\d+_t",
    "numeric variables": "int|long|short|unsigned|size_t|u?int\\d+_t|float|double",
    "text variables": "char|string|str|String|wchar_t",
}
_ANY_TYPE = _TYPES["numeric variables"] + "|" + _TYPES["text variables"] + "|bool|auto|var|let|const"

#: name -> what it looks like
PATTERNS: Mapping[str, re.Pattern[str]] = {
    "HTML tags": re.compile(r"</?[A-Za-z][^<>\n]*>?"),
    "links": re.compile(r"(?:https?://|www\.)\S+"),
    "e-mail addresses": re.compile(r"[\w.+-]+@[\w-]+\.[\w.]+"),
    "formulas": re.compile(r"[\w)\]]+(?:\s*[-+*/=^<>≤≥]+\s*[\w(\[]+)+"),
    "amounts of money": re.compile(
        r"[$€£]\s?\d[\d,.]*(?:\s(?:thousand|million|billion))?|"
        r"\d[\d,.]*\s(?:dollars?|euros?|pounds?|cents?)"
    ),
    "percentages": re.compile(r"\d[\d,.]*\s?(?:%|percent|per cent)"),
    "times of day": re.compile(r"\b\d{1,2}:\d{2}(?:\s?[ap]\.?m\.?)?|\b\d{1,2}\s?[ap]\.?m\b|\bnoon\b|\bmidnight\b", re.IGNORECASE),
    "time phrases": re.compile(rf"\b{_SOME}\s+(?:(?:\w+)\s+){{0,2}}?{_UNIT}\b", re.IGNORECASE),
    "similes": re.compile(
        r"\bas\s+\w+\s+as(?:\s+(?:an?|the))?(?:\s+\w+){1,2}|\blike\s+(?:an?|the)\s+\w+(?:\s+\w+)?", re.IGNORECASE
    ),
    "names": re.compile(r"(?<![.!?]\s)(?<!^)\b[A-Z][a-z]+(?:\s[A-Z][a-z]+)*"),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern(Predicate):
    """The token lies in a match of a named pattern: one of ``PATTERNS``, or ``variables`` of a kind (see ``variables``)."""

    op: ClassVar[str] = "pattern"
    name: str

    def evaluate(self, view: TextView) -> Prediction:
        inside = np.zeros(len(view.text) + 1, dtype=bool)
        for start, end in _spans(view.text, self.name):
            inside[start:end] = True
        return np.fromiter((bool(inside[_solid(view, i)].any()) for i in range(len(view.tokens))), np.float64)

    def describe(self) -> str:
        return self.name


def _solid(view: TextView, i: int) -> slice:
    """The token's characters without its leading white space (white space itself stays)."""
    token, piece = view.tokens[i], view.raw[i]
    lead = len(piece) - len(piece.lstrip())
    return slice(token.start + (lead if lead < len(piece) else 0), token.end)


def _spans(text: str, name: str) -> Iterator[tuple[int, int]]:
    pattern = PATTERNS.get(name)
    if pattern is not None:
        yield from (m.span() for m in pattern.finditer(text))
        return
    for word in variables(text, name):
        yield from (m.span() for m in re.finditer(rf"\b{re.escape(word)}\b", text))


def variables(text: str, name: str = "variables") -> list[str]:
    """Names that the text declares or assigns, as programs do: ``int a, b = 3;``, ``total = 0``.

    Args:
        text: a program, or a text with some of one in it.
        name: ``variables``, or with a type: ``integer variables``, ``numeric variables``, ``text variables``.
    """
    types = _TYPES.get(name, _ANY_TYPE)
    found: list[str] = []
    for match in re.finditer(
        rf"\b(?:{types})\b\s*\**\s*([A-Za-z_]\w*(?:\s*(?:=[^,;)]*)?,\s*\**[A-Za-z_]\w*)*)\b(?!\s*\()", text
    ):
        found += [re.split(r"[\s=]", part.strip().lstrip("*"), maxsplit=1)[0] for part in match.group(1).split(",")]
    if name not in _TYPES:
        found += re.findall(r"(?m)^\s*([A-Za-z_]\w*)\s*[-+*/]?=(?!=)", text)
    return [w for w in dict.fromkeys(found) if w]


@dataclass(frozen=True, slots=True, kw_only=True)
class HasCharacter(Predicate):
    """The token holds the character."""

    op: ClassVar[str] = "has_character"
    reads_books: ClassVar[bool] = True
    character: str

    def evaluate(self, view: Text) -> Prediction:
        return view.each("raw", lambda r: self.character in r)

    def describe(self) -> str:
        return f'the character "{self.character}"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Near(Predicate):
    """``part`` holds at one of the ``n`` tokens before or after this one."""

    op: ClassVar[str] = "near"
    part: Predicate
    n: int = 3

    def evaluate(self, view: TextView) -> Prediction:
        values = self.part.evaluate(view)
        out = np.zeros_like(values)
        for shift in range(1, min(self.n, len(values) - 1) + 1):
            out[shift:] = np.maximum(out[shift:], values[:-shift])
            out[:-shift] = np.maximum(out[:-shift], values[shift:])
        return out

    def describe(self) -> str:
        return f"near {self.part.describe()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class InText(Predicate):
    """``part`` holds anywhere in the text."""

    op: ClassVar[str] = "in_text"
    part: Predicate

    def evaluate(self, view: TextView) -> Prediction:
        values = self.part.evaluate(view)
        return np.full(len(values), float(values.max(initial=0.0)))

    def describe(self) -> str:
        return f"in texts with {self.part.describe()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class NthDistinct(Predicate):
    """``part`` holds, at the ``nth`` different word of the text at which it does (1 is the first), wherever that stands."""

    op: ClassVar[str] = "nth_distinct"
    part: Predicate
    nth: int

    def evaluate(self, view: TextView) -> Prediction:
        holds = self.part.evaluate(view) > 0
        order = list(dict.fromkeys(w for w, h in zip(view.word, holds, strict=True) if h))
        wanted = order[self.nth - 1] if self.nth <= len(order) else None
        return np.fromiter((h and w == wanted for w, h in zip(view.word, holds, strict=True)), np.float64, len(holds))

    def describe(self) -> str:
        return f"number {self.nth} of the different {self.part.describe()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeated(Predicate):
    """``part`` holds and the same word occurs elsewhere in the text."""

    op: ClassVar[str] = "repeated"
    part: Predicate

    def evaluate(self, view: TextView) -> Prediction:
        values, counts = self.part.evaluate(view), dict[str, int]()
        for word in view.word:
            counts[word] = counts.get(word, 0) + 1
        return values * np.fromiter((counts[w] > 1 for w in view.word), dtype=np.float64, count=len(values))

    def describe(self) -> str:
        return f"repeated {self.part.describe()}"
