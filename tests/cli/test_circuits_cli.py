"""``maieutic effects`` and ``maieutic drivers`` on a tiny model: what is printed, written, and refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from maieutic.campaign import RunPlan, create_run
from maieutic.campaign.drivers import read_drivers
from maieutic.campaign.effects import read_effects
from maieutic.cli import drivers, effects
from maieutic.errors import UsageError

APP = typer.Typer()
APP.command()(effects.effects)
APP.command()(drivers.drivers)


def called(*arguments: str) -> str:
    found = CliRunner().invoke(APP, list(arguments))
    if found.exception is not None and not isinstance(found.exception, SystemExit):
        raise found.exception
    assert found.exit_code == 0, found.output
    return found.stdout


@pytest.fixture(scope="module")
def folder(model_folder: Path, jsonl: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("circuits") / "run"
    plan = RunPlan(
        subject=f"hf:{model_folder}", corpus=str(jsonl), sites=("layers.1.mlp",), units=("layers.1.mlp/3",), nulls=0
    )
    create_run(folder, plan).close()
    return folder


def test_effects_are_printed_and_kept(folder: Path) -> None:
    arguments = ("effects", str(folder), "layers.1.mlp/3", "--contexts", "6", "--directions", "4")
    assert "raised:" in called(*arguments)
    printed = json.loads(called(*arguments, "--json"))
    (row,) = printed["effects"]
    kept = read_effects(folder, "layers.1.mlp/3")
    assert kept is not None
    assert (row["unit"], kept.unit, len(kept.rises)) == ("layers.1.mlp/3", "layers.1.mlp/3", 10)
    # the same seed gives the same figures
    assert kept.rises[0].change == pytest.approx(row["rises"][0]["change"])
    # the last layer's MLP has only the end of the model behind it: what it writes is what it does
    assert {s.name for s in kept.rises[:3]} & {name for name, _ in kept.attributed_up[:5]}


def test_drivers_are_ranked_and_shown_on_a_page(folder: Path, tmp_path: Path) -> None:
    prompts = tmp_path / "prompts.txt"
    prompts.write_text(
        "\n".join(
            f"the cat sat on the {w} and saw" for w in ["cat", "dog", "mat", "river", "tree", "moon", "old", "to"]
        )
    )
    arguments = ("drivers", "--run", str(folder), "--of", "token:river", "--prompts", str(prompts), "--top", "3")
    assert "candidates drive it" in called(*arguments)
    printed = json.loads(called(*arguments, "--json"))
    assert len(printed["candidates"]) == 3 and printed["units"] == 48
    page = folder / "drivers" / "token-river.html"
    assert "What drives" in page.read_text() and "layers." in page.read_text()
    assert read_drivers(page.with_suffix(".json")).target.name == "river"


def test_wrong_questions_are_told(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--of"):
        called("drivers", "--run", str(folder))
    with pytest.raises(UsageError, match="names no output"):
        called("drivers", "--run", str(folder), "--of", "river")
    with pytest.raises(UsageError, match="how="):
        called("effects", str(folder), "--how", "twist")
    with pytest.raises(UsageError, match="a prompt a line"):
        called("drivers", "--run", str(folder), "--of", "token:river", "--prompts", str(tmp_path / "none.txt"))
