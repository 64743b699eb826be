"""Entry point: builds the app and turns errors into one line and an exit code (0 done, 1 failed, 2 bad arguments)."""

from __future__ import annotations

import os
import sys
from typing import Any

import typer
from rich.console import Console

from maieutic.cli import (
    ask,
    audit,
    bench,
    demo,
    directions,
    drivers,
    effects,
    explain,
    fetch,
    harvest,
    investigate,
    lab,
    mcp,
    models,
    monitor,
    people,
    plan,
    report,
    sae,
    score,
    store,
    study,
    sweep,
    view,
)
from maieutic.errors import UsageError, UserError

app = typer.Typer(
    name="maieutic",
    help="Automated interpretability: question a model's units, label them, and score every label on held-out evidence.",
    epilog="Start with:  maieutic demo",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(epilog=demo.EXAMPLE)(demo.demo)
app.command(epilog=models.EXAMPLE)(models.models)
app.command(epilog=harvest.EXAMPLE)(harvest.harvest)
app.command(epilog=explain.EXAMPLE)(explain.explain)
app.command(epilog=ask.EXAMPLE)(ask.ask)
app.command(epilog=score.EXAMPLE)(score.score)
app.command(epilog=plan.EXAMPLE)(plan.plan)
app.command(epilog=sweep.EXAMPLE)(sweep.sweep)
app.command(epilog=effects.EXAMPLE)(effects.effects)
app.command(epilog=drivers.EXAMPLE)(drivers.drivers)
app.command(epilog=directions.EXAMPLE)(directions.directions)
app.command(epilog=investigate.EXAMPLE)(investigate.investigate)
app.command(epilog=audit.EXAMPLE)(audit.audit)
app.command(epilog=view.EXAMPLE)(view.view)
app.command(epilog=report.EXAMPLE)(report.report)
app.command(epilog=people.EXAMPLE)(people.people)
app.command(epilog=lab.EXAMPLE)(lab.lab)
app.command(epilog=mcp.EXAMPLE)(mcp.mcp)
app.command(epilog=bench.EXAMPLE)(bench.bench)
app.command(epilog=fetch.EXAMPLE)(fetch.fetch)
app.add_typer(store.app, name="store")
app.add_typer(monitor.app, name="monitor")
app.add_typer(study.app, name="study")
app.add_typer(sae.app, name="sae")


@app.callback(invoke_without_command=True)
def _version(version: bool = typer.Option(False, "--version", help="Print the version and stop.")) -> None:
    if version:
        import maieutic

        print(maieutic.__version__)
        raise typer.Exit


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: list[str]) -> int:
    """Run the command line; returns the exit code."""
    # a model hub is asked only for names that say so (hf:owner/name), and never for telemetry
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        code: Any = app(args=arguments, standalone_mode=False)
    except typer.Exit as stop:
        return stop.exit_code
    except typer.TyperException as error:  # an unknown option, a missing argument, a value of the wrong kind
        _show(error)
        return 2
    except (KeyboardInterrupt, typer.Abort):
        return _fail("stopped: run the same command again, it goes on from here")
    except UsageError as error:
        return _fail(str(error), code=2)
    except UserError as error:
        return _fail(str(error))
    except MemoryError:
        return _fail("out of memory: use a smaller --size or fewer --sample units")
    except Exception as error:
        if os.environ.get("MAIEUTIC_TRACEBACK"):
            raise
        return _fail(
            f"unexpected {type(error).__name__}: {error}: see where with MAIEUTIC_TRACEBACK=1, and please report it"
        )
    return code if isinstance(code, int) else 0


def _show(error: Any) -> None:
    """The usage and what was wrong with it, as typer writes them."""
    error.show()


def _fail(message: str, *, code: int = 1) -> int:
    Console(stderr=True, highlight=False).print(
        f"maieutic: {' '.join(message.split())}", style="red", markup=False, soft_wrap=True
    )
    return code
