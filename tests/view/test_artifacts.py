"""What lies beside a run: found by its contents, served by its place in the list, without scripts and without ways out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from made_stores import make_store

from maieutic.campaign.prices import load_prices
from maieutic.errors import StoreError
from maieutic.readings import Reading
from maieutic.report.artifacts import find_artifacts
from maieutic.view import create_app
from maieutic.view.security import SANDBOX

HEAD = '<!doctype html><meta charset="utf-8">\n<meta name="generator" content="maieutic"><title>Caf&eacute; &lt;b&gt;</title>'


def reading(value: float | None = 0.5, **more: Any) -> dict[str, Any]:
    return Reading(name="x", value=value, low=0.4, high=0.6, n=9, **more).to_json()


def put(file: Path, data: Any) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(data if isinstance(data, str) else json.dumps(data), encoding="utf-8")
    return file


DOSSIER = {
    "format": "maieutic-dossier", "version": 1, "action": {"id": "suspect-<script>"}, "model": "m", "seed": 3,
    "cost": {"measurements": 2605},
    "conclusion": {"finding": "convicted", "text": "<script>alert(1)</script> did it", "because": []},
}  # fmt: skip
CARD = {
    "format": "maieutic-trust-card", "conclusion": "not established", "explainer": "search", "model": None,
    "skill": reading(1.0), "exam": {"modality": "text", "seed": 0}, "findings": [{"verdict": "clear"}] * 3 + [{"verdict": "alarm"}],
}  # fmt: skip
STUDY = {"config": {"preset": "quick"}, "models": 48, "missing": [], "machine": "Linux",
         "answers": [{"id": "H1", "verdict": "against"}, {"id": "H4", "verdict": "supported"}]}  # fmt: skip
COMPARISON = {"runs": [{"name": "a"}, {"name": "b"}], "rows": [{"what": "AP", "difference": reading(0.25)}]}
ANSWER = {
    "question": "Which look at shape?", "units": ["s/1"], "model": "gpt", "cost": {},
    "answers": [{"run": 1, "answer": "", "confidence": None, "reason": "no time", "evidence": []},
                {"run": 2, "answer": "unit <b>1</b>", "confidence": 0.7, "reason": None, "evidence": ["s/1#1"]}],
    "experiments": [{"id": "s/1#1", "kind": "look", "hypothesis": "<script>x</script>", "expect": 0.5, "scaled": 0.4,
                     "shown": "a cat"}],
}  # fmt: skip
FORECAST = {
    "version": 1, "written_at": "2026-01-01", "about": {"subject": "smollm"}, "first": "mass", "sampled": 64, "engine": "processes",
    "stages": [{"explainer": "search", "budget": 60}], "once": {}, "prices": load_prices().model_dump(),
    "scenarios": [{"stages": 1, "enough": 0.9, "least": 0.02, "workers": 2, "units": 1536,
                   "limits": {"measurements": None, "llm_tokens": None, "dollars": None}, "readings": {"wall": reading(582.0)}}],
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    run = tmp_path / "run"
    make_store(run, units_of=2).close()
    put(run / "why" / "dossier.json", DOSSIER)
    put(run / "why" / "dossier.html", HEAD + "<script>document.title='hacked'</script>")
    put(run / "why" / "secret.json", {"key": "sesame"})
    put(run / "cards" / "card.json", CARD)
    put(run / "study" / "results.json", STUDY)
    put(run / "study" / "report.html", HEAD)
    put(run / "study" / "measures.csv", "a,b\n")
    put(run / "cmp" / "comparison.json", COMPARISON)
    put(run / "answers" / "ab12.answer.json", ANSWER)
    put(run / "plan" / "forecast.json", FORECAST)
    put(run / "drivers" / "drivers.html", HEAD)
    put(run / "drivers" / "drivers.json", {"anything": 1})
    put(run / "drivers" / "foreign.html", "<title>not ours</title>")
    put(run / "report" / "report.json", {})
    put(run / "report" / "index.html", HEAD)
    put(run / "broken" / "card.json", '{"format": "maieutic-trust-card"')
    put(run / "older" / "card.json", {"format": "maieutic-trust-card", "version": 9})
    put(tmp_path / "outside" / "dossier.json", DOSSIER)
    (run / "link").symlink_to(tmp_path / "outside")
    (run / "linked").mkdir()
    (run / "linked" / "dossier.json").symlink_to(tmp_path / "outside" / "dossier.json")
    return run


@pytest.fixture
def asked(folder: Path) -> Iterator[TestClient]:
    with TestClient(create_app([folder]), base_url="http://127.0.0.1") as found:
        yield found


def test_everything_is_found_with_its_headline_and_nothing_else(folder: Path) -> None:
    found = {a.id: a for a in find_artifacts(folder)}
    assert list(found) == [
        "why/dossier.json", "broken/card.json", "cards/card.json", "older/card.json", "study/results.json", "cmp/comparison.json",
        "plan/forecast.json", "answers/ab12.answer.json", "drivers/drivers.html",
    ]  # fmt: skip
    assert found["why/dossier.json"].headline == "convicted: <script>alert(1)</script> did it"
    assert ("findings", "1 alarm, 3 clear") in found["cards/card.json"].facts
    assert found["study/results.json"].headline == "H1 against, H4 supported"
    assert found["cmp/comparison.json"].headline == "AP, A minus B: 0.250 [0.400, 0.600] (n=9)"
    assert found["answers/ab12.answer.json"].headline == "unit <b>1</b>"
    assert found["plan/forecast.json"].facts == (("wall time, seconds", "582 (0.4 to 0.6)"),)
    assert found["drivers/drivers.html"].title == "Café <b>"


def test_only_what_belongs_to_it_may_be_taken(folder: Path) -> None:
    found = {a.id: a for a in find_artifacts(folder)}
    assert list(found["why/dossier.json"].files) == ["dossier.json"]  # not secret.json beside it
    assert list(found["study/results.json"].files) == ["results.json", "measures.csv"]
    assert list(found["drivers/drivers.html"].files) == ["drivers.json"]


def test_what_cannot_be_read_is_listed_with_the_reason(folder: Path) -> None:
    found = {a.id: a.wrong for a in find_artifacts(folder)}
    assert found["broken/card.json"] and "Expecting" in found["broken/card.json"]
    assert found["older/card.json"] == "KeyError"


def test_pages_are_served_without_scripts_and_lists_escape(asked: TestClient) -> None:
    page = asked.get("/runs/run/files/page/why/dossier.json")
    assert page.status_code == 200 and page.headers["content-security-policy"] == SANDBOX
    assert "allow-scripts" not in SANDBOX and "script-src" not in SANDBOX
    for address in (
        "/runs/run/files",
        "/runs/run/files/show/why/dossier.json",
        "/runs/run/files/show/answers/ab12.answer.json",
    ):
        text = asked.get(address).text
        assert "<script>alert" not in text and "<script>x" not in text
        assert "<b>1</b>" not in text
    assert "582" in asked.get("/runs/run/files/show/plan/forecast.json").text
    taken = asked.get("/runs/run/files/take/study/results.json", params={"name": "measures.csv"})
    assert taken.text == "a,b\n" and taken.headers["content-disposition"].startswith("attachment")


@pytest.mark.parametrize(
    "address",
    [
        "/runs/run/files/page/..%2f..%2foutside%2fdossier.json",
        "/runs/run/files/page/%2e%2e/%2e%2e/outside/dossier.json",
        "/runs/run/files/page//etc/passwd",
        "/runs/run/files/show/link/dossier.json",
        "/runs/run/files/show/linked/dossier.json",
        "/runs/run/files/page/cards/card.json",
        "/runs/run/files/page/report/index.html",
        "/runs/run/files/page/drivers/foreign.html",
        "/runs/run/files/take/why/dossier.json?name=secret.json",
        "/runs/run/files/take/why/dossier.json?name=../store.sqlite",
        "/runs/run/files/take/why/dossier.json?name=..%2f..%2fstore.sqlite",
        "/runs/run/files/take/store.sqlite?name=store.sqlite",
        "/runs/..%2foutside/files",
    ],
)
def test_no_address_leads_out_of_the_list(asked: TestClient, address: str) -> None:
    found = asked.get(address)
    assert found.status_code == 404
    assert "sesame" not in found.text and "SQLite" not in found.text


def test_a_folder_that_is_a_dossier_or_card_opens_and_one_that_is_nothing_says_so(folder: Path, tmp_path: Path) -> None:
    with TestClient(create_app([folder / "cards"]), base_url="http://127.0.0.1") as found:
        first = found.get("/")
        assert first.status_code == 200 and "Trust card of search" in first.text
    with TestClient(create_app([folder, folder / "cards"]), base_url="http://127.0.0.1") as found:
        assert "/runs/cards/files" in found.get("/").text
    (tmp_path / "empty").mkdir()
    put(tmp_path / "other" / "notes.txt", "x")
    for wrong in (tmp_path / "empty", tmp_path / "other", tmp_path / "nowhere", tmp_path / "other" / "notes.txt"):
        with pytest.raises(StoreError, match="is not a maieutic run") as told:
            create_app([wrong])
        assert "\n" not in str(told.value)


def test_what_is_written_while_the_app_runs_appears(
    asked: TestClient, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("maieutic.view.artifacts._FRESH", 0.0)
    put(folder / "later" / "card.json", CARD)
    assert "later/card.json" in asked.get("/runs/run/files").text
