import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maieutic.errors import UsageError
from maieutic.stimuli import text_edit as edits
from maieutic.stimuli.texts import text_stimulus

TEXT = "a red fox ran over the hill"


@st.composite
def texts_with_spans(draw: st.DrawFn) -> tuple[str, tuple[int, int], tuple[int, int]]:
    words = draw(st.lists(st.text(alphabet="abcé", min_size=1, max_size=5), min_size=4, max_size=10))
    text = " ".join(words)
    spans = edits.words(text)
    first, second = draw(st.lists(st.integers(0, len(spans) - 1), min_size=2, max_size=2, unique=True))
    return text, spans[first], spans[second]


@given(texts_with_spans(), st.text(alphabet="xyz ", max_size=6))
def test_a_watched_span_keeps_its_text(case: tuple[str, tuple[int, int], tuple[int, int]], new: str) -> None:
    text, changed, watched = case
    before = text[slice(*watched)]
    for edit in (
        edits.substitute(text, changed, new, watched=watched),
        edits.delete(text, changed, watched=watched),
        edits.insert(text, changed[0], new, watched=watched),
    ):
        assert edit.watched is not None
        assert edit.text[slice(*edit.watched)] == before


@given(texts_with_spans(), st.data())
def test_moving_keeps_the_words(case: tuple[str, tuple[int, int], tuple[int, int]], data: st.DataObject) -> None:
    text, span, other = case
    edit = edits.move(text, span, other[data.draw(st.integers(0, 1))])
    assert sorted(edit.text.split()) == sorted(text.split())
    assert edit.watched is not None and edit.text[slice(*edit.watched)] == text[slice(*span)]


def test_the_examples_in_the_docstrings_hold() -> None:
    assert doctest.testmod(edits).failed == 0


def test_deletion_leaves_single_spaces() -> None:
    assert edits.delete(TEXT, (2, 5)).text == "a fox ran over the hill"
    assert edits.delete(TEXT, (0, 1)).text == "red fox ran over the hill"
    assert edits.delete(TEXT, (23, 27)).text == "a red fox ran over the"
    assert edits.delete(TEXT, (2, 5), tidy=False).text == "a  fox ran over the hill"
    assert edits.delete(TEXT, (2, 5), watched=(2, 5)).watched is None


def test_words_before_a_span_are_swapped_in_order() -> None:
    edit = edits.swap_before(TEXT, (6, 9), ["the", "silver"])
    assert edit.text == "the silver fox ran over the hill"
    assert edit.watched is not None and edit.text[slice(*edit.watched)] == "fox"
    with pytest.raises(UsageError, match="only 2 words"):
        edits.swap_before(TEXT, (6, 9), ["one", "two", "three"])


def test_context_can_be_cut_on_either_side() -> None:
    kept = edits.keep_from(TEXT, 6, watched=(10, 13))
    assert kept.text == "fox ran over the hill" and kept.watched == (4, 7)
    assert edits.keep_until(TEXT, 9, watched=(6, 9)).watched == (6, 9)
    assert edits.keep_until(TEXT, 9, watched=(10, 13)).watched is None


def test_each_context_word_is_deleted_once() -> None:
    found = list(edits.each_word_deleted(TEXT, watched=(10, 13)))
    assert [e.what for e in found] == [f"{w!r} deleted" for w in ("a", "red", "fox", "over", "the")]


def test_an_edited_stimulus_stays_in_its_split() -> None:
    before = text_stimulus(TEXT, group="doc", tags=("prose",))
    after = edits.substitute(TEXT, (6, 9), "dog").stimulus(before)
    assert after.content == "a red dog ran over the hill"
    assert (after.group, after.split, after.tags) == (before.group, before.split, before.tags)
    assert after.id != before.id


def test_spans_outside_the_text_are_refused() -> None:
    with pytest.raises(UsageError, match="lies outside"):
        edits.delete(TEXT, (20, 99))
    with pytest.raises(UsageError, match="inside the span"):
        edits.move(TEXT, (2, 5), 3)
