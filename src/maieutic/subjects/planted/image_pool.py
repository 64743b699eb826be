"""What a picture corpus offers to plant in: concepts that can be told apart, truths of rules, and what is bound.

Everything is read from annotations and pixels of the corpus at hand; how it was made is not known here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maieutic.subjects.planted.image_mixes import Every, Strongest, Without
from maieutic.subjects.planted.image_rules import (
    HUES,
    Number,
    Related,
    Seen,
    Shaped,
    Shows,
    ShowsAt,
    Size,
    Tint,
    seen,
)
from maieutic.subjects.planted.image_shades import Shades
from maieutic.subjects.planted.rule import Rule

Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]
#: active pictures that a unit has in each split, at least; and a rare one
OFTEN: Mapping[str, int] = {"discover": 8, "select": 3, "test": 4}
SELDOM: Mapping[str, int] = {"discover": 4, "select": 2, "test": 3}
#: most pictures of discover in which a rare unit is active, and share of all in which any unit is
_SELDOM_MOST, _MOST = 8, 0.4
#: share of pictures outside the test split on which two bound rules may differ, of those where either holds
_LOOSE = 0.06
#: overlap (shared over either) from which two sets of pictures are nearly the same; under noise, less will do
LIKE, NOISY_LIKE = 0.94, 0.8
PLACES = ("left", "right", "top", "bottom")


@dataclass(frozen=True, slots=True)
class Bond:
    """Two rules that hold on the same pictures outside the test split: what looks like the cause, and what may be it.

    ``looks`` is a named concept; ``apart`` holds concepts and colours that an edit should touch.
    """

    looks: Rule
    other: Rule
    apart: tuple[str, ...]


class Pool:
    """The pictures of a corpus as rules see them."""

    def __init__(self, corpus: Any) -> None:
        self.stimuli: Sequence[Any] = list(corpus.stimuli)
        self.views: list[Seen] = [seen(s) for s in self.stimuli]
        splits = np.array([s.split for s in self.stimuli])
        self.splits: dict[str, Flags] = {name: splits == name for name in OFTEN}
        self.known: Flags = splits != "test"
        self._truths: dict[Rule, Floats] = {}
        self._sample: list[int] = np.flatnonzero(self.splits["discover"])[::2].tolist()
        self._shades = Shades([self.views[i] for i in self._sample])
        self._taken: set[bytes] = set()
        self.shown = self._shown()
        self.classes = self._classes()
        self.bonds = list(self._bonds())
        bound = {c for bond in self.bonds for c in bond.apart}
        #: colours of the ground that are clear and bound to nothing
        self.colours = [c for c in HUES if c not in bound and self.clear(Tint(c, "ground", 0.3, 0.7))]
        n = len(self.views)
        every = sorted(self.classes)
        #: concepts in 2 % to 30 % of the pictures that are bound to nothing
        self.concepts = [c for c in every if c not in bound and 0.02 * n <= self.shown[c].sum() <= 0.3 * n]
        #: concepts with few pictures
        self.scarce = [c for c in every if c not in bound and self.seldom(Shows((c,)))]

    # --- truths ----------------------------------------------------------------------------------------------------
    def truth(self, rule: Rule) -> Floats:
        """``[picture]``."""
        if rule not in self._truths:
            self._truths[rule] = self._worked_out(rule)
        return self._truths[rule]

    def _worked_out(self, rule: Rule) -> Floats:
        """Mixes from their parts, which are shared by many rules; the others picture by picture."""
        if isinstance(rule, Every):
            return np.minimum.reduce([self.truth(p) for p in rule.parts])
        if isinstance(rule, Without):
            return np.minimum(self.truth(rule.part), 1.0 - self.truth(rule.other))
        if isinstance(rule, Strongest):
            return np.maximum.reduce([strength * self.truth(p) for p, strength in rule.parts])
        out = np.zeros(len(self.views))
        for i in self._where(rule):
            out[i] = rule.truth(self.views[i])[0]
        return out

    def _where(self, rule: Rule) -> Sequence[int]:
        """Pictures on which a rule can be active at all."""
        nowhere = np.zeros(len(self.views), dtype=bool)
        if isinstance(rule, Shows):
            shown = np.logical_or.reduce([self.shown.get(c, nowhere) for c in rule.any_of])
        elif isinstance(rule, Related):
            shown = self.shown.get(rule.a, nowhere) & self.shown.get(rule.b, nowhere)
        elif isinstance(rule, ShowsAt | Size | Number | Shaped):
            shown = self.shown.get(rule.concept, nowhere)
        else:
            shown = ~nowhere
        return np.flatnonzero(shown).tolist()

    def active(self, rule: Rule) -> Flags:
        return self.truth(rule) >= 0.5

    def count(self, flags: Flags, split: str = "discover") -> int:
        return int((flags & self.splits[split]).sum())

    def often(self, rule: Rule) -> bool:
        """Whether a rule is active often enough in every split, and not nearly always."""
        on = self.active(rule)
        return self._enough(on, OFTEN) and float(on.mean()) <= _MOST

    def seldom(self, rule: Rule) -> bool:
        on = self.active(rule)
        return self._enough(on, SELDOM) and self.count(on) <= _SELDOM_MOST

    def plain(self, rule: Rule, *, least: float = LIKE) -> bool:
        """Whether no named thing is on nearly the same pictures outside the test split, and not on the same in it.

        Nor its wider or narrower kinds in the same place or form.

        A unit whose rule fails this is a spurious one, whatever its rule looks like.
        """
        on = self.active(rule)
        known = self._table[:, self.known].astype(np.float32)
        here = on[self.known].astype(np.float32)
        shared = known @ here
        alike = shared >= least * (known.sum(axis=1) + here.sum() - shared)
        if not all(np.array_equal(self._table[k], on) for k in np.flatnonzero(alike)):
            return False
        return not any(self._alike(on, self.active(other), least) for other in self._kin(rule))

    def _alike(self, a: Flags, b: Flags, least: float) -> bool:
        """Whether two sets of pictures are nearly the same where explainers look, and differ in the test split."""
        shared, either = int((a & b & self.known).sum()), int(((a | b) & self.known).sum())
        return shared >= least * either > 0 and not np.array_equal(a, b)

    def _kin(self, rule: Rule) -> Iterator[Rule]:
        """The same place, form or size of things that are sometimes the same things."""
        if isinstance(rule, ShowsAt | Shaped) and rule.concept in self.classes:
            for concept in sorted(self.classes):
                if concept != rule.concept and not self.apart(concept, rule.concept):
                    yield replace(rule, concept=concept)

    @cached_property
    def _table(self) -> Flags:
        """Pictures of every class of concepts, ``[concept, picture]``."""
        return np.stack([self.shown[c] for c in sorted(self.classes)])

    def _enough(self, on: Flags, least: Mapping[str, int]) -> bool:
        return all(self.count(on, split) >= n for split, n in least.items())

    def clear(self, rule: Rule) -> bool:
        """Whether a measure of pixels does not hang on where exactly a colour or a texture begins."""
        return self._shades.clear(rule, self.active(rule)[self._sample])

    def quantile(self, values: Sequence[float], q: float) -> float:
        return round(float(np.quantile(values, q)), 3)

    def claim(self, rule: Rule) -> bool:
        """Whether no unit has this truth yet; from now on one has."""
        key = self.truth(rule).tobytes()
        if key in self._taken:
            return False
        self._taken.add(key)
        return True

    # --- concepts --------------------------------------------------------------------------------------------------
    def _shown(self) -> dict[str, Flags]:
        found: dict[str, Flags] = {}
        for i, view in enumerate(self.views):
            for concept in view.boxes:
                found.setdefault(concept, np.zeros(len(self.views), dtype=bool))[i] = True
        return found

    def _classes(self) -> dict[str, frozenset[Any]]:
        """Concept -> its (picture, box) pairs outside the test split, one concept for each set of things.

        What is the same things in discover and select but not in test cannot be told apart by anyone: both are left
        out. Of concepts that are always the same things the first by name stands for all.
        """
        known: dict[str, list[Any]] = {}
        kept: dict[str, list[Any]] = {}
        for i, view in enumerate(self.views):
            side = known if self.known[i] else kept
            for concept, boxes in view.boxes.items():
                if concept:
                    side.setdefault(concept, []).extend((i, box) for box in boxes)
        first: dict[frozenset[Any], str] = {}
        tests: dict[frozenset[Any], set[frozenset[Any]]] = {}
        for concept in sorted(known):
            signature = frozenset(known[concept])
            first.setdefault(signature, concept)
            tests.setdefault(signature, set()).add(frozenset(kept.get(concept, ())))
        return {concept: signature for signature, concept in first.items() if len(tests[signature]) == 1}

    def apart(self, a: str, b: str) -> bool:
        """Whether two concepts are never the same thing."""
        return not self.classes[a] & self.classes[b]

    # --- bonds -----------------------------------------------------------------------------------------------------
    def _bonds(self) -> Iterator[Bond]:
        """Concepts that come only with a companion, on a colour, or in one half, where explainers look."""
        names = [c for c in sorted(self.classes) if self.often(Shows((c,)))]
        for i, a in enumerate(names):
            for b in names[i + 1 :]:
                if self._same(self.shown[a], self.shown[b]) and self.apart(a, b):
                    yield Bond(Shows((a,)), Shows((b,)), (a, b))
            for half in PLACES:
                # as good as always there, and free to be elsewhere
                if self._same(self.shown[a], self.active(ShowsAt(a, half))) and self._varied(a, half):
                    yield Bond(Shows((a,)), ShowsAt(a, half), (a, half))
        colours = [(c, Tint(c, "ground", 0.3, 0.7)) for c in HUES]
        for colour, rule in colours:
            on = self.active(rule) if self.often(Shows(("",))) or names else np.zeros(0, dtype=bool)
            for a in names:
                if len(on) and self._same(self.shown[a], on):
                    yield Bond(Shows((a,)), rule, (a, colour))

    def _same(self, a: Flags, b: Flags) -> bool:
        either, differ = (a | b) & self.known, (a ^ b) & self.known
        return int(either.sum()) > 0 and float(differ.sum()) <= _LOOSE * float(either.sum())

    def _varied(self, concept: str, half: str) -> bool:
        """Whether the test split shows it outside the half as well: small numbers stay in one half by chance."""
        elsewhere = self.shown[concept] & ~self.active(ShowsAt(concept, half))
        return self.count(elsewhere, "test") >= 3

    # --- company ---------------------------------------------------------------------------------------------------
    def company(self, rng: np.random.Generator) -> list[tuple[str, str]]:
        """Ordered pairs of concepts that share at least ten pictures as different things, shuffled."""
        names = self.concepts
        table = np.stack([self.shown[c] for c in names]).astype(np.int64) if names else np.zeros((0, 0), dtype=np.int64)
        together = table @ table.T
        pairs = [
            (a, b)
            for i, a in enumerate(names)
            for j, b in enumerate(names)
            if i != j and together[i, j] >= 10 and self.apart(a, b)
        ]
        return [pairs[i] for i in rng.permutation(len(pairs)).tolist()]

    def related(self, a: str, relation: str, b: str) -> Rule | None:
        """A relation of two concepts, when both cases are seen: together so, and together otherwise."""
        rule = Related(a, relation, b)
        otherwise = self.shown[a] & self.shown[b] & ~self.active(rule)
        return rule if self.count(otherwise) >= 4 else None
