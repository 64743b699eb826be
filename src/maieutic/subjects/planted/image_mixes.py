"""Rules made of other rules, for pictures: all of them, one without another, the strongest of unequal parts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from maieutic.subjects.planted.image_rules import Seen
from maieutic.subjects.planted.rule import Rule, Truth


@dataclass(frozen=True)
class Every(Rule):
    """As strong as the weakest part."""

    parts: tuple[Rule, ...]

    def truth(self, view: Seen) -> Truth:
        return np.minimum.reduce([part.truth(view) for part in self.parts])


@dataclass(frozen=True)
class Without(Rule):
    """A part, as long as another rests."""

    part: Rule
    other: Rule

    def truth(self, view: Seen) -> Truth:
        return np.minimum(self.part.truth(view), 1.0 - self.other.truth(view))


@dataclass(frozen=True)
class Strongest(Rule):
    """The strongest of several parts, each times its strength (0 to 1)."""

    parts: tuple[tuple[Rule, float], ...]

    def truth(self, view: Seen) -> Truth:
        return np.maximum.reduce([strength * part.truth(view) for part, strength in self.parts])
