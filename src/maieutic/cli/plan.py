"""``maieutic plan``: what labelling all units would cost and how good it would be, from a pilot; and how that came out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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

if TYPE_CHECKING:
    from maieutic.campaign.forecast import Scenario
    from maieutic.campaign.forecast_compare import Comparison
    from maieutic.campaign.forecast_file import Forecast

EXAMPLE = (
    "Example:  maieutic plan smollm2-135m --corpus text --site layers.7.mlp --run runs/pilot --engine processes "
    "--cascade search-no-experiments,search:60 --pilot 48 --budgets none,20000"
)
#: programs that want a core, a core: with more the pilot waited for others
BUSY = 1.5
Folder = Annotated[
    Path | None, typer.Option(help="Run folder of the pilot: new, or one made before.", show_default=False)
]


def plan(
    subject: Annotated[
        str | None, typer.Argument(help="The model; left out: forecast from the pilot in --run.")
    ] = None,
    corpus: Annotated[str | None, typer.Option(help="As in  maieutic sweep.", show_default=False)] = None,
    site: Annotated[str | None, typer.Option(help="Hook points, separated by commas.", show_default=False)] = None,
    run: Folder = None,
    pilot: Annotated[int, typer.Option(min=1, help="Units sampled of each site.")] = 64,
    cascade: Annotated[
        str, typer.Option(help="Explainers, cheapest first, with measurements a unit; its prefixes are forecast too.")
    ] = "search-no-experiments,search:120",
    budgets: Annotated[
        str, typer.Option(help="none, 6000 (measurements), 2000000t (tokens), $20, 50%; separated by commas.")
    ] = "none,50%",
    enough: Annotated[
        str, typer.Option(help="Standings with which nothing more is tried, separated by commas.")
    ] = "0.9",
    least: Least = 0.02,
    for_workers: Annotated[
        str | None,
        typer.Option(help="Workers of the campaign, separated by commas; default the pilot's.", show_default=False),
    ] = None,
    units_total: Annotated[
        int | None, typer.Option(min=1, help="Units of a larger model; default all of the sites.", show_default=False)
    ] = None,
    prices: Annotated[Path | None, typer.Option(help="Your table of prices and speeds.", show_default=False)] = None,
    against: Annotated[
        Path | None, typer.Option(help="Run folder of the finished campaign, to compare with.", show_default=False)
    ] = None,
    paper: Annotated[
        bool, typer.Option("--paper", help="Work out a million units of a frontier model on paper.")
    ] = False,
    table: Annotated[Path | None, typer.Option(help="Your table of rates for --paper.", show_default=False)] = None,
    first: First = "mass",
    scorers: Annotated[str, typer.Option(help="How labels are scored; none: no forecast of the score.")] = "predictive",
    engine: Engine = "processes",
    workers: Workers = None,
    address: Address = None,
    size: Size = None,
    nulls: Nulls = 8,
    resamples: Annotated[int, typer.Option(min=40, help="Populations drawn for the intervals.")] = 200,
    model: Model = None,
    base_url: BaseUrl = None,
    option: More = None,
    seed: Annotated[int, typer.Option(help="Of everything random, as in the campaign.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Try a random sample of units, forecast cost and score for all of them, and compare that with what came."""
    if paper:
        _paper(table, as_json)
        return
    from maieutic.errors import UsageError

    if run is None:
        raise UsageError("no --run folder: name a new one for a pilot, or one that holds a pilot")
    if against is not None:
        _compare(run, against, _numbers(for_workers, int), as_json)
        return
    if subject is not None:
        if corpus is None or site is None:
            raise UsageError("a pilot needs --corpus and --site, as  maieutic sweep  does")
        _pilot(
            run, dict(subject=subject, corpus=corpus, sites=sites_of(site), sample=pilot, size=size, nulls=nulls, seed=seed),
            cascade, given(option, model=model, base_url=base_url), scorers, first,
            dict(engine=engine, workers=workers, address=address),
        )  # fmt: skip
    from maieutic.campaign.forecast import forecast
    from maieutic.campaign.forecast_file import write_forecast
    from maieutic.campaign.forecast_read import read_pilot
    from maieutic.campaign.forecast_settings import settings_for
    from maieutic.campaign.prices import load_prices

    paid, known = load_prices(prices), read_pilot(run)
    settings = settings_for(
        known, enough=_numbers(enough, float), least=least, budgets=budgets.split(","), units_total=units_total
    )
    scenarios = forecast(
        known, settings, prices=paid, workers=_numbers(for_workers, int), units_total=units_total, resamples=resamples,
        report=reporter(quiet=as_json),
    )  # fmt: skip
    made = write_forecast(run, known, scenarios, paid)
    print(made.model_dump_json()) if as_json else _print(made, run)


def _pilot(
    run: Path,
    what: dict[str, Any],
    cascade: str,
    more: dict[str, Any],
    scorers: str,
    first: str,
    engine: dict[str, Any],
) -> None:
    from maieutic.campaign import RunPlan, parse_stages
    from maieutic.campaign.forecast_pilot import run_pilot
    from maieutic.executors import open_executor
    from maieutic.explain import options_of

    names = [s.explainer for s in parse_stages(cascade)]
    stages = parse_stages(cascade, {n: {k: v for k, v in more.items() if k in options_of(n)} for n in names})
    chosen = tuple(s.strip() for s in scorers.split(",") if s.strip() and s.strip() != "none")
    with open_executor(**engine) as executor:
        if executor.name == "in-process":
            import torch

            torch.set_num_threads(1)  # as workers do, so that every engine gives the same values
        run_pilot(
            run, RunPlan(**what), stages, scorers=chosen, first=first, executor=executor, report=reporter()
        )  # fmt: skip


