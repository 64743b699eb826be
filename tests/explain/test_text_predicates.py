"""Text views and predicates on sentences small enough to check by eye."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maieutic.explain.predicates.base import And, Constant, Not, Predicate, Scaled, from_json
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
from maieutic.explain.predicates.text_rules import Anywhere, Phrases, RuleSet, TokenStrengths
from maieutic.explain.search.text_build import build
from maieutic.explain.search.text_quantities import gains
from maieutic.explain.views_text import TextView, split_tokens
from maieutic.explain.views_text_book import TextBook
from maieutic.subjects.base import TokenSpan

TEXT = "The old dog (of 1999) sees\n    the dogs quickly."
#        0   1   2   34  5   67      8   9  10  (white space before the second line is token 7)


def view_of(text: str) -> TextView:
    return TextView(text, split_tokens(text))


def where(predicate: Predicate, text: str = TEXT) -> list[str]:
    """The tokens at which a predicate holds."""
    view = view_of(text)
    return [k for k, v in zip(view.key, predicate.evaluate(view), strict=True) if v > 0.5]


@pytest.mark.parametrize(
    ("predicate", "held"),
    [
        (TokenIn(words=("the",)), ["the", "the"]),
        (TokenIn(words=(" dog",), exact=True), ["dog"]),
        (TokenClass(name="prepositions"), ["of"]),
        (TokenClass(name="capitalised"), ["the"]),
        (TokenClass(name="opening brackets"), ["("]),
        (HasAffix(suffix="s"), ["sees", "dogs"]),
        (HasAffix(prefix="do"), ["dog", "dogs"]),
        (NumberRange(low=1500, high=2100), ["1999"]),
        (NumberRange(low=0, high=9), []),
        (PreviousIs(part=TokenIn(words=("old",))), ["dog"]),
        (PreviousIs(part=TokenIn(words=("old",)), back=2), ["("]),
        (WithinLast(part=TokenIn(words=("old",)), n=2), ["dog", "("]),
        (TopicWords(words=("dog",), n=2), ["dog", "("]),
        (TopicWords(words=("the", "dog"), n=3, at_least=2), ["dog"]),
        (Structure(name="inside parentheses"), ["of", "1999", ")"]),
        (Structure(name="first after indentation"), ["the"]),
        (Position(last=1), ["the", "old"]),
        (And(parts=(TokenIn(words=("the",)), Not(part=Position(last=3)))), ["the"]),
    ],
)
def test_conditions_hold_where_they_should(predicate: Predicate, held: list[str]) -> None:
    assert where(predicate) == held
    assert from_json(predicate.to_json()) == predicate
    assert predicate.describe()


def test_words_are_read_up_to_the_end_of_the_token_only() -> None:
    """A model that sees "un", "happ", "ily" knows "unhapp" at the second piece, and not how it will end."""
    pieces = [TokenSpan("un", 0, 2), TokenSpan("happ", 2, 6), TokenSpan("ily", 6, 9), TokenSpan(" so", 9, 12)]
    view = TextView("unhappily so", pieces)
    assert view.word == ["un", "unhapp", "unhappily", "so"]
    assert view.starts_word.tolist() == [True, False, False, True]
    assert WordIn(words=("unhappily",)).evaluate(view).tolist() == [0, 0, 1, 0]
    assert HasAffix(suffix="ly").evaluate(view).tolist() == [0, 0, 1, 0]


def test_numbers_join_digits_and_groups() -> None:
    pieces = [TokenSpan("1", 0, 1), TokenSpan(",", 1, 2), TokenSpan("234", 2, 5)]
    assert TextView("1,234", pieces).number.tolist()[::2] == [1.0, 1234.0]


def test_rule_sets_add_and_clip() -> None:
    rules = RuleSet(
        clauses=(
            TokenIn(words=("dog",)),
            Position(last=2),
            Phrases(table=(("word", "dog", 0.3), ("pair", "old", "dog", -0.1))),
        ),
        weights=(0.5, 0.4, 1.0),
        base=0.1,
    )
    # "dog": 0.1 + 0.5 + 0.4 + 0.3 - 0.1 = 1.2, clipped to 1; "old": 0.1 + 0.4; "(": 0.1
    assert rules.evaluate(view_of(TEXT))[1:4].tolist() == pytest.approx([0.5, 1.0, 0.1])
    assert from_json(rules.to_json()) == rules


def test_tables_fall_back_on_another_predicate() -> None:
    table = TokenStrengths(table=((" dog", 0.9),), otherwise=Scaled(part=TokenIn(words=("the",)), strength=0.2))
    assert table.evaluate(view_of("The dog ran")).tolist() == pytest.approx([0.2, 0.9, 0.0])


def test_one_value_a_text_is_the_largest() -> None:
    view = TextView("a dog here", split_tokens("a dog here"), text_level=True)
    assert Anywhere(part=TokenIn(words=("dog",))).evaluate(view).tolist() == [1.0]
    assert RuleSet(clauses=(Anywhere(part=TokenIn(words=("cat",))),), weights=(1.0,), base=0.2).evaluate(view) == [0.2]
    assert Constant(value=0.3).evaluate(view).shape == (1,)


@settings(max_examples=40, deadline=None)
@given(st.text(alphabet="ab. (\n1'\"#", max_size=60))
def test_every_position_of_any_text_gets_a_value(text: str) -> None:
    view = view_of(text)
    assert len(view.classes) == len(view.structure) == len(view.word) == len(view)
    for predicate in (Structure(name="in prose"), WithinLast(part=TokenIn(words=("a",)), n=3), HasAffix(prefix="a")):
        values = predicate.evaluate(view)
        assert values.shape == (len(view),) and set(values) <= {0.0, 1.0}


def test_every_column_of_the_matrix_is_its_predicate() -> None:
    """Differential check: the vectorised matrix against each predicate, over texts of several lines."""
    texts = [
        f"The dog {i % 7} ran (to 19{i % 90:02d}) and barked.\n    It was {'not ' * (i % 2)}late, so he left"
        for i in range(24)
    ]
    views = [view_of(t) for t in texts]
    data = build(TextBook(views), [f"d{i}" for i in range(24)], support=4)
    assert len(data.features) > 100
    for j, feature in enumerate(data.features):
        expected = np.concatenate([feature.predicate().evaluate(v) for v in views])
        np.testing.assert_array_equal(data.column(j), expected, err_msg=repr(feature))


def test_gain_counts_on_the_fold_left_out() -> None:
    """Two folds; the column holds once in each, residual 1 and 3, ridge 0.

    Fold 1 predicted by the other: w = 3, gain 2 * 3 * 1 - 9 * 1 = -3. Fold 2: w = 1, gain 2 * 1 * 3 - 1 = 5. Sum 2.
    """
    assert gains(np.array([[1.0], [3.0]]), np.array([[1.0], [1.0]]), 0.0).tolist() == pytest.approx([2.0])


_CODE = re.compile(r"\b(?:def|self|return|import|class|None)\b|[=\[\]{}_]|\(\)|\"\"\"|^\s{4}", re.M)
pieces = st.sampled_from(
    [*" \n\t\"'()[]{}=_.:%+9a#", "def", "self", "class", "None", " return", "()", '"""', "    ", "++", "x"]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(pieces, max_size=120).map("".join))
def test_code_and_figures_are_told_from_the_characters_before(text: str) -> None:
    """The signs of code as one pattern, and the figures counted in each stretch anew: 240 characters before the token."""
    view = view_of(text)
    for token, piece, names in zip(view.tokens, view.raw, view.structure, strict=True):
        at = token.start + len(piece) - len(piece.lstrip())
        recent = text[max(0, at - 240) : at]
        signs, figures = len(_CODE.findall(recent)), len(re.findall(r"\d|%|:", recent))
        assert ("in code" in names) == (signs >= max(3, len(recent) // 40))
        assert ("in lists of facts and figures" in names) == ("++" in recent or figures > max(6, len(recent) // 9))
