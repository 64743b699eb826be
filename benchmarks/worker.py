"""What a jailed worker costs beside the model: its start, a program, a call to the lab, an image to and fro.

    python benchmarks/worker.py [--rounds 30] [--json]

Each round takes every jail in turn, so that a busy machine slows all alike: start a worker (process, confinement, check), run an
empty program, make 200 calls with a number and 20 with a picture of 224 x 224 pixels (medians of the round), reset. Figures are
medians over rounds with a 95 % interval (bootstrap); beside them the ratio to ``none``, a plain process with the same wire.
The first round warms caches and is not counted. Targets: ready in 150 ms, a call in 2 ms.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from maieutic.lab.worker import Worker, backends, start_worker

CALLS = """
import time
def each(value, times):
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        call("same", value)
        taken.append(time.perf_counter() - begun)
    return sorted(taken)[times // 2]
"""
FIGURES = ("start", "program", "call", "image", "reset")
TARGETS = {"start": 150.0, "call": 2.0}


def timed(action: Callable[[], Any]) -> tuple[float, Any]:
    """Milliseconds, and what it gave."""
    begun = time.perf_counter()
    found = action()
    return 1000 * (time.perf_counter() - begun), found


def said(worker: Worker, code: str) -> float:
    """Milliseconds that a program measured."""
    ran = worker.run(code)
    assert ran.error is None and ran.stopped is None, ran
    return 1000 * float(ran.output)


def one_round(jail: str) -> dict[str, float]:
    """Milliseconds of everything, once."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        start, worker = timed(lambda: start_worker(jail, calls={"same": lambda value: value}))
    with worker:
        program, _ = timed(lambda: worker.run("None"))
        worker.run(CALLS)
        call = said(worker, "each(1.5, 200)")
        image = said(worker, "each(Image.new('RGB', (224, 224)), 20)")
        reset, _ = timed(worker.reset)
    return {"start": start, "program": program, "call": call, "image": image, "reset": reset}


def summary(values: list[float]) -> dict[str, float]:
    """Median with a 95 % interval over rounds."""
    draws = np.random.default_rng(0).choice(values, size=(2000, len(values)))
    low, high = np.quantile(np.median(draws, axis=1), [0.025, 0.975])
    return {"value": float(np.median(values)), "low": float(low), "high": float(high), "n": len(values)}


def versions() -> dict[str, str]:
    """What the figures depend on."""
    found = {"python": platform.python_version(), "numpy": np.__version__, "kernel": platform.release()}
    if shutil.which("bwrap"):
        told = subprocess.run(["bwrap", "--version"], capture_output=True, text=True, check=False)
        found["bubblewrap"] = told.stdout.split()[-1]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    reasons = backends()
    jails = [name for name in reasons if not reasons[name]]
    load = os.getloadavg()[0]
    taken: dict[str, list[dict[str, float]]] = {jail: [] for jail in jails}
    for number in range(args.rounds + 1):
        for jail in jails:
            measured = one_round(jail)
            if number:
                taken[jail].append(measured)
    rows = [
        {
            "jail": jail, "figure": figure, "ms": summary([r[figure] for r in rounds]),
            "ratio": summary([a[figure] / b[figure] for a, b in zip(rounds, taken["none"], strict=True)]),
        }
        for jail, rounds in taken.items()
        for figure in FIGURES
    ]  # fmt: skip
    machine = f"{platform.machine()}, {os.cpu_count()} cores, load {load:.1f} at the start"
    unused = {name: why for name, why in reasons.items() if why}
    if args.json:
        print(json.dumps({"machine": machine, "versions": versions(), "rows": rows, "unmeasured": unused}))
        return
    print(machine + "; " + ", ".join(f"{name} {version}" for name, version in versions().items()))
    for row in rows:
        ms, ratio = row["ms"], row["ratio"]
        target = TARGETS.get(row["figure"])
        met = "" if target is None else f"  target {target:g} ms: {'met' if ms['high'] <= target else 'MISSED'}"
        print(
            f"{row['jail']:<9} {row['figure']:<8} {ms['value']:7.2f} ms [{ms['low']:.2f}, {ms['high']:.2f}]  "
            f"{ratio['value']:.2f} [{ratio['low']:.2f}, {ratio['high']:.2f}] of none{met}"
        )
    for name, why in unused.items():
        print(f"{name:<9} unmeasured: {why}")


if __name__ == "__main__":
    main()
