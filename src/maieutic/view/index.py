"""The index of a run's units: columns filled from the store by streaming, kept in memory, filled anew when the store changed.

Cost: about 60 bytes and ten microseconds a unit and score. A store that is being written is read as it is at one moment.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maieutic.report.columns import BEATEN, CONTROL, PLAIN, TEST, Columns, Numbers
from maieutic.report.model import STATES
from maieutic.report.records import CONTROL_NAMES, NOT_YET, Records, in_order, test_title
from maieutic.score.controls import CONTROLS
from maieutic.store import CHOSEN, FILE, Store, choices, explanations, jobs, scores

_STATE = {name: i for i, name in enumerate(STATES)}
#: a store that changes all the time is read anew at most so often, and never for more than a share of the time
_LEAST_SECONDS, _MOST_SHARE = 1.0, 0.2


@dataclass(slots=True)
class _Kept:
    version: tuple[float, ...]
    columns: Columns
    read_at: float
    took: float


class Index:
    """``of(explainer)`` gives the columns as the store is now, or was a moment ago."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._kept: dict[str, _Kept] = {}
        self._names: tuple[tuple[float, ...], float, list[str], str] | None = None
        self._reading = threading.Lock()

    def version(self) -> tuple[float, ...]:
        """Changes whenever something was written to the store."""
        return version_of(self._store.folder)

    def explainers(self) -> list[str]:
        """Every explainer that explained a unit."""
        return self._named()[0]

    def usual(self) -> str:
        """Whose explanations are shown if nobody says; see `Records.usual`."""
        return self._named()[1]

    def _named(self) -> tuple[list[str], str]:
        """Both, read anew where the store changed; not more than once in a while, since all rows are looked through."""
        with self._reading:
            now, kept = self.version(), self._names
            if kept is None or (kept[0] != now and time.monotonic() - kept[1] > _LEAST_SECONDS):
                records = Records.of(self._store)
                kept = self._names = (now, time.monotonic(), records.explainers(), records.usual())
            return kept[2], kept[3]

    def of(self, explainer: str) -> Columns:
        """Columns of every unit with the explanations of one explainer; ``chosen``: those that a sweep chose."""
        with self._reading:
            now, kept = self.version(), self._kept.get(explainer)
            if kept is not None and (kept.version == now or not _due(kept)):
                return kept.columns
            begun = time.monotonic()
            columns = read_columns(self._store, explainer)
            ended = time.monotonic()
            self._kept[explainer] = _Kept(version=now, columns=columns, read_at=ended, took=ended - begun)
            return columns


def version_of(folder: Path) -> tuple[float, ...]:
    """Times and sizes of the store's file and its log."""
    out: list[float] = []
    for name in (FILE, f"{FILE}-wal"):
        try:
            found = (folder / name).stat()
            out += [found.st_mtime_ns, found.st_size]
        except OSError:
            out += [0, 0]
    return tuple(out)


def _due(kept: _Kept) -> bool:
    return time.monotonic() - kept.read_at > max(_LEAST_SECONDS, kept.took / _MOST_SHARE)


def read_columns(store: Store, explainer: str) -> Columns:
    """The columns of a store, read once."""
    records = Records.of(store)
    members = records.members()
    ids = np.array([i for i, _ in members], dtype=np.int64)
    keys = tuple(k for _, k in members)
    read = _Reader(store=store, ids=ids, explainer=explainer)
    read.choices()
    read.explanations()
    read.failures()
    read.scores()
    site_names, site = _sites(keys)
    names = tuple(records.called(k) for k in keys)
    return Columns(
        ids=ids, keys=keys, site_names=site_names, site=site, labels=tuple(read.labels), state=read.states(),
        explainer_names=tuple(read.names), explainer=read.whose,
        names=names if any(names) else (), numbers=read.all_numbers(),
    )  # fmt: skip


def _sites(keys: tuple[str, ...]) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    seen: dict[str, int] = {}
    numbers = [seen.setdefault(k.rpartition("/")[0], len(seen)) for k in keys]
    return tuple(seen), np.array(numbers, dtype=np.int64)


