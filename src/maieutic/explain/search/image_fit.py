"""Fitting a readable rule to a unit: a beam search over weighted sums of few clauses, judged on groups left out.

The rule is ``base + sum of strength x clause``, at most ``CLAUSES`` clauses. A clause is added, or the last one is
narrowed ("A and B", "A but not B"), when that raises the score on held-out groups of the discover split by more than
its price. Every pair of conditions is tried as a clause of its own too (`image_pairs`), since neither part of "A and B"
need look like much alone. Score: the mean of average precision for the unit's top 20 %, 10 % and 5 %
(of a unit that rests exactly, above half scale too) and of the Pearson correlation, all out of fold (one threshold
alone is noise when there are fifty positives).
Nothing here measures the subject, and correlations found here are hypotheses, not findings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maieutic.explain.predicates.base import And, Predicate
from maieutic.explain.predicates.image import Blend, Count, Formed, Placed, Relation
from maieutic.explain.search.image_pairs import best_pairs
from maieutic.explain.search.image_table import Clause, ImageTable, folds_of

Floats = NDArray[np.float64]
CLAUSES = 5
#: what one elementary condition must bring on left-out groups
PRICE = 0.01
#: activation quantiles above which an image counts as positive
_LEVELS = (0.80, 0.90, 0.95)
_BEAM = 4
_FOLDS = 4
_RIDGE = 2.0
#: share of the variance between two states from which there are two: 0.64 of a bell curve, 0.75 of an even spread
_TWO_STATES = 0.76
#: share of images at the very lowest value from which a unit rests exactly
_RESTS = 0.2
#: quality from which the best of very many conditions is believed: below, it is luck
_TRUSTED = 0.5
#: quality at which nothing is left to add
_PERFECT = 0.995


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Clauses with their strengths, and how well they do on left-out groups of the discover split.

    ``ap``, ``correlation`` and ``quality`` are out of fold; ``score`` is ``quality`` less the price of the conditions.
    """

    clauses: tuple[Clause, ...]
    strengths: tuple[float, ...]
    base: float
    ap: float
    correlation: float
    score: float
    quality: float = 0.0

    @property
    def predicate(self) -> Predicate:
        return Blend(parts=tuple(c.predicate for c in self.clauses), strengths=self.strengths, base=self.base)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is fitted: ``y`` the scaled activation ``[image]``.

    ``folds`` are two partitions, ``[2, image]``: one leaves out stamps, the other backgrounds, since held-out images
    will share neither (they coincide when there are no composed scenes).
    ``levels`` marks the images above each quantile of the raw activation, ``[level, image]``; the last is the top 5 %.
    """

    y: Floats
    levels: NDArray[np.bool_]
    folds: NDArray[np.int64]
    weight: Floats


def target_of(table: ImageTable, scaled: Floats, raw: Floats, *, seed: int = 0) -> Target:
    """The target of a unit; high images weigh more in the fit since there are few of them."""
    folds = np.stack([folds_of(g, _FOLDS, seed=seed) for g in (table.groups, table.grounds)])
    if np.array_equal(table.groups, table.grounds):
        folds = folds[:1]
    return Target(y=scaled, levels=levels_of(raw, raw), folds=folds, weight=1.0 + 3.0 * scaled)


def levels_of(values: Floats, discover: Floats) -> NDArray[np.bool_]:
    """Which images lie above the 80th, 90th and 95th percentile of the discover values, ``[level, image]``.

    Of a unit that rests exactly on many images, those above half of full scale come first.

    A unit that is at its maximum on more images than that (on or off, saturated) counts as high exactly there. So does
    one of two noisy states in its upper state: which values are the largest there is noise.
    """
    half = (float(np.median(discover)) + float(np.quantile(discover, 0.99))) / 2
    bars = [float(np.quantile(discover, q)) for q in _LEVELS]
    if np.mean(discover == discover.min()) > _RESTS:
        bars = [half, *bars]
    top = float(discover.max())
    between = _two_states(discover)
    if between is not None:
        bars = [min(bar, between) for bar in bars]
    return np.stack([values > bar if bar < top else values >= top for bar in bars])


def _two_states(values: Floats) -> float | None:
    """The value between two noisy states, or ``None`` when there are not two (Otsu's threshold and how much it tells).

    A unit that rests exactly has no noise, and its values above rest are told apart by what is shown.
    """
    order = np.sort(values)
    if len(order) < 40 or np.mean(order == order[0]) > _RESTS:
        return None
    share = np.arange(1, len(order)) / len(order)
    low = np.cumsum(order)[:-1] / np.arange(1, len(order))
    high = (order.sum() - np.cumsum(order)[:-1]) / np.arange(len(order) - 1, 0, -1)
    told = share * (1 - share) * (high - low) ** 2 / max(float(np.var(order)), 1e-12)
    k = int(np.argmax(told))
    return float((order[k] + order[k + 1]) / 2) if told[k] >= _TWO_STATES else None


def average_precision(scores: Floats, high: NDArray[np.bool_]) -> float:
    """Mean precision at each positive, images with equal scores entering together; chance level = share of positives.

    Range 0 to 1; 0 when there is no positive.
    """
    return average_precisions(scores, high[None])[0]


def average_precisions(scores: Floats, levels: NDArray[np.bool_]) -> list[float]:
    """``average_precision`` against several sets of positives ``[level, image]``, sorting once."""
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    last = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    hits = np.cumsum(levels[:, order], axis=1)[:, last].astype(np.float64)
    total = np.maximum(hits[:, -1:], 1.0)
    return (np.diff(hits, axis=1, prepend=0.0) / total * (hits / (last + 1))).sum(axis=1).tolist()


def correlation(a: Floats, b: Floats) -> float:
    """Pearson correlation; 0 when either is constant."""
    da, db = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((da @ da) * (db @ db)))
    return float(da @ db) / scale if scale > 1e-12 else 0.0


def quality(predicted: Floats, y: Floats, levels: NDArray[np.bool_]) -> tuple[float, float, float]:
    """(overall quality, average precision at the highest level, correlation) of predictions."""
    aps = average_precisions(predicted, levels)
    r = correlation(predicted, y)
    return float(np.mean([*aps, r])), aps[-1], r


def solve(columns: Floats, y: Floats, weight: Floats) -> Floats:
    """Weighted ridge coefficients, ``[1 + clause]``, base first; the base is not shrunk."""
    design = np.column_stack([np.ones(len(y)), columns])
    weighted = design * weight[:, None]
    return np.asarray(np.linalg.solve(weighted.T @ design + _shrink(design.shape[1]), weighted.T @ y), dtype=np.float64)


def _shrink(n: int) -> Floats:
    return np.diag([1e-9, *([_RIDGE] * (n - 1))])


def fitted(clauses: Sequence[Clause], target: Target) -> Rule:
    """The rule of these clauses: scored on left-out groups, with strengths from all of discover."""
    columns = np.column_stack([c.column for c in clauses]).astype(np.float64)
    judged = [quality(_left_out(columns, target, fold), target.y, target.levels) for fold in target.folds]
    overall, ap, r = (float(np.mean(q)) for q in zip(*judged, strict=True))
    beta = solve(columns, target.y, target.weight)
    atoms = sum(c.atoms for c in clauses) + sum(float(b) < 0 for b in beta[1:])
    strengths = tuple(round(float(b), 4) for b in beta[1:])
    base = round(float(beta[0]), 4)
    return Rule(
        clauses=tuple(clauses),
        strengths=strengths,
        base=base,
        ap=ap,
        correlation=r,
        score=overall - PRICE * atoms,
        quality=overall,
    )


def _left_out(columns: Floats, target: Target, fold: NDArray[np.int64]) -> Floats:
    """Predictions for each fold from the strengths fitted to the others, ``[image]``.

    Moments add up over folds, so those of "all but this one" are a difference: one small solve a fold.
    """
    design = np.column_stack([np.ones(len(target.y)), columns])
    weighted = design * target.weight[:, None]
    parts = [np.flatnonzero(fold == k) for k in range(_FOLDS)]
    grams = np.stack([weighted[rows].T @ design[rows] for rows in parts])
    sides = np.stack([weighted[rows].T @ target.y[rows] for rows in parts])
    others = grams.sum(axis=0) - grams + _shrink(design.shape[1])
    beta = np.linalg.solve(others, (sides.sum(axis=0) - sides)[:, :, None])[:, :, 0]
    return np.einsum("ij,ij->i", design, beta[fold])


def search_rules(
    table: ImageTable, target: Target, *, allowed: Callable[[Clause], bool] = lambda c: True
) -> list[Rule]:
    """Best rules of every size, best score first. Costs about half a second for 1500 images and 1500 clauses."""
    keep = np.array([allowed(c) for c in table.clauses], dtype=bool) & table.distinct
    beam: list[Rule] = []
    found: dict[frozenset[Predicate], Rule] = {}
    for size in range(1, CLAUSES + 1):
        held: list[Rule | None] = [*beam] or [None]
        moves = [m for rule in held for m in _moves(table, target, rule, keep)]
        fresh = {_identity(m): m for m in moves if _identity(m) not in found}
        made = (fitted(m, target) for m in fresh.values())
        rules = sorted((r for r in made if r.quality >= _TRUSTED or not _lucky(r, held)), key=lambda r: -r.score)
        found |= {_identity(r.clauses): r for r in rules}
        bar = beam[0].score if beam else -np.inf
        beam = [r for r in rules[:_BEAM] if r.score > bar]
        if not beam or size == CLAUSES or max(r.quality for r in beam) >= _PERFECT:
            break
    return sorted(found.values(), key=lambda r: -r.score)


def _lucky(rule: Rule, held: Sequence[Rule | None]) -> bool:
    """Whether its last clause is one of so many that the best of them fits noise.

    Pairs that no beam has grown towards, relations, and conditions on form, number and the centre.
    """
    last = rule.clauses[-1].predicate
    parts = last.parts if isinstance(last, And) else (last,)
    if any(isinstance(p, Relation | Formed | Count) or (isinstance(p, Placed) and p.where == "centre") for p in parts):
        return True
    grown = {c.predicate for r in held if r is not None for c in r.clauses}
    return isinstance(last, And) and not any(part in grown for part in (last, *parts))


def _identity(clauses: Sequence[Clause]) -> frozenset[Predicate]:
    return frozenset(c.predicate for c in clauses)


def _moves(table: ImageTable, target: Target, rule: Rule | None, keep: NDArray[np.bool_]) -> list[tuple[Clause, ...]]:
    """Clause sets one step away: with one more clause, or with the last clause narrowed."""
    if rule is None:
        held: tuple[Clause, ...] = ()
        residual = target.y - np.average(target.y, weights=target.weight)
    else:
        held = rule.clauses
        columns = np.column_stack([c.column for c in held])
        residual = target.y - rule.base - columns @ np.array(rule.strengths)
    gains = gains_of(table.matrix, residual, target.weight)
    gains[~keep] = 0.0
    if rule is None:
        gains = np.where(_slope(table.matrix, residual, target.weight) > 0, gains, 0.0)
    picks = [*best_of(gains[: table.named], 9), *(table.named + j for j in best_of(gains[table.named :], 5))]
    moves = [(*held, table.clauses[j]) for j in picks]
    moves += [(*held, c) for c in best_pairs(table, residual, target.weight, keep)]
    if rule is not None and rule.clauses[-1].atoms == 1 and rule.strengths[-1] > 0:
        moves += _narrowed(table, target, rule, keep)
    return moves


def _narrowed(table: ImageTable, target: Target, rule: Rule, keep: NDArray[np.bool_]) -> list[tuple[Clause, ...]]:
    """The rule with its last clause replaced by "last and other" or "last but not other"."""
    *rest, last = rule.clauses
    others = solve_residual(rest, target)
    out: list[tuple[Clause, ...]] = []
    for without in (False, True):
        columns = np.minimum(last.column[:, None], 1.0 - table.matrix if without else table.matrix)
        gains = gains_of(columns, others, target.weight)
        gains[~keep] = 0.0
        if without:
            gains[table.named :] = 0.0  # falling ramps already say "little of it"
        picks = [*best_of(gains[: table.named], 3), *(table.named + j for j in best_of(gains[table.named :], 3))]
        out += [(*rest, last.joined(table.clauses[j], without=without)) for j in picks]
    return out


def solve_residual(clauses: Sequence[Clause], target: Target) -> Floats:
    """What the clauses leave unexplained, ``[image]``."""
    if not clauses:
        return target.y - np.average(target.y, weights=target.weight)
    columns = np.column_stack([c.column for c in clauses]).astype(np.float64)
    beta = solve(columns, target.y, target.weight)
    return target.y - beta[0] - columns @ beta[1:]


def _slope(matrix: NDArray[np.float32], residual: Floats, weight: Floats) -> Floats:
    w = (weight / weight.sum()).astype(np.float32)
    r = (residual - np.average(residual, weights=weight)).astype(np.float32)
    return (matrix.T @ (w * r)).astype(np.float64)


def gains_of(matrix: NDArray[np.float32], residual: Floats, weight: Floats) -> Floats:
    """Weighted squared residual that each column alone would take away, shrunk for columns with little mass."""
    w = (weight / weight.sum()).astype(np.float32)
    mean = matrix.T @ w
    spread = np.maximum((matrix * matrix).T @ w - mean * mean, 1e-6) + _RIDGE / weight.sum()
    return _slope(matrix, residual, weight) ** 2 / spread


def best_gain(table: ImageTable, y: Floats, weight: Floats) -> float:
    """The largest share of the weighted variance that one clause takes away."""
    residual = y - np.average(y, weights=weight)
    total = float(np.average(residual**2, weights=weight))
    return float(gains_of(table.matrix, residual, weight).max(initial=0.0)) / max(total, 1e-12)


def best_of(gains: Floats, n: int) -> list[int]:
    """Indices of the ``n`` largest positive gains, ties to the lower index."""
    order = np.argsort(-gains, kind="stable")[:n]
    return [int(j) for j in order if gains[j] > 0]
