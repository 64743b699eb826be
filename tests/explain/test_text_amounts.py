"""Amounts of a text, counted by hand, and the search for their bounds against brute force."""

from __future__ import annotations

import numpy as np
import pytest

from maieutic.errors import UserError
from maieutic.explain.predicates.base import from_json
from maieutic.explain.predicates.text import TokenIn
from maieutic.explain.predicates.text_amounts import EarlierOnLine, HowMany, InRange, Nearness, Ramp, ordinal
from maieutic.explain.search.text_quantities import Ranges, cut
from maieutic.explain.views_text import TextView, split_tokens

TEXT = "We saw 3 dogs. A (big) cat\n    sat, too"
#       We saw 3 dogs .  A (  big ) cat  sat ,  too


def view(text: str = TEXT) -> TextView:
    return TextView(text, split_tokens(text))


def words_only(text: str, values: list[float]) -> dict[str, float]:
    return {k: v for k, v in zip(view(text).key, values, strict=True) if k.strip()}


def test_quantities_are_what_a_person_counts() -> None:
    v = view()
    token = [k for k in v.key if k.strip()]
    of = {
        name: [x for x, k in zip(v.quantity(name).tolist(), v.key, strict=True) if k.strip()]
        for name in ("letters", "word of the sentence", "open brackets", "indentation", "digits")
    }
    assert token == ["we", "saw", "3", "dogs", ".", "a", "(", "big", ")", "cat", "sat", ",", "too"]
    nan = np.nan
    np.testing.assert_equal(of["letters"], [2, 3, nan, 4, nan, 1, nan, 3, nan, 3, 3, nan, 3])
    # numbers and marks are no words; the sentence ends at the full stop before white space
    np.testing.assert_equal(of["word of the sentence"], [1, 2, nan, 3, nan, 1, nan, 2, nan, 3, 4, nan, 5])
    np.testing.assert_equal(of["open brackets"], [0] * 7 + [1, 1] + [0] * 4)
    np.testing.assert_equal(of["indentation"], [0] * 10 + [4, 4, 4])
    np.testing.assert_equal(of["digits"], [nan, nan, 3] + [nan] * 10)


def test_a_decimal_point_ends_no_sentence() -> None:
    found = view("It is 12.8 high").quantity("word of the sentence")
    assert np.nanmax(found) == 3


def test_ramps_nearness_and_counts() -> None:
    v = view("go a b c go go d")
    assert v.key == ["go", "a", "b", "c", "go", "go", "d"]
    go = TokenIn(words=("go",))
    # tokens since "go" before each: never, 1, 2, 3, 4, 1, 1; (5 - gap) / (5 - 1), clipped
    assert Nearness(part=go, near=1, far=5).evaluate(v).tolist() == [0, 1, 0.75, 0.5, 0.25, 1, 1]
    # of the last 3, this one too: 1, 1, 1, 0, 1, 2, 2; half of each
    assert HowMany(part=go, n=3, low=0, high=2).evaluate(v).tolist() == [0.5, 0.5, 0.5, 0, 0.5, 1, 1]
    assert Ramp(quantity="place", low=0, high=4).evaluate(v).tolist() == [0, 0.25, 0.5, 0.75, 1, 1, 1]
    # numbers on a logarithmic scale: log10(10) / log10(100) = 0.5
    assert Ramp(quantity="number", low=0, high=99).evaluate(view("9"))[0] == pytest.approx(0.5)
    assert EarlierOnLine(part=TokenIn(words=("x",))).evaluate(view("x y")).tolist() == [0, 1]
    after = view("x\ny z")
    on_line = EarlierOnLine(part=TokenIn(words=("x",))).evaluate(after)
    assert on_line[after.key.index("y")] == 0 and on_line[after.key.index("z")] == 0


@pytest.mark.parametrize(
    "predicate",
    [
        InRange(quantity="letters", low=4, high=1e15),
        Ramp(quantity="number", low=0, high=99),
        Nearness(part=TokenIn(words=("a",)), near=1, far=4),
        HowMany(part=TokenIn(words=("a",)), n=5, low=0, high=3),
        EarlierOnLine(part=TokenIn(words=("a",))),
    ],
)
def test_amounts_are_stored_and_said(predicate: InRange) -> None:
    assert from_json(predicate.to_json()) == predicate
    assert predicate.describe()


def test_unknown_quantities_and_empty_ramps_say_what_to_do() -> None:
    with pytest.raises(UserError, match="use one of place"):
        InRange(quantity="colour", low=0, high=1)
    with pytest.raises(UserError, match="different values"):
        Ramp(quantity="place", low=2, high=2)


def test_ordinals() -> None:
    assert [ordinal(n) for n in (1, 2, 3, 4, 11, 12, 13, 21, 112)] == [
        "1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "112th",
    ]  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
def test_the_best_range_is_the_best_of_all_ranges(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 12, 400).astype(np.float64)
    fold = rng.integers(0, 4, 400)
    residual = ((values >= 3) & (values <= 7)) * 1.0 + rng.normal(0, 0.3, 400) - 0.4
    quantity = cut("place", values)
    assert quantity is not None

    def gain(low: float, high: float) -> float:
        """Cross-validated: each fold's gain with the weight of the others."""
        total = 0.0
        inside = (values >= low) & (values <= high)
        for f in range(4):
            here, rest = inside & (fold == f), inside & (fold != f)
            weight = residual[rest].sum() / (rest.sum() + 4.0)
            total += float(((residual[here]) ** 2 - (residual[here] - weight) ** 2).sum())
        return total

    interval = next(b for b in Ranges([quantity], fold, 4).best(residual, ridge=4.0) if "Ramp" not in repr(b.predicate))
    best = max(((gain(a, b), a, b) for a in range(12) for b in range(a, 12)), key=lambda t: t[0])
    # the column of the winner has the brute-force optimum's gain, up to the bonus for one-sided ranges
    inside = interval.column > 0.5
    assert gain(values[inside].min(), values[inside].max()) >= best[0] / 1.021
