"""The bench counts right: hand-made outcomes, a searcher that finds nothing, and a small real run."""

from __future__ import annotations

import dataclasses

import pytest

from maieutic.bench import forensics as bench
from maieutic.bench.forensics import CORE, Tried, equal_accuracy, figures, run_forensics, try_policy
from maieutic.forensics.attribution import Settings
from maieutic.forensics.partition import partition
from maieutic.forensics.planted import LEVEL


@pytest.fixture(scope="module")
def tried() -> Tried:
    return try_policy("or", (9, 1), noisy=False, baselines=False)


def changed(tried: Tried, **change: object) -> Tried:
    return dataclasses.replace(tried, **change)  # type: ignore[arg-type]


def test_a_policy_is_found_and_counted(tried: Tried) -> None:
    assert tried.exact and tried.parts and tried.group == "sure"
    assert tried.calls == sum(tried.cause.stages[s] for s in CORE) < tried.all_calls == tried.cause.spent.calls
    row = tried.to_json()
    assert row["found"] == row["truth"] and row["verdict"] == "found"


def test_a_search_that_may_ask_nothing_finds_nothing() -> None:
    starved = try_policy("and", (9, 2), noisy=False, baselines=False, settings=Settings(budget=1))
    assert not starved.exact and starved.cause.verdict == "undecided" and "budget=" in starved.cause.reason


def test_figures_are_shares_of_policies(tried: Tried) -> None:
    wrong = changed(tried, exact=False, parts=False)
    found = {k: f.reading.value for k, f in figures([tried, tried, tried, wrong]).items()}
    assert found["sure.exact"] == 0.75 and found["sure.exact.or"] == 0.75
    assert found["sure.calls"] == tried.calls
    # nothing noisy and no control was tried: unmeasured, and no target is met by that
    made = figures([tried])
    assert made["noisy.exact"].reading.reason == "nothing to count"
    assert made["noisy.exact"].met is False and made["controls.false_cause"].met is False


def test_a_control_with_a_cause_is_a_false_cause(tried: Tried) -> None:
    control = try_policy("none", (9, 3), noisy=True, baselines=False)
    assert control.exact and control.group == "controls"
    made = figures([control, control, changed(control, exact=False)])
    assert made["controls.false_cause"].reading.value == pytest.approx(1 / 3)
    assert made["controls.false_cause"].met is False


def test_the_smallest_budget_that_is_right_as_often_is_told(tried: Tried) -> None:
    beside = {("contextcite", 64): (False, 64), ("contextcite", 256): (True, 256), ("shapley", 2): (False, 99)}
    rows = [changed(tried, calls=32, baselines=beside)] * 2
    assert equal_accuracy(rows) == [
        ("find_cause", "32", "100%", "1"),
        ("leave one out", "not tried", "–", "–"),
        ("contextcite", "256", "100%", "8.0"),
        ("shapley", "not with 99", "0%", "–"),
    ]


def test_a_small_run_meets_its_targets() -> None:
    result = run_forensics(seed=12, each=1, baselines=False)
    assert result.met and len(result.rows) == 5 * 2 + 1 + 4
    assert [t.title for t in result.tables] == ["exact cause"]
    again = run_forensics(seed=12, each=1, baselines=False)
    assert again.rows == result.rows


def test_the_usual_methods_run_beside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "BUDGETS", {"leave one out": (1,), "contextcite": (64,), "shapley": (2,)})
    both = try_policy("and", (9, 1), noisy=False, baselines=True)
    parts = len(partition(both.planted.action.messages, level=LEVEL).at(LEVEL))
    # all parts of an AND are missed when one is left out: d + 1 values tell them; a pair of orders has 2 (d + 1) - 2
    assert both.baselines["leave one out", 1] == (True, parts + 1)
    assert both.baselines["contextcite", 64][1] == 64
    assert both.baselines["shapley", 2][1] == 2 * parts
    redundant = try_policy("or", (9, 1), noisy=False, baselines=True)
    assert redundant.exact and not redundant.baselines["leave one out", 1][0]
