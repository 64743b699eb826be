"""The texts that units are planted in, read once: how often a rule is active where, and what keeps company with what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maieutic.subjects.planted.draw import LEAST
from maieutic.subjects.planted.rule import Truth
from maieutic.subjects.planted.text_rules import TextRule
from maieutic.subjects.planted.text_view import TextView

#: active positions of a rare unit in each split, at least; and at most, as a share of all positions, in small corpora as a
#: number
LEAST_RARE: Mapping[str, int] = {"discover": 4, "select": 1, "test": 3}
RARE, RARE_POSITIONS = 1.9e-4, 12
#: two units whose truths correlate more than this are one
ALIKE = 0.95
#: a unit that is active at more positions than this has hardly anything to tell apart
MOST = 0.3


class Ground:
    """All texts of a corpus as one view.

    Attributes:
        view: the texts.
        low: tokens in lower case, as codes into ``words``; ``[position]``.
        words: distinct tokens in lower case.
        code: the code of one of ``words``.
        counts: how often each of ``words`` occurs.
        known: positions of the discover and select splits, ``[position]``.
    """

    def __init__(self, corpus: Any) -> None:
        stimuli = list(corpus.stimuli)
        self.view = TextView([s.content for s in stimuli])
        splits = np.repeat(np.array([s.split for s in stimuli]), self.view.lengths)
        self._split = {name: splits == name for name in LEAST}
        self.known: NDArray[np.bool_] = ~self._split["test"]
        index: dict[str, int] = {}
        lower = np.array([index.setdefault(t.lower(), len(index)) for t in self.view.vocabulary], dtype=np.int64)
        self.low: NDArray[np.int64] = lower[self.view.codes]
        self.words = list(index)
        self.code = index.__getitem__
        self.counts = np.bincount(self.low, minlength=len(self.words))
        self._taken: list[NDArray[np.float64]] = []

    def __len__(self) -> int:
        return len(self.view)

    @property
    def rare(self) -> float:
        """The largest share of positions at which a rare unit is active."""
        return max(RARE, RARE_POSITIONS / max(len(self), 1))

    def active(self, on: NDArray[np.bool_]) -> dict[str, int]:
        """Active positions by split."""
        return {name: int((on & where).sum()) for name, where in self._split.items()}

    def fits(self, truth: Truth, least: Mapping[str, int] = LEAST, most: float = MOST) -> bool:
        """Whether a truth is active often enough in every split, and not too often in all."""
        on = truth >= 0.5
        found = self.active(on)
        return all(found[split] >= n for split, n in least.items()) and int(on.sum()) <= most * len(self)

    def take(self, truth: Truth) -> bool:
        """Remember a truth, unless it is (nearly) one that was taken before."""
        centred = truth - truth.mean()
        size = float(np.linalg.norm(centred))
        if size == 0:
            return False
        unit = (centred / size).astype(np.float32)
        if any(float(unit @ other) > ALIKE for other in self._taken):
            return False
        self._taken.append(unit)
        return True

    def examples(self, rule: TextRule, most: int = 8, seldom: int = 4) -> tuple[str, ...]:
        """The tokens that a rule is active on most often, then some that it is active on least often, in lower case."""
        counts = np.bincount(self.low[rule.truth(self.view) >= 0.5], minlength=len(self.words))
        order = np.argsort(-counts, kind="stable")[: int((counts > 0).sum())]
        chosen = [*order[:most], *order[most:][-seldom:]]
        return tuple(self.words[int(i)] for i in chosen)

    def frequent(self, low: float, high: float, *, letters: int = 3) -> list[str]:
        """Words of so many letters and more, whose share of all positions lies in a range, sorted."""
        n = len(self)
        return sorted(
            w
            for w, c in zip(self.words, self.counts.tolist(), strict=True)
            if w.isalpha() and len(w) >= letters and low * n <= c <= high * n
        )

    def company(self, on: NDArray[np.bool_], within: int) -> list[tuple[str, float]]:
        """Tokens among the ``within`` before active positions, with the share of active positions (about) they precede."""
        at = np.flatnonzero(on)
        total = np.zeros(len(self.words))
        for back in range(1, within + 1):
            there = at[at - back >= self.view.start[at]] - back
            total += np.bincount(self.low[there], minlength=len(self.words))
        share = total / max(len(at), 1)
        return [(self.words[int(i)], float(share[i])) for i in np.argsort(-share, kind="stable")[:400] if share[i] > 0]

    def at_distance(self, back: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Codes of all pairs of known tokens in one text, the earlier and the later, ``back`` apart."""
        at = np.arange(back, len(self))
        at = at[(at - back >= self.view.start[at]) & self.known[at]]
        return self.low[at - back], self.low[at]


def draw_from(some: Sequence[Any], rng: np.random.Generator) -> list[Any]:
    """The same in a seeded order."""
    return [some[int(i)] for i in rng.permutation(len(some))]
