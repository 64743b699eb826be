"""``maieutic models``: what can be studied, and a model's sites."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

EXAMPLE = "Example:  maieutic models smollm2-135m"


def models(
    name: Annotated[
        str | None, typer.Argument(help="A model: a name below, hf:<id or folder>, timm:<name>, gguf:<file>.")
    ] = None,
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
    console.print(
        "\nAlso: hf:<id or folder>, timm:<name>, gguf:<file>. Sites of a model:  maieutic models NAME", highlight=False
    )


def _list_sites(name: str, as_json: bool) -> None:
    from maieutic.subjects import load_subject

    subject = load_subject(name)
    if as_json:
        print(json.dumps([s.to_json() for s in subject.sites()]))
        return
    table = Table(box=None, header_style="bold")
    table.add_column("site", no_wrap=True)
    table.add_column("units", justify="right")
    table.add_column("what is read", overflow="fold")
    for site in subject.sites():
        table.add_row(site.name, "?" if site.width is None else str(site.width), site.what)
    Console().print(table)
