"""What executors cost beside the work: start, preparation, a job's way there and back, and what two workers gain on real work.

    python benchmarks/executors.py [--rounds 3] [--engines in-process,processes,ray] [--workers 2] [--jobs 200] [--json]

Each round takes every engine in turn, so that a busy machine slows all alike. Of an engine: ``first`` from opening it to the
first result of an empty job, imports of torch included; ``again``, one more job alone; ``bulk``, an empty job among 500;
``100 kB``, a job among 50 that takes and brings that much; ``load``, a job among ``--jobs`` that each pass four windows of 64
tokens through a transformer of four layers, all workers together; ``cpu``, of that the processor time of a worker; ``close``,
leaving it. Figures are medians over rounds with the least and the greatest; beside ``load`` and ``cpu`` in-process over this
engine in the same round. On a busy machine the ratio of ``load`` flatters, since more processes get more of the cores; the ratio
of ``cpu`` says what share of a core's work is kept when two work side by side. In-process torch has one thread, as in workers.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Sequence
from typing import Any

from maieutic.executors import ENGINES, Done, Executor, Work, open_executor

FIGURES = ("first", "again", "bulk", "100 kB", "load", "cpu", "close")


# --- what workers do: they import this file by its name -------------------------------------------------------------
def network() -> Any:
    """A transformer with random weights, 3.2 million of them."""
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(0)
    layer = torch.nn.TransformerEncoderLayer(256, 4, 1024, batch_first=True, norm_first=True)
    return torch.nn.TransformerEncoder(layer, 4, enable_nested_tensor=False).eval()


def nothing(state: Any, job: Any) -> None:
    """An empty job."""


def echo(state: Any, job: bytes) -> bytes:
    """Its own size there and back."""
    return bytes(bytearray(job))


def forward(state: Any, job: int) -> float:
    """Four windows of 64 tokens, one at a time, as a bank of measurements takes them; gives its milliseconds of processor."""
    import torch

    begun = time.process_time()
    with torch.inference_mode():
        for window in torch.randn(4, 64, 256, generator=torch.Generator().manual_seed(job)):
            state(window[None])
    return 1000 * (time.process_time() - begun)


# --- the figures ---------------------------------------------------------------------------------------------------
def milliseconds(executor: Executor, function: str, jobs: Sequence[Any]) -> tuple[float, list[Any]]:
    """Of one job among these, and what they gave."""
    begun = time.perf_counter()
    found = list(executor.run(Work(prepare="executors:network", perform=f"executors:{function}"), jobs))
    taken = time.perf_counter() - begun
    done = [e.result for e in found if isinstance(e, Done)]
    assert len(done) == len(jobs), found[:3]
    return 1000 * taken / len(jobs), done


def one_round(engine: str, workers: int, jobs: int) -> dict[str, float]:
    """Milliseconds of everything, once."""
    begun = time.perf_counter()
    with open_executor(engine, workers=None if engine == "in-process" else workers) as executor:
        milliseconds(executor, "nothing", [None])
        first = 1000 * (time.perf_counter() - begun)
        milliseconds(executor, "nothing", [None] * 500)
        milliseconds(executor, "forward", range(4 * workers))  # by now every worker is warm
        load, processor = milliseconds(executor, "forward", range(jobs))
        found = {
            "first": first,
            "again": statistics.median(milliseconds(executor, "nothing", [None])[0] for _ in range(20)),
            "bulk": milliseconds(executor, "nothing", [None] * 500)[0],
            "100 kB": milliseconds(executor, "echo", [os.urandom(100_000) for _ in range(50)])[0],
            "load": load,
            "cpu": statistics.mean(processor),
        }
        begun = time.perf_counter()
    return {**found, "close": 1000 * (time.perf_counter() - begun)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--engines", default=",".join(ENGINES))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    import torch  # so that the first engine does not pay for it alone

    engines = ["in-process", *(e for e in args.engines.split(",") if e != "in-process")]
    load = os.getloadavg()[0]
    taken: dict[str, list[dict[str, float]]] = {engine: [] for engine in engines}
    for _ in range(args.rounds):
        for engine in engines:
            taken[engine].append(one_round(engine, args.workers, args.jobs))
    rows: list[dict[str, Any]] = [
        {"engine": engine, "figure": figure, "ms": [r[figure] for r in taken[engine]]}
        for engine in engines
        for figure in FIGURES
    ]
    for row in rows:
        if row["figure"] in ("load", "cpu"):
            here = [r[row["figure"]] for r in taken["in-process"]]
            row["ratio"] = [a / b for a, b in zip(here, row["ms"], strict=True)]
    machine = f"{platform.machine()}, {os.cpu_count()} cores, load {load:.1f} at the start, {args.workers} workers"
    if args.json:
        print(json.dumps({"machine": machine, "torch": torch.__version__, "rows": rows}))
        return
    print(f"{machine}; torch {torch.__version__}; {args.rounds} rounds")
    for row in rows:
        ms = row["ms"]
        line = f"{row['engine']:<11} {row['figure']:<7} {statistics.median(ms):10.2f} ms [{min(ms):.2f}, {max(ms):.2f}]"
        if ratio := row.get("ratio"):
            line += f"  in-process / this: {statistics.median(ratio):.2f} [{min(ratio):.2f}, {max(ratio):.2f}]"
        print(line)


if __name__ == "__main__":
    main()
