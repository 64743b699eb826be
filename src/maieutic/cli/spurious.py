"""``maieutic study spurious``: find units that follow the object and not the background, and put a head on them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from maieutic.cli.agents import BaseUrl, Model, More, given
from maieutic.cli.progress import reporter

if TYPE_CHECKING:
    from collections.abc import Callable

    from maieutic.studies.spurious.config import SpuriousConfig
    from maieutic.studies.spurious.material import Material
    from maieutic.studies.spurious.run import Study

EXAMPLE = (
    "Examples:  maieutic study spurious --quick --run runs/spurious   |   maieutic study spurious --data waterbirds.csv "
    "--subject hf:my-classifier --site head --run runs/waterbirds"
)


def spurious(
    run: Annotated[Path, typer.Option(help="The run folder: new, or one to go on with.")],
    quick: Annotated[bool, typer.Option("--quick", help="One seed instead of three.")] = False,
    config: Annotated[
        Path | None, typer.Option(help="TOML or JSON file: sizes, seeds, classes, the rule.", show_default=False)
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Your pictures: a folder SPLIT/CLASS/GROUP/*.jpg (train, test), or a CSV path,label,group,split.",
            show_default=False,
        ),
    ] = None,
    subject: Annotated[
        str | None, typer.Option(help="Your classifier; nothing is trained then but heads.", show_default=False)
    ] = None,
    site: Annotated[
        str | None, typer.Option(help="Its last layer, the one that the head reads.", show_default=False)
    ] = None,
    seeds: Annotated[str | None, typer.Option(help="Replicates, as in 0,1,2 (default).", show_default=False)] = None,
    explainer: Annotated[str, typer.Option(help="Who gives units their meaning: search, agent, a plug-in.")] = "search",
    budget: Annotated[int | None, typer.Option(min=0, help="Measurements for each unit.", show_default=False)] = None,
    model: Model = None,
    base_url: BaseUrl = None,
    more: More = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print results as JSON.")] = False,
) -> None:
    """Train a classifier on pictures with a spurious background, keep the units whose claim survives background swaps, and
    fit a head on them without balanced data; beside all, random, l1-chosen units and an oracle.

    Writes report.html and results.json. Interrupted, the same command goes on. Says whether the target set
    before was met; a study that answers no has not failed.
    """
    import torch

    from maieutic.cli.progress import say
    from maieutic.report.spurious import write_spurious
    from maieutic.studies.spurious.config import TARGET
    from maieutic.studies.spurious.run import run_study

    torch.set_num_threads(1)  # sums depend on how many threads share them
    wanted = _config(config, quick, seeds, explainer, budget, given(more, model=model, base_url=base_url))
    studied, layer = _subject(subject, site)
    say(f"target, set before the run: {TARGET}")
    study = run_study(
        wanted, run, data=_data(data, wanted), subject=studied, site=layer, report=reporter(quiet=as_json)
    )
    page = write_spurious(study, run)
    print(json.dumps(study.to_json())) if as_json else _print(study, page)


def _config(
    file: Path | None, quick: bool, seeds: str | None, explainer: str, budget: int | None, options: dict[str, Any]
) -> SpuriousConfig:
    """The configuration that was asked for.

    Raises:
        UsageError: seeds that are no numbers, a file that does not do, or options that the explainer does not have.
    """
    from maieutic.explain import check_explainer
    from maieutic.studies.spurious import config as known

    found = known.SpuriousConfig() if file is None else known.load_config(file)
    changed: dict[str, Any] = {}
    if seeds is not None:
        changed["seeds"] = _seeds(seeds)
    if explainer != "search" or options:
        changed |= {"explainer": explainer, "options": options}
    if budget is not None:
        changed["measurements"] = budget
    found = found.model_copy(update=changed)
    check_explainer(found.explainer, **found.options)
    return known.quick(found) if quick else found


def _seeds(text: str) -> tuple[int, ...]:
    from maieutic.errors import UsageError

    try:
        found = tuple(dict.fromkeys(int(part) for part in text.split(",")))
    except ValueError:
        raise UsageError(f"{text!r} are no seeds: write whole numbers, as in  --seeds 0,1,2") from None
    return found


def _data(path: Path | None, config: SpuriousConfig) -> Callable[[int], Material] | None:
    if path is None:
        return None
    from maieutic.studies.spurious.folder import load_folder

    found = load_folder(path, side=config.side)
    return lambda seed: found


def _subject(name: str | None, site: str | None) -> tuple[Any, str | None]:
    """The user's classifier and its last layer.

    Raises:
        UsageError: one without the other, an unknown site, or a subject that reads no images.
    """
    from maieutic.errors import UsageError

    if (name is None) != (site is None):
        raise UsageError("--subject and --site go together: name the classifier and its last layer")
    if name is None or site is None:
        return None, None
    from maieutic.subjects import load_subject

    found = load_subject(name)
    if found.modality != "image":
        raise UsageError(f"{name} reads text: give an image classifier")
    return found, found.site(site).name


def _print(study: Study, page: Path) -> None:
    from rich.console import Console

    from maieutic.studies.spurious.summary import summary_lines

    console = Console(highlight=False)
    for line in summary_lines(study):
        console.print(line, markup=False, soft_wrap=True)
    console.print(f"report: {page}", markup=False, soft_wrap=True)
