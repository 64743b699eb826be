"""Rules of planted text units: functions of the words of a text, lower case, one value a word."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from maieutic.subjects.base import TokenSpan
from maieutic.subjects.planted.rule import Rule, Truth

_TOKEN = re.compile(r"[A-Za-z]+|\d+|[^\sA-Za-z\d]")


def words_of(text: str) -> list[str]:
    """The words, numbers and marks of a text, lower case."""
    return [m.group().lower() for m in _TOKEN.finditer(text)]


def tokens_of(text: str) -> list[TokenSpan]:
    """The same with their places."""
    return [TokenSpan(m.group(), m.start(), m.end()) for m in _TOKEN.finditer(text)]


@dataclass(frozen=True)
class Words(Rule):
    """Fires on words, each with its strength."""

    strengths: tuple[tuple[str, float], ...]

    def truth(self, view: list[str]) -> Truth:
        table = dict(self.strengths)
        return np.array([table.get(word, 0.0) for word in view])


@dataclass(frozen=True)
class WordNear(Rule):
    """Fires on a word that has ``before`` among the ``within`` tokens before it; ``absent``: that has it not."""

    word: str
    before: str
    within: int
    absent: bool = False

    def truth(self, view: list[str]) -> Truth:
        hits = [
            word == self.word and (self.before in view[max(0, i - self.within) : i]) != self.absent
            for i, word in enumerate(view)
        ]
        return np.array(hits, dtype=np.float64)


@dataclass(frozen=True)
class Follows(Rule):
    """Fires on whatever token comes right after a word."""

    before: str

    def truth(self, view: list[str]) -> Truth:
        return np.array([i > 0 and view[i - 1] == self.before for i in range(len(view))], dtype=np.float64)


@dataclass(frozen=True)
class First(Rule):
    """Fires on the first tokens of a text."""

    n: int

    def truth(self, view: list[str]) -> Truth:
        return (np.arange(len(view)) < self.n).astype(np.float64)
