"""The planted bench marks explainers whose quality is known: an oracle, a fool, a coward, one that crashes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest

from maieutic.bench import BenchResult, Figure, benches, print_result, run_bench
from maieutic.bench.fresh_images import fresh_images
from maieutic.bench.fresh_texts import fresh_texts
from maieutic.bench.planted import agreement, run_planted
from maieutic.errors import UsageError
from maieutic.explain.explanation import Explanation
from maieutic.explain.predicates.base import Predicate, Prediction
from maieutic.lab import Lab
from maieutic.readings import Reading
from maieutic.stimuli.base import Corpus
from maieutic.subjects.base import Subject
from maieutic.subjects.planted import Follows, PlantedSubject, Rule, Words, plant


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruled(Predicate):
    """A planted rule as a label: what an oracle would say."""

    op: ClassVar[str] = "test-ruled"
    rule: Rule

    def evaluate(self, view: Any) -> Prediction:
        return self.rule.truth(view)

    def describe(self) -> str:
        return "the rule"


def ruled(subject: Subject, rule: Rule) -> Explanation:
    assert isinstance(subject, PlantedSubject)
    return Explanation(
        unit="planted/0", label="x", predicate=Ruled(rule=rule), explainer="t", confidence=0.9, viewer=subject._view
    )


def oracle(lab: Lab, _: str) -> Explanation:
    subject, i = lab.subject, lab.unit.index
    assert isinstance(subject, PlantedSubject)
    assert i is not None
    planted = subject.rules[i]
    if planted.kind in ("dead", "noise"):
        return Explanation.unexplained(lab.unit.key, "nothing there", explainer="t")
    return ruled(lab.subject, planted.rule)


def fool(lab: Lab, _: str) -> Explanation:
    return ruled(lab.subject, Words((("nowhere", 1.0),)))


def coward(lab: Lab, _: str) -> Explanation:
    return Explanation.unexplained(lab.unit.key, "too hard", explainer="t")


def crash(lab: Lab, _: str) -> Explanation:
    raise RuntimeError("boom")


def values(result: BenchResult) -> Mapping[str, float | None]:
    return {name: figure.reading.value for name, figure in result.figures.items()}


def test_an_oracle_recovers_everything(corpora: dict[str, Corpus]) -> None:
    result = run_planted(explainers=("oracle",), explain=oracle, corpora=corpora, seed=3)
    found = values(result)
    for modality in ("text", "image"):
        assert found[f"{modality}.oracle.recovered"] == 1.0
        assert found[f"{modality}.oracle.agreement"] == pytest.approx(1.0)
        assert found[f"{modality}.oracle.abstains_on_nothing"] == 1.0
        assert found[f"{modality}.oracle.wrong_confident"] == 0.0
    assert result.met
    data = json.loads(json.dumps(result.to_json()))
    assert set(data) == {"bench", "seed", "versions", "machine", "seconds", "figures", "met"}
    assert all(set(f) == {"value", "low", "high", "n", "target", "met"} for f in data["figures"].values())


def test_a_fool_a_coward_and_a_crash_are_told_apart(corpora: dict[str, Corpus]) -> None:
    text = {"text": corpora["text"]}
    by: dict[str, Mapping[str, float | None]] = {}
    for explain in (fool, coward, crash):
        result = run_planted(modality="text", explainers=("it",), explain=explain, corpora=text)
        by[explain.__name__] = values(result)
        assert not result.met
    assert by["fool"]["text.it.wrong_confident"] == 1.0
    assert by["fool"]["text.it.abstains_on_nothing"] == 0.0
    assert by["coward"]["text.it.wrong_confident"] == 0.0
    assert by["coward"]["text.it.abstains_on_nothing"] == 1.0
    assert by["coward"]["text.it.agreement"] is None
    # a crash is neither a label nor an abstention
    assert by["crash"]["text.it.abstains_on_nothing"] == 0.0
    assert by["crash"]["text.it.failed"] == 1.0
    assert {name for name, v in by["crash"].items() if name.endswith("recovered") and v} == set()


def test_gains_are_paired_by_unit(corpora: dict[str, Corpus]) -> None:
    def explain(lab: Lab, name: str) -> Explanation:
        return {"good": oracle, "bad": fool}[name](lab, name)

    text = {"text": corpora["text"]}
    result = run_planted(modality="text", explainers=("good", "bad"), explain=explain, corpora=text)
    gain = result.figures["text.good.gain_over.bad"].reading
    assert (gain.value, gain.low, gain.n) == (1.0, 1.0, 13)
    assert result.figures["text.bad.recovered"].target is None


def test_edits_tell_a_cause_from_its_companion(corpora: dict[str, Corpus]) -> None:
    corpus = corpora["text"]
    unit = next(u for u in plant(corpus, seed=0) if u.kind == "spurious")
    assert unit.involved == ("tied", "knot")
    companion, cause = ruled(unit.subject, Words((("knot", 1.0),))), ruled(unit.subject, Follows("tied"))
    natural, edited = fresh_texts(unit, corpus.split("test"), seed=1)
    assert agreement(companion, unit, natural) > 0.75  # pyright: ignore[reportOptionalOperand]
    assert agreement(companion, unit, edited) < 0.5  # pyright: ignore[reportOptionalOperand]
    assert agreement(cause, unit, natural) == agreement(cause, unit, edited) == 1.0
    assert fresh_texts(unit, corpus.split("test"), seed=1) == (natural, edited)


def test_fresh_pictures_are_the_held_out_ones(corpora: dict[str, Corpus]) -> None:
    unit = plant(corpora["image"], seed=0)[0]
    natural, edited = fresh_images(unit, corpora["image"].split("test"), seed=1)
    assert {s.split for s in natural} == {"test"}
    assert edited == []  # no scenes here, so nothing can be edited exactly


def test_figures_and_targets() -> None:
    reading = Reading(name="x", value=0.1 + 0.2)
    assert Figure(reading=reading, target=0.3).met
    assert Figure(reading=reading, target=0.3, at_least=False).met
    assert Figure(reading=reading, target=0.5).met is False
    assert Figure(reading=reading).met is None
    assert Figure(reading=Reading.unmeasured("x", "no"), target=0.0).met is False


def test_printing_shows_reasons(capsys: pytest.CaptureFixture[str]) -> None:
    figures = {"a.b": Figure(reading=Reading.unmeasured("x", "abstained (13)"), target=0.5)}
    print_result(BenchResult(bench="planted", seed=0, seconds=1.0, figures=figures))
    assert "unmeasured: abstained" in " ".join(capsys.readouterr().out.split())


def test_names() -> None:
    assert "planted" in benches()
    with pytest.raises(UsageError, match="did you mean 'planted'"):
        run_bench("plantd")
    with pytest.raises(UsageError, match="text or image"):
        run_bench("planted", modality="sound")


def test_agreement_needs_something_active(corpora: dict[str, Corpus]) -> None:
    unit = next(u for u in plant(corpora["text"], seed=0) if u.kind == "dead")
    found = ruled(unit.subject, Words(()))
    assert agreement(found, unit, corpora["text"].split("test")) is None
    assert np.concatenate(unit.truth(corpora["text"].split("test"))).max() == 0.0
