"""The tables that commands print about scored runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from maieutic.campaign import Run, null_results, stored_explanation, stored_readings
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
    unmeasured: tuple[str, ...] = ()

    @property
    def standing(self) -> str:
        """Beside its controls, in words."""
        if self.lost:
            return f"loses to {_listed(self.lost)}"
        return (
            "beats every control" if self.beats else f"unmeasured beside {_listed(self.unmeasured) or 'its controls'}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A scored run in figures.

    Attributes:
        units: all units of the run. beating: those whose AP beats every control. abstained: those left unexplained.
        nulls: what the pipeline got out of units that mean nothing, in words.
    """

    subject: str
    site: str
    rows: tuple[Row, ...]
    nulls: tuple[str, ...] = ()

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
            "nulls": list(self.nulls),
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
                    "unmeasured": list(r.unmeasured),
                }
                for r in self.rows
            ],
        }


def _listed(controls: tuple[str, ...]) -> str:
    return ", ".join(c.replace("_", " ") for c in controls)


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
                unmeasured=tuple(stands.unmeasured),
            )
        )
    return Summary(
        subject=run.subject.name, site=", ".join(run.sites), rows=tuple(rows), nulls=tuple(null_results(run, explainer))
    )


def print_summary(summaries: Sequence[Summary]) -> None:
    """Per model how many labels beat every control, what the nulls got, and the best five."""
    console = Console(highlight=False)
    head = Table(box=None, header_style="bold")
    for name in ("model", "site"):
        head.add_column(name, overflow="fold")
    for name in ("units", "beat every control", "abstained"):
        head.add_column(name, justify="right")
    for s in summaries:
        head.add_row(s.subject, s.site.replace(", ", "\n"), str(len(s.rows)), str(s.beating), str(s.abstained))
    console.print(head)
    for s in summaries:
        console.print(f"\n{s.subject}", style="bold")
        lost = ", ".join(f"{c.replace('_', ' ')} {s.lost_to(c)}" for c in CONTROLS)
        console.print(f"labels that do not beat a control: {lost}", markup=False)
        for null in s.nulls:
            console.print(f"explained afresh, {null}", markup=False)
        for r in s.best():
            bounds = "" if r.ap.low is None or r.ap.high is None else f" [{r.ap.low:.2f}, {r.ap.high:.2f}]"
            ap = f"AP {r.ap.value:.2f}{bounds}"
            chance = f"chance {r.ap.details.get('base_rate', float('nan')):.3f}"
            correlation = "r unmeasured" if r.pearson.value is None else f"r {r.pearson.value:.2f}"
            console.print(f"  {r.unit}: {r.label}", markup=False, style="bold", soft_wrap=True)
            console.print(f"      {ap}, {chance}, {correlation}; {r.standing}", markup=False, soft_wrap=True)
