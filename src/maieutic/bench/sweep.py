"""Bench ``sweep``: how many units a minute are harvested, labelled and scored, and how that grows with their number.

The command ``maieutic sweep`` is run as a user would run it, in a process of its own with workers, from nothing to scored
labels: all channels of the packaged vision model's head, all MLP neurons of one layer of the packaged language model. Then
the same on a tenth of the units, drawn with the seed: what a unit takes after the harvest must not rise with their number,
nor may memory. Memory is what the driver and its workers hold of their own (anonymous pages; mapped readouts belong to
the page cache), the largest sum seen in looks a second apart.

What this does not show: whether the labels are right (``bench units``, ``bench planted``), or a cluster.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maieutic.bench.result import BenchResult, Figure, Table
from maieutic.errors import UsageError, UserError
from maieutic.progress import Report, silent
from maieutic.readings import Reading, mean_reading, share_reading
from maieutic.store import Store, choices, harvests, scores, units

CASCADE = "search-no-experiments,search:60"
#: of the whole sweep, a unit: what is granted to those that are expected to gain most
MEASUREMENTS = 2
#: all units of both models in so many minutes; a unit of ten times as many may take so much more time and memory
MINUTES, LINEAR, FLAT = 15.0, 1.10, 1.10
#: units with ``quick``; seconds between two looks at memory
QUICK, EVERY = 16, 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is swept."""

    subject: str
    corpus: str
    site: str
    units: int

    def command(self, run: Path, *, seed: int, workers: int, sample: int | None) -> list[str]:
        """The command that sweeps all units, or so many, with `MEASUREMENTS` a unit."""
        return [
            sys.executable, "-m", "maieutic", "sweep", self.subject, "--corpus", self.corpus, "--site", self.site,
            "--run", str(run), "--cascade", CASCADE, "--workers", str(workers), "--seed", str(seed), "--json",
            "--measurements", str(MEASUREMENTS * (sample or self.units)),
            *([] if sample is None else ["--sample", str(sample)]),
        ]  # fmt: skip


CASES: Mapping[str, Case] = {
    "image": Case(subject="efficientnet-lite0", corpus="photos", site="head", units=1280),
    "text": Case(subject="smollm2-135m", corpus="text", site="layers.7.mlp", units=1536),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one sweep took.

    Attributes:
        units: with a chosen explanation. labelled: of these. spent: what the command printed.
        seconds: of the whole command. harvest: of these, until the harvest was done.
        processor: seconds of all its processes. memory: bytes; ``None``: this system does not tell.
        precision: average precision of each scored unit.
    """

    units: int
    labelled: int
    spent: Mapping[str, Any]
    seconds: float
    harvest: float
    processor: float
    memory: int | None
    precision: tuple[Reading, ...]

    @property
    def after(self) -> float:
        """Seconds a unit after the harvest."""
        return (self.seconds - self.harvest) / max(self.units, 1)


def run_sweep(
    *,
    seed: int = 0,
    modality: str | None = None,
    quick: bool = False,
    workers: int = 2,
    growth: bool = True,
    report: Report = silent,
) -> BenchResult:
    """Sweep the packaged models.

    Args:
        seed: of the sweep and of the draw of a tenth.
        modality: ``image`` or ``text``; both otherwise.
        quick: ``QUICK`` units each, nothing about growth.
        workers: processes.
        growth: sweep a tenth of the units as well.
        report: called with progress.

    Cost: about twenty minutes on two cores.

    Raises:
        UsageError: no such modality.
        UserError: a sweep ended in an error.
    """
    if modality is not None and modality not in CASES:
        raise UsageError(f"modality is {' or '.join(CASES)}, not {modality!r}: choose one of those")
    started, figures, rows = time.perf_counter(), dict[str, Figure](), list[Mapping[str, Any]]()
    kinds = list(CASES) if modality is None else [modality]
    took: list[float] = []
    with report("sweep", "packaged models") as step:
        for n, kind in enumerate(kinds):
            step(n, len(kinds))
            case = CASES[kind]
            whole = swept(case, seed=seed, workers=workers, sample=QUICK if quick else None)
            took.append(whole.seconds)
            rows.append({"modality": kind, "units": whole.units, "seconds": whole.seconds, **whole.spent})
            figures |= {f"{kind}.{name}": f for name, f in figures_of(whole).items()}
            if growth and not quick:
                tenth = swept(case, seed=seed, workers=workers, sample=case.units // 10)
                figures |= {f"{kind}.{name}": f for name, f in growth_of(tenth, whole).items()}
        step(len(kinds), len(kinds))
    if len(kinds) == len(CASES):
        whole_time = Reading(name="minutes", value=sum(took) / 60, n=sum(r["units"] for r in rows))
        figures["minutes"] = Figure(reading=whole_time, target=None if quick else MINUTES, at_least=False)
    return BenchResult(
        bench="sweep", seed=seed, seconds=time.perf_counter() - started, figures=figures, rows=tuple(rows),
        tables=(table_of(figures),),
    )  # fmt: skip


def swept(case: Case, *, seed: int, workers: int, sample: int | None) -> Run:
    """Run ``maieutic sweep`` in a fresh folder and read what it left."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        before, begun = _processor(), time.perf_counter()
        with (Path(folder) / "err").open("w+") as errors:
            command = case.command(run, seed=seed, workers=workers, sample=sample)
            child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
            memory = _watched(child)
            seconds, processor = time.perf_counter() - begun, _processor() - before
            printed = child.stdout.read() if child.stdout else ""
            errors.seek(0)
            if child.returncode:
                raise UserError(
                    f"the sweep of {case.subject} failed: {errors.read().strip().splitlines()[-1:]}: run it alone"
                )
        return _read(run, json.loads(printed.splitlines()[-1]), seconds, processor, memory)


def _read(run: Path, spent: Mapping[str, Any], seconds: float, processor: float, memory: int | None) -> Run:
    with Store.open(run) as store:
        main = {r["id"] for r in store.rows(units, role="main")}
        chosen = {r["unit"]: r["explainer"] for r in store.stream(choices)}
        found = tuple(
            Reading(name="predictive", value=r["value"], reason=r["reason"])
            for r in store.stream(scores, name="predictive")
            if r["unit"] in main and chosen.get(r["unit"]) == r["explainer"]
        )
        harvest = float(store.rows(harvests)[0]["seconds"])
    return Run(
        units=spent["units"], labelled=spent["labelled"], spent=spent, seconds=seconds, harvest=harvest,
        processor=processor, memory=memory, precision=found,
    )  # fmt: skip


def _processor() -> float:
    """Processor seconds of all children that ended, and of theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _watched(child: subprocess.Popen[str]) -> int | None:
    """Wait for a process; the most anonymous memory that it and its descendants held together."""
    most: int | None = None
    while True:
        try:
            child.wait(timeout=EVERY)
            return most
        except subprocess.TimeoutExpired:
            held = _anonymous(child.pid)
            most = held if most is None or (held or 0) > most else most


def _anonymous(pid: int) -> int | None:
    """Bytes of anonymous memory of a process and its descendants; ``None`` where the system does not tell."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            parents.setdefault(int(entry.read_text().rpartition(")")[2].split()[1]), []).append(int(entry.parent.name))
    total, waiting, seen = 0, [pid], False
    while waiting:
        one = waiting.pop()
        waiting += parents.get(one, [])
        with contextlib.suppress(OSError, StopIteration):
            lines = Path(f"/proc/{one}/status").read_text().splitlines()
            total += next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) * 1024
            seen = True
    return total if seen else None


