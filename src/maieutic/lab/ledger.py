"""The ledger: an append-only record of experiments, with the prediction written before the value.

It does not judge; whoever reads it can recompute every claim. Ids are ``unit key#number`` and never reused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from maieutic.readings import Cost


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One measurement.

    Attributes:
        id: ``<unit key>#<number>``.
        unit: key of the unit.
        kind: what was done (``substitute``, ``delete``, ``insert``, ``paste``, ``remove``, ``silhouette``, ``background``,
            ``ablate``, ``steer``, ``look`` ...).
        hypothesis: what it tests, in words.
        expect: predicted activation on the unit's own 0-1 scale (see ``Lab.scale``), written before measuring; ``None``
            when the explainer had no expectation.
        value: measured activation, raw model units, at ``position``.
        scaled: the value on the 0-1 scale.
        stimulus: content id of what was shown; ``shown`` is the text itself, or the name of the stored image.
        position: token position read; -1 for the maximum over positions (image: always -1).
        pair: id of the entry it is to be compared with (the unedited original), if any.
        detail: more plain JSON.
        cost: what it took.
        fresh: whether the stimulus was measured for this entry; or else its values had been measured for another and were
            read from the bank, after ``expect`` was written.
    """

    id: str
    unit: str
    kind: str
    hypothesis: str
    expect: float | None
    value: float
    scaled: float
    stimulus: str
    shown: str
    position: int = -1
    pair: str | None = None
    seed: int = 0
    detail: Mapping[str, Any] = field(default_factory=dict)
    cost: Cost = field(default_factory=Cost)
    fresh: bool = True


@dataclass(kw_only=True)
class Ledger:
    """Append-only list of entries of one unit."""

    unit: str
    entries: list[Entry] = field(default_factory=list)

    def next_id(self) -> str:
        return f"{self.unit}#{len(self.entries) + 1}"

    def append(self, entry: Entry) -> Entry:
        assert entry.id == self.next_id(), "ledger ids are consecutive"
        self.entries.append(entry)
        return entry

    def __getitem__(self, entry_id: str) -> Entry:
        return self.entries[int(entry_id.rpartition("#")[2]) - 1]

    def __len__(self) -> int:
        return len(self.entries)
