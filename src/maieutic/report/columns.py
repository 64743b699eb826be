"""Many units as columns: what tables are sorted and filtered by, and what charts add up, without an object a unit.

Two ways lead here, from units of a report (`Columns.of`) and from a store (`maieutic.view.index`); they say the same.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maieutic.report.model import STATES, ReportControl, ReportUnit, State

Numbers = NDArray[np.float64]
_DIGITS = re.compile(r"([0-9]+)")
#: numbers that every table has, beside controls, their ticks and further tests
PLAIN = ("ap", "low", "high", "pearson", "confidence", "measurements", "importance", "standing")
#: prefixes of the others: a control's score, whether it is beaten (1, 0, or none), a further test's headline
CONTROL, BEATEN, TEST = "control:", "beaten:", "test:"


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Units as columns of one length.

    Attributes:
        ids: in the store; 0 where there is none.
        keys: ``site/index``.
        site_names, site: names of sites, and the number of each unit's.
        labels: the label, or why there is none.
        state: number in ``STATES``.
        explainer_names, explainer: whose explanation is shown.
        names: what the model calls them; empty where no unit has a name.
        numbers: by name; not a number where there is none. See `PLAIN`, `CONTROL`, `BEATEN`, `TEST`.
    """

    ids: NDArray[np.int64]
    keys: tuple[str, ...]
    site_names: tuple[str, ...]
    site: NDArray[np.int64]
    labels: tuple[str, ...]
    state: NDArray[np.int64]
    explainer_names: tuple[str, ...]
    explainer: NDArray[np.int64]
    names: tuple[str, ...] = ()
    numbers: Mapping[str, Numbers] = field(default_factory=dict[str, Numbers])

    def __len__(self) -> int:
        return len(self.keys)

    @classmethod
    def of(cls, units: Sequence[ReportUnit]) -> Columns:
        """The columns of units of a report."""
        sites, explainers = _named([u.site for u in units]), _named([u.explainer for u in units])
        return cls(
            ids=np.zeros(len(units), dtype=np.int64),
            keys=tuple(u.key for u in units),
            site_names=sites[0],
            site=sites[1],
            labels=tuple(u.label if u.abstained is None else u.abstained for u in units),
            state=np.array([STATES.index(u.state) for u in units], dtype=np.int64),
            explainer_names=explainers[0],
            explainer=explainers[1],
            names=tuple(u.name for u in units),
            numbers=_numbers(units),
        )

    def where(self, *states: State) -> NDArray[np.bool_]:
        """Which units are in one of some states."""
        return np.isin(self.state, [STATES.index(s) for s in states])

    @property
    def labelled(self) -> NDArray[np.bool_]:
        """Which units have a label, scored or not."""
        return self.where("beats", "short", "unscored")

    @property
    def controls(self) -> tuple[str, ...]:
        """Names of the controls that stand beside some unit's score."""
        return tuple(n.removeprefix(CONTROL) for n in self.numbers if n.startswith(CONTROL))

    @property
    def tests(self) -> tuple[str, ...]:
        """Names of the further tests of some unit."""
        return tuple(n.removeprefix(TEST) for n in self.numbers if n.startswith(TEST))

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """Key, name and label of each unit in small letters: what a search for words reads."""
        names = self.names or ("",) * len(self)
        return tuple(f"{k} {n} {t}".lower() for k, n, t in zip(self.keys, names, self.labels, strict=True))

    @cached_property
    def places(self) -> Mapping[str, int]:
        """The row of each key."""
        return {key: i for i, key in enumerate(self.keys)}

    @cached_property
    def key_rank(self) -> NDArray[np.int64]:
        """The place of each unit where keys are in order, numbers in them by size."""
        ends = [key.rpartition("/")[2] for key in self.keys]
        bare = [end.removesuffix("-") for end in ends]
        if not all(b.isdecimal() and b.isascii() and len(b) < 18 for b in bare):
            return _ranks(sorted(range(len(self)), key=lambda i: _natural(self.keys[i])))
        sites = _ranks(sorted(range(len(self.site_names)), key=lambda i: _natural(self.site_names[i])))
        signs = np.array([end.endswith("-") for end in ends], dtype=np.bool_)
        return _ranks(np.lexsort((signs, np.array(bare, dtype=np.int64), sites[self.site])))

    @cached_property
    def label_rank(self) -> NDArray[np.int64]:
        """The place of each unit where labels are in order."""
        return _ranks(sorted(range(len(self)), key=lambda i: (self.labels[i].casefold(), i)))

    def column(self, name: str) -> Numbers:
        """A column of numbers; all none where no unit has it."""
        found = self.numbers.get(name)
        return np.full(len(self), np.nan) if found is None else found


def _ranks(order: Sequence[int] | NDArray[np.int64]) -> NDArray[np.int64]:
    ranks = np.empty(len(order), dtype=np.int64)
    ranks[np.asarray(order, dtype=np.int64)] = np.arange(len(order))
    return ranks


def _natural(key: str) -> list[tuple[int, int, str]]:
    """``layers.10.mlp/7`` after ``layers.9.mlp/70``: runs of digits count as numbers."""
    return [(0, int(p), "") if p.isdecimal() and p.isascii() else (1, 0, p) for p in _DIGITS.split(key)]


def _named(names: Sequence[str]) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Names in order of first appearance, and the number of each."""
    seen: dict[str, int] = {}
    numbers = [seen.setdefault(n, len(seen)) for n in names]
    return tuple(seen), np.array(numbers, dtype=np.int64)


def _numbers(units: Sequence[ReportUnit]) -> dict[str, Numbers]:
    out: dict[str, Numbers] = {name: np.full(len(units), np.nan) for name in PLAIN}

    def put(name: str, i: int, value: Any) -> None:
        if value is not None:
            out.setdefault(name, np.full(len(units), np.nan))[i] = float(value)

    for i, u in enumerate(units):
        put("importance", i, u.importance)
        put("standing", i, u.standing)
        put("measurements", i, u.measurements)
        if u.abstained is None:
            put("confidence", i, u.confidence)
        if u.abstained is not None or u.scores is None:
            continue
        s = u.scores
        put("ap", i, s.primary.value)
        put("low", i, s.primary.low)
        put("high", i, s.primary.high)
        put("pearson", i, s.pearson.value if s.pearson else None)
        for c in s.controls:
            out.setdefault(CONTROL + c.name, np.full(len(units), np.nan))
            out.setdefault(BEATEN + c.name, np.full(len(units), np.nan))
            put(CONTROL + c.name, i, c.reading.value)
            put(BEATEN + c.name, i, _beaten(c))
        for t in s.tests:
            out.setdefault(TEST + t.name, np.full(len(units), np.nan))
            put(TEST + t.name, i, t.reading.value)
    return out


def _beaten(control: ReportControl) -> float | None:
    return None if control.beaten is None else float(control.beaten)


def known(values: Numbers) -> list[float | None]:
    """Numbers as charts take them: ``None`` where there is none."""
    return [None if math.isnan(v) else v for v in values.tolist()]
