"""``maieutic demo``: both packaged models, harvest to report, offline."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from maieutic.cli.progress import bars, reporter, say
from maieutic.errors import UserError

EXAMPLE = "Example:  maieutic demo --run runs/demo"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One packaged model of the demo: what it reads and where."""

    subject: str
    corpus: str
    size: int | None
    site: str


PARTS = (
    Part(subject="efficientnet-lite0", corpus="photos", size=None, site="blocks.14.expand"),
    Part(subject="smollm2-135m", corpus="text", size=600, site="layers.3.mlp"),
)
#: each model has a core to itself: libraries that would use them all get in each other's way
ONE_CORE = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}
#: glibc gives large blocks back to the system and faults them in again with every layer; kept, images pass faster
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": str(2**30), "MALLOC_TRIM_THRESHOLD_": str(2**30)}
#: measurements per unit
BUDGET = 120
#: units of the untrained copy, and as many random directions, that every score stands beside
NULLS = 6


def demo(
    run: Annotated[Path, typer.Option(help="Where to put the runs and the report.")] = Path("runs/demo"),
    sample: Annotated[int, typer.Option(min=1, help="Units of each model, drawn at random.")] = 24,
    seed: Annotated[int, typer.Option(help="Of the draw and everything else random.")] = 0,
    part: Annotated[
        str | None, typer.Option(hidden=True, help="Run one model in this process, progress as JSON lines.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Explain and score units of both packaged models, print how many labels beat every control, write a report.

    No key, GPU, model hub or network is needed once the data is fetched. The two models run side by side, one core each.
    Run again, it goes on where it was stopped; a finished demo only prints its table.
    """
    if part is not None:
        _one(next(p for p in PARTS if p.subject == part), run / part, sample=sample, seed=seed)
        return
    started = time.monotonic()
    seconds = _both(run, sample=sample, seed=seed)
    from maieutic.campaign import open_run
    from maieutic.cli.tables import print_summary, summarise
    from maieutic.report import write_report
    from maieutic.report.gather import gather

    with ExitStack() as stack:
        runs = [stack.enter_context(open_run(run / name)) for name in seconds]
        index = write_report(gather(runs, title="maieutic demo", progress=reporter()), run / "report")
        summaries = [summarise(opened) for opened in runs]
        notes = [note for opened in runs for note in opened.corpus.notes]
    for note in notes:
        say(f"note: {note}")
    total = time.monotonic() - started
    if as_json:
        print(
            json.dumps(
                {"models": [s.to_json() for s in summaries], "report": str(index), "seconds": total, "parts": seconds}
            )
        )
        return
    print_summary(summaries)
    print(f"\n{total:.0f} s in all; " + ", ".join(f"{name} {s:.0f} s" for name, s in seconds.items()))
    print(f"report: {index}")
    runs_made = " ".join(str(run / name) for name in seconds)
    print(f"next:  maieutic view {runs_made};  maieutic models;  maieutic harvest --help  (your own model and corpus)")


def _one(part: Part, folder: Path, *, sample: int, seed: int) -> None:
    """One model, in a process of its own."""
    import torch

    from maieutic.campaign import RunPlan, create_run, explain_units, score_units
    from maieutic.lab import Budget

    torch.set_num_threads(max(1, (os.cpu_count() or 2) // len(PARTS)))
    report = reporter(json_lines=True)
    plan = RunPlan(
        subject=part.subject, corpus=part.corpus, size=part.size, sites=(part.site,), sample=sample, nulls=NULLS,
        seed=seed,
    )  # fmt: skip
    with create_run(folder, plan, report=report) as made:
        failures = explain_units(made, budget=Budget(measurements=BUDGET), report=report)
        for failure in failures:
            print(json.dumps({"failed": failure.unit, "reason": failure.reason}), flush=True)
        score_units(made, report=report)


def _both(run: Path, *, sample: int, seed: int) -> dict[str, float]:
    """Both models in two processes; the seconds each took. One that fails is said, and the other goes on.

    Raises:
        UserError: both failed.
    """
    options = ["--run", str(run), "--sample", str(sample), "--seed", str(seed)]
    command = [sys.executable, "-m", "maieutic", "demo", *options, "--part"]
    pipes: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    environment, started = {**ALLOCATOR, **ONE_CORE, **os.environ}, time.monotonic()
    children = {p.subject: subprocess.Popen([*command, p.subject], text=True, env=environment, **pipes) for p in PARTS}
    errors: dict[str, list[str]] = {name: [] for name in children}
    seconds: dict[str, float] = {}
    try:
        with _Board(list(children)) as board:
            jobs: list[tuple[Any, ...]] = [(_drain, c.stderr, errors[n]) for n, c in children.items()]
            jobs += [(board.follow, n, c.stdout) for n, c in children.items()]
            readers = [threading.Thread(target=job[0], args=job[1:], daemon=True) for job in jobs]
            for reader in readers:
                reader.start()
            while len(seconds) < len(children):
                done = [n for n, c in children.items() if n not in seconds and c.poll() is not None]
                seconds |= dict.fromkeys(done, time.monotonic() - started)
                time.sleep(0.1)
            for reader in readers:
                reader.join()
    finally:
        for child in children.values():
            if child.poll() is None:
                child.terminate()
                child.wait()
    failed = {n: _why(c.returncode, errors[n]) for n, c in children.items() if c.returncode != 0}
    for name, why in failed.items():
        say(f"{name}: {why}")
    if len(failed) == len(children):
        raise UserError("neither model could be explained (see above): put that right and run the same command again")
    return {n: s for n, s in seconds.items() if n not in failed}


def _why(code: int, lines: list[str]) -> str:
    if code < 0:
        return f"stopped by signal {-code}: run the same command again, it goes on from here"
    return _last(lines)


def _drain(stream: Any, into: list[str]) -> None:
    into.extend(line.rstrip() for line in stream)


def _last(lines: list[str]) -> str:
    """The one-line error of a child process."""
    told = [line.removeprefix("maieutic: ") for line in lines if line.startswith("maieutic: ")]
    return (
        told[-1]
        if told
        else (lines[-1] if lines else "it failed without a word: run it again with MAIEUTIC_TRACEBACK=1")
    )


class _Board:
    """Progress of the child processes: bars on a terminal, a line a finished step elsewhere."""

    def __init__(self, names: list[str]) -> None:
        self._bars = bars(Console(stderr=True)) if sys.stderr.isatty() else None
        self._tasks = {n: self._bars.add_task(n, total=None) for n in names} if self._bars else {}

    def __enter__(self) -> _Board:
        if self._bars:
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars:
            self._bars.stop()

    def follow(self, name: str, stream: Any) -> None:
        """Show a child's JSON lines until it ends."""
        for line in stream:
            try:
                event = json.loads(line)
            except ValueError:
                say(f"{name}: {line.rstrip()}")
                continue
            if "failed" in event:
                say(f"{name}: {event['failed']} failed: {event['reason']}")
            elif self._bars:
                what, total = f"{event['verb']:<8} {event['what']}", event["total"] or None
                self._bars.update(self._tasks[name], description=what, completed=event["done"], total=total)
            elif event["done"] == event["total"] and event["total"]:
                say(f"{event['verb']} {event['what']}: {event['total']} done")
