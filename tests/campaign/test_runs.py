"""Runs end to end on a tiny real model: same bytes for one seed, and after a kill at any point."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from killing import digest, run_program

import maieutic as mt
from maieutic.campaign import RunPlan, create_run, explain_units, open_run, score_units, stored_explanation
from maieutic.errors import StoreError, UsageError, UserError
from maieutic.lab import Budget
from maieutic.score.controls import CONTROLS
from maieutic.store import experiments
from maieutic.store.check import problems

SITE = "layers.1.mlp"

PROGRAM = """
from maieutic.campaign import RunPlan, create_run, explain_units, score_units
from maieutic.harvest.plan import shards
from maieutic.lab import Budget
sys.modules[shards.__module__].SHARD_TOKENS = 64  # many shards, so that a killed harvest has something to go on from
folder, model, corpus = given
plan = RunPlan(subject=f"hf:{model}", corpus=corpus, sites=("layers.1.mlp",), sample=4, nulls=2)
with create_run(folder, plan, report=report) as run:
    explain_units(run, budget=Budget(measurements=20), report=report)
    score_units(run, report=report)
"""


def ran(folder: Path, model: Path, corpus: Path, *, kill: str = "none:0") -> int:
    return run_program(PROGRAM, folder, model, corpus, kill=kill)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, model_folder: Path, jsonl: Path) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "whole"
    assert ran(folder, model_folder, jsonl) == 0
    return folder


@pytest.mark.slow
def test_two_runs_with_one_seed_have_the_same_contents(
    finished: Path, tmp_path: Path, model_folder: Path, jsonl: Path
) -> None:
    assert ran(tmp_path / "again", model_folder, jsonl) == 0
    assert digest(tmp_path / "again") == digest(finished)
    assert problems(finished) == []


@pytest.mark.slow
@pytest.mark.parametrize("kill", ["harvest:3", "explain:4", "score:2"])
def test_a_killed_run_ends_as_an_uninterrupted_one(
    finished: Path, tmp_path: Path, model_folder: Path, jsonl: Path, kill: str
) -> None:
    assert ran(tmp_path / "r", model_folder, jsonl, kill=kill) == -9
    assert ran(tmp_path / "r", model_folder, jsonl) == 0
    assert digest(tmp_path / "r") == digest(finished)


@pytest.mark.slow
def test_every_score_stands_beside_every_control(finished: Path) -> None:
    with open_run(finished) as run:
        for unit in run.units:
            found = stored_explanation(run, "main", unit, explainer="search")
            from maieutic.campaign import stored_readings

            readings = stored_readings(run, unit, explainer="search")
            assert found is not None
            for control in CONTROLS:
                reading = readings[f"predictive.control.{control}"]
                assert reading.measured or reading.reason
            if not found.abstained and readings["predictive"].measured:
                assert readings["predictive.control.constant"].value == pytest.approx(
                    readings["predictive"].details["base_rate"]
                )


@pytest.mark.slow
def test_every_scorer_stands_beside_the_same_controls(finished: Path, tmp_path: Path) -> None:
    import shutil

    from maieutic.campaign import stored_readings

    shutil.copytree(finished, tmp_path / "r")
    scorers = ["predictive", "generative", "discrimination"]
    with open_run(tmp_path / "r", write=True) as run:
        with pytest.raises(UsageError, match="did you mean 'generative'"):
            score_units(run, scorers=["generativ"])
        found = score_units(run, scorers=scorers)
        for unit in run.units:
            readings = found[unit.key]
            for scorer in scorers:
                for control in CONTROLS:
                    for kind in ("control", "beats"):
                        reading = readings[f"{scorer}.{kind}.{control}"]
                        assert reading.measured or reading.reason
            stored = stored_readings(run, unit, explainer="search")
            assert {n: (r.value, r.low, r.reason) for n, r in stored.items()} == {
                n: (r.value, r.low, r.reason) for n, r in readings.items()
            }
        # one unit alone gets what it got among the others
        one = score_units(run, run.units[:1], scorers=scorers)[run.units[0].key]
        for name, reading in found[run.units[0].key].items():
            assert (one[name].value, one[name].low, one[name].high) == (reading.value, reading.low, reading.high), name
        # the look-up's label is the one-shot control itself
        scored = [u for u in run.units if found[u.key]["predictive.control.constant"].measured]
        for readings in score_units(run, scored, explainer="lookup").values():
            assert "itself" in str(readings["predictive.beats.one_shot"].reason)


@pytest.mark.slow
def test_stored_explanations_predict_as_fresh_ones(finished: Path) -> None:
    with open_run(finished) as run:
        unit = run.units[0]
        lab = mt.Lab(run.subject, unit, run.atlas, budget=Budget(measurements=20))
        fresh = mt.explain(lab, "search")
        stored = stored_explanation(run, "main", unit, explainer="search")
        assert stored is not None
        assert stored.label == fresh.label
        texts = ["the cat sat on the mat .", "river river tree"]
        for a, b in zip(fresh.predict(texts), stored.predict(texts), strict=True):
            np.testing.assert_array_equal(a, b)
            assert ((a >= 0) & (a <= 1)).all()


@pytest.mark.slow
def test_a_changed_corpus_is_noticed(finished: Path, model_folder: Path, jsonl: Path) -> None:
    other = mt.Corpus.from_texts(["other words entirely", "and more of them", "a third text here"])
    with pytest.raises(StoreError, match="corpus changed"):
        open_run(finished, corpus=other)
    plan = RunPlan(subject=f"hf:{model_folder}", corpus=str(jsonl), sites=(SITE,), sample=4, nulls=2)
    with pytest.raises(StoreError, match="other settings"):
        create_run(finished, replace(plan, seed=5))


def test_selecting_no_units_is_said(tmp_path: Path, model_folder: Path, jsonl: Path) -> None:
    plan = RunPlan(subject=f"hf:{model_folder}", corpus=str(jsonl), sites=(SITE,), sample=0)
    with pytest.raises(UsageError, match="no units selected"):
        create_run(tmp_path / "r", plan)
    with pytest.raises(UsageError, match="name its site too"):
        create_run(tmp_path / "r", replace(plan, units=("layers.0.mlp/1",)))
    assert not (tmp_path / "r").exists()


def three_lines(texts: list[str]) -> list[float]:
    return [float("cat" in t.split()) for t in texts]


def test_a_function_in_three_lines(texts: list[str]) -> None:
    subject = mt.function_subject(three_lines, modality="text", name="cat")
    corpus = mt.Corpus.from_texts(texts)
    atlas = mt.harvest(subject, corpus, sites=[subject.sites()[0].name])
    lab = mt.Lab(subject, subject.unit(), atlas)
    found = mt.explain(lab, explainer="search", budget=mt.Budget(measurements=60))
    readings = mt.score(found, subject, subject.unit(), corpus, atlas=atlas)
    assert "cat" in found.label
    assert readings["predictive"].value == pytest.approx(1.0)
    with pytest.raises(UserError, match="no scorer"):
        mt.score(found, subject, subject.unit(), corpus, scorers=["predictiv"])


def test_a_unit_that_raises_is_recorded_and_the_run_goes_on(tmp_path: Path, model_folder: Path, jsonl: Path) -> None:
    from maieutic.explain import registry

    def stubborn(lab: mt.Lab) -> mt.Explanation:
        if lab.unit.index == failing:
            raise ZeroDivisionError("no such luck")
        return mt.Explanation.unexplained(lab.unit.key, "it would not say", explainer="stubborn")

    plan = RunPlan(subject=f"hf:{model_folder}", corpus=str(jsonl), sites=(SITE,), sample=3, nulls=0)
    with create_run(tmp_path / "r", plan) as run:
        failing = run.units[1].index
        registry._BUILT_IN = {**registry._BUILT_IN, "stubborn": (stubborn, "")}  # type: ignore[assignment]
        try:
            failures = explain_units(run, explainer="stubborn")
        finally:
            registry._BUILT_IN = {k: v for k, v in registry._BUILT_IN.items() if k != "stubborn"}  # type: ignore[assignment]
        assert [(f.unit, f.reason) for f in failures] == [(run.units[1].key, "ZeroDivisionError: no such luck")]
        assert run.store.rows(experiments) == []
        assert sum(stored_explanation(run, "main", u, explainer="stubborn") is not None for u in run.units) == 2
        with pytest.raises(UserError, match="explain"):
            score_units(run)
    assert any("no such luck" in p for p in problems(tmp_path / "r"))


@pytest.mark.slow
def test_a_run_knows_what_its_model_calls_units(tmp_path: Path, model_folder: Path, jsonl: Path) -> None:
    from maieutic.report.records import Records
    from maieutic.store import Store

    plan = RunPlan(subject=f"hf:{model_folder}+logits:3,5", corpus=str(jsonl), sites=("logits",), nulls=0)
    with create_run(tmp_path / "run", plan) as run:
        names = run.subject.site("logits").names
        keys = [u.key for u in run.units]
    assert len(names) == 2
    with Store.open(tmp_path / "run") as store:
        records = Records.of(store)
        assert [records.called(k) for k in keys] == [names[int(k.removesuffix("-")[-1])].strip() for k in keys]
    with create_run(tmp_path / "run", plan) as again:  # the names are no other settings
        assert [u.key for u in again.units] == keys