class _Reader:
    """Fills the columns, one table of the store after another."""

    def __init__(self, *, store: Store, ids: NDArray[np.int64], explainer: str) -> None:
        n = len(ids)
        self.store, self.explainer, self.n = store, explainer, n
        self.row: Mapping[int, int] = {int(i): r for r, i in enumerate(ids)}
        self.names: list[str] = []
        self.whose = np.full(n, self._name(explainer), dtype=np.int64)
        self.labels = [NOT_YET] * n
        self.outcome = np.full(n, _STATE["waiting"], dtype=np.int64)
        self.numbers: dict[str, Numbers] = {name: np.full(n, np.nan) for name in PLAIN}
        self.numbers["measurements"][:] = 0
        self.picked: dict[int, str] = {}

    def _name(self, name: str) -> int:
        if name not in self.names:
            self.names.append(name)
        return self.names.index(name)

    def _where(self) -> dict[str, Any]:
        return {} if self.explainer == CHOSEN else {"explainer": self.explainer}

    def choices(self) -> None:
        """Importance and standing of units, and whose explanation was chosen."""
        for unit, who, importance, standing in self.store.columns(
            choices, ("unit", "explainer", "importance", "standing")
        ):
            row = self.row.get(unit)
            if row is None:
                continue
            self.numbers["importance"][row] = np.nan if importance is None else importance
            self.numbers["standing"][row] = np.nan if standing is None else standing
            if self.explainer == CHOSEN:
                self.picked[row] = who
                self.whose[row] = self._name(who)

    def _mine(self, unit: int, who: str) -> int | None:
        """The row of a unit, if the explainer's is the explanation that is shown of it."""
        row = self.row.get(unit)
        return None if row is None or (self.explainer == CHOSEN and self.picked.get(row) != who) else row

    def explanations(self) -> None:
        """Labels and what came of asking."""
        names = ("unit", "explainer", "label", "reason", "confidence", "measurements")
        for unit, who, label, reason, confidence, measurements in self.store.columns(
            explanations, names, **self._where()
        ):
            row = self._mine(unit, who)
            if row is None:
                continue
            self.labels[row] = label if reason is None else reason
            self.outcome[row] = _STATE["unscored"] if reason is None else _STATE["abstained"]
            self.numbers["measurements"][row] = measurements
            if reason is None:
                self.numbers["confidence"][row] = confidence

    def failures(self) -> None:
        """Units whose explainer failed."""
        found = self.store.columns(
            jobs, ("unit", "explainer", "error"), kind="explain", status="failed", **self._where()
        )
        for unit, who, error in found:
            row = self._mine(unit, who)
            if row is not None and self.outcome[row] == _STATE["waiting"]:
                self.labels[row], self.outcome[row] = f"failed: {error}", _STATE["failed"]

    def scores(self) -> None:
        """Headlines of every scorer, and controls of the first."""
        stored = {name for (name,) in self.store.columns(scores, ("name",), distinct=True, **self._where())}
        further = in_order(n for n in stored if "." not in n and n != "predictive")
        controls = [c for c in CONTROLS if f"predictive.control.{c}" in stored]
        into = {f"predictive.control.{c}": CONTROL + CONTROL_NAMES[c] for c in controls}
        into |= {f"predictive.beats.{c}": BEATEN + CONTROL_NAMES[c] for c in controls}
        into |= {n: TEST + test_title(n) for n in further} | {"predictive": "ap", "predictive.pearson": "pearson"}
        for column in into.values():
            self.numbers.setdefault(column, np.full(self.n, np.nan))
        names = ("unit", "explainer", "name", "value", "low", "high")
        found = self.store.columns(scores, names, name=sorted(into), **self._where())
        for unit, who, name, value, low, high in found:
            row = self._mine(unit, who)
            if row is None or self.outcome[row] != _STATE["unscored"]:
                continue
            column = into[name]
            if name == "predictive":
                self.numbers["low"][row] = np.nan if low is None else low
                self.numbers["high"][row] = np.nan if high is None else high
            if column.startswith(BEATEN):
                value = None if low is None else float(low > 0)
            self.numbers[column][row] = np.nan if value is None else value

    def states(self) -> NDArray[np.int64]:
        """What came of asking, and where there is a label whether it beats every control."""
        state = self.outcome.copy()
        scored = (state == _STATE["unscored"]) & ~np.isnan(self.numbers["ap"])
        state[scored] = _STATE["short"]
        ticks = [v for n, v in self.numbers.items() if n.startswith(BEATEN)]
        if ticks:
            state[scored & np.all([t == 1 for t in ticks], axis=0)] = _STATE["beats"]
        return state

    def all_numbers(self) -> dict[str, Numbers]:
        """The columns, those of controls and tests in the order of tables."""
        return self.numbers
