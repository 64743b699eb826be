"""Greedy search for clauses: conjunctions of up to three conditions whose weighted sum predicts the activation.

Each candidate is judged by its *cross-validated* gain in squared error: its weight is fitted on all folds but one and
the gain is counted on the one left out, summed over folds. Folds are whole documents, so a condition that only names
a few positions of one document gains nothing. Formula, for candidate column x, residual r, fold f:
``a_f = sum r x``, ``b_f = sum x``, ``w_f = (A - a_f) / (B - b_f + ridge)``, ``gain = sum_f 2 w_f a_f - w_f^2 b_f``.

It reads discover positions only and runs no experiment.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from maieutic.explain.predicates.base import And, Not, Predicate
from maieutic.explain.predicates.text import PreviousIs, TokenIn, TopicWords, WithinLast
from maieutic.explain.search.text_features import Feature
from maieutic.explain.search.text_matrix import FeatureMatrix, hash_of
from maieutic.explain.search.text_passages import passage
from maieutic.explain.search.text_quantities import Bounded, gains

Array = NDArray[np.float64]

#: a longer conjunction must gain this much more than the shorter one
_LONGER = 1.06
_BEAM = 5
#: how far back a window may look, in tokens
REACHES = (*range(1, 17), 18, 20, 24, 28, 30, 32)
#: clauses remembered
_KEPT = 12
#: pseudo-count of the joint weights
_SHRINK = 0.3
#: most words in a list; and looked for in a window
_LIST, _WORDS = 12, 16
#: a further word of a window multiplies the gain by this at least, and is as strong as the others by this share
_MORE, _ALIKE = 1.04, 0.7


@dataclass(frozen=True, slots=True)
class Part:
    """A condition of a clause, or its negation."""

    predicate: Predicate
    column: Array
    negated: bool = False
    role: str = "token"


@dataclass(frozen=True, slots=True)
class Clause:
    """A conjunction with its values over discover positions and its cross-validated gain."""

    parts: tuple[Part, ...]
    values: Array
    gain: float

    @property
    def predicate(self) -> Predicate:
        """The conjunction as a predicate."""
        parts = [Not(part=p.predicate) if p.negated else p.predicate for p in self.parts]
        return parts[0] if len(parts) == 1 else And(parts=tuple(parts))


@dataclass(frozen=True, slots=True)
class Rules:
    """Clauses with weights: prediction = base + sum of weight x clause, before clipping."""

    clauses: tuple[Clause, ...]
    weights: Array
    base: float

    def values(self, n: int) -> Array:
        """Unclipped predictions over discover positions."""
        out = np.full(n, self.base)
        for clause, weight in zip(self.clauses, self.weights, strict=True):
            out += weight * clause.values
        return out


Revise = Callable[[Clause, Array], Clause | None]
#: a gain, and what makes the clause that has it
Candidate = tuple[float, Callable[[], Clause]]


def _looked_for(predicate: Predicate) -> tuple[int | str | None, tuple[str, ...]]:
    """Where the matrix looks back for the words of a windowed condition, and which words."""
    inner = getattr(predicate, "part", None)
    if isinstance(predicate, TopicWords) and predicate.at_least == 1:
        return "topic", predicate.words
    if isinstance(predicate, WithinLast) and isinstance(inner, TokenIn):
        return {4: "near", 16: "further"}.get(predicate.n), inner.words
    return None, ()


def _with_words(predicate: Predicate, words: tuple[str, ...]) -> Predicate:
    if isinstance(predicate, TopicWords):
        return replace(predicate, words=words)
    assert isinstance(predicate, WithinLast)
    return replace(predicate, part=TokenIn(words=words))


def role_of(feature: Feature) -> str:
    """Whether a condition is about the token itself or about what came before it."""
    if feature.where != 0 or feature.part in ("structure", "position"):
        return "context"
    return "token"


class Fitter:
    """Forward search over one matrix for one unit's target.

    Args:
        data: conditions of the discover positions.
        target: scaled activation, 0 to 1, ``[position]``.
        ridge: pseudo-count that shrinks weights of rare clauses.
        longest: most conditions in a clause.
    """

    def __init__(self, data: FeatureMatrix, target: Array, *, ridge: float = 4.0, longest: int = 3) -> None:
        self.data, self.target, self.ridge, self.longest = data, target, ridge, longest
        # the clauses are kept so that their ids stay their own
        self._fitted: dict[tuple[int, ...], tuple[tuple[Clause, ...], Rules]] = {}

    def rules(self, most: int = 6, *, revise: Revise | None = None) -> list[Rules]:
        """Nested rule sets with 0, 1, ... clauses; stops early when nothing gains across documents.

        Args:
            most: clauses at most.
            revise: given each clause as it is found, and what it is to explain, gives it back as experiments leave it
                (``None``: refuted), so that the next clause is sought in what is then left.
        """
        clauses: list[Clause] = []
        refuted: set[str] = set()
        found = [self.refit(clauses)]
        spread = float(((self.target - self.target.mean()) ** 2).sum())
        while len(clauses) < most and spread > 0 and len(refuted) < most:
            residual = self.target - found[-1].values(len(self.target))
            best = self._best_clause(residual, first=not clauses, refuted=refuted)
            if best is None or best.gain < 0.003 * spread:
                break
            kept = best if revise is None else revise(best, residual)
            if kept is None:
                refuted.add(repr(best.predicate))
                continue
            if any(np.array_equal(kept.values, c.values) for c in clauses):
                break
            clauses = [*clauses, kept]
            found.append(self.refit(clauses))
        return found

    # --- one clause ----------------------------------------------------------------------------------------------
    def _best_clause(self, residual: Array, *, first: bool, refuted: set[str]) -> Clause | None:
        """The best clause; remembered, because explainers and second looks ask again for what the same unit leaves."""
        key = (hash_of(residual), first, tuple(sorted(refuted)))
        kept = self.data.kept
        if key not in kept:
            kept[key] = self._sought_clause(residual, first=first, refuted=refuted)
            while len(kept) > _KEPT:
                kept.pop(next(iter(kept)))
        return kept[key]

    def _sought_clause(self, residual: Array, *, first: bool, refuted: set[str]) -> Clause | None:
        beam = _made(self._singles(residual, first=first), refuted, _BEAM)
        if not beam:
            return None
        best = beam[0]
        for _ in range(self.longest - 1):
            longer: list[Candidate] = []
            for rank, clause in enumerate(beam):
                longer += self._refined(clause, residual, first=first, bounds=rank == 0)
            made = _made(longer, refuted, 2)
            if not made or made[0].gain < _LONGER * best.gain:
                break
            best, beam = made[0], made
        settled = self._settled(self._grown(best, residual), residual)
        return self._or_passage(settled, residual, refuted)

    def _or_passage(self, clause: Clause, residual: Array, refuted: set[str]) -> Clause:
        """The clause, or a passage about several words when that tells more; sought when no token is asked for."""
        named = any(p.role == "token" and not p.negated for p in clause.parts)
        if named or self.data.text_level or clause.gain > 0.8 * float(residual @ residual):
            return clause
        topics = self.data.lookback["topic"]

        def told(gate: Array) -> Array:
            a, b = topics.sums(residual * gate).sum(axis=0), topics.sums(gate).sum(axis=0)
            # in one document only it may still be right: it is the joint gain that has to hold across documents
            return np.where(a > 0, a**2 / (b + self.ridge), -np.inf)

        found = passage(self.data, told, lambda values: self.gain(values, residual))
        if found is None or repr(found[0]) in refuted:
            return clause
        other = conjunction((Part(found[0], found[1], False, "context"),))
        gain = self.gain(other.values, residual)
        return replace(other, gain=gain) if gain > 1.02 * clause.gain else clause

    def _grown(self, clause: Clause, residual: Array) -> Clause:
        """The clause with further words in its window, each about as strong: what a passage is about is many words."""
        for k, part in enumerate(clause.parts):
            where, words = _looked_for(part.predicate)
            if where is None or part.negated or self.data.text_level:
                continue
            rest = conjunction((*clause.parts[:k], *clause.parts[k + 1 :])).values if len(clause.parts) > 1 else 1.0
            grown, column = self._more_words(where, words, part.column, rest * np.ones_like(residual), residual)
            if grown != words:
                wider = replace(part, predicate=_with_words(part.predicate, grown), column=column)
                clause = conjunction((*clause.parts[:k], wider, *clause.parts[k + 1 :]))
        return replace(clause, gain=self.gain(clause.values, residual))

    def _more_words(
        self, where: int | str, words: tuple[str, ...], column: Array, rest: Array, residual: Array
    ) -> tuple[tuple[str, ...], Array]:
        """Add words whose new positions gain at least ``_MORE`` and are at least ``_ALIKE`` as strong as the others'."""
        tried, k = self.data.lookback[where], self.data.folds
        while len(words) < _WORDS:
            held, free = rest * column, rest * (1.0 - column)
            a0 = np.bincount(self.data.fold, held * residual, minlength=k).astype(np.float64)
            b0 = np.bincount(self.data.fold, held, minlength=k).astype(np.float64)
            a, b = tried.sums(residual * free), tried.sums(free)
            alike = a.sum(axis=0) / np.maximum(b.sum(axis=0), 1.0) >= _ALIKE * a0.sum() / max(b0.sum(), 1.0)
            a0, b0 = a0[:, None], b0[:, None]
            gain = np.where(alike & (b.sum(axis=0) >= 4), gains(a0 + a, b0 + b, self.ridge), -np.inf)
            best = int(np.argmax(gain)) if len(gain) else -1
            if best < 0 or gain[best] < _MORE * float(gains(a0, b0, self.ridge)[0]):
                break
            words = (*words, self.data.features[int(tried.chosen[best])].value)
            column = np.maximum(column, self.data.column(int(tried.chosen[best])))
        return words, column

    def _settled(self, clause: Clause, residual: Array) -> Clause:
        """The clause with the reach of its windows set to what gains most; the given reach wins ties."""
        for k, part in enumerate(clause.parts):
            window = part.predicate
            if not isinstance(window, WithinLast) or self.data.text_level:
                continue
            inner = self.data.where_now(window.part)
            if inner is None:
                continue
            gap, best = self.data.since(inner), self.gain(clause.values, residual)
            for n in REACHES:
                column = (gap <= n).astype(np.float64)
                reach = replace(part, predicate=WithinLast(part=window.part, n=n), column=column)
                other = conjunction((*clause.parts[:k], reach, *clause.parts[k + 1 :]))
                gain = self.gain(other.values, residual)
                if gain > 1.01 * best:
                    clause, best = replace(other, gain=gain), gain
        return clause

    def gain(self, values: Array, residual: Array) -> float:
        """Cross-validated fall of squared error when the values (0 to 1) are added with a weight."""
        at = np.flatnonzero(values)
        fold, held = self.data.fold[at], values[at]
        a = np.bincount(fold, held * residual[at], minlength=self.data.folds).astype(np.float64)
        b = np.bincount(fold, held**2, minlength=self.data.folds).astype(np.float64)
        return float(gains(a[:, None], b[:, None], self.ridge)[0])

    def _singles(self, residual: Array, *, first: bool) -> list[Candidate]:
        a = self.data.sums(residual)
        gain = gains(a, self.data.counts, self.ridge) * self.data.ease
        if first:
            gain = np.where(a.sum(axis=0) > 0, gain, -np.inf)
        out = self._with_features((), gain, False, _BEAM)
        out += [(c.gain, partial(_itself, c)) for c in self._lists(residual) if c.gain > 0]
        return [*out, *self._bounded((), residual)]

    def _bounded(self, before: tuple[Part, ...], residual: Array, gate: Array | None = None) -> list[Candidate]:
        """Clauses with a range or ramp of a quantity, alone or added to the conditions of a gate."""
        ranges, out = self.data.ranges, list[Candidate]()
        found = ranges.best(residual, ridge=self.ridge, gate=gate)
        for b in sorted(found, key=lambda b: -b.gain)[:2]:
            exact = ranges.sharpened(b, residual, ridge=self.ridge, gate=gate)
            out.append((0.97 * exact.gain, partial(_with_range, before, exact)))
        return out

    def _with_features(self, before: tuple[Part, ...], gain: Array, negated: bool, most: int) -> list[Candidate]:
        """Clauses with the conditions of the matrix that gain most."""
        return [
            (float(gain[j]), partial(self._clause, before, j, negated, float(gain[j]))) for j in largest(gain, most)
        ]

    def _clause(self, before: tuple[Part, ...], j: int, negated: bool, gain: float) -> Clause:
        column, feature = self.data.column(j), self.data.features[j]
        part = Part(feature.predicate(text_level=self.data.text_level), column, negated, role_of(feature))
        values = (1.0 - column) if negated else column
        for p in before:
            values = values * ((1.0 - p.column) if p.negated else p.column)
        return Clause((*before, part), values, gain)

    def _refined(self, clause: Clause, residual: Array, *, first: bool, bounds: bool) -> list[Candidate]:
        """The clause with one more condition (or exception)."""
        gate = clause.values
        rows = np.flatnonzero(gate)
        if len(rows) < 12:
            return []
        told, k = residual[rows] * gate[rows], self.data.folds
        a, b = self.data.sums_at(rows, told)
        whole_a = np.bincount(self.data.fold[rows], told, minlength=k)[:, None]
        whole_b = np.bincount(self.data.fold[rows], minlength=k)[:, None].astype(np.float64)
        held = b.sum(axis=0)
        some = np.flatnonzero((held >= 4) & (len(rows) - held >= 4))
        a, b, ease = a[:, some], b[:, some], self.data.ease[some]
        out: list[Candidate] = []
        for negated in (False, True):
            aa, bb = (whole_a - a, whole_b - b) if negated else (a, b)
            usable = bb.sum(axis=0) >= 8
            if first:
                usable &= aa.sum(axis=0) > 0
            gain = np.full(len(held), -np.inf)
            gain[some[usable]] = (gains(aa, bb, self.ridge) * ease * (0.9 if negated else 1.0))[usable]
            out += self._with_features(clause.parts, gain, negated, 2)
        return [*out, *(self._bounded(clause.parts, residual, gate) if bounds else [])]

    # --- word lists found for this unit --------------------------------------------------------------------------
    def _lists(self, residual: Array) -> list[Clause]:
        """Lists of words (this or the previous token) that are high in the other folds too, by several cut-offs."""
        out: list[Clause] = []
        for back in () if self.data.text_level else (0, 1):
            ids, names = self.data.words if back == 0 else self.data.previous_words
            a, b = (_by_fold(ids, len(names), self.data, w) for w in (residual, None))
            whole_a, whole_b = a.sum(axis=0), b.sum(axis=0)
            sound = (gains(a, b, self.ridge) > 0) & (whole_b >= 4)
            full = np.where(sound, whole_a / (whole_b + 2.0), 0.0)
            top = float(full.max()) if len(full) else 0.0
            for cut in (0.7, 0.45, 0.25):
                chosen = np.flatnonzero((full >= cut * top) & (full > 0.02))
                chosen = chosen[np.argsort(-full[chosen], kind="stable")][:_LIST]
                if len(chosen) < 2:
                    continue
                of_a, of_b = a[:, np.sort(chosen)], b[:, np.sort(chosen)]
                held_out = (of_a.sum(axis=0) - of_a) / (of_b.sum(axis=0) - of_b + 2.0)
                inside = held_out >= cut * top
                # one after another: sums of pairs would round otherwise
                fold_a, fold_b = (np.cumsum(x * inside, axis=1)[:, -1:] for x in (of_a, of_b))
                gain = float(gains(fold_a, fold_b, self.ridge)[0]) * 0.97
                words, among = TokenIn(words=tuple(names[i] for i in chosen)), np.zeros(len(names))
                among[chosen] = 1.0
                column = among[ids]
                part = Part(
                    words if back == 0 else PreviousIs(part=words, back=1),
                    column,
                    False,
                    "token" if back == 0 else "context",
                )
                out.append(Clause((part,), column, gain))
        return out

    # --- weights -------------------------------------------------------------------------------------------------
    def refit(self, clauses: Sequence[Clause]) -> Rules:
        """Joint weights of all clauses, barely shrunk: a clause found across documents is not to be found again."""
        key = tuple(map(id, clauses))
        if key not in self._fitted:
            self._fitted[key] = tuple(clauses), self._weighed(clauses)
        return self._fitted[key][1]

    def _weighed(self, clauses: Sequence[Clause]) -> Rules:
        n = len(self.target)
        x = np.stack([np.ones(n), *(c.values for c in clauses)], axis=1)
        gram = x.T @ x + np.diag([1e-9, *([_SHRINK] * len(clauses))])
        solution = np.linalg.solve(gram, x.T @ self.target)
        return Rules(tuple(clauses), solution[1:].astype(np.float64), float(solution[0]))


