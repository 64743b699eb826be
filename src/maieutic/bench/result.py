"""What a bench gives back: named figures with intervals, sizes, targets and whether they were met."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maieutic.errors import UserError
from maieutic.readings import Reading

if TYPE_CHECKING:
    from rich.console import Console


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Something to read: every cell is text, the first column holds names."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, kw_only=True)
class BenchResult:
    """All figures of one bench run.

    Attributes:
        rows: further plain JSON, one mapping for each thing tried (not part of ``to_json``).
        tables: how people read the figures; where there are none, every figure is listed.
        plots: file name -> SVG.
    """

    bench: str
    seed: int
    seconds: float
    figures: Mapping[str, Figure]
    rows: tuple[Mapping[str, Any], ...] = ()
    tables: tuple[Table, ...] = ()
    plots: Mapping[str, str] = field(default_factory=dict[str, str])

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


def write_result(result: BenchResult, folder: Path) -> None:
    """``result.json`` (as ``to_json``), ``rows.json``, ``tables.md`` and the plots, each written whole.

    Raises:
        UserError: the folder cannot be written.
    """
    tables = "\n".join(_markdown(t) for t in result.tables)
    files = {
        "result.json": json.dumps(result.to_json(), indent=1),
        "rows.json": json.dumps(list(result.rows), indent=1, ensure_ascii=False),
        **({"tables.md": tables} if tables else {}),
        **result.plots,
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / f"{name}.part").write_text(text, encoding="utf-8")
            (folder / f"{name}.part").replace(folder / name)
    except OSError as error:
        raise UserError(f"cannot write to {folder} ({error.strerror}): give another --out folder") from error


def _markdown(table: Table) -> str:
    rows = (table.columns, tuple("---" for _ in table.columns), *table.rows)
    cells = ("| " + " | ".join(c.strip().replace("|", "\\|") for c in row) + " |" for row in rows)
    return "\n".join([f"## {table.title}", "", *cells, ""])


def print_result(result: BenchResult) -> None:
    """The same as tables, for people."""
    from rich.console import Console

    console = Console()
    if not result.tables:
        _print_figures(result, console)
    for table in result.tables:
        _print_table(table, console)
    missed = [f"{name} {_shown(f)}" for name, f in result.figures.items() if f.met is False]
    console.print(f"{result.bench}, seed {result.seed}, {result.seconds:.0f} s", highlight=False)
    console.print(
        "every target met" if not missed else f"targets missed: {'; '.join(missed)}", highlight=False, markup=False
    )


def _shown(figure: Figure) -> str:
    value = "unmeasured" if figure.reading.value is None else f"{figure.reading.value:.3g}"
    return f"{value} ({'≥' if figure.at_least else '≤'} {figure.target:g})"


def _print_table(table: Table, console: Console) -> None:
    from rich.table import Table as Drawn

    drawn = Drawn(title=table.title, title_justify="left", box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for i, column in enumerate(table.columns):
        drawn.add_column(column, justify="right" if i else "left", no_wrap=i > 0)
    for row in table.rows:
        drawn.add_row(*row)
    console.print(drawn, markup=False)


def _print_figures(result: BenchResult, console: Console) -> None:
    from rich.table import Table as Drawn

    table = Drawn(title=result.bench, title_justify="left")
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
    console.print(table)
