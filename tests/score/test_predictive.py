"""The predictive scorer: metrics against scikit-learn, reasons instead of numbers, and the one call."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, balanced_accuracy_score, f1_score

from maieutic.errors import UsageError
from maieutic.explain.explanation import Explanation
from maieutic.score import CONTROLS, Controls, load_scorer, score, scorer_names, shuffled, verdict
from maieutic.score.predictive import BESIDE, HEADLINE, operating_point, predictive


def test_every_metric_equals_scikit_learn(evidence: Any) -> None:
    rng = np.random.default_rng(4)
    active = rng.random(500) < 0.2
    predicted = np.round(0.4 * active + 0.6 * rng.random(500), 1)
    measured = active + 0.2 * rng.standard_normal(500)
    on = evidence(active, rng.integers(0, 30, 500), measured=np.where(active, measured + 2, np.minimum(measured, 0.4)))
    found = predictive(on, predicted, cut=0.6)
    flagged = predicted >= 0.6
    assert found[HEADLINE].value == pytest.approx(average_precision_score(active, predicted))
    assert found["predictive.f1"].value == pytest.approx(f1_score(active, flagged))
    assert found["predictive.balanced_accuracy"].value == pytest.approx(balanced_accuracy_score(active, flagged))
    gap = (on.measured[flagged].mean() - on.measured[~flagged].mean()) / on.measured.std()
    assert found["predictive.mean_gap"].value == pytest.approx(gap)
    for reading in found.values():
        assert reading.low is not None
        assert reading.low <= reading.value <= reading.high  # pyright: ignore[reportOperatorIssue]
        assert reading.details["base_rate"] == pytest.approx(active.mean())


def test_operating_point_is_the_best_f1_of_all(evidence: Any) -> None:
    rng = np.random.default_rng(2)
    active = rng.random(200) < 0.3
    predicted = np.round(0.5 * active + 0.5 * rng.random(200), 1)
    best = max(sorted(set(predicted), reverse=True), key=lambda t: f1_score(active, predicted >= t))
    assert operating_point(evidence(active), predicted) == best


def test_operating_point_needs_something_active(evidence: Any) -> None:
    assert "no active position" in str(operating_point(evidence([False] * 9), np.zeros(9)))
    assert operating_point(evidence([True] * 9), "why not") == "why not"


@pytest.mark.parametrize("reason", ["abstained: too few exemplars", "the prediction failed: KeyError"])
def test_no_prediction_is_unmeasured_everywhere(evidence: Any, reason: str) -> None:
    found = predictive(evidence([True] * 6 + [False] * 60), reason)
    assert set(found) == {HEADLINE, *(f"predictive.{m}" for m in BESIDE)}
    assert {r.reason for r in found.values()} == {reason}


def test_a_label_that_applies_everywhere_has_no_gap(evidence: Any) -> None:
    found = predictive(evidence([True] * 6 + [False] * 60), np.ones(66), cut=1.0)
    assert not found["predictive.mean_gap"].measured
    assert not found["predictive.pearson"].measured
    assert found[HEADLINE].value == pytest.approx(6 / 66)


def test_score_gives_every_reading_and_beats_what_it_should(world: Any) -> None:
    words = [r.name for r in world.subject.rules[:7]]
    labels = [world.label(u, w) for u, w in zip(world.units, words, strict=False)]
    controls = Controls(shuffled=shuffled(labels)[labels[0].unit], one_shot=world.label(world.units[0], words[1]))
    readings = score(labels[0], world.subject, world.units[0], world.corpus, controls=controls)
    wanted = {HEADLINE, *(f"predictive.{m}" for m in BESIDE)}
    wanted |= {f"predictive.{kind}.{c}" for c in CONTROLS for kind in ("control", "beats")}
    assert set(readings) == wanted
    assert readings[HEADLINE].value == 1.0
    assert readings[HEADLINE].cost.measurements == len(world.corpus.split("test"))
    base = readings[HEADLINE].details["base_rate"]
    assert readings["predictive.control.constant"].value == pytest.approx(base)
    assert readings["predictive.beats.constant"].value == pytest.approx(1 - base)
    found = verdict(readings)
    assert found.beaten == ("constant", "shuffled", "one_shot")
    assert set(found.unmeasured) == {"untrained", "random_direction"}
    assert found.beats is None
    # nothing depends on the clock or on memory: the same call gives the same readings
    assert score(labels[0], world.subject, world.units[0], world.corpus, controls=controls) == readings


def test_score_reads_the_same_from_an_atlas(world: Any) -> None:
    from maieutic.harvest import harvest
    from maieutic.subjects.planted import SITE

    atlas = harvest(world.subject, world.corpus, [SITE], keep=world.units)
    found = world.label(world.units[2], world.subject.rules[2].name)
    direct = score(found, world.subject, world.units[2], world.corpus)
    assert score(found, world.subject, world.units[2], world.corpus, atlas=atlas) == direct


def test_reasons_reach_every_reading(world: Any) -> None:
    dead = score(world.label(world.units[7], "dal"), world.subject, world.units[7], world.corpus)
    assert {r.reason for r in dead.values()} == {"the unit never changes"}
    silent = Explanation.unexplained(world.units[0].key, "nothing in common", explainer="test")
    readings = score(silent, world.subject, world.units[0], world.corpus)
    assert readings[HEADLINE].reason == "abstained: nothing in common"
    assert readings["predictive.beats.constant"].reason == "abstained: nothing in common"
    assert readings["predictive.control.constant"].measured  # the control itself can be had
    assert verdict(readings).beats is None


def test_a_broken_label_is_unmeasured_and_controls_stand(world: Any) -> None:
    def broken(_: Any) -> Any:
        raise RuntimeError("boom")

    found = world.label(world.units[0], "dal").bound(broken)
    readings = score(found, world.subject, world.units[0], world.corpus)
    assert readings[HEADLINE].reason == "the prediction failed: RuntimeError: boom"
    assert readings["predictive.control.constant"].measured


def test_unknown_scorers_are_named_before_anything_is_measured(world: Any) -> None:
    with pytest.raises(UsageError, match="did you mean 'predictive'"):
        score(world.label(world.units[0], "dal"), None, None, None, ["predictiv"])  # pyright: ignore[reportArgumentType]
    assert "predictive" in scorer_names()
    assert callable(load_scorer("predictive"))


def test_the_test_split_alone_decides_the_score(world: Any) -> None:
    # "> 0" or ">= 1" may be the threshold of the two values; who is active, hence the headline, must not move
    found = world.label(world.units[1], world.subject.rules[1].name, world.subject.rules[2].name)
    whole = score(found, world.subject, world.units[1], world.corpus)
    kept = [s for i, s in enumerate(world.corpus.stimuli) if s.split == "test" or i % 2]
    less = score(found, world.subject, world.units[1], replace(world.corpus, stimuli=kept))
    for name in (HEADLINE, "predictive.pearson", "predictive.auroc", "predictive.beats.constant"):
        assert (less[name].value, less[name].low, less[name].high) == (
            whole[name].value,
            whole[name].low,
            whole[name].high,
        )
