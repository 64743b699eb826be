"""The search's sums over a corpus against the same sums written out, and its choices among equals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maieutic.explain.predicates.text import HasAffix, Position, TokenIn
from maieutic.explain.predicates.text_amounts import InRange
from maieutic.explain.search.text_build import build, matrix_of
from maieutic.explain.search.text_fit import largest
from maieutic.explain.search.text_matrix import FeatureMatrix
from maieutic.explain.search.text_quantities import Ranges, bounds_of, cut, gains
from maieutic.explain.views_text import TextView, split_tokens
from maieutic.explain.views_text_book import TextBook


def book_of(n: int = 24) -> TextBook:
    texts = [f"The dog {i % 7} ran to {i % 3} dogs.\n    It was {'not ' * (i % 2)}late, so he left" for i in range(n)]
    return TextBook([TextView(t, split_tokens(t)) for t in texts])


@pytest.fixture(scope="module")
def data() -> FeatureMatrix:
    return build(book_of(), [f"d{i}" for i in range(24)], support=4)


@pytest.mark.parametrize("share", [0.1, 0.9])
def test_sums_are_sums_over_the_positions_of_each_fold(data: FeatureMatrix, share: float) -> None:
    """Few positions are picked out, many are gone through; whole numbers, so that no rounding hides a mistake."""
    rng = np.random.default_rng(1)
    values = rng.integers(-9, 9, data.positions).astype(np.float64)
    at = np.flatnonzero(rng.random(data.positions) < share)
    told, held = data.sums_at(at, values[at])
    everywhere = data.sums(values)
    chosen = np.isin(np.arange(data.positions), at)
    topics = data.lookback[1]
    for j in range(0, len(data.features), 7):
        inside = data.column(j) > 0
        for f in range(data.folds):
            here = inside & (data.fold == f)
            assert everywhere[f, j] == values[here].sum()
            assert data.counts[f, j] == here.sum()
            assert told[f, j] == values[here & chosen].sum()
            assert held[f, j] == (here & chosen).sum()
    np.testing.assert_array_equal(topics.sums(values), everywhere[:, topics.chosen])


def test_where_now_is_what_the_predicates_say(data: FeatureMatrix) -> None:
    book = book_of()
    for predicate in (TokenIn(words=("dog", "late", "nowhere")), HasAffix(suffix="og"), Position(last=3)):
        found = data.where_now(predicate)
        assert found is not None
        np.testing.assert_array_equal(found, predicate.over(book) > 0.5)
    assert data.where_now(InRange(quantity="letters", low=2, high=3)) is None


def test_texts_that_are_split_alike_share_a_matrix() -> None:
    groups = [f"d{i}" for i in range(24)]
    assert matrix_of(book_of(), groups) is matrix_of(book_of(), groups)
    assert matrix_of(book_of(), ["d0", *groups[1:-1], "other"]) is not matrix_of(book_of(), groups)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.sampled_from([-np.inf, -1.0, 0.0, 1.0, 2.0, 3.5, 4.25, 5.0]), max_size=40), st.integers(1, 6))
def test_the_largest_are_those_that_argsort_puts_first(rows: list[float], most: int) -> None:
    values = np.array(rows)
    expected = [int(j) for j in np.argsort(-values)[:most] if values[j] > 0]
    assert largest(values, most) == expected


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("gated", [False, True])
def test_sharpened_bounds_gain_most_of_the_bounds_nearby(seed: int, *, gated: bool) -> None:
    """All values are near enough when there are as few as three bins: every pair of bounds is tried here one at a time."""
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 200, 600).astype(np.float64)
    values[rng.random(600) < 0.1] = np.nan
    fold, gate = rng.integers(0, 4, 600), (rng.random(600) < 0.7).astype(np.float64)
    residual = ((values >= 37) & (values <= 121)) * 1.0 + rng.normal(0, 0.2, 600) - 0.4
    quantity = cut("number", values)
    assert quantity is not None
    ranges, at = Ranges([quantity], fold, 4), gate > 0 if gated else np.ones(600, dtype=bool)
    given_gate = gate if gated else None
    rough = next(b for b in ranges.best(residual, ridge=4.0, gate=given_gate) if "Ramp" not in repr(b.predicate))
    exact = ranges.sharpened(rough, residual, ridge=4.0, gate=given_gate)

    def gain(low: float, high: float) -> float:
        inside = (values >= low) & (values <= high) & at
        a, b = (np.array([w[inside & (fold == f)].sum() for f in range(4)]) for w in (residual, np.ones(600)))
        return float(gains(a[:, None], b[:, None], 4.0)[0])

    low, high = bounds_of(exact.predicate)
    assert exact.gain == pytest.approx(gain(low, high), rel=1e-12)
    assert exact.gain >= gain(*bounds_of(rough.predicate)) * (1 - 1e-12)
    seen = np.unique(values[at & np.isfinite(values)])
    for other in seen[np.abs(np.searchsorted(seen, seen) - np.searchsorted(seen, high)) <= 1]:
        assert gain(low, float(other)) <= exact.gain * (1 + 1e-12)


def test_a_bound_is_not_moved_to_one_that_holds_the_same() -> None:
    """No position has 3: from 3 on and from 4 on are one condition, and the first that was found stands."""
    rng = np.random.default_rng(0)
    values = np.repeat([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 60)
    gate = (values != 3).astype(np.float64)
    residual = (values > 2) * 0.7 + rng.normal(0, 0.1, len(values)) - 0.3
    quantity = cut("place", values)
    assert quantity is not None
    ranges = Ranges([quantity], rng.integers(0, 4, len(values)), 4)
    rough = next(b for b in ranges.best(residual, ridge=4.0, gate=gate) if "Ramp" not in repr(b.predicate))
    assert bounds_of(rough.predicate)[0] == 3
    assert ranges.sharpened(rough, residual, ridge=4.0, gate=gate).predicate == rough.predicate