def figures_of(run: Run) -> dict[str, Figure]:
    """What one sweep took, with nothing to compare."""
    plain = {
        "minutes": run.seconds / 60,
        "units_per_minute": 60 * run.units / run.seconds,
        "harvest_minutes": run.harvest / 60,
        "processor_seconds_a_unit": run.processor / max(run.units, 1),
        "measurements_a_unit": run.spent["measurements"] / max(run.units, 1),
    }
    out = {name: Figure(reading=Reading(name=name, value=value, n=run.units)) for name, value in plain.items()}
    out["memory_mb"] = Figure(reading=_memory("memory_mb", run.memory, run.units))
    out["labelled"] = Figure(reading=share_reading("labelled", [n < run.labelled for n in range(run.units)]))
    out["precision"] = Figure(reading=mean_reading("precision", run.precision))
    return out


def _memory(name: str, held: int | None, n: int) -> Reading:
    if held is None:
        return Reading.unmeasured(name, "this system does not tell the memory of processes")
    return Reading(name=name, value=held / 1e6, n=n)


def growth_of(tenth: Run, whole: Run) -> dict[str, Figure]:
    """What a unit takes when there are ten times as many, over what it took."""
    time_ = Reading(name="growth.time", value=whole.after / tenth.after, n=whole.units)
    if whole.memory is None or tenth.memory is None:
        memory = _memory("growth.memory", None, 0)
    else:
        memory = Reading(name="growth.memory", value=whole.memory / tenth.memory, n=whole.units)
    return {
        "growth.time": Figure(reading=time_, target=LINEAR, at_least=False),
        "growth.memory": Figure(reading=memory, target=FLAT, at_least=False),
    }


def table_of(figures: Mapping[str, Figure]) -> Table:
    """The figures as people read them."""
    rows: list[tuple[str, ...]] = []
    for name, figure in figures.items():
        r = figure.reading
        value = f"unmeasured: {r.reason}" if r.value is None else f"{r.value:.3g}"
        bounds = "" if r.low is None or r.high is None else f"[{r.low:.3g}, {r.high:.3g}]"
        goal = "" if figure.target is None else f"{figure.target:g}: {'met' if figure.met else 'missed'}"
        rows.append((name, value, bounds, goal))
    return Table(
        title=f"cascade {CASCADE}, {MEASUREMENTS} measurements a unit, {os.cpu_count()} cores",
        columns=("figure", "value", "95 %", "at most"),
        rows=tuple(rows),
    )
