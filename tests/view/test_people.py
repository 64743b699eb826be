"""What people say: kept line by line, read back whole, counted as textbooks count."""

from __future__ import annotations

import csv
import html
import io
import json
import multiprocessing
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st
from made_stores import SITE, explained, make_store
from pydantic import ValidationError

from maieutic.errors import StoreError
from maieutic.readings import wilson
from maieutic.report.agreement import agreement_on, agreements, cohens_kappa, krippendorff_alpha
from maieutic.report.said import FILE, Said, append_said, latest, read_said, said_csv, said_jsonl
from maieutic.store import Store, explanations
from maieutic.view import create_app


def said(unit: str = "a/1", verdict: str = "confirm", person: str = "Ada", **more: object) -> Said:
    if verdict in ("correct", "label"):
        more.setdefault("text", "years")
    return Said.model_validate(
        {
            "unit": unit,
            "verdict": verdict,
            "person": person,
            "explainer": "search",
            "at": "2026-01-01T00:00:00+00:00",
            **more,
        }
    )


# --- the file ------------------------------------------------------------------------------------------------------------
@settings(deadline=None, max_examples=40)  # each is written to a disk
@given(
    text=st.text(min_size=1, max_size=40).filter(lambda t: t.strip()),
    comment=st.text(max_size=40),
    person=st.text(max_size=20),
)
def test_whatever_is_said_comes_back(
    tmp_path_factory: pytest.TempPathFactory, text: str, comment: str, person: str
) -> None:
    folder = tmp_path_factory.mktemp("run")
    first, second = said(verdict="correct", text=text, comment=comment, person=person), said(verdict="unsure")
    append_said(folder, first)
    append_said(folder, second)
    assert read_said(folder).said == (first, second)
    assert (folder / FILE).read_bytes().count(b"\n") == 2


def test_a_line_that_a_crash_cut_is_told_and_swallows_nothing(tmp_path: Path) -> None:
    append_said(tmp_path, said("a/1"))
    whole = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(whole + whole[: len(whole) // 2])  # killed in the middle of a write
    append_said(tmp_path, said("a/2"))
    heard = read_said(tmp_path)
    assert [s.unit for s in heard.said] == ["a/1", "a/2"]
    assert heard.unreadable == (2,)


def _talk(folder: Path, name: str) -> None:
    for n in range(20):
        append_said(folder, said(f"a/{n}", person=name, verdict="correct", text="x" * 900))


def test_many_programs_may_speak_at_once(tmp_path: Path) -> None:
    speakers = [multiprocessing.get_context("fork").Process(target=_talk, args=(tmp_path, n)) for n in "abc"]
    for s in speakers:
        s.start()
    for s in speakers:
        s.join(timeout=30)
    heard = read_said(tmp_path)
    assert (len(heard.said), heard.unreadable) == (60, ())


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"verdict": "correct", "text": " "}, "fill in the label"),
        ({"verdict": "confirm", "text": "years"}, "another verdict"),
        ({"verdict": "comment"}, "empty"),
        ({"verdict": "label", "text": "x"}, "before the machine's"),
        ({"verdict": "maybe"}, "Input should be"),
        ({"verdict": "confirm", "comment": "x" * 4001}, "at most 4000"),
        ({"verdict": "confirm", "unit": ""}, "at least 1"),
        ({"verdict": "confirm", "admin": True}, "Extra inputs"),
    ],
)
def test_what_says_nothing_is_refused_with_the_reason(given: dict[str, object], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        Said.model_validate({"unit": "a/1", **given})


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    with pytest.raises(StoreError, match="cannot read"):
        read_said(tmp_path)
    assert read_said(tmp_path / "nowhere").said == ()


def test_a_spreadsheet_is_given_no_formula_and_a_browser_is_not_told(tmp_path: Path) -> None:
    bad = ("=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)")
    for text in bad:
        append_said(tmp_path, said(verdict="correct", text=text, person="", browser="b0b0"))
    heard = read_said(tmp_path)
    rows = list(csv.DictReader(io.StringIO(said_csv(heard))))
    assert [r["text"] for r in rows] == ["'" + t for t in bad]
    assert {r["person"] for r in rows} == {"reader 1"}
    lines = [json.loads(line) for line in said_jsonl(heard).splitlines()]
    assert [row["text"] for row in lines] == list(bad)
    assert "b0b0" not in said_jsonl(heard) + said_csv(heard)


def test_the_last_word_of_each_person_counts() -> None:
    first, changed = said(verdict="wrong"), said(verdict="confirm", person="ADA")  # case is no other person
    other, blind = said(verdict="wrong", person="Bo"), said(verdict="label", blind=True)
    assert latest([first, other, blind, changed, said(verdict="comment", comment="hm")]) == (other, blind, changed)


# --- agreement -----------------------------------------------------------------------------------------------------------
def test_kappa_by_hand() -> None:
    # both right 4, right/wrong 1, wrong/right 2, both wrong 3: observed 7/10; expected .5 x .6 + .5 x .4 = .5
    a = ["r"] * 5 + ["w"] * 5
    b = ["r"] * 4 + ["w"] + ["r"] * 2 + ["w"] * 3
    found = cohens_kappa(a, b)
    assert found.value == pytest.approx((0.7 - 0.5) / (1 - 0.5))
    assert found.low is not None and found.high is not None and found.low < 0.4 < found.high


@settings(deadline=None)  # scikit-learn is imported on the way
@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=5, max_size=40))
def test_kappa_as_scikit_learn_has_it(pairs: list[tuple[str, str]]) -> None:
    from sklearn.metrics import cohen_kappa_score

    a, b = [p[0] for p in pairs], [p[1] for p in pairs]
    found = cohens_kappa(a, b)
    if len({*a, *b}) == 1:
        assert not found.measured
    else:
        assert found.value == pytest.approx(cohen_kappa_score(a, b))


