"""``maieutic explain``: label the units of a run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from maieutic.cli.agents import BaseUrl, Dollars, Jail, Mode, Model, More, Runs, Turns, given
from maieutic.cli.progress import reporter, say

EXAMPLE = "Example:  maieutic explain runs/mine layers.3.mlp/17 --budget 200"


def explain(
    run: Annotated[Path, typer.Argument(help="A harvested run folder.")],
    units: Annotated[
        list[str] | None,
        typer.Argument(help="Units SITE/INDEX (a trailing - for the negative tail); default: all studied."),
    ] = None,
    explainer: Annotated[
        str, typer.Option(help="search, search-no-experiments, lookup, agent, one-shot, or a plug-in.")
    ] = "search",
    budget: Annotated[int, typer.Option(min=0, help="Measurements (stimuli shown in experiments) per unit.")] = 120,
    nulls: Annotated[bool, typer.Option(help="Also explain the run's null units, which scores stand beside.")] = True,
    model: Model = None,
    base_url: BaseUrl = None,
    mode: Mode = None,
    runs: Runs = None,
    turns: Turns = None,
    dollars: Dollars = None,
    jail: Jail = None,
    option: More = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Question units and label them. Finished units are kept, so an interrupted command goes on when run again."""
    from maieutic.campaign import explain_units, open_run, stored_explanation
    from maieutic.errors import UsageError, did_you_mean
    from maieutic.explain import explainers

    if explainer not in explainers():
        raise UsageError(
            f"no explainer {explainer!r}{did_you_mean(explainer, explainers())}: choose from {', '.join(explainers())}"
        )
    options = given(
        option, model=model, base_url=base_url, mode=mode, runs=runs, turns=turns, dollars=dollars, jail=jail
    )
    with open_run(run, write=True) as opened:
        chosen = [opened.subject.parse_unit(k) for k in units] if units else list(opened.units)
        from maieutic.lab import Budget

        failures = explain_units(
            opened, chosen, explainer=explainer, budget=Budget(measurements=budget), nulls=nulls, options=options,
            report=reporter(),
        )  # fmt: skip
        found = {u.key: stored_explanation(opened, "main", u, explainer=explainer) for u in chosen}
    rows = [
        {
            "unit": key,
            "label": e.label,
            "confidence": e.confidence,
            "abstained": e.reason,
            "measurements": e.cost.measurements,
        }
        for key, e in found.items()
        if e is not None
    ]
    if as_json:
        print(
            json.dumps(
                {
                    "run": str(run),
                    "explanations": rows,
                    "failed": [{"unit": f.unit, "reason": f.reason} for f in failures],
                }
            )
        )
    else:
        _print(rows)
        print(f"next:  maieutic score {run}")
    for failure in failures:
        say(f"failed: {failure.unit}: {failure.reason}")
    if failures and not rows:
        raise typer.Exit(1)


def _print(rows: Sequence[Mapping[str, object]]) -> None:
    table = Table(box=None, header_style="bold")
    table.add_column("unit", no_wrap=True)
    table.add_column("label", overflow="fold")
    table.add_column("confidence", justify="right")
    table.add_column("measured", justify="right")
    for row in rows:
        label = f"unexplained: {row['abstained']}" if row["abstained"] else str(row["label"])
        table.add_row(str(row["unit"]), label, f"{row['confidence']:.2f}", str(row["measurements"]))
    Console().print(table, markup=False)
