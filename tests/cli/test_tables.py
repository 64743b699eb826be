"""What a summary says of a unit beside its controls."""

from __future__ import annotations

from maieutic.cli.tables import Row
from maieutic.readings import Reading


def row(beats: bool | None, lost: tuple[str, ...] = (), unmeasured: tuple[str, ...] = ()) -> Row:
    reading = Reading(name="predictive", value=0.5, n=10)
    return Row(
        unit="s/1",
        label="x",
        abstained=None,
        ap=reading,
        pearson=reading,
        beats=beats,
        lost=lost,
        unmeasured=unmeasured,
    )


def test_a_label_that_lost_to_nothing_and_was_not_compared_with_all_says_so() -> None:
    assert row(True).standing == "beats every control"
    assert row(False, lost=("one_shot", "constant")).standing == "loses to one shot, constant"
    assert row(False, lost=("constant",), unmeasured=("shuffled",)).standing == "loses to constant"
    assert row(None, unmeasured=("shuffled",)).standing == "unmeasured beside shuffled"
    assert row(None).standing == "unmeasured beside its controls"
