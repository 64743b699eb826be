"""``maieutic models``: what can be studied, and a model's sites."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from maieutic.subjects import Subject

EXAMPLE = "Example:  maieutic models smollm2-135m"

#: how pretrained models are named beside the packaged ones
NAMED = "hf:<id or folder>, hf:<id>#vision, hf:<id>#text, timm:<name>, gguf:<file>"


def models(
    name: Annotated[str | None, typer.Argument(help=f"A model: a name below, {NAMED}.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the models that need nothing but installation, or the sites (hook points) of one model."""
    if name is None:
        _list_models(as_json)
    else:
        _list_sites(name, as_json)


def _list_models(as_json: bool) -> None:
    from maieutic.subjects import packaged_subjects

    rows = packaged_subjects()
    if as_json:
        print(json.dumps([asdict(r) for r in rows]))
        return
    table = Table(box=None, header_style="bold")
    for heading in ("model", "reads", "what", "licence"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(row.name, row.modality, row.what, row.licence)
    console = Console()
    console.print(table)
    console.print(f"\nAlso: {NAMED}. Sites of a model:  maieutic models NAME", highlight=False)


def _list_sites(name: str, as_json: bool) -> None:
    from maieutic.subjects import load_subject

    subject = load_subject(name)
    if as_json:
        print(json.dumps([s.to_json() for s in subject.sites()]))
        return
    console = Console()
    for line in _about(subject):
        console.print(line, highlight=False, soft_wrap=True, markup=False)
    table = Table(box=None, header_style="bold")
    table.add_column("site", no_wrap=True)
    table.add_column("units", justify="right")
    table.add_column("values", no_wrap=True)
    table.add_column("what is read", overflow="fold")
    values = {"token": "a token", "spatial": "a map", "none": "one"}
    for site in subject.sites():
        width = "?" if site.width is None else str(site.width)
        table.add_row(site.name, width, values[site.positions], site.what)
    console.print(table)


def _about(subject: Subject) -> list[str]:
    """What a subject reads, and how its stimuli are prepared."""
    sites = subject.sites()
    lines = [f"{subject.name} reads {'pictures' if subject.modality == 'image' else 'text'}, {len(sites)} sites"]
    prepare = getattr(subject, "preprocess", None)
    if prepare is not None:
        lines.append(f"pictures: {getattr(prepare, '__qualname__', type(prepare).__qualname__)}")
    longest = getattr(subject, "max_tokens", None)
    if longest is not None:
        around = getattr(subject, "suffix", ())
        with_special = ", special tokens of the tokenizer around every text" if around else ""
        lines.append(f"texts: at most {longest} tokens{with_special}")
    return lines
