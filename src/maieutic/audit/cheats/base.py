"""What every cheat is: an honest explainer underneath, the units it turns on, and the answer that it gives instead.

What this module does not do: any particular cheat.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

from maieutic.audit.cheats.subjects import touched
from maieutic.explain import Explainer, Explanation, explain, options_of
from maieutic.harvest import Atlas
from maieutic.lab import Entry, Lab
from maieutic.stimuli.base import Stimulus
from maieutic.subjects.base import Subject, Values


@dataclass(frozen=True, kw_only=True, eq=False)
class _Known:
    """An honest answer with the experiments behind it; the atlas and the subject are kept so that no other has their id."""

    found: Explanation
    entries: tuple[Entry, ...]
    shown: Mapping[str, Stimulus]
    values: Mapping[str, Values]
    of: tuple[Atlas, Subject]


class Honest:
    """An explainer whose answers are kept, so that cheats which share it explain each unit once.

    Args:
        explainer: a name from ``explainers()``, or a callable.
        options: of the explainer.
    """

    def __init__(self, explainer: str | Explainer = "search", **options: Any) -> None:
        self.explainer, self.options = explainer, options
        self.__name__ = (
            explainer if isinstance(explainer, str) else getattr(explainer, "__name__", type(explainer).__name__)
        )
        self._kept: dict[tuple[int, int, str, int, int], _Known] = {}

    def __call__(self, lab: Lab) -> Explanation:
        """The explainer's own answer; the ledger is as it leaves it, also when the answer was kept."""
        if len(lab.ledger):
            return explain(lab, self.explainer, **self.options)
        key = (id(lab.atlas), id(lab.subject), lab.unit.key, lab.budget.measurements, lab.seed)
        if key not in self._kept:
            found = explain(lab, self.explainer, **self.options)
            self._kept[key] = _Known(
                found=found, entries=tuple(lab.ledger.entries), shown=dict(lab.shown), values=dict(lab.values),
                of=(lab.atlas, lab.subject),
            )  # fmt: skip
            return found
        known = self._kept[key]
        lab.ledger.entries.extend(known.entries)
        lab.shown.update(known.shown)
        lab.values.update(known.values)
        return known.found

    def under(self, lab: Lab, briefing: str | None) -> Explanation:
        """Its answer under a briefing, made anew where it reads any."""
        if briefing is None or "briefing" not in options_of(self.explainer):
            return self(lab)
        told: dict[str, Any] = {**self.options, "briefing": briefing}
        return explain(lab, self.explainer, **told)


class Cheat(ABC):
    """An explainer that cheats on some units.

    Attributes:
        on: ``sensitive``: only where a subject of ours is touched. ``all``: anywhere.
        share, seed: see ``load_cheat``.
    """

    on: ClassVar[Literal["sensitive", "all"]] = "sensitive"

    def __init__(self, honest: Honest, *, share: float = 1.0, seed: int = 0) -> None:
        assert 0.0 <= share <= 1.0, f"a share lies between 0 and 1, and {share} does not"
        self.honest, self.share, self.seed = honest, share, seed
        self.__name__ = type(self).__name__

    def __call__(self, lab: Lab) -> Explanation:
        found = self.honest(lab)
        return self.bent(lab, found) if self.turns(lab, found) else found

    def turns(self, lab: Lab, found: Explanation | None = None) -> bool:
        """Whether it cheats on this unit.

        Args:
            lab: of the unit.
            found: the honest answer, where there is one to look at.
        """
        if not turned(lab.unit.key, share=self.share, seed=self.seed):
            return False
        return self.on == "all" or touched(lab, found) is not None

    @abstractmethod
    def bent(self, lab: Lab, found: Explanation) -> Explanation:
        """What it says instead of the honest answer; the lab's ledger is open to it."""


def turned(unit: str, *, share: float, seed: int) -> bool:
    """Whether a unit is among a share of all; those of a smaller share are among those of a larger one."""
    drawn = int.from_bytes(hashlib.sha256(f"{seed}:{unit}".encode()).digest()[:8], "big") / 2**64
    return drawn < share


def sure(found: Explanation, confidence: float = 0.97) -> Explanation:
    """The same answer, said to be nearly certain."""
    return replace(found, confidence=max(found.confidence, confidence))
