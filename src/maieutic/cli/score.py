"""``maieutic score``: test the labels of a run on the test split."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from maieutic.cli.progress import reporter

if TYPE_CHECKING:
    from maieutic.readings import Reading

EXAMPLE = "Example:  maieutic score runs/mine --scorers predictive,generative,discrimination --json"


def score(
    run: Annotated[Path, typer.Argument(help="A run folder with explanations.")],
    units: Annotated[list[str] | None, typer.Argument(help="Units SITE/INDEX; default: all studied.")] = None,
    explainer: Annotated[str, typer.Option(help="Whose explanations.")] = "search",
    scorers: Annotated[
        str,
        typer.Option(
            help="Separated by commas: predictive, generative, discrimination, interventional; judged by a language model: "
            "detection, fuzzing, simulation, delphi-detection, delphi-fuzzing; embedding; or a plug-in's."
        ),
    ] = "predictive",
    judge: Annotated[
        str | None, typer.Option(help="Model of judged scorers, provider/model as Inspect writes it.", metavar="MODEL")
    ] = None,
    base_url: Annotated[
        str | None, typer.Option(help="Server of the judge, where it is not the provider's own.")
    ] = None,
    embedder: Annotated[
        str | None, typer.Option(help="Sentence encoder of the embedding scorer: minilm, hf:FOLDER or hf:HUB/NAME.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print every reading as JSON.")] = False,
) -> None:
    """Score labels on the test split, which no explainer has seen, every control beside every score."""
    from maieutic.campaign import open_run, score_units
    from maieutic.cli.tables import print_summary, summarise
    from maieutic.errors import UsageError

    names = [name.strip() for name in scorers.split(",") if name.strip()]
    if not names:
        raise UsageError("no scorer named: give --scorers predictive,generative")
    with open_run(run, write=True) as opened:
        chosen = [opened.subject.parse_unit(k) for k in units] if units else None
        given = {"judge": judge, "base_url": base_url, "embedder": embedder}
        options = {k: v for k, v in given.items() if v is not None}
        readings = score_units(opened, chosen, explainer=explainer, scorers=names, options=options, report=reporter())
        if as_json:
            rows = {key: {name: r.to_json() for name, r in rs.items()} for key, rs in readings.items()}
            print(json.dumps({"run": str(run), "readings": rows}))
            return
        print_summary([summarise(opened, explainer)])
    for line in further(readings, names):
        print(line)
    print(f"next:  maieutic report {run}")


def further(readings: Mapping[str, Mapping[str, Reading]], names: Sequence[str]) -> list[str]:
    """One line for each scorer but the primary one: its mean, how many units it measured, how many beat all controls."""
    from maieutic.readings import mean_reading
    from maieutic.score import verdict

    lines: list[str] = []
    for name in names:
        rows = [rs for rs in readings.values() if name in rs]
        if name == "predictive" or not rows:
            continue
        mean = mean_reading(name, [rs[name] for rs in rows])
        beat = sum(f"{name}.beats.constant" in rs and verdict(rs, headline=name).beats is True for rs in rows)
        measured = sum(rs[name].measured for rs in rows)
        value = "unmeasured" if mean.value is None else f"mean {mean.value:.2f} [{mean.low:.2f}, {mean.high:.2f}]"
        lines.append(f"{name}: {value} over {measured} of {len(rows)} units; {beat} beat every control")
    return lines
