"""The page of a dossier: nothing that a model wrote can run or hide, and what is marked is the cause."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from maieutic.errors import UserError
from maieutic.forensics.action import Act, Action, Message, ToolCall, action_from_json
from maieutic.forensics.dossier import (
    Benign,
    Chart,
    Conclusion,
    Dossier,
    Mark,
    MinimalEdit,
    Row,
    Rung,
    Trace,
    Verdict,
)
from maieutic.readings import Cost, Reading
from maieutic.report.dossier import cell, dossier_html, pieces, polyline, scaled, shade, write_dossier

HOSTILE = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">\u202eabc"


def _reading(value: float | None = 0.5) -> Reading:
    if value is None:
        return Reading.unmeasured("x", HOSTILE)
    return Reading(
        name="x", value=value, low=value - 0.1, high=value + 0.1, n=8, cost=Cost(measurements=3, seconds=1.0)
    )


def _dossier(text: str = HOSTILE) -> Dossier:
    """Everything that may come from a model or a file holds the text."""
    call = ToolCall(id="1", name=text, arguments={text: text})
    messages = (
        Message(role="system", content=text),
        Message(role="assistant", content="", tool_calls=(call,)),
        Message(role="tool", content=f"before {text} after", tool_call_id="1", name=text),
    )
    action = Action(
        id=text, messages=messages, act=Act.tool_call("wipe"), observed=replace(messages[1], content=text)
    )  # fmt: skip
    mark = Mark(message=2, start=7, end=7 + len(text), text=text)
    charts = (
        Chart(title=text, rows=(Row(name=text, reading=_reading(), own=True), Row(name=text, reading=_reading(None)))),
        Chart(title=text, x=(0.0, 1.0), x_title=text, lines=(Trace(name=text, y=(0.0, 1.0), own=True),)),
        Chart(title=text, columns=(text,), cells=((text, (0.5,)), (text, (None,))), folded=True),
    )
    verdicts: list[Verdict] = ["supports", "against", "undecided", "unmeasured"] * 2
    rungs = tuple(
        Rung(number=i + 1, name=text, question=text, verdict=v, why=text, charts=charts,
             estimate=_reading(None if v == "unmeasured" else 0.5))
        for i, v in enumerate(verdicts)
    )  # fmt: skip
    benign = Benign(name=text, claim=text, experiment=text, reading=_reading(), standing="excluded", why=text)
    return Dossier(
        action=action, model=text, marks=(mark,), rungs=rungs, benign=(benign,), cost=Cost(measurements=9), seed=1,
        edit=MinimalEdit(removed=(mark,), before=_reading(), after=_reading(None)), notes=(text,),
        conclusion=Conclusion(finding="undecided", text=text, because=(text,)),
    )  # fmt: skip


def test_nothing_a_model_wrote_becomes_markup() -> None:
    page = dossier_html(_dossier())
    assert "<script" not in page
    assert "<img" not in page
    assert "\u202e" not in page
    assert page.count("‹U+202E›") > 20
    assert "default-src &#39;none&#39;" in page or "default-src 'none'" in page


@pytest.mark.browser
def test_no_planted_script_runs(chromium: str, tmp_path: Path) -> None:
    page = write_dossier(_dossier(), tmp_path)
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=2000", "--dump-dom"]
    done = subprocess.run([chromium, *flags, page.as_uri()], capture_output=True, text=True, timeout=60, check=True)
    title = done.stdout.split("<title>")[1].split("</title>")[0]
    assert title.startswith("&lt;script&gt;")


def test_the_cause_is_marked_and_only_it() -> None:
    message = Message(role="tool", content="One. Two. Three. Four.")
    found = pieces(
        message, [Mark(message=0, start=5, end=9, text="Two."), Mark(message=0, start=17, end=22, text="Four.")]
    )
    assert [(p.text, p.marked) for p in found] == [
        ("One. ", False),
        ("Two.", True),
        (" Three. ", False),
        ("Four.", True),
    ]
    assert "".join(p.text for p in found) == message.content


def test_overlapping_marks_repeat_no_text() -> None:
    message = Message(role="tool", content="abcdef")
    found = pieces(message, [Mark(message=0, start=0, end=4, text="abcd"), Mark(message=0, start=2, end=5, text="cde")])
    assert [(p.text, p.marked) for p in found] == [("abcd", True), ("e", True), ("f", False)]


def test_of_a_long_message_the_surroundings_of_the_cause_are_shown() -> None:
    message = Message(role="tool", content="a" * 5000 + "CAUSE" + "b" * 5000)
    found = pieces(message, [Mark(message=0, start=5000, end=5005, text="CAUSE")])
    assert [p.gap for p in found] == [False, True, False, False, False, True, False]
    assert found[3].marked
    assert found[2].text == "a" * 240
    assert " 4520 characters" in found[1].text


def test_bars_and_curves_stand_where_their_numbers_say() -> None:
    found = scaled(Reading(name="x", value=0.0, low=-0.5, high=0.5), -1.0, 1.0)
    assert found is not None
    assert (found.at, found.left, found.width) == (50.0, 25.0, 50.0)
    assert scaled(Reading.unmeasured("x", "no"), 0.0, 1.0) is None
    chart = Chart(title="", low=-1.0, high=1.0, x=(0.0, 1.0, 4.0))
    assert polyline(chart, Trace(name="", y=(-1.0, 0.0, 1.0))) == "0.00,100.00 25.00,50.00 100.00,0.00"
    assert polyline(chart, Trace(name="", y=(5.0, 0.0, 0.0))).startswith("0.00,0.00")  # beyond the scale: at its end
    assert [shade(chart, v) for v in (0.5, -0.25, 3.0, None)] == [0.5, 0.25, 1.0, 0.0]
    assert [cell(v) for v in (0.256, -0.001, -0.5, None)] == ["0.26", "0.00", "−0.50", "–"]


def test_the_json_holds_everything_and_the_action_reads_back(tmp_path: Path) -> None:
    dossier = _dossier("plain text")
    write_dossier(dossier, tmp_path / "new")
    data = json.loads((tmp_path / "new" / "dossier.json").read_text(encoding="utf-8"))
    assert (data["format"], data["version"]) == ("maieutic-dossier", 1)
    assert action_from_json(data["action"]) == dossier.action
    assert [r["verdict"] for r in data["rungs"]] == [r.verdict for r in dossier.rungs]
    assert data["rungs"][3]["estimate"]["value"] is None
    assert data["conclusion"]["finding"] == "undecided"
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == ["dossier.html", "dossier.json"]


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="give another folder"):
        write_dossier(_dossier("x"), tmp_path / "file")


def test_the_same_dossier_gives_the_same_bytes() -> None:
    assert dossier_html(_dossier()) == dossier_html(_dossier())
