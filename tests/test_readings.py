"""Readings and their intervals, against scikit-learn, SciPy and a bootstrap written the slow way."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import pearsonr
from sklearn.metrics import average_precision_score, roc_auc_score

from maieutic.readings import (
    Cost,
    Estimate,
    Reading,
    cluster_weights,
    from_sums,
    mean_estimate,
    mean_reading,
    pearson,
    ranking,
    share_reading,
    wilson,
)


def one_cluster(n: int) -> dict[str, np.ndarray]:
    return {"clusters": np.zeros(n, dtype=np.int64), "weights": np.ones((1, 1), dtype=np.float32)}


def sample(seed: int, n: int = 400, clusters: int = 12, levels: int | None = 6):
    rng = np.random.default_rng(seed)
    active = rng.random(n) < 0.15
    predicted = rng.random(n) + active * rng.random(n)
    if levels is not None:
        predicted = np.round(predicted * levels) / levels
    return active, predicted, rng.integers(0, clusters, n), cluster_weights(clusters, resamples=40, seed=seed)


# --- hand-computed ------------------------------------------------------------------------------------------------


def test_average_precision_by_hand() -> None:
    # ranked: 0.9 active | 0.8 inactive | 0.5 active and inactive (tied) | 0.1 inactive
    active = np.array([True, False, True, False, False])
    predicted = np.array([0.9, 0.8, 0.5, 0.5, 0.1])
    found = ranking(active, predicted, **one_cluster(5))
    # recall goes 0 -> 1/2 at precision 1/1, then 1/2 -> 1 at precision 2/4 (the tied pair is taken together)
    assert found.average_precision.value == pytest.approx(0.5 * 1 + 0.5 * 0.5)
    # pairs: 0.9 beats all 3 inactive; 0.5 loses to 0.8, ties with 0.5, beats 0.1: (3 + 0 + 0.5 + 1) / 6
    assert found.auroc.value == pytest.approx(4.5 / 6)


def test_a_constant_gets_the_base_rate() -> None:
    active = np.arange(20) < 3
    found = ranking(active, np.full(20, 0.7), **one_cluster(20))
    assert found.average_precision.value == pytest.approx(3 / 20)
    assert found.auroc.value == pytest.approx(0.5)


def test_cluster_weights_draw_whole_samples_and_are_kept() -> None:
    weights = cluster_weights(7, resamples=50, seed=3)
    assert weights.shape == (50, 7)
    assert (weights.sum(axis=1) == 7).all()
    assert cluster_weights(7, resamples=50, seed=3) is weights
    assert not np.array_equal(cluster_weights(7, resamples=50, seed=4), weights)
    with pytest.raises(ValueError):
        weights[0, 0] = 9


# --- against other implementations --------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 8)), min_size=2, max_size=60).filter(
        lambda rows: 0 < sum(a for a, _ in rows) < len(rows)
    )
)
def test_point_values_equal_scikit_learn(rows: list[tuple[bool, int]]) -> None:
    active = np.array([a for a, _ in rows])
    predicted = np.array([p / 8 for _, p in rows])
    found = ranking(active, predicted, **one_cluster(len(rows)))
    assert found.average_precision.value == pytest.approx(average_precision_score(active, predicted), abs=1e-12)
    assert found.auroc.value == pytest.approx(roc_auc_score(active, predicted), abs=1e-12)


@pytest.mark.parametrize("levels", [3, None])
def test_replicates_equal_a_bootstrap_that_really_repeats_clusters(levels: int | None) -> None:
    active, predicted, clusters, weights = sample(5, levels=levels)
    found = ranking(active, predicted, clusters=clusters, weights=weights)
    measured = predicted * 2 + np.random.default_rng(1).standard_normal(len(predicted))
    r = pearson(predicted, measured, clusters=clusters, weights=weights)
    for b in range(len(weights)):
        rows = np.repeat(np.arange(len(active)), weights[b].astype(int)[clusters])
        assert found.average_precision.replicates[b] == pytest.approx(
            average_precision_score(active[rows], predicted[rows]), abs=1e-6
        )
        assert found.auroc.replicates[b] == pytest.approx(roc_auc_score(active[rows], predicted[rows]), abs=1e-6)
        assert r.replicates[b] == pytest.approx(pearsonr(predicted[rows], measured[rows]).statistic, abs=1e-9)


def test_pooled_levels_leave_the_value_exact_and_the_interval_close() -> None:
    active, predicted, clusters, weights = sample(2, n=3000, levels=None)
    whole = ranking(active, predicted, clusters=clusters, weights=weights)
    pooled = ranking(active, predicted, clusters=clusters, weights=weights, max_levels=64)
    assert len(np.unique(predicted[active])) > 64
    assert pooled.average_precision.value == whole.average_precision.value
    assert pooled.average_precision.interval() == pytest.approx(whole.average_precision.interval(), abs=0.01)
    assert pooled.auroc.interval() == pytest.approx(whole.auroc.interval(), abs=0.01)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.floats(-100, 100), min_size=3, max_size=40), st.integers(0, 1000), st.floats(0.1, 50), st.floats(-9, 9)
)
def test_pearson_equals_scipy_and_ignores_scale(x: list[float], seed: int, scale: float, shift: float) -> None:
    a = np.array(x)
    b = np.random.default_rng(seed).standard_normal(len(a)) + a
    if np.ptp(a) < 1e-3:
        return
    found = pearson(a, b, **one_cluster(len(a))).value
    assert found == pytest.approx(pearsonr(a, b).statistic, abs=1e-9)
    assert pearson(scale * a + shift, b, **one_cluster(len(a))).value == pytest.approx(found, abs=1e-6)


def test_pearson_of_something_that_never_changes_is_undefined() -> None:
    found = pearson(np.full(9, 0.1), np.arange(9.0), **one_cluster(9)).reading("r", n=9, undefined="flat")
    assert not found.measured
    assert found.reason == "flat"


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_order_of_positions_and_monotone_changes_do_not_matter(seed: int) -> None:
    active, predicted, clusters, weights = sample(seed, n=120, levels=5)
    if not active.any():
        return
    found = ranking(active, predicted, clusters=clusters, weights=weights)
    order = np.random.default_rng(seed).permutation(len(active))
    moved = ranking(active[order], np.exp(3 * predicted[order]), clusters=clusters[order], weights=weights)
    np.testing.assert_allclose(moved.average_precision.replicates, found.average_precision.replicates)
    np.testing.assert_allclose(moved.auroc.replicates, found.auroc.replicates)


# --- intervals ----------------------------------------------------------------------------------------------------


def test_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    # 60 clusters of 10 positions share a cluster effect: positions alone would give an interval far too narrow
    covered, widths, naive = 0, [], []
    for seed in range(150):
        rng = np.random.default_rng(seed)
        clusters = np.repeat(np.arange(60), 10)
        x = rng.standard_normal(60)[clusters] + 0.3 * rng.standard_normal(600)
        ones = np.ones(600)
        estimate = from_sums(
            np.stack([ones, x], axis=1), lambda s: s[..., 1] / s[..., 0], clusters=clusters, weights=cluster_weights(60)
        )
        low, high = estimate.interval() or (0.0, 0.0)
        covered += low <= 0 <= high
        widths.append(high - low)
        naive.append(2 * 1.96 * x.std() / np.sqrt(600))
    assert 0.89 <= covered / 150 <= 0.99
    assert np.mean(widths) > 2 * np.mean(naive)


def test_paired_difference_of_a_predictor_with_itself_is_zero() -> None:
    active, predicted, clusters, weights = sample(1)
    found = ranking(active, predicted, clusters=clusters, weights=weights).average_precision
    assert (found - found).interval() == (0.0, 0.0)
    assert mean_estimate([found, found]).value == found.value


def test_interval_needs_half_of_the_resamples() -> None:
    replicates = np.array([0.1, np.nan, np.nan, np.nan])
    assert Estimate(value=0.1, replicates=replicates).interval() is None


@given(st.integers(0, 50), st.integers(0, 50))
def test_wilson_holds_the_share(successes: int, more: int) -> None:
    n = successes + more
    low, high = wilson(successes, n)
    assert 0 <= low <= high <= 1
    if n:
        assert low - 1e-12 <= successes / n <= high + 1e-12


def test_wilson_by_hand() -> None:
    # p = 1/2, n = 10, z = 1.96: centre 0.5, half = 1.96 sqrt(0.025 + 0.009604) / 1.38416 = 0.2634
    low, high = wilson(5, 10)
    assert (low, high) == (pytest.approx(0.2366, abs=1e-4), pytest.approx(0.7634, abs=1e-4))


# --- readings -----------------------------------------------------------------------------------------------------


def test_a_reading_has_a_value_or_a_reason() -> None:
    with pytest.raises(AssertionError):
        Reading(name="x", value=None)
    with pytest.raises(AssertionError):
        Reading(name="x", value=1.0, reason="no")
    with pytest.raises(AssertionError):
        Reading(name="x", value=float("nan"))


def test_a_reading_survives_json() -> None:
    reading = Reading(name="x", value=0.5, low=0.4, high=0.6, n=3, cost=Cost(measurements=2), details={"k": [1]})
    assert Reading.from_json(reading.to_json()) == reading
    absent = Reading.unmeasured("x", "no data")
    assert Reading.from_json(absent.to_json()) == absent


def test_unmeasured_survives_every_aggregate() -> None:
    readings = [Reading(name="a", value=0.2), Reading.unmeasured("a", "dead"), Reading(name="a", value=0.4)]
    mean = mean_reading("mean", readings)
    assert mean.value == pytest.approx(0.3)  # not (0.2 + 0 + 0.4) / 3
    assert mean.n == 2
    assert mean.details == {"of": 3, "unmeasured": {"dead": 1}}
    assert not mean_reading("mean", [readings[1]]).measured
    assert mean_reading("mean", [readings[1]]).reason == "dead (1)"
    assert not mean_reading("mean", []).measured
    assert not share_reading("share", []).measured
