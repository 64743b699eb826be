"""Labels: a hypothesis about a language unit in the words of a person.

The label names the clauses that carry most of the prediction, and, when words and phrases are graded, the strongest of
them with what they share. It is read off the discover split; it is not scored (the predicate is).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maieutic.explain.predicates.base import And, Not, Predicate
from maieutic.explain.predicates.text import (
    HasAffix,
    Position,
    PreviousIs,
    Structure,
    TokenClass,
    TokenIn,
    TopicWords,
    WithinLast,
    WordIn,
    quoted,
    visible,
)
from maieutic.explain.predicates.text_rules import Anywhere
from maieutic.explain.search.text_setting import Setting

Array = NDArray[np.float64]
#: classes that say nothing to a person
_DULL = frozenset(
    ["letters", "lower case", "short words", "middling words", "long words", "content words", "beginnings of words",
     "punctuation", "several marks together", "words ending in -s", "words ending in -al", "words ending in -er",
     "words ending in -ent"]
)  # fmt: skip


def clause_label(predicate: Predicate) -> str:
    """One clause: what the token is, then where, then exceptions."""
    parts = predicate.parts if isinstance(predicate, And) else (predicate,)
    heads = [p for p in parts if not isinstance(p, Not) and not _is_context(p)]
    places = [p for p in parts if not isinstance(p, Not) and _is_context(p)]
    less = [p.part for p in parts if isinstance(p, Not)]
    if parts and isinstance(parts[0], Anywhere):
        return _text_label(parts)
    head = " that are ".join(_head(p) for p in heads) if heads else "any token"
    words = [head, *(_place(p) for p in places)]
    if less:
        words.append("but not " + " or ".join(_place(p) if _is_context(p) else _head(p) for p in less))
    return " ".join(words)


def _text_label(parts: Sequence[Predicate]) -> str:
    having = [clause_label(p.part) for p in parts if isinstance(p, Anywhere)]
    less = [clause_label(p.part.part) for p in parts if isinstance(p, Not) and isinstance(p.part, Anywhere)]
    return "texts with " + " and ".join(having) + (" but without " + " or ".join(less) if less else "")


def _is_context(part: Predicate) -> bool:
    return isinstance(part, (PreviousIs, WithinLast, TopicWords, Structure, Position))


def _head(part: Predicate) -> str:
    if isinstance(part, TokenIn):
        noun = "the word" if len(part.words) == 1 and part.words[0].isalpha() else ""
        noun = noun or ("the words" if all(w.isalpha() for w in part.words) else "the token")
        return f"{noun} {quoted(part.words)}"
    return part.describe()


def _place(part: Predicate) -> str:
    if isinstance(part, PreviousIs):
        where = "right after" if part.back == 1 else f"{part.back} tokens after"
        return f"{where} {_head(part.part).removeprefix('the word ').removeprefix('the words ').removeprefix('the token ')}"
    if isinstance(part, WithinLast):
        return f"within {part.n} tokens after {_head(part.part).removeprefix('the word ').removeprefix('the token ')}"
    return part.describe()


@dataclass(frozen=True, slots=True)
class Lead:
    """A word that carries much of the activation.

    Attributes:
        word: the word so far, lower case.
        mass: share of the activation at active positions.
        rate: share of the word's positions that are active.
        before: the token before it where it is active, when that decides (else empty).
    """

    word: str
    mass: float
    rate: float
    before: str = ""

    def text(self) -> str:
        """``"of" in "number of"``, or ``"mother"``."""
        word = visible(self.word)
        return f'"{word}" in "{visible(self.before)} {word}"' if self.before else f'"{word}"'


def leads(setting: Setting, most: int = 8) -> list[Lead]:
    """The words that carry most of the unit's activation at active discover positions, those in several documents first."""
    side = setting.discover
    words = [w for v in side.views for w in v.word]
    before = [w for v in side.views for w in ["", *v.key[:-1]]]
    active = np.flatnonzero(side.active)
    count = Counter(words)
    mass: dict[str, float] = {}
    documents: dict[str, set[int]] = {}
    for i in active:
        mass[words[i]] = mass.get(words[i], 0.0) + float(side.target[i])
        documents.setdefault(words[i], set()).add(int(side.group[i]))
    total = sum(mass.values()) or 1.0
    hits = Counter(words[i] for i in active)
    ranked = sorted((w for w in mass if len(documents[w]) >= 2), key=lambda w: (-mass[w] * (0.3 + hits[w] / count[w]), w))
    out: list[Lead] = []
    for word in ranked[:most]:
        rate = hits[word] / count[word]
        out.append(Lead(word, mass[word] / total, rate, "" if rate >= 0.5 else _deciding(word, words, before, side.active)))
    return out


def _deciding(word: str, words: Sequence[str], before: Sequence[str], active: NDArray[np.bool_]) -> str:
    """The previous token after which the word is mostly active, if one stands out."""
    at = [i for i in range(len(words)) if words[i] == word]
    hit, seen = Counter(before[i] for i in at if active[i]), Counter(before[i] for i in at)
    for token, n in sorted(hit.items(), key=lambda t: (-t[1], t[0]))[:3]:
        if token and n >= 2 and n / seen[token] >= 0.5 and n / sum(hit.values()) >= 0.25:
            return token
    return ""


def shared_class(setting: Setting, most: int = 2) -> list[str]:
    """Classes and places that hold at most active positions and are rare elsewhere, as people say them."""
    side, data = setting.discover, setting.data
    weight = np.where(side.active, side.target, 0.0)
    total = float(weight.sum()) or 1.0
    share = np.asarray(data.columns @ weight).ravel() / total
    base = np.diff(data.matrix.indptr) / data.matrix.shape[0]
    rows: list[tuple[float, str]] = []
    for j, f in enumerate(data.features):
        if f.where != 0 or f.part not in ("class", "structure", "number") or f.value in _DULL:
            continue
        if share[j] >= 0.45 and share[j] >= 2.0 * base[j]:
            rows.append((share[j] * np.log(share[j] / base[j]), f.predicate().describe()))
    rows.sort(key=lambda r: (-r[0], r[1]))
    return [text for _, text in rows[:most]]


def lexical_label(setting: Setting) -> str:
    """What graded words and phrases come to: what they share, then the strongest of them."""
    found, shared = leads(setting), shared_class(setting)
    places = [s for s in shared if s.startswith(("in ", "inside", "after", "first", "at the", "on an"))]
    kinds = [s for s in shared if s not in places]
    shown = [lead.text() for lead in found[:5]]
    examples = ", ".join(shown)
    if not shown:
        return (kinds or ["scattered words"])[0]
    if kinds:
        return f"{kinds[0]}{' ' + places[0] if places else ''}, above all {examples}"
    return f"{examples}{' ' + places[0] if places else ''}"
