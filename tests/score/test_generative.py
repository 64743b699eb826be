"""The generative scorer: by hand, on planted units whose truth is known, and what it must not be fooled by."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from maieutic.explain.explanation import Explanation
from maieutic.explain.predicates.base import Constant, Predicate
from maieutic.explain.predicates.text import PreviousIs, TokenIn
from maieutic.score import Controls, NullUnit, score, shuffled
from maieutic.score.generative import Shown, _readings
from maieutic.score.made import Levels, Made, MadeSet
from maieutic.score.shared import Shared
from maieutic.stimuli.base import Corpus, Stimulus
from maieutic.subjects.base import Subject
from maieutic.subjects.function import function_subject
from maieutic.subjects.planted import SITE, PlantedSubject

NAMES = ("generative", "generative.hard", "generative.effect", "generative.mean_gap")


def shown(values: dict[str, list[float]]) -> Shown:
    """Stimuli of three sorts with given values, each from a document of its own."""
    rows = [(sort, v) for sort, vs in values.items() for v in vs]
    items = tuple(
        Made(
            sort=sort,  # pyright: ignore[reportArgumentType]
            stimulus=Stimulus(id=f"s{i}", modality="text", load=lambda: "", group=f"d{i}"),
            span=(0, 1),
            kind="",
            what="",
            predicted=0.0,
        )
        for i, (sort, _) in enumerate(rows)
    )
    made = MadeSet(items=items, levels=Levels(low=0.3, high=0.6))
    return Shown(
        items=items, values=np.array([v for _, v in rows]), clusters=np.arange(len(rows)), groups=len(rows), made=made
    )


def test_readings_by_hand() -> None:
    found = _readings(shown({"positive": [4, 3, 2, 1], "near miss": [3.5, 0, 0, 0], "neutral": [2.5, -1]}), seed=0)
    # ranked: 4+ 3.5- 3+ 2.5- 2+ 1+ ... : precision at the positives 1/1, 2/3, 3/5, 4/6, a quarter of the recall each
    assert found["generative"].value == pytest.approx((1 + 2 / 3 + 3 / 5 + 4 / 6) / 4)
    # without neutrals: 4+ 3.5- 3+ 2+ 1+
    assert found["generative.hard"].value == pytest.approx((1 + 2 / 3 + 3 / 4 + 4 / 5) / 4)
    # pairs of positive and near miss: 16, of which 3.5 beats 3, 2 and 1; P(a > b) - P(a < b) = (13 - 3) / 16
    assert found["generative.effect"].value == pytest.approx(10 / 16)
    # (4 + 3 + 2 + 1) / 4 - (2.5 - 1) / 2
    assert found["generative.mean_gap"].value == pytest.approx(2.5 - 0.75)
    assert found["generative.mean_gap"].details["comparison_only"] is True
    assert found["generative"].details["base_rate"] == pytest.approx(0.4)
    for reading in found.values():
        assert reading.low <= reading.value <= reading.high  # pyright: ignore[reportOperatorIssue, reportOptionalOperand]


def test_without_near_misses_the_hard_columns_say_so() -> None:
    found = _readings(shown({"positive": [2, 1, 1, 1], "neutral": [0, 0, 0, 0]}), seed=0)
    assert found["generative"].value == 1.0
    assert "no single edit" in str(found["generative.hard"].reason)
    assert not found["generative.effect"].measured


def run(world: Any, found: Explanation, unit: int = 0, **more: Any) -> dict[str, Any]:
    more.setdefault("controls", Controls())
    return score(found, world.subject, world.units[unit], world.corpus, ["generative"], **more)


def names(world: Any) -> list[str]:
    return [r.name for r in world.subject.rules[:7]]


def test_an_oracle_scores_one_and_controls_are_at_chance(world: Any) -> None:
    words = names(world)
    labels = [world.label(u, w) for u, w in zip(world.units, words, strict=False)]
    controls = Controls(shuffled=shuffled(labels)[labels[0].unit][:2], one_shot=labels[1])
    readings = run(world, labels[0], controls=controls)
    assert [readings[n].value for n in NAMES] == [1.0, 1.0, 1.0, 1.0]
    head = readings["generative"]
    chance = head.details["base_rate"]
    assert head.details["positives"] == 16
    assert head.details["edits"] == {"another word": head.details["near_misses"]}
    assert head.n <= 60
    assert head.cost.measurements == head.n
    for control in ("constant", "shuffled", "one_shot"):
        assert readings[f"generative.control.{control}"].value == pytest.approx(chance, abs=0.03)
        assert readings[f"generative.beats.{control}"].low > 0.5
    assert readings["generative.control.untrained"].reason == "no untrained copy was given: score it in a run"


def test_another_units_label_is_at_chance(world: Any) -> None:
    readings = run(world, world.label(world.units[0], names(world)[3]))
    assert readings["generative"].value == pytest.approx(readings["generative"].details["base_rate"])
    assert readings["generative.effect"].value == 0.0
    assert readings["generative.beats.constant"].value == 0.0


def test_what_a_label_claims_too_much_costs(world: Any) -> None:
    words = names(world)
    right = run(world, world.label(world.units[0], words[0]))["generative"]
    half = run(world, world.label(world.units[0], words[0], words[1]))["generative"]
    third = run(world, world.label(world.units[0], *words[:3]))["generative"]
    assert right.value > half.value + 0.2 > third.value  # pyright: ignore[reportOptionalOperand]


def near(word: str, before: str) -> Predicate:
    from maieutic.explain.predicates.base import And

    return And(parts=(TokenIn(words=(word,)), PreviousIs(part=TokenIn(words=(before,)))))


def pairs_world(world: Any) -> tuple[Corpus, Subject, str, str]:
    """A function that fires on one word, only right after another."""
    word, before = names(world)[0], names(world)[1]

    def after(texts: list[str]) -> list[list[float]]:
        rows = [t.split(" ") for t in texts]
        return [[float(w == word and i > 0 and r[i - 1] == before) for i, w in enumerate(r)] for r in rows]

    def split(text: str) -> list[str]:
        return text.split(" ")

    texts = [str(s.content).replace(f" {word} ", f" {before} {word} ", 1) for s in world.corpus.stimuli]
    stimuli = [replace(s, load=lambda t=t: t) for s, t in zip(world.corpus.stimuli, texts, strict=True)]
    subject = function_subject(after, modality="text", name="after", tokenizer=split)
    return Corpus(name="pairs", modality="text", stimuli=stimuli), subject, word, before


def test_near_misses_of_a_word_in_context_break_one_condition(world: Any) -> None:
    corpus, subject, word, before = pairs_world(world)
    found = Explanation(unit=subject.unit().key, label="", predicate=near(word, before), explainer="t", confidence=1.0)
    right = score(found, subject, subject.unit(), corpus, ["generative"], controls=Controls())["generative"]
    assert right.value == 1.0
    assert {"another word", "another context"} <= set(right.details["edits"])
    # a label that leaves the condition out claims the word everywhere: its transplants find it silent
    loose = replace(found, predicate=TokenIn(words=(word,)))
    wrong = score(loose, subject, subject.unit(), corpus, ["generative"], controls=Controls())["generative"]
    assert wrong.value < right.value - 0.1  # pyright: ignore[reportOptionalOperand]


class Odd(Predicate):
    """A plug-in of which nothing is known but ``evaluate``: the third word of a text, if it begins with b."""

    op = "test-odd"

    def evaluate(self, view: Any) -> Any:
        return np.array([float(i == 2 and t.text.startswith("b")) for i, t in enumerate(view.tokens)])

    def describe(self) -> str:
        return "third words in b"

    def to_json(self) -> dict[str, Any]:
        return {"op": self.op}


def test_any_predicate_will_do(world: Any) -> None:
    def third(texts: list[str]) -> list[list[float]]:
        return [[float(i == 2 and w.startswith("b")) for i, w in enumerate(t.split())] for t in texts]

    subject = function_subject(third, modality="text", name="third", tokenizer=str.split)
    found = Explanation(unit=subject.unit().key, label="", predicate=Odd(), explainer="t", confidence=1.0)
    head = score(found, subject, subject.unit(), world.corpus, ["generative"], controls=Controls())["generative"]
    assert head.value == 1.0
    assert head.details["positives"] >= 10
    # the word is right and its place is wrong, or the place is right and the word is wrong
    assert {"another word", "no context"} <= set(head.details["edits"])


def test_one_value_a_text(world: Any) -> None:
    word = names(world)[0]
    subject = function_subject(lambda ts: [float(word in t.split()) for t in ts], modality="text", name="has")
    from maieutic.explain.predicates.text_rules import Anywhere

    predicate = Anywhere(part=TokenIn(words=(word,)))
    found = Explanation(unit=subject.unit().key, label=word, predicate=predicate, explainer="t", confidence=1.0)
    head = score(found, subject, subject.unit(), world.corpus, ["generative"], controls=Controls())["generative"]
    assert head.value == 1.0
    assert head.details["edits"]["another word"] >= 4


@pytest.mark.parametrize(
    ("label", "reason"),
    [
        (Constant(value=0.0), "applies nowhere"),
        (Constant(value=1.0), "applies everywhere alike"),
        (TokenIn(words=("нет",)), "applies nowhere"),
    ],
)
def test_a_label_that_claims_nothing_has_no_positives(world: Any, label: Predicate, reason: str) -> None:
    found = Explanation(unit=world.units[0].key, label="", predicate=label, explainer="t", confidence=1.0)
    readings = run(world, found)
    assert all(reason in str(readings[n].reason) for n in NAMES)
    assert reason in str(readings["generative.beats.constant"].reason)


def test_a_label_that_raises_and_a_unit_that_gives_no_number(world: Any) -> None:
    def broken(_: Any) -> Any:
        raise RuntimeError("boom")

    word = names(world)[0]
    failed = run(world, world.label(world.units[0], word).bound(broken))["generative"]
    assert failed.reason == "the prediction failed: RuntimeError: boom"
    bad = Unwell(world.subject.rules, modality="text")
    nan = score(
        world.label(bad.unit(SITE, 0), word), bad, bad.unit(SITE, 0), world.corpus, ["generative"], controls=Controls()
    )
    assert "not finite" in str(nan["generative"].reason)


class Unwell(PlantedSubject):
    """Gives no number anywhere."""

    def read(self, stimuli: Any, units: Any, *, interventions: Any = ()) -> Any:
        return [v * np.float32("nan") for v in super().read(stimuli, units, interventions=interventions)]


def test_abstentions_and_null_units(world: Any, some_evidence: dict[str, Any]) -> None:
    silent = Explanation.unexplained(world.units[0].key, "nothing in common", explainer="t")
    assert run(world, silent)["generative"].reason == "abstained: nothing in common"
    label = world.label(world.units[0], names(world)[0])
    from maieutic.explain import viewer_of

    found = label.bound(viewer_of(world.subject, world.corpus))
    null = NullUnit(found=found, subject=world.subject, unit=world.units[7], **some_evidence)
    readings = run(world, found, controls=Controls(untrained=[null]))
    # the null unit is dead: the same stimuli, and every value alike
    assert readings["generative.control.untrained"].value == pytest.approx(readings["generative"].details["base_rate"])
    alone = NullUnit(**some_evidence)
    said = run(world, found, controls=Controls(untrained=[alone]))["generative.control.untrained"].reason
    assert "evidence only" in str(said)


def test_the_same_twice_and_measured_once(world: Any) -> None:
    found = world.label(world.units[1], names(world)[1])
    shared = Shared()
    shared.together(world.subject, world.units)
    first = run(world, found, 1)
    again = run(world, found, 1, shared=shared)
    for name, reading in first.items():
        assert replace(again[name], cost=reading.cost) == reading
