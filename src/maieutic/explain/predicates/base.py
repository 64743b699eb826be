"""Predicates: executable labels. view -> predicted activation in [0, 1] per position (an image has one position).

A predicate is plain data (frozen dataclasses registered by name), so that it can be stored, read by a person, compared
and run without a judge. Loading never runs code: only registered names are built.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from maieutic.errors import UserError

Prediction = NDArray[np.float64]


class View(Protocol):
    """What a predicate reads: at least how many positions there are."""

    def __len__(self) -> int: ...


class Book:
    """Views of many stimuli read as one: their positions end to end, in order. ``len`` is the number of positions."""

    views: Sequence[Any]

    def __len__(self) -> int:
        return sum(len(v) for v in self.views)


class Predicate(ABC):
    """view -> ``[position]`` in [0, 1]. Subclasses are frozen dataclasses; ``op`` is their stored name."""

    op: ClassVar[str] = ""
    registry: ClassVar[dict[str, type[Predicate]]] = {}
    #: whether ``evaluate`` takes a ``Book`` too, and gives for it what its views give, end to end
    reads_books: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.op:
            assert cls.op not in Predicate.registry or Predicate.registry[cls.op].__name__ == cls.__name__, cls.op
            Predicate.registry[cls.op] = cls
        if "evaluate" in cls.__dict__ and "reads_books" not in cls.__dict__:
            cls.reads_books = False  # what a parent's way of evaluating could is not said of another

    @abstractmethod
    def evaluate(self, view: Any) -> Prediction:
        """Predicted activation at every position, in [0, 1]."""

    def over(self, view: Any) -> Prediction:
        """``evaluate`` of a view; of a ``Book``, what its views give, end to end: at once, or view by view."""
        if self.reads_books or not isinstance(view, Book):
            return self.evaluate(view)
        rows = [self.evaluate(v) for v in view.views]
        return np.concatenate(rows) if rows else np.zeros(0)

    @abstractmethod
    def describe(self) -> str:
        """The predicate in words."""

    def to_json(self) -> dict[str, Any]:
        """Plain data, ``{"op": name, field: value...}``."""
        return {"op": self.op, **{f.name: _plain(getattr(self, f.name)) for f in fields(self)}}  # pyright: ignore[reportArgumentType]


def _plain(value: Any) -> Any:
    if isinstance(value, Predicate):
        return value.to_json()
    if isinstance(value, tuple):
        return [_plain(v) for v in value]  # pyright: ignore[reportUnknownVariableType]
    return value


def _built(value: Any) -> Any:
    if isinstance(value, Mapping):
        return from_json(value)  # pyright: ignore[reportUnknownArgumentType]
    if isinstance(value, list):
        return tuple(_built(v) for v in value)  # pyright: ignore[reportUnknownVariableType]
    return value


def from_json(data: Mapping[str, Any]) -> Predicate:
    """The predicate of its plain data; ``UserError`` for an unknown name or wrong fields."""
    kind = Predicate.registry.get(str(data.get("op")))
    if kind is None:
        raise UserError(f"unknown predicate {data.get('op')!r}: it was written by another version; re-run explain")
    try:
        return kind(**{k: _built(v) for k, v in data.items() if k != "op"})
    except TypeError as error:
        raise UserError(f"predicate {data.get('op')!r} is malformed ({error}): re-run explain") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Constant(Predicate):
    """The same prediction everywhere: the weakest control."""

    op: ClassVar[str] = "constant"
    reads_books: ClassVar[bool] = True
    value: float

    def evaluate(self, view: View) -> Prediction:
        return np.full(len(view), self.value)

    def describe(self) -> str:
        return "anything" if self.value else "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class And(Predicate):
    """The weakest of the parts (fuzzy and)."""

    op: ClassVar[str] = "and"
    reads_books: ClassVar[bool] = True
    parts: tuple[Predicate, ...]

    def evaluate(self, view: View) -> Prediction:
        return np.minimum.reduce([p.over(view) for p in self.parts])

    def describe(self) -> str:
        return " and ".join(p.describe() for p in self.parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Or(Predicate):
    """The strongest of the parts (fuzzy or)."""

    op: ClassVar[str] = "or"
    reads_books: ClassVar[bool] = True
    parts: tuple[Predicate, ...]

    def evaluate(self, view: View) -> Prediction:
        return np.maximum.reduce([p.over(view) for p in self.parts])

    def describe(self) -> str:
        return ", or ".join(p.describe() for p in self.parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Not(Predicate):
    """One minus the part."""

    op: ClassVar[str] = "not"
    reads_books: ClassVar[bool] = True
    part: Predicate

    def evaluate(self, view: View) -> Prediction:
        return 1.0 - self.part.over(view)

    def describe(self) -> str:
        return f"not {self.part.describe()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaled(Predicate):
    """The part times a strength in [0, 1]: how strongly the unit fires there."""

    op: ClassVar[str] = "scaled"
    reads_books: ClassVar[bool] = True
    part: Predicate
    strength: float

    def evaluate(self, view: View) -> Prediction:
        return self.strength * self.part.over(view)

    def describe(self) -> str:
        return self.part.describe()
