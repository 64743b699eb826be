"""Site summaries against plain numpy, and independence from how positions were batched."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from maieutic.harvest.summary import BINS, SAMPLE, SiteSummary


def ident(i: int) -> str:
    return hashlib.sha256(str(i).encode()).hexdigest()


def texts(n: int, *, units: int, seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(int(rng.integers(1, 9)), units)).astype(np.float32) for _ in range(n)]


def summarise(rows: list[np.ndarray], batches: list[list[int]], *, top: int = 4) -> SiteSummary:
    out = SiteSummary.empty(rows[0].shape[1], top=top)
    for batch in batches:
        lengths = np.array([len(rows[i]) for i in batch])
        padded = np.full((len(batch), lengths.max(), rows[0].shape[1]), 99.0, np.float32)
        for at, i in enumerate(batch):
            padded[at, : lengths[at]] = rows[i]
        out.add(torch.from_numpy(padded), lengths=lengths, stimuli=batch, ids=[ident(i) for i in batch])
    return out


def test_moments_and_extremes_by_hand() -> None:
    # two texts of one unit: [1, -2] and [3]; padding (99) must not count
    s = summarise([np.array([[1.0], [-2.0]], np.float32), np.array([[3.0]], np.float32)], [[0, 1]])
    assert s.count == 3
    assert s.total[0] == 1 - 2 + 3
    assert s.total_sq[0] == pytest.approx(1 + 4 + 9)
    assert (s.minimum[0], s.maximum[0]) == (-2, 3)
    assert s.top_value[0, :2].tolist() == [3, 1]  # one value a stimulus: its highest
    assert s.top_stimulus[0].tolist() == [1, 0, -1, -1]
    assert s.top_position[0, :2].tolist() == [0, 0]
    assert s.low_value[0, :2].tolist() == [-2, 3]
    assert s.low_position[0, :2].tolist() == [1, 0]


def test_histogram_bins_are_half_octaves() -> None:
    # 1 = 2^0 is 20 octaves = 40 half-octaves above 2^-20, whose bin is the first (index BINS + 1); 1.5 is the next half-octave
    s = summarise([np.array([[1.0], [1.5], [0.0], [-1.0], [1e-9], [1e9]], np.float32)], [[0]])
    cells = np.nonzero(s.histogram[0])[0] - BINS
    assert cells.tolist() == [-41, 0, 41, 42, BINS]
    assert s.histogram[0, BINS] == 2  # the zero, and what is below 2^-20
    assert s.histogram.sum() == 6


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), data=st.data())
def test_any_batching_and_any_merge_give_the_same_exemplars(seed: int, data: st.DataObject) -> None:
    rows = texts(12, units=3, seed=seed)
    whole = summarise(rows, [list(range(12))])
    order = data.draw(st.permutations(range(12)))
    cut = data.draw(st.integers(1, 11))
    for other in (
        summarise(rows, [order[:cut], order[cut:]]),
        summarise(rows, [order[:cut]]).merge(summarise(rows, [order[cut:]])),
        summarise(rows, [order[cut:]]).merge(summarise(rows, [order[:cut]])),
    ):
        for name, value in whole.arrays().items():
            got = other.arrays()[name]
            if name in ("total", "total_sq"):
                np.testing.assert_allclose(got, value, rtol=1e-5, atol=1e-5)
            else:
                np.testing.assert_array_equal(got, value, err_msg=name)


def test_ties_go_to_the_earlier_stimulus() -> None:
    rows = [np.ones((2, 1), np.float32) for _ in range(8)]
    for batches in ([[7, 3, 5], [1, 0, 2, 4, 6]], [list(range(8))]):
        assert summarise(rows, batches).top_stimulus[0].tolist() == [0, 1, 2, 3]


def test_uniform_sample_is_unbiased_and_bounded() -> None:
    # 3,000 texts of 2 positions: values 0 and 1. A uniform sample of 2,048 has a mean within 4 standard errors of 0.5
    rows = [np.array([[0.0], [1.0]], np.float32) for _ in range(3000)]
    s = summarise(rows, [list(range(a, a + 100)) for a in range(0, 3000, 100)])
    assert s.sample_values.shape == (SAMPLE, 1)
    assert abs(s.sample_values.mean() - 0.5) < 4 * 0.5 / np.sqrt(SAMPLE)
    for stimulus, position, value in zip(s.sample_stimulus, s.sample_position, s.sample_values[:, 0], strict=True):
        assert rows[stimulus][position, 0] == value


def test_survives_a_file_round_trip() -> None:
    s = summarise(texts(5, units=2, seed=1), [[0, 1], [2, 3, 4]])
    back = SiteSummary.from_arrays(s.arrays())
    for name, value in s.arrays().items():
        np.testing.assert_array_equal(back.arrays()[name], value)
    assert back.sample_key.dtype == np.uint64
