"""Which windows a judge is asked about: firing ones over the whole range, resting ones at random, and tempting ones.

Also how marks are put on tokens, rightly and wrongly. Draws are seeded and the same for every label that is judged on
one unit, so that labels are compared on the very same items.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np

from maieutic.score.judged.material import Material, Window

T = TypeVar("T")
Kind = Literal["active", "inactive", "hard", "elsewhere", "wrong"]

#: equal-count bins of firing windows ranked by their largest value; each gives as many items
BINS = 10
#: share of the window's largest activation from which a token is marked
MARKED = 0.3
#: fewer firing or resting windows than this cannot be scored; nor can fewer documents
LEAST, LEAST_CLUSTERS = 5, 2


@dataclass(frozen=True, eq=False, kw_only=True)
class Item:
    """One thing to judge.

    Attributes:
        kind: ``active`` (where marks are shown: with the right ones), ``inactive``, ``hard`` (inactive, but holding what
            the unit answers to), ``elsewhere`` (marks in a resting window), ``wrong`` (a firing window with wrong marks).
        window: what is shown.
        marks: marked positions; empty without marks.
        stands_for: windows of the test split that this one stands for, where that matters.
    """

    kind: Kind
    window: Window
    marks: tuple[int, ...] = ()
    stands_for: float = 1.0

    @property
    def truth(self) -> bool:
        return self.kind == "active"


def draw(*parts: object) -> np.random.Generator:
    """A generator for these parts: the same whatever else is scored."""
    digest = hashlib.sha256("|".join(map(str, parts)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big"))


def over_range(windows: Sequence[Window], n: int, rng: np.random.Generator) -> list[Window]:
    """Up to ``n`` windows, as evenly as possible from bins of equal count by rank: the whole range, not the top."""
    ranked = sorted(windows, key=lambda w: (-w.top, w.key))
    if len(ranked) <= n:
        return ranked
    bins = [b for b in np.array_split(np.arange(len(ranked)), BINS) if len(b)]
    shuffled = [b[rng.permutation(len(b))].tolist() for b in bins]
    chosen: list[int] = []
    while len(chosen) < n:
        for left in shuffled:
            if left and len(chosen) < n:
                chosen.append(left.pop())
    return [ranked[i] for i in sorted(chosen)]


def uniform(windows: Sequence[T], n: int, rng: np.random.Generator) -> list[T]:
    """Up to ``n``, each with the same chance."""
    return [windows[i] for i in np.sort(rng.permutation(len(windows))[:n]).tolist()]


def enough(material: Material) -> str | None:
    """Why the unit's windows cannot be judged, or ``None``."""
    for windows, what in ((material.firing, "active in"), (material.calm, "at rest in")):
        groups = len({w.cluster for w in windows})
        if len(windows) < LEAST:
            return f"{what} {len(windows)} of {len(material.windows)} test windows: at least {LEAST} are needed"
        if groups < LEAST_CLUSTERS:
            return f"{what} {groups} test group only: at least {LEAST_CLUSTERS} are needed"
    return None


def right_marks(window: Window, *, share: float = MARKED) -> tuple[int, ...]:
    """Positions at ``share`` of the window's largest activation or above (0-1 scale); where none is, the largest."""
    top = float(window.scaled.max())
    where = np.flatnonzero(window.scaled >= share * top) if top > 0 else np.array([int(window.values.argmax())])
    return tuple(where.tolist())


def shifted(marks: Sequence[int], length: int, rng: np.random.Generator, *, off: Sequence[int] = ()) -> tuple[int, ...]:
    """The pattern of marks moved to another place of a window, with none on ``off``.

    So neither the number of marks nor how they cluster tells right from wrong. Where the pattern fits nowhere, as many
    single positions are drawn; where even those are too few, all that are left (perhaps none).
    """
    pattern = [m - min(marks) for m in marks] if marks else []
    taken = frozenset(off)
    fits = [s for s in range(length - max(pattern, default=0)) if taken.isdisjoint(s + p for p in pattern)]
    if pattern and fits:
        start = fits[int(rng.integers(len(fits)))]
        return tuple(start + p for p in pattern)
    free = [i for i in range(length) if i not in taken]
    return tuple(sorted(uniform(free, len(pattern), rng)))


def batches(items: Sequence[Item], size: int, rng: np.random.Generator) -> list[list[Item]]:
    """Items in seeded order, ``size`` a prompt; no prompt shows one window twice as long as that can be helped."""
    waiting = [items[i] for i in rng.permutation(len(items)).tolist()]
    out: list[list[Item]] = []
    while waiting:
        batch: list[Item] = []
        for item in list(waiting):
            if len(batch) == size:
                break
            if item.window.key not in {i.window.key for i in batch}:
                batch.append(item)
                waiting.remove(item)
        while len(batch) < size and waiting:
            batch.append(waiting.pop(0))
        out.append(batch)
    return out
