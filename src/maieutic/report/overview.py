"""What the overview of a run says, worked out from columns of its units: coverage, scores beside controls, sites, spend.

The same whether the columns come from units of a report or from a store. Nothing is drawn here; templates do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from maieutic.readings import Cost
from maieutic.report import charts
from maieutic.report.columns import CONTROL, Columns, known
from maieutic.report.model import STATE_NAMES, STATES, ReportSection, ReportUnit, State


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """Units in one state: how many, and their stretch of a bar in percent."""

    state: State
    name: str
    count: int
    left: float
    width: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteSummary:
    """The units of one site: how many, with a label, better than every control, and the median of their scores."""

    site: str
    units: int
    labelled: int
    beat: int
    score: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """Everything that charts and tables of an overview show.

    Attributes:
        headline: in a sentence.
        coverage: every state that some unit is in, in the order of `STATES`.
        strips: scores of labels, then of each control, then of null units that were explained afresh.
        curves: for the same, how many have at least a score.
        sites: a row each.
        spend: what each explainer took; ``total`` of all.
    """

    headline: str
    coverage: tuple[Share, ...]
    strips: tuple[charts.Strip, ...]
    curves: tuple[charts.Curve, ...]
    sites: tuple[SiteSummary, ...]
    spend: tuple[tuple[str, Cost], ...]
    total: Cost

    @classmethod
    def of(cls, columns: Columns, section: ReportSection) -> Overview:
        """The overview of some units and the section they are in."""
        rows = strips(columns)
        rows += [charts.strip(_null_name(*kind), kind[2], own=False) for kind in section.nulls]
        return cls(
            headline=headline(columns),
            coverage=tuple(coverage(columns)),
            strips=tuple(rows),
            curves=tuple(curves(columns, section)),
            sites=tuple(sites(columns, section.sites)),
            spend=section.spend,
            total=sum((c for _, c in section.spend), Cost()),
        )


def of_units(section: ReportSection) -> Overview:
    """The overview of a section with its units."""
    return Overview.of(Columns.of(section.units), section)


def headline(columns: Columns) -> str:
    """``17 of 24 units have an explanation that beats every control; 3 abstained; 1 was not scored.``"""
    if not len(columns):
        return "No units were studied."
    beat, unscored = _count(columns, "beats"), _count(columns, "unscored")
    noun, has = ("unit", "has") if len(columns) == 1 else ("units", "has" if beat == 1 else "have")
    tails = [f"{n} {word}" for state, word in _TOLD if (n := _count(columns, state))]
    tails += [f"{unscored:,} {'was' if unscored == 1 else 'were'} not scored"] if unscored else []
    return (
        f"{'; '.join([f'{beat:,} of {len(columns):,} {noun} {has} an explanation that beats every control', *tails])}."
    )


_TOLD: tuple[tuple[State, str], ...] = (
    ("abstained", "abstained"),
    ("failed", "failed"),
    ("waiting", "not explained yet"),
)


def headline_of(units: Sequence[ReportUnit]) -> str:
    """The headline of units of a report."""
    return headline(Columns.of(units))


def _count(columns: Columns, state: State) -> int:
    return int(columns.where(state).sum())


def coverage(columns: Columns) -> list[Share]:
    """What came of every unit, as stretches of one bar."""
    counts = np.bincount(columns.state, minlength=len(STATES)).tolist()
    out, total, before = list[Share](), max(len(columns), 1), 0
    for state, count in zip(STATES, counts, strict=True):
        if count:
            left = round(100 * before / total, 3)
            width = round(100 * (before + count) / total - left, 3)
            out.append(Share(state=state, name=STATE_NAMES[state], count=count, left=left, width=width))
        before += count
    return out


def strips(columns: Columns) -> list[charts.Strip]:
    """The label's scores and every control's, over the units that have a label."""
    kept = columns.labelled
    if not kept.any():
        return []
    rows = [charts.strip("the label", known(columns.column("ap")[kept]), own=True)]
    return rows + [
        charts.strip(name, known(columns.column(CONTROL + name)[kept]), own=False) for name in columns.controls
    ]


def curves(columns: Columns, section: ReportSection) -> list[charts.Curve]:
    """For the label, each control and each kind of null unit: how many of all units have at least a score."""
    kept = columns.labelled
    if not np.isfinite(columns.column("ap")[kept]).any():
        return []
    total = len(columns)
    rows = [charts.curve("the label", columns.column("ap")[kept], total, kind="own")]
    rows += [charts.curve(n, columns.column(CONTROL + n)[kept], total, kind="control") for n in columns.controls]
    return rows + [
        charts.curve(_null_name(name, n, values), [np.nan if v is None else v for v in values], n, kind="null")
        for name, n, values in section.nulls
    ]


def _null_name(name: str, total: int, values: Sequence[float | None]) -> str:
    return f"explained afresh: {name} ({len(values)} of {total} labelled)"


def sites(columns: Columns, named: Sequence[str]) -> list[SiteSummary]:
    """The units by site, in the order in which the sites are named."""
    labelled, beats, ap = columns.labelled, columns.where("beats"), columns.column("ap")
    number = {name: i for i, name in enumerate(columns.site_names)}
    out: list[SiteSummary] = []
    for site in dict.fromkeys((*named, *columns.site_names)):
        own = columns.site == number.get(site, -1)
        scores = ap[own & labelled & np.isfinite(ap)]
        out.append(
            SiteSummary(
                site=site, units=int(own.sum()), labelled=int((own & labelled).sum()), beat=int((own & beats).sum()),
                score=float(np.median(scores)) if len(scores) else None,
            )
        )  # fmt: skip
    return out
