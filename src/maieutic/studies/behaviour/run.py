"""Several models over several sets of pairs and tasks: one table a model, and differences from the first.

What this module does not do: load two models at once; each is measured and let go.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maieutic.progress import Report, silent
from maieutic.readings import Reading
from maieutic.store import writing
from maieutic.studies.behaviour.harness import harness_readings
from maieutic.studies.behaviour.measure import Behaviour, compare, measure_pairs
from maieutic.studies.behaviour.pairs import PairSet
from maieutic.subjects import load_subject


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviours:
    """What was found.

    Attributes:
        models: names, the first is the one that others stand beside.
        readings: of each model. differences: model minus the first, of each further model.
        notes: what each set asks and where it comes from.
        seed: of controls and bootstrap.
    """

    models: tuple[str, ...]
    readings: tuple[tuple[Reading, ...], ...]
    differences: tuple[tuple[Reading, ...], ...]
    notes: tuple[str, ...]
    seed: int

    def tables(self) -> list[tuple[str, tuple[Reading, ...]]]:
        """A title and its readings, models first."""
        first = self.models[0]
        own = list(zip(self.models, self.readings, strict=True))
        return [*own, *((f"{m} minus {first}", d) for m, d in zip(self.models[1:], self.differences, strict=True) if d)]

    def to_json(self) -> dict[str, Any]:
        rows = [{"of": title, "readings": [r.to_json() for r in found]} for title, found in self.tables()]
        return {"models": list(self.models), "seed": self.seed, "notes": list(self.notes), "tables": rows}


def run_behaviour(
    models: Sequence[str],
    sets: Sequence[PairSet],
    *,
    tasks: Sequence[str] = (),
    limit: int | None = None,
    include: Path | None = None,
    seed: int = 0,
    report: Report = silent,
) -> Behaviours:
    """Measure every model; see `measure_pairs` and `harness_readings`."""
    measured: list[list[Behaviour]] = []
    readings: list[tuple[Reading, ...]] = []
    for name in models:
        subject = load_subject(name)
        own = [measure_pairs(subject, s, seed=seed, report=report) for s in sets]
        more = harness_readings(subject, tasks, limit=limit, include=include, seed=seed) if tasks else ()
        measured.append(own)
        readings.append((*(r for b in own for r in b.readings(seed=seed)), *more))
    return Behaviours(
        models=tuple(models),
        readings=tuple(readings),
        differences=tuple(
            tuple(r for b, first in zip(own, measured[0], strict=True) for r in compare(b, first, seed=seed))
            for own in measured[1:]
        ),
        notes=tuple(f"{s.name}: share of pairs where the model {s.what}; from {s.source}." for s in sets),
        seed=seed,
    )


def write_behaviour(found: Behaviours, folder: Path) -> Path:
    """Write ``behaviour.json``, whole or not at all.

    Raises:
        StoreError: the folder cannot be written.
    """
    path = folder / "behaviour.json"
    with writing(path) as part:
        part.write_text(json.dumps(found.to_json(), indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return path
