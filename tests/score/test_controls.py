"""Controls: whose label is lent to whom, what a random direction is, and how nulls are compared."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from maieutic.explain.explanation import Explanation
from maieutic.readings import Estimate, Reading
from maieutic.score import (
    CONTROLS,
    Controls,
    NullUnit,
    beats_every_control,
    beside,
    random_directions,
    shuffled,
    verdict,
)
from maieutic.score.controls import compared
from maieutic.score.evidence import Sample, Trial


def label(unit: str, reason: str | None = None) -> Explanation:
    from maieutic.explain.predicates.base import Constant

    return Explanation(
        unit=unit, label=unit, predicate=Constant(value=0.0), explainer="t", confidence=0.5, reason=reason
    )


def test_labels_are_lent_within_a_site_never_to_their_own_unit() -> None:
    found = [label(f"a/{i}") for i in range(9)] + [label(f"b/{i}") for i in range(3)] + [label("a/dark", "abstained")]
    lent = shuffled(found, seed=1)
    assert set(lent) == {e.unit for e in found}
    for unit, labels in lent.items():
        assert all(e.unit != unit and e.unit[0] == unit[0] and not e.abstained for e in labels)
    assert {len(lent[f"a/{i}"]) for i in range(9)} == {5}
    assert {len(lent[f"b/{i}"]) for i in range(3)} == {2}
    assert shuffled(found, seed=1) == lent
    assert shuffled([label("a/0")]) == {"a/0": ()}


def test_random_directions_read_z_scores() -> None:
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((5000, 40)) * np.geomspace(0.01, 100, 40) + np.linspace(-5, 5, 40)
    rows[:, 7] = 3.0  # never changes
    summary = SimpleNamespace(count=len(rows), total=rows.sum(axis=0), total_sq=(rows**2).sum(axis=0))
    atlas = SimpleNamespace(sites={"s": summary})
    units = random_directions(atlas, "s", 30, seed=3)  # pyright: ignore[reportArgumentType]
    assert len({u.key for u in units}) == 30
    shares = []
    for u in units:
        assert u.vector is not None
        values = rows @ u.vector + u.offset
        assert values.mean() == pytest.approx(0.0, abs=1e-3)
        assert values.std() == pytest.approx(1.0, abs=0.1)
        assert u.vector[7] == 0.0
        # what a coordinate adds to the variance of the reading
        shares.append((u.vector * rows.std(axis=0)) ** 2)
    # no coordinate rules, though raw scales differ 10,000-fold: the largest mean share stays near 1/39
    assert np.mean(shares, axis=0).max() < 3 / 39
    again = random_directions(atlas, "s", 30, seed=3)  # pyright: ignore[reportArgumentType]
    assert all(np.array_equal(a.vector, b.vector) for a, b in zip(units, again, strict=True))  # pyright: ignore[reportArgumentType]


@pytest.fixture
def on(evidence: Any) -> Trial:
    rng = np.random.default_rng(0)
    active, clusters = rng.random(900) < 0.05, rng.integers(0, 60, 900)
    clusters[:60] = np.arange(60)
    test = evidence(active, clusters)
    sample = Sample(stimuli=(), lengths=(), groups=test.groups, clusters=test.clusters, kept=None)
    return Trial(test=test, test_sample=sample, select=test, select_sample=sample)


def null(on: Trial, predictions: Any, **more: Any) -> NullUnit:
    return NullUnit(evidence=on.test, predictions=predictions, **more)


def test_null_units_are_averaged_and_paired(on: Trial) -> None:
    rng = np.random.default_rng(1)
    noise = [rng.random(900) for _ in range(4)]
    perfect = on.test.active.astype(float)
    readings = compared(on, perfect, Controls(untrained=[null(on, p) for p in noise]))
    each = [
        compared(on, perfect, Controls(untrained=[null(on, p)]))["predictive.control.untrained"].value for p in noise
    ]
    assert readings["predictive.control.untrained"].value == pytest.approx(np.mean(each))  # pyright: ignore[reportArgumentType, reportCallIssue]
    assert readings["predictive.beats.untrained"].low > 0.7  # pyright: ignore[reportOptionalOperand]
    assert readings["predictive.beats.untrained"].details["null_units"] == 4
    # a null as good as the label is not beaten
    same = compared(on, perfect, Controls(untrained=[null(on, perfect)]))["predictive.beats.untrained"]
    assert (same.value, same.low, same.high) == (0.0, 0.0, 0.0)


def test_null_units_that_were_declined(on: Trial) -> None:
    perfect, noise = on.test.active.astype(float), np.random.default_rng(1).random(900)
    silent = null(on, np.zeros(900), abstained=True)
    some = compared(on, perfect, Controls(untrained=[null(on, noise), silent]))
    alone = compared(on, perfect, Controls(untrained=[null(on, noise)]))
    assert some["predictive.control.untrained"].value == alone["predictive.control.untrained"].value
    assert some["predictive.control.untrained"].details["abstained"] == 1
    every = compared(on, perfect, Controls(untrained=[silent, silent]))["predictive.control.untrained"]
    assert every.value == pytest.approx(on.test.base_rate)


def test_a_control_that_cannot_be_had_says_why(on: Trial, evidence: Any) -> None:
    perfect = on.test.active.astype(float)
    readings = compared(on, perfect, Controls(missing={"untrained": "a black box has no untrained copy"}))
    assert readings["predictive.control.untrained"].reason == "a black box has no untrained copy"
    assert "random directions" in str(readings["predictive.control.random_direction"].reason)
    elsewhere = NullUnit(evidence=evidence([True] * 6 + [False] * 60), predictions=np.zeros(66))
    readings = compared(on, perfect, Controls(random_direction=[elsewhere]))
    assert "other documents" in str(readings["predictive.control.random_direction"].reason)
    failed = compared(on, perfect, Controls(untrained=[null(on, "the prediction failed: x")]))
    assert failed["predictive.control.untrained"].reason == "the prediction failed: x"
    assert {r.reason for r in compared("the unit never changes", None, Controls()).values()} == {
        "the unit never changes"
    }


def _readings(**lows: float | None) -> dict[str, Reading]:
    found = {"predictive": Reading(name="predictive", value=0.5)}
    for c in CONTROLS:
        name, low = f"predictive.beats.{c}", lows.get(c, 0.1)
        found[name] = (
            Reading.unmeasured(name, "not had")
            if low is None
            else Reading(name=name, value=low + 0.1, low=low, high=low + 0.2)
        )
    return found


def test_verdict() -> None:
    assert beats_every_control(_readings()) is True
    assert beats_every_control(_readings(shuffled=0.0)) is False  # touching 0 is not beating
    assert beats_every_control(_readings(untrained=None)) is None
    assert beats_every_control(_readings(untrained=None, constant=-0.1)) is False
    assert verdict(_readings(untrained=None)).unmeasured == {"untrained": "not had"}
    assert verdict(_readings(shuffled=-0.2)).lost == ("shuffled",)
    abstained = _readings() | {"predictive": Reading.unmeasured("predictive", "abstained: x")}
    assert beats_every_control(abstained) is None


def test_one_function_puts_controls_beside_any_scorer(on: Trial) -> None:
    def estimate(value: float) -> Estimate:
        return Estimate(value=value, replicates=np.full(10, value))

    def judge(found: Explanation, null: NullUnit | None = None, /) -> Estimate | str:
        if null is not None:
            return estimate(0.2) if null.label == "a" else "never fires"
        return estimate(0.1 if found.abstained else 0.4)

    controls = Controls(
        shuffled=[label("a/1"), label("a/2")], one_shot=label("a/0", "found nothing"),
        untrained=[null(on, np.zeros(900), label="a"), null(on, np.zeros(900), label="b")],
        random_direction=[null(on, np.zeros(900), abstained=True)],
    )  # fmt: skip
    found = beside("mine", estimate(0.5), judge, controls, n=7, senseless={"constant": "says nothing here"})
    levels = {c: found[f"mine.control.{c}"].value for c in CONTROLS}
    # an abstention is the constant; of two null units one cannot be had; all directions declined: the constant
    assert levels == {"constant": None, "shuffled": 0.4, "one_shot": 0.1, "untrained": 0.2, "random_direction": 0.1}
    assert found["mine.beats.shuffled"].value == pytest.approx(0.1)
    assert found["mine.beats.constant"].reason == "says nothing here"
    assert found["mine.control.untrained"].details["failed"] == ["never fires"]
    assert verdict({"mine": Reading(name="mine", value=0.5), **found}, headline="mine").unmeasured == {
        "constant": "says nothing here"
    }
    lost = beside("mine", "abstained", judge, controls)
    assert lost["mine.beats.shuffled"].reason == "abstained"
    assert lost["mine.control.shuffled"].value == 0.4
