"""``maieutic investigate``: what made a model act, as a dossier."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from maieutic.cli.agents import BaseUrl
from maieutic.cli.progress import reporter

if TYPE_CHECKING:
    from collections.abc import Callable

    from maieutic.control.monitors import Monitor
    from maieutic.forensics.action import Act, Action
    from maieutic.forensics.actor import Actor
    from maieutic.forensics.dossier import Dossier

EXAMPLE = (
    "Examples:  maieutic investigate action.json --model hf:./my-model   |   maieutic investigate --organism guilty"
)


def investigate(
    action: Annotated[
        Path | None,
        typer.Argument(
            metavar="[ACTION]",
            help="What the model did: JSON of ours, OpenAI's or Anthropic's messages, an Inspect .eval log.",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="Who acts again: a subject (smollm2-135m, hf:FOLDER), organism:guilty, or provider/model.",
            show_default=False,
        ),
    ] = None,
    organism: Annotated[
        str | None, typer.Option(help="Investigate the packaged organism: guilty or twin.", show_default=False)
    ] = None,
    act: Annotated[
        str | None,
        typer.Option(
            metavar="KIND:TEXT",
            help="What counts as doing it again: tool_call:NAME, regex:PATTERN, judge:CRITERION …",
            show_default=False,
        ),
    ] = None,
    at: Annotated[
        int | None,
        typer.Option(help="Number of the message that is the act; default: the assistant's last.", show_default=False),
    ] = None,
    sample: Annotated[str | None, typer.Option(help="Sample of a log with several.", show_default=False)] = None,
    out: Annotated[Path, typer.Option(help="Folder of the dossier.")] = Path("dossier"),
    level: Annotated[
        str, typer.Option(help="How fine causes are: role, message, paragraph, sentence, token.")
    ] = "sentence",
    samples: Annotated[int, typer.Option(min=8, help="Fresh answers a context.")] = 32,
    budget: Annotated[int, typer.Option(min=1, help="Most samples and passes of the search for the cause.")] = 20_000,
    writer: Annotated[
        str | None,
        typer.Option(
            help="Language model that says the cause in other words (default: rules), and judges.", show_default=False
        ),
    ] = None,
    agent: Annotated[
        str | None,
        typer.Option(
            help="Language model that asks for further experiments; without one the fixed ladder runs.",
            show_default=False,
        ),
    ] = None,
    base_url: BaseUrl = None,
    run: Annotated[
        Path | None, typer.Option(help="Run of the same model: which of its labelled units rose?", show_default=False)
    ] = None,
    monitor: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of a monitor: what it says of the act (repeat for several).", show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of every draw.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the dossier as JSON.")] = False,
) -> None:
    """Find what made a model act and climb the evidence ladder; writes dossier.html, dossier.json and action.json.

    Exit code 0 whatever the finding is; 1 when the act could not be looked at.
    """
    from dataclasses import replace

    from maieutic.control.flags import flags_of
    from maieutic.errors import UsageError
    from maieutic.forensics.action import write_action
    from maieutic.report.dossier import write_dossier

    if (action is None) == (organism is None):
        raise UsageError("name one action, or the organism: as in  maieutic investigate --organism guilty")
    report = reporter(quiet=as_json)
    options: dict[str, Any] = {"samples": samples, "seed": seed, "report": report}
    if agent is not None:
        from maieutic.llm import backbone

        options["explorer"] = backbone(agent, base_url=base_url)
    if organism is not None:
        flags = _monitors(monitor or [], f"organism:{organism}", base_url)
        dossier = _organism(organism, model, run, options)
    else:
        assert action is not None, "checked above"
        found = _load(action, act=act, at=at, sample=sample, model=model, writer=writer)
        flags = _monitors(monitor or [], model or found.model, base_url)
        dossier = _recorded(
            found, model, options, level=level, budget=budget, writer=writer, base_url=base_url, run=run
        )
    dossier = replace(dossier, monitors=flags_of(dossier.action, flags))
    page = write_dossier(dossier, out)
    write_action(dossier.action, out / "action.json")
    print(json.dumps(dossier.to_json(), default=dict)) if as_json else _print(dossier, page)
    if all(r.verdict == "unmeasured" for r in dossier.rungs):
        raise typer.Exit(1)


def _organism(kind: str, model: str | None, run: Path | None, options: dict[str, Any]) -> Dossier:
    from maieutic.errors import UsageError, did_you_mean
    from maieutic.forensics.internals import units_of_run
    from maieutic.forensics.organism import KINDS, investigate_organism, load_organism

    if model is not None:
        raise UsageError("--organism brings its own model: leave --model out")
    if kind not in KINDS:
        raise UsageError(f"no organism is called {kind!r}{did_you_mean(kind, KINDS)}: choose from {', '.join(KINDS)}")
    known = KINDS[KINDS.index(kind)]
    if run is not None:
        options["units"] = units_of_run(run, load_organism(known))
    return investigate_organism(known, **options)


def _load(
    file: Path, *, act: str | None, at: int | None, sample: str | None, model: str | None, writer: str | None
) -> Action:
    """The action of a file, with another act where one is given."""
    from dataclasses import replace

    from maieutic.errors import UsageError
    from maieutic.forensics.action import Act
    from maieutic.forensics.reading_actions import load_action

    action = load_action(file, at=at, sample=sample, model=model or "")
    if act is None:
        return action
    kind, colon, text = act.partition(":")
    makers = {"tool_call": Act.tool_call, "regex": Act.regex, "continuation": Act.continuation, "judge": _judged(writer),
              "python": Act.python}  # fmt: skip
    if not colon or kind not in makers:
        raise UsageError(f"{act!r} is no act: write KIND:TEXT, KIND one of {', '.join(makers)}")
    return replace(action, act=makers[kind](text))


def _judged(judge: str | None) -> Callable[[str], Act]:
    from maieutic.forensics.action import Act

    return lambda text: Act.judge(text, model=judge or "")


def _recorded(
    action: Action,
    model: str | None,
    options: dict[str, Any],
    *,
    level: Any,
    budget: int,
    writer: str | None,
    base_url: str | None,
    run: Path | None,
) -> Dossier:
    from maieutic.errors import UsageError, did_you_mean
    from maieutic.forensics.attribution import Settings
    from maieutic.forensics.ladder import investigate as climb
    from maieutic.forensics.partition import LEVELS

    if level not in LEVELS:
        raise UsageError(f"no level is called {level!r}{did_you_mean(level, LEVELS)}: choose from {', '.join(LEVELS)}")
    actor = _actor(model or action.model, action)
    if writer is not None:
        from maieutic.forensics.removal_rewriting import rewrite_by_model
        from maieutic.llm import backbone

        rewrite = rewrite_by_model(backbone(writer, base_url=base_url))
        options["rewrites"] = lambda text: [rewrite(text)]
    if run is not None:
        options["units"] = _units(run, actor)
    settings = Settings(level=level, budget=budget, seed=options["seed"])
    return climb(action, actor, settings=settings, **options)


def _actor(name: str, action: Action) -> Actor:
    from maieutic.errors import UsageError
    from maieutic.forensics.actor import open_actor

    if not name:
        raise UsageError("the action names no model: say who acts again with  --model")
    return open_actor(name, action=action)


def _units(run: Path, actor: Actor) -> Any:
    from maieutic.errors import UsageError
    from maieutic.forensics.actor_subject import SubjectActor
    from maieutic.forensics.internals import units_of_run

    if not isinstance(actor, SubjectActor):
        raise UsageError(f"{actor.name} is a black box: leave --run out")
    return units_of_run(run, actor.subject)


def _monitors(folders: list[Path], model: str, base_url: str | None) -> list[Monitor]:
    """Monitors of folders; opened before anything is investigated, so that a wrong folder is told at once."""
    from maieutic.control.monitors import load_monitor
    from maieutic.subjects import load_subject

    if not folders:
        return []
    # Inspect's models hold no activations to read
    subject = None if "/" in model and not model.startswith("hf:") else load_subject(model)
    return [load_monitor(f, subject=subject, base_url=base_url) for f in folders]


def _print(dossier: Dossier, page: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    console.print(f"{dossier.conclusion.finding}: ", style="bold", end="")
    console.print(dossier.conclusion.text, markup=False)
    table = Table(box=None, pad_edge=False)
    for title in ("rung", "", "verdict", "estimate"):
        table.add_column(title, overflow="fold")
    for r in dossier.rungs:
        table.add_row(str(r.number), r.name, r.verdict, str(r.estimate))
    console.print(table)
    for b in dossier.benign:
        console.print(f"{b.standing:<10} {b.name}: {b.why}", markup=False)
    console.print(f"dossier: {page}", markup=False)
