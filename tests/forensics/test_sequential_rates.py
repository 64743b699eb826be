"""Decisions about rates: hand-computed values, error rates by simulation, and independent implementations."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import fisher_exact

from maieutic.forensics.sequential import (
    RateTest,
    Tally,
    compare_rates,
    difference_interval,
    fisher,
    holm,
    rate_test,
)


def test_the_ratio_test_by_hand() -> None:
    test = RateTest(low=0.2, high=0.8, error=0.01)
    # a hit multiplies the ratio by 0.8 / 0.2 = 4, a miss by 0.2 / 0.8 = 1 / 4; the bound is log(99) = 4.6
    assert test.log_ratio(Tally(happened=3, n=4)) == pytest.approx(2 * math.log(4))
    assert test.decide(Tally(happened=3, n=3)) is None
    # 4 hits: 4 log 4 = 5.5 > 4.6
    assert test.decide(Tally(happened=4, n=4)) is True
    assert test.decide(Tally(happened=0, n=4)) is False
    # from nothing, 4 are needed; after 3 hits one more
    assert test.more(Tally()) == 4 and test.more(Tally(happened=3, n=3)) == 1
    assert test.p_value(Tally(happened=4, n=4), True) == pytest.approx(4.0**-4)
    assert test.p_value(Tally(happened=4, n=4), False) == 1.0


@pytest.mark.parametrize(("rate", "truth"), [(0.2, False), (0.8, True)])
def test_the_ratio_test_errs_as_seldom_as_promised(rate: float, truth: bool) -> None:
    test, draw, wrong, used = RateTest(low=0.2, high=0.8, error=0.05), np.random.default_rng(7), 0, 0
    for _ in range(2000):
        seen = Tally()
        while (answer := test.decide(seen)) is None:
            n = test.more(seen)
            seen = seen + Tally(happened=int(draw.binomial(n, rate)), n=n)
        wrong += answer is not truth
        used += seen.n
    # 5 % promised; the standard error over 2000 is 0.5 %
    assert wrong / 2000 < 0.065
    assert used / 2000 < 8


def test_estimated_rates_are_moved_together() -> None:
    test = rate_test(0.0, 1.0, error=0.01)
    # 0 and 1 count as 0.01 and 0.99, a gap of 0.98; a fifth of it is 0.196
    assert (test.low, test.high) == pytest.approx((0.206, 0.794))


@pytest.mark.parametrize(("a", "b"), [((7, 8), (1, 8)), ((3, 10), (3, 12)), ((0, 5), (5, 5)), ((16, 16), (0, 16))])
def test_fishers_test_is_that_of_scipy(a: tuple[int, int], b: tuple[int, int]) -> None:
    table = [[a[0], a[1] - a[0]], [b[0], b[1] - b[0]]]
    ours = fisher(Tally(happened=a[0], n=a[1]), Tally(happened=b[0], n=b[1]))
    assert ours == pytest.approx(fisher_exact(table, alternative="greater").pvalue)


def _drawn(rate: float, draw: np.random.Generator):  # type: ignore[no-untyped-def]
    return lambda n: Tally(happened=int(draw.binomial(n, rate)), n=n)


def test_equal_rates_are_seldom_called_different() -> None:
    draw = np.random.default_rng(3)
    for rate in (0.1, 0.5, 0.9):
        found = [compare_rates(_drawn(rate, draw), _drawn(rate, draw), error=0.05).higher for _ in range(400)]
        assert np.mean(found) <= 0.05


def test_a_difference_is_found_early_and_its_absence_too() -> None:
    draw = np.random.default_rng(5)
    found = compare_rates(_drawn(0.95, draw), _drawn(0.02, draw))
    assert found.higher and found.first.n == 8
    nothing = compare_rates(_drawn(0.0, draw), _drawn(0.0, draw), least=0.4)
    assert not nothing.higher and nothing.first.n == 8


def test_holm_by_hand() -> None:
    # sorted 0.01, 0.02, 0.04 times 3, 2, 1: 0.03, 0.04, 0.04
    assert holm([0.04, 0.01, 0.02]) == pytest.approx([0.04, 0.03, 0.04])
    # chosen among ten: 0.01 x 10, 0.02 x 9
    assert holm([0.01, 0.02], tests=10) == pytest.approx([0.1, 0.18])
    assert holm([]) == []


def test_the_interval_of_a_difference_holds_the_truth() -> None:
    # Newcombe 1998, table II: 56/70 against 48/80 gives 0.0524 to 0.3339
    low, high = difference_interval(Tally(happened=56, n=70), Tally(happened=48, n=80))
    assert (low, high) == pytest.approx((0.0524, 0.3339), abs=1e-4)
    assert difference_interval(Tally(), Tally(happened=1, n=2)) == (-1.0, 1.0)
    draw, held = np.random.default_rng(1), 0
    for _ in range(1000):
        a, b = (Tally(happened=int(draw.binomial(20, p)), n=20) for p in (0.9, 0.3))
        low, high = difference_interval(a, b)
        held += low <= 0.6 <= high
    assert held / 1000 > 0.93
