"""``maieutic effects``: what units of a run do to the outputs, beside what they respond to."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from maieutic.cli.progress import reporter, say

if TYPE_CHECKING:
    from maieutic.explain.output.model import OutputEffects, OutputShift

EXAMPLE = "Example:  maieutic effects runs/mine layers.20.mlp/17"
#: readings printed, where they were made
_READINGS = (
    "output", "output.control.random", "output.control.shuffled",
    "agreement", "agreement.control.random", "agreement.control.shuffled", "agreement.words",
)  # fmt: skip
#: outputs printed on each side
_SHOWN = 5


def effects(
    run: Annotated[Path, typer.Argument(help="A harvested run folder.")],
    units: Annotated[
        list[str] | None,
        typer.Argument(help="Units SITE/INDEX (a trailing - for the negative tail); default: all studied."),
    ] = None,
    how: Annotated[
        str, typer.Option(help="raise the unit on neutral contexts, or ablate it where it is strongest.")
    ] = "raise",
    contexts: Annotated[
        int, typer.Option(min=3, help="Contexts to choose outputs on, and as many to measure on.")
    ] = 24,
    directions: Annotated[int, typer.Option(min=4, help="Random directions beside each unit.")] = 20,
    explainer: Annotated[str, typer.Option(help="Whose input-side labels are compared.")] = "search",
    classes: Annotated[
        Path | None, typer.Option(help="File with a name of an output a line.", show_default=False)
    ] = None,
    embedder: Annotated[
        str | None,
        typer.Option(help="Also compare labels by sentence embeddings: minilm, hf:FOLDER.", show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of contexts, directions and resamples.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure what units do to the outputs, label it, and test the label on held-out contexts. Kept in RUN/effects."""
    from maieutic.campaign import open_run
    from maieutic.campaign.effects import EffectsPlan, measure_effects

    plan = EffectsPlan(
        how=how,  # pyright: ignore[reportArgumentType] (the plan checks it)
        contexts=contexts, directions=directions, seed=seed, classes=classes, embedder=embedder,
    )  # fmt: skip
    with open_run(run) as opened:
        chosen = [opened.subject.parse_unit(k) for k in units] if units else list(opened.units)
        done, failed = measure_effects(opened, chosen, plan=plan, explainer=explainer, report=reporter(quiet=as_json))
    if as_json:
        print(
            json.dumps(
                {
                    "run": str(run),
                    "effects": [e.to_json() for e in done],
                    "failed": [{"unit": u, "reason": r} for u, r in failed],
                },
                default=dict,
            )
        )
    else:
        _print(done)
        print(f"next:  maieutic report {run}")
    for unit, reason in failed:
        say(f"failed: {unit}: {reason}")
    if failed and not done:
        raise typer.Exit(1)


def _print(done: Sequence[OutputEffects]) -> None:
    console = Console(highlight=False)
    for e in done:
        console.print(f"{e.unit}", style="bold", end="  ")
        said = f"raises {e.label}" if e.described else f"no output label: {e.reason}"
        console.print(said, markup=False, soft_wrap=True)
        if e.input_label:
            console.print(f"    responds to: {e.input_label}", markup=False, soft_wrap=True)
        console.print(f"    raised:  {_rows(e.rises)}", markup=False, soft_wrap=True)
        console.print(f"    lowered: {_rows(e.falls)}", markup=False, soft_wrap=True)
        if e.attributed_up:
            words = ", ".join(f"{name!r} {z:.1f}" for name, z in e.attributed_up[:_SHOWN])
            console.print(
                f"    writes towards (z, 95 % of random directions below {e.null_peak:.1f}): {words}",
                markup=False, soft_wrap=True,
            )  # fmt: skip
        for name in _READINGS:
            # without a label there is nothing to test, and the first line has said why
            if name in e.readings and (e.described or not name.startswith("output")):
                console.print(f"    {name}: {e.readings[name]}", markup=False, soft_wrap=True)


def _rows(rows: Sequence[OutputShift]) -> str:
    """Outputs with their change and interval; ``*`` where it lies beyond every control."""
    return ", ".join(
        f"{s.name!r} {s.change:+.2f}" + ("" if s.low is None else f" [{s.low:.2f}, {s.high:.2f}]") + "*" * s.stands_out
        for s in rows[:_SHOWN]
    )
