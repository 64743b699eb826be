"""Paired effects, their tests and their adjustment, against arithmetic shown here."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from maieutic.studies.bias import paired
from maieutic.studies.bias.paired import Cells


def cells(level, reference, clusters=None, *, same=False) -> Cells:
    high, low = np.array(level, dtype=np.float64), np.array(reference, dtype=np.float64)
    return Cells(
        level=high, reference=low, clusters=np.array(clusters if clusters is not None else range(len(high))), same=same
    )


def test_an_effect_is_the_mean_over_bases_of_the_difference_of_filler_means():
    found = cells([[3.0, 5.0], [2.0, 2.0], [1.0, 4.0]], [[1.0], [2.0], [0.5]])
    # (3+5)/2 - 1 = 3;  2 - 2 = 0;  (1+4)/2 - 0.5 = 2;  their mean is 5/3
    assert found.differences() == pytest.approx([3.0, 0.0, 2.0])
    assert paired.effect(found).value == pytest.approx(5 / 3)
    # their standard deviation is sqrt(((3-5/3)^2 + (5/3)^2 + (1/3)^2) / 2) = sqrt(7/3)
    assert paired.standardised(found) == pytest.approx((5 / 3) / math.sqrt(7 / 3))


def test_a_missing_value_leaves_its_side_and_a_base_without_a_side_is_left_out():
    found = cells([[3.0, np.nan], [np.nan, np.nan]], [[1.0], [2.0]])
    assert found.differences()[0] == 2.0 and math.isnan(found.differences()[1])
    assert paired.effect(found).value == 2.0


def test_nothing_measured_is_no_number():
    found = paired.effect(cells([[np.nan]], [[1.0]]))
    assert math.isnan(found.value) and not found.reading("effect", n=0).measured


def test_the_same_fillers_are_paired_and_other_fillers_are_not():
    level, reference = [[11.0, 21.0, 31.0, 41.0]] * 6, [[10.0, 20.0, 30.0, 40.0]] * 6
    together = paired.effect(cells(level, reference, same=True))
    apart = paired.effect(cells(level, reference))
    assert together.value == apart.value == 1.0
    # every filler moves by exactly 1, so that drawing fillers anew changes nothing; unpaired it changes much
    assert together.interval() == (1.0, 1.0)
    low, high = apart.interval() or (0.0, 0.0)
    assert low < -5 and high > 7


def test_the_interval_allows_for_fillers_as_well_as_bases():
    """All bases agree on each filler: over bases alone there would be no doubt at all."""
    level = [[0.0, 4.0, 0.0, 4.0]] * 10
    low, high = paired.effect(cells(level, [[0.0]] * 10)).interval() or (0.0, 0.0)
    # mean of four draws from {0, 4}: standard deviation 2 / sqrt(4) = 1
    assert low == pytest.approx(0.0, abs=0.5) and high == pytest.approx(4.0, abs=0.5)


# --- tests ---------------------------------------------------------------------------------------------------------


def test_random_signs_by_hand():
    # |±1 ±2 ±3| reaches 6 only with all signs alike: 2 of 8
    assert paired.sign_flip(np.array([1.0, 2.0, 3.0])) == 2 / 8
    # |±1 ±1 ±2| reaches |1 + 1 - 2| = 0 always
    assert paired.sign_flip(np.array([1.0, 1.0, -2.0])) == 1.0


def test_drawn_signs_agree_with_all_signs():
    sums = np.random.default_rng(1).normal(0.5, 1.0, 14)
    signs = 1.0 - 2.0 * ((np.arange(2**14)[:, None] >> np.arange(14)) & 1)
    exact = float(np.mean(np.abs(signs @ sums) >= abs(sums.sum()) - 1e-9))
    assert paired.sign_flip(sums) == pytest.approx(exact, abs=0.02)


def test_exchanges_by_hand():
    # of 6 ways to choose 2 of {5, 6, 1, 2}, {5, 6} and its mirror {1, 2} differ by 4
    assert paired.exchange(np.array([5.0, 6.0]), np.array([1.0, 2.0])) == 2 / 6


def test_the_crossed_test_is_the_t_test_where_fillers_do_not_vary():
    d = np.random.default_rng(2).normal(0.4, 1.0, 9)
    found = cells(np.repeat(d[:, None], 4, axis=1), np.zeros((9, 4)))
    # each filler has the same mean over bases: its variance is 0
    assert paired.crossed_p(found) == pytest.approx(float(stats.ttest_1samp(d, 0.0).pvalue))


def test_the_crossed_test_is_welchs_where_bases_do_not_vary():
    rng = np.random.default_rng(3)
    a, b = rng.normal(0.5, 1.0, 6), rng.normal(0.0, 2.0, 8)
    found = cells(np.tile(a, (5, 1)), np.tile(b, (5, 1)))
    assert paired.crossed_p(found) == pytest.approx(float(stats.ttest_ind(a, b, equal_var=False).pvalue))


def test_clusters_matter():
    """Four kinds of object in ten copies each: forty bases, four facts."""
    each = np.repeat([1.0, 1.1, 0.9, -0.4], 10)[:, None]
    own = list(np.repeat(range(4), 10))
    known, unknown = cells(each, np.zeros_like(each), own), cells(each, np.zeros_like(each))
    # ignoring clusters the effect would be beyond doubt; 26 - 4 against all signs: |sum| >= 26 needs all four but the last alike
    ignoring, minding = paired.test_of(unknown), paired.test_of(known)
    assert ignoring is not None and ignoring.p < 0.001
    # sums 10, 11, 9, -4 give 26; as large are ±(10+11+9-4) and ±(10+11+9+4): 4 of 16 signs
    assert minding is not None and minding.p == 4 / 16
    narrow, wide = paired.effect(unknown).interval(), paired.effect(known).interval()
    assert narrow is not None and wide is not None and wide[1] - wide[0] > 2 * (narrow[1] - narrow[0])


def test_names_are_chance_too():
    """One odd name on each side that every template repeats: templates alone would find it, names do not."""
    rng = np.random.default_rng(4)
    names = np.array([3.0, 0.0, 0.1, -0.1, 0.0, 0.1])
    level = names + 0.1 * rng.standard_normal((20, 6))
    reference = 0.1 * rng.standard_normal((20, 6))
    found = paired.test_of(cells(level, reference))
    assert found is not None
    assert found.parts["signs of clusters"] < 0.001 and found.parts["fillers"] > 0.05
    assert found.p == max(found.parts.values()) > 0.05


def test_few_fillers_are_taken_as_they_are():
    found = paired.test_of(cells([[1.0, 1.2]] * 8, [[0.0]] * 8))
    assert found is not None and list(found.parts) == ["signs of clusters"] and found.p == 2 / 2**8 == found.least


def test_one_cluster_is_no_test():
    assert paired.test_of(cells([[1.0], [1.0]], [[0.0], [0.0]], [0, 0])) is None


# --- many ----------------------------------------------------------------------------------------------------------


def test_holm_by_hand():
    # sorted .01 .02 .03 .04 times 4 3 2 1 = .04 .06 .06 .04, never falling: .04 .06 .06 .06
    assert paired.adjusted([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])


def test_benjamini_hochberg_by_hand():
    # .01*4/1 = .04, .02*4/2 = .04, .03*4/3 = .04, .5*4/4 = .5
    assert paired.adjusted([0.5, 0.01, 0.03, 0.02], "bh") == pytest.approx([0.5, 0.04, 0.04, 0.04])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
@settings(max_examples=60, deadline=None)
def test_adjusted_values_only_grow_and_holm_is_the_stricter(p):
    holm, bh = paired.adjusted(p), paired.adjusted(p, "bh")
    assert all(q <= b + 1e-12 and b <= h + 1e-12 <= 1 + 1e-9 for q, b, h in zip(p, bh, holm, strict=True))
    assert np.allclose(bh, stats.false_discovery_control(p, method="bh"))


@given(st.integers(0, 10_000))
@settings(max_examples=15, deadline=None)
def test_an_effect_turns_its_sign_with_its_sides(seed):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(7, 5)), rng.normal(size=(7, 4))
    one, other = cells(a, b), cells(b, a)
    assert paired.effect(one).value == pytest.approx(-paired.effect(other).value)
    first, second = paired.test_of(one), paired.test_of(other)
    assert first is not None and second is not None and first.p == pytest.approx(second.p, abs=0.02)
