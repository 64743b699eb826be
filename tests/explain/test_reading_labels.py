"""Label texts that somebody else wrote, read into predicates: what they pick on sentences written here."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maieutic.explain.predicates import from_json
from maieutic.explain.predicates.text import TokenIn
from maieutic.explain.predicates.text_meaning import closeness, stem
from maieutic.explain.predicates.text_patterns import InText, Near, NthDistinct, Pattern, Repeated, variables
from maieutic.explain.reading_labels import read_label
from maieutic.explain.views_text import TextView, split_tokens


def picked(label: str, text: str, *, at_least: float = 0.99) -> list[str]:
    """Tokens at which the label's predicate is (nearly) 1."""
    view = TextView(text, split_tokens(text))
    predicate = read_label(label).predicate
    assert predicate is not None, label
    assert from_json(predicate.to_json()) == predicate
    return [t.text.strip() for t, v in zip(view.tokens, predicate.evaluate(view), strict=True) if v >= at_least]


@pytest.mark.parametrize(
    ("label", "text", "tokens"),
    [
        ('the word "river"', "The River and the rivers", ["River"]),
        ('instances of "cat" or "dog"', "a cat, a dog and a cow", ["cat", "dog"]),
        ('the word after "of"', "north of town, south of us", ["town", "us"]),
        ('the word following "of" and nothing else', "north of town", ["town"]),
        ('words before a comma', "red, green and blue, black", ["red", "blue"]),
        ("numbers greater than one hundred", "99 of 101 and 1,000", ["101", "000"]),
        ("numbers between 3 and 10", "2 or 5 or 11", ["5"]),
        ("single digit numbers", "7 and 42", ["7"]),
        ("commas inside parentheses", "a, (b, c), d", [","]),
        ('words ending in "ing"', "Singing is a thing to sing", ["Singing", "thing", "sing"]),
        ("tokens that start with the letter q", "A quick quiz, iq", ["quick", "quiz"]),
        ('the phrase "in the end"', "In the end it ended", ["end"]),
        ("capitalised words", "We met Anna in NATO", ["We", "Anna", "NATO"]),
        ("months such as may", "In May or June, not spring", ["May", "June"]),
        ('the character "<"', "a < b", ["<"]),
        ("HTML tags", "so <b>bold</b> it is", ["<", "b", ">", "<", "/", "b", ">"]),
        ("names of people repeated multiple times", "I told Ann and Bob; then Ann left", ["Ann", "Ann"]),
        ("the second named character", "With Ann came Bob, and Ann sat", ["Bob"]),
    ],
)  # fmt: skip
def test_labels_pick_what_they_say(label: str, text: str, tokens: list[str]) -> None:
    assert picked(label, text) == tokens


@pytest.mark.packaged
def test_meanings_come_from_the_lexicon() -> None:
    fruit = "He ate an apple, two bananas and a stone"
    assert picked("words related to fruit", fruit, at_least=0.5) == ["apple", "bananas"]
    assert picked("plural nouns", "two cats saw a mouse and geese", at_least=0.5) == ["cats", "geese"]
    assert picked("past tense verbs", "she walked home and sang", at_least=0.5) == ["walked", "sang"]
    assert closeness("green", "colors") > 0.8
    assert closeness("stopped", "stop") == 1.0
    assert closeness("stone", "fruit") == 0.0


def test_conditions_and_exceptions() -> None:
    strict = 'the word "stop", but only when negated'
    assert picked(strict, "I do not stop. After that we all went home and then we stop.", at_least=0.1) == ["stop"]
    assert picked('numbers, except "7"', "5 and 7") == ["5"]
    text = "He did not stop, they stop"
    view = TextView(text, split_tokens(text))
    loose = read_label('the word "stop" after "not"').predicate
    assert loose is not None
    values = loose.evaluate(view)[[i for i, t in enumerate(view.tokens) if t.text.strip() == "stop"]]
    assert values[0] > values[1] > 0  # out of its context it counts for less


@pytest.mark.parametrize("label", ["", "...", "phrases", "the words of the text and nothing else", "🙂"])
def test_what_says_nothing_is_not_read(label: str) -> None:
    reading = read_label(label)
    assert reading.predicate is None
    assert reading.understood == ()


@settings(max_examples=80, deadline=None)
@given(st.text(max_size=80), st.text(max_size=60))
def test_any_label_in_any_script_is_read_or_not_but_never_fails(label: str, text: str) -> None:
    reading = read_label(label)
    assert reading == read_label(label)  # deterministic
    if reading.predicate is not None:
        view = TextView(text, split_tokens(text))
        values = reading.predicate.evaluate(view)
        assert values.shape == (len(view),)
        assert np.isfinite(values).all()
        assert ((values >= 0) & (values <= 1)).all()
        assert reading.predicate.describe()


def test_words_of_other_scripts_are_looked_up_as_they_stand() -> None:
    # the stand-in tokens of these tests are single letters there: the word is complete at its last one
    assert picked('слово "кошка"', "вот кошка") == ["а"]
    assert picked("слова о кошках", "о них, кошках") == ["х"]


def test_stems() -> None:
    assert (stem("running"), stem("cities"), stem("the"), stem("creations")) == ("runn", "cit", "the", "cre")


def test_predicates_over_the_whole_text() -> None:
    text = "red cat saw red dog"
    view = TextView(text, split_tokens(text))
    red = TokenIn(words=("red",))
    assert Near(part=red, n=1).evaluate(view).tolist() == [0, 1, 1, 0, 1]
    assert InText(part=red).evaluate(view).tolist() == [1] * 5
    assert Repeated(part=TokenIn(words=("red", "cat"))).evaluate(view).tolist() == [1, 0, 0, 1, 0]
    assert NthDistinct(part=TokenIn(words=("red", "cat", "dog")), nth=2).evaluate(view).tolist() == [0, 1, 0, 0, 0]
    assert Near(part=red).evaluate(TextView("", [])).tolist() == []
    clock = "At 10:30 am, in two weeks"
    view = TextView(clock, split_tokens(clock))
    assert [bool(v) for v in Pattern(name="time phrases").evaluate(view)][-2:] == [True, True]


def test_variables_of_programs() -> None:
    assert variables("int a, b = 2;\nfloat c;\nd = a + b", "integer variables") == ["a", "b"]
    assert variables("int a, b = 2;\nfloat c;\nd = a + b") == ["a", "b", "c", "d"]
    assert variables("int main() { return 0; }") == []
