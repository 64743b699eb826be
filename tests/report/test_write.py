"""The written report: same bytes, closed links, nothing from elsewhere, nothing executed, nothing overclaimed."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from maieutic.errors import UserError
from maieutic.readings import Reading
from maieutic.report import (
    ReportControl,
    ReportRun,
    ReportScores,
    ReportSection,
    ReportTest,
    ReportUnit,
    pages,
    write_report,
)
from maieutic.report.overview import headline_of


class Tags(HTMLParser):
    """Every tag with its attributes, and all text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {k: v or "" for k, v in attrs}))

    def handle_data(self, data: str) -> None:
        self.text += data


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def parsed(folder: Path) -> Iterator[tuple[Path, Tags]]:
    for page in sorted(folder.rglob("*.html")):
        yield page, Tags(page.read_text(encoding="utf-8"))


def small(*units: ReportUnit, **section: object) -> ReportRun:
    values = {"subject": "net", "modality": "text", "corpus": "c", "sites": ("s",), "units": units, **section}
    return ReportRun(title="t", sections=(ReportSection(**values),))  # type: ignore[arg-type]


def scored(key: str, ap: float, *beaten: bool | None) -> ReportUnit:
    controls = tuple(
        ReportControl(
            name=f"control {i}",
            reading=Reading(name="c", value=0.1, n=9),
            difference=Reading.unmeasured("d", "no copy")
            if b is None
            else Reading(name="d", value=0.2, low=0.1 if b else -0.1, high=0.3, n=9),
        )
        for i, b in enumerate(beaten)
    )
    scores = ReportScores(primary=Reading(name="ap", value=ap, n=9), controls=controls)
    return ReportUnit(key=key, site="s", label=f"label of {key}", scores=scores)


def test_the_same_run_gives_the_same_bytes(run: ReportRun, written: Path, tmp_path: Path) -> None:
    write_report(run, tmp_path / "again")
    assert files(tmp_path / "again") == files(written)


def test_every_link_and_anchor_leads_somewhere(written: Path) -> None:
    ids = {page: {a["id"] for _, a in tags.tags if "id" in a} for page, tags in parsed(written)}
    seen = 0
    for page, tags in parsed(written):
        for _, attributes in tags.tags:
            for target in (attributes.get("href"), attributes.get("src")):
                if target is None:
                    continue
                path, _, anchor = target.partition("#")
                there = (page.parent / path).resolve() if path else page
                assert there.is_file(), f"{page.name}: {target}"
                assert not anchor or anchor in ids[there], f"{page.name}: {target}"
                seen += 1
    assert seen > 100


def test_ids_are_unique_on_each_page(written: Path) -> None:
    for page, tags in parsed(written):
        found = [a["id"] for _, a in tags.tags if "id" in a]
        assert len(found) == len(set(found)), page.name


def test_nothing_comes_from_elsewhere_or_runs_but_our_script(written: Path, hostile: str) -> None:
    for page, tags in parsed(written):
        scripts = [a for t, a in tags.tags if t == "script"]
        assert [Path(a["src"]).name for a in scripts] == ["report.js"], page.name
        assert not [a for _, a in tags.tags if any(name.startswith("on") for name in a)], page.name
        assert {Path(a["src"]).suffix for t, a in tags.tags if t == "img"} <= {".webp"}
    assert any(hostile in tags.text for _, tags in parsed(written))  # shown as text, whole
    assert not re.search(rb"url\(|@import|https?:", (written / "assets" / "report.css").read_bytes())


def test_reordering_and_null_characters_reach_no_page(written: Path) -> None:
    for page in written.rglob("*.html"):
        assert not re.search("[\x00\u202a-\u202e\u2066-\u2069]", page.read_text(encoding="utf-8")), page.name


def test_the_headline_counts_only_labels_that_beat_every_control() -> None:
    units = (
        scored("s/1", 0.9, True, True),
        scored("s/2", 0.8, True, False),
        scored("s/3", 0.8, True, None),  # a control that was not measured is not beaten
        scored("s/4", 0.8),  # nor is a label without controls better than them
        replace(scored("s/5", 0.9, True), abstained="nothing held"),
        ReportUnit(key="s/6", site="s", label="never scored"),
    )
    assert headline_of(units) == (
        "1 of 6 units has an explanation that beats every control; 1 abstained; 1 was not scored."
    )
    assert headline_of(()) == "No units were studied."


def test_a_unit_page_says_what_stands_against_the_label(tmp_path: Path) -> None:
    write_report(small(scored("s/1", 0.9, True, False, None)), tmp_path / "r")
    page = (tmp_path / "r" / "units" / "1-s-1.html").read_text(encoding="utf-8")
    assert "Does not beat: control 1. Not measured: control 2." in Tags(page).text


