"""Sweeps on a tiny real model: exact budgets, the same store by every engine and after kills, changes noticed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from killing import digest, run_program

from maieutic.campaign import open_run
from maieutic.cli.main import run as cli
from maieutic.store import choices, explanations, waves

PROGRAM = """
from maieutic.campaign import Limits, RunPlan, SweepPlan, create_run, parse_stages, sweep
from maieutic.executors import open_executor
sys.modules["maieutic.campaign.sweep"].WAVE = 4
folder, model, corpus, engine = given
plan = RunPlan(subject=f"hf:{model}", corpus=corpus, sites=("layers.1.mlp",), sample=6, nulls=2)
stages = parse_stages("search-no-experiments,search:10")
with open_executor(engine, workers=2 if engine == "processes" else None) as executor:
    with create_run(folder, plan, report=report) as run:
        sweep(run, SweepPlan(stages=stages, limits=Limits(measurements=55)), executor=executor, report=report)
"""


def swept(folder: Path, model: Path, corpus: Path, *, engine: str = "in-process", kill: str = "none:0") -> int:
    return run_program(PROGRAM, folder, model, corpus, engine, kill=kill)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, model_folder: Path, jsonl: Path) -> Path:
    folder = tmp_path_factory.mktemp("sweeps") / "whole"
    assert swept(folder, model_folder, jsonl) == 0
    return folder


@pytest.mark.slow
def test_the_budget_is_never_passed_and_every_unit_has_a_choice(finished: Path) -> None:
    with open_run(finished) as run:
        rows = run.store.rows(explanations)
        asked = sum(r["measurements"] for r in rows if r["explainer"] in ("search", "search-no-experiments"))
        assert asked <= 55
        first = {r["unit"] for r in rows if r["explainer"] == "search-no-experiments"}
        assert {run.ids["main", u.key] for u in run.units} <= first
        assert {r["unit"] for r in run.store.rows(choices)} <= first
        assert len(run.store.rows(waves)) >= 3  # 10 units of the first stage alone are three waves of four


@pytest.mark.slow
@pytest.mark.parametrize("kill", ["sweep:3", "sweep:11", "score:2"])
def test_a_killed_sweep_ends_as_an_uninterrupted_one(
    finished: Path, tmp_path: Path, model_folder: Path, jsonl: Path, kill: str
) -> None:
    assert swept(tmp_path / "run", model_folder, jsonl, kill=kill) == -9
    assert swept(tmp_path / "run", model_folder, jsonl) == 0
    assert digest(tmp_path / "run") == digest(finished)


@pytest.mark.slow
def test_processes_end_with_the_same_store(finished: Path, tmp_path: Path, model_folder: Path, jsonl: Path) -> None:
    assert swept(tmp_path / "run", model_folder, jsonl, engine="processes") == 0
    assert digest(tmp_path / "run") == digest(finished)


@pytest.mark.slow
def test_other_settings_and_other_code_are_noticed(
    tmp_path: Path, model_folder: Path, jsonl: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [
        "sweep", f"hf:{model_folder}", "--corpus", str(jsonl), "--site", "layers.1.mlp", "--run", str(tmp_path / "r"),
        "--units", "layers.1.mlp/0,layers.1.mlp/1", "--nulls", "0", "--engine", "in-process", "--scorers", "none",
    ]  # fmt: skip
    assert cli([*given, "--cascade", "search-no-experiments", "--json"]) == 0
    assert '"stages": {"search-no-experiments": 2}' in capsys.readouterr().out
    assert cli([*given, "--cascade", "search-no-experiments,search:5"]) == 1
    assert "other settings" in capsys.readouterr().err
    monkeypatch.setattr(sys.modules["maieutic.campaign.sweep"], "code_fingerprint", lambda: "changed")
    assert cli([*given, "--cascade", "search-no-experiments"]) == 1
    assert "--accept-code" in capsys.readouterr().err
    assert cli([*given, "--cascade", "search-no-experiments", "--accept-code"]) == 0
