"""Extremes and reservoirs against plain sorting: where an extreme first is, the strongest of two, the smallest keys of two."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from maieutic.harvest import bands, extremes
from maieutic.harvest.reduction import Reduction, Taken
from maieutic.harvest.summary import Limits

SEEDS = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize("rows", [1, 2, 254, 255, 256, 511, 800])
def test_the_first_place_of_an_extreme_is_that_of_argmax(rows: int) -> None:
    rng = np.random.default_rng(rows)
    for values in (rng.standard_normal((rows, 37)), rng.integers(-2, 3, (rows, 37))):  # the second has many ties
        x = values.astype(np.float32)
        np.testing.assert_array_equal(extremes.first(x, x.max(0)), x.argmax(0))
        np.testing.assert_array_equal(extremes.first(x, x.min(0)), x.argmin(0))


def test_the_first_place_by_hand() -> None:
    x = np.array([[0.0, 5.0, np.nan], [-0.0, 7.0, 1.0], [-3.0, 7.0, 2.0]], np.float32)
    # zeros of both signs are one value; a column with NaN has a NaN extreme, which is nowhere
    assert extremes.first(x, x.max(0)).tolist() == [0, 1, 0]
    assert extremes.first(x, x.min(0)).tolist()[:2] == [2, 0]


def drawn(rng: np.random.Generator, *, units: int, keep: int, stimuli: range) -> tuple[np.ndarray, np.ndarray]:
    """Extremes of some units with few different values, so that many are equal; some rows are not full."""
    value = rng.integers(-3, 4, (units, len(stimuli))).astype(np.float32)
    rank = extremes.ranks(value, np.array(stimuli, np.int32)[None, :], tail=1)
    rank[rng.random(rank.shape) < 0.3] = extremes.NONE
    position = np.where(rank == extremes.NONE, -1, rng.integers(0, 99, rank.shape)).astype(np.int32)
    return extremes.strongest(rank, position, keep)


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS, keep=st.sampled_from([1, 3, 64]))
def test_the_strongest_of_two_are_those_of_sorting_both(seed: int, keep: int) -> None:
    rng = np.random.default_rng(seed)
    a = drawn(rng, units=9, keep=keep, stimuli=range(0, 64))
    b = drawn(rng, units=9, keep=keep, stimuli=range(64, 128))
    both = [np.concatenate([x, y], 1) for x, y in zip(a, b, strict=True)]
    found, meant = extremes.stronger(a, b), extremes.strongest(both[0], both[1], keep)
    there = meant[0] != extremes.NONE
    assert found[0].tobytes() == meant[0].tobytes()
    assert (found[1] == meant[1])[there].all() and (found[1] == -1)[~there].all()


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS)
def test_reservoirs_of_two_hold_the_smallest_keys_of_both(seed: int) -> None:
    rng = np.random.default_rng(seed)

    def some() -> bands.Bands:
        out = bands.nothing(6)
        key = np.sort(rng.integers(0, 2**63, out.key.shape).astype(np.uint64), axis=-1)
        filled = np.sort(rng.integers(0, bands.EACH + 1, (*out.key.shape[:3], 1)), axis=-1) > np.arange(bands.EACH)
        value = rng.standard_normal(out.key.shape).astype(np.float32)
        return bands.Bands(
            key=np.where(filled, key, bands.NONE),
            value=np.where(filled, value, np.float32(0)),
            position=np.where(filled, rng.integers(0, 99, out.key.shape), -1).astype(np.int32),
        )

    a, b = some(), some()
    order = np.argsort(np.concatenate([a.key, b.key], -1), axis=-1, kind="stable")[..., : bands.EACH]
    meant = [
        np.take_along_axis(np.concatenate([x, y], -1), order, -1).copy()
        for x, y in zip(a.arrays, b.arrays, strict=True)
    ]
    bands.add(a, b)
    for found, expected in zip(a.arrays, meant, strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("first", [0.0, -0.0])
def test_zeros_of_both_signs_are_one_extreme(first: float) -> None:
    reduction = Reduction({"a": 1}, Limits())
    for number, zero in enumerate((first, -first)):
        taken = Taken(
            stimuli=(number,), seeds=np.array([number], np.uint64), summarised=("a",), copied=(),
            limit=reduction.limit, thinning=0,
        )  # fmt: skip
        taken("a", torch.tensor([[[zero], [zero]]]), [0], [2])
        taken.finish()
        reduction.commit(taken)
    summary = reduction.summaries()["a"]
    assert summary.maximum.tobytes() == summary.minimum.tobytes() == np.zeros(1, np.float32).tobytes()
