"""The planted bench marks explainers whose quality is known: an oracle, a fool, a coward, one that crashes."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest

from maieutic.bench import BenchResult, Figure, Table, benches, print_result, run_bench, write_result
from maieutic.bench.calibration import calibration_error, reliability
from maieutic.bench.figures import figures
from maieutic.bench.material import material
from maieutic.bench.planted import run_planted
from maieutic.bench.swap import swapped
from maieutic.bench.trials import Outcome, Settings, try_units
from maieutic.errors import UsageError, UserError
from maieutic.explain.explanation import Explanation
from maieutic.explain.predicates.base import Predicate, Prediction, Scaled
from maieutic.lab import Lab
from maieutic.readings import Reading
from maieutic.score.against_truth import agreement
from maieutic.score.against_truth_images import fresh_images
from maieutic.stimuli.base import Corpus
from maieutic.subjects.base import Subject, raw
from maieutic.subjects.planted import Nothing, PlantedSubject, PlantedUnit, Rule, TextView, plant, seen, words

EACH = {"single": 2, "and_not": 1, "graded": 2, "spurious": 1, "dead": 1, "noise": 1}


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
    text = subject.modality == "text"
    return Explanation(
        unit="planted/0", label="x", predicate=Ruled(rule=rule), explainer="t", confidence=0.9,
        viewer=(lambda s: TextView([str(raw(s))])) if text else seen,
    )  # fmt: skip


def oracle(lab: Lab, _: str) -> Explanation:
    subject, i = lab.subject, lab.unit.index
    assert isinstance(subject, PlantedSubject)
    assert i is not None
    planted = subject.rules[i]
    if planted.kind in ("dead", "noise"):
        return Explanation.unexplained(lab.unit.key, "nothing there", explainer="t")
    return ruled(lab.subject, planted.rule)


def fool(lab: Lab, _: str) -> Explanation:
    return ruled(lab.subject, words("nowhere") if lab.subject.modality == "text" else Nothing())


def coward(lab: Lab, _: str) -> Explanation:
    return Explanation.unexplained(lab.unit.key, "too hard", explainer="t")


def crash(lab: Lab, _: str) -> Explanation:
    raise RuntimeError("boom")


def values(result: BenchResult) -> Mapping[str, float | None]:
    return {name: figure.reading.value for name, figure in result.figures.items()}


def weak(lab: Lab, name: str) -> Explanation:
    """Right about where, wrong about how much."""
    found = oracle(lab, name)
    return found if found.abstained else replace(found, predicate=Steep(part=found.predicate))


@dataclass(frozen=True, slots=True, kw_only=True)
class Steep(Predicate):
    """Full strength wherever the part is half active, and hardly any elsewhere: the order stays, the shape does not."""

    op: ClassVar[str] = "test-steep"
    part: Predicate

    def evaluate(self, view: Any) -> Prediction:
        return self.part.evaluate(view) ** 40

    def describe(self) -> str:
        return "steep"


@pytest.mark.parametrize("modality", ["text", pytest.param("image", marks=pytest.mark.slow)])
def test_an_oracle_recovers_everything(corpora: dict[str, Corpus], modality: str) -> None:
    result = run_planted(
        modality=modality, explainers=("oracle",), explain=oracle, corpora=corpora, seed=3, each=EACH
    )  # fmt: skip
    found = values(result)
    assert found[f"{modality}.oracle.recovered"] == 1.0
    assert found[f"{modality}.oracle.recovered.single"] == 1.0
    assert found[f"{modality}.oracle.agreement"] == pytest.approx(1.0)
    assert found[f"{modality}.oracle.abstains_on_nothing"] == 1.0
    assert found[f"{modality}.oracle.abstention.precision"] == 1.0
    assert found[f"{modality}.oracle.wrong_confident"] == 0.0
    assert found[f"{modality}.oracle.ece"] == pytest.approx(0.1)  # always right, 0.9 sure
    assert result.met
    data = json.loads(json.dumps(result.to_json()))
    assert set(data) == {"bench", "seed", "versions", "machine", "seconds", "figures", "met"}
    assert all(set(f) == {"value", "low", "high", "n", "target", "met"} for f in data["figures"].values())


def test_a_fool_a_coward_and_a_crash_are_told_apart(corpora: dict[str, Corpus]) -> None:
    text = {"text": corpora["text"]}
    by: dict[str, Mapping[str, float | None]] = {}
    for explain in (fool, coward, crash):
        result = run_planted(modality="text", explainers=("it",), explain=explain, corpora=text, each=EACH)
        by[explain.__name__] = values(result)
        assert not result.met
    assert by["fool"]["text.it.wrong_confident"] == 1.0
    assert by["fool"]["text.it.abstains_on_nothing"] == 0.0
    assert by["fool"]["text.it.ece"] == pytest.approx(0.9)  # never right, 0.9 sure
    assert by["coward"]["text.it.wrong_confident"] == 0.0
    assert by["coward"]["text.it.abstains_on_nothing"] == 1.0
    assert by["coward"]["text.it.abstention.precision"] == pytest.approx(2 / 8)  # two of eight units mean nothing
    assert by["coward"]["text.it.agreement"] is None
    assert by["coward"]["text.it.ece"] is None
    # a crash is neither a label nor an abstention
    assert by["crash"]["text.it.abstains_on_nothing"] == 0.0
    assert by["crash"]["text.it.failed"] == 1.0
    assert by["crash"]["text.it.abstention.precision"] is None
    assert {name for name, v in by["crash"].items() if ".recovered" in name and v} == set()


def test_strengths_must_be_right_where_there_are_several(corpora: dict[str, Corpus]) -> None:
    settings = Settings(
        modality="text", seed=3, explainers=("it",), budget=1, each=(("graded", 4), ("polysemantic", 2), ("single", 2))
    )
    outcomes = try_units(settings, corpus=corpora["text"], explain=weak)
    assert [o.recovered for o in outcomes if o.kind == "single"] == [True, True]  # 1 to the 40th is 1
    steep = [o for o in outcomes if o.kind != "single" and o.correlation is not None and o.correlation < 0.9]
    assert steep
    assert not any(o.recovered for o in steep)
    assert all(o.agreement == pytest.approx(1.0) for o in steep)


def test_gains_are_paired_by_unit(corpora: dict[str, Corpus]) -> None:
    def explain(lab: Lab, name: str) -> Explanation:
        return {"good": oracle, "bad": fool}[name](lab, name)

    text = {"text": corpora["text"]}
    result = run_planted(modality="text", explainers=("good", "bad"), explain=explain, corpora=text, each=EACH)
    gain = result.figures["text.good.gain_over.bad"].reading
    assert (gain.value, gain.low, gain.n) == (1.0, 1.0, 6)
    assert result.figures["text.good.gain_on_spurious.bad"].reading.n == 1
    assert result.figures["text.bad.recovered"].target is None
    assert [t.title for t in result.tables][0] == "text: 8 planted units"
    assert set(result.plots) == {"recovered-text.svg", "calibration-text.svg"}
    assert all(svg.startswith("<svg") and svg.count("<text") > 4 for svg in result.plots.values())


def outcome(kind: str, *, natural: float = 1.0, r: float = 1.0, **more: Any) -> Outcome:
    given: dict[str, Any] = {
        "modality": "text", "unit": f"{kind}-0", "family": "word", "truth": "t", "explainer": "search", "label": "l",
        "confidence": 0.9, "abstained": False, "measurements": 0, "seconds": 0.0, "edited": 1.0, "edited_r": 1.0,
    }  # fmt: skip
    return Outcome(**{**given, "kind": kind, "natural": natural, "natural_r": r, **more})


def test_what_counts_as_recovered_and_as_wrong() -> None:
    assert outcome("single", natural=0.95, r=0.1).recovered
    assert not outcome("single", natural=0.94).recovered
    assert not outcome("single", edited=0.2).recovered
    assert outcome("graded", r=0.9).recovered
    assert not outcome("graded", r=0.89).recovered
    assert not outcome("polysemantic", r=0.5).recovered
    assert not outcome("single", abstained=True).recovered
    assert outcome("single", natural=0.49, confidence=0.81).wrong_confident
    assert not outcome("single", natural=0.49, confidence=0.8).wrong_confident  # above, not at
    assert not outcome("single", natural=0.5, confidence=0.99).wrong_confident
    assert outcome("dead", natural=1.0, confidence=0.99).wrong_confident
    assert not outcome("dead", abstained=True, confidence=0.99).wrong_confident


def test_figures_of_a_few_outcomes_by_hand() -> None:
    rows = [outcome("single", unit=str(i), measurements=10 * i) for i in range(8)]
    rows += [outcome("noise", unit="n", abstained=True), outcome("spurious", unit="s", natural=0.0)]
    found = {k: f.reading for k, f in figures(rows).items()}
    assert found["text.search.recovered"].value == pytest.approx(8 / 9)
    assert found["text.search.recovered.spurious"].value == 0.0
    assert found["text.search.recovered.family.word"].n == 9
    assert found["text.search.measurements"].value == pytest.approx(28.0)  # (0 + 10 + ... + 70) / 10 units
    assert found["text.search.measurements.median"].value == 20.0  # the fifth of 0 0 0 10 20 30 40 50 60 70
    assert found["text.search.measurements.p90"].value == 60.0  # the ninth
    assert found["text.search.wrong_confident"].value == pytest.approx(0.1)


def test_calibration_by_hand() -> None:
    sure, right = [0.95, 0.95, 0.9, 0.9, 0.3], [True, True, True, False, True]
    low, high = reliability(sure, right)
    assert (low.n, low.low, low.confidence, low.right) == (1, 0.3, 0.3, 1.0)
    assert (high.n, high.low, high.confidence, high.right) == (4, 0.9, pytest.approx(0.925), 0.75)
    # 4/5 x |0.75 - 0.925| + 1/5 x |1 - 0.3| = 0.14 + 0.14
    reading = calibration_error("ece", sure, right)
    assert reading.value == pytest.approx(0.28)
    assert reading.n == 5
    assert calibration_error("ece", [1.0, 0.0], [True, False]).value == 0.0
    assert calibration_error("ece", [], []).reason == "nothing was answered"
    assert [b.low for b in reliability([1.0, 0.999], [True, True])] == [0.9]


@pytest.mark.slow
@pytest.mark.packaged
def test_the_search_needs_no_word_that_anybody_knows() -> None:
    corpus = swapped(material("text", seed=2, quick=True), seed=2)
    settings = Settings(
        modality="text", seed=2, explainers=("search",), budget=200,
        each=(("and_not", 2), ("context", 2), ("dead", 1), ("noise", 1), ("single", 4), ("spurious", 3)),
    )  # fmt: skip
    found = try_units(settings, corpus=corpus)
    assert [o.abstained for o in found if not o.explainable] == [True, True]
    assert sum(o.wrong_confident for o in found) <= 1
    assert sum(o.recovered for o in found) >= 6, [(o.truth, o.label, o.agreement) for o in found]


@pytest.mark.slow
@pytest.mark.packaged
def test_outcomes_do_not_depend_on_the_number_of_processes() -> None:
    settings = Settings(
        modality="text", seed=1, explainers=("lookup", "constant"), budget=5, quick=True,
        each=(("dead", 1), ("noisy", 1), ("single", 3)),
    )  # fmt: skip
    seconds: dict[str, float] = {}
    steps: list[tuple[int, int]] = []
    two = try_units(settings, jobs=2, seconds=seconds, step=lambda done, total: steps.append((done, total)))
    one = try_units(settings)
    assert [replace(o, seconds=0.0) for o in one] == [replace(o, seconds=0.0) for o in two]
    assert len(one) == 10
    assert steps == [(i, 5) for i in range(6)]
    assert len(seconds) == 2


def test_fresh_pictures_are_the_held_out_ones(corpora: dict[str, Corpus]) -> None:
    unit = plant(corpora["image"], seed=0, each={"single": 1})[0]
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
    unit = next(u for u in plant(corpora["text"], seed=0, each={"dead": 1}))
    found = ruled(unit.subject, words())
    assert agreement(found, unit, corpora["text"].split("test")) == (None, None)
    assert agreement(found, unit, []) == (None, None)


def test_a_label_that_cannot_predict_is_a_failure(corpora: dict[str, Corpus]) -> None:
    def explain(lab: Lab, name: str) -> Explanation:
        found = oracle(lab, name)
        return (
            found if found.abstained else replace(found, predicate=Scaled(part=found.predicate, strength=float("nan")))
        )

    settings = Settings(modality="text", seed=0, explainers=("it",), budget=1, each=(("single", 1),))
    (found,) = try_units(settings, corpus=corpora["text"], explain=explain)
    assert found.failed
    assert found.why == "the prediction failed: ValueError: predicted something that is not a number"


def toy(*, seed: int = 0, quick: bool = False) -> BenchResult:
    figure = Figure(reading=Reading(name="x", value=0.5, low=0.4, high=0.6, n=9), target=0.9)
    table = Table(title="toy", columns=("", "a"), rows=(("b|c", str(quick)),))
    return BenchResult(
        bench="toy", seed=seed, seconds=1.0, figures={"x": figure}, rows=({"é": 1},), tables=(table,),
        plots={"p.svg": "<svg/>"},
    )  # fmt: skip


def test_results_are_written_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from maieutic import bench
    from maieutic.cli.main import run

    monkeypatch.setitem(sys.modules, "toy_bench", SimpleNamespace(run=toy))  # pyright: ignore[reportArgumentType]
    monkeypatch.setattr(bench, "BUILT_IN", {**bench.BUILT_IN, "toy": "toy_bench:run"})
    assert run(["bench", "toy", "--quick", "--seed", "4", "--out", str(tmp_path / "o"), "--json"]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["figures"]["x"] == {
        "value": 0.5, "low": 0.4, "high": 0.6, "n": 9, "target": 0.9, "met": False
    }  # fmt: skip
    assert str(tmp_path / "o") in shown.err.replace("\n", "")
    assert json.loads((tmp_path / "o" / "rows.json").read_text()) == [{"é": 1}]
    assert "| b\\|c | True |" in (tmp_path / "o" / "tables.md").read_text()
    assert sorted(p.name for p in (tmp_path / "o").iterdir()) == ["p.svg", "result.json", "rows.json", "tables.md"]
    monkeypatch.chdir(tmp_path)
    assert run(["bench", "toy"]) == 0
    assert "targets missed: x 0.5 (≥ 0.9)" in capsys.readouterr().out
    assert (tmp_path / "runs" / "bench-toy-0" / "result.json").is_file()
    assert run(["bench", "toy", "--budget", "3"]) == 2
    assert "bench toy has no option --budget" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="another --out"):
        write_result(toy(), tmp_path / "file" / "below")


def test_tables_fit_eighty_columns(corpora: dict[str, Corpus], capsys: pytest.CaptureFixture[str]) -> None:
    names = ("search", "lookup", "search-no-experiments", "constant")
    result = run_planted(modality="text", explainers=names, explain=oracle, corpora=corpora, each=EACH)
    print_result(result)
    lines = capsys.readouterr().out.splitlines()
    assert max(len(line) for line in lines) <= 80
    assert sum("0.95 yes" in line for line in lines) == 1


def test_unknown_modality_and_no_explainer() -> None:
    with pytest.raises(UsageError, match="no explainer"):
        run_planted(explainers=())


def test_units_can_be_told_by_their_names(corpora: dict[str, Corpus]) -> None:
    units = plant(corpora["text"], seed=0, each=EACH)
    assert all(isinstance(u, PlantedUnit) for u in units)
    assert [u.name for u in units if u.kind == "graded"] == ["graded-0", "graded-1"]
    assert np.isfinite(units[0].subject.read(["a text"], [u.unit for u in units])[0]).all()