def _by_fold(ids: NDArray[np.int64], n: int, data: FeatureMatrix, weights: Array | None) -> Array:
    """Sum of the weights (how many, without) of each id in each fold, ``[fold, id]``."""
    cells = np.bincount(data.fold * n + ids, weights, minlength=data.folds * n)
    return cells.reshape(data.folds, n).astype(np.float64)


def largest(values: Array, most: int) -> list[int]:
    """Where the largest values above 0 stand, largest first; equal ones in the order that ``argsort`` gives them."""
    found = np.flatnonzero(values > 0)
    if len(found) > most:
        found = found[np.argpartition(-values[found], most - 1)[:most]]
    found = found[np.argsort(-values[found])]
    shown = values[found]
    if len(found) and ((shown[1:] == shown[:-1]).any() or np.count_nonzero(values == shown[-1]) > 1):
        found = np.argsort(-values)[:most]
        found = found[values[found] > 0]
    return found.tolist()


def _made(candidates: Sequence[Candidate], refuted: set[str], most: int) -> list[Clause]:
    """The clauses that gain most, without those that experiments refuted."""
    out: list[Clause] = []
    for _, make in sorted(candidates, key=lambda c: -c[0]):
        clause = make()
        if not refuted or repr(clause.predicate) not in refuted:
            out.append(clause)
            if len(out) == most:
                break
    return out


def _itself(clause: Clause) -> Clause:
    return clause


def _with_range(before: tuple[Part, ...], found: Bounded) -> Clause:
    part = Part(found.predicate, found.column, False, found.role)
    return replace(conjunction((*before, part)), gain=0.97 * found.gain)


def conjunction(parts: tuple[Part, ...], gain: float = 0.0) -> Clause:
    """The clause of these parts."""
    values = np.ones_like(parts[0].column)
    for p in parts:
        values = values * ((1.0 - p.column) if p.negated else p.column)
    return Clause(parts, values, gain)
