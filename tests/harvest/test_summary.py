"""Site summaries against plain numpy, and the same bytes however positions were batched, split and merged."""

from __future__ import annotations

import hashlib
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from maieutic.harvest import bands, exact
from maieutic.harvest.bands import BINS
from maieutic.harvest.reduction import Reduction, Taken
from maieutic.harvest.summary import Limits, SiteSummary


def seed_of(i: int) -> int:
    return int(hashlib.sha256(str(i).encode()).hexdigest()[:16], 16)


def texts(n: int, *, units: int, seed: int, longest: int = 9) -> list[np.ndarray]:
    """Heavy-tailed values, some of them ties and exact zeros."""
    rng = np.random.default_rng(seed)
    rows = [rng.standard_t(2, size=(int(rng.integers(1, longest)), units)) for _ in range(n)]
    return [np.where(np.abs(r) < 0.1, 0, np.round(r, 1)).astype(np.float32) for r in rows]


def summarise(rows: list[np.ndarray], batches: list[list[int]], limits: Limits | None = None) -> SiteSummary:
    """Padded with 99, which must never count."""
    limits = limits or Limits(top=4)
    reduction = Reduction({"site": rows[0].shape[1]}, limits)
    for batch in batches:
        lengths = [len(rows[i]) for i in batch]
        padded = np.full((len(batch), max(lengths), rows[0].shape[1]), 99.0, np.float32)
        for at, i in enumerate(batch):
            padded[at, : lengths[at]] = rows[i]
        taken = Taken(
            stimuli=batch,
            seeds=np.array([seed_of(i) for i in batch], np.uint64),
            summarised=["site"],
            copied=(),
            limit=reduction.limit,
            thinning=limits.thinning,
        )
        taken("site", torch.from_numpy(padded), range(len(batch)), lengths)
        taken.finish()
        reduction.commit(taken)
    return reduction.summaries()["site"]


def assert_same_bytes(a: SiteSummary, b: SiteSummary) -> None:
    for name, value in a.arrays().items():
        other = b.arrays()[name]
        assert value.dtype == other.dtype and value.tobytes() == other.tobytes(), name


def test_moments_and_extremes_by_hand() -> None:
    # two texts of one unit: [1, -2] and [3]; padding (99) must not count
    s = summarise([np.array([[1.0], [-2.0]], np.float32), np.array([[3.0]], np.float32)], [[0, 1]])
    assert s.count == 3
    assert s.total[0] == 1 - 2 + 3
    assert s.total_sq[0] == 1 + 4 + 9
    assert (s.minimum[0], s.maximum[0]) == (-2, 3)
    assert s.top_value[0, :2].tolist() == [3, 1]  # one value a stimulus: its highest
    assert s.top_stimulus[0].tolist() == [1, 0, -1, -1]
    assert s.top_position[0, :2].tolist() == [0, 0]
    assert s.low_value[0, :2].tolist() == [-2, 3]
    assert s.low_stimulus[0].tolist() == [0, 1, -1, -1]
    assert s.low_position[0, :2].tolist() == [1, 0]


def test_histogram_bins_are_half_octaves() -> None:
    # 1 = 2^0 is 20 octaves = 40 half-octaves above 2^-20, whose bin is the first (index BINS + 1); 1.5 is the next half-octave
    s = summarise([np.array([[1.0], [1.5], [0.0], [-1.0], [1e-9], [1e9]], np.float32)], [[0]])
    cells = np.nonzero(s.histogram[0])[0] - BINS
    assert cells.tolist() == [-41, 0, 41, 42, BINS]
    assert s.histogram[0, BINS] == 2  # the zero, and what is below 2^-20
    assert s.histogram.sum() == s.counted == 6


def test_bands_hold_a_few_of_each_of_the_strongest_octaves() -> None:
    # octaves of the high tail: [8, 16) has 1 value, [4, 8) has 40, [2, 4) none, [1, 2) 1, [0.5, 1) 1, [0.25, 0.5) is too weak
    values = [9.0, *np.linspace(4, 7.9, 40), 1.0, 0.6, 0.3, -3.0]
    s = summarise([np.array(values, np.float32)[:, None]], [[0]])
    high = [v for _, _, v in s.banded(0, tail=1)]
    assert len(high) == 1 + bands.EACH + 1 + 1
    assert high[0] == 9 and high[-2:] == [1.0, np.float32(0.6)]
    assert all(4 <= v < 8 for v in high[1:-2])
    assert s.banded(0, tail=-1) == [(0, 44, -3.0)]


