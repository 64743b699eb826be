"""Reports of many units: tables in pages, two orders, a search over all, evidence for one page at a time."""

from __future__ import annotations

import json
import re
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest

from maieutic.readings import Reading
from maieutic.report import ReportExperiment, ReportRun, ReportScores, ReportSection, ReportUnit, pages, write_report
from maieutic.report.overview import of_units


def unit(number: int, *, site: str = "a", **more: object) -> ReportUnit:
    values = {"key": f"{site}/{number}", "site": site, "label": f"label {number}", **more}
    return ReportUnit(**values)  # type: ignore[arg-type]


def scored(number: int, ap: float, **more: object) -> ReportUnit:
    return unit(number, scores=ReportScores(primary=Reading(name="ap", value=ap, n=9)), **more)


def run_of(*units: ReportUnit, **section: object) -> ReportRun:
    values = {"subject": "net", "modality": "text", "corpus": "c", "sites": ("a",), "units": units, **section}
    return ReportRun(title="t", sections=(ReportSection(**values),))  # type: ignore[arg-type]


def keys(page: Path) -> list[str]:
    return re.findall(r'<th scope="row" class="key"><\w+[^>]*>([^<]+)', page.read_text(encoding="utf-8"))


@pytest.fixture
def small_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "PAGE", 4)


@pytest.mark.usefixtures("small_tables")
def test_tables_go_on_in_both_orders_and_every_link_leads_somewhere(tmp_path: Path) -> None:
    units = [scored(n, n / 10, importance=None if n == 3 else float(-n)) for n in range(10)]
    folder = write_report(run_of(*units), tmp_path / "r").parent
    by_score = [keys(folder / f) for f in ("index.html", "units-1-2.html", "units-1-3.html")]
    assert by_score == [["a/9", "a/8", "a/7", "a/6"], ["a/5", "a/4", "a/3", "a/2"], ["a/1", "a/0"]]
    by_importance = [keys(folder / f"units-1-importance-{i}.html") for i in (1, 2, 3)]
    assert by_importance == [["a/0", "a/1", "a/2", "a/4"], ["a/5", "a/6", "a/7", "a/8"], ["a/9", "a/3"]]
    for page in folder.glob("*.html"):
        html = page.read_text(encoding="utf-8")
        for target in re.findall(r'href="([^"#]+)', html):
            assert (page.parent / target).is_file(), f"{page.name}: {target}"
    assert "units-1-importance-1.html" in (folder / "index.html").read_text(encoding="utf-8")


@pytest.mark.usefixtures("small_tables")
def test_the_search_file_has_every_unit_and_is_plain_data(tmp_path: Path) -> None:
    units = [scored(n, n / 10) for n in range(5)] + [
        unit(5, label="</script>\u2028\u202e"),
        unit(6, abstained="it was silent"),
    ]
    folder = write_report(run_of(*units), tmp_path / "r").parent
    script = (folder / "assets" / "units-1.js").read_text(encoding="utf-8")
    found = re.fullmatch(r"searched\(1, (\[.*\])\);\n", script)
    assert found
    rows = json.loads(found.group(1))
    assert rows[0] == ["a/4", "label 4", "short", 0.4, None, "units/1-a-4.html"]
    assert rows[5][1].startswith("</script>")
    assert "\u202e" not in rows[5][1], "marks that reorder text are written out"
    assert rows[6][1] == "unexplained: it was silent"
    assert all((folder / r[5]).is_file() for r in rows)
    assert script.isascii()


def test_few_units_have_one_table_and_no_search(tmp_path: Path) -> None:
    folder = write_report(run_of(scored(1, 0.5)), tmp_path / "r").parent
    html = (folder / "index.html").read_text(encoding="utf-8")
    assert 'class="search"' not in html
    assert 'class="pager"' not in html
    assert sorted(p.name for p in (folder / "assets").iterdir()) == ["icon.svg", "parts.css", "report.css", "report.js"]


def test_beyond_the_limit_the_most_important_have_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "MOST_PAGES", 2)
    units = [scored(n, n / 10, importance=float(n % 3)) for n in range(5)]  # importance 0 1 2 0 1
    folder = write_report(run_of(*units), tmp_path / "r").parent
    assert len(list((folder / "units").iterdir())) == 2
    told = {u["unit"]: u["page"] for u in json.loads((folder / "report.json").read_text(encoding="utf-8"))["units"]}
    # 2 is the most important; of 1 and 4, the better one
    assert {key for key, page in told.items() if page} == {"a/2", "a/4"}
    assert keys(folder / "index.html") == ["a/4", "a/3", "a/2", "a/1", "a/0"]


def test_sites_are_summed_up_by_hand() -> None:
    low = Reading(name="d", value=0.2, low=-0.1, high=0.3, n=9)
    units = [
        scored(1, 0.25, site="a"),
        scored(2, 0.75, site="a"),
        scored(3, 0.9, site="a", abstained="no label"),  # its score says nothing
        unit(4, site="b"),
    ]
    assert low.low is not None
    section = run_of(*units, sites=("b", "a", "c")).sections[0]
    assert [(s.site, s.units, s.labelled, s.beat, s.score) for s in of_units(section).sites] == [
        ("b", 1, 1, 0, None),
        ("a", 3, 2, 0, 0.5),
        ("c", 0, 0, 0, None),
    ]


def test_evidence_is_held_for_one_page_at_a_time(tmp_path: Path) -> None:
    """40 units with 100 kB of experiments each: 4 MB in all, of which a part is ever there."""
    asked: list[str] = []

    def full(shown: ReportUnit) -> ReportUnit:
        asked.append(shown.key)
        rows = tuple(
            ReportExperiment(
                id=f"{shown.key}#{i}", kind="look", hypothesis="h", shown=f"{shown.key} {i} " + "x" * 20_000, expect=0.5,
                scaled=0.5, value=1.0,
            )
            for i in range(5)
        )  # fmt: skip
        return replace(shown, experiments=rows)

    units = [scored(n, n / 100, tally=(5, 4)) for n in range(40)]
    write_report(run_of(units[0], full=full), tmp_path / "warm")
    asked.clear()
    tracemalloc.start()
    folder = write_report(run_of(*units, full=full), tmp_path / "r").parent
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sorted(asked) == sorted(u.key for u in units)
    assert peak < 3 << 20
    assert "160 of 200 came out" in (folder / "index.html").read_text(encoding="utf-8")  # 40 x 4 of 40 x 5


def test_what_a_sweep_chose_is_shown(tmp_path: Path) -> None:
    rows = tuple(
        ReportExperiment(
            id=f"a/1#{i}", kind="look", hypothesis="h", shown="text", expect=0.5, scaled=0.5, value=1.0, fresh=i > 1
        )
        for i in (1, 2, 3)
    )
    swept = {"explainer": "agent", "standing": 0.61, "importance": 12.5, "why": "better than <search>"}
    other = scored(2, 0.4, explainer="search", importance=1.0)
    folder = write_report(run_of(scored(1, 0.5, experiments=rows, **swept), other), tmp_path / "r").parent
    html = next((folder / "units").glob("*a-1*")).read_text(encoding="utf-8")
    for words in ("better than &lt;search&gt;", ">0.61<", ">12.50<", "1 had been measured before for other units"):
        assert words in html
    assert html.count("from the bank") == 1
    index = (folder / "index.html").read_text(encoding="utf-8")
    assert index.count('class="by"') == 2
    assert ">12.50<" in index