def test_further_scorers_stand_in_one_line_each(tmp_path: Path, hostile: str) -> None:
    made = ReportTest(
        name="made stimuli", what="what it is", chance=0.31,
        reading=Reading(name="generative", value=0.71, low=0.5, high=0.9, n=50),
        controls=scored("s/0", 0.1, True, False).scores.controls,  # type: ignore[union-attr]
        others=(Reading(name="generative.effect", value=0.4), Reading.unmeasured("generative.hard", "no near miss")),
        examples=(("near miss", hostile, hostile, 0.25),),
    )  # fmt: skip
    near = ReportTest(name="neighbours", what="x", reading=Reading.unmeasured("discrimination", "the only unit"))
    unit = scored("s/1", 0.9, True)
    assert unit.scores is not None
    unit = replace(unit, scores=replace(unit.scores, tests=(made, near)))
    write_report(small(unit, scored("s/2", 0.5, True)), tmp_path / "r")
    page = Tags((tmp_path / "r" / "units" / "1-s-1.html").read_text(encoding="utf-8"))
    for said in ("0.71", "0.31", "unmeasured: the only unit", "hard unmeasured (no near miss)", "effect 0.40", hostile):
        assert said in page.text, said
    index = Tags((tmp_path / "r" / "index.html").read_text(encoding="utf-8"))
    cells = [a for t, a in index.tags if t == "td" and a.get("data-name") == "made stimuli"]
    # the unit without that test has a dash, never a zero
    assert [c["data-value"] for c in cells] == ["0.71", "-2"]
    summary = json.loads((tmp_path / "r" / "report.json").read_text(encoding="utf-8"))
    assert summary["units"][0]["tests"]["neighbours"]["reason"] == "the only unit"


def test_unmeasured_is_a_word_not_a_number(tmp_path: Path) -> None:
    missing = ReportScores(primary=Reading.unmeasured("ap", "no strong activation in the test split"))
    unit = ReportUnit(key="s/1", site="s", label="x", scores=missing)
    index = write_report(small(unit), tmp_path / "r")
    assert "unmeasured" in Tags(index.read_text(encoding="utf-8")).text
    page = Tags((tmp_path / "r" / "units" / "1-s-1.html").read_text(encoding="utf-8")).text
    assert "Not scored: no strong activation in the test split." in page
    assert "Average precision is unmeasured, and so are its controls: no strong activation in the test split." in page


def test_units_are_ordered_and_linked_best_first(tmp_path: Path) -> None:
    units = (scored("s/1", 0.9, False), scored("s/2", 0.5, True), replace(scored("s/3", 1.0, True), abstained="no"))
    write_report(small(*units), tmp_path / "r")
    data = json.loads((tmp_path / "r" / "report.json").read_text(encoding="utf-8"))
    assert [u["unit"] for u in data["units"]] == ["s/2", "s/1", "s/3"]
    page = Tags((tmp_path / "r" / "units" / "1-s-1.html").read_text(encoding="utf-8"))
    steps = [(a["rel"], a["href"]) for t, a in page.tags if t == "a" and a.get("rel") in ("prev", "next")]
    assert steps[:2] == [("prev", "../units/1-s-2.html"), ("next", "../units/1-s-3.html")]


def test_keys_that_look_alike_get_pages_of_their_own(tmp_path: Path) -> None:
    keys = ("s/1", "s/1-", "s/d:a b", "s/d:a_b", "s/d:" + "x" * 300, "s/d:" + "x" * 301, "S/1")
    write_report(small(*(scored(k, 0.5) for k in keys)), tmp_path / "r")
    assert len(list((tmp_path / "r" / "units").iterdir())) == len(keys)


def test_thousands_of_units_are_spread_over_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "PAGE", 10)
    write_report(small(*(scored(f"s/{i}", i / 100, True) for i in range(25))), tmp_path / "r")
    tables = [tmp_path / "r" / name for name in ("index.html", "units-1-2.html", "units-1-3.html")]
    counts = [t.read_text(encoding="utf-8").count('<tr data-state="') for t in tables]
    assert counts == [10, 10, 5]


def test_a_run_without_units_is_a_report(tmp_path: Path) -> None:
    assert "No units were studied." in write_report(small(), tmp_path / "r").read_text(encoding="utf-8")
    assert write_report(ReportRun(title="t", sections=()), tmp_path / "q").is_file()


def test_writing_again_replaces_the_old_report(tmp_path: Path) -> None:
    write_report(small(scored("s/1", 0.5)), tmp_path / "r")
    write_report(small(scored("s/2", 0.5)), tmp_path / "r")
    assert [p.name for p in (tmp_path / "r" / "units").iterdir()] == ["1-s-2.html"]
    assert [p.name for p in tmp_path.iterdir()] == ["r"]


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(UserError, match="choose an empty or a new folder"):
        write_report(small(), tmp_path)
    assert files(tmp_path) == {"thesis.tex": b"mine"}
    with pytest.raises(UserError, match="choose an empty or a new folder"):
        write_report(small(), tmp_path / "thesis.tex")


def test_a_failed_write_leaves_the_old_report_and_no_rest(tmp_path: Path) -> None:
    write_report(small(scored("s/1", 0.5)), tmp_path / "r")
    before = files(tmp_path)
    broken = replace(scored("s/2", 0.5), predicate=7)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        write_report(small(broken), tmp_path / "r")
    assert files(tmp_path) == before


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs Linux")
def test_a_place_that_cannot_be_written_is_one_line() -> None:
    with pytest.raises(UserError, match=r"cannot be written .* choose another folder"):
        write_report(small(), Path("/dev/full/report"))
