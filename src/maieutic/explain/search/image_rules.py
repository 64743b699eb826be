"""Rules of weighted clauses: what they are fitted to, and fitting many of them at once, judged on groups left out.

A rule is ``base + sum of strength x clause``. Its score is the mean of average precision for the unit's top 20 %, 10 %
and 5 % (of a unit that rests exactly, above half scale too) and of the Pearson correlation, all out of fold (one
threshold alone is noise when there are fifty positives), less a price for every condition.
Which clauses to try is not decided here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maieutic.explain.predicates.base import Predicate
from maieutic.explain.predicates.image import Blend
from maieutic.explain.search.image_quality import qualities
from maieutic.explain.search.image_table import FOLDS, Clause, Folds, ImageTable

Floats = NDArray[np.float64]
#: what one elementary condition must bring on left-out groups
PRICE = 0.01
#: activation quantiles above which an image counts as positive
_LEVELS = (0.80, 0.90, 0.95)
_RIDGE = 2.0
#: share of the variance between two states from which there are two: 0.64 of a bell curve, 0.75 of an even spread
_TWO_STATES = 0.76
#: share of images at the very lowest value from which a unit rests exactly
_RESTS = 0.2
#: rules fitted in one go: their columns fit into a processor's cache
_TOGETHER = 32


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

    ``folds`` are two partitions: one leaves out stamps, the other backgrounds, since held-out images will share neither
    (they coincide, and are one, when there are no composed scenes).
    ``levels`` marks the images above each quantile of the raw activation, ``[level, image]``; the last is the top 5 %.
    ``weight`` of each image in the fit.
    """

    y: Floats
    levels: NDArray[np.bool_]
    folds: tuple[Folds, ...]
    weight: Floats


def target_of(table: ImageTable, scaled: Floats, raw: Floats, *, seed: int = 0) -> Target:
    """The target of a unit; high images weigh more in the fit since there are few of them."""
    return Target(y=scaled, levels=levels_of(raw, raw), folds=table.folds(seed), weight=1.0 + 3.0 * scaled)


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


def fitted(clauses: Sequence[Clause], target: Target) -> Rule:
    """The rule of these clauses: scored on left-out groups, with strengths from all of discover."""
    return fitted_all([clauses], target)[0]


def fitted_all(candidates: Sequence[Sequence[Clause]], target: Target) -> list[Rule]:
    """The rule of each of several sets of clauses, to the bit what ``fitted`` makes of it alone.

    Cost: about 0.15 ms a rule of 700 images.
    """
    made: dict[int, Rule] = {}
    for size in sorted({len(c) for c in candidates}):
        which = [i for i, c in enumerate(candidates) if len(c) == size]
        for start in range(0, len(which), _TOGETHER):
            some = which[start : start + _TOGETHER]
            made |= zip(some, _fitted([candidates[i] for i in some], target), strict=True)
    return [made[i] for i in range(len(candidates))]


def _fitted(candidates: Sequence[Sequence[Clause]], target: Target) -> Iterator[Rule]:
    """The rules of sets of equally many clauses."""
    design = np.ones((len(candidates), len(target.y), 1 + len(candidates[0])))
    for i, clauses in enumerate(candidates):
        for j, clause in enumerate(clauses, start=1):
            design[i, :, j] = clause.column
    said = np.concatenate([_left_out(design, target, fold) for fold in target.folds])
    judged = qualities(said, target.y, target.levels).reshape(len(target.folds), -1, 3).mean(axis=0)
    strengths = _solved(design, target.y, target.weight).tolist()
    for clauses, beta, (overall, ap, r) in zip(candidates, strengths, judged.tolist(), strict=True):
        atoms = sum(c.atoms for c in clauses) + sum(b < 0 for b in beta[1:])
        yield Rule(
            clauses=tuple(clauses), strengths=tuple(round(b, 4) for b in beta[1:]), base=round(beta[0], 4), ap=ap,
            correlation=r, score=overall - PRICE * atoms, quality=overall,
        )  # fmt: skip


def solve(columns: Floats, y: Floats, weight: Floats) -> Floats:
    """Weighted ridge coefficients, ``[1 + clause]``, base first; the base is not shrunk."""
    design = np.column_stack([np.ones(len(y)), columns])
    return _solved(design[None], y, weight)[0]


def _solved(design: Floats, y: Floats, weight: Floats) -> Floats:
    """``solve`` for each of several designs ``[rule, image, term]``, ``[rule, term]``."""
    weighted = (design * weight[:, None]).transpose(0, 2, 1)
    side = weighted @ y
    gram = weighted @ design + _shrink(design.shape[2])
    return np.asarray(np.linalg.solve(gram, side[:, :, None])[:, :, 0], dtype=np.float64)


def _left_out(design: Floats, target: Target, folds: Folds) -> Floats:
    """Predictions for each fold from the strengths fitted to the others, ``[rule, image]``.

    Moments add up over folds, so those of "all but this one" are a difference: one small solve a fold.
    """
    m, _, terms = design.shape
    rows = np.take(design, folds.order, axis=1)
    weighted, y = rows * target.weight[folds.order][:, None], target.y[folds.order]
    grams, sides = np.empty((m, FOLDS, terms, terms)), np.empty((m, FOLDS, terms))
    for k, part in enumerate(folds.parts):
        across = weighted[:, part].transpose(0, 2, 1)
        grams[:, k], sides[:, k] = across @ rows[:, part], across @ y[part]
    others = grams.sum(axis=1, keepdims=True) - grams + _shrink(terms)
    beta = np.linalg.solve(others, (sides.sum(axis=1, keepdims=True) - sides)[..., None])[..., 0]
    return np.einsum("mij,mij->mi", design, np.take(beta, folds.number, axis=1))


def _shrink(n: int) -> Floats:
    return np.diag([1e-9, *([_RIDGE] * (n - 1))])


def residual_of(clauses: Sequence[Clause], target: Target) -> Floats:
    """What the clauses leave unexplained, ``[image]``."""
    if not clauses:
        return target.y - np.average(target.y, weights=target.weight)
    columns = np.column_stack([c.column for c in clauses]).astype(np.float64)
    beta = solve(columns, target.y, target.weight)
    return target.y - beta[0] - columns @ beta[1:]
