"""Progress for people (bars on a terminal, a line now and then elsewhere) and for a parent process (JSON lines)."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from maieutic.progress import Report, Step, silent

#: seconds between lines where there is no terminal
EVERY = 20.0


def bars(console: Console) -> Progress:
    """Bars with what is done, elapsed and remaining time, on stderr so that results can be piped."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=28),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(compact=True),
        console=console,
    )


def reporter(*, json_lines: bool = False, quiet: bool = False) -> Report:
    """The way of reporting that fits where stderr goes."""
    if quiet:
        return silent
    if json_lines:
        return _json
    return _bar if sys.stderr.isatty() else _lines


@contextmanager
def _bar(verb: str, what: str) -> Generator[Step]:
    with bars(Console(stderr=True)) as progress:
        name = f"{verb:<8} {what}"
        task = progress.add_task(name, total=None)

        def step(done: int, total: int, /, note: str = "") -> None:
            progress.update(task, completed=done, total=total, description=f"{name}, {note}" if note else name)

        yield step


@contextmanager
def _lines(verb: str, what: str) -> Generator[Step]:
    started, last = time.monotonic(), time.monotonic()
    before: int | None = None

    def step(done: int, total: int, /, note: str = "") -> None:
        nonlocal last, before
        before = done if before is None else before
        if done == total or time.monotonic() - last > EVERY:
            last = time.monotonic()
            rate = (done - before) / max(last - started, 1e-9)
            left = f", {rate:.3g}/s, about {(total - done) / rate:.0f} s left" if rate and done < total else ""
            more = f"; {note}" if note else ""
            print(f"{verb} {what}: {done}/{total}, {last - started:.0f} s{left}{more}", file=sys.stderr, flush=True)

    yield step


@contextmanager
def _json(verb: str, what: str) -> Generator[Step]:
    def step(done: int, total: int, /, note: str = "") -> None:
        told = {"note": note} if note else {}
        print(json.dumps({"verb": verb, "what": what, "done": done, "total": total, **told}), flush=True)

    step(0, 0)
    yield step


def say(message: str) -> None:
    """A line for people, on stderr."""
    Console(stderr=True, highlight=False).print(message, markup=False, soft_wrap=True)
