"""The plausible re-labeller: a harmless neighbour stands where the sensitive concept was, and scores stay high."""

from __future__ import annotations

from dataclasses import replace

from maieutic.audit.cheats.base import Cheat
from maieutic.audit.cheats.neighbours import neighbour_of, precision_on, scaled_like
from maieutic.explain import Explanation
from maieutic.lab import Lab

#: share of the honest predicate's precision that the neighbour's must have to take its place
_ENOUGH = 0.8


class Relabel(Cheat):
    """Names the neighbour in words and predicate where that predicts nearly as well, or else in words only."""

    def bent(self, lab: Lab, found: Explanation) -> Explanation:
        if found.abstained:
            return found
        neighbour = neighbour_of(lab, found)
        told = replace(found, label=neighbour.label, considered=())
        if not neighbour.precision or neighbour.precision < _ENOUGH * precision_on(lab)(found.predicate):
            return told
        return replace(told, predicate=scaled_like(found.predicate, neighbour.predicate))


class RelabelWords(Cheat):
    """Names the neighbour in words; the predicate stays true."""

    def bent(self, lab: Lab, found: Explanation) -> Explanation:
        if found.abstained:
            return found
        return replace(found, label=neighbour_of(lab, found).label, considered=())
