"""``maieutic report``: a run as static pages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from maieutic.cli.progress import reporter

EXAMPLE = "Example:  maieutic report runs/mine --out report"


def report(
    runs: Annotated[list[Path], typer.Argument(help="Run folders; several become one report.")],
    out: Annotated[Path | None, typer.Option(help="Where to write; default: RUN/report.")] = None,
    explainer: Annotated[
        str | None,
        typer.Option(
            help="Whose explanations; default: what a sweep chose (chosen), else search, else whose there are.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write a run as static HTML: an overview, tables, a page a unit, and what else lies in the run. Opens from disk."""
    from maieutic.report.gather import report_runs

    index = report_runs(runs, out or runs[0] / "report", explainer=explainer, progress=reporter())
    print(json.dumps({"report": str(index)}) if as_json else f"report: {index}")
