"""``maieutic study``: what is asked for is what runs, what is wrong is said in one line, and two runs stand side by side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from maieutic.cli.main import run
from maieutic.errors import UserError

TINY = """
preset = "quick"
arms = ["gelu", "topk"]
seeds = [0]
gold_arms = []
null_seeds = []
[shape]
layers = 1
d_model = 16
d_mlp = 24
heads = 2
[training]
steps = 10
batch = 8
checkpoints = []
[corpus]
training = 80
measured = 60
subjects = 12
first_names = 6
last_names = 4
towns = 8
jobs = 6
[measuring]
main = { behaviour = "full", interpretability = "", editing = "" }
"""


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    file = tmp_path / "study.toml"
    file.write_text(TINY)
    return file


def study(*arguments: str | Path) -> list[str]:
    return ["study", "regularization", "--engine", "in-process", *map(str, arguments)]


def test_a_study_from_a_file(tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "run"
    assert run(study("--config", tiny, "--run", folder, "--json")) == 0
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert [a["id"] for a in told["answers"]] == ["H1", "H2", "H3", "H4", "H5"] and told["models"] == 2
    assert {p.name for p in folder.iterdir()} >= {
        "report.html", "summary.txt", "results.json", "measures.csv", "measures.parquet", "comparisons.csv", "study.json",
    }  # fmt: skip
    # again, with words for people
    assert run(study("--config", tiny, "--run", folder)) == 0
    words = capsys.readouterr().out
    assert "H1 UNDECIDED" in words and "report.html" in words


def test_something_missing_is_exit_code_1(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from maieutic.studies.regularization import measuring

    monkeypatch.setitem(measuring.PARTS, "behaviour", f"{__name__}:fails")
    assert run(study("--config", tiny, "--run", tmp_path / "run")) == 1
    shown = capsys.readouterr()
    assert "2 things failed" in " ".join(shown.err.split())
    assert "it will not do" in (tmp_path / "run" / "report.html").read_text()


def fails(model: Any, corpus: Any, asked: Any) -> list[Any]:
    """A part of the measurement that fails."""
    raise UserError("it will not do")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--arms", "gelu,sollu"], "did you mean 'solu'"),
        (["--arms", ","], "no arm"),
        (["--config", "none.toml"], "none.toml"),
        (["--explainer", "serch"], "did you mean 'search'"),
        (["--quick", "--config", "x.toml"], "two configurations"),
        (["--engine", "precesses"], "did you mean 'processes'"),
    ],
)
def test_mistakes_are_said_in_one_line(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["study", "regularization", "--run", str(tmp_path / "run"), *arguments]) == 2
    shown = capsys.readouterr().err.strip()
    assert said in shown and len(shown.splitlines()) == 1 and not (tmp_path / "run").exists()


def test_a_folder_of_another_study_is_refused(tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "run"
    assert run(study("--config", tiny, "--run", folder, "--json")) == 0
    tiny.write_text(TINY.replace("steps = 10", "steps = 11"))
    before = (folder / "study.json").read_bytes()
    assert run(study("--config", tiny, "--run", folder)) == 1
    assert "another configuration" in capsys.readouterr().err and (folder / "study.json").read_bytes() == before


def test_help_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("regularization", "compare"):
        assert run(["study", command, "--help"]) == 0
        assert "Example" in capsys.readouterr().out


@pytest.mark.slow
def test_two_runs_side_by_side(
    tmp_path: Path, model_folder: Path, jsonl: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = [tmp_path / name for name in ("one", "other")]
    for folder, site in zip(folders, ("layers.0.mlp", "layers.1.mlp"), strict=True):
        harvest = ["harvest", f"hf:{model_folder}", "--corpus", str(jsonl), "--site", site, "--run", str(folder)]
        assert run([*harvest, "--sample", "2", "--nulls", "1"]) == 0
        assert run(["explain", str(folder), "--budget", "4"]) == 0
        assert run(["score", str(folder)]) == 0
    capsys.readouterr()
    out = tmp_path / "comparison"
    assert run(["study", "compare", *map(str, folders), "--out", str(out), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["paired"] and [r["units"] for r in told["runs"]] == [2, 2]
    assert json.loads((out / "comparison.json").read_text()) == told
    page = (out / "comparison.html").read_text()
    assert "AP of random directions" in page and "<script" not in page
    assert run(["study", "compare", *map(str, folders), "--explainer", "agent", "--out", str(out)]) == 1
    assert "no explanations by agent" in capsys.readouterr().err


def test_a_folder_that_is_no_run_cannot_be_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["study", "compare", str(tmp_path / "a"), str(tmp_path / "b")]) in (1, 2)
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
