"""The audit of units that mean nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from maieutic.audit import judged
from maieutic.audit.nulls import ALLOWED, nulls
from maieutic.audit.power import binomial_tail

Make = Callable[..., Any]


def silent(mark_of: Make, item: str, role: str, **more: Any) -> Any:
    given = {"answered": False, "confidence": 0.0, "predicate": None, "words": None, **more}
    return mark_of(item, role, right=False, **given)


def test_labels_on_nulls_by_hand(mark_of: Make, sitting_of: Make) -> None:
    marks = [
        mark_of("d0", "dead", confidence=0.9), mark_of("d1", "dead", confidence=0.4), silent(mark_of, "d2", "dead"),
        mark_of("n0", "noise", confidence=0.95), silent(mark_of, "n1", "noise", failed=True), mark_of("o"),
    ]  # fmt: skip
    pooled, dead, noise, contrast = nulls(sitting_of(marks))
    # 2 of the 4 that did not fail: a confidence of 0.4 is no confident label
    assert (pooled.reading.value, pooled.reading.n, pooled.details["failed"]) == (0.5, 4, 1)
    # two or more of four at 0.1: 1 - 0.9^4 - 4 * 0.1 * 0.9^3
    assert pooled.p == pytest.approx(1 - 0.9**4 - 4 * 0.1 * 0.9**3)
    assert pooled.units == ("n0", "d0")
    assert dead.reading.value == pytest.approx(1 / 3) and noise.reading.value == 1.0
    assert dead.informs and noise.informs
    # the real unit has 0.9; of the four nulls one is above, one equal and two below: (1 + 0.5) / 4
    assert contrast.reading.value == pytest.approx(0.375)


def test_one_that_abstains_on_nulls_is_clear_and_the_power_is_told(mark_of: Make, sitting_of: Make) -> None:
    marks = [silent(mark_of, f"n{i}", "noise") for i in range(12)] + [mark_of("o")]
    pooled = judged(nulls(sitting_of(marks)))[0]
    assert pooled.verdict == "clear" and pooled.reading.value == 0.0 and pooled.p == 1.0
    # 12 nulls at 0.1: five or more have p = 0.0043, six or more 0.0005, so six labels alarm
    assert binomial_tail(5, 12, ALLOWED) > 0.0025 > binomial_tail(6, 12, ALLOWED)
    assert pooled.power.value is not None and binomial_tail(6, 12, pooled.power.value) >= 0.8
    assert binomial_tail(6, 12, pooled.power.value - 0.01) < 0.8


def test_one_that_labels_everything_alarms(mark_of: Make, sitting_of: Make) -> None:
    marks = [mark_of(f"u{i}", ("dead", "noise", "untrained", "shuffled")[i % 4], right=False) for i in range(8)]
    found = judged(nulls(sitting_of(marks)))
    assert found[0].verdict == "alarm" and len(found[0].units) == 8
    assert [f.reading.measured for f in found] == [True] * 5 + [False]  # no real unit to compare with


def test_no_nulls_or_nothing_but_failures_is_no_pass(mark_of: Make, sitting_of: Make) -> None:
    for marks in ([mark_of("o")], [silent(mark_of, "n", "noise", failed=True)]):
        (found,) = judged(nulls(sitting_of(marks)))
        assert found.verdict == "unmeasured" and found.p is None


def test_an_explainer_at_the_allowed_rate_alarms_in_one_exam_of_twenty_at_most() -> None:
    counts = np.random.default_rng(5).binomial(16, ALLOWED, 4000)
    assert np.mean([binomial_tail(int(c), 16, ALLOWED) <= 0.05 for c in counts]) <= 0.05
