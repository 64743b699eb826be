"""Choosing what planted units are about: words and concepts of the corpus at hand, frequent enough to be scored.

Nothing is hard-wired: another corpus or seed gives other words. Corpora are duck-typed (``stimuli`` with ``content``
and ``split``), because rooms below this one define them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from maieutic.errors import UserError
from maieutic.subjects.planted.rule import Nothing, Rule
from maieutic.subjects.planted.subject import Planted

#: signal to noise of a noisy unit: full activation over the standard deviation of the noise
SNR = 4.0
#: active positions or pictures that every unit has in each split, at least: enough to find it, choose it and score it
LEAST = {"discover": 10, "select": 3, "test": 5}


@dataclass(frozen=True)
class Views:
    """The corpus as rules see it: ``rows`` are word lists or ``Seen`` pictures, each with its split."""

    rows: Sequence[Any]
    splits: Sequence[str]

    def often(self, rule: Rule) -> bool:
        """Whether a rule is active often enough in every split, and not nearly always."""
        counts, positions = Counter[str](), 0
        for row, split in zip(self.rows, self.splits, strict=True):
            truth = rule.truth(row)
            counts[split] += int((truth >= 0.5).sum())
            positions += len(truth)
        return all(counts[split] >= n for split, n in LEAST.items()) and counts.total() <= 0.4 * positions


class Draw:
    """Draws names without putting back, in a seeded order, skipping those whose rule is active too seldom."""

    def __init__(self, names: Sequence[str], rng: np.random.Generator, what: str, views: Views) -> None:
        order: list[int] = rng.permutation(len(names)).tolist()
        self._names = [names[i] for i in order]
        self._what, self._views = what, views

    def __call__(self, rule: Callable[[str], Rule]) -> str:
        while self._names:
            name = self._names.pop(0)
            if self._views.often(rule(name)):
                return name
        raise UserError(f"the corpus has too few {self._what} of suitable frequency to plant in: give it more stimuli")

    def drop(self, *names: str) -> None:
        self._names = [name for name in self._names if name not in names]


def planted(name: str, kind: str, rule: Rule, about: str, involved: Sequence[str] = (), noise: float = 0.0) -> Planted:
    return Planted(name=name, kind=kind, rule=rule, about=about, involved=tuple(involved), noise=noise)


def silent() -> list[Planted]:
    return [
        planted("dead-0", "dead", Nothing(), "nothing: it never fires"),
        planted("noise-0", "noise", Nothing(), "nothing: it is noise", noise=1.0),
    ]