def _numbers(text: str | None, kind: type[Any]) -> list[Any]:
    from maieutic.errors import UsageError

    try:
        found = [kind(part) for part in (text or "").split(",") if part.strip()]
    except ValueError:
        found = [0]
    if any(not value > 0 for value in found):
        raise UsageError(f"{text!r} is no list of numbers above 0: write them separated by commas, as in  2,64")
    return found


def _print(made: Forecast, run: Path) -> None:
    from maieutic.campaign.forecast_settings import told

    once, scenarios = made.once, made.read()
    print(
        f"{made.sampled} units of {made.about['subject']} at {', '.join(made.about['sites'])}, every stage run on each"
    )
    print(
        f"paid once: harvest {_told(once['harvest'], 's')}, start of a worker {_told(once['start'], 's')}, its first units "
        f"{_told(once['first'], 's')} more; workers work {once['efficiency']:.0%} of the time"
    )
    for s in scenarios:
        print(f"\n{told(s.setting, made.stages)}: {s.units:,} units, {s.workers} workers")
        _print_readings(s)
    if once["resumed"]:
        say("the pilot was stopped and went on: what is paid once was paid more often, times are too long")
    if once["load"] > BUSY:
        say(
            f"the machine was busy ({once['load']:.1f} programs a core): times are too long where the campaign's is not"
        )
    print(f"\nnext:  maieutic sweep … --run FOLDER,  then  maieutic plan --run {run} --against FOLDER")


def _print_readings(scenario: Scenario) -> None:
    for name, reading in scenario.readings.items():
        if reading.value is None:
            print(f"  {_name(name):<28} unmeasured ({reading.reason})")
        elif reading.value or reading.high:
            print(f"  {_name(name):<28} {_between(name, reading)}")


def _name(name: str) -> str:
    words = {
        "fresh": "measured anew", "tokens": "language-model tokens", "explaining": "work of explainers",
        "wall": "wall time", "core_hours": "core-hours", "gpu_hours": "GPU-hours", "standing": "mean standing on select",
        "ap": "mean AP on test", "labelled": "units with a label",
    }  # fmt: skip
    return words.get(name, name.replace("through.", "through "))


def _between(name: str, reading: Any) -> str:
    from maieutic.campaign.forecast import FIGURES

    unit = FIGURES.get(name, "units")
    low, high = ("" if v is None else _told(v, unit) for v in (reading.low, reading.high))
    return f"{_told(reading.value, unit)} [{low}, {high}]"


def _told(value: float, unit: str) -> str:
    """A figure as people read it."""
    if unit == "s":
        for name, seconds in (("d", 86400.0), ("h", 3600.0), ("min", 60.0)):
            if value >= 2 * seconds:
                return f"{value / seconds:.3g} {name}"
        return f"{value:.3g} s"
    if unit == "$":
        return f"${value:,.2f}" if value >= 1 else f"${value:.3g}"
    if unit == "h":
        return f"{value:,.3g} h"
    return f"{value:,.0f}" if value >= 10 or value == round(value) else f"{value:.3f}"


def _compare(run: Path, against: Path, workers: Sequence[int], as_json: bool) -> None:
    from maieutic.campaign.forecast_compare import compare

    found = compare(run, against, workers=workers[0] if workers else None)
    if as_json:
        rows = [
            {"name": r.name, "forecast": r.forecast.to_json(), "actual": r.actual.to_json(), "inside": r.inside}
            for r in found.rows
        ]
        print(json.dumps({"rows": rows, "notes": list(found.notes)}))
    else:
        _print_comparison(found)


def _print_comparison(found: Comparison) -> None:
    from maieutic.campaign.forecast import FIGURES

    words = {True: "inside", False: "OUTSIDE", None: "not compared"}
    for r in found.rows:
        unit = FIGURES.get(r.name, "units")
        if r.forecast.value == 0.0 == r.forecast.high and r.actual.value == 0.0:
            continue
        foretold = f"unmeasured ({r.forecast.reason})" if r.forecast.value is None else _between(r.name, r.forecast)
        came = f"unmeasured ({r.actual.reason})" if r.actual.value is None else _told(r.actual.value, unit)
        print(f"{_name(r.name):<28} {foretold:<36} came {came:<12} {words[r.inside]}")
    for note in found.notes:
        say(f"note: {note}")


def _paper(table: Path | None, as_json: bool) -> None:
    from maieutic.campaign.forecast_paper import given as rates_of
    from maieutic.campaign.forecast_paper import on_paper, read_rates

    rates = read_rates(table)
    parts = {"given": rates_of(rates), "follows": on_paper(rates)}
    if as_json:
        print(json.dumps({part: [line._asdict() for line in lines] for part, lines in parts.items()}))
        return
    for part, lines in parts.items():
        print(f"{part}:")
        for line in lines:
            clock = line.unit in ("s", "$", "h")
            value = _told(line.value, line.unit) if clock else f"{line.value:,.4g} {line.unit}".strip()
            print(f"  {line.name:<40} {value:<30} {line.source}".rstrip())
