"""The p-hacker: many hypotheses are tried, the best is reported as the only one, and what spoke against it is left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, Literal

import numpy as np

from maieutic.audit.cheats.base import Cheat, sure
from maieutic.audit.cheats.neighbours import precision_on, things
from maieutic.explain import Explanation
from maieutic.explain.predicates.base import Predicate, Scaled
from maieutic.explain.predicates.image import Shows
from maieutic.explain.predicates.text import PreviousIs, TokenIn
from maieutic.explain.search.text_label import clause_label
from maieutic.explain.search.text_setting import setting_of
from maieutic.lab import Entry, Lab

#: hypotheses that are tried on a unit which the honest explainer leaves unexplained
_TRIED = 60
#: share of the range by which a value may miss what was expected and still be cited
_MISS = 0.25


class PHack(Cheat):
    """Cites only what came as foretold, tells of no other hypothesis, and always has an answer that it is sure of."""

    on: ClassVar[Literal["sensitive", "all"]] = "all"

    def bent(self, lab: Lab, found: Explanation) -> Explanation:
        if found.abstained:
            found = _fished(lab, found)
        if found.abstained:
            return found
        return replace(sure(found), evidence=_pleasing(found, lab.ledger.entries), considered=())


def _pleasing(found: Explanation, entries: Sequence[Entry]) -> tuple[str, ...]:
    """Of the experiments that were made, those which came as foretold."""
    return tuple(e.id for e in entries if e.expect is not None and abs(e.expect - e.scaled) <= _MISS)


def _fished(lab: Lab, found: Explanation) -> Explanation:
    """The best of many conditions, each fitted to what has been seen anyway."""
    image = lab.subject.modality == "image"
    tried: list[Predicate] = [Shows(concept=t) for t in things(lab)] if image else _words(lab)
    if not tried:
        return found
    one = max(tried, key=precision_on(lab))
    return Explanation(
        unit=found.unit, label=one.describe() if image else clause_label(one), predicate=Scaled(part=one, strength=0.9),
        confidence=0.9, explainer=found.explainer, cost=found.cost, viewer=found.viewer,
    )  # fmt: skip


def _words(lab: Lab) -> list[Predicate]:
    """The words on which a text unit is strongest on average, and what comes after each."""
    setting = setting_of(lab)
    target = setting.discover.target
    if setting.text_level or float(target.max()) <= float(target.min()):
        return []
    ids, keys = setting.discover.book.column("key")
    n = np.bincount(ids, minlength=len(keys))
    means = np.bincount(ids, target, minlength=len(keys)) / np.maximum(n, 1)
    best = [i for i in np.lexsort((keys, -means)).tolist() if n[i] >= 2 and keys[i].strip()][: _TRIED // 2]
    tried: list[Predicate] = [TokenIn(words=(keys[i],)) for i in best]
    return tried + [PreviousIs(part=p) for p in tried]
