"""``maieutic mcp``: serve a run's units to any MCP client over standard input and output."""

from __future__ import annotations

import secrets
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from maieutic.cli.lab import Budget, Describe, Edit, Imagine, Jail, Units, Write, opened_bench, prelude_file
from maieutic.cli.progress import say

if TYPE_CHECKING:
    from maieutic.lab.workbench import Workbench
    from maieutic.lab.worker import Worker

EXAMPLE = "Example:  claude mcp add maieutic -- maieutic mcp runs/mine layers.3.mlp/17"
#: name under which answers of clients are kept in a run
EXPLAINER = "mcp"


def mcp(
    run: Annotated[Path, typer.Argument(help="A harvested run folder.")],
    units: Units = None,
    jail: Jail = "bwrap",
    budget: Budget = 120,
    imagine: Imagine = None,
    edit: Edit = None,
    describe: Describe = None,
    write: Write = None,
) -> None:
    """Serve the lab as an MCP server (stdio), so that any coding agent can be the interpreter. No API key is needed here.

    The run is read; what the client submits is written to it as explainer "mcp". Programs run in the jail; where it cannot
    be had the server says so and offers everything else.
    """
    from maieutic.lab.mcp import Offered, build

    tools = {"imagine": imagine, "edit": edit, "describe": describe, "write": write}
    with ExitStack() as stack:
        opened = stack.enter_context(opened_bench(run, units, budget=budget, tools=tools, nonce=secrets.token_hex(8)))
        worker, note = _worker(stack, opened.bench, jail)
        backend = worker.backend if worker else "no programs"
        offered = Offered(opened.bench, worker=worker, submitted=lambda s: opened.keep(s, EXPLAINER, jail=backend))
        server = build(offered, note=note)
        say(f"serving {len(opened.bench.labs)} units of {run} over stdio; {note}")
        server.run("stdio")


def _worker(stack: ExitStack, bench: Workbench, jail: str) -> tuple[Worker | None, str]:
    """A jailed worker, or none and why; never another jail than the one asked for."""
    from maieutic.errors import UsageError, UserError
    from maieutic.lab.worker import start_worker

    try:
        worker = stack.enter_context(start_worker(jail, calls=bench.calls(), prelude=prelude_file()))
    except UsageError:
        raise
    except UserError as error:
        return None, f"run_python is not offered: {error}"
    return worker, f"Programs of run_python run in the jail {worker.backend}."
