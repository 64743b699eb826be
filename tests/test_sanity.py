"""Would these metrics flatter a wrong label? The sanity tests that a score of labels must pass.

A label is damaged in known ways (half of what it should name is missing; it names as much again that it should not;
it is lent to another unit; it is a coin) and the primary metrics must say so. Comparison columns are shown to fail
some of them: that is why they never stand alone.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from maieutic.readings import Reading, mean_reading, share_reading
from maieutic.score import Controls, Evidence, NullUnit, Sample, Threshold, Trial
from maieutic.score.controls import compared
from maieutic.score.predictive import predictive
from maieutic.stimuli.base import SPLITS, Corpus, Stimulus, split_of

N, DOCUMENTS, SHARE = 12_000, 150, 0.02


def world(seed: int) -> tuple[Evidence, NDArray[np.float64]]:
    """A unit active at 2 % of positions, some documents more than others; its activation is graded."""
    rng = np.random.default_rng(seed)
    clusters = np.sort(rng.integers(0, DOCUMENTS, N))
    clusters[:DOCUMENTS] = np.arange(DOCUMENTS)
    rate = SHARE * rng.gamma(2.0, 0.5, DOCUMENTS)[clusters]
    truth = (rng.random(N) < rate).astype(np.float64)
    measured = truth * rng.uniform(1.0, 3.0, N)
    limit = Threshold(value=0.0, inclusive=False, quantile=0.99)
    groups = tuple(f"d{i}" for i in range(DOCUMENTS))
    return Evidence(measured=measured, clusters=clusters, groups=groups, threshold=limit), truth


def trial(on: Evidence) -> Trial:
    sample = Sample(stimuli=(), lengths=(), groups=on.groups, clusters=on.clusters, kept=None)
    return Trial(test=on, test_sample=sample, select=on, select_sample=sample)


def ap_and_r(on: Evidence, predicted: NDArray[np.float64]) -> tuple[float, float]:
    found = predictive(on, predicted, cut=0.5)
    r = found["predictive.pearson"].value
    return float(found["predictive"].value or 0.0), 0.0 if r is None else r


def test_an_oracle_scores_one() -> None:
    on, truth = world(0)
    found = predictive(on, on.measured, cut=0.5)
    assert found["predictive"].value == pytest.approx(1.0)
    assert found["predictive.pearson"].value == pytest.approx(1.0)
    # an exact yes-or-no label ranks perfectly and correlates as far as the activation is all or nothing
    assert ap_and_r(on, truth) == (pytest.approx(1.0), pytest.approx(float(np.corrcoef(truth, on.measured)[0, 1])))


@pytest.mark.parametrize("seed", range(3))
def test_constant_and_coin_are_at_chance(seed: int) -> None:
    on, _ = world(seed)
    assert ap_and_r(on, np.full(N, 0.3)) == (pytest.approx(on.base_rate), 0.0)
    coin = np.random.default_rng(seed).random(N)
    found = predictive(on, coin, cut=0.5)
    assert found["predictive"].value == pytest.approx(on.base_rate, abs=0.01)
    for name, chance in (("pearson", 0.0), ("auroc", 0.5), ("balanced_accuracy", 0.5)):
        r = found[f"predictive.{name}"]
        assert r.low - 0.02 < chance < r.high + 0.02, name  # pyright: ignore[reportOptionalOperand]


def test_another_units_label_is_at_chance() -> None:
    on, truth = world(0)
    other = world(99)[1]
    ap, r = ap_and_r(on, other)
    assert ap == pytest.approx(on.base_rate, abs=0.01)
    assert abs(r) < 0.05
    assert ap_and_r(on, truth)[0] > 20 * ap


@pytest.mark.parametrize("seed", range(3))
def test_missing_and_extra_labels_cost_both_primary_metrics(seed: int) -> None:
    on, truth = world(seed)
    rng = np.random.default_rng(seed)
    whole_ap, whole_r = ap_and_r(on, truth)
    missing = truth * (rng.random(N) < 0.5)
    # as many wrong positions as right ones
    extra = np.maximum(truth, rng.random(N) < truth.mean())
    for damaged in (missing, extra):
        ap, r = ap_and_r(on, damaged)
        assert ap < whole_ap - 0.3
        assert r < whole_r - 0.15
    # step-wise AP by hand: half found, then the rest at the base rate of what is left; extra: precision one half
    assert ap_and_r(on, missing)[0] == pytest.approx(0.5 + 0.5 * on.base_rate, abs=0.06)
    assert ap_and_r(on, extra)[0] == pytest.approx(0.5, abs=0.05)


def test_why_comparison_columns_never_stand_alone() -> None:
    on, truth = world(1)
    extra = np.maximum(truth, np.random.default_rng(1).random(N) < truth.mean())
    found = predictive(on, extra, cut=0.5)
    assert found["predictive"].value < 0.6  # pyright: ignore[reportOptionalOperand]
    # half of what the label claims is wrong, and these do not mind
    assert found["predictive.auroc"].value > 0.98  # pyright: ignore[reportOptionalOperand]
    assert found["predictive.balanced_accuracy"].value > 0.98  # pyright: ignore[reportOptionalOperand]


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.05, 0.45))
def test_more_damage_never_scores_better(seed: int, damage: float) -> None:
    on, truth = world(seed % 7)
    draw = np.random.default_rng(seed).random(N)
    scores = [ap_and_r(on, truth * (draw >= share)) for share in (0.0, damage, 2 * damage)]
    assert scores[0][0] >= scores[1][0] >= scores[2][0]
    assert scores[0][1] >= scores[1][1] >= scores[2][1]


def test_paired_interval_tells_a_better_predictor_and_not_an_equal_one() -> None:
    on, truth = world(2)
    rng = np.random.default_rng(2)
    worse = truth * (rng.random(N) < 0.7)
    null = NullUnit(evidence=on, predictions=worse)
    better = compared(trial(on), truth, Controls(untrained=[null]))["predictive.beats.untrained"]
    assert better.low > 0.15  # pyright: ignore[reportOptionalOperand]
    equal = compared(trial(on), worse, Controls(untrained=[null]))["predictive.beats.untrained"]
    assert (equal.value, equal.low, equal.high) == (0.0, 0.0, 0.0)
    assert compared(trial(on), worse, Controls())["predictive.beats.constant"].low > 0  # pyright: ignore[reportOptionalOperand]


def test_coins_rarely_beat_a_constant() -> None:
    # 95 % two-sided intervals: a coin should be called better than a constant in few of 60 worlds, even though AP of a
    # finite sample sits a little above the base rate
    wins = 0
    for seed in range(60):
        on, _ = world(seed)
        coin = (np.random.default_rng(1000 + seed).random(N) < SHARE).astype(np.float64)
        found = compared(trial(on), coin, Controls())["predictive.beats.constant"]
        wins += found.low > 0  # pyright: ignore[reportOptionalOperand]
    assert wins <= 8


def test_scale_and_offset_of_the_unit_do_not_matter() -> None:
    on, truth = world(3)
    noisy = truth + 0.3 * np.random.default_rng(3).random(N)
    moved = Evidence(
        measured=40.0 * on.measured - 7.0,
        clusters=on.clusters,
        groups=on.groups,
        threshold=Threshold(value=-7.0, inclusive=False, quantile=0.99),
    )
    assert ap_and_r(moved, noisy) == pytest.approx(ap_and_r(on, noisy), abs=1e-9)


def test_unmeasured_survives_every_aggregate() -> None:
    one, none = Reading(name="ap", value=0.8), Reading.unmeasured("ap", "abstained: x")
    assert mean_reading("mean", [one, none, none]).value == 0.8  # never 0.8 / 3
    assert mean_reading("mean", [one, none, none]).details["unmeasured"] == {"abstained: x": 2}
    assert mean_reading("mean", [none]).value is None
    assert share_reading("share", []).value is None
    assert "unmeasured" in str(none)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=60, unique=True))
def test_splits_are_disjoint_and_keep_groups_whole(groups: list[str]) -> None:
    stimuli = [
        Stimulus(id=f"{g}/{i}", modality="text", load=lambda: "", group=g, split=split_of(g))
        for g in groups
        for i in range(2)
    ]
    corpus = Corpus(name="c", modality="text", stimuli=stimuli)
    parts = {split: corpus.split(split) for split in SPLITS}
    assert sum(len(p) for p in parts.values()) == len(corpus)
    by_group = {split: {s.group for s in part} for split, part in parts.items()}
    assert not by_group["discover"] & by_group["test"]
    assert not by_group["select"] & by_group["test"]
    assert not by_group["discover"] & by_group["select"]
