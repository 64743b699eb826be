"""``maieutic score``: test the labels of a run on the test split."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from maieutic.cli.progress import reporter

EXAMPLE = "Example:  maieutic score runs/mine --json"


def score(
    run: Annotated[Path, typer.Argument(help="A run folder with explanations.")],
    units: Annotated[list[str] | None, typer.Argument(help="Units SITE/INDEX; default: all studied.")] = None,
    explainer: Annotated[str, typer.Option(help="Whose explanations.")] = "search",
    scorers: Annotated[str, typer.Option(help="Scorers, separated by commas.")] = "predictive",
    as_json: Annotated[bool, typer.Option("--json", help="Print every reading as JSON.")] = False,
) -> None:
    """Score labels on the test split, which no explainer has seen, every control beside every score."""
    from maieutic.campaign import open_run, score_units
    from maieutic.cli.tables import print_summary, summarise

    with open_run(run, write=True) as opened:
        chosen = [opened.subject.parse_unit(k) for k in units] if units else None
        readings = score_units(opened, chosen, explainer=explainer, scorers=scorers.split(","), report=reporter())
        if as_json:
            rows = {key: {name: r.to_json() for name, r in rs.items()} for key, rs in readings.items()}
            print(json.dumps({"run": str(run), "readings": rows}))
            return
        print_summary([summarise(opened, explainer)])
    print(f"next:  maieutic report {run}")
