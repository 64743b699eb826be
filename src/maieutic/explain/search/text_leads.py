"""The words that carry most of a unit's activation, in which phrases, and what they share: labels for graded units.

Read off the discover split. A lead is a hypothesis ("the unit responds to this word, in this phrase"), tested by
``text_experiments``; the label is not scored (the predicate is).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maieutic.explain.predicates.text import PreviousIs, TokenIn, in_quotes, visible
from maieutic.explain.search.text_fit import Part, role_of
from maieutic.explain.search.text_label import place
from maieutic.explain.search.text_quantities import gains
from maieutic.explain.search.text_setting import Setting

#: classes that say nothing to a person
_DULL = frozenset(
    ["letters", "lower case", "short words", "middling words", "long words", "content words", "beginnings of words",
     "punctuation", "several marks together", "words ending in -s", "words ending in -al", "words ending in -er",
     "words ending in -ent", "noun.Tops", "later parts of words"]
)  # fmt: skip
#: a shared class must hold at this share of the activation, and be this many times rarer elsewhere
_SHARE, _LIFT = 0.4, 2.5


@dataclass(frozen=True, slots=True)
class Lead:
    """A word that carries much of the activation.

    Attributes:
        word: the word so far, lower case.
        mass: share of the activation at active positions.
        rate: share of the word's positions that are active.
        context: the condition on its context under which it is active, if one stands out.
        unfinished: the word mostly goes on after the token.
        positions: flat discover positions where it is active (in the context), strongest first.
        phrase: the shortest ending of an exemplar that was enough to make the unit fire in other texts (else empty).
    """

    word: str
    mass: float
    rate: float
    context: Part | None
    unfinished: bool
    positions: tuple[int, ...]
    phrase: str = ""

    def text(self) -> str:
        """``"of" in "number of"``, ``"mother"``, or ``"pow-"`` for the beginning of a longer word."""
        word = visible(self.word)
        shown = in_quotes(word + ("-" if self.unfinished else ""))
        words = self.phrase.split()
        if len(words) > 2 and not self.phrase[:1].isspace():
            words = words[1:]  # it may be the end of a word
        if len(words) > 1 or (words and len(words[0]) > len(word)):
            return f"{shown} in {in_quotes(' '.join(words) + ('-' if self.unfinished else ''))}"
        if "\n" in self.phrase:
            return f"{shown} after a line break"
        if self.phrase or self.context is None:
            return shown
        condition = self.context.predicate
        if isinstance(condition, PreviousIs) and isinstance(condition.part, TokenIn) and condition.back == 1:
            before = condition.part.words[0]
            if not before.isspace():
                glue = " " if before[-1:].isalpha() and self.word[:1].isalpha() else ""
                return f"{shown} in {in_quotes(before + glue + word)}"
        return f"{shown} {place(condition)}"


def leads(setting: Setting, most: int = 8) -> list[Lead]:
    """The words that carry most of the activation at active discover positions, in two documents at least."""
    side = setting.discover
    ids, names = setting.data.levels["word"]
    active = np.flatnonzero(side.active)
    count, hits = np.bincount(ids, minlength=len(names)), np.bincount(ids[active], minlength=len(names))
    mass = np.bincount(ids[active], side.target[active], minlength=len(names))
    documents: dict[int, set[int]] = {}  # of each word, by its first active position
    for i in active:
        documents.setdefault(int(ids[i]), set()).add(int(side.group[i]))
    total = sum(float(mass[w]) for w in documents) or 1.0
    known = [w for w, found in documents.items() if len(found) >= 2 and not names[w].isspace()]
    ranked = sorted(known, key=lambda w: (-float(mass[w]) * (0.15 + int(hits[w]) / int(count[w])), names[w]))
    out: list[Lead] = []
    for w in ranked[:most]:
        at = active[ids[active] == w]
        rate = int(hits[w]) / int(count[w])
        context = None if rate >= 0.5 else _deciding(setting, np.flatnonzero(ids == w))
        if context is not None:
            at = at[context.column[at] > 0.5]
        at = at[np.argsort(-side.target[at], kind="stable")]
        unfinished = 2 * sum(_goes_on(setting, int(i)) for i in at) > len(at)
        out.append(Lead(names[w], float(mass[w]) / total, rate, context, unfinished, tuple(at.tolist())))
    return out


def _goes_on(setting: Setting, position: int) -> bool:
    """Whether the word goes on after the token."""
    bounds = setting.data.bounds
    s = int(np.searchsorted(bounds, position, side="right")) - 1
    view = setting.discover.views[s]
    text, end = view.text, view.tokens[position - int(bounds[s])].end
    return 0 < end < len(text) and text[end - 1].isalpha() and text[end].isalpha()


def _deciding(setting: Setting, rows: NDArray[np.int64]) -> Part | None:
    """The condition on context that best tells, across documents, where a word is strong; ``None`` if none does."""
    data, target = setting.data, setting.discover.target
    if len(rows) < 8:
        return None
    left = target[rows] - target[rows].mean()
    fold = np.zeros((len(rows), data.folds))
    fold[np.arange(len(rows)), data.fold[rows]] = 1.0
    columns = data.rows[rows].T
    a, b = np.asarray(columns @ (fold * left[:, None])), np.asarray(columns @ fold)
    strength = np.asarray(columns @ target[rows]).ravel()
    told = gains(a.T, b.T, 3.0)
    mean = strength / np.maximum(b.sum(axis=1), 1)
    usable = (
        (strength >= 0.5 * target[rows].sum()) & (mean >= 1.4 * target[rows].mean()) & (b.sum(axis=1) >= 3) & (told > 0)
    )
    for j in np.argsort(-np.where(usable, told, -np.inf), kind="stable")[:20]:
        feature = data.features[int(j)]
        if usable[j] and role_of(feature) == "context" and feature.value not in _DULL and feature.part != "affix":
            return Part(feature.predicate(), data.column(int(j)), False, "context")
    return None


def shared_classes(setting: Setting) -> tuple[list[str], list[str]]:
    """Kinds of tokens, and places, that hold at much of the activation and are rare elsewhere, as people say them."""
    side, data = setting.discover, setting.data
    weight = np.where(side.active, side.target, 0.0)
    share = np.asarray(data.columns @ weight).ravel() / (float(weight.sum()) or 1.0)
    base = np.diff(data.matrix.indptr) / data.matrix.shape[0]
    rows: list[tuple[float, str, bool]] = []
    for j in np.flatnonzero((share >= _SHARE) & (share >= _LIFT * base)):
        f = data.features[j]
        if f.where == 0 and f.part in ("class", "structure", "number") and f.value not in _DULL:
            told = float(share[j] * np.log(share[j] / base[j]))
            rows.append((told, f.predicate().describe(), f.part == "structure"))
    rows.sort(key=lambda r: (-r[0], r[1]))
    return [text for _, text, place in rows if not place], [text for _, text, place in rows if place]


def lexical_label(setting: Setting, found: Sequence[Lead]) -> str:
    """What graded words and phrases come to: what they share, then the strongest of them."""
    kinds, places = shared_classes(setting)
    whole = [lead for lead in found if lead.word.isalpha() and len(lead.word) > 2 and not lead.unfinished]
    shown = sorted(found, key=lambda lead: lead not in whole)[: 3 if kinds else 4]  # whole words say most to a person
    examples = ", ".join(lead.text() for lead in sorted(shown, key=found.index))
    where = f" {places[0]}" if places else ""
    if not examples:
        return f"{kinds[0] if kinds else 'scattered words'}{where}"
    if kinds:
        return f"{kinds[0]}{where}, such as {examples}"
    return f"{'words' if len(found) > 1 else 'the word'} such as {examples}{where}"
