"""Drivers of an output beside a run: stimuli from its corpus, labels of its units, answers kept in its folder.

What this module does not do: measure (`maieutic.lab.drivers`) or render (`maieutic.report.drivers`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from maieutic.campaign.run import MAIN, Run
from maieutic.errors import StoreError
from maieutic.lab.drivers import Driver, Drivers
from maieutic.store import Store, explanations, units, writing

FOLDER = "drivers"


def labels_of(store: Store) -> dict[str, str]:
    """Labels of a run's units by key; of several explanations of a unit the one with the highest standing."""
    keys = {r["id"]: r["key"] for r in store.rows(units, harvest=MAIN, role="main")}
    best: dict[str, tuple[float, str]] = {}
    for row in store.rows(explanations):
        key = keys.get(row["unit"])
        if key is None or row["reason"] is not None:
            continue
        standing = row["standing"] if row["standing"] is not None else -1.0
        if key not in best or standing > best[key][0]:
            best[key] = (standing, row["label"])
    return {key: label for key, (_, label) in best.items()}


def with_labels(found: Drivers, run: Run) -> Drivers:
    """The same answer with what the run says of each unit; either tail of a neuron may be labelled."""
    labels = labels_of(run.store)

    def said(unit: Driver) -> Driver:
        parts = [labels[k] for k in (unit.unit, f"{unit.unit}-") if k in labels]
        return replace(unit, label=" / ".join(parts))

    def side(rows: Sequence[Driver]) -> tuple[Driver, ...]:
        return tuple(said(r) for r in rows)

    return replace(found, candidates=side(found.candidates), matched=side(found.matched), bottom=side(found.bottom))


def write_drivers(found: Drivers, path: Path) -> Path:
    """Write an answer as JSON."""
    with writing(path) as temporary:
        temporary.write_text(json.dumps(found.to_json(), indent=1, default=dict), encoding="utf-8")
    return path


def read_drivers(path: Path) -> Drivers:
    """An answer as it was written.

    Raises:
        StoreError: missing or damaged.
    """
    try:
        return Drivers.from_json(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(f"{path} is missing or damaged: run  maieutic drivers  again") from error
