"""``maieutic bench``: measure the explainers themselves."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from maieutic.cli.agents import More, given
from maieutic.cli.progress import reporter, say

EXAMPLE = "Example:  maieutic bench planted --modality text --seed 3 --json"


def bench(
    name: Annotated[
        str,
        typer.Argument(
            help="Which bench: planted, units, puzzles, find, session, jail, faults, local-model, harvest, sharing, "
            "sweep, store, forensics, monitors, organism, audit or bias."
        ),
    ],
    modality: Annotated[str | None, typer.Option(help="text or image; default both.")] = None,
    seed: Annotated[int, typer.Option(help="Fresh material for every seed.")] = 0,
    quick: Annotated[bool, typer.Option("--quick", help="Less material, few units: a first look.")] = False,
    budget: Annotated[int | None, typer.Option(min=1, help="Measurements for each unit; default 200.")] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Worker processes; default: a core each, two at most.")
    ] = None,
    runs: Annotated[
        list[Path] | None,
        typer.Option("--run", help="units, session: a run folder, or a folder of runs; may be repeated."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the results; default runs/bench-NAME-SEED.")] = None,
    option: More = None,
    path: Annotated[Path | None, typer.Option(help="Folder that the bench reads: a checkout of FIND.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Run a benchmark with known truth and print its figures with intervals."""
    from maieutic.bench import print_result, run_bench, write_result

    if jobs is None and name == "planted":
        jobs = min(os.cpu_count() or 1, 2)
    result = run_bench(
        name, seed=seed, modality=modality, quick=quick or None, budget=budget, jobs=jobs, path=path,
        runs=runs or None, report=reporter(), **given(option),
    )  # fmt: skip
    folder = out or Path("runs") / f"bench-{name}{f'-{modality}' if modality else ''}-{seed}"
    write_result(result, folder)
    if as_json:
        print(json.dumps(result.to_json()))
    else:
        print_result(result)
    say(f"written to {folder}: result.json, rows.json, tables and plots")
