"""Predicates about tokens and their context: the words in which hypotheses about language units are written.

Each condition evaluates to 0 or 1 per position of a ``TextView`` (``explain/views_text.py``) or of many texts at once
(``TextBook``); strengths come from ``Scaled``, ``Phrases`` and ``RuleSet`` (``predicates/text_rules.py``). All read the
text up to the position only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np

from maieutic.explain.predicates.base import Predicate, Prediction
from maieutic.explain.predicates.text_windows import among, back, reached
from maieutic.explain.views_text import Text


@lru_cache(maxsize=4096)
def _flags(words: tuple[str, ...]) -> Mapping[str, float]:
    return dict.fromkeys(words, 1.0)


def quoted(words: tuple[str, ...], most: int = 6) -> str:
    """``"the", "of" or "in"``, and how many more."""
    shown = [in_quotes(visible(w)) for w in words[:most]]
    more = len(words) - len(shown)
    if more > 0:
        return ", ".join(shown) + f" and {more} more"
    return shown[0] if len(shown) == 1 else ", ".join(shown[:-1]) + " or " + shown[-1]


def in_quotes(text: str) -> str:
    """The text in quotation marks that it does not hold itself."""
    return f"'{text}'" if '"' in text else f'"{text}"'


def visible(word: str) -> str:
    """A token as a person can read it: line breaks and runs of spaces spelt out."""
    if word.isspace() and word:
        return "line break" if "\n" in word else f"{len(word)} spaces"
    return word.replace("\n", "\\n").strip() or word


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenIn(Predicate):
    """The token, without outer spaces and in lower case, is one of ``words`` (``exact``: the raw token is)."""

    op: ClassVar[str] = "token_in"
    reads_books: ClassVar[bool] = True
    words: tuple[str, ...]
    exact: bool = False

    def evaluate(self, view: Text) -> Prediction:
        return view.table("raw" if self.exact else "key", _flags(self.words))

    def describe(self) -> str:
        return quoted(self.words)


@dataclass(frozen=True, slots=True, kw_only=True)
class WordIn(Predicate):
    """The word so far, which this token continues or ends, is one of ``words`` (lower case)."""

    op: ClassVar[str] = "word_in"
    reads_books: ClassVar[bool] = True
    words: tuple[str, ...]

    def evaluate(self, view: Text) -> Prediction:
        return view.table("word", _flags(self.words))

    def describe(self) -> str:
        return f"the word {quoted(self.words)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenClass(Predicate):
    """The token is in a named class: ``numbers``, ``prepositions``, ``words ending in -ing``, ``noun.food`` ..."""

    op: ClassVar[str] = "token_class"
    reads_books: ClassVar[bool] = True
    name: str

    def evaluate(self, view: Text) -> Prediction:
        return view.each("classes", lambda names: self.name in names)

    def describe(self) -> str:
        return class_words(self.name)


LEXNAMES = {
    "noun.act": "nouns for acts",
    "noun.animal": "names of animals",
    "noun.artifact": "names of made things",
    "noun.attribute": "nouns for qualities",
    "noun.body": "parts of the body",
    "noun.cognition": "nouns for ideas and knowledge",
    "noun.communication": "nouns for things said or written",
    "noun.event": "nouns for events",
    "noun.feeling": "nouns for feelings",
    "noun.food": "names of food and drink",
    "noun.group": "nouns for groups of people",
    "noun.location": "names of places",
    "noun.motive": "nouns for motives",
    "noun.object": "names of natural things",
    "noun.person": "nouns for people",
    "noun.phenomenon": "nouns for natural events",
    "noun.plant": "names of plants",
    "noun.possession": "nouns for money and property",
    "noun.process": "nouns for processes",
    "noun.quantity": "nouns for amounts",
    "noun.relation": "nouns for relations",
    "noun.shape": "names of shapes",
    "noun.state": "nouns for states",
    "noun.substance": "names of substances",
    "noun.time": "nouns for times",
    "noun.Tops": "very general nouns",
    "adj.all": "adjectives",
    "adj.pert": "adjectives of belonging",
    "adj.ppl": "participle adjectives",
    "adv.all": "adverbs",
    "verb.body": "verbs of bodily care",
    "verb.change": "verbs of change",
    "verb.cognition": "verbs of thinking",
    "verb.communication": "verbs of speaking and writing",
    "verb.competition": "verbs of contest",
    "verb.consumption": "verbs of eating and using",
    "verb.contact": "verbs of touching",
    "verb.creation": "verbs of making",
    "verb.emotion": "verbs of feeling",
    "verb.motion": "verbs of motion",
    "verb.perception": "verbs of perceiving",
    "verb.possession": "verbs of having and giving",
    "verb.social": "verbs of social action",
    "verb.stative": "verbs of being",
    "verb.weather": "verbs of weather",
}


def class_words(name: str) -> str:
    """The name of a class as a person writes it."""
    return LEXNAMES.get(name, name)


@dataclass(frozen=True, slots=True, kw_only=True)
class HasAffix(Predicate):
    """The word so far (letters only) is longer than, and begins or ends with, these letters (lower case)."""

    op: ClassVar[str] = "has_affix"
    reads_books: ClassVar[bool] = True
    prefix: str = ""
    suffix: str = ""

    def evaluate(self, view: Text) -> Prediction:
        return view.each("word", self.held_by)

    def held_by(self, word: str) -> bool:
        """Whether a word is longer than, and begins and ends with, the letters."""
        longer = len(word) > len(self.prefix) + len(self.suffix)
        return longer and word.startswith(self.prefix) and word.endswith(self.suffix) and word.isalpha()

    def describe(self) -> str:
        parts = [f"beginning with {self.prefix}-"] * bool(self.prefix) + [f"ending in -{self.suffix}"] * bool(
            self.suffix
        )
        return "words " + " and ".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberRange(Predicate):
    """The number so far lies in [low, high]."""

    op: ClassVar[str] = "number_range"
    reads_books: ClassVar[bool] = True
    low: float
    high: float

    def evaluate(self, view: Text) -> Prediction:
        number = view.quantity("number")
        return np.where(np.isnan(number), 0.0, (number >= self.low) & (number <= self.high)).astype(np.float64)

    def describe(self) -> str:
        if (self.low, self.high) == (1500, 2100):
            return "years (1500 to 2100)"
        return f"numbers from {self.low:g} to {self.high:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Structure(Predicate):
    """The token stands in a named place: ``first on the line``, ``inside parentheses``, ``in code`` ..."""

    op: ClassVar[str] = "structure"
    reads_books: ClassVar[bool] = True
    name: str

    def evaluate(self, view: Text) -> Prediction:
        return view.each("structure", lambda names: self.name in names)

    def describe(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Position(Predicate):
    """The token is among positions ``first`` to ``last`` of the text (0 is the first; ``last`` -1: no end)."""

    op: ClassVar[str] = "position"
    reads_books: ClassVar[bool] = True
    first: int = 0
    last: int = -1

    def evaluate(self, view: Text) -> Prediction:
        at = view.place
        return ((at >= self.first) & ((at <= self.last) | (self.last < 0))).astype(np.float64)

    def describe(self) -> str:
        if self.last < 0:
            return f"after the first {self.first} tokens of the text"
        return (
            f"among the first {self.last + 1} tokens of the text"
            if not self.first
            else f"at tokens {self.first}-{self.last}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviousIs(Predicate):
    """``part`` holds exactly ``back`` tokens earlier."""

    op: ClassVar[str] = "previous_is"
    reads_books: ClassVar[bool] = True
    part: Predicate
    back: int = 1

    def evaluate(self, view: Text) -> Prediction:
        return back(self.part.over(view), self.back, view.starts)

    def describe(self) -> str:
        where = "right after" if self.back == 1 else f"{self.back} tokens after"
        return f"{where} {self.part.describe()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class WithinLast(Predicate):
    """``part`` holds at any of the ``n`` tokens before this one."""

    op: ClassVar[str] = "within_last"
    reads_books: ClassVar[bool] = True
    part: Predicate
    n: int

    def evaluate(self, view: Text) -> Prediction:
        return reached(self.part.over(view) > 0, self.n, view.starts)

    def describe(self) -> str:
        return f"within {self.n} tokens after {self.part.describe()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicWords(Predicate):
    """At least ``at_least`` of the ``n`` tokens up to this one (stripped, lower case) are among ``words``."""

    op: ClassVar[str] = "topic_words"
    reads_books: ClassVar[bool] = True
    words: tuple[str, ...]
    n: int = 30
    at_least: int = 1

    def evaluate(self, view: Text) -> Prediction:
        held = view.table("key", _flags(self.words)) > 0
        return (among(held, self.n, view.starts) >= self.at_least).astype(np.float64)

    def describe(self) -> str:
        if self.at_least > 1:
            return f"in passages with at least {self.at_least} of {quoted(self.words)} among {self.n} tokens"
        return f"in passages about {quoted(self.words)}"
