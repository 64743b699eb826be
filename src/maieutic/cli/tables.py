"""The tables that commands print about scored runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from maieutic.campaign import Run, stored_explanation, stored_readings
from maieutic.readings import Reading
from maieutic.score.controls import CONTROLS, verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One unit in a summary."""

    unit: str
    label: str
    abstained: str | None
    ap: Reading
    pearson: Reading
    beats: bool | None
    lost: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A scored run in figures.

    Attributes:
        units: all units of the run. beating: those whose AP beats every control. abstained: those left unexplained.
        beaten: per control, how many labels beat it. unmeasured: per control, in how many units it could not be had.
    """

    subject: str
    site: str
    rows: tuple[Row, ...]

    @property
    def beating(self) -> int:
        return sum(r.beats is True for r in self.rows)

    @property
    def abstained(self) -> int:
        return sum(r.abstained is not None for r in self.rows)

    def best(self, n: int = 5) -> list[Row]:
        """The highest AP first."""
        scored = [r for r in self.rows if r.ap.value is not None and r.abstained is None]
        return sorted(scored, key=lambda r: -(r.ap.value or 0.0))[:n]

    def lost_to(self, control: str) -> int:
        return sum(control in r.lost for r in self.rows)

    def to_json(self) -> dict[str, Any]:
        return {
            "subject": self.subject,
            "site": self.site,
            "units": len(self.rows),
            "beat_every_control": self.beating,
            "abstained": self.abstained,
            "lost_to": {c: self.lost_to(c) for c in CONTROLS},
            "rows": [
                {
                    "unit": r.unit,
                    "label": r.label,
                    "abstained": r.abstained,
                    "ap": r.ap.to_json(),
                    "pearson": r.pearson.to_json(),
                    "beats_every_control": r.beats,
                    "lost_to": list(r.lost),
                }
                for r in self.rows
            ],
        }


def summarise(run: Run, explainer: str = "search") -> Summary:
    """Read a run's explanations and scores into a summary; units without a score are left out."""
    rows: list[Row] = []
    for unit in run.units:
        found, readings = (
            stored_explanation(run, "main", unit, explainer=explainer),
            stored_readings(run, unit, explainer=explainer),
        )
        if found is None or "predictive" not in readings:
            continue
        stands = verdict(readings)
        rows.append(
            Row(
                unit=unit.key,
                label=found.label,
                abstained=found.reason,
                ap=readings["predictive"],
                pearson=readings["predictive.pearson"],
                beats=None if found.abstained else stands.beats,
                lost=stands.lost,
            )
        )
    return Summary(subject=run.subject.name, site=run.site, rows=tuple(rows))


def print_summary(summaries: Sequence[Summary]) -> None:
    """Per model how many labels beat every control, and the best five."""
    console = Console()
    head = Table(box=None, header_style="bold", title_justify="left")
    for name in ("model", "site", "units", "beat every control", "abstained"):
        head.add_column(name, justify="right" if name in ("units", "beat every control", "abstained") else "left")
    for s in summaries:
        head.add_row(s.subject, s.site, str(len(s.rows)), str(s.beating), str(s.abstained))
    console.print(head)
    for s in summaries:
        best = Table(box=None, header_style="bold", title=f"\nbest of {s.subject} (test split)", title_justify="left")
        best.add_column("unit", no_wrap=True)
        best.add_column("label", overflow="fold")
        best.add_column("AP [95 %]", justify="right", no_wrap=True)
        best.add_column("chance", justify="right")
        best.add_column("r", justify="right")
        best.add_column("beats all", justify="right")
        for r in s.best():
            ap = f"{r.ap.value:.2f} [{r.ap.low:.2f}, {r.ap.high:.2f}]"
            chance = f"{r.ap.details.get('base_rate', float('nan')):.3f}"
            correlation = "unmeasured" if r.pearson.value is None else f"{r.pearson.value:.2f}"
            best.add_row(r.unit, r.label, ap, chance, correlation, "yes" if r.beats else "no: " + ", ".join(r.lost))
        console.print(best, markup=False)
