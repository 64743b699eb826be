"""The discrimination scorer: by hand, and on planted units with known neighbours."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from maieutic.explain.explanation import Explanation
from maieutic.explain.predicates.base import Constant
from maieutic.harvest import harvest
from maieutic.readings import Estimate
from maieutic.score import Controls, NullUnit, score, shuffled
from maieutic.score.discrimination import _first, _rank, above_chance, share_beaten
from maieutic.score.neighbours import nearest
from maieutic.subjects.base import Unit
from maieutic.subjects.planted import SITE, Planted, PlantedSubject, Words

NAMES = ("discrimination", "discrimination.rank", "discrimination.top1")


def test_the_nearest_fire_in_the_same_places() -> None:
    a = np.array([0.0, 1, 0, 1, 0, 0, 1, 0])
    rows = np.stack([a, 2 * a + 5, -a, np.roll(a, 1), np.ones(8), a + 0.3 * np.arange(8)], axis=1).astype(np.float32)
    atlas = SimpleNamespace(
        sites={"s": SimpleNamespace(sample_values=rows)},
        sample=lambda u: u.sign * rows[:, u.index],
    )
    unit = Unit(site="s", index=0)
    near = nearest(atlas, unit, n=4)  # pyright: ignore[reportArgumentType]
    assert not isinstance(near, str)
    # a copy, its opposite (whose lower tail it is), the one with a drift; the one that fires elsewhere only rests or
    # fires, so "does not fire" is not a unit and it comes last; a constant is no neighbour
    assert [(k.unit.index, k.unit.sign) for k in near] == [(1, 1), (2, -1), (5, 1), (3, 1)]
    assert [k.r for k in near[:2]] == [pytest.approx(1.0), pytest.approx(1.0)]
    assert near[2].r == pytest.approx(np.corrcoef(a, rows[:, 5])[0, 1])
    assert near[3].r == pytest.approx(np.corrcoef(a, rows[:, 3])[0, 1])
    flat = nearest(atlas, Unit(site="s", index=4))  # pyright: ignore[reportArgumentType]
    assert "never changes" in str(flat)


def test_above_chance_by_hand(evidence: Any) -> None:
    on = evidence([True, True, False, False, False, False, False, False])
    # ranked + - + ...: AP = (1 + 2/3) / 2 = 5/6; b = 1/4; (5/6 - 1/4) / (3/4) = 7/9
    predicted = np.array([0.9, 0.7, 0.8, 0.1, 0.1, 0.1, 0.1, 0.1])
    assert above_chance(on, predicted).value == pytest.approx(7 / 9)
    assert above_chance(on, np.zeros(8)).value == pytest.approx(0.0)
    assert above_chance(on, on.measured).value == pytest.approx(1.0)


def test_wins_ties_and_losses_by_hand() -> None:
    def one(value: float, replicates: list[float]) -> Estimate:
        return Estimate(value=value, replicates=np.array(replicates))

    scores = (one(0.5, [0.5, 0.4]), one(0.3, [0.3, 0.4]), one(0.5, [0.1, 0.1]), one(0.7, [0.1, 0.9]))
    # one beaten, one tie, one lost: (1 + 1/2 + 0) / 3; resamples: 3/3 and (1/2 + 1 + 0) / 3
    share = share_beaten(scores)
    assert share.value == pytest.approx(0.5)
    assert share.replicates.tolist() == [pytest.approx(1.0), pytest.approx(0.5)]
    assert _rank(scores).value == pytest.approx(1 + 0.5 + 1)
    assert _first(scores).value == 0.0
    assert _first(scores).replicates.tolist() == [1.0, 0.0]


def names(world: Any) -> list[str]:
    return [r.name for r in world.subject.rules[:7]]


def run(world: Any, found: Explanation, unit: int = 0, **more: Any) -> dict[str, Any]:
    more.setdefault("controls", Controls())
    return score(found, world.subject, world.units[unit], world.corpus, ["discrimination"], **more)


def test_an_oracle_comes_first_and_controls_are_at_chance(world: Any) -> None:
    labels = [world.label(u, w) for u, w in zip(world.units, names(world), strict=False)]
    controls = Controls(shuffled=shuffled(labels)[labels[0].unit], one_shot=world.label(world.units[0], "none"))
    readings = run(world, labels[0], controls=controls)
    assert [readings[n].value for n in NAMES] == [1.0, 1.0, 1.0]
    assert readings["discrimination"].low == 1.0
    details = readings["discrimination"].details
    # seven units about one word each; the dead one is no neighbour
    assert details["neighbour_count"] == 6
    assert details["above_chance"] == pytest.approx(1.0)
    assert readings["discrimination"].cost.measurements == len(world.corpus.split("test"))
    # a constant fits all alike; the label of a neighbour fits that one better and the five others alike: 2.5 / 6
    assert readings["discrimination.control.constant"].value == 0.5
    assert readings["discrimination.control.one_shot"].value == 0.5
    assert readings["discrimination.control.shuffled"].value == pytest.approx(2.5 / 6, abs=0.05)
    assert readings["discrimination.beats.constant"].low > 0


def test_a_label_that_fits_its_neighbours_better_is_told(world: Any) -> None:
    words = names(world)
    wrong = run(world, world.label(world.units[0], words[1]))
    assert wrong["discrimination.top1"].value == 0.0
    assert wrong["discrimination.rank"].value > 1


def test_constants_abstentions_and_dead_units(world: Any) -> None:
    anything = Explanation(
        unit=world.units[0].key, label="anything", predicate=Constant(value=1.0), explainer="t", confidence=1.0
    )
    assert run(world, anything)["discrimination"].value == 0.5
    silent = Explanation.unexplained(world.units[0].key, "nothing in common", explainer="t")
    assert run(world, silent)["discrimination"].reason == "abstained: nothing in common"
    dead = run(world, world.label(world.units[7], names(world)[0]), 7)
    assert all("never changes" in str(dead[n].reason) for n in NAMES)


def test_a_unit_without_neighbours_is_unmeasured(world: Any) -> None:
    few = PlantedSubject(world.subject.rules[:2], modality="text")
    found = world.label(few.unit(SITE, 0), names(world)[0])
    readings = score(found, few, few.unit(SITE, 0), world.corpus, ["discrimination"], controls=Controls())
    assert "at least 2 are needed" in str(readings["discrimination"].reason)
    assert "at least 2 are needed" in str(readings["discrimination.beats.constant"].reason)


def test_near_twins_need_the_better_label(world: Any) -> None:
    words = names(world)
    # five units that share a word, each with another one of its own
    rules = [
        Planted(name=w, kind="or", rule=Words(((words[0], 1.0), (w, 1.0))), about=f"{words[0]} or {w}")
        for w in words[1:6]
    ]
    subject = PlantedSubject(rules, modality="text")
    unit = subject.unit(SITE, 0)
    whole = world.label(unit, words[0], words[1])
    shared_only = replace(whole, predicate=world.label(unit, words[0]).predicate)
    first = score(whole, subject, unit, world.corpus, ["discrimination"], controls=Controls())
    vague = score(shared_only, subject, unit, world.corpus, ["discrimination"], controls=Controls())
    assert first["discrimination.rank"].value == 1.0
    # the shared word says nothing about which of the five it is
    assert vague["discrimination.rank"].value > 1.0
    assert vague["discrimination"].low < 0.6


def test_null_units_and_an_atlas(world: Any, some_evidence: dict[str, Any]) -> None:
    from maieutic.explain import viewer_of

    atlas = harvest(world.subject, world.corpus, [SITE], keep=world.units)
    found = world.label(world.units[0], names(world)[0]).bound(viewer_of(world.subject, world.corpus))
    other = NullUnit(found=found, subject=world.subject, unit=world.units[3], atlas=atlas, **some_evidence)
    readings = run(world, found, controls=Controls(untrained=[other]), atlas=atlas)
    assert readings["discrimination"].value == 1.0
    # on a unit that the label is not about, one of six neighbours fits it better and five alike
    assert readings["discrimination.control.untrained"].value < 0.6
    assert "evidence only" in str(
        run(world, found, controls=Controls(untrained=[NullUnit(**some_evidence)]))[
            "discrimination.control.untrained"
        ].reason
    )
