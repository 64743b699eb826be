"""``maieutic store``: check, compare and migrate run folders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Check, compare and migrate run folders.", no_args_is_help=True)
RunFolder = Annotated[Path, typer.Argument(help="A run folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command(epilog="Example:  maieutic store check runs/mine")
def check(run: RunFolder, as_json: AsJson = False) -> None:
    """Look for damage: pages, dangling references, evidence without experiments, unreadable files. Exit 1 if any."""
    from maieutic.store.check import problems

    found = problems(run)
    if as_json:
        print(json.dumps({"run": str(run), "problems": found}))
    else:
        print("\n".join(found) if found else f"{run}: sound")
    if found:
        raise typer.Exit(1)


@app.command(epilog="Example:  maieutic store digest runs/a runs/b")
def digest(runs: Annotated[list[Path], typer.Argument(help="Run folders.")], as_json: AsJson = False) -> None:
    """Hash a run's contents without its times: equal for two runs with one seed. With two folders: exit 1 if they differ."""
    from maieutic.store import Store

    digests: dict[str, dict[str, str]] = {}
    for run in runs:
        with Store.open(run) as opened:
            digests[str(run)] = opened.digest()
    names = sorted({n for d in digests.values() for n in d})
    differing = [n for n in names if len({d.get(n) for d in digests.values()}) > 1]
    if as_json:
        print(json.dumps({"digests": digests, "differing": differing}))
    elif len(runs) == 1:
        print("\n".join(f"{d}  {n}" for n, d in digests[str(runs[0])].items()))
    else:
        print("\n".join(f"differs: {n}" for n in differing) or f"{len(names)} tables and files are identical")
    if differing:
        raise typer.Exit(1)


@app.command(epilog="Example:  maieutic store migrate runs/old")
def migrate(run: RunFolder) -> None:
    """Bring an older run folder to this version's schema, in one transaction."""
    from maieutic.store import Store
    from maieutic.store.schema import SCHEMA_VERSION

    with Store.open(run, write=True):
        print(f"{run}: schema {SCHEMA_VERSION}")
