"""``maieutic bench``: measure the explainers themselves."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from maieutic.cli.progress import reporter

EXAMPLE = "Example:  maieutic bench planted --modality text --seed 3 --json"


def bench(
    name: Annotated[str, typer.Argument(help="Which bench: planted.")],
    modality: Annotated[str | None, typer.Option(help="text or image; default both.")] = None,
    seed: Annotated[int, typer.Option(help="Fresh material for every seed.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Run a benchmark with known truth and print its figures with intervals."""
    from maieutic.bench import print_result, run_bench

    result = run_bench(name, seed=seed, modality=modality, report=reporter())
    if as_json:
        print(json.dumps(result.to_json()))
    else:
        print_result(result)
