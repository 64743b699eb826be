"""Options that several verbs take: those of explainers that use language models, of sweeps and their pilots, hook points."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

Model = Annotated[
    str | None,
    typer.Option(help="Language model, provider/model as Inspect names it (agent, one-shot).", show_default=False),
]
BaseUrl = Annotated[
    str | None,
    typer.Option(help="Its server, e.g. http://127.0.0.1:8080/v1 for llama.cpp, vLLM, Ollama.", show_default=False),
]
Mode = Annotated[
    str | None, typer.Option(help="Agent: code (default) or structured (small models).", show_default=False)
]
Runs = Annotated[
    int | None,
    typer.Option(min=1, help="Agent: independent runs; their agreement is the confidence.", show_default=False),
]
Turns = Annotated[int | None, typer.Option(min=1, help="Agent: model answers a run (default 16).", show_default=False)]
Dollars = Annotated[float | None, typer.Option(min=0, help="Agent: price limit a run.", show_default=False)]
Jail = Annotated[
    str | None,
    typer.Option(help="Agent: where its programs run: bwrap (default), landlock, docker, none.", show_default=False),
]
More = Annotated[
    list[str] | None,
    typer.Option(
        "--option",
        "-o",
        metavar="NAME=VALUE",
        help="Any other option of what is run; may be repeated.",
        show_default=False,
    ),
]

Least = Annotated[float, typer.Option(min=0, max=1, help="Least expected gain that a stage is worth.")]
First = Annotated[str, typer.Option(help="Which units come first: mass, effect, order, or query:WORDS.")]
Engine = Annotated[str, typer.Option(help="in-process, processes, or ray.")]
Workers = Annotated[int | None, typer.Option(min=1, help="How many; default one a core.", show_default=False)]
Address = Annotated[str | None, typer.Option(help="Of a Ray cluster: auto, or its head's.", show_default=False)]
Size = Annotated[int | None, typer.Option(help="How many stimuli of a packaged corpus.", show_default=False)]
Nulls = Annotated[int, typer.Option(help="Units of an untrained copy and random directions beside (each).")]


def given(more: list[str] | None, **named: Any) -> dict[str, Any]:
    """Options that were given, by name. ``NAME=VALUE`` values are read as JSON where they are, else as text.

    Raises:
        UsageError: something that is not NAME=VALUE.
    """
    from maieutic.errors import UsageError

    options = {k: v for k, v in named.items() if v is not None}
    for text in more or []:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise UsageError(f"{text!r} is no option: write NAME=VALUE, as in  -o code_seconds=30")
        options[name.strip().replace("-", "_")] = _value(value)
    return options


def sites_of(text: str) -> tuple[str, ...]:
    """Hook points separated by commas.

    Raises:
        UsageError: none is named.
    """
    from maieutic.errors import UsageError

    sites = tuple(dict.fromkeys(s for s in (part.strip() for part in text.split(",")) if s))
    if not sites:
        raise UsageError("no hook point: name one, as in  --site layers.7.mlp")
    return sites


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
