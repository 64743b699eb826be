"""Shared: what is worked out once while the units of a run are scored, and used for each of them.

Predictions, generated stimuli and their measured values, sources of stimuli. It keeps what was used last (with objects in
keys, so that their ids stay their own), so that a run of any number of units takes bounded memory. It decides nothing:
with or without it, readings are the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeVar, cast

from maieutic.explain.explanation import Explanation
from maieutic.score.evidence import Predictions
from maieutic.score.recent import Recent
from maieutic.subjects.base import Subject, Unit, Values

T = TypeVar("T")
#: things kept, of which every unit has a few (what it generated, what it is near to); and lists of stimuli with the
#: values of all units that are scored together
_KEPT, _LISTS = 1024, 64


class Shared:
    """A memory of one run.

    Attributes:
        predictions: predictions at scored positions.
    """

    def __init__(self) -> None:
        self.predictions = Predictions()
        self._kept: Recent[Any] = Recent(_KEPT)
        self._company: dict[int, tuple[Subject, tuple[Unit, ...]]] = {}
        self._values: Recent[dict[str, list[Values]]] = Recent(_LISTS)

    def once(self, key: Hashable, make: Callable[[], T], *, holding: Any = None) -> T:
        """What ``make`` gives, made once for the key. ``holding``: objects whose ids are in the key."""
        return cast(T, self._kept.once(key, make, holding=holding))

    def together(self, subject: Subject, units: Sequence[Unit]) -> None:
        """Units that will be scored: whatever is measured for one of them is measured for all in the same pass."""
        self._company[id(subject)] = (subject, tuple(units))

    def company(self, subject: Subject) -> tuple[Unit, ...]:
        """Units that are scored together."""
        return self._company.get(id(subject), (subject, ()))[1]

    def values(
        self, subject: Subject, unit: Unit, stimuli: Sequence[Any], *, besides: Sequence[Unit] = ()
    ) -> list[Values]:
        """Measured values ``[position]`` of a unit on stimuli with content ids, one array each.

        Args:
            subject, unit: what is read.
            stimuli: what is shown.
            besides: further units that will be asked for on these stimuli.

        Cost: one forward pass over the stimuli the first time; nothing for the units measured together with it.
        """
        key = (id(subject), tuple(str(s.id) for s in stimuli))
        kept = self._values.once(key, dict[str, list[Values]], holding=subject)
        if unit.key not in kept:
            holder, company = self._company.setdefault(id(subject), (subject, ()))
            units = list({u.key: u for u in (unit, *besides, *(() if kept else company)) if u.key not in kept}.values())
            rows = holder.read(stimuli, units) if stimuli else []
            kept.update({u.key: [row[:, i] for row in rows] for i, u in enumerate(units)})
        return kept[unit.key]


def label_key(found: Explanation) -> tuple[str, int]:
    """What makes two explanations the same label for whoever reads them alike."""
    return json.dumps(found.predicate.to_json(), sort_keys=True), id(found.viewer)