def test_a_larger_extreme_leaves_weak_octaves_behind() -> None:
    # 1000 is in [512, 1024): five octaves down from there end at 32, so 3 of the earlier batch is gone and 40 stays
    rows = [np.array([[3.0], [40.0]], np.float32), np.array([[1000.0]], np.float32)]
    for batches in ([[0], [1]], [[1], [0]], [[0, 1]]):
        assert [v for _, _, v in summarise(rows, batches).banded(0, tail=1)] == [1000, 40]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), data=st.data())
def test_any_split_and_any_order_of_merging_give_the_same_bytes(seed: int, data: st.DataObject) -> None:
    n = 14
    rows = texts(n, units=3, seed=seed)
    limits = Limits(sample=data.draw(st.sampled_from([5, 16, 2048])), thinning=data.draw(st.integers(0, 2)), top=4)
    whole = summarise(rows, [[i] for i in range(n)], limits)
    order: list[int] = data.draw(st.permutations(range(n)))
    cuts = sorted(data.draw(st.sets(st.integers(1, n - 1), max_size=5)))
    pieces = [order[a:b] for a, b in zip([0, *cuts], [*cuts, n], strict=True)]
    parts = [summarise(rows, [[i] for i in piece], limits) for piece in pieces]
    while len(parts) > 1:  # any two of them, in either order, until one is left
        i, j = data.draw(st.lists(st.integers(0, len(parts) - 1), min_size=2, max_size=2, unique=True))
        merged = parts[i].merge(parts[j])
        parts = [p for k, p in enumerate(parts) if k not in (i, j)] + [merged]
    assert_same_bytes(whole, parts[0])


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_padded_batches_give_what_single_stimuli_give(seed: int) -> None:
    rows = texts(12, units=3, seed=seed)
    one, many = (
        summarise(rows, [[i] for i in range(12)]),
        summarise(rows, [[3, 0, 7], list(range(8, 12)), [1, 2, 4, 5, 6]]),
    )
    for name, value in one.arrays().items():
        if name in ("sums", "squares"):  # float32 sums of a padded batch round otherwise
            np.testing.assert_allclose(exact.value(value), exact.value(many.arrays()[name]), rtol=1e-5, atol=1e-5)
        else:
            np.testing.assert_array_equal(value, many.arrays()[name], err_msg=name)


