"""``maieutic plan``: a pilot from the command line, what it says of bad input, and the arithmetic on paper."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import pytest

from maieutic.cli.main import run as cli
from maieutic.cli.plan import _told


def test_the_paper_multiplies_what_its_table_says(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli(["plan", "--paper", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    value = {line["name"]: line["value"] for line in found["follows"]}
    # a token costs 2 * 1e11 * 0.5 operations to the layer, 2 * 16384 * 1e6 in the encoder, 1840 * 1e6 in the harvest
    each = 1e11 + 3.2768e10 + 1.84e9
    assert value["harvest, GPU-hours"] == pytest.approx(1e8 * each / 4e14 / 3600)
    assert value["summaries"] == pytest.approx(2.732)
    # 30 % of a million units measure 51.6 things anew, 1 % 200, of 64 tokens each
    assert value["measured anew"] == pytest.approx(1e6 * (0.3 * 51.6 + 0.01 * 200))
    assert value["experiments, GPU-hours"] == pytest.approx(17.48e6 * 64 * (1e11 + 3.2768e10) / 4e14 / 3600)
    # 0.2 * 4,000 + 0.01 * 150,000 tokens read a unit at $0.25 a million, 0.2 * 300 + 0.01 * 8,000 written at $2
    assert value["dollars, language models"] == pytest.approx(2300 * 0.25 + 140 * 2.0)
    parts = [value[f"dollars, {name}"] for name in ("GPUs", "cores", "language models")]
    assert value["dollars"] == pytest.approx(sum(parts))
    # whatever goes into it is said to be measured or assumed
    assert all(line["source"] for line in found["given"])
    assert sum("assumed" in line["source"] for line in found["given"]) > 10


def test_the_paper_follows_a_table_of_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (files("maieutic.campaign") / "frontier.toml").read_text(encoding="utf-8")
    file = tmp_path / "mine.toml"
    file.write_text(text.replace("units = { value = 1_000_000", "units = { value = 2_000_000"))
    assert cli(["plan", "--paper", "--table", str(file)]) == 0
    assert "5.464 GB" in capsys.readouterr().out  # 2 million * 2,732 bytes
    file.write_text(text.replace("[model]", "[model]\nwheels = 4"))
    assert cli(["plan", "--paper", "--table", str(file)]) == 2
    assert "model.wheels" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ([], 2, "no --run folder"),
        (["some-model", "--run", "x"], 2, "--corpus and --site"),
        (["--run", "{}"], 1, "is no pilot"),
        (["--run", "{}", "--for-workers", "two", "--against", "{}"], 2, "no list of numbers"),
        (["--run", "{}", "--against", "{}"], 1, "holds no forecast"),
        (["--run", "{}", "--prices", "{}/none.toml"], 2, "cannot read the table"),
        (
            ["m", "--corpus", "c", "--site", "s", "--run", "{}/new", "--pilot", "3", "--cascade", "search"],
            2,
            "random sample",
        ),
    ],
)
def test_bad_input_is_told_in_one_line(
    arguments: list[str], code: int, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli(["plan", *(a.replace("{}", str(tmp_path)) for a in arguments)]) == code
    err = capsys.readouterr().err.strip()
    assert says in err and "\n" not in err


def test_figures_are_told_as_people_read_them() -> None:
    assert [_told(v, "s") for v in (5.0, 200.0, 8000.0, 4e5)] == ["5 s", "3.33 min", "2.22 h", "4.63 d"]
    assert [_told(v, "$") for v in (1234.5, 0.0123)] == ["$1,234.50", "$0.0123"]
    assert [_told(v, "units") for v in (12345.0, 3.0, 0.25)] == ["12,345", "3", "0.250"]


@pytest.mark.slow
def test_a_pilot_is_made_forecast_and_compared(
    tmp_path: Path, model_folder: Path, jsonl: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pilot, run = str(tmp_path / "pilot"), str(tmp_path / "run")
    what = [
        f"hf:{model_folder}",
        "--corpus",
        str(jsonl),
        "--site",
        "layers.1.mlp",
        "--nulls",
        "0",
        "--engine",
        "in-process",
    ]
    cascade = ["--cascade", "search-no-experiments", "--scorers", "none"]
    assert cli(["plan", *what, *cascade, "--run", pilot, "--pilot", "8", "--resamples", "40", "--json"]) == 0
    (scenario,) = json.loads(capsys.readouterr().out)["scenarios"]
    labelled = scenario["readings"]["labelled"]
    assert scenario["units"] == 24 and labelled["low"] <= labelled["value"] <= labelled["high"] <= 24
    assert scenario["readings"]["ap"]["reason"]  # nothing was scored: unmeasured, no number
    assert cli(["sweep", *what, *cascade, "--run", run]) == 0
    capsys.readouterr()
    assert cli(["plan", "--run", pilot, "--against", run, "--json"]) == 0
    found = {r["name"]: r for r in json.loads(capsys.readouterr().out)["rows"]}
    assert found["through.search-no-experiments"]["inside"] is True
    assert found["labelled"]["actual"]["value"] <= 24 and found["ap"]["inside"] is None
    # a pilot is a sweep with other rules: nothing of that kind was forecast
    assert cli(["plan", "--run", pilot, "--against", pilot]) == 2
    assert "no scenario" in capsys.readouterr().err
    # again without the model, for ten times the units
    assert cli(["plan", "--run", pilot, "--units-total", "240", "--resamples", "40"]) == 0
    assert "240 units" in capsys.readouterr().out
