"""Geometry of the charts, worked out by hand."""

from __future__ import annotations

import pytest

from maieutic.readings import Reading
from maieutic.report import ReportRun, ReportUnit
from maieutic.report.charts import bar, histogram, strip
from maieutic.report.columns import Columns
from maieutic.report.overview import strips


def test_a_bar_is_in_percent_and_clipped_to_the_line() -> None:
    drawn = bar(Reading(name="r", value=0.5, low=-0.25, high=0.75, n=4))
    assert drawn is not None
    assert (drawn.at, drawn.left, drawn.width) == (50, 0, 75)


def test_an_unmeasured_reading_has_no_bar() -> None:
    assert bar(Reading.unmeasured("r", "crashed")) is None


def test_dots_in_one_place_step_aside() -> None:
    drawn = strip("x", [0.501, 0.505, 0.509, 0.9, None], own=True)
    assert [y for _, y in drawn.dots] == [0, 1, -1, 0]
    assert [x for x, _ in drawn.dots] == [50.1, 50.5, 50.9, 90]
    assert (drawn.n, drawn.missing) == (4, 1)
    assert drawn.median == pytest.approx(0.507)  # (0.505 + 0.509) / 2


def test_many_units_become_columns_that_count_them() -> None:
    drawn = strip("x", [0.1] * 300 + [0.9] * 100, own=False)
    assert drawn.dots == ()
    assert [(left, round(height, 2)) for left, _, height in drawn.columns] == [(10, 1.0), (90, 0.33)]  # bins of 2 %


def test_no_value_draws_no_median() -> None:
    drawn = strip("x", [None, None], own=False)
    assert (drawn.middle, drawn.median, drawn.n, drawn.missing) == (None, None, 0, 2)


def test_abstentions_are_not_scored_as_zero(run: ReportRun) -> None:
    section = run.sections[0]
    explained = [u for u in section.units if u.abstained is None and u.scores is not None]
    assert 0 < len(explained) < len(section.units)
    assert strips(Columns.of(section.units))[0].n == len(explained)


def test_histogram_heights_are_logarithms() -> None:
    # log(1 + 99) / log(1 + 9999) = 2 / 4
    drawn = histogram((0.0, 1.0, 2.0, 3.0), (9999, 99, 0))
    assert [c.height for c in drawn] == [1.0, 0.5, 0.0]
    assert [c.left for c in drawn] == pytest.approx([0, 100 / 3, 200 / 3], abs=1e-3)


def test_an_empty_histogram_draws() -> None:
    assert [c.height for c in histogram((0.0, 1.0), (0,))] == [0.0]


def test_a_unit_without_scores_has_no_ap() -> None:
    assert ReportUnit(key="s/1", site="s", label="x").ap is None