@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_a_summary_is_what_numpy_says_of_all_positions(seed: int) -> None:
    rows = texts(200, units=2, seed=seed)  # more than are collected before they are sorted
    s = summarise(rows, [[i] for i in range(200)], Limits(top=8, sample=50))
    flat = np.concatenate(rows)
    np.testing.assert_allclose(s.total, flat.sum(0, dtype=np.float64), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(s.total_sq, (flat.astype(np.float64) ** 2).sum(0), rtol=1e-5)
    assert s.histogram.sum(1).tolist() == [len(flat)] * 2
    for unit in range(2):
        best = sorted(range(200), key=lambda i: (-rows[i][:, unit].max(), i))[:8]
        assert s.top_stimulus[unit].tolist() == best
        assert s.top_position[unit].tolist() == [int(rows[i][:, unit].argmax()) for i in best]
        worst = sorted(range(200), key=lambda i: (rows[i][:, unit].min(), i))[:8]
        assert s.low_stimulus[unit].tolist() == worst
        for tail in (1, -1):
            reach = max(tail * flat[:, unit].max(), tail * flat[:, unit].min())
            octaves = {int(np.floor(np.log2(tail * v))) for _, _, v in s.banded(unit, tail=tail)}
            there = {int(np.floor(np.log2(v))) for v in tail * flat[:, unit] if v > 0}
            assert octaves == {o for o in there if o > np.floor(np.log2(reach)) - bands.OCTAVES}
            for stimulus, position, value in s.banded(unit, tail=tail):
                assert rows[stimulus][position, unit] == value


def test_ties_go_to_the_earlier_stimulus() -> None:
    rows = [np.ones((2, 1), np.float32) for _ in range(8)]
    for batches in ([[7, 3, 5], [1, 0, 2, 4, 6]], [list(range(8))]):
        assert summarise(rows, batches).top_stimulus[0].tolist() == [0, 1, 2, 3]


def test_uniform_sample_is_unbiased_and_bounded() -> None:
    # 3,000 texts of 2 positions: values 0 and 1. A uniform sample of 2,048 has a mean within 4 standard errors of 0.5
    rows = [np.array([[0.0], [1.0]], np.float32) for _ in range(3000)]
    s = summarise(rows, [list(range(a, a + 100)) for a in range(0, 3000, 100)])
    assert s.sample_values.shape == (2048, 1)
    assert abs(s.sample_values.mean() - 0.5) < 4 * 0.5 / np.sqrt(2048)
    for stimulus, position, value in zip(s.sample_stimulus, s.sample_position, s.sample_values[:, 0], strict=True):
        assert rows[stimulus][position, 0] == value


def test_a_share_of_positions_is_banded_and_the_share_is_known() -> None:
    # 6,000 positions, one in four: 1,500 with a standard error of sqrt(6000 * 0.25 * 0.75) = 33.5
    rows = [np.ones((6, 1), np.float32) for _ in range(1000)]
    s = summarise(rows, [list(range(a, a + 100)) for a in range(0, 1000, 100)], Limits(thinning=2, top=4))
    assert s.count == 6000 and abs(s.counted - 1500) < 4 * 33.5
    assert s.histogram.sum() == s.counted


def test_size_of_a_unit_does_not_grow_with_the_corpus() -> None:
    small, large = (summarise([np.ones((9, 4), np.float32)] * n, [[i] for i in range(n)], Limits()) for n in (8, 300))
    assert small.unit_bytes == large.unit_bytes < 2800


def test_limits_share_the_sample_among_sites() -> None:
    assert Limits.of([1536]) == Limits(sample=2048, thinning=1)
    assert Limits.of([1]) == Limits(sample=2048, thinning=0)
    assert Limits.of([1536] * 30) == Limits(sample=2**24 // 46080, thinning=5)
    assert Limits.of([10**6]) == Limits(sample=128, thinning=5)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-(2.0**40), 2.0**40, width=32), max_size=60), st.randoms())
def test_exact_sums_are_exact_in_any_order(values: list[float], random: object) -> None:
    shuffled = list(values)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    totals = []
    for order in (values, shuffled):
        total = exact.zero(1)
        for v in order:
            exact.add(total, np.array([v]))
        totals.append(total)
    assert totals[0].tobytes() == totals[1].tobytes()
    got = Fraction(int(totals[0][0, 0])) + Fraction(int(totals[0][1, 0]), 2**62)
    truth = sum((Fraction(v) for v in values), Fraction(0))
    assert abs(truth - got) <= Fraction(len(values), 2**62)  # each addend is cut by less than 2^-62


def test_survives_a_file_round_trip() -> None:
    s = summarise(texts(5, units=2, seed=1), [[0, 1], [2, 3, 4]])
    assert_same_bytes(s, SiteSummary.from_arrays(s.arrays()))


def test_values_that_are_not_finite_leave_their_stimulus_out() -> None:
    rows = [np.array([[1.0]], np.float32), np.array([[np.nan]], np.float32), np.array([[2.0], [-np.inf]], np.float32)]
    s = summarise(rows, [[0, 1, 2]])
    assert (s.count, s.total[0], s.counted) == (1, 1, 1)
    assert s.sample_values.tolist() == [[1.0]]


def test_nothing_fires() -> None:
    s = summarise([np.zeros((5, 2), np.float32)], [[0]])
    assert s.histogram[:, BINS].tolist() == [5, 5]
    assert s.banded(0, tail=1) == s.banded(0, tail=-1) == []
    assert s.total.tolist() == [0, 0]
    with pytest.raises(AssertionError, match="one site"):
        s.merge(SiteSummary.empty(3))
