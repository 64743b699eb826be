"""What a clause about a language unit might be instead: the competing hypotheses that experiments tell apart.

Three questions, each with its own options: which conditions are needed (``by_conditions``), how far back a context
reaches (``by_reach``), how wide the kind of token is (``by_width``). Every option is a clause with its values over the
discover positions; its prior belief falls with what it explains less of the corpus, and a little with its length. This
module measures nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from maieutic.explain.predicates.base import Predicate
from maieutic.explain.predicates.text import PreviousIs, TokenIn, TopicWords, WithinLast
from maieutic.explain.search.inquiry import Hypothesis
from maieutic.explain.search.text_features import Feature
from maieutic.explain.search.text_fit import REACHES, Clause, Fitter, Part, conjunction, role_of
from maieutic.explain.search.text_label import clause_label
from maieutic.explain.search.text_setting import Setting

Array = NDArray[np.float64]

#: log belief lost by an option that explains nothing of what the best explains; by each further condition
_FIT, _LONGER = 14.0, 0.7
#: options this far below the best are not worth asking about
_HOPELESS = 8.0
_MOST = 24
#: a condition came along with a clause when it holds at this share of the clause's activation, and is this much rarer elsewhere
_ALONG, _LIFT = 0.88, 3.0
#: a kind of token could be what a clause is about when it holds at this share of its activation
_COVERS = 0.6
#: most words in a list
LIST = 24


@dataclass(frozen=True, slots=True)
class Option:
    """A competing clause with its prior log belief."""

    clause: Clause
    weight: float

    @property
    def hypothesis(self) -> Hypothesis:
        predicate = self.clause.predicate
        return Hypothesis(words=clause_label(predicate), predicate=predicate, weight=self.weight)


def weighed(fitter: Fitter, clauses: Sequence[Clause], residual: Array) -> list[Option]:
    """Options by belief, the hopeless left out, at most ``_MOST``. Equal predicates count once."""
    unique = {repr(c.predicate): c for c in clauses}
    rows = [(fitter.gain(c.values, residual), c) for c in unique.values()]
    best = max((g for g, _ in rows), default=0.0)
    if best <= 0:
        return []
    options = [Option(replace(c, gain=g), _FIT * (max(g, 0.0) / best - 1.0) - _LONGER * _length(c)) for g, c in rows]
    top = max(o.weight for o in options)
    kept = [o for o in options if o.weight >= top - _HOPELESS]
    return sorted(kept, key=lambda o: (-o.weight, repr(o.clause.predicate)))[:_MOST]


def _length(clause: Clause) -> float:
    """Conditions beyond the first; a context costs a little more than a token, a list of words a little by the word."""
    extra = float(len(clause.parts) - 1)
    for part in clause.parts:
        words = getattr(part.predicate, "words", ())
        extra += 0.15 * (part.role == "context") + 0.05 * max(len(words) - 1, 0)
        extra += 1.2 * ("HasAffix" in repr(part.predicate))  # an ending is seldom what is meant
    return extra


# --- which conditions ----------------------------------------------------------------------------------------------
def by_conditions(
    setting: Setting, fitter: Fitter, clause: Clause, residual: Array, more: Sequence[Part] = ()
) -> list[Option]:
    """The clause without some of its conditions, with those that came along in the corpus, or made of these alone.

    Args:
        more: conditions that experiments point at.
    """
    plus = [p for p in clause.parts if not p.negated]
    minus = [p for p in clause.parts if p.negated]
    pool = [*plus, *more, *along(setting, clause, residual)]
    unique = list({repr(p.predicate): p for p in pool}.values())[:9]
    clauses: list[Clause] = []
    for n in (1, 2, 3):
        for chosen in combinations(unique, n):
            for without in _exceptions(minus):
                clauses.append(conjunction((*chosen, *without)))
    return weighed(fitter, [*clauses, clause], residual)


def _exceptions(minus: Sequence[Part]) -> Iterator[tuple[Part, ...]]:
    for n in range(len(minus) + 1):
        yield from combinations(minus, n)


def along(setting: Setting, clause: Clause, residual: Array) -> list[Part]:
    """Conditions that held nearly wherever the clause was active and are rare elsewhere: they may be the cause.

    The strongest of each place (the token, right before, near, further off) and sort (words, kinds).
    """
    data = setting.data
    strength = clause.values * np.clip(residual, 0.0, None)
    total = float(strength.sum())
    if total <= 0:
        return []
    cover = np.asarray(data.columns @ strength).ravel() / total
    base = np.diff(data.matrix.indptr) / data.matrix.shape[0]
    found = np.flatnonzero((cover >= _ALONG) & (cover >= _LIFT * base))
    told = cover[found] * np.log(cover[found] / base[found])
    own = {repr(p.predicate) for p in clause.parts}
    named = any(p.role == "token" and not p.negated for p in clause.parts)
    out: dict[tuple[object, str], Part] = {}
    for k in np.argsort(-told, kind="stable"):
        j = int(found[k])
        for f in (data.features[j], *data.aliases.get(j, ())):
            role = role_of(f)
            slot = (f.where, "words" if f.part in ("token", "word") else "kinds")
            predicate = f.predicate()
            if repr(predicate) in own or slot in out or (role == "token" and (named or slot[1] == "kinds")):
                continue
            out[slot] = Part(predicate, data.column(j), False, role)
    return list(out.values())[:6]


# --- how far back --------------------------------------------------------------------------------------------------
def windowed(part: Part) -> bool:
    """Whether how far a condition reaches is a question."""
    return isinstance(part.predicate, (WithinLast, PreviousIs)) or (
        isinstance(part.predicate, TopicWords) and part.predicate.at_least == 1
    )


def inner_of(part: Part) -> Predicate:
    """What a windowed condition looks for."""
    p = part.predicate
    if isinstance(p, TopicWords):
        return TokenIn(words=p.words)
    assert isinstance(p, (WithinLast, PreviousIs))
    return p.part


def by_reach(setting: Setting, fitter: Fitter, clause: Clause, k: int, residual: Array) -> list[Option]:
    """The clause with its ``k``-th condition looking back by other numbers of tokens."""
    part, inner = clause.parts[k], inner_of(clause.parts[k])
    where = setting.data.where_now(inner)
    if where is None:
        return []
    options: list[Part] = [part]
    for n in REACHES:
        options.append(replace(part, predicate=WithinLast(part=inner, n=n), column=setting.data.reached(where, n)))
    if isinstance(part.predicate, PreviousIs):
        b = part.predicate.back
        options += [replace(part, predicate=PreviousIs(part=inner, back=b), column=setting.data.back(where, b))]
    clauses = [conjunction((*clause.parts[:k], p, *clause.parts[k + 1 :])) for p in options]
    return weighed(fitter, clauses, residual)


def by_context_width(
    setting: Setting, fitter: Fitter, clause: Clause, k: int, residual: Array
) -> tuple[list[Option], int]:
    """The clause with its ``k``-th condition, on a token a fixed way back, made wider or narrower; and how far back."""
    part = clause.parts[k].predicate
    if not isinstance(part, PreviousIs):
        return [], 0
    data = setting.data
    strength = clause.values * np.clip(residual, 0.0, None)
    total = float(strength.sum())
    cover = np.asarray(data.columns @ strength).ravel() / max(total, 1e-9)
    parts = [clause.parts[k]]
    for j in np.flatnonzero(cover >= _COVERS):
        for f in (data.features[int(j)], *data.aliases.get(int(j), ())):
            if f.where == part.back:
                parts.append(replace(clause.parts[k], predicate=f.predicate(), column=data.column(int(j))))
    clauses = [conjunction((*clause.parts[:k], p, *clause.parts[k + 1 :])) for p in parts]
    return weighed(fitter, clauses, residual), part.back


# --- how wide ------------------------------------------------------------------------------------------------------
def by_width(setting: Setting, fitter: Fitter, clause: Clause, k: int, residual: Array) -> list[Option]:
    """The clause with its ``k``-th condition, on the token, made wider or narrower: words, lists, kinds, affixes."""
    data, rest = setting.data, [p for i, p in enumerate(clause.parts) if i != k]
    gate = conjunction(tuple(rest)).values if rest else np.ones(len(residual))
    strength = clause.values * np.clip(residual, 0.0, None)
    total = float(strength.sum())
    if total <= 0:
        return []
    cover = np.asarray(data.columns @ strength).ravel() / total
    parts = [clause.parts[k], *lists(setting, gate, residual)]
    for j in np.flatnonzero(cover >= _COVERS):
        f: Feature = data.features[int(j)]
        if role_of(f) == "token" and f.part not in ("position",):
            parts.append(Part(f.predicate(), data.column(int(j)), False, "token"))
    clauses = [conjunction((*clause.parts[:k], p, *clause.parts[k + 1 :])) for p in parts]
    return weighed(fitter, clauses, residual)


def lists(setting: Setting, gate: Array, residual: Array) -> list[Part]:
    """Lists of the words that are strong where the gate holds, by several cut-offs."""
    ids, names = setting.data.words
    n = np.bincount(ids, gate, minlength=len(names))
    mean = np.bincount(ids, gate * residual, minlength=len(names)) / (n + 0.5)
    top = float(mean.max()) if len(mean) else 0.0
    out: list[Part] = []
    for cut in (0.7, 0.45, 0.25):
        chosen = np.flatnonzero((mean >= cut * top) & (mean > 0.05))
        chosen = chosen[np.argsort(-(n * mean)[chosen], kind="stable")][:LIST]
        if len(chosen):
            words = TokenIn(words=tuple(names[int(i)] for i in chosen))
            out.append(Part(words, np.isin(ids, chosen).astype(np.float64), False, "token"))
    return out


def with_words(setting: Setting, clause: Clause, k: int, words: Sequence[str]) -> Clause:
    """The clause with its ``k``-th condition being a list of words."""
    ids, names = setting.data.words
    known = {name: i for i, name in enumerate(names)}
    column = np.isin(ids, [known[w] for w in words if w in known]).astype(np.float64)
    part = Part(TokenIn(words=tuple(words)), column, False, "token")
    return conjunction((*clause.parts[:k], part, *clause.parts[k + 1 :]))
