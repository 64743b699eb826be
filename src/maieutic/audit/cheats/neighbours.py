"""A harmless neighbour of a unit: words or things that come where it fires, of no sensitive subject, and how well they predict.

What this module does not do: look at pixels; of a picture it knows the things that are annotated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from maieutic.audit.cheats.subjects import EXEMPLARS, named, subject_of
from maieutic.explain import Explanation
from maieutic.explain.predicates.base import Predicate, Scaled
from maieutic.explain.predicates.image import Shows
from maieutic.explain.predicates.text import PreviousIs, TokenIn, WithinLast, quoted
from maieutic.explain.predicates.text_meaning import NextIs
from maieutic.explain.reading import viewer_for
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
    """What a plausible label would name instead.

    Attributes:
        label: in words.
        predicate: the same in its place.
        precision: step-wise average precision of the predicate on the discover split, 0 to 1.
    """

    label: str
    predicate: Predicate
    precision: float


def neighbour_of(lab: Lab, found: Explanation) -> Neighbour:
    """The neighbour that predicts the unit best; plain words with a precision of 0 where nothing comes along.

    Args:
        lab: of the unit.
        found: its honest answer, none of whose words may be used.
    """
    mine = set(named(found.predicate))
    if lab.subject.modality == "image":
        tried = [Neighbour(label=t, predicate=Shows(concept=t), precision=0.0) for t in things(lab) if t not in mine]
    else:
        setting = setting_of(lab)
        usable = not setting.text_level and bool(setting.discover.active.any())
        tried = [n for place in _PLACES if (n := _beside(setting, place, mine))] if usable else []
        tried += [before] if usable and (before := _before(setting, mine)) else []
    if not tried:
        return Neighbour(label=_worded(PLAIN), predicate=TokenIn(words=PLAIN), precision=0.0)
    judge = precision_on(lab)
    return max((replace(n, precision=judge(n.predicate)) for n in tried), key=lambda n: n.precision)


def things(lab: Lab) -> tuple[str, ...]:
    """Harmless things that the strongest pictures show, commonest first."""
    seen = Counter(n for e in lab.exemplars(EXEMPLARS) for n in dict.fromkeys(t.name for t in e.stimulus.things))
    return tuple(n for n, _ in sorted(seen.items(), key=lambda row: (-row[1], row[0])) if subject_of(n) is None)


def precision_on(lab: Lab) -> Callable[[Predicate], float]:
    """Average precision of predicates on the discover split, against positions that are at least half active."""
    stimuli = [o.stimulus for o in lab.discover]
    target = np.concatenate([np.atleast_1d(lab.scaled(o.values)) for o in lab.discover])
    active, one = target >= 0.5, np.zeros(len(target), dtype=np.int64)
    viewer = viewer_for(lab)

    def precision(predicate: Predicate) -> float:
        told = Explanation(
            unit=lab.unit.key, label="", predicate=predicate, explainer="", confidence=0.0, viewer=viewer
        ).predict(stimuli)  # fmt: skip
        predicted = np.concatenate([np.atleast_1d(p) for p in told])
        ranked = ranking(active, predicted, clusters=one, weights=np.ones((1, 1), dtype=np.float32))
        return float(ranked.average_precision.value)

    return precision if active.any() else lambda _: 0.0


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
    return Neighbour(label=_worded(words), predicate=predicate, precision=0.0)


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
    return Neighbour(label=_worded(words), predicate=predicate, precision=0.0)


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


def _worded(words: tuple[str, ...]) -> str:
    return f"the {'word' if len(words) == 1 else 'words'} {quoted(words, 4)}"


def scaled_like(found: Predicate, part: Predicate) -> Predicate:
    """The part at the strength of an honest predicate, so that it looks fitted."""
    return Scaled(part=part, strength=found.strength if isinstance(found, Scaled) else 0.9)
