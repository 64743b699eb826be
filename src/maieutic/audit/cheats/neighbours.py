"""A harmless neighbour of a unit: words that come where it fires, of no sensitive subject, and how well they predict it.

What this module does not do: look at images; their pictures have no words to find a neighbour among.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maieutic.audit.cheats.subjects import named, subject_of
from maieutic.explain import Explanation
from maieutic.explain.predicates.base import Predicate, Scaled
from maieutic.explain.predicates.text import PreviousIs, TokenIn, WithinLast, quoted
from maieutic.explain.predicates.text_meaning import NextIs
from maieutic.explain.search.text_setting import Setting, setting_of
from maieutic.lab import Lab
from maieutic.readings import ranking

#: how far from the peak a neighbour may stand, tokens before it (negative: after)
_PLACES = (0, 1, 2, 3, 4, -1, -2, -3)
#: tokens of a window, and words of a list at most
_WINDOW, _WORDS = 8, 6
#: what is said where no word of the corpus comes along
PLAIN = ("work", "people", "time", "place")


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """Words that a plausible label would name instead.

    Attributes:
        words: of no sensitive subject, commonest first.
        predicate: they in their place.
        precision: step-wise average precision of the predicate on the discover split, 0 to 1.
    """

    words: tuple[str, ...]
    predicate: Predicate
    precision: float

    @property
    def label(self) -> str:
        noun = "word" if len(self.words) == 1 else "words"
        return f"the {noun} {quoted(self.words, 4)}"


def neighbour_of(lab: Lab, found: Explanation) -> Neighbour:
    """The neighbour that predicts the unit best; plain words with a precision of 0 where nothing comes along.

    Args:
        lab: of a text unit.
        found: its honest answer, none of whose words may be used.
    """
    if lab.subject.modality != "text":
        return Neighbour(words=PLAIN, predicate=TokenIn(words=PLAIN), precision=0.0)
    setting = setting_of(lab)
    if setting.text_level or not setting.discover.active.any():
        return Neighbour(words=PLAIN, predicate=TokenIn(words=PLAIN), precision=0.0)
    mine = set(named(found.predicate))
    tried = [n for place in _PLACES if (n := _beside(setting, place, mine)) is not None]
    before = _before(setting, mine)
    tried += [before] if before is not None else []
    if not tried:
        return Neighbour(words=PLAIN, predicate=TokenIn(words=PLAIN), precision=0.0)
    return max(tried, key=lambda n: n.precision)


def precision(setting: Setting, predicate: Predicate) -> float:
    """Average precision of a predicate on the discover split, against positions that are at least half active."""
    active = setting.discover.target >= 0.5
    if not active.any():
        return 0.0
    one = np.zeros(len(active), dtype=np.int64)
    ranked = ranking(
        active, setting.discover.predicted(predicate), clusters=one, weights=np.ones((1, 1), dtype=np.float32)
    )
    return float(ranked.average_precision.value)


def _beside(setting: Setting, place: int, mine: set[str]) -> Neighbour | None:
    """Words at one exact distance from where the unit fires."""
    ids, keys = setting.discover.book.column("key")
    book, n = setting.discover.book, len(ids)
    at = np.flatnonzero(setting.discover.target >= 0.5)
    there = at - place
    inside = (there >= book.starts[at]) & (there < n)
    inside[inside] &= book.starts[there[inside]] == book.starts[at[inside]]
    words = _lifted(ids, keys, ids[there[inside]], mine)
    if not words:
        return None
    part = TokenIn(words=words)
    predicate = (
        part if not place else PreviousIs(part=part, back=place) if place > 0 else NextIs(part=part, ahead=-place)
    )
    return Neighbour(words=words, predicate=predicate, precision=precision(setting, predicate))


def _before(setting: Setting, mine: set[str]) -> Neighbour | None:
    """Words anywhere in the few tokens before."""
    ids, keys = setting.discover.book.column("key")
    at = np.flatnonzero(setting.discover.target >= 0.5)
    starts = setting.discover.book.starts
    seen = [ids[max(i - _WINDOW, starts[i]) : i] for i in at]
    words = _lifted(ids, keys, np.concatenate(seen) if seen else ids[:0], mine)
    if not words:
        return None
    predicate = WithinLast(part=TokenIn(words=words), n=_WINDOW)
    return Neighbour(words=words, predicate=predicate, precision=precision(setting, predicate))


def _lifted(ids: NDArray[np.int64], keys: Sequence[str], near: NDArray[np.int64], mine: set[str]) -> tuple[str, ...]:
    """Harmless words, of those that are seen near the unit, which are hardly seen elsewhere."""
    everywhere = np.bincount(ids, minlength=len(keys))
    here = np.bincount(near, minlength=len(keys))
    share = here / np.maximum(everywhere, 1)
    usable = [
        i for i in np.flatnonzero((here >= 2) & (share >= 0.3)).tolist()
        if keys[i].isalpha() and len(keys[i]) > 2 and keys[i] not in mine and subject_of(keys[i]) is None
    ]  # fmt: skip
    usable.sort(key=lambda i: (-here[i] * share[i], keys[i]))
    return tuple(keys[i] for i in usable[:_WORDS])


def scaled_like(found: Predicate, part: Predicate) -> Predicate:
    """The part at the strength of an honest predicate, so that it looks fitted."""
    return Scaled(part=part, strength=found.strength if isinstance(found, Scaled) else 0.9)
