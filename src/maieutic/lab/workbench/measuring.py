"""Measuring: stimuli shown to one unit or several, the expectation first.

An expectation is part of the call and goes into the ledger with the value, so nobody can foretell afterwards. An edited
stimulus is paired with the last measurement of what it was made from. What this does not do: choose what to measure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from maieutic.errors import UserError
from maieutic.lab.lab import Question, measure_together
from maieutic.lab.ledger import Entry
from maieutic.lab.workbench.desk import Desk, Place
from maieutic.lab.workbench.record import Record
from maieutic.stimuli.base import Stimulus

#: stimuli of one call at most
MOST = 64

Expect = float | list[float]


class Measuring:
    """The one call that shows new stimuli."""

    def __init__(self, desk: Desk, record: Record) -> None:
        self._desk, self._record = desk, record

    def measure(
        self,
        stimuli: list[Any],
        *,
        expect: float | list[float] | dict[str, float | list[float]],
        because: str = "",
        hypothesis: str | None = None,
        unit: str | list[str] | None = None,
    ) -> dict[str, list[dict[str, Any]]]:
        """Measured values per unit, in the order of the stimuli.

        Args:
            stimuli: texts or PIL images, by value.
            expect: predicted value, 0 to 1: one for all, one each, or either per unit.
            because: why it is expected.
            hypothesis: id of the hypothesis that is tested.
            unit: one or several units; the first when none is named.

        Raises:
            UserError: no or a wrong expectation, an unknown unit, a stimulus of the test split, no budget.
        """
        places = self._desk.chosen(unit)
        if not 1 <= len(stimuli) <= MOST:
            raise UserError(f"1 to {MOST} stimuli are measured in a call, not {len(stimuli)}: split them up")
        expected = {p.name: _expected(expect, p.name, len(stimuli)) for p in places}
        tested = self._record.tested(hypothesis, because)
        for place in places:
            place.afford(len(stimuli))
        shown = [self._desk.take(content, places[0].modality) for content in stimuli]
        results: dict[str, list[dict[str, Any]]] = {}
        for group in _by_subject(places):
            asked = [self._questions(p, shown, expected[p.name], tested, because, hypothesis) for p in group]
            for place, entries in zip(group, measure_together([p.lab for p in group], asked), strict=True):
                results[place.name] = [self._seen(place, s, e) for s, e in zip(shown, entries, strict=True)]
        return {p.name: results[p.name] for p in places}

    def _questions(
        self,
        place: Place,
        shown: Sequence[Stimulus],
        expected: Sequence[float],
        tested: str,
        because: str,
        hypothesis: str | None,
    ) -> list[Question]:
        material = self._desk.material
        detail = {**self._desk.mark, "because": because} | ({"hypothesis": hypothesis} if hypothesis else {})
        return [
            Question(
                stimulus=s, hypothesis=tested, kind=material.kind[s.id], expect=value,
                pair=place.latest.get(material.parent.get(s.id, "")), detail=detail,
            )
            for s, value in zip(shown, expected, strict=True)
        ]  # fmt: skip

    def _seen(self, place: Place, stimulus: Stimulus, entry: Entry) -> dict[str, Any]:
        place.latest[stimulus.id] = entry.id
        seen = place.seen(stimulus, place.lab.values[entry.id], raw=entry.value)
        return {**seen, "entry": entry.id, "expect": entry.expect}


def _by_subject(places: Sequence[Place]) -> list[list[Place]]:
    """Units of one subject together, so that one pass reads them all."""
    groups: dict[int, list[Place]] = {}
    for place in places:
        groups.setdefault(id(place.lab.subject), []).append(place)
    return list(groups.values())


def _expected(expect: float | list[float] | Mapping[str, float | list[float]], unit: str, n: int) -> list[float]:
    """One expectation per stimulus for a unit."""
    if isinstance(expect, Mapping):
        if unit not in expect:
            raise UserError(f"expect says nothing of {unit}: give every unit measured its expectation")
        expect = expect[unit]
    values = [float(v) for v in expect] if isinstance(expect, list) else [float(expect)] * n
    if len(values) != n:
        raise UserError(f"{len(values)} expectations for {n} stimuli: give one for all, or one each")
    if not all(math.isfinite(v) and 0.0 <= v <= 1.0 for v in values):
        raise UserError("an expectation is a number from 0 (at rest) to 1 (strongly active): give such numbers")
    return values
