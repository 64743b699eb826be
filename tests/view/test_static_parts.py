"""The same pages in a static report: people, comparisons and files, opened from disk, dead and escaped."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from made_stores import SITE, explained, make_store

from maieutic.report.gather import report_runs
from maieutic.report.said import Said, append_said

EVIL = "<script>alert(1)</script>"


def filled(folder: Path) -> Path:
    store = make_store(folder, units_of=4)
    for n, (a, b) in enumerate([(0.9, 0.3), (0.5, 0.5), (0.4, 0.6)], start=1):
        explained(store, n, f"one {n} {EVIL}", explainer="search", value=a, controls=(0.1, 0.2))
        explained(store, n, f"other {n}", explainer="agent", value=b, controls=(0.1, 0.2))
    store.close()
    return folder


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("static")
    run = filled(root / "run")
    said = {"unit": f"{SITE}/0", "explainer": "search", "verdict": "correct", "text": EVIL, "person": "Ada"}
    append_said(run, Said.model_validate(said))
    card = {
        "format": "maieutic-trust-card", "conclusion": EVIL, "explainer": "search", "model": None, "findings": [],
        "exam": {"modality": "text", "seed": 0},
        "skill": {"name": "x", "value": None, "reason": "no", "cost": {}},
    }  # fmt: skip
    (run / "card.json").write_text(json.dumps(card))
    head = '<!doctype html><meta name="generator" content="maieutic"><title>card</title>'
    (run / "card.html").write_text(head + EVIL)
    return report_runs([run, filled(root / "second")], root / "out", explainer="search").parent


def test_every_page_is_reached_and_every_link_leads_somewhere(report: Path) -> None:
    index = (report / "index.html").read_text()
    files = ("people-1.html", "compare-1.html", "files-1.html", "compare-2.html")
    for file in files:
        assert f'href="{file}"' in index and (report / file).is_file()
    assert not (report / "people-2.html").exists()  # nobody said anything of the second run
    for page in [*report.glob("*.html"), *report.glob("units/*.html")]:
        for link in re.findall(r'(?:href|src)="([^"#?]+)[#"]', page.read_text()):
            assert not link.startswith(("/", "http")), (page.name, link)
            assert (page.parent / link).is_file(), (page.name, link)


def test_nothing_planted_is_live(report: Path) -> None:
    for page in report.rglob("*.html"):
        text = page.read_text()
        if not page.name.startswith("files-1-"):
            assert EVIL not in text, page.name
    copied = (report / "files-1-0.html").read_text()
    # a page of another command is a copy; the rule before it forbids scripts, whatever stands in it
    assert copied.index("Content-Security-Policy") < copied.index("<script")
    assert "default-src 'none'" in copied


def test_a_unit_shows_what_people_said_and_no_form(report: Path) -> None:
    (own,) = [p.read_text() for p in report.glob("units/1-*-0.html")]
    assert "What people say" in own and "&lt;script&gt;alert(1)" in own.partition('id="people"')[2]
    assert "<form" not in own
    (other,) = [p.read_text() for p in report.glob("units/1-*-1.html")]
    assert 'id="people"' not in other


def test_comparisons_link_only_pages_that_show_that_label(report: Path) -> None:
    page = (report / "compare-1.html").read_text()
    assert "1 of 3 units score better with A, 1 with B, 1 the same" in page
    linked = re.findall(r'<a href="(units/[^"]+)"><bdi>(.*?)</bdi>', page)
    assert linked and all("other" not in words for _, words in linked)
    assert json.loads((report / "compare-1.json").read_text())["wins"] == 1


def test_a_report_without_any_of_it_has_no_bar(tmp_path: Path) -> None:
    store = make_store(tmp_path / "r", units_of=1)
    explained(store, 1, "x", value=0.5)
    store.close()
    out = report_runs([tmp_path / "r"], tmp_path / "out", explainer="search")
    assert 'class="pages"' not in out.read_text()
