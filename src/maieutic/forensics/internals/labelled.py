"""Which labelled units rose before the act: units of a run, read at the end of prompts with the act and without it.

A label is a claim of that run with its own score; here only the rise is measured. It is told in standard deviations of
the readings without the act, beside how often the two groups could be told apart by this unit alone (AUROC).

What this module does not do: explain units, or say that a unit that rose caused anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from maieutic.errors import UserError
from maieutic.forensics.internals.inside import Inside
from maieutic.readings import Reading, cluster_weights, ranking
from maieutic.subjects.base import Unit

if TYPE_CHECKING:
    from maieutic.subjects.language import LanguageSubject


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledUnit:
    """A unit with its label."""

    unit: Unit
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rise:
    """How much a labelled unit rose.

    Attributes:
        key, label: which unit, and what it is said to stand for.
        resting, acting: mean reading without and with the act.
        effect: difference in standard deviations of all readings.
        auroc: whether the unit alone tells the groups apart; chance level 0.5.
    """

    key: str
    label: str
    resting: float
    acting: float
    effect: float
    auroc: Reading


def units_of_run(run: Path, subject: LanguageSubject, *, explainer: str = "search") -> list[LabelledUnit]:
    """Labelled units of a run of the same subject.

    Args:
        run: its folder.
        subject: the network that acts.
        explainer: whose labels.

    Raises:
        UserError: the run is of another subject, or has no labelled unit.
    """
    from maieutic.campaign import open_run, stored_explanation

    with open_run(run, subject=subject) as opened:
        found = [(u, stored_explanation(opened, "main", u, explainer=explainer)) for u in opened.units]
    named = [LabelledUnit(unit=u, label=e.label) for u, e in found if e is not None and not e.abstained]
    if not named:
        raise UserError(f"{run} has no unit that {explainer} labelled: run  maieutic explain {run}  first")
    return named


def rises(
    inside: Inside,
    units: Sequence[LabelledUnit],
    *,
    acting: Sequence[Sequence[int]],
    resting: Sequence[Sequence[int]],
    last: int = 1,
) -> list[Rise]:
    """Labelled units, the largest rise first.

    Args:
        inside: the network.
        units: with their labels; all of this subject.
        acting, resting: prompts with and without the act.
        last: tokens before the act that are read; their largest reading counts.

    Cost: a pass a prompt, whatever the number of units.

    Raises:
        UserError: there are no units, or a group is empty.
    """
    if not units or not acting or not resting:
        raise UserError("rising units need labelled units, and contexts with the act and without it: give all three")
    sites = sorted({u.unit.site for u in units})
    table = np.array([_readings(inside, ids, units, sites, last) for ids in [*acting, *resting]])
    active = np.arange(len(table)) < len(acting)
    weights = cluster_weights(len(table))
    found: list[Rise] = []
    for column, one in zip(table.T, units, strict=True):
        on, off = float(column[active].mean()), float(column[~active].mean())
        spread = float(column.std()) or 1.0
        auroc = ranking(active, column, clusters=np.arange(len(table)), weights=weights).auroc
        reading = auroc.reading("internals.unit", n=len(table))
        found.append(
            Rise(key=one.unit.key, label=one.label, resting=off, acting=on, effect=(on - off) / spread, auroc=reading)
        )
    return sorted(found, key=lambda r: -r.effect)


def _readings(
    inside: Inside, ids: Sequence[int], units: Sequence[LabelledUnit], sites: Sequence[str], last: int
) -> list[float]:
    """Largest reading of each unit over the last tokens."""
    values = inside.read(ids, sites)
    row: list[float] = []
    for one in units:
        unit = one.unit
        at = values[unit.site][-last:].numpy().astype(np.float64)
        raw = at @ unit.vector + unit.offset if unit.vector is not None else at[:, unit.index]
        row.append(float((unit.sign * raw).max()))
    return row
