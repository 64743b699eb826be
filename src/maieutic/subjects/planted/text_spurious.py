"""Spurious units: their exemplars all show A, but they fire on B, which the corpus never shows without A.

What is bound is found in the texts: word pairs at a fixed distance, words that never come without another, endings and
number ranges that only one word or number has. On discover and select, truth and appearance correlate at ``BOUND`` or
more, so that only an experiment (B with something else, A without B) can tell.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from maieutic.subjects.planted.text_ground import Ground, draw_from
from maieutic.subjects.planted.text_rules import After, All, Before, Number, Spelled, TextRule, words

#: correlation of truth and appearance outside the test split, at least
BOUND = 0.97
#: how often a bound pair occurs outside the test split, at least
_OFTEN = 14


@dataclass(frozen=True)
class Spurious:
    """The truth, what the exemplars suggest, and the family of the truth."""

    truth: TextRule
    looks: TextRule
    family: str


def spurious(ground: Ground, rng: np.random.Generator) -> Iterator[Spurious]:
    """Bound rules in a seeded order, the forms taking turns."""
    pairs = draw_from(_pairs(ground), rng)
    others = [iter(draw_from(list(found), rng)) for found in (_affixes(ground), _numbers(ground))]
    used: set[str] = set()
    for turn in range(10_000):
        if turn % 5 == 4:
            found = next(others[turn // 5 % 2], None)
        else:
            pair = next((p for p in pairs if not used & {p[0], p[1]}), None)
            if pair is None and turn > 400:
                return
            found = None if pair is None else _of_pair(*pair, form=turn % 5, rng=rng)
            used |= set() if pair is None else {pair[0], pair[1]}
        if found is not None and _bound(ground, found):
            yield found


def _bound(ground: Ground, found: Spurious) -> bool:
    truth, looks = (r.truth(ground.view)[ground.known] for r in (found.truth, found.looks))
    if truth.std() == 0 or looks.std() == 0:
        return False
    return float(np.corrcoef(truth, looks)[0, 1]) >= BOUND


def _pairs(ground: Ground) -> list[tuple[str, str, int]]:
    """(B, A, distance): A always stands that far after B, and hardly anywhere else."""
    size = len(ground.words)
    counts = np.bincount(ground.low[ground.known], minlength=size)
    found: list[tuple[str, str, int]] = []
    for back in range(1, 7):
        earlier, later = ground.at_distance(back)
        pairs, n = np.unique(earlier * size + later, return_counts=True)
        before, after = pairs // size, pairs % size
        tied = (n >= _OFTEN) & (n >= BOUND * counts[before]) & (n >= BOUND * counts[after])
        found += [
            (ground.words[int(b)], ground.words[int(a)], back)
            for b, a in zip(before[tied], after[tied], strict=True)
            if ground.words[int(b)].isalpha() and ground.words[int(a)].isalpha() and a != b
        ]
    return sorted(found)


def _of_pair(cause: str, shown: str, back: int, *, form: int, rng: np.random.Generator) -> Spurious:
    """Four ways in which what is shown may be due to the word before it."""
    b, a = words(cause), words(shown)
    if form == 0:
        return Spurious(After(b, back), a, "place")
    if form == 1:
        return Spurious(All((a, Before(b, back + int(rng.integers(0, 4))))), a, "word")
    if form == 2:
        return Spurious(All((Spelled("letters", str(min(len(shown), 4))), After(b, back))), a, "word class")
    return Spurious(All((Spelled("ends", shown[-2:]), Before(b, back + int(rng.integers(0, 3))))), a, "word class")


def _affixes(ground: Ground) -> Iterator[Spurious]:
    """Endings that nearly always belong to one word, though others have them too."""
    counts = np.bincount(ground.low[ground.known], minlength=len(ground.words))
    by_end: dict[str, list[tuple[int, str]]] = {}
    for word, n in zip(ground.words, counts.tolist(), strict=True):
        if word.isalpha() and len(word) > 5:
            for size in (3, 4):
                by_end.setdefault(word[-size:], []).append((n, word))
    for end, members in sorted(by_end.items()):
        n, word = max(members)
        total = sum(m for m, _ in members)
        if len(members) > 1 and n >= 2 * _OFTEN and n >= BOUND * total:
            yield Spurious(Spelled("ends", end), words(word), "word class")


def _numbers(ground: Ground) -> Iterator[Spurious]:
    """Ranges about a number in which hardly another number occurs."""
    for word, n in zip(ground.words, ground.counts.tolist(), strict=True):
        if word.isdigit() and len(word) > 1 and not word.startswith("0") and n >= 2 * _OFTEN:
            value = float(word)
            for width in (0.2, 0.1, 0.05):
                low, high = round(value * (1 - width)), round(value * (1 + width))
                if low < value < high:
                    yield Spurious(Number(low, high), words(word), "number")
