"""``maieutic study``: studies of models, and any two runs side by side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from maieutic.cli import behaviour, bias, spurious
from maieutic.cli.agents import Address, BaseUrl, Model, More, Workers, given
from maieutic.cli.progress import reporter, say

if TYPE_CHECKING:
    from maieutic.studies.regularization.config import StudyConfig
    from maieutic.studies.regularization.run import Study

app = typer.Typer(
    name="study",
    help="Studies: regularisers, spurious features, biases, behaviour, and any two runs side by side.",
    no_args_is_help=True,
)
REGULARIZATION = (
    "Examples:  maieutic study regularization --quick --run runs/study --engine processes   |   maieutic study "
    "regularization --config study.toml --run runs/study --arms gelu,solu,solu-ln --seeds 5"
)
COMPARE = "Example:  maieutic study compare runs/gpt2 runs/smollm2 --out comparison"


app.command(epilog=spurious.EXAMPLE)(spurious.spurious)
app.command(epilog=bias.EXAMPLE)(bias.bias)
app.command(epilog=behaviour.EXAMPLE)(behaviour.behaviour)


@app.command(epilog=REGULARIZATION)
def regularization(
    run: Annotated[Path, typer.Option(help="The run folder: new, or one to go on with.")],
    quick: Annotated[
        bool, typer.Option("--quick", help="Three seeds of smaller training: minutes instead of an hour.")
    ] = False,
    config: Annotated[
        Path | None,
        typer.Option(help="TOML or JSON file: arms, seeds, sweeps, sizes, claims.", show_default=False),
    ] = None,
    arms: Annotated[
        str | None,
        typer.Option(help="Only these, as in gelu,topk,solu; gelu is always among them.", show_default=False),
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(min=1, help="Replicates of every arm: seeds from 0 on.", show_default=False)
    ] = None,
    engine: Annotated[str, typer.Option(help="in-process, processes, or ray.")] = "processes",
    workers: Workers = None,
    address: Address = None,
    explainer: Annotated[
        str | None,
        typer.Option(
            help="Let it label a sample of each model's units, arms hidden: agent, one-shot, search, a plug-in.",
            show_default=False,
        ),
    ] = None,
    sample: Annotated[int, typer.Option(min=1, help="Units of each layer that the explainer labels.")] = 2,
    budget: Annotated[int, typer.Option(min=1, help="Measurements for each unit that it labels.")] = 60,
    model: Model = None,
    base_url: BaseUrl = None,
    more: More = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print answers and comparisons as JSON.")] = False,
) -> None:
    """Train small models under each regulariser, measure, compare, and answer the claims written before.

    Writes report.html, results.json, measures.csv and .parquet, comparisons.csv. Interrupted, the same command goes on.
    Exit code 1 when a model could not be trained or measured; the report names it.
    """
    from maieutic.executors import open_executor
    from maieutic.report.study import write_study
    from maieutic.studies.regularization.run import run_study

    wanted = _config(quick, config, arms, seeds)
    options = None
    if explainer is not None:
        options = _explainer(explainer, sample, budget, given(more, model=model, base_url=base_url))
    with open_executor(engine, workers=workers, address=address) as executor:
        if executor.name == "in-process":
            import torch

            torch.set_num_threads(1)  # as workers do, so that every engine gives the same values
        study = run_study(wanted, run, executor, explainer=options, report=reporter(quiet=as_json))
    page = write_study(study, run)
    print(json.dumps(study.to_json())) if as_json else _print(study, page)
    if not study.complete:
        say(f"{len(study.table.missing)} things failed or are missing: see {page}")
        raise typer.Exit(1)


def _explainer(name: str, units: int, budget: int, options: dict[str, Any]) -> dict[str, Any]:
    """Who labels a sample, as the study keeps it.

    Raises:
        UserError: no such explainer, an option that it does not have, or something that it lacks.
    """
    from maieutic.explain import check_explainer

    check_explainer(name, **options)
    return {"name": name, "units": units, "measurements": budget, "options": options}


def _config(quick: bool, file: Path | None, arms: str | None, seeds: int | None) -> StudyConfig:
    """The configuration that was asked for.

    Raises:
        UsageError: two of them, an unknown arm, a file that cannot be read.
    """
    from maieutic.errors import UsageError
    from maieutic.studies.regularization.config import load_config, narrowed

    if quick and file is not None:
        raise UsageError('--quick and --config are two configurations: give one (a file may say preset = "quick")')
    found = load_config(file or ("quick" if quick else "full"))
    chosen = None if arms is None else tuple(dict.fromkeys(a for a in (n.strip() for n in arms.split(",")) if a))
    if chosen is not None and not chosen:
        raise UsageError("no arm: name one, as in  --arms gelu,solu")
    return narrowed(found, arms=chosen, seeds=seeds)


def _print(study: Study, page: Path) -> None:
    from rich.console import Console

    from maieutic.studies.regularization.summary import summary_lines

    console = Console(highlight=False)
    for line in summary_lines(study):
        console.print(line, markup=False, soft_wrap=True)
    console.print(f"report: {page}", markup=False, soft_wrap=True)


@app.command(epilog=COMPARE)
def compare(
    run_a: Annotated[Path, typer.Argument(help="A run folder with scores.")],
    run_b: Annotated[Path, typer.Argument(help="Another, of any model.")],
    explainer: Annotated[str, typer.Option(help="Whose labels; chosen: those that a sweep chose.")] = "search",
    out: Annotated[Path, typer.Option(help="Folder of the page.")] = Path("comparison"),
    seed: Annotated[int, typer.Option(help="Of the bootstrap.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Set the interpretability of two harvested, explained and scored runs side by side, never without their controls."""
    from maieutic.report.study_compare import write_comparison
    from maieutic.studies.compare import compare_runs

    found = compare_runs(run_a, run_b, explainer=explainer, seed=seed)
    page = write_comparison(found, out)
    if as_json:
        print(json.dumps(found.to_json()))
        return
    _print_comparison(found, page)


def _print_comparison(found: Any, page: Path) -> None:
    for line in found.lines():
        print(line)
    print(f"page: {page}")
