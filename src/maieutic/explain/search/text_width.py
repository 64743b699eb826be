"""How wide the kind of token is that a clause is about: a word, a list, a class, an ending, a range of numbers or lengths.

Options for one condition of a clause (see ``text_options``), and tokens that tell them apart: of the corpus, made up for
endings, and counted out for numbers. It measures nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from maieutic.explain.predicates.base import Or
from maieutic.explain.predicates.text import HasAffix, NumberRange, Position, PreviousIs, TokenClass, TokenIn
from maieutic.explain.predicates.text_amounts import InRange, Ramp
from maieutic.explain.search.text_fit import Clause, Fitter, Part, conjunction, role_of
from maieutic.explain.search.text_options import Option, coverage, others, swapped, weighed
from maieutic.explain.search.text_quantities import TOKEN_QUANTITIES, ranged
from maieutic.explain.search.text_setting import Setting
from maieutic.explain.text_words import CLOSED_CLASSES
from maieutic.stimuli.wordnet import frequent

Array = NDArray[np.float64]

#: a kind of token could be what a clause is about when it holds at this share of its activation
_COVERS = 0.6
#: most words in a list
LIST = 24
#: kinds that lengths say better, or that say nothing
_VAGUE = frozenset(
    ["beginnings of words", "later parts of words", "content words", "short words", "middling words", "long words"]
)
_VOWELS, _CONSONANTS = "aeiou", "bdfgklmnprstvz"


def by_width(setting: Setting, fitter: Fitter, clause: Clause, k: int, residual: Array) -> list[Option]:
    """The clause with its ``k``-th condition, on the token, made wider or narrower.

    ``k`` past the last: the clause is about any token, and is tried with a condition on the token added.
    """
    cover = coverage(setting, clause, residual)
    gate = others(clause, k)
    given = list(clause.parts[k : k + 1])
    parts = [*given, *lists(setting, gate, residual), *_bounds(setting, fitter, gate, residual)]
    least = _COVERS if given else 0.9
    for j in np.flatnonzero(cover >= least):
        f = setting.data.features[int(j)]
        if role_of(f) == "token" and f.value not in _VAGUE:
            parts.append(Part(f.predicate(), setting.data.column(int(j)), False, "token"))
    parts += _spellings(setting, clause, residual, whole=not given)
    parts += [a for p in parts[:4] for a in _some_alike(setting, p)]
    clauses = [swapped(clause, k, p) for p in parts]
    return weighed(fitter, clauses if given else [clause, *clauses], residual, most=32)


def by_context_width(
    setting: Setting, fitter: Fitter, clause: Clause, k: int, residual: Array
) -> tuple[list[Option], int]:
    """The clause with its ``k``-th condition, on a token a fixed way back, made wider or narrower; and how far back."""
    part = clause.parts[k].predicate
    if not isinstance(part, PreviousIs):
        return [], 0
    data, cover = setting.data, coverage(setting, clause, residual)
    parts = [clause.parts[k]]
    for j in np.flatnonzero(cover >= _COVERS):
        for f in (data.features[int(j)], *data.aliases.get(int(j), ())):
            if f.where == part.back:
                parts.append(replace(clause.parts[k], predicate=f.predicate(), column=data.column(int(j))))
    if not clause.parts[k].negated:
        parts += _spellings(setting, clause, residual, back=part.back)
    return weighed(fitter, [swapped(clause, k, p) for p in parts], residual), part.back


def lists(setting: Setting, gate: Array, residual: Array) -> list[Part]:
    """Lists of the words that are strong where the gate holds, by several cut-offs."""
    ids, names = setting.data.words
    n = np.bincount(ids, gate, minlength=len(names))
    mean = np.bincount(ids, gate * residual, minlength=len(names)) / (n + 0.5)
    mean -= 3.5 * setting.noise / np.sqrt(np.maximum(n, 0.5))  # a word seen once may be noise
    top = float(mean.max()) if len(mean) else 0.0
    out: list[Part] = []
    for cut in (0.7, 0.45, 0.25):
        chosen = np.flatnonzero((mean >= cut * top) & (mean > 0.05))
        chosen = chosen[np.argsort(-(n * mean)[chosen], kind="stable")][:LIST]
        if len(chosen):
            words = TokenIn(words=tuple(names[int(i)] for i in chosen))
            out.append(Part(words, np.isin(ids, chosen).astype(np.float64), False, "token"))
    return out


def _bounds(setting: Setting, fitter: Fitter, gate: Array, residual: Array) -> list[Part]:
    """The best ranges of numbers and of word lengths."""
    data = setting.data
    out: list[Part] = []
    for b in data.ranges.best(residual, ridge=fitter.ridge, gate=gate, names=TOKEN_QUANTITIES):
        if not isinstance(b.predicate, Ramp):
            b = data.ranges.sharpened(b, residual, ridge=fitter.ridge, gate=gate)
            out.append(Part(b.predicate, b.column, False, "token"))
    return out


def _spellings(setting: Setting, clause: Clause, residual: Array, *, whole: bool = False, back: int = 0) -> list[Part]:
    """Endings, beginnings and lengths of the word that carries most of the clause.

    ``whole``: and the word itself. ``back``: of the token so many places before instead.
    """
    ids, names = setting.data.words
    if back:
        ids = setting.data.shifted_words(back)
    mass = np.bincount(ids, clause.values * np.clip(residual, 0.0, None), minlength=len(names))
    if not len(mass) or mass.max() <= 0:
        return []
    total, word = float(mass.sum()), names[int(np.argmax(mass))]
    strong = [names[int(i)] for i in np.flatnonzero(mass >= 0.02 * total)]
    if not word.isalpha() or not all(w.isalpha() for w in strong):
        return []
    tests = [HasAffix(suffix=word[-n:]) for n in (1, 2, 3, 4, 5) if len(word) > n]
    tests += [HasAffix(prefix=word[:n]) for n in (1, 2, 3, 4, 5) if len(word) > n]
    held = [
        t for t in tests if sum(w.endswith(t.suffix) and w.startswith(t.prefix) for w in strong) >= 0.8 * len(strong)
    ]
    parts = [
        Part(PreviousIs(part=t, back=back), _affixed(names, t)[ids], False, "context")
        if back
        else Part(t, _affixed(names, t)[ids], False, "token")
        for t in held
    ]
    if whole:
        parts.append(Part(TokenIn(words=(word,)), (ids == int(np.argmax(mass))).astype(np.float64), False, "token"))
        size = np.array([len(n) if n.isalpha() else 0 for n in names])[ids]
        for least in range(2, min(len(w) for w in strong) + 1):
            predicate = InRange(quantity="letters", low=float(least), high=1e15)
            parts.append(Part(predicate, (size >= least).astype(np.float64), False, "token"))
    return parts


def _some_alike(setting: Setting, part: Part) -> list[Part]:
    """A list of which three words or more share a beginning or ending: that, or the rest of the list."""
    words = part.predicate.words if isinstance(part.predicate, TokenIn) else ()
    ids, names = setting.data.words
    out: list[Part] = []
    shared: dict[HasAffix, list[str]] = {}
    for w in words:
        for n in (2, 3, 4, 5) if w.isalpha() else ():
            if len(w) > n:
                shared.setdefault(HasAffix(suffix=w[-n:]), []).append(w)
                shared.setdefault(HasAffix(prefix=w[:n]), []).append(w)
    numeric = [w for w in words if w.isdecimal() and len(w) < 16]
    rest = tuple(w for w in words if w not in numeric)
    if len(numeric) >= 3 and rest:
        low, high = min(map(float, numeric)), max(map(float, numeric))
        digits = next(q.values for q in setting.data.quantities if q.name == "digits")
        column = ((digits >= low) & (digits <= high)) | np.isin(ids, [i for i, n in enumerate(names) if n in rest])
        both = Or(parts=(InRange(quantity="digits", low=low, high=high), TokenIn(words=rest)))
        out.append(Part(both, column.astype(np.float64), False, "token"))
    for affix, alike in shared.items():
        rest = tuple(w for w in words if w not in alike)
        if len(alike) >= 3 and rest:
            column = np.maximum(
                _affixed(names, affix)[ids], np.isin(ids, [i for i, n in enumerate(names) if n in rest])
            )
            out.append(Part(Or(parts=(affix, TokenIn(words=rest))), column.astype(np.float64), False, "token"))
    return out


def _affixed(names: Sequence[str], test: HasAffix) -> Array:
    return np.fromiter(map(test.held_by, names), dtype=np.float64, count=len(names))


# --- tokens that tell options apart --------------------------------------------------------------------------------
def made_up(options: Sequence[Option], k: int, rng: np.random.Generator) -> Iterator[str]:
    """Words that do not exist, each with one of the endings or beginnings in question and no longer one."""
    held = [p.predicate for o in options for p in o.clause.parts[k : k + 1]]
    inner = [q for p in held for q in (p.parts if isinstance(p, Or) else (p,))]
    for a in dict.fromkeys(q for q in inner if isinstance(q, HasAffix)):
        other = "".join(str(rng.choice(list(_CONSONANTS))) + str(rng.choice(list(_VOWELS))) for _ in range(2))
        yield other + a.suffix if a.suffix else a.prefix + other


def of_lengths(options: Sequence[Option], k: int, rng: np.random.Generator) -> Iterator[str]:
    """Made-up words of one to nine letters, when a length is in question."""
    if any("letters" in repr(p.predicate) for o in options for p in o.clause.parts[k : k + 1]):
        for n in (3, 5, 2, 4, 6, 1, 7, 8, 9):
            letters = [str(rng.choice(list(_CONSONANTS if i % 2 == 0 else _VOWELS))) for i in range(n)]
            yield "".join(letters)


def examples(options: Sequence[Option], k: int, rng: np.random.Generator, most: int = 3) -> Iterator[str]:
    """A few words of each kind in question, whether the corpus has them or not."""
    for o in options[:12]:
        for p in o.clause.parts[k : k + 1]:
            if isinstance(p.predicate, TokenClass):
                known = CLOSED_CLASSES.get(p.predicate.name) or frequent(p.predicate.name)
                yield from (known[int(i)] for i in rng.permutation(len(known))[:most])


def numbers_between(options: Sequence[Option], k: int) -> Iterator[str]:
    """Whole numbers around the bounds of the ranges in question."""
    held = [q for o in options for p in o.clause.parts[k : k + 1] for q in parts_of(p)]
    found = [f for q in held if (f := range_of(q)) and f[0] != "place"]
    bounds = {round(b) for f in found for b in f[1:] if b < 1e9}
    for b in sorted(bounds):
        yield from (str(max(b + step, 0)) for step in (0, 1, -1))


def by_bounds(setting: Setting, fitter: Fitter, clause: Clause, k: int, residual: Array) -> list[Option]:
    """A range with its bounds moved to between the values that were seen to be in and out."""
    part = clause.parts[k]
    found = range_of(part)
    quantity = next((q for q in setting.data.quantities if found and q.name == found[0]), None)
    if found is None or quantity is None:
        return []
    name, first, last = found
    numbers, sign = quantity.values, -1.0 if part.negated else 1.0
    gate = (others(clause, k) > 0.5) & np.isfinite(numbers)
    level = float(clause.values @ residual) / max(float(clause.values.sum()), 1.0)
    firing = (residual > 0.5 * level) == (sign > 0)
    on, off = numbers[gate & firing], numbers[gate & ~firing]
    inside = on[(on >= first) & (on <= last)]
    if not len(inside):
        return []
    low, high = float(inside.min()), float(inside.max())
    below, above = off[off < low], off[off > high]
    lows = [first] if not len(below) and name == "place" else _steps(low, float(below.max()) if len(below) else -1.0)
    highs = [last] if not len(above) else _steps(high, float(above.min()))
    clauses = [clause]
    for lo in lows:
        for hi in highs:
            column = ((numbers >= lo) & (numbers <= hi)).astype(np.float64)
            clauses.append(swapped(clause, k, replace(part, predicate=ranged(name, lo, hi), column=column)))
    return weighed(fitter, clauses, residual, most=49)


def range_of(part: Part) -> tuple[str, float, float] | None:
    """Quantity and bounds of a condition whose bounds can be tried: numbers, digits, the place in the text."""
    p = part.predicate
    if isinstance(p, NumberRange):
        return "number", p.low, p.high
    if isinstance(p, InRange) and p.quantity == "digits":
        return "digits", p.low, p.high
    if isinstance(p, Position):
        return "place", float(p.first), float(p.last) if p.last >= 0 else 1e15
    return None


def places_between(options: Sequence[Option], k: int) -> list[int]:
    """Places around the bounds in question."""
    found = [range_of(p) for o in options for p in o.clause.parts[k : k + 1]]
    bounds = {round(b) for f in found if f and f[0] == "place" for b in f[1:] if b < 1e9}
    return sorted({max(b + step, 0) for b in bounds for step in (0, 1, -1)})


def parts_of(part: Part) -> list[Part]:
    """A condition, or those that it joins by "or"."""
    p = part.predicate
    return [replace(part, predicate=q) for q in p.parts] if isinstance(p, Or) else [part]


def _steps(inner: float, outer: float, most: int = 7) -> list[float]:
    """Whole numbers from a bound that is in up to, not including, one that is out."""
    sign = 1.0 if outer > inner else -1.0
    gap = max(abs(outer - inner) - 1.0, 0.0)
    steps = np.unique(np.round(np.linspace(0.0, gap, min(most, int(gap) + 1))))
    return [inner + sign * float(s) for s in steps]


def with_words(setting: Setting, clause: Clause, k: int, words: Sequence[str]) -> Clause:
    """The clause with its ``k``-th condition being a list of words."""
    ids, names = setting.data.words
    known = {name: i for i, name in enumerate(names)}
    column = np.isin(ids, [known[w] for w in words if w in known]).astype(np.float64)
    part = Part(TokenIn(words=tuple(words)), column, False, "token")
    return conjunction((*clause.parts[:k], part, *clause.parts[k + 1 :]))
