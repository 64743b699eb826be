"""``maieutic ask``: an open question about units, answered by an agent with the experiments it stands on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from maieutic.cli.agents import BaseUrl, Dollars, Jail, Model, More, Runs, Turns, given

if TYPE_CHECKING:
    from maieutic.explain.agent import Asked

EXAMPLE = 'Example:  maieutic ask "Which of these units look at shape rather than texture?" runs/mine --model openai/gpt-5-mini'
#: units of one run that are put on the bench when none is named
_UNITS = 8


def ask(
    question: Annotated[str, typer.Argument(help="The question.")],
    runs_of: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Harvested run folders; several to compare models.")
    ],
    unit: Annotated[
        list[str] | None,
        typer.Option("--unit", help=f"A unit SITE/INDEX; may be repeated. Default: the first {_UNITS}."),
    ] = None,
    budget: Annotated[int, typer.Option(min=1, help="Measurements per unit.")] = 60,
    model: Model = None,
    base_url: BaseUrl = None,
    runs: Runs = None,
    turns: Turns = None,
    dollars: Dollars = None,
    jail: Jail = None,
    option: More = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the answers and every experiment as JSON.")] = False,
) -> None:
    """Ask an open question about units, layers or models. The agent answers by experiments; the answers are not scored."""
    from contextlib import ExitStack

    from maieutic.campaign import open_run
    from maieutic.explain.agent import ask as ask_agent
    from maieutic.lab import Budget, Lab

    options = given(option, model=model, base_url=base_url, runs=runs, turns=turns, dollars=dollars, jail=jail)
    with ExitStack() as stack:
        opened = [stack.enter_context(open_run(folder)) for folder in runs_of]
        labs = [
            Lab(run.subject, chosen, run.atlas, budget=Budget(measurements=budget), seed=run.seed)
            for run in opened
            for chosen in ([run.subject.parse_unit(k) for k in unit] if unit else run.units[:_UNITS])
        ]
        asked = ask_agent(labs, question, transcripts=runs_of[0] / "answers", **options)
    if as_json:
        print(json.dumps(asked.to_json(), default=dict))
    else:
        _print(asked, runs_of[0])
    if all(a.reason is not None for a in asked.answers):
        raise typer.Exit(1)


def _print(asked: Asked, folder: Path) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    for a in asked.answers:
        console.print(f"run {a.run}:", style="bold", end=" ")
        console.print(a.answer or f"open: {a.reason}", markup=False)
        if a.evidence:
            console.print(f"  on {', '.join(a.evidence)}", markup=False)
    used = asked.cost
    console.print(
        f"{len(asked.experiments)} experiments, {used.llm_tokens} tokens. Not scored. All of it: {folder / 'answers'}",
        markup=False,
    )
