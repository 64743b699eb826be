"""Judging rules many at a time: whatever stands beside a rule, its figures are to the bit what they are alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from maieutic.explain.predicates.image import Shows
from maieutic.explain.search.image_quality import (
    average_precision,
    average_precisions,
    correlations,
    qualities,
    quality,
    resampled_precisions,
)
from maieutic.explain.search.image_rules import Target, fitted, fitted_all, levels_of
from maieutic.explain.search.image_table import Clause, Folds

N = 97


def target(seed: int) -> Target:
    rng = np.random.default_rng(seed)
    y = np.clip(rng.random(N) ** 3, 0.0, 1.0)
    folds = tuple(Folds.of(rng.integers(0, 4, N)) for _ in range(2))
    return Target(y=y, levels=levels_of(y, y), folds=folds, weight=1.0 + 3.0 * y)


def clauses(seed: int, n: int) -> list[Clause]:
    """Crisp conditions and ramps in turn."""
    rng = np.random.default_rng(seed)
    columns = [(rng.random(N) < 0.3) if i % 2 else np.clip(1.5 * rng.random(N) - 0.2, 0, 1) for i in range(n)]
    return [Clause(Shows(concept=f"c{i}"), c.astype(np.float32)) for i, c in enumerate(columns)]


@given(seed=st.integers(0, 50), sizes=st.lists(st.integers(1, 5), min_size=1, max_size=40))
def test_a_rule_is_the_same_to_the_bit_alone_and_among_others(seed: int, sizes: list[int]) -> None:
    rng, some, on = np.random.default_rng(seed), clauses(seed, 12), target(seed)
    candidates = [[some[j] for j in rng.permutation(12)[:k]] for k in sizes]
    assert fitted_all(candidates, on) == [fitted(c, on) for c in candidates]


def test_a_rule_is_judged_by_what_others_foretell_of_its_groups() -> None:
    # one crisp clause: the ridge fit on the other folds, and its quality, worked out the long way
    on, clause = target(3), clauses(4, 2)[1]
    x, said = clause.column.astype(np.float64), []
    for folds in on.folds:
        predicted = np.zeros(N)
        for k in range(4):
            rest, here = folds.number != k, folds.number == k
            design = np.column_stack([np.ones(N), x])[rest]
            gram = design.T @ (design * on.weight[rest, None]) + np.diag([1e-9, 2.0])
            base, strength = np.linalg.solve(gram, design.T @ (on.weight * on.y)[rest])
            predicted[here] = base + strength * x[here]
        said.append(quality(predicted, on.y, on.levels))
    rule = fitted([clause], on)
    assert (rule.quality, rule.ap, rule.correlation) == pytest.approx(tuple(np.mean(said, axis=0)))
    assert rule.score == pytest.approx(rule.quality - 0.01 * (1 + (rule.strengths[0] < 0)))


@given(st.integers(0, 10_000))
def test_precisions_of_many_are_those_of_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, rng.integers(1, 60), (5, 40)).astype(float)
    levels = rng.random((3, 40)) < np.array([[0.4], [0.2], [0.0]])
    levels[:2, 0] = True
    found = average_precisions(scores, levels)
    for i, row in enumerate(scores):
        assert found[0, i] == pytest.approx(average_precision_score(levels[0], row))
        assert found[1, i] == pytest.approx(average_precision_score(levels[1], row))
    assert not found[2].any()  # nothing to find
    assert not average_precisions(scores, np.zeros((2, 40), dtype=bool)).any()


def test_precision_of_a_resample_is_that_of_its_images() -> None:
    rng = np.random.default_rng(5)
    scores, high = rng.integers(0, 9, 60).astype(float), rng.random(60) < 0.3
    drawn = [rng.integers(60, size=60) for _ in range(30)]
    counts = np.stack([np.bincount(d, minlength=60) for d in drawn]).astype(float)
    # to the bit: which labels are kept hangs on a comparison
    assert resampled_precisions(scores, high, counts).tolist() == [average_precision(scores[d], high[d]) for d in drawn]


def test_correlations_of_many() -> None:
    y = np.array([0.0, 1.0, 2.0, 3.0])
    some = np.array([[0.0, 2.0, 4.0, 6.0], [3.0, 2.0, 1.0, 0.0], [5.0, 5.0, 5.0, 5.0], [0.0, 0.0, 0.0, 1.0]])
    # the last: covariance 1 x 1.5 of deviations -0.25, -0.25, -0.25, 0.75 and -1.5 ... 1.5, over sqrt(0.75 x 5)
    assert correlations(some, y) == pytest.approx([1.0, -1.0, 0.0, 1.5 / np.sqrt(0.75 * 5)])
    levels = np.array([[False, False, True, True]])
    assert qualities(some[:2], y, levels) == pytest.approx(
        np.array([[1.0, 1.0, 1.0], [(5 / 12 - 1) / 2, 5 / 12, -1.0]])
    )  # ranked last and last but one: (1/3 + 2/4) / 2 = 5/12
