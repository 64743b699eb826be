"""Accuracy by group and margins worked out by hand; heads against the conditions of their optimum."""

from __future__ import annotations

import numpy as np
import pytest

from maieutic.studies.spurious.heads import fit_heads, l1_choice
from maieutic.studies.spurious.scoring import Table, margins, met, over_seeds, readings_of


def table() -> Table:
    # two classes on two grounds, two objects a class, each once on each ground: 8 pictures
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    groups = np.array([0, 0, 1, 1, 0, 0, 1, 1])
    return Table.of(labels, groups, list("ababcdcd"), classes=("x", "y"), kinds=("p", "q"))


# right: x on p both, x on q one of two, y on p none of two, y on q both: 1, 1/2, 0, 1
MOSTLY = np.array([1, 1, 1, 0, 0, 0, 1, 1], dtype=bool)
RIGHT = np.ones(8, dtype=bool)


def test_worst_group_and_balanced_accuracy_by_hand() -> None:
    found = table()
    assert found.names == (("x", "p"), ("x", "q"), ("y", "p"), ("y", "q"))
    assert found.accuracies(MOSTLY).tolist() == [1.0, 0.5, 0.0, 1.0]
    assert found.worst(MOSTLY).value == 0.0
    assert found.balanced(MOSTLY).value == 2.5 / 4


def test_no_class_vanishes_from_a_resample() -> None:
    assert np.isfinite(table().resampled(MOSTLY)).all()


def test_margin_is_paired_and_met_only_with_the_whole_interval_above_zero() -> None:
    here = table()
    found = margins([(here, RIGHT)], [(here, [MOSTLY])], "all")
    assert found["worst"].value == 1.0 and met(found)
    same = margins([(here, MOSTLY)], [(here, [MOSTLY])], "all")
    assert (same["worst"].value, same["worst"].low, same["worst"].high) == (0.0, 0.0, 0.0)
    assert not met(same)


def test_random_draws_are_averaged() -> None:
    here = table()
    found = margins([(here, RIGHT)], [(here, [RIGHT, MOSTLY])], "random")
    # worst of the draws: 1 and 0, mean 1/2; balanced: 1 and 5/8, mean 13/16
    assert found["worst"].value == 0.5
    assert found["balanced"].value == pytest.approx(1 - 13 / 16)


def test_seeds_are_replicates() -> None:
    here = table()
    both = over_seeds([here.worst(RIGHT), here.worst(MOSTLY)])
    assert both.value == 0.5
    low, high = both.interval() or (np.nan, np.nan)
    assert low == 0.0 and high == 1.0  # a resample may draw one seed twice
    assert readings_of("kept", [(here, RIGHT), (here, MOSTLY)])["worst"].details["seeds"] == 2


def planted(seed: int = 0, n: int = 120) -> tuple[np.ndarray, np.ndarray]:
    """Two of six units tell three classes apart; the rest is noise."""
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, 3, size=n)
    features = draw.normal(0, 1, size=(n, 6))
    features[:, 1] += 3 * (labels == 1)
    features[:, 4] += 3 * (labels == 2)
    return features, labels


@pytest.mark.parametrize("penalty", [0.003, 0.05])
def test_heads_meet_the_conditions_of_the_l1_optimum(penalty: float) -> None:
    features, labels = planted()
    mask = np.array([[True] * 6, [True, True, False, True, True, False]])
    heads = fit_heads(features, labels, mask, penalty=penalty, classes=3)
    z = (features - heads.mean) / heads.spread
    for s in range(2):
        logits = z @ heads.weights[s] + heads.bias[s]
        chance = np.exp(logits - logits.max(axis=1, keepdims=True))
        chance /= chance.sum(axis=1, keepdims=True)
        gradient = z.T @ (chance - np.eye(3)[labels]) / len(z)
        w = heads.weights[s]
        assert np.abs((chance - np.eye(3)[labels]).mean(axis=0)).max() < 1e-4
        assert np.abs(gradient[w != 0] + penalty * np.sign(w[w != 0])).max() < 1e-3
        assert np.abs(gradient[mask[s]][w[mask[s]] == 0]).max(initial=0.0) <= penalty + 1e-4
        assert (w[~mask[s]] == 0).all()


def test_a_head_without_units_says_the_most_frequent_class() -> None:
    features, _ = planted()
    labels = np.array([2] * 70 + [0] * 50)
    head = fit_heads(features, labels, np.zeros((1, 6), dtype=bool), penalty=0.01, classes=3)
    assert (head.says(features)[0] == 2).all()


def test_l1_chooses_the_units_that_tell() -> None:
    features, labels = planted()
    assert np.flatnonzero(l1_choice(features, labels, units=2, classes=3)).tolist() == [1, 4]
    assert l1_choice(features, labels, units=6, classes=3).all()
    assert not l1_choice(features, labels, units=0, classes=3).any()
