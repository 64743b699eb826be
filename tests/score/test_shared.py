"""What units of a run share: worked out once, forgotten in order, and never a different answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from maieutic.explain.explanation import Explanation
from maieutic.explain.predicates.base import Constant
from maieutic.harvest.atlas import Observed
from maieutic.readings import average_precision, cluster_weights, ranking
from maieutic.score import Predictions, Sample, Shared, trial
from maieutic.stimuli.base import Stimulus


@dataclass
class Viewer:
    """A text of ten positions, and how often it was asked."""

    asked: list[Any] = field(default_factory=list[Any])

    def __call__(self, stimulus: Any, /) -> Any:
        self.asked.append(stimulus)
        return range(10)


STIMULI = [
    Stimulus(id=str(i), modality="text", load=lambda: "", group=f"g{i}", split=("discover", "select", "test")[i % 3])
    for i in range(6)
]


def label(value: float, viewer: Viewer) -> Explanation:
    predicate = Constant(value=value)
    return Explanation(unit="u", label="", predicate=predicate, explainer="t", confidence=1.0, viewer=viewer)


def test_predictions_beyond_the_limit_are_made_again() -> None:
    viewer, kept = (
        Viewer(),
        Predictions(limit=2 * 80 * len(STIMULI)),
    )  # ten positions of eight bytes: room for two labels
    sample = Sample.of([Observed(s, np.zeros(10, np.float32)) for s in STIMULI])

    def views(value: float) -> int:
        before = len(viewer.asked)
        assert kept.of(label(value, viewer), sample).tolist() == [value] * 60  # pyright: ignore[reportAttributeAccessIssue]
        return len(viewer.asked) - before

    assert [views(0.1), views(0.2), views(0.1)] == [6, 6, 0]
    assert views(0.3) == 6  # 0.2 was used longest ago and goes
    assert [views(0.1), views(0.3), views(0.2)] == [0, 0, 6]


def test_units_of_one_site_have_one_sample() -> None:
    def of(value: float) -> Any:
        rows = {s.id: np.linspace(0, value, 10).astype(np.float32) for s in STIMULI}
        found = trial(
            lambda split: [Observed(s, rows[s.id]) for s in STIMULI if s.split == split], modality="text", seed=3
        )
        assert not isinstance(found, str)
        return found

    one, other = of(1.0), of(2.0)
    assert one.test_sample is other.test_sample
    assert one.select_sample is other.select_sample
    assert one.test.measured.tolist() != other.test.measured.tolist()


def test_the_memory_of_a_run_is_bounded() -> None:
    shared, made = Shared(), list[int]()

    def make(i: int) -> int:
        made.append(i)
        return i

    for i in range(5000):
        assert shared.once("for every unit", lambda: make(-1)) == -1
        assert shared.once(("unit", i), lambda i=i: make(i)) == i
    assert made == [-1, *range(5000)]  # what every unit uses stays
    assert shared.once(("unit", 4999), lambda: make(0)) == 4999
    assert shared.once(("unit", 0), lambda: 77) == 77  # the oldest is gone


@pytest.mark.parametrize("levels", [2, 20, 400, 3000])
def test_average_precision_alone_is_that_of_the_ranking(levels: int) -> None:
    rng = np.random.default_rng(levels)
    active, clusters = rng.random(3000) < 0.3, rng.integers(0, 40, 3000)
    predicted = rng.integers(0, levels, 3000) / levels
    for most in (512, 16):  # exact, and with levels pooled
        both = {"clusters": clusters, "weights": cluster_weights(40), "max_levels": most}
        alone, beside = average_precision(active, predicted, **both), ranking(active, predicted, **both)
        assert alone.value == beside.average_precision.value
        assert alone.replicates.tolist() == beside.average_precision.replicates.tolist()
