"""Finding rules for a unit: a beam search over weighted sums of few clauses.

A clause is added, or the last one is narrowed ("A and B", "A but not B"), when that raises the score on held-out groups
of the discover split by more than its price. Every pair of conditions is tried as a clause of its own too
(`image_pairs`), since neither part of "A and B" need look like much alone. What a rule is and how it is judged stands in
`image_rules`. Nothing here measures the subject, and correlations found here are hypotheses, not findings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from maieutic.explain.predicates.base import And, Predicate
from maieutic.explain.predicates.image import Count, Formed, Placed, Relation
from maieutic.explain.search.image_pairs import Pairs
from maieutic.explain.search.image_rules import Rule, Target, fitted_all, residual_of
from maieutic.explain.search.image_table import Clause, ImageTable

Floats = NDArray[np.float64]
CLAUSES = 5
_BEAM = 4
_RIDGE = 2.0
#: quality from which the best of very many conditions is believed: below, it is luck
_TRUSTED = 0.5
#: quality at which nothing is left to add
_PERFECT = 0.995
_ALL = slice(None)


def search_rules(
    table: ImageTable, target: Target, *, allowed: Callable[[Clause], bool] = lambda c: True
) -> list[Rule]:
    """Best rules of every size, best score first. Costs about 0.2 s for 700 images and 1500 clauses."""
    keep = np.array([allowed(c) for c in table.clauses], dtype=bool) & table.distinct
    field = _Field(table, target, keep)
    beam: list[Rule] = []
    found: dict[frozenset[Predicate], Rule] = {}
    for size in range(1, CLAUSES + 1):
        held: list[Rule | None] = [*beam] or [None]
        moves = {_identity(m): m for rule in held for m in field.moves(rule)}
        made = fitted_all([m for key, m in moves.items() if key not in found], target)
        grown = {c.predicate for r in beam for c in r.clauses}
        rules = sorted((r for r in made if r.quality >= _TRUSTED or not _lucky(r, grown)), key=lambda r: -r.score)
        found |= {_identity(r.clauses): r for r in rules}
        bar = beam[0].score if beam else -np.inf
        beam = [r for r in rules[:_BEAM] if r.score > bar]
        if not beam or size == CLAUSES or max(r.quality for r in beam) >= _PERFECT:
            break
    return sorted(found.values(), key=lambda r: -r.score)


def _lucky(rule: Rule, grown: set[Predicate]) -> bool:
    """Whether its last clause is one of so many that the best of them fits noise.

    Pairs that no beam has grown towards (``grown``: its clauses), relations, and conditions on form, number and the
    centre.
    """
    last = rule.clauses[-1].predicate
    parts = last.parts if isinstance(last, And) else (last,)
    if any(isinstance(p, Relation | Formed | Count) or (isinstance(p, Placed) and p.where == "centre") for p in parts):
        return True
    return isinstance(last, And) and not any(part in grown for part in (last, *parts))


def _identity(clauses: Sequence[Clause]) -> frozenset[Predicate]:
    return frozenset(c.predicate for c in clauses)


class _Field:
    """What one search chooses from: the table's clauses, and what the images weigh.

    Args:
        table: all clauses.
        target: what is fitted.
        keep: clauses that may be used, ``[clause]``.
    """

    def __init__(self, table: ImageTable, target: Target, keep: NDArray[np.bool_]) -> None:
        self._table, self._target, self._keep = table, target, keep
        self._pairs = Pairs(table, target.weight, keep)
        self._spread = spread_of(table.matrix, table.squares, target.weight)

    def moves(self, rule: Rule | None) -> list[tuple[Clause, ...]]:
        """Clause sets one step away: with one more clause, or with the last clause narrowed."""
        table, target = self._table, self._target
        if rule is None:
            held: tuple[Clause, ...] = ()
            residual = residual_of((), target)
        else:
            held = rule.clauses
            columns = np.column_stack([c.column for c in held])
            residual = target.y - rule.base - columns @ np.array(rule.strengths)
        slope = slope_of(table.matrix, residual, target.weight)
        gains = np.where(self._keep, slope**2 / self._spread, 0.0)
        if rule is None:
            gains = np.where(slope > 0, gains, 0.0)
        picks = [*best_of(gains[: table.named], 9), *(table.named + j for j in best_of(gains[table.named :], 5))]
        moves = [(*held, table.clauses[j]) for j in picks]
        moves += [(*held, c) for c in self._pairs.best(residual)]
        if rule is not None and rule.clauses[-1].atoms == 1 and rule.strengths[-1] > 0:
            moves += self._narrowed(rule)
        return moves

    def _narrowed(self, rule: Rule) -> list[tuple[Clause, ...]]:
        """The rule with its last clause replaced by "last and other" or "last but not other"."""
        table, target = self._table, self._target
        *rest, last = rule.clauses
        others, weight = residual_of(rest, target), target.weight
        # elsewhere "last and other" is nothing, whatever the other is
        rows = np.flatnonzero(last.column)
        here, with_it = table.matrix[rows], last.column[rows, None]
        out: list[tuple[Clause, ...]] = []
        for without in (False, True):
            columns = np.minimum(with_it, 1.0 - here if without else here)
            slope = slope_of(columns, others, weight, rows=rows)
            gains = np.where(self._keep, slope**2 / spread_of(columns, columns * columns, weight, rows=rows), 0.0)
            if without:
                gains[table.named :] = 0.0  # falling ramps already say "little of it"
            picks = [*best_of(gains[: table.named], 3), *(table.named + j for j in best_of(gains[table.named :], 3))]
            out += [(*rest, last.joined(table.clauses[j], without=without)) for j in picks]
        return out


def slope_of(
    matrix: NDArray[np.float32], residual: Floats, weight: Floats, *, rows: NDArray[np.int64] | slice = _ALL
) -> Floats:
    """Weighted covariance of each column with what is left; ``rows``: images that the columns cover, 0 on others."""
    w = (weight / weight.sum()).astype(np.float32)
    r = (residual - np.average(residual, weights=weight)).astype(np.float32)
    return (matrix.T @ (w * r)[rows]).astype(np.float64)


def spread_of(
    matrix: NDArray[np.float32],
    squares: NDArray[np.float32],
    weight: Floats,
    *,
    rows: NDArray[np.int64] | slice = _ALL,
) -> Floats:
    """Weighted variance of each column, enlarged so that columns with little mass gain less."""
    w = (weight / weight.sum()).astype(np.float32)[rows]
    mean = matrix.T @ w
    return np.maximum(squares.T @ w - mean * mean, 1e-6) + _RIDGE / weight.sum()


def best_gains(table: ImageTable, y: Floats, weight: Floats) -> Floats:
    """The largest share of the weighted variance that one clause takes away, of several activations, ``[activation]``.

    Args:
        table: the clauses.
        y, weight: ``[activation, image]``.
    """
    left = y - np.average(y, weights=weight, axis=1)[:, None]
    total = np.average(left**2, weights=weight, axis=1)
    mass = weight.sum(axis=1, keepdims=True)
    w = (weight / mass).astype(np.float32)
    slope = table.matrix.T @ (w * left.astype(np.float32)).T
    mean = table.matrix.T @ w.T
    spread = np.maximum(table.squares.T @ w.T - mean * mean, 1e-6) + _RIDGE / mass.T
    return (slope**2 / spread).max(axis=0, initial=0.0) / np.maximum(total, 1e-12)


def best_of(gains: Floats, n: int) -> list[int]:
    """Indices of the ``n`` largest positive gains, ties to the lower index."""
    order = np.argsort(-gains, kind="stable")[:n]
    return [int(j) for j in order if gains[j] > 0]
