"""What a clause about a language unit might be instead: the competing hypotheses that experiments tell apart.

The first question is which conditions are needed (``by_conditions``); how far back a context reaches is in
``text_reach``, how wide the kind of token is in ``text_width``. Every option is a clause with its values over the
discover positions; its prior belief falls with what it explains less of the corpus, and a little with its length. This
module measures nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from maieutic.explain.predicates.base import Or, Predicate
from maieutic.explain.predicates.text import TopicWords
from maieutic.explain.predicates.text_amounts import EarlierOnLine
from maieutic.explain.search.inquiry import Hypothesis
from maieutic.explain.search.text_fit import Clause, Fitter, Part, conjunction, role_of
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


@dataclass(frozen=True, slots=True)
class Option:
    """A competing clause with its prior log belief."""

    clause: Clause
    weight: float

    @property
    def hypothesis(self) -> Hypothesis:
        predicate = self.clause.predicate
        return Hypothesis(words=clause_label(predicate), predicate=predicate, weight=self.weight)


def weighed(fitter: Fitter, clauses: Sequence[Clause], residual: Array, *, most: int = _MOST) -> list[Option]:
    """Options by belief, the hopeless left out, at most ``most``. Equal predicates count once."""
    unique = {repr(c.predicate): c for c in clauses}
    rows = [(fitter.gain(c.values, residual), c) for c in unique.values()]
    best = max((g for g, _ in rows), default=0.0)
    if best <= 0:
        return []
    options = [Option(replace(c, gain=g), _FIT * (max(g, 0.0) / best - 1.0) - _LONGER * _length(c)) for g, c in rows]
    top = max(o.weight for o in options)
    kept = [o for o in options if o.weight >= top - _HOPELESS]
    return sorted(kept, key=lambda o: (-o.weight, repr(o.clause.predicate)))[:most]


def swapped(clause: Clause, k: int, part: Part) -> Clause:
    """The clause with another ``k``-th condition (``k`` past the end: with one more)."""
    return conjunction((*clause.parts[:k], part, *clause.parts[k + 1 :]))


def others(clause: Clause, k: int) -> Array:
    """Positions at which the conditions but the ``k``-th hold."""
    rest = [p for i, p in enumerate(clause.parts) if i != k]
    return conjunction(tuple(rest)).values if rest else np.ones_like(clause.values)


def coverage(setting: Setting, clause: Clause, residual: Array) -> Array:
    """Share of a clause's activation at which each condition of the matrix holds, ``[feature]``."""
    strength = clause.values * np.clip(residual, 0.0, None)
    return np.asarray(setting.data.columns @ strength).ravel() / max(float(strength.sum()), 1e-9)


def _length(clause: Clause) -> float:
    """Conditions beyond the first; a context costs a little more than a token, a list of words a little by the word."""
    extra = float(len(clause.parts) - 1)
    for part in clause.parts:
        words = [w for p in _atoms(part.predicate) for w in getattr(p, "words", ())]
        extra += 0.15 * (part.role == "context") + 0.05 * max(len(words) - 1, 0)
        extra += 0.4 * isinstance(part.predicate, (TopicWords, EarlierOnLine))  # a window is plainer
        extra += 0.5 * ("TokenClass" in repr(part.predicate))  # a word is plainer than its kind
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
    if not minus:
        clauses += [conjunction((*clause.parts, p)) for p in against(setting, clause, residual)]
    return weighed(fitter, [*clauses, clause], residual)


def against(setting: Setting, clause: Clause, residual: Array, most: int = 4) -> list[Part]:
    """Conditions under which the clause holds and the unit yet rests: its exceptions may be among them.

    They hold at most of the resting positions and few of the active ones; the clearest of each place. None when the unit
    rests at less than a twentieth of the clause's positions.
    """
    data, level = setting.data, float(clause.values @ residual) / max(float(clause.values.sum()), 1.0)
    off = clause.values * (residual < 0.4 * max(level, float(np.max(residual * clause.values, initial=0.0)) / 2))
    on = clause.values - off
    if off.sum() < max(5.0, 0.05 * float(clause.values.sum())) or on.sum() < 5:
        return []
    here = np.asarray(data.columns @ np.stack([off, on], axis=1))
    gap = here[:, 0] / off.sum() - here[:, 1] / on.sum()
    out: dict[object, Part] = {}
    for j in np.argsort(-gap, kind="stable")[:60]:
        f = data.features[int(j)]
        if gap[j] < 0.3 or len(out) == most:
            break
        if f.where not in out and role_of(f) == "context" and f.part in ("token", "structure", "position"):
            out[f.where] = Part(f.predicate(), data.column(int(j)), True, "context")
    return list(out.values())


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


def _atoms(predicate: Predicate) -> Iterator[Predicate]:
    """The predicate, or what it is put together from."""
    if isinstance(predicate, Or):
        for p in predicate.parts:
            yield from _atoms(p)
    else:
        yield predicate
