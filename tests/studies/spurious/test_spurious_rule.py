"""The rule on trials worked out by hand, and on a classifier whose units are exactly object or background detectors."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from maieutic.studies.spurious.config import Rule
from maieutic.studies.spurious.replicate import Classifier, judge
from maieutic.studies.spurious.rule import decide, parts_of, survival_of
from maieutic.studies.spurious.trials import Trials

from .spurious_world import BLUE, DEAD, GREEN, RED, SAND, detectors, settings, world


def trials(measured: np.ndarray, foretold: np.ndarray, bare: float = 0.0) -> Trials:
    empty = np.full(measured.shape[1], bare)
    return Trials(measured=measured, foretold=foretold, bare=empty, bare_foretold=np.zeros(measured.shape[1]))


def by_object(k: int = 8, b: int = 4) -> np.ndarray:
    """The first half of the objects 1 with a little of their own, the others 0."""
    values = np.where(np.arange(k) < k // 2, 1.0, 0.0) + np.linspace(0, 0.1, k)
    return np.repeat(values[:, None], b, axis=1)


def by_ground(k: int = 8, b: int = 4) -> np.ndarray:
    return np.repeat((np.arange(b) < b // 2).astype(float)[None], k, axis=0)


def test_parts_of_a_table_worked_out_by_hand() -> None:
    # rows (objects) 0 and 4, columns (backgrounds) +1 and -1: [[1, -1], [5, 3]], without interaction
    # row means 0, 4: variance 8, component 8; column means 3, 1: variance 2, component 2; rest 0
    found = parts_of(np.array([[1.0, -1.0], [5.0, 3.0]]))
    assert (found.objects, found.backgrounds, found.rest) == pytest.approx((8.0, 2.0, 0.0))


def test_rest_is_taken_off_the_components() -> None:
    # pure interaction [[1, -1], [-1, 1]]: all means 0, rest = 4 / 1 = 4, components cannot be below 0
    found = parts_of(np.array([[1.0, -1.0], [-1.0, 1.0]]))
    assert (found.objects, found.backgrounds, found.rest) == (0.0, 0.0, 4.0)


def test_survival_is_one_for_objects_and_zero_for_backgrounds() -> None:
    assert survival_of(trials(by_object(), by_object())).value == pytest.approx(1.0)
    assert survival_of(trials(by_ground(), by_ground())).value == pytest.approx(0.0)
    assert survival_of(trials(np.ones((8, 4)), by_object())).reason is not None


def test_object_units_are_kept() -> None:
    found = decide(trials(by_object(), by_object()), Rule(), abstained=None)
    assert found.kept and found.reasons == ()


@pytest.mark.parametrize(
    ("measured", "foretold", "bare", "abstained", "why"),
    [
        (by_object(), by_object(), 0.0, "no rule holds", "unexplained"),
        (by_object(), by_ground(), 0.0, None, "speaks of the background"),
        (by_ground(), by_object(), 0.0, None, "follows the object"),
        (by_object(), by_object()[::-1].copy(), 0.0, None, "than other objects"),
        (by_object(), by_object(), 5.0, None, "than no object"),
        (by_object(), np.zeros((8, 4)), 0.0, None, "says the same of all"),
        (np.ones((8, 4)), by_object(), 0.0, None, "cannot be split"),
    ],
)
def test_each_condition_alone_drops_a_unit(
    measured: np.ndarray, foretold: np.ndarray, bare: float, abstained: str | None, why: str
) -> None:
    found = decide(trials(measured, foretold, bare), Rule(), abstained=abstained)
    assert not found.kept
    assert any(why in r for r in found.reasons), found.reasons


def test_planted_detectors_are_told_apart(tmp_path: Path) -> None:
    """Units that see one colour each: exactly those of object colours are kept."""
    material = replace(world(100), test=(), balanced=())
    studied = Classifier(subject=detectors(), site="units")
    decisions, _, rows = judge(studied, material, settings(), 0, tmp_path, range(5))
    assert [d.kept for d in decisions] == [i in (RED, BLUE) for i in range(5)], [r["label"] for r in rows]
    assert decisions[GREEN].survival.value == pytest.approx(0.0, abs=0.2)
    assert decisions[SAND].survival.value == pytest.approx(0.0, abs=0.2)
    assert any("dead" in r for r in decisions[DEAD].reasons)
    shown = rows[RED]
    assert shown["exemplars"] and all((tmp_path / "pictures" / e["picture"][:2]).is_dir() for e in shown["exemplars"])


def test_judging_refuses_material_that_is_not_blind(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="no test"):
        judge(Classifier(subject=detectors(), site="units"), world(100), settings(), 0, tmp_path, range(5))
