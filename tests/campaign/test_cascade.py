"""Decisions of a cascade, by hand."""

from __future__ import annotations

import pytest

from maieutic.campaign.cascade import Experience, Record, Rules, Stage, best_of, order_of, parse_stages
from maieutic.errors import UsageError

STAGES = (Stage(explainer="cheap"), Stage(explainer="dear", budget=100))


def test_stages_are_read_from_text() -> None:
    assert parse_stages("lookup, search:60") == (Stage(explainer="lookup"), Stage(explainer="search", budget=60))
    for wrong in ("", "search:x", "search,search:3"):
        with pytest.raises(UsageError):
            parse_stages(wrong)


def test_the_best_standing_is_chosen_and_the_earlier_of_equals() -> None:
    assert best_of([Record(standing=0.4), Record(standing=0.4)]) == (0, 0.4)
    assert best_of([Record(standing=None), Record(standing=0.1)]) == (1, 0.1)
    assert best_of([Record(standing=None)]) == (0, 0.0)


def test_what_a_stage_is_expected_to_gain_is_drawn_to_what_it_gained() -> None:
    # nothing known: a fifth of what is missing of 0.5, seen through (4 * 0.1) / 4 = 0.1
    assert Experience.of([]).expected(1, 0.5) == pytest.approx(0.1)
    # four units of the bin of 0.5 gained 0.3 each: whole = (1.2 + 4 * 0.1) / 8 = 0.2, here = (1.2 + 4 * 0.2) / 8 = 0.25
    known = Experience.of([[Record(standing=0.5), Record(standing=0.8, measurements=30)]] * 4)
    assert known.expected(1, 0.5) == pytest.approx(0.25)
    # (4 * 30 + 100) / 5 measurements
    assert known.cost(1, 100) == pytest.approx(44)
    # a worse second explanation gains nothing, since the first is kept
    worse = Experience.of([[Record(standing=0.5), Record(standing=0.1)]])
    assert worse.gain[1, 2] == 0.0


def test_units_never_seen_come_first_and_those_that_stand_high_rest() -> None:
    histories = {
        "a": [Record(standing=0.95)],
        "b": [Record(standing=0.6)],
        "c": [],
        "d": [Record(standing=0.2)],
        "e": [Record(standing=0.2), Record(standing=0.3)],
    }
    assert order_of(histories, STAGES, Rules()) == [("c", 0), ("d", 1), ("b", 1)]
    # b matters ten times as much
    assert order_of(histories, STAGES, Rules(), weights={"b": 10.0})[1] == ("b", 1)
    assert order_of(histories, STAGES, Rules(least=0.9)) == [("c", 0)]
