"""Whatever is wrong with a label, a subject or a stimulus, scoring gives readings with reasons, and goes on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import maieutic as mt
from maieutic.explain.explanation import Explanation
from maieutic.explain.predicates.base import Predicate
from maieutic.explain.predicates.text import TokenIn
from maieutic.score import CONTROLS, Request, registry, score
from maieutic.stimuli.base import Corpus
from maieutic.subjects.planted import SITE, PlantedSubject

SCORERS = ("predictive", "generative", "discrimination")


def label(unit: str, predicate: Predicate) -> Explanation:
    return Explanation(unit=unit, label="x", predicate=predicate, explainer="t", confidence=1.0)


def check(readings: dict[str, Any], reason: str) -> None:
    """Every headline has that reason, and no reading is missing."""
    for scorer in SCORERS:
        assert reason in str(readings[scorer].reason), scorer
        for control in CONTROLS:
            assert f"{scorer}.control.{control}" in readings
            assert not readings[f"{scorer}.beats.{control}"].measured


class Raises(Predicate):
    op = "test-raises"

    def evaluate(self, view: Any) -> Any:
        raise ZeroDivisionError("by nought")

    def describe(self) -> str:
        return "raises"

    def to_json(self) -> dict[str, Any]:
        return {"op": self.op}


def test_a_predicate_that_raises(world: Any) -> None:
    readings = score(label(world.units[0].key, Raises()), world.subject, world.units[0], world.corpus, SCORERS)
    check(readings, "the prediction failed: ZeroDivisionError: by nought")


class Sick(PlantedSubject):
    """Gives infinity on long texts, or raises."""

    raising = False

    def _sick(self, values: Any) -> Any:
        if self.raising:
            raise OSError("out of reach")
        return values + np.float32("inf") if len(values) > 60 else values

    def read(self, stimuli: Any, units: Any, *, interventions: Any = ()) -> Any:
        return [self._sick(v) for v in super().read(stimuli, units, interventions=interventions)]

    def forward(self, stimuli: Any, sites: Any, *, interventions: Any = (), maps: bool = False) -> Any:
        out = super().forward(stimuli, sites, interventions=interventions, maps=maps)
        return replace(
            out, values={s: self._sick(v) if self.raising else v * float("inf") for s, v in out.values.items()}
        )


def test_a_subject_that_gives_infinity(world: Any) -> None:
    sick = Sick(world.subject.rules, modality="text")
    found = world.label(sick.unit(SITE, 0), world.subject.rules[0].name)
    readings = score(found, sick, sick.unit(SITE, 0), world.corpus, SCORERS)
    assert "not finite" in str(readings["predictive"].reason)
    # generated stimuli are short, so that it answers; a whole harvest for neighbours cannot be had
    assert readings["generative"].measured
    assert "infinity" in str(readings["discrimination"].reason)
    assert (
        "one-shot label could not be made" in str(readings["predictive.control.one_shot"].reason)
        or not readings["predictive.control.one_shot"].measured
    )


def test_a_subject_that_raises(world: Any) -> None:
    sick = Sick(world.subject.rules, modality="text")
    sick.raising = True
    found = world.label(sick.unit(SITE, 0), world.subject.rules[0].name)
    check(score(found, sick, sick.unit(SITE, 0), world.corpus, SCORERS), "out of reach")


def test_a_constant_unit(world: Any) -> None:
    readings = score(world.label(world.units[7], "dal"), world.subject, world.units[7], world.corpus, SCORERS)
    assert "never changes" in str(readings["predictive"].reason)
    assert "never changes" in str(readings["discrimination"].reason)
    # ranked by nothing: chance
    assert readings["generative"].value == pytest.approx(readings["generative"].details["base_rate"])


@pytest.mark.parametrize("split", ["discover", "select", "test"])
def test_a_corpus_of_one_item(world: Any, split: str) -> None:
    one = Corpus(name="one", modality="text", stimuli=world.corpus.split(split)[:1])
    readings = score(world.label(world.units[0], "dal"), world.subject, world.units[0], one, SCORERS)
    for scorer in SCORERS:
        assert readings[scorer].reason, scorer


@pytest.mark.parametrize("word", ["猫", "кот", "قط", "γάτα", "🐈"])
def test_labels_in_any_script(word: str) -> None:
    rng = np.random.default_rng(0)
    rows = [[word if rng.random() < 0.02 else f"w{rng.integers(4000)}" for _ in range(30)] for _ in range(160)]
    texts = [" ".join(row) for row in rows]
    corpus = mt.Corpus.from_texts(texts, documents=[str(i) for i in range(160)])
    subject = mt.function_subject(
        lambda ts: [[float(w == word) for w in t.split(" ")] for t in ts], modality="text", name="script",
        tokenizer=lambda t: t.split(" "),
    )  # fmt: skip
    found = label(subject.unit().key, TokenIn(words=(word,)))
    readings = score(found, subject, subject.unit(), corpus, ["predictive", "generative"])
    assert readings["predictive"].value == pytest.approx(1.0)
    assert readings["generative"].value == pytest.approx(1.0)


def _gone() -> Any:
    raise FileNotFoundError("no such file: gone.txt")


def test_stimuli_that_fail_to_load_are_counted_and_the_rest_is_scored(world: Any) -> None:
    whole = world.corpus
    lost = {whole.split(s)[1].id for s in ("discover", "select", "test")}
    corpus = replace(whole, stimuli=[replace(s, load=_gone) if s.id in lost else s for s in whole.stimuli])
    kept = replace(whole, stimuli=[s for s in whole.stimuli if s.id not in lost])
    found = world.label(world.units[0], world.subject.rules[0].name)
    readings = score(found, world.subject, world.units[0], corpus, SCORERS)
    rest = score(found, world.subject, world.units[0], kept, SCORERS)
    assert readings["predictive"].details["failed_to_load"] == 2
    assert "gone.txt" in readings["predictive"].details["failed_first"]
    assert readings["generative"].details["failed_to_load"] == 1
    for scorer in SCORERS:
        assert readings[scorer].value == rest[scorer].value == 1.0
        assert readings[f"{scorer}.control.constant"].measured
    assert readings["predictive"].n == rest["predictive"].n


def test_a_stimulus_that_is_lost_after_the_harvest(world: Any) -> None:
    from maieutic.harvest import harvest

    atlas = harvest(world.subject, world.corpus, [SITE], keep=world.units)
    lost = world.corpus.split("test")[0].id

    def vanished(unit: Any, split: Any) -> Any:
        rows = atlas.observe(unit, split)
        return [replace(o, stimulus=replace(o.stimulus, load=_gone)) if o.stimulus.id == lost else o for o in rows]

    stimuli = [replace(s, load=_gone) if s.id == lost else s for s in world.corpus.stimuli]
    later = replace(atlas, observe=vanished, corpus=replace(world.corpus, stimuli=stimuli))
    found = world.label(world.units[0], world.subject.rules[0].name)
    readings = score(found, world.subject, world.units[0], later.corpus, SCORERS, atlas=later)
    assert readings["predictive"].value == 1.0
    assert readings["predictive"].details["failed_to_load"] == 1
    assert readings["generative"].value == 1.0
    assert readings["discrimination"].value == 1.0


def test_a_scorer_that_raises_leaves_the_others_alone(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Request) -> Any:
        raise KeyError("half-written plug-in")

    load = registry.load_scorer
    monkeypatch.setattr(registry, "load_scorer", lambda n: broken if n == "mine" else load(n))
    found = world.label(world.units[0], world.subject.rules[0].name)
    readings = score(found, world.subject, world.units[0], world.corpus, ["mine", "predictive"])
    assert "the scorer failed: KeyError" in str(readings["mine"].reason)
    assert "the scorer failed" in str(readings["mine.beats.constant"].reason)
    assert readings["predictive"].value == 1.0


def test_another_modality_is_a_wrong_argument(world: Any) -> None:
    pictures = Corpus(name="pictures", modality="image", stimuli=[])
    with pytest.raises(mt.UserError, match="give a corpus of the subject's modality"):
        score(world.label(world.units[0], "dal"), world.subject, world.units[0], pictures)
