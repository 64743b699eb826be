"""The conditions that the text search looks through: what each is, which predicate it is, how readily a person would say it.

The matrix of where they hold is in ``text_matrix``, how it is made from a corpus in ``text_build``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from maieutic.explain.predicates.base import Predicate
from maieutic.explain.predicates.text import (
    HasAffix,
    NumberRange,
    Position,
    PreviousIs,
    Structure,
    TokenClass,
    TokenIn,
    TopicWords,
    WithinLast,
    WordIn,
)
from maieutic.explain.predicates.text_rules import Anywhere

Part = Literal["token", "word", "class", "affix", "structure", "number", "position"]
Named = tuple[Part, str]

#: number ranges that people name
NUMBERS: tuple[tuple[float, float], ...] = (
    (0, 1),
    (0, 9),
    (1, 12),
    (10, 31),
    (10, 99),
    (100, 999),
    (1000, 9999),
    (1500, 2100),
    (10000, 1e15),
)
#: last place of what counts as early in a text
EARLY = (0, 1, 2, 3, 7, 15)
#: tokens of a passage
TOPIC = 30
#: reach of "within the last n tokens"; the search later settles n more finely
NEAR: Mapping[str, int] = {"near": 4, "further": 16}


@dataclass(frozen=True, slots=True)
class Feature:
    """A condition: ``part`` with ``value``, held by the token (``where`` 0), so many tokens back, or in a window."""

    part: Part
    value: str
    where: int | str = 0

    def predicate(self, *, text_level: bool = False) -> Predicate:
        """The condition as a predicate; with ``text_level``, of the whole text."""
        if text_level:
            return Anywhere(part=self.predicate())
        if self.where == "topic":
            return TopicWords(words=(self.value,), n=TOPIC)
        here = self._here()
        if self.where == 0:
            return here
        if isinstance(self.where, str):
            return WithinLast(part=here, n=NEAR[self.where])
        return PreviousIs(part=here, back=self.where)

    def _here(self) -> Predicate:
        builders: dict[str, Callable[[str], Predicate]] = {
            "token": lambda v: TokenIn(words=(v,)),
            "word": lambda v: WordIn(words=(v,)),
            "class": lambda v: TokenClass(name=v),
            "structure": lambda v: Structure(name=v),
            "affix": lambda v: HasAffix(suffix=v[1:]) if v[0] == "-" else HasAffix(prefix=v[:-1]),
            "number": lambda v: NumberRange(low=float(v.split("..")[0]), high=float(v.split("..")[1])),
            "position": lambda v: Position(last=int(v)),
        }
        return builders[self.part](self.value)

    @property
    def ease(self) -> float:
        """How readily a person would say it; multiplies its gain."""
        ease = {
            "token": 1.0,
            "word": 1.0,
            "class": 1.05,
            "structure": 1.0,
            "number": 1.0,
            "position": 0.95,
            "affix": 0.85,
        }[self.part]
        far = {0: 1.0, 1: 1.0, 2: 0.95, 3: 0.9, "near": 0.95, "further": 0.95, "topic": 0.9}[self.where]
        return ease * far
