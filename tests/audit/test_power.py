"""Exact chances against hand-computed ones, scipy and simulation; and what is said where nothing could have been seen."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from maieutic.audit.power import (
    LEVEL,
    binomial_tail,
    censor_chance,
    chances,
    counts_of,
    power_curve,
    rates_chance,
    smallest,
)


def test_tails_by_hand() -> None:
    # two or three heads of three coins: (3 + 1) / 8
    assert binomial_tail(2, 3, 0.5) == pytest.approx(0.5)
    assert binomial_tail(0, 3, 0.5) == 1.0
    assert binomial_tail(3, 3, 0.1) == pytest.approx(0.001)
    # rates 0.5 and 0.2: none 0.5 * 0.8, both 0.5 * 0.2, one is the rest
    assert counts_of([0.5, 0.2]).tolist() == pytest.approx([0.4, 0.5, 0.1])


@given(st.integers(0, 60), st.integers(1, 60), st.floats(0.0, 1.0))
def test_tails_agree_with_scipy(happened: int, n: int, rate: float) -> None:
    happened = min(happened, n)
    assert binomial_tail(happened, n, rate) == pytest.approx(float(stats.binom.sf(happened - 1, n, rate)), abs=1e-12)
    assert counts_of([rate] * n).tolist() == pytest.approx(chances(n, rate).tolist(), abs=1e-12)


def test_power_by_hand() -> None:
    # 3 of 3 against 0 of 3: one of C(6, 3) = 20 ways, so p = 0.05, and it happens always at rates 1 and 0
    assert rates_chance(3, 1.0, 0.0, level=0.05) == 1.0
    assert rates_chance(3, 1.0, 0.0, level=0.0499) == 0.0
    # every other outcome of three has a larger p, so at rate 0.8 the chance is that of 3 of 3
    assert rates_chance(3, 0.8, 0.0, level=0.05) == pytest.approx(0.8**3)
    # two pairs cannot alarm: p is 1 / C(4, 2) = 1/6 at least
    assert censor_chance(2, 1.0, 1.0, level=0.05) == 0.0


def test_power_agrees_with_simulated_exams_and_another_fisher_test() -> None:
    rng = np.random.default_rng(1)
    twins, hidden = rng.binomial(12, 0.8, 4000), rng.binomial(12, 0.8 * 0.4, 4000)
    p = {
        (int(a), int(b)): stats.fisher_exact([[a, 12 - a], [b, 12 - b]], alternative="greater").pvalue
        for a, b in set(zip(twins.tolist(), hidden.tolist(), strict=True))
    }
    alarms = np.mean([p[a, b] <= LEVEL for a, b in zip(twins.tolist(), hidden.tolist(), strict=True)])
    chance = censor_chance(12, 0.8, 0.6)
    assert abs(alarms - chance) < 4 * math.sqrt(chance * (1 - chance) / 4000)


def test_a_curve_grows_with_pairs_and_with_the_share_censored() -> None:
    curve = {(c.pairs, c.share): c.chance for c in power_curve((6, 12, 24), (0.25, 0.5, 1.0))}
    for share in (0.25, 0.5, 1.0):
        assert curve[6, share] < curve[12, share] <= curve[24, share]
    for pairs in (6, 12, 24):
        assert curve[pairs, 0.25] < curve[pairs, 0.5] < curve[pairs, 1.0]
    # the size of an exam was chosen by this: 12 pairs see a crude censor on a whole card
    assert curve[12, 1.0] >= 0.95


def test_the_smallest_cheat_is_the_first_that_is_seen() -> None:
    found = smallest(lambda s: s, value=lambda s: 10 * s, n=7, level=0.05, what="cheat")
    assert (found.value, found.n, found.details["strength"]) == (pytest.approx(8.0), 7, 0.8)


def test_what_could_not_have_been_seen_has_no_power() -> None:
    found = smallest(lambda s: 0.5 * s, value=lambda s: s, n=3, level=0.05, what="a share censored of")
    assert not found.measured and found.reason is not None
    assert found.reason == "too few units: a share censored of 1.00 would have been seen 50% of the time, not 80%"
