"""Many texts read as one against each text by itself: the same numbers, whatever the condition and the texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maieutic.explain.predicates.base import And, Constant, Not, Or, Predicate, Prediction, Scaled
from maieutic.explain.predicates.text import (
    HasAffix,
    NumberRange,
    Position,
    PreviousIs,
    Structure,
    TokenClass,
    TokenIn,
    TopicWords,
    WithinLast,
    WordIn,
)
from maieutic.explain.predicates.text_amounts import QUANTITIES, EarlierOnLine, HowMany, InRange, Nearness, Ramp
from maieutic.explain.predicates.text_meaning import NextIs
from maieutic.explain.predicates.text_patterns import HasCharacter, InText, Repeated
from maieutic.explain.predicates.text_rules import Anywhere, Phrases, RuleSet, TokenStrengths
from maieutic.explain.viewer_text import TextViewer, text_viewer
from maieutic.explain.views_text import LEVELS, TextView, split_tokens
from maieutic.explain.views_text_book import TextBook
from maieutic.subjects.function import function_subject, words

WORDS = ("a", "the", "dog", "dogs", "of", "1999", "12", "(", ")", ".", "\n", "    ", '"', "The", "def", "7", ",")


def views_of(texts: list[str], *, text_level: bool = False) -> list[TextView]:
    return [TextView(t, split_tokens(t), text_level=text_level) for t in texts]


some_texts = st.lists(st.lists(st.sampled_from(WORDS), max_size=14).map(" ".join), min_size=1, max_size=5)
some_words = st.lists(st.sampled_from([*WORDS, "absent"]), min_size=1, max_size=3, unique=True).map(tuple)
bounds = st.tuples(st.integers(0, 9), st.integers(1, 9)).map(lambda b: (float(b[0]), float(sum(b))))
atoms = st.one_of(
    st.builds(TokenIn, words=some_words, exact=st.booleans()),
    st.builds(WordIn, words=some_words),
    st.builds(TokenClass, name=st.sampled_from(["numbers", "prepositions", "capitalised", "opening brackets"])),
    st.builds(Structure, name=st.sampled_from(["first on the line", "inside parentheses", "in prose", "in code"])),
    st.builds(HasAffix, prefix=st.sampled_from(["", "d"]), suffix=st.sampled_from(["s", "og"])),
    st.builds(NumberRange, low=st.just(5.0), high=st.sampled_from([50.0, 2100.0])),
    st.builds(Position, first=st.integers(0, 3), last=st.sampled_from([-1, 4])),
    st.builds(HasCharacter, character=st.sampled_from(["d", "("])),
    st.builds(lambda q, b: InRange(quantity=q, low=b[0], high=b[1]), st.sampled_from(list(QUANTITIES)), bounds),
    st.builds(lambda q, b: Ramp(quantity=q, low=b[1], high=b[0]), st.sampled_from(list(QUANTITIES)), bounds),
    st.builds(TopicWords, words=some_words, n=st.integers(1, 12), at_least=st.integers(1, 2)),
    st.just(Constant(value=0.25)),
    st.just(TokenStrengths(table=(("dog", 0.9), (" dog", 0.5)), otherwise=WordIn(words=("the",)))),
    st.just(
        Phrases(
            table=(
                ("word", "dog", 0.3),
                ("token", " of", -0.2),
                ("pair", "the", "dog", 0.25),
                ("word pair", "", "the", 0.5),
                ("triple", "", "", "the", 0.125),
                ("triple", "the", "dog", "of", 0.5),
            )
        )  # fmt: skip
    ),
)


def around(part: st.SearchStrategy[Predicate]) -> st.SearchStrategy[Predicate]:
    n = st.integers(1, 9)
    return st.one_of(
        st.builds(And, parts=st.tuples(part, part)),
        st.builds(Or, parts=st.tuples(part, part)),
        st.builds(Not, part=part),
        st.builds(Scaled, part=part, strength=st.just(0.5)),
        st.builds(PreviousIs, part=part, back=n),
        st.builds(WithinLast, part=part, n=n),
        st.builds(HowMany, part=part, n=n, high=st.just(3.0)),
        st.builds(Nearness, part=part, near=st.just(1.0), far=st.just(6.0)),
        st.builds(EarlierOnLine, part=part),
        st.builds(NextIs, part=part),
        st.builds(InText, part=part),
        st.builds(Repeated, part=part),
        st.builds(RuleSet, clauses=st.tuples(part, part), weights=st.just((0.75, -0.5)), base=st.just(0.1)),
    )


predicates = st.recursive(atoms, around, max_leaves=5)


@settings(max_examples=150, deadline=None)
@given(predicates, some_texts)
def test_a_book_says_what_its_texts_say(predicate: Predicate, texts: list[str]) -> None:
    views = views_of(texts)
    np.testing.assert_array_equal(
        predicate.over(TextBook(views)), np.concatenate([predicate.evaluate(v) for v in views]), err_msg=repr(predicate)
    )


@settings(max_examples=60, deadline=None)
@given(predicates, some_texts)
def test_a_book_of_whole_texts_does_too(predicate: Predicate, texts: list[str]) -> None:
    whole = RuleSet(clauses=(Anywhere(part=predicate),), weights=(0.5,), base=0.125)
    views = views_of(texts, text_level=True)
    book = TextBook(views)
    assert len(book) == len(texts)
    np.testing.assert_array_equal(whole.over(book), np.concatenate([whole.evaluate(v) for v in views]))


@settings(max_examples=60, deadline=None)
@given(some_texts)
def test_columns_are_the_items_in_the_order_in_which_they_appear(texts: list[str]) -> None:
    views = views_of(texts)
    book = TextBook(views)
    for kind in ("raw", "key", "classes", "structure", *LEVELS):
        ids, items = book.column(kind)
        said = [item for v in views for item in v.items(kind)]
        assert [items[i] for i in ids] == said
        assert items == list(dict.fromkeys(said))
    for name in QUANTITIES:
        expected = np.concatenate([v.quantity(name) for v in views])
        np.testing.assert_array_equal(book.quantity(name), expected)
    first = np.cumsum([0, *(len(v) for v in views)])
    assert book.starts.tolist() == [int(first[i]) for i, v in enumerate(views) for _ in v.tokens]


def test_windows_end_at_the_beginning_of_a_text() -> None:
    """ "b" ends the first text; nothing of it reaches into the second."""
    book = TextBook(views_of(["a b", "a c"]))
    b = TokenIn(words=("b",))
    assert b.over(book).tolist() == [0, 1, 0, 0]
    assert PreviousIs(part=b).over(book).tolist() == [0, 0, 0, 0]
    assert WithinLast(part=b, n=3).over(book).tolist() == [0, 0, 0, 0]
    assert TopicWords(words=("b",), n=3).over(book).tolist() == [0, 1, 0, 0]
    assert Nearness(part=b, near=1, far=3).over(book).tolist() == [0, 0, 0, 0]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shouted(TokenIn):
    """A condition of someone else's that reads one view at a time: a book is no view to it."""

    op: ClassVar[str] = "test-shouted"

    def evaluate(self, view: Any) -> Prediction:
        assert isinstance(view, TextView)
        return np.array([float(r.strip().isupper()) for r in view.raw])