def test_alpha_as_krippendorff_computes_it() -> None:
    # "Computing Krippendorff's Alpha-Reliability" (2011), B: binary data, two observers, alpha = 0.095
    a, b = "0100000010", "1110010000"
    assert krippendorff_alpha([(x, y) for x, y in zip(a, b, strict=True)]).value == pytest.approx(0.095, abs=5e-4)
    # the same, C: nominal data, any number of observers, missing data; alpha = 0.743
    rows = ("123321412...", "1233224125.3", ".3332342251.", "12332441251.")
    units = ["".join(v for v in column if v != ".") for column in zip(*rows, strict=True)]
    assert krippendorff_alpha([list(u) for u in units]).value == pytest.approx(0.743, abs=5e-4)


def test_chance_gives_about_nothing_and_full_agreement_one() -> None:
    rng = np.random.default_rng(3)
    a, b = ([str(v) for v in rng.integers(0, 2, 4000)] for _ in range(2))
    # standard error of kappa at chance is about 1 / sqrt(4000) = 0.016
    assert cohens_kappa(a, b).value == pytest.approx(0, abs=0.07)
    assert krippendorff_alpha(list(zip(a, b, strict=True))).value == pytest.approx(0, abs=0.07)
    assert cohens_kappa(a, a).value == krippendorff_alpha(list(zip(a, a, strict=True))).value == 1.0


def test_what_cannot_be_known_is_unmeasured() -> None:
    assert not cohens_kappa(["r"] * 4, ["r"] * 4).measured  # too few
    assert "one thing" in str(cohens_kappa(["r"] * 9, ["r"] * 9).reason)  # nothing varies
    assert not krippendorff_alpha([["r"]] * 30).measured  # nobody judged what another did


def test_shares_count_units_once_and_blind_labels_never() -> None:
    # a/1: 2 of 3 confirm; a/2: 1 of 2 is no majority; a/3: wrong; a/4: unsure says nothing
    spoken = [
        said("a/1", "confirm", "A"), said("a/1", "confirm", "B"), said("a/1", "wrong", "C"),
        said("a/2", "confirm", "A"), said("a/2", "correct", "B"), said("a/3", "wrong", "A"), said("a/4", "unsure", "A"),
        said("a/5", "label", "A", blind=True), said("a/6", "comment", "A", comment="?"),
    ]  # fmt: skip
    found = agreement_on("search", spoken)
    assert (found.people, found.units, found.confirmed.value) == (3, 3, pytest.approx(1 / 3))
    assert (found.confirmed.low, found.confirmed.high) == pytest.approx(wilson(1, 3))
    assert found.counts == {"confirm": 3, "correct": 1, "unsure": 1, "wrong": 2}
    assert [(p.a, p.b, p.units, p.same.value) for p in found.pairs] == [
        ("A", "B", 2, 0.5),
        ("A", "C", 1, 0.0),
        ("B", "C", 1, 0.0),
    ]
    assert [a.explainer for a in agreements([*spoken, said("a/9", explainer="agent")])] == ["search", "agent"]


# --- the app -------------------------------------------------------------------------------------------------------------
HERE = "http://127.0.0.1"
KEY = f"{SITE}/0"
EVIL = "<script>alert('x')</script>"


@pytest.fixture
def talked(tmp_path: Path) -> Iterator[tuple[TestClient, Path]]:
    """An app over a store of three units with labels by hand."""
    folder = tmp_path / "run"
    store = make_store(folder, units_of=3)
    for n in (1, 2):
        explained(store, n, f"label {n} {EVIL}", value=0.5)
    explained(store, 3, "", reason="nothing fits")
    store.close()
    with TestClient(create_app([folder]), base_url=HERE) as asked:
        yield asked, folder


def fields(page: str, action: str) -> dict[str, str]:
    """Hidden fields of the form that posts to an address."""
    form = re.search(rf'<form[^>]*action="[^"]*{action}".*?</form>', page, re.DOTALL)
    assert form, page
    return {m[1]: html.unescape(m[2]) for m in re.finditer(r'type="hidden" name="(\w+)" value="([^"]*)"', form[0])}


def post(asked: TestClient, to: str, data: dict[str, str], origin: str = HERE) -> httpx.Response:
    return asked.post(f"/runs/run/{to}", data=data, headers={"origin": origin}, follow_redirects=False)


