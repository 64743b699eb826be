"""Who counts as active, which positions are scored, and predictions that fail."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from maieutic.harvest.atlas import Observed
from maieutic.score import Predictions, Sample, Threshold, threshold, trial
from maieutic.stimuli.base import Stimulus


def observed(lengths: list[int], value: float = 0.0) -> list[Observed]:
    return [
        Observed(
            Stimulus(id=str(i), modality="text", load=lambda: "", group=f"g{i // 2}"), np.full(n, value, np.float32)
        )
        for i, n in enumerate(lengths)
    ]


def test_threshold_of_distinct_values_leaves_one_in_a_hundred() -> None:
    values = np.random.default_rng(0).permutation(1000).astype(float)
    limit = threshold(values, quantile=0.99)
    assert limit == Threshold(value=990.0, inclusive=False, quantile=0.99)  # rank 0.99 x 999 = 989.01, the next is 990
    assert limit.active(values).sum() == 9


@pytest.mark.parametrize(
    ("share", "why"),
    [(0.2, "the quantile is the upper value"), (0.02, "the same"), (0.003, "the quantile is the resting value")],
)
def test_a_unit_of_two_values_is_active_at_the_upper_one(share: float, why: str) -> None:
    values = (np.arange(10_000) < share * 10_000).astype(float)
    limit = threshold(values, quantile=0.99)
    assert not isinstance(limit, str)
    assert limit.active(values).mean() == pytest.approx(share), why


def test_ties_at_the_ceiling_count_as_active() -> None:
    # 3 % saturate at 6; nothing lies above the 0.99 quantile, so active is ">= 6"
    values = np.concatenate([np.linspace(0, 5, 970), np.full(30, 6.0)])
    limit = threshold(values, quantile=0.99)
    assert limit == Threshold(value=6.0, inclusive=True, quantile=0.99)


def test_a_unit_that_rests_is_not_active_everywhere() -> None:
    # one position in 100,000 differs: far below the wanted share, yet ">= 0" would be everything
    values = np.zeros(100_000)
    values[7] = 1.0
    limit = threshold(values, quantile=0.99)
    assert not isinstance(limit, str)
    assert limit.active(values).sum() == 1


@pytest.mark.parametrize(
    ("values", "reason"),
    [([2.0, 2.0], "never changes"), ([], "empty"), ([0.0, float("nan")], "not finite")],
)
def test_no_threshold_without_reason(values: list[float], reason: str) -> None:
    found = threshold(np.array(values), quantile=0.99)
    assert isinstance(found, str)
    assert reason in found


def test_sample_keeps_clusters_whole_and_subsamples_evenly() -> None:
    rows = observed([3, 0, 2, 5])
    sample = Sample.of(rows)
    assert sample.groups == ("g0", "g1")
    assert sample.clusters.tolist() == [0] * 3 + [1] * 7
    small = Sample.of(rows, limit=4, seed=1)
    assert small.kept is not None
    assert len(small.clusters) == 4
    values = [np.arange(3), np.arange(0), np.arange(3, 5), np.arange(5, 10)]
    assert small.flat(values).tolist() == small.kept.tolist()
    assert Sample.of(rows, limit=4, seed=1).kept.tolist() == small.kept.tolist()  # pyright: ignore[reportOptionalMemberAccess]


def test_too_little_to_score_says_so(evidence: Any) -> None:
    assert "active at 4 of 40" in evidence([True] * 4 + [False] * 36).unusable()
    assert "1 test group only" in evidence([True] * 6 + [False] * 36, clusters=[0] * 6 + [1] * 36).unusable()
    assert "every test position" in evidence([True] * 30).unusable()
    assert evidence([True] * 5 + [False] * 35).unusable() is None


class TestPredictions:
    def test_failures_are_reasons_not_numbers(self, world: Any) -> None:
        on = trial(lambda s: _observe(world, world.units[0], s), modality="text")
        found = world.label(world.units[0], "x")

        def broken(_: Any) -> Any:
            raise KeyError("no such concept")

        cases = {
            "KeyError": found.bound(broken),
            "not a number": replace(found, predicate=_Fixed(np.nan)).bound(_view(world)),
            "positions where": replace(found, predicate=_Fixed(0.0, extra=1)).bound(_view(world)),
        }
        for reason, bad in cases.items():
            said = Predictions().of(bad, on.test_sample)
            assert isinstance(said, str)
            assert reason in said

    def test_the_same_label_is_computed_once(self, world: Any) -> None:
        on = trial(lambda s: _observe(world, world.units[0], s), modality="text")
        calls = []

        def counting(stimulus: Any) -> Any:
            calls.append(stimulus)
            return _view(world)(stimulus)

        cache = Predictions()
        found = world.label(world.units[0], "dal").bound(counting)
        first, second = (cache.of(replace(found, label=label), on.test_sample) for label in "ab")
        assert first is second
        assert len(calls) == len(on.test_sample.stimuli)


def _observe(world: Any, unit: Any, split: Any) -> list[Observed]:
    from maieutic.score.predictive import measured_now

    return measured_now(world.subject, unit, world.corpus.split(split))


def _view(world: Any) -> Any:
    from maieutic.explain import viewer_of

    return viewer_of(world.subject, world.corpus)


class _Fixed:
    """A predicate-like thing that gives one value everywhere, for some positions too many."""

    def __init__(self, value: float, extra: int = 0) -> None:
        self.value, self.extra = value, extra

    def to_json(self) -> dict[str, Any]:
        return {"op": "fixed", "value": str(self.value), "extra": self.extra}

    def evaluate(self, view: Any) -> Any:
        return np.full(len(view) + self.extra, self.value)
