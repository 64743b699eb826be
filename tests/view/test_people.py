"""What people say: kept line by line, read back whole, counted as textbooks count."""

from __future__ import annotations

import csv
import io
import json
import multiprocessing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from maieutic.errors import StoreError
from maieutic.readings import wilson
from maieutic.report.agreement import agreement_on, agreements, cohens_kappa, krippendorff_alpha
from maieutic.report.said import FILE, Said, append_said, latest, read_said, said_csv, said_jsonl


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
