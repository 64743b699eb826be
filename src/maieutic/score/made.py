"""Generated stimuli: what a label claims, what only just misses it, and what has nothing to do with it.

The label's predicate alone decides the sort of every stimulus; neither a judge nor the unit is asked. Makers
(``make_texts``, ``make_images``) propose edits of held-out material, whatever the predicate is; these are the words
they share. Nothing here measures.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeVar

import numpy as np

from maieutic.explain.explanation import Explanation
from maieutic.readings import FloatArray
from maieutic.score.shared import label_key
from maieutic.stimuli.base import Stimulus

Sort = Literal["positive", "near miss", "neutral"]
Span = tuple[int, int]
T = TypeVar("T")

#: stimuli of each sort, at most; fewer than ``LEAST`` positives or others cannot be ranked
MOST: Mapping[Sort, int] = {"positive": 16, "near miss": 20, "neutral": 16}
LEAST = 4
#: where between its lowest and its highest prediction a label claims something, and where it denies it
HIGH, LOW = 0.6, 0.35


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """One generated stimulus.

    Attributes:
        sort: what the predicate says of it.
        stimulus: what is shown; its group is that of the held-out document or stamp it was made from.
        span: characters whose tokens are read (the largest value); ``None``: the only value.
        kind: how it was made (``another word``, ``taken out`` ...).
        what: the edit in words.
        predicted: the label's prediction, 0 to 1.
    """

    sort: Sort
    stimulus: Stimulus
    span: Span | None
    kind: str
    what: str
    predicted: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """Predictions at or above ``high`` are claims, at or below ``low`` denials; in between nothing is made."""

    low: float
    high: float

    @classmethod
    def of(cls, predicted: FloatArray) -> Levels | str:
        """From what the label predicts over held-out material, or why nothing can be made of it."""
        known = predicted[np.isfinite(predicted)]
        if not len(known):
            return "there is no held-out material to make stimuli from"
        # wide labels apply to most of a corpus: a low quantile, not the median, is where they deny
        rest, top = float(np.quantile(known, 0.1)), float(known.max())
        if top - rest < 1e-6:
            applies = "everywhere alike" if top > 0 else "nowhere"
            return f"the label applies {applies} in the test split: no positives can be made"
        return cls(low=rest + LOW * (top - rest), high=rest + HIGH * (top - rest))


@dataclass(frozen=True, kw_only=True)
class MadeSet:
    """What was made from one label.

    Attributes:
        items: positives, near misses, neutrals.
        levels: what counted as a claim.
        failed: sources that could not be loaded, id -> why.
    """

    items: tuple[Made, ...]
    levels: Levels
    failed: Mapping[str, str] = field(default_factory=dict)

    def count(self, sort: Sort) -> int:
        return sum(m.sort == sort for m in self.items)

    def kinds(self) -> dict[str, int]:
        """How the near misses were made, and how many each way."""
        return dict(sorted(Counter(m.kind for m in self.items if m.sort == "near miss").items()))

    def unusable(self) -> str | None:
        """Why these cannot be ranked, or ``None``."""
        positives, others = self.count("positive"), len(self.items) - self.count("positive")
        if positives < LEAST:
            return f"only {positives} positives could be made from the test split: at least {LEAST} are needed"
        if others < LEAST:
            return f"only {others} stimuli without it could be made from the test split: at least {LEAST} are needed"
        if len({m.stimulus.group or m.stimulus.id for m in self.items if m.sort == "positive"}) < 2:
            return "all positives come from one document or stamp"
        return None


def draws(found: Explanation, seed: int) -> np.random.Generator:
    """A generator for one label: the same whatever else is scored."""
    digest = hashlib.sha256(f"{seed}|{label_key(found)[0]}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big"))


def in_turn(items: Sequence[T], key: Callable[[T], str], draw: np.random.Generator) -> Iterator[T]:
    """Seeded order, one of each key before the second of any: a rare claim is tested as well as a frequent one."""
    order: list[int] = draw.permutation(len(items)).tolist()
    piles: dict[str, list[T]] = {}
    for i in order:
        piles.setdefault(key(items[i]), []).append(items[i])
    depth = 0
    while any(len(pile) > depth for pile in piles.values()):
        for pile in piles.values():
            if len(pile) > depth:
                yield pile[depth]
        depth += 1
