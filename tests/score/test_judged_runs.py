"""Judged scores in a run folder: kept with their judge, replaced by another judge's, asked for on the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from maieutic.campaign import Run, RunPlan, create_run, explain_units, score_units, stored_readings
from maieutic.cli.main import run as cli
from maieutic.errors import UsageError
from maieutic.lab import Budget

WORDS = ["the", "cat", "dog", "sat", "on", "mat", "ran", "to", "a", "river", "and", "saw", "old", "tree", "by", "moon"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, model_folder: Path) -> Path:
    """A run of two units of a tiny language model, explained by look-up."""
    here = tmp_path_factory.mktemp("judged")
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(WORDS, size=int(rng.integers(10, 20)))) + " ." for _ in range(400)]
    (here / "texts.jsonl").write_text(
        "".join(json.dumps({"text": t, "document": str(i)}) + "\n" for i, t in enumerate(texts))
    )
    plan = RunPlan(
        subject=f"hf:{model_folder}", corpus=str(here / "texts.jsonl"), sites=("layers.1.mlp",), sample=2, nulls=2
    )
    with create_run(here / "run", plan) as run:
        explain_units(run, explainer="lookup", budget=Budget(measurements=0))
    return here / "run"


@pytest.fixture
def opened(folder: Path) -> Iterator[Run]:
    from maieutic.campaign import open_run

    with open_run(folder, write=True) as run:
        yield run


@pytest.mark.slow
def test_readings_are_stored_with_their_judge_and_another_judge_replaces_them(opened: Run, judges: Any) -> None:
    yes = judges(lambda q: dict.fromkeys(q.items, 1))
    found = score_units(opened, explainer="lookup", scorers=["detection"], options={"judge": yes})
    measured = [u for u in opened.units if found[u.key]["detection"].measured]
    assert measured
    for unit in measured:
        stored = stored_readings(opened, unit, explainer="lookup")
        assert stored["detection"].value == 0.5
        assert stored["detection"].details["judge"] == yes.name
        assert stored["detection.control.untrained"].value == 0.5
        assert stored["detection.control.random_direction"].value == 0.5
    coin = judges(lambda q: {i: len(t) % 2 for i, t in q.items.items()})
    score_units(opened, measured[:1], explainer="lookup", scorers=["detection"], options={"judge": coin})
    again = stored_readings(opened, measured[0], explainer="lookup")
    assert {r.details["judge"] for name, r in again.items() if name.startswith("detection") and r.measured} == {
        coin.name
    }


@pytest.mark.slow
def test_a_report_shows_them(opened: Run, judges: Any, tmp_path: Path) -> None:
    from maieutic.report.gather import report_runs

    yes = judges(lambda q: dict.fromkeys(q.items, 1))
    score_units(opened, explainer="lookup", scorers=["predictive", "detection", "fuzzing"], options={"judge": yes})
    folder = opened.folder
    opened.close()
    index = report_runs([folder], tmp_path / "report", explainer="lookup")
    pages = "".join(p.read_text(encoding="utf-8") for p in index.parent.rglob("*.html"))
    assert "judge: detection" in pages
    assert "judge: fuzzing" in pages
    assert "judge: yes" in pages  # some of the verdicts, in words


@pytest.mark.slow
def test_a_run_needs_a_judge_before_it_starts(opened: Run, judges: Any) -> None:
    before = stored_readings(opened, opened.units[0], explainer="lookup")
    with pytest.raises(UsageError, match="--judge"):
        score_units(opened, explainer="lookup", scorers=["predictive", "generative", "fuzzing"])
    assert stored_readings(opened, opened.units[0], explainer="lookup") == before
    assert "generative" not in before


@pytest.mark.slow
def test_the_command_line_says_what_is_missing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for more, code, words in (((), 2, "--judge"), (("--judge", "nobody"), 2, "provider/model")):
        assert cli(["score", str(folder), "--explainer", "lookup", "--scorers", "detection", *more]) == code
        assert words in capsys.readouterr().err
