"""What a bench gives back: named figures with intervals, sizes, targets and whether they were met."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from maieutic.readings import Reading


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure of a bench.

    Attributes:
        reading: value with interval and n, or unmeasured with its reason.
        target: what was hoped for; ``None`` for a figure that only informs.
        at_least: whether the target is a lower bound (or else an upper one).
    """

    reading: Reading
    target: float | None = None
    at_least: bool = True

    @property
    def met(self) -> bool | None:
        """``None`` without a target; an unmeasured figure has not met its target."""
        if self.target is None:
            return None
        if self.reading.value is None:
            return False
        # shares like 0.1 + 0.2 must not miss their target by rounding
        gap = self.reading.value - self.target
        return gap >= -1e-9 if self.at_least else gap <= 1e-9

    def to_json(self) -> dict[str, Any]:
        r = self.reading
        return {"value": r.value, "low": r.low, "high": r.high, "n": r.n, "target": self.target, "met": self.met}


@dataclass(frozen=True, kw_only=True)
class BenchResult:
    """All figures of one bench run.

    Attributes:
        rows: further plain JSON, one mapping for each thing tried (not part of ``to_json``).
    """

    bench: str
    seed: int
    seconds: float
    figures: Mapping[str, Figure]
    rows: tuple[Mapping[str, Any], ...] = ()

    @property
    def met(self) -> bool:
        """Whether every figure with a target met it."""
        return all(f.met is not False for f in self.figures.values())

    def to_json(self) -> dict[str, Any]:
        return {
            "bench": self.bench,
            "seed": self.seed,
            "versions": versions(),
            "machine": machine(),
            "seconds": round(self.seconds, 3),
            "figures": {name: figure.to_json() for name, figure in self.figures.items()},
            "met": self.met,
        }


def versions() -> dict[str, str]:
    """Versions of what the figures depend on; packages that are not installed are left out."""
    found = {"python": platform.python_version()}
    for name in ("maieutic", "torch", "numpy", "transformers"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, Any]:
    """Processor kind, cores that may be used, and system; no names of hosts or users."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return {"system": platform.system(), "processor": platform.machine(), "cores": cores}


def print_result(result: BenchResult) -> None:
    """The same as a table, for people."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{result.bench}, seed {result.seed}, {result.seconds:.0f} s", title_justify="left")
    table.add_column("figure", overflow="fold")
    for column in ("value", "95 % interval", "n", "target", "met"):
        table.add_column(column, justify="right", no_wrap=column != "95 % interval")
    for name, figure in result.figures.items():
        r = figure.reading
        interval = "" if r.low is None or r.high is None else f"{r.low:.2f} to {r.high:.2f}"
        sign = "≥" if figure.at_least else "≤"
        table.add_row(
            name,
            "-" if r.value is None else f"{r.value:.3g}",
            interval if r.value is not None else f"unmeasured: {r.reason}",
            str(r.n),
            "" if figure.target is None else f"{sign} {figure.target:g}",
            {True: "yes", False: "no", None: ""}[figure.met],
        )
    console = Console()
    console.print(table)
    console.print("every target met" if result.met else "some targets were missed", highlight=False)