def test_a_correction_is_kept_and_shown_apart_and_escaped(talked: tuple[TestClient, Path]) -> None:
    asked, folder = talked
    given = fields(asked.get(f"/runs/run/unit/{KEY}").text, "/people")
    sent = {**given, "verdict": "correct", "text": EVIL, "comment": "see = 1", "person": "Ada <b>"}
    answer = post(asked, "people", sent)
    assert answer.status_code == 303 and answer.headers["location"].endswith("#people")
    (kept,) = read_said(folder).said
    assert (kept.unit, kept.explainer, kept.verdict, kept.text, kept.person) == (
        KEY,
        "search",
        "correct",
        EVIL,
        "Ada <b>",
    )
    assert kept.label == f"label 1 {EVIL}" and not kept.blind and kept.browser
    for address in (f"/runs/run/unit/{KEY}", "/runs/run/people"):
        page = asked.get(address).text
        assert EVIL not in page and "&lt;script&gt;alert(" in page and "Ada &lt;b&gt;" in page
    with Store.open(folder) as store:  # the machine's label is as it was
        assert store.rows(explanations)[0]["label"] == f"label 1 {EVIL}"
    assert "Ada" in asked.get("/runs/run/people.csv").text
    assert json.loads(asked.get("/runs/run/people.jsonl").text)["text"] == EVIL
    assert asked.get("/runs/run/people.json").json()["agreement"][0]["counts"] == {"correct": 1}
    again = asked.get(f"/runs/run/unit/{SITE}/1").text
    assert 'value="Ada &lt;b&gt;"' in again  # the name is known now


def test_forms_that_were_not_given_out_keep_nothing(talked: tuple[TestClient, Path]) -> None:
    asked, folder = talked
    given = {**fields(asked.get(f"/runs/run/unit/{KEY}").text, "/people"), "verdict": "confirm"}
    assert post(asked, "people", given, origin="http://evil.example").status_code == 403
    assert post(asked, "people", {**given, "token": "x" * 32}).status_code == 403
    assert post(asked, "people", {k: v for k, v in given.items() if k != "token"}).status_code == 403
    with TestClient(asked.app, base_url=HERE) as other:  # another browser's token
        other.get("/runs/run/people")
        assert post(other, "people", given).status_code == 403
    assert post(asked, "people", {**given, "unit": "nowhere/1"}).status_code == 404
    assert post(asked, "people", {**given, "verdict": "maybe"}).status_code == 400
    assert post(asked, "people", {**given, "comment": "x" * 5000}).status_code == 400
    assert post(asked, "people", {**given, "comment": "x" * 70_000}).status_code == 413
    assert read_said(folder).said == ()


def test_nobody_answers_about_a_label_that_has_changed(talked: tuple[TestClient, Path]) -> None:
    asked, folder = talked
    given = {**fields(asked.get(f"/runs/run/unit/{KEY}").text, "/people"), "verdict": "confirm"}
    with Store.open(folder, write=True) as store:
        explained(store, 1, "another label", value=0.5)
    answer = post(asked, "people", given)
    assert answer.status_code == 409 and "has changed" in answer.text
    assert read_said(folder).said == ()


def test_blind_labels_come_before_the_machines(talked: tuple[TestClient, Path]) -> None:
    asked, folder = talked
    page = asked.get("/runs/run/blind").text
    given = fields(page, "/blind")
    assert "label 1" not in page and "label 2" not in page  # nothing of what the machine said
    answer = post(asked, "blind", {**given, "text": "years", "verdict": "label"})
    assert answer.headers["location"].startswith(f"/runs/run/unit/{given['unit']}")
    second = fields(asked.get("/runs/run/blind").text, "/blind")
    assert second["unit"] != given["unit"]
    post(asked, "blind", {**second, "text": "left over", "verdict": "unsure"})
    done = asked.get("/runs/run/blind").text
    assert "labelled every unit" in done  # the unit without a machine's label is not asked about
    first, other = read_said(folder).said
    assert (first.verdict, first.text, first.blind, first.label) == ("label", "years", True, "")
    assert (other.verdict, other.text) == ("unsure", "")
    assert asked.get("/runs/run/people.json").json()["agreement"] == []  # blind labels judge nothing


def test_everybody_is_asked_in_one_order(talked: tuple[TestClient, Path]) -> None:
    asked, _ = talked
    with TestClient(asked.app, base_url=HERE) as other:
        units = [fields(c.get("/runs/run/blind").text, "/blind")["unit"] for c in (asked, other)]
    assert units[0] == units[1]


def test_where_nobody_may_write_there_is_no_form(talked: tuple[TestClient, Path]) -> None:
    _, folder = talked
    with TestClient(create_app([folder], writable=False), base_url=HERE) as asked:
        assert "<form" not in asked.get(f"/runs/run/unit/{KEY}").text.partition('id="people"')[2]
        assert asked.get("/runs/run/blind").status_code == 403
        assert post(asked, "people", {}).status_code == 403