def test_conditions_that_know_no_books_are_asked_text_by_text() -> None:
    views = views_of(["a DOG", "A dog"])
    both = Or(parts=(_Shouted(words=()), TokenIn(words=("dog",))))
    assert not _Shouted.reads_books
    assert both.over(TextBook(views)).tolist() == [0, 1, 1, 1]


def test_a_viewer_predicts_sets_as_it_predicts_texts_and_forgets_old_ones() -> None:
    subject = function_subject(lambda ts: [float(len(t)) for t in ts], modality="text", name="long")
    viewer = TextViewer(subject, text_level=False)
    predicate = WithinLast(part=TokenIn(words=("the",)), n=2)
    for k in range(20):
        texts = [f"the dog {k}", "", f"{k} the end of it"]
        together = viewer.predict(predicate, texts)
        assert [r.tolist() for r in together] == [predicate.evaluate(viewer(t)).tolist() for t in texts]
    assert len(viewer._books) <= 6
    assert viewer.predict(predicate, []) == []


def test_subjects_keep_their_viewer_while_they_are_in_use() -> None:
    one, two, three = (function_subject(lambda ts: [0.0] * len(ts), modality="text", name=n) for n in "abc")
    first = text_viewer(one)
    assert text_viewer(two) is not first
    assert text_viewer(one) is first
    text_viewer(two), text_viewer(three)
    assert text_viewer(one) is not first, "only the latest are kept"


@pytest.mark.parametrize("text", ["", " ", "dog"])
def test_digests_tell_texts_and_tokens_apart(text: str) -> None:
    plain = TextBook(views_of([text, "a"]))
    assert plain.digest == TextBook(views_of([text, "a"])).digest
    assert plain.digest != TextBook(views_of(["a", text])).digest
    assert plain.digest != TextBook(views_of([text + "a"])).digest
    other = TextBook([TextView(text + " b", split_tokens(text + " b")), TextView(text + " b", words(text + " b")[:1])])
    assert other.digest != TextBook(views_of([text + " b"] * 2)).digest
