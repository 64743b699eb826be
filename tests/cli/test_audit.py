"""``maieutic audit``: exit codes, what it prints, what it leaves, and comparing cards."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from maieutic.cli.main import run


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("trust")
    assert run(["audit", "--pairs", "1", "--audits", "leaks,touches", "--seed", "5", "--out", str(out)]) == 0
    return out / "card.json"


@pytest.mark.slow
def test_it_leaves_a_card_a_page_and_answers(card: Path) -> None:
    assert {"answers.json", "card.html", "card.json"} == {p.name for p in card.parent.iterdir()}
    found = json.loads(card.read_text())
    assert (found["explainer"], found["conclusion"], found["exam"]["seed"]) == ("search", "not established", 5)


@pytest.mark.slow
def test_cards_are_compared(card: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["audit", "--compare", str(card), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["chosen"] is None and found["because"][0].startswith("search: not established")
    other = json.loads(card.read_text())
    other["exam"]["seed"] = 6
    (tmp_path / "card.json").write_text(json.dumps(other))
    assert run(["audit", "--compare", str(card), "--compare", str(tmp_path / "card.json")]) == 1
    assert "different exams" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--modality", "sound"], "choose text or image"),
        (["--audits", "censorship"], "did you mean 'censoring'"),
        (["--audits", ","], "no audit"),
        (["--explainer", "serach"], "did you mean 'search'"),
        (["--explainer", "cheat:censer"], "did you mean 'censor'"),
        (["--explainer", "search", "--model", "a/b"], "has no option 'model'"),
        (["--explainer", "agent"], "needs a model"),
    ],
)
def test_wrong_arguments_are_one_line_and_code_2(
    arguments: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["audit", *arguments, "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert says in said and len(said.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_the_help_has_an_example_and_loads_nothing_heavy(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["audit", "--help"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "maieutic audit --explainer search" in said and "--compare" in said
