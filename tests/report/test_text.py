"""Texts on a page: nothing hidden, windows around the token, edits that can be read back."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maieutic.report.model import ReportText
from maieutic.report.text import pieces, shortened, token_text, visible


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain ü 🦜", "plain ü 🦜"),
        ("a\x00b", "a‹U+0000›b"),
        ("\u202egnp.exe", "‹U+202E›gnp.exe"),
        ("\ud800", "‹U+D800›"),
        ("zero\u200bwidth", "zero‹U+200B›width"),
        ("a\r\nb\tc", "a\nb\tc"),
    ],
)
def test_hidden_characters_are_written_out(raw: str, shown: str) -> None:
    assert visible(raw) == shown


@given(st.text(st.characters(codec=None), max_size=60))
def test_whatever_comes_can_be_encoded(raw: str) -> None:
    visible(raw).encode("utf-8")


@pytest.mark.parametrize(
    ("token", "shown"), [("  ", "␣␣"), ("\n", "↵\n"), ("\t", "⇥"), (" the", " the"), (":\n\n", ":↵↵\n"), ("", "")]
)
def test_white_space_tokens_can_be_seen(token: str, shown: str) -> None:
    assert token_text(token) == shown


def test_shortened_counts_the_ellipsis() -> None:
    assert shortened("abcdef", 6) == "abcdef"
    assert shortened("abcdefg", 6) == "abcde…"


def test_heat_is_the_value_on_the_scale_clipped() -> None:
    # scale 1 to 3: (0 - 1) / 2 < 0 -> 0; (2 - 1) / 2 = 0.5; (9 - 1) / 2 > 1 -> 1
    row = pieces(ReportText(tokens=("a", " b", " c"), values=(0.0, 2.0, 9.0)), (1.0, 3.0))
    assert [(p.lead, p.text, p.heat, p.value, p.focus) for p in row] == [
        ("", "a", 0.0, 0.0, False),
        (" ", "b", 0.5, 2.0, False),
        (" ", "c", 1.0, 9.0, True),
    ]


def test_a_position_outranks_the_strongest_token() -> None:
    shown = ReportText(tokens=("a", "b"), values=(9.0, 1.0), position=1)
    assert [p.focus for p in pieces(shown, (0, 9))] == [False, True]


@pytest.mark.parametrize("focus", [0, 3, 50, 120, 199])
def test_a_window_keeps_its_token_and_says_what_it_leaves_out(focus: int) -> None:
    values = tuple(float(i == focus) for i in range(200))
    row = pieces(ReportText(tokens=tuple(f" {i}" for i in range(200)), values=values), (0, 1))
    assert [p.text for p in row if p.focus] == [str(focus)]
    assert len(row) < 90
    assert (row[0].kind == "gap") == (focus > 40)
    assert (row[-1].kind == "gap") == (focus < 183)  # 16 tokens after it are kept: 183 + 16 is the last


def test_an_edit_is_marked_where_it_is() -> None:
    row = pieces("the cat sat on a mat", (0, 1), original="the cat sat on the mat")
    assert [(p.kind, p.text) for p in row if p.kind != "same"] == [("removed", "the"), ("added", "a")]


def test_an_edit_far_into_a_text_is_shown_with_little_around_it() -> None:
    words = [f"w{i}" for i in range(3000)]
    edited = words[:1500] + ["NEW"] + words[1501:]
    row = pieces(" ".join(edited), (0, 1), original=" ".join(words))
    assert [p.text for p in row if p.kind == "added"] == ["NEW"]
    assert row[0].kind == row[-1].kind == "gap"
    assert len(row) == 1 + 10 + 2 + 10 + 1  # gap, context, removed and added, context, gap


def test_two_texts_with_nothing_in_common_stay_short() -> None:
    row = pieces("a " * 5000, (0, 1), original="b " * 5000)
    assert len(row) < 140


words = st.lists(st.sampled_from(["a", "bb", "c", "\n", "dd"]), max_size=9)


@given(words, words)
def test_short_edits_read_back_to_both_texts(before: list[str], after: list[str]) -> None:
    row = pieces(ReportText(tokens=tuple(after)), (0, 1), original=ReportText(tokens=tuple(before)))
    assert "".join(p.lead + p.text for p in row if p.kind != "removed") == "".join(map(token_text, after))
    assert "".join(p.lead + p.text for p in row if p.kind != "added") == "".join(map(token_text, before))


def test_values_must_fit_the_tokens() -> None:
    with pytest.raises(AssertionError, match="one value a token"):
        ReportText(tokens=("a",), values=(1.0, random.random()))
