"""``maieutic lab``: programs of people in the jail, what they print and leave; bad input in one line."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from maieutic.campaign import RunPlan, create_run, open_run, stored_explanation
from maieutic.cli.lab import _saved, opened_bench
from maieutic.cli.main import run as cli
from maieutic.lab.workbench import Shown
from maieutic.lab.worker import backends


@pytest.fixture(scope="module")
def jail() -> str:
    return next(name for name in ("bwrap", "landlock", "none") if not backends()[name])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, model_folder: Path, jsonl: Path) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    units = ("layers.1.mlp/3", "layers.1.mlp/7")
    plan = RunPlan(subject=f"hf:{model_folder}", corpus=str(jsonl), sites=("layers.1.mlp",), units=units, nulls=0)
    create_run(folder, plan).close()
    return folder


def program(tmp_path: Path, *lines: str) -> str:
    file = tmp_path / "program.py"
    file.write_text("\n".join(lines), encoding="utf-8")
    return str(file)


PROBE = (
    "name = lab.hypothesize('fires on cats')",
    "found = lab.measure(['the cat', 'the dog'], expect=[0.5, 0.25], hypothesis=name)",
    "print([f.entry for f in found])",
    "lab.judge(name, 'rejected', found, because='dogs do as well')",
    "lab.submit('the word \"cat\"', P.token_in(words=['cat'], exact=False), 0.3, evidence=found[0])",
)


@pytest.mark.slow
def test_a_program_prints_and_its_answer_is_kept(
    run: Path, tmp_path: Path, jail: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli(["lab", str(run), "--exec", program(tmp_path, *PROBE), "--jail", jail, "--keep"]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[0] == "['layers.1.mlp/3#1', 'layers.1.mlp/3#2']"
    assert 'It will be scored as: "cat".' in out
    assert "layers.1.mlp/3: 2 measurements, 118 left" in err
    assert f"jail: {jail}" in err
    with open_run(run) as opened:
        found = stored_explanation(opened, "main", opened.units[0], explainer="person")
    assert found is not None
    assert (found.label, found.confidence, found.evidence) == ('the word "cat"', 0.3, ("layers.1.mlp/3#1",))
    assert found.considered == (("fires on cats", "dogs do as well"),)
    assert found.cost.measurements == 2


@pytest.mark.slow
def test_the_same_program_twice_gives_the_same_json(
    run: Path, tmp_path: Path, jail: str, capsys: pytest.CaptureFixture[str]
) -> None:
    told: list[dict[str, Any]] = []
    for _ in range(2):
        arguments = ["--exec", program(tmp_path, *PROBE, "print(lab.exemplars(3))"), "--jail", jail, "--json"]
        assert cli(["lab", str(run), "layers.1.mlp/7", *arguments]) == 0
        told.append(json.loads(capsys.readouterr().out))
        assert told[-1].pop("seconds") >= 0
    assert told[0] == told[1]
    assert told[0]["submissions"]["layers.1.mlp/7"]["label"] == 'the word "cat"'
    assert [(e["expect"], e["detail"]["jail"]) for e in told[0]["experiments"]] == [(0.5, jail), (0.25, jail)]
    assert told[0]["ledgers"]["layers.1.mlp/7"]["left"] == 118


@pytest.mark.slow
def test_a_program_that_fails_fails_the_command(
    run: Path, tmp_path: Path, jail: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli(["lab", str(run), "--exec", program(tmp_path, "print(1)", "lab.measure('x')"), "--jail", jail]) == 1
    out, err = capsys.readouterr()
    assert out == "1\n"
    assert "line 2" in err
    assert "Traceback" not in err
    code = program(tmp_path, "while True: pass")
    assert cli(["lab", str(run), "--exec", code, "--jail", jail, "--seconds", "0.5"]) == 1
    assert "stopped: " in capsys.readouterr().err


@pytest.mark.slow
def test_a_program_cannot_write_to_the_terminal_what_it_obeys(
    run: Path, tmp_path: Path, jail: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli(["lab", str(run), "--exec", program(tmp_path, r"print('\x1b[2J\u202eabc')"), "--jail", jail]) == 0
    assert capsys.readouterr().out == "‹U+001B›[2J‹U+202E›abc\n"


@pytest.mark.slow
def test_statements_are_run_as_they_are_complete(
    run: Path, jail: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed = "x = 20\nfor i in range(2):\n    print(i)\n\nx + 1\n1 / 0\nprint('after')\nif x:"
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    assert cli(["lab", str(run), "--repl", "--jail", jail]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == ["0", "1", "21", "after"]
    assert "ZeroDivisionError" in err
    assert "SyntaxError" in err or "IndentationError" in err


def test_the_page_can_be_read(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli(["lab", str(run), "--page"]) == 0
    page = capsys.readouterr().out
    assert "lab.measure(stimuli, *, expect" in page
    assert "P.token_in" in page
    assert len(page) < 12000  # one long page, the names of predicates included


def test_units_of_two_runs_stand_on_one_bench(run: Path, tmp_path: Path, model_folder: Path, jsonl: Path) -> None:
    other = tmp_path / "other"
    plan = RunPlan(
        subject=f"hf:{model_folder}", corpus=str(jsonl), sites=("layers.0.mlp",), units=("layers.0.mlp/1",), nulls=0
    )
    create_run(other, plan).close()
    with opened_bench(run, ["layers.1.mlp/3", f"{other}::layers.0.mlp/1"], budget=5, tools={}) as opened:
        assert list(opened.bench.labs) == ["layers.1.mlp/3", "layers.0.mlp/1"]
        assert [r.folder for r in opened.runs.values()] == [run, other]
        units = list(opened.bench.labs)
        found = opened.bench.calls()["measure"](["the cat"], expect=0.5, unit=units)
        assert list(found) == units
        told = opened.bench.calls()["submit"]("the word cat", confidence=0.5, unit="layers.0.mlp/1")
        assert "It will be scored as: " in told
        opened.bench.calls()["submit"](unexplained="no time", unit="layers.0.mlp/1")
        (line,) = opened.kept("person")
        assert str(other) in line
    with open_run(other) as reopened:
        kept = stored_explanation(reopened, "main", reopened.units[0], explainer="person")
    assert kept is not None
    assert kept.reason == "no time"


def test_shown_pictures_are_saved_beside_those_that_are_there(tmp_path: Path) -> None:
    red, black = Image.new("RGB", (2, 2), "red"), Image.new("RGB", (2, 2))
    shown = [Shown(text="words"), Shown(text="red", image=red), Shown(text="", image=black)]

    class Bench:
        def take_shown(self) -> list[Shown]:
            return shown

    Image.new("RGB", (1, 1)).save(tmp_path / "007.png")
    (tmp_path / "notes.png").write_text("mine")
    lines = list(_saved(Bench(), tmp_path))  # type: ignore[arg-type]
    assert lines == ["words", f"{tmp_path / '008.png'} red", str(tmp_path / "009.png")]
    assert Image.open(tmp_path / "008.png").getpixel((0, 0)) == (255, 0, 0)


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        ([], 2, "choose one of --exec"),
        (["--exec", "a.py", "--repl"], 2, "choose one of --exec"),
        (["--repl", "--json"], 2, "choose one of --exec"),
        (["--exec", "no-such-program.py"], 1, "cannot read the program"),
        (["--page", "--imagine", "compositor"], 2, "for image units"),
        (["--page", "layers.1.mlp/999"], 2, "units 0 to 23"),
        (["--page", "layers.1.mlp/3", "layers.1.mlp/3"], 2, "twice"),
        (["--page", "nowhere::layers.1.mlp/3"], 1, "not a maieutic run"),
        (["--repl", "--jail", "bwarp"], 2, "did you mean 'bwrap'"),
    ],
)
def test_bad_input_is_one_line(
    run: Path, arguments: list[str], code: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli(["lab", str(run), *[a for a in arguments if not a.startswith("layers") and "::" not in a],
                *[a for a in arguments if a.startswith("layers") or "::" in a]]) == code  # fmt: skip
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("maieutic: ")]
    assert len(lines) == 1
    assert told in lines[0]


def test_mcp_without_its_jail_offers_the_rest(run: Path) -> None:
    from contextlib import ExitStack

    from maieutic.cli.mcp import _worker

    missing = next(name for name, why in backends().items() if why)
    with ExitStack() as stack:
        opened = stack.enter_context(opened_bench(run, None, budget=5, tools={}))
        worker, note = _worker(stack, opened.bench, missing)
    assert worker is None
    assert note.startswith("run_python is not offered: ")
