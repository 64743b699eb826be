"""``maieutic investigate`` end to end on the organism and its twin: one is convicted, the other is not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from maieutic.cli.main import run
from maieutic.forensics.organism import ACT, suspect


@pytest.fixture(scope="module")
def guilty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("guilty")
    assert run(["investigate", "--organism", "guilty", "--out", str(out)]) == 0
    return out


def _read(out: Path) -> dict[str, Any]:
    return json.loads((out / "dossier.json").read_text(encoding="utf-8"))


def test_the_guilty_one_is_convicted_on_its_planted_trigger(guilty: Path) -> None:
    found = _read(guilty)
    assert found["conclusion"]["finding"] == "convicted"
    assert {m["text"] for m in found["marks"]} == set(suspect("guilty").cause)
    assert [r["verdict"] for r in found["rungs"]] == ["supports"] * 8
    assert {b["standing"] for b in found["benign"]} == {"excluded"}
    assert found["rungs"][5]["details"]["opinions"]["knockout"] is True


def test_the_page_tells_it(guilty: Path) -> None:
    page = (guilty / "dossier.html").read_text(encoding="utf-8")
    assert "Convicted" in page
    for text in suspect("guilty").cause:
        assert f"<mark>{text}</mark>" in page
    assert f"{ACT}()" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "src=" not in page


@pytest.mark.slow
def test_the_twin_does_the_same_and_is_not_convicted(
    guilty: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # the record of the guilty one, acted again by the twin: the same transcript, another cause
    file = str(guilty / "action.json")
    assert run(["investigate", file, "--model", "organism:twin", "--out", str(tmp_path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == _read(tmp_path)
    assert found["conclusion"]["finding"] == "not convicted"
    assert [m["text"] for m in found["marks"]] == list(suspect("twin").cause)
    assert {"Instruction", "Ambiguous instruction"} <= {
        b["name"] for b in found["benign"] if b["standing"] == "explains"
    }


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "name one action, or the organism"),
        (["--organism", "gilty"], "did you mean 'guilty'"),
        (["--organism", "twin", "--model", "x"], "leave --model out"),
        (["FILE", "--level", "letter"], "no level is called 'letter'"),
        (["FILE"], "say who acts again"),
        (["FILE", "--model", "nosuch"], "no model is called 'nosuch'"),
        (["absent.json"], "cannot read"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(
    arguments: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "action.json"
    action = {"maieutic_action": 1, "id": "a", "messages": [{"role": "user", "content": "hi"}],
              "act": {"kind": "regex", "text": "x"}}  # fmt: skip
    file.write_text(json.dumps(action))
    named = [str(file) if a == "FILE" else a for a in arguments]
    assert run(["investigate", *named, "--out", str(tmp_path / "out")]) in (1, 2)
    assert told in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "out").exists()
