"""Graded predicates about tokens: tables of strengths, and scored sums of clauses.

A ``RuleSet`` adds its clauses, because units respond in degrees: a word may be strong after one context and weak
elsewhere. The sum is clipped to [0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

from maieutic.explain.predicates.base import Constant, Predicate, Prediction
from maieutic.explain.predicates.text import quoted, visible
from maieutic.explain.views_text import Text

Row = tuple[Any, ...]


@lru_cache(maxsize=512)
def _as_dict(rows: tuple[Row, ...]) -> dict[Any, float]:
    return {(r[0] if len(r) == 2 else r[:-1]): float(r[-1]) for r in rows}


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenStrengths(Predicate):
    """A strength per raw token; tokens outside the table get ``otherwise``.

    Attributes:
        table: ``(token, strength)`` rows, strongest first.
        otherwise: what is predicted for other tokens.
    """

    op: ClassVar[str] = "token_strengths"
    reads_books: ClassVar[bool] = True
    table: tuple[Row, ...]
    otherwise: Predicate = Constant(value=0.0)

    def evaluate(self, view: Text) -> Prediction:
        out = view.table("token", _as_dict(self.table), np.nan)
        missing = np.isnan(out)
        if missing.any():
            out[missing] = self.otherwise.over(view.per_token)[missing]
        return out

    def describe(self) -> str:
        return quoted(tuple(dict.fromkeys(visible(r[0]).lower() for r in self.table[:12])))


@lru_cache(maxsize=512)
def _by_level(table: tuple[Row, ...]) -> dict[str, dict[Any, float]]:
    out: dict[str, dict[Any, float]] = {}
    for row in table:
        key = row[1] if len(row) == 3 else tuple(row[1:-1])
        out.setdefault(row[0], {})[key] = float(row[-1])
    return out


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrases(Predicate):
    """Graded strengths of words and short phrases, from general to specific; each row corrects the rows before it.

    Only to be used inside a ``RuleSet``: the sum of the matching rows may be negative (a phrase in which a strong
    word is weak).

    Attributes:
        table: rows ``(level, key..., strength)``; see ``views_text.LEVELS``. Strongest total first.
    """

    op: ClassVar[str] = "phrases"
    reads_books: ClassVar[bool] = True
    table: tuple[Row, ...]

    def evaluate(self, view: Text) -> Prediction:
        total = np.zeros(view.size)
        for level, strengths in _by_level(self.table).items():
            total += view.table(level, strengths)
        return total

    def describe(self) -> str:
        return quoted(self.strongest())

    def strongest(self, most: int = 8) -> tuple[str, ...]:
        """The words and phrases with the largest strengths, as a person would write them."""
        rows = sorted((r for r in self.table if r[-1] > 0), key=lambda r: -float(r[-1]))
        return tuple(dict.fromkeys(phrase_text(r) for r in rows[: 3 * most]))[:most]


def phrase_text(row: Row) -> str:
    """A row's key in words."""
    return " ".join(visible(str(k)).lower() for k in row[1:-1] if k != "").strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSet(Predicate):
    """``base`` plus the weighted clauses, clipped to [0, 1]. A negative weight is an exception.

    Attributes:
        clauses: conditions, 0 to 1 each.
        weights: strength that each adds, -1 to 1.
        base: prediction where no clause holds.
    """

    op: ClassVar[str] = "rule_set"
    reads_books: ClassVar[bool] = True
    clauses: tuple[Predicate, ...]
    weights: tuple[float, ...]
    base: float = 0.0

    def evaluate(self, view: Text) -> Prediction:
        total = np.full(len(view), self.base)
        for clause, weight in zip(self.clauses, self.weights, strict=True):
            total += weight * clause.over(view)
        return np.clip(total, 0.0, 1.0)

    def describe(self) -> str:
        plus = [c.describe() for c, w in zip(self.clauses, self.weights, strict=True) if w > 0]
        minus = [c.describe() for c, w in zip(self.clauses, self.weights, strict=True) if w < 0]
        return "; ".join(plus) + (f"; less for {', '.join(minus)}" if minus else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Anywhere(Predicate):
    """The largest prediction of ``part`` over the tokens of the text: for subjects with one value a text."""

    op: ClassVar[str] = "anywhere"
    reads_books: ClassVar[bool] = True
    part: Predicate

    def evaluate(self, view: Text) -> Prediction:
        return view.strongest(self.part.over(view.per_token))

    def describe(self) -> str:
        return f"texts with {self.part.describe()}"
