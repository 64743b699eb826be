"""``maieutic sweep``: every unit of a site through a cascade of explainers, under a budget, on one machine or many."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from maieutic.cli.agents import (
    Address,
    BaseUrl,
    Engine,
    First,
    Least,
    Model,
    More,
    Nulls,
    Size,
    Workers,
    given,
    sites_of,
)
from maieutic.cli.progress import reporter, say

EXAMPLE = (
    "Example:  maieutic sweep smollm2-135m --corpus text --site layers.7.mlp --run runs/layer7 --engine processes "
    "--cascade search-no-experiments,search:60 --measurements 20000"
)


def sweep(
    subject: Annotated[str, typer.Argument(help="The model: see  maieutic models.")],
    corpus: Annotated[str, typer.Option(help="As in  maieutic harvest.")],
    site: Annotated[str, typer.Option(help="Hook points, separated by commas: see  maieutic models NAME.")],
    run: Annotated[Path, typer.Option(help="The run folder: new, or one to go on with.")],
    units: Annotated[str, typer.Option(help="all, or units SITE/INDEX separated by commas.")] = "all",
    sample: Annotated[
        int | None,
        typer.Option(min=1, help="Instead of all: so many units of each hook point, drawn.", show_default=False),
    ] = None,
    cascade: Annotated[
        str, typer.Option(help="Explainers, cheapest first, with measurements a unit: NAME or NAME:NUMBER.")
    ] = "search-no-experiments,search:120",
    measurements: Annotated[
        int | None, typer.Option(min=0, help="Measurements of the whole sweep, at most.", show_default=False)
    ] = None,
    tokens: Annotated[
        int | None, typer.Option(min=0, help="Language-model tokens of the whole sweep, at most.", show_default=False)
    ] = None,
    dollars: Annotated[
        float | None, typer.Option(min=0, help="Dollars of the whole sweep, at most.", show_default=False)
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(min=0, help="Start no unit later than this; run again to go on.", show_default=False)
    ] = None,
    enough: Annotated[
        float, typer.Option(min=0, max=1, help="Standing on the select split with which nothing more is tried.")
    ] = 0.9,
    least: Least = 0.02,
    first: First = "mass",
    scorers: Annotated[str, typer.Option(help="How chosen labels are scored; none: not at all.")] = "predictive",
    engine: Engine = "processes",
    workers: Workers = None,
    address: Address = None,
    size: Size = None,
    nulls: Nulls = 8,
    model: Model = None,
    base_url: BaseUrl = None,
    option: More = None,
    accept_code: Annotated[bool, typer.Option("--accept-code", help="Go on although the program changed.")] = False,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Harvest a site, label all its units with the cheapest explainer that does, and score them. Interrupted, it resumes."""
    from maieutic.campaign import Limits, Rules, RunPlan, SweepPlan, create_run, parse_stages
    from maieutic.campaign import sweep as swept_of
    from maieutic.executors import open_executor
    from maieutic.explain import options_of

    named = () if sample else tuple(k for k in (u.strip() for u in units.split(",")) if k)
    more = given(option, model=model, base_url=base_url)
    names = [s.explainer for s in parse_stages(cascade)]
    stages = parse_stages(cascade, {n: {k: v for k, v in more.items() if k in options_of(n)} for n in names})
    plan = SweepPlan(
        stages=stages, limits=Limits(measurements=measurements, llm_tokens=tokens, dollars=dollars),
        rules=Rules(enough=enough, least=least), first=first,
        scorers=tuple(s.strip() for s in scorers.split(",") if s.strip() and s.strip() != "none"),
    )  # fmt: skip
    what = RunPlan(
        subject=subject,
        corpus=corpus,
        sites=sites_of(site),
        units=named,
        sample=sample or 0,
        size=size,
        nulls=nulls,
        seed=seed,
    )
    with open_executor(engine, workers=workers, address=address) as executor:
        if executor.name == "in-process":
            import torch

            torch.set_num_threads(1)  # as workers do, so that every engine gives the same values
        elsewhere = None if executor.name == "in-process" else executor
        with create_run(run, what, executor=elsewhere, report=reporter()) as made:
            found = swept_of(made, plan, executor=executor, minutes=minutes, accept_code=accept_code, report=reporter())
            summary = {
                "run": str(run), "units": found.units, "labelled": found.labelled, "failed": found.failed,
                "measurements": found.spent.measurements, "fresh": found.fresh, "tokens": found.spent.llm_tokens,
                "dollars": found.spent.dollars, "stages": dict(found.by_stage), "stopped": found.stopped,
            }  # fmt: skip
            if as_json:
                print(json.dumps(summary))
            else:
                _print(summary)
    if found.stopped:
        say(f"stopped: {found.stopped}")


def _print(summary: Mapping[str, Any]) -> None:
    stages = summary["stages"]
    through = ", ".join(f"{n} through {name}" for name, n in stages.items())
    print(f"{summary['units']} units have an explanation, {summary['labelled']} of them a label ({through})")
    print(f"{summary['measurements']} measurements asked, {summary['fresh']} of them measured anew")
    if summary["tokens"]:
        print(f"{summary['tokens']:,} tokens of language models, ${summary['dollars']:.2f}")
    if summary["failed"]:
        print(f"{summary['failed']} failed: see  maieutic store check {summary['run']}")
    print(f"next:  maieutic report {summary['run']}")
