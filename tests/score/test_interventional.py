"""Interventional scorer: on networks whose causal outputs are known, and its arithmetic by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from maieutic.errors import UserError
from maieutic.explain.explanation import Explanation
from maieutic.explain.predicates.base import Constant, Predicate, Prediction
from maieutic.harvest import Atlas, harvest
from maieutic.readings import Reading
from maieutic.score import Controls, score
from maieutic.score.interventional import BESIDE, HEADLINE, ON, choose
from maieutic.score.interventional_effects import STEPS, cosines, directions, effect, log_softmax
from maieutic.stimuli.base import Corpus
from maieutic.stimuli.planted import planted_corpus
from maieutic.subjects import Intervention, Unit, function_subject
from maieutic.subjects.planted.network import PlantedNetwork, planted_network

BOTH = pytest.mark.parametrize("modality", ["text", "image"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted(Predicate):
    """The exact truth of a planted unit of the default networks: what a perfect label predicts."""

    op: ClassVar[str] = "test-planted"
    modality: str
    index: int

    def evaluate(self, view: Any) -> Prediction:
        material: Any = planted_network(self.modality).material  # type: ignore[arg-type]
        if self.modality == "text":
            return material.truth(view.text)[:, self.index]
        return np.array([material.concepts[self.index].truth(view.things)])

    def describe(self) -> str:
        return f"concept {self.index}"


@dataclass(frozen=True)
class Lesson:
    """A planted network with a harvest of its corpus."""

    network: PlantedNetwork
    corpus: Corpus
    atlas: Atlas

    def label(self, name: str, unit: Unit) -> Explanation:
        """The label that says exactly what the planted unit of that name carries, given to some unit."""
        index = [u.name for u in self.network.units].index(name)
        predicate = Planted(modality=self.network.modality, index=index)
        return Explanation(unit=unit.key, label=name, predicate=predicate, explainer="test", confidence=1.0)

    def score(self, label: str, unit: Unit, **more: Any) -> Mapping[str, Reading]:
        found = self.label(label, unit)
        options: dict[str, Any] = {"atlas": self.atlas, "controls": Controls(), **more}
        return score(found, self.network.subject, unit, self.corpus, ["interventional"], **options)


@pytest.fixture(scope="session")
def lessons() -> dict[str, Lesson]:
    made: dict[str, Lesson] = {}
    for modality in ("text", "image"):
        network = planted_network(modality)  # type: ignore[arg-type]
        corpus = planted_corpus(network)
        keep = [*(u.unit for u in network.units), *network.ordinary[:3]]
        made[modality] = Lesson(network, corpus, harvest(network.subject, corpus, [network.site], keep=keep))
    return made


def value(readings: Mapping[str, Reading], name: str) -> float:
    found = readings[f"{HEADLINE}.{name}" if name else HEADLINE]
    assert found.value is not None, found.reason
    return found.value


# --- what is known of planted networks -----------------------------------------------------------------------------
@BOTH
def test_true_labels_of_causal_units_beat_random_and_unrelated_directions(
    lessons: dict[str, Lesson], modality: str
) -> None:
    lesson = lessons[modality]
    for unit in (u for u in lesson.network.units if u.raises):
        found = lesson.score(unit.name, unit.unit)
        assert value(found, "") > 0.8, unit.name
        assert value(found, "ablate") > 4, unit.name
        assert value(found, "specific") > 0.9, unit.name
        for beside in ("vs_random", "vs_unrelated", "steer_vs_random", "steer_vs_unrelated"):
            low = found[f"{HEADLINE}.{beside}"].low
            assert low is not None and low > 0, f"{unit.name}: {beside}"
        assert value(found, "steer") > 0.8, unit.name
        seen = found[HEADLINE].details["seen"]
        assert abs(seen["after"] - found[HEADLINE].details["mean"]) < 1e-4 < abs(seen["before"] - seen["after"])


@BOTH
def test_another_units_label_scores_at_chance(lessons: dict[str, Lesson], modality: str) -> None:
    lesson = lessons[modality]
    units = [u for u in lesson.network.units if u.raises]
    for unit, other in zip(units, [*units[1:], units[0]], strict=True):
        found = lesson.score(other.name, unit.unit)
        assert value(found, "") <= found[HEADLINE].details["base_rate"] + 0.1, f"{other.name} for {unit.name}"
        assert value(found, "specific") < 0.2
        assert value(found, "vs_random") < 0
        assert value(found, "steer") < 0.3


@BOTH
def test_an_idle_unit_has_no_effect_however_true_its_label(lessons: dict[str, Lesson], modality: str) -> None:
    lesson = lessons[modality]
    idle = lesson.network.named("idle-0")
    found = lesson.score("idle-0", idle.unit)
    assert value(found, "") == value(found, "ablate") == value(found, "steer") == 0.0
    assert value(found, "vs_random") < 0 and value(found, "vs_unrelated") < 0
    assert found[f"{HEADLINE}.specific"].reason == "no step changed the outputs"
    assert found[HEADLINE].details["seen"]["before"] > 0.5  # the ablation acted all the same


def test_an_ordinary_unit_does_not_pass_for_a_planted_one(lessons: dict[str, Lesson]) -> None:
    lesson = lessons["text"]
    scores = [lesson.score("word-0", unit) for unit in lesson.network.ordinary[:3]]
    aps = [s[HEADLINE].value for s in scores if s[HEADLINE].value is not None]
    assert aps and np.mean(aps) < 0.6


@BOTH
def test_labels_stand_beside_controls_on_the_same_effects(lessons: dict[str, Lesson], modality: str) -> None:
    lesson = lessons[modality]
    unit, other = lesson.network.units[0], lesson.network.units[1]
    found = lesson.score(unit.name, unit.unit, controls=Controls(shuffled=[lesson.label(other.name, other.unit)]))
    base = found[HEADLINE].details["base_rate"]
    assert found["interventional.control.constant"].value == pytest.approx(base)
    assert found["interventional.beats.constant"].low > 0  # type: ignore[operator]
    assert found["interventional.beats.shuffled"].low > 0  # type: ignore[operator]
    assert found["interventional.beats.untrained"].reason
    expected = {HEADLINE, *(f"{HEADLINE}.{b}" for b in BESIDE)}
    assert expected <= found.keys() and all(k.startswith(HEADLINE) for k in found)


def test_the_same_seed_gives_the_same_readings_at_a_bounded_cost(lessons: dict[str, Lesson]) -> None:
    lesson = lessons["text"]
    unit = lesson.network.units[0]
    first, again = (lesson.score(unit.name, unit.unit, seed=4) for _ in range(2))
    for name, reading in first.items():
        assert (reading.value, reading.low, reading.high, reading.reason) == (
            again[name].value, again[name].low, again[name].high, again[name].reason
        )  # fmt: skip
    # 24 positions x (clean, ablated, 3 random, 3 unrelated) + 12 x (raised, 3 unrelated raised) = 192 + 48
    assert first[HEADLINE].cost.measurements == 240
    assert 240 < first[HEADLINE].cost.tokens <= 240 * 28


def test_directions_and_negative_tails_are_units_too(lessons: dict[str, Lesson]) -> None:
    lesson = lessons["text"]
    unit, width = lesson.network.units[0], 64
    vector = np.zeros(width, np.float32)
    vector[unit.unit.index] = 2.0  # the same neuron, read at twice its size and shifted
    as_direction = lesson.network.subject.direction(lesson.network.site, vector, "twice", offset=-1.0)
    plain, twice = lesson.score(unit.name, unit.unit), lesson.score(unit.name, as_direction)
    for name in ("", "ablate", "vs_random", "steer"):
        assert value(plain, name) == pytest.approx(value(twice, name), rel=1e-3), name
    tail = lesson.network.subject.unit(lesson.network.site, unit.unit.index or 0, sign=-1)
    assert value(lesson.score(unit.name, tail), "specific") > 0.5  # ablation is the same; what is "active" is not


# --- what cannot be measured ---------------------------------------------------------------------------------------
def test_reasons_rather_than_numbers(lessons: dict[str, Lesson]) -> None:
    lesson = lessons["text"]
    unit, subject = lesson.network.units[0].unit, lesson.network.subject

    def reason(found: Explanation, **more: Any) -> str:
        options: dict[str, Any] = {"atlas": lesson.atlas, "controls": Controls(), **more}
        readings = score(found, subject, unit, lesson.corpus, ["interventional"], **options)
        assert all(r.value is None for r in readings.values())
        return str(readings[HEADLINE].reason)

    assert reason(Explanation.unexplained(unit.key, "nothing fits", explainer="test")) == "abstained: nothing fits"
    flat = Explanation(unit=unit.key, label="all", predicate=Constant(value=1.0), explainer="test", confidence=1.0)
    assert "the same everywhere" in reason(flat)
    once = Explanation(
        unit=unit.key, label="one", predicate=Once(text=lesson.corpus.split("test")[0].content), explainer="test",
        confidence=1.0,
    )  # fmt: skip
    assert "at least 3 of each are needed" in reason(once)
    failing = Explanation(unit=unit.key, label="x", predicate=Failing(), explainer="test", confidence=1.0)
    assert "the prediction failed" in reason(failing)


@dataclass(frozen=True, slots=True, kw_only=True)
class Once(Predicate):
    """1 at the first position of one text."""

    op: ClassVar[str] = "test-once"
    text: str

    def evaluate(self, view: Any) -> Prediction:
        out = np.zeros(len(view))
        out[0] = float(view.text == self.text)
        return out

    def describe(self) -> str:
        return "once"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failing(Predicate):
    """Raises."""

    op: ClassVar[str] = "test-failing"

    def evaluate(self, view: Any) -> Prediction:
        raise ValueError("broken")

    def describe(self) -> str:
        return "broken"


def test_a_black_box_cannot_be_intervened_on(lessons: dict[str, Lesson]) -> None:
    corpus = lessons["text"].corpus
    word = lessons["text"].network.units[0].involved[0]
    subject = function_subject(lambda texts: [[float(w == word) for w in t.split()] for t in texts], name="box")
    found = lessons["text"].label("word-0", subject.unit())
    readings = score(found, subject, subject.unit(), corpus, ["interventional"], controls=Controls())
    assert "cannot be changed" in str(readings[HEADLINE].reason)


# --- arithmetic by hand --------------------------------------------------------------------------------------------
def test_effects_are_divergences() -> None:
    clean, changed = np.log([[0.5, 0.5], [0.9, 0.1]]), np.log([[0.25, 0.75], [0.9, 0.1]])
    # 0.5 ln(0.5 / 0.25) + 0.5 ln(0.5 / 0.75) = 0.5 (0.6931 - 0.4055) = 0.1438
    np.testing.assert_allclose(effect(clean, changed), [0.1438, 0.0], atol=1e-4)
    np.testing.assert_allclose(effect(clean + 7.0, changed - 2.0), [0.1438, 0.0], atol=1e-4)  # softmax sees no shift
    np.testing.assert_allclose(effect(np.array([[1.0]]), np.array([[-0.5]])), [1.5])  # one output: |change|
    logits = torch.randn(5, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    np.testing.assert_allclose(log_softmax(logits.numpy()), torch.log_softmax(logits, dim=1).numpy(), atol=1e-12)


def test_cosines_of_changes() -> None:
    clean = np.zeros((4, 3))
    changed = np.array([[2.0, -1.0, -1.0], [-2.0, 1.0, 1.0], [5.0, 5.0, 5.0], [1e-9, 0.0, 0.0]])
    # the third is a shift that the softmax does not see, the fourth rounding: neither moves anything
    np.testing.assert_allclose(cosines(clean, changed, np.array([2.0, -1.0, -1.0])), [1.0, -1.0, 0.0, 0.0])


def test_positions_come_from_both_sides_and_from_many_documents() -> None:
    applies = np.zeros(400, dtype=bool)
    applies[:100] = True
    active = np.zeros(400, dtype=bool)
    active[90:110] = True
    clusters = np.arange(400) // 10
    rows = choose(applies, active, clusters, lambda row: row % 2 == 0, seed=1)
    assert list(rows) == sorted(set(rows.tolist())) and all(r % 2 == 0 for r in rows)
    assert (applies[rows].sum(), (~applies[rows]).sum()) == (ON, ON)
    assert (~applies & active)[rows].sum() >= 5  # of 5 even rows where the unit is active but the label silent
    assert len(set(clusters[rows[applies[rows]]].tolist())) == 10  # all ten documents before a second of any
    again = choose(applies, active, clusters, lambda row: row % 2 == 0, seed=1)
    np.testing.assert_array_equal(rows, again)


def test_directions_are_of_length_one_and_unrelated(lessons: dict[str, Lesson]) -> None:
    lesson = lessons["text"]
    unit = lesson.network.units[0].unit
    found = directions(unit, lesson.atlas, seed=0)
    assert not isinstance(found, str)
    random, unrelated = found
    assert len(random) == len(unrelated) and len(random) % STEPS == 0
    rows = lesson.atlas.sites[lesson.network.site].sample_values
    for direction in random:
        assert np.linalg.norm(direction.vector) == pytest.approx(1.0, abs=1e-5)  # type: ignore[arg-type]
    for other in unrelated:
        assert other.index != unit.index
        assert abs(np.corrcoef(rows[:, other.index], rows[:, unit.index])[0, 1]) < 0.2  # type: ignore[call-overload]


def test_an_intervention_that_does_nothing_is_an_error_not_a_zero(lessons: dict[str, Lesson]) -> None:
    lesson = lessons["text"]
    unit = lesson.network.units[0].unit
    with pytest.raises(UserError, match="changed nothing"):
        lesson.network.subject.outputs(["river"], interventions=[Intervention(unit=unit, kind="add", value=0.0, at=-1)])
