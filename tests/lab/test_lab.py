"""The lab: what is charged, what is recorded, in which order, and what is never shown."""

from __future__ import annotations

import numpy as np
import pytest

import maieutic as mt
from maieutic.errors import BudgetExhaustedError, UserError
from maieutic.lab import Question
from maieutic.subjects.base import Intervention


def cats(texts: list[str]) -> list[float]:
    return [float(t.split().count("cat")) for t in texts]


@pytest.fixture
def lab(texts: list[str]) -> mt.Lab:
    subject = mt.function_subject(cats, modality="text", name="cats")
    corpus = mt.Corpus.from_texts(texts)
    atlas = mt.harvest(subject, corpus, sites=[subject.sites()[0].name])
    return mt.Lab(subject, subject.unit(), atlas, budget=mt.Budget(measurements=3))


def ask(text: str, **more: object) -> Question:
    stimulus = mt.Corpus.from_texts([text, "the other", "and a third"])[0]
    return Question(stimulus=stimulus, hypothesis="fires on cat", kind="substitute", **more)  # type: ignore[arg-type]


def test_the_ledger_keeps_prediction_and_value(lab: mt.Lab) -> None:
    low, high = lab.scale
    (entry,) = lab.measure([ask("a cat saw a cat", expect=0.9)])
    assert (entry.id, entry.expect, entry.value) == ("output/0#1", 0.9, 2.0)
    assert entry.scaled == pytest.approx(min(1.0, (2.0 - low) / (high - low)))
    assert entry.shown == "a cat saw a cat"
    (second,) = lab.measure([ask("a dog", pair=entry.id)])
    assert (second.id, second.pair) == ("output/0#2", "output/0#1")
    assert lab.ledger["output/0#1"] is entry


def test_a_budget_is_never_passed_and_nothing_half_measured(lab: mt.Lab) -> None:
    lab.measure([ask("a"), ask("b")])
    assert lab.remaining == 1
    with pytest.raises(BudgetExhaustedError, match="2 measurements asked, 1 left of 3"):
        lab.measure([ask("c"), ask("d")])
    assert len(lab.ledger) == 2


def test_no_test_stimulus_can_be_seen(lab: mt.Lab) -> None:
    seen = {o.stimulus.split for o in lab.discover} | {e.stimulus.split for e in lab.exemplars(500, where="spectrum")}
    assert seen == {"discover"}
    assert {o.stimulus.split for o in lab.select} == {"select"}
    assert not hasattr(lab, "test")


def test_exemplars_cover_the_range(lab: mt.Lab) -> None:
    values = [e.value for e in lab.exemplars(30, where="spectrum")]
    assert values == sorted(values, reverse=True)
    assert values[0] == max(float(o.values.max()) for o in lab.discover)
    assert values[-1] == 0.0
    assert all(0 <= e.quantile <= 1 for e in lab.exemplars(30, where="spectrum"))


@pytest.mark.parametrize("active", [0.0, 0.02, 0.5, 0.98, 1.0])
def test_the_scale_of_units_that_fire_rarely_or_nearly_always(active: float, texts: list[str]) -> None:
    chosen = set(texts[: int(active * len(texts))])
    subject = mt.function_subject(lambda ts: [float(t in chosen) for t in ts], modality="text", name="rare")
    corpus = mt.Corpus.from_texts(texts)
    lab = mt.Lab(subject, subject.unit(), mt.harvest(subject, corpus, sites=[subject.sites()[0].name]))
    values = np.concatenate([o.values for o in lab.discover])
    assert lab.scaled(values).tolist() == pytest.approx(
        (values if values.min() < values.max() else 0 * values).tolist()
    )


def test_an_atlas_of_another_subject_is_refused(lab: mt.Lab) -> None:
    other = mt.function_subject(cats, modality="text", name="others")
    with pytest.raises(UserError, match="harvested from cats"):
        mt.Lab(other, other.unit(), lab.atlas)


def test_an_empty_text_rests(lab: mt.Lab) -> None:
    stimulus = mt.Corpus.from_texts(["x", "the other", "and a third"])[0]
    from dataclasses import replace

    empty = replace(stimulus, load=lambda: "", id="0" * 64)
    (entry,) = lab.measure([Question(stimulus=empty, hypothesis="nothing", kind="delete")])
    assert entry.scaled == 0.0


def test_interventions_go_through_the_lab(model_folder: object, texts: list[str]) -> None:
    subject = mt.load_subject(f"hf:{model_folder}")
    corpus = mt.Corpus.from_texts(texts[:30])
    lab = mt.Lab(subject, subject.unit("layers.1.mlp", 3), mt.harvest(subject, corpus, sites=["layers.1.mlp"]))
    (entry,) = lab.measure(
        [ask("the cat sat on the mat", position=2)],
        interventions=[Intervention(unit=subject.unit("layers.1.mlp", 3), kind="set", value=7.0)],
    )
    assert entry.value == pytest.approx(7.0)
