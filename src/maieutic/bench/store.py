"""Bench ``store``: a run folder at the size of a sweep over a million units, and one unit found in it.

A made-up run is written as a driver would write it: units, explanations, scores and choices in SQLite, exemplars in
Parquet sorted by unit, readouts of one layer and the non-zeros of an SAE-like site in mapped files. Then one unit's page is
looked up (its row, explanation, scores, exemplars), in a process that has just started and again; layers are added up;
everything is hashed; the report of 3,000 units is written. What this does not show: how long it takes to find anything out,
or disks slower than this one.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from maieutic.bench.result import BenchResult, Figure, Table
from maieutic.progress import Report, silent
from maieutic.readings import Reading

UNITS, EXEMPLARS = 1_000_000, 50
LAYERS = 30
#: readouts of one layer of a small language model
COLUMNS, POSITIONS = 1536, 100_000
#: an SAE-like site: how many latents, and how many are active at a position
LATENTS, ACTIVE, SPARSE_POSITIONS = 16_384, 64, 100_000
#: how many times smaller the quick bench is
QUICK = 50
LOOKUPS = 40
#: figure -> the most it should be
TARGETS: Mapping[str, float] = {
    "look-up in a new process, ms": 250,
    "look-up, median ms": 50,
    "look-up, slowest ms": 200,
    "aggregate per layer, s": 3,
    "readouts of a unit, median ms": 2,
    "non-zeros of a unit, median ms": 2,
    "report, ms a unit": 60,
    "first page of the report, kB": 1000,
    "memory of the writer, MiB": 1500,
}


def run_store(*, seed: int = 0, quick: bool = False, report: Report = silent) -> BenchResult:
    """Write a made-up run of a million units and 50 million exemplar rows (quick: a fiftieth), and look things up in it.

    About 3 GB in a temporary folder, removed afterwards.

    Raises:
        StoreError: there is no room for it.
    """
    begun, shrink = time.perf_counter(), QUICK if quick else 1
    units = UNITS // shrink
    with tempfile.TemporaryDirectory(prefix="maieutic-bench-store-") as name, report("bench", "store") as step:
        folder, found = Path(name) / "run", dict[str, float]()
        parts = (_write_rows, _write_exemplars, _look_up, _sum_up, _readouts, _sparse, _report)
        for done, part in enumerate(parts):
            step(done, len(parts))
            found |= part(folder, units, shrink, np.random.default_rng((seed, done)))
        found["memory of the writer, MiB"] = _peak_memory()
        step(len(parts), len(parts))
    figures = {
        name: Figure(reading=Reading(name=name, value=value, n=1), target=TARGETS.get(name), at_least=False)
        for name, value in found.items()
    }
    title = f"A run of {units:,} units and {units * EXEMPLARS:,} exemplar rows"
    rows = tuple((n, f"{v:,.4g}", f"{TARGETS[n]:g}" if n in TARGETS else "") for n, v in found.items())
    table = Table(title=title, columns=("what", "value", "at most"), rows=rows)
    return BenchResult(bench="store", seed=seed, seconds=time.perf_counter() - begun, figures=figures, tables=(table,))


def _write_rows(folder: Path, units: int, shrink: int, rng: np.random.Generator) -> dict[str, float]:
    """Units, explanations, five scores a unit and choices, as a sweep leaves them."""
    from maieutic.store import FILE, Store, choices, explanations, harvests, scores
    from maieutic.store import units as units_table

    values = rng.random(units).tolist()
    begun = time.perf_counter()
    with Store.open(folder, create=True) as store:
        for table, rows in (
            (harvests, [_harvest()]),
            (units_table, (_unit(n, units) for n in range(units))),
            (explanations, (_explanation(n, values[n]) for n in range(units))),
            (scores, (row for n in range(units) for row in _scores(n, values[n]))),
            (choices, (_choice(n, values[n]) for n in range(units))),
        ):
            with store.transaction() as connection:
                store.put(table, rows, connection=connection)
    seconds = time.perf_counter() - begun
    size = sum(p.stat().st_size for p in folder.glob(f"{FILE}*"))
    return {
        "rows written, s": seconds,
        "rows written, thousands a s": units * 8 / seconds / 1e3,
        "rows, MB": size / 1e6,
    }


def _write_exemplars(folder: Path, units: int, shrink: int, rng: np.random.Generator) -> dict[str, float]:
    """50 rows a unit, as a harvest writes them: sorted by unit, streamed."""
    from maieutic.store import write_rows

    step, path = 10_000, _exemplars(folder)
    ids = np.array([f"{n:064x}" for n in rng.integers(0, 2**60, 20_000)])

    def batches() -> Iterator[dict[str, Any]]:
        for low in range(0, units, step):
            rows = (min(low + step, units) - low) * EXEMPLARS
            yield {
                "unit": np.repeat(np.arange(low, min(low + step, units)), EXEMPLARS),
                "rank": np.tile(np.arange(EXEMPLARS), rows // EXEMPLARS),
                "stimulus": ids[rng.integers(0, len(ids), rows)],
                "position": rng.integers(0, 128, rows).astype(np.int32),
                "value": rng.gamma(1.0, 2.0, rows).astype(np.float32),
            }

    begun = time.perf_counter()
    write_rows(path, batches())
    seconds = time.perf_counter() - begun
    return {
        "exemplars written, s": seconds,
        "exemplars written, million a s": units * EXEMPLARS / seconds / 1e6,
        "exemplars, MB": path.stat().st_size / 1e6,
    }


#: what a page of a report asks for; run by itself it is a look-up in a process that has just started
_PROGRAM = """
import json, sys, time
from pathlib import Path
from maieutic.bench.store import look_up
from maieutic.store import Store
import pyarrow.parquet, pyarrow.compute
begun = time.perf_counter()
with Store.open(sys.argv[1]) as store:
    look_up(store, Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
print(json.dumps(1e3 * (time.perf_counter() - begun)))
"""


def look_up(store: Any, folder: Path, number: int, units: int) -> dict[str, Any]:
    """All that is kept about one unit, found by its key."""
    from maieutic.store import choices, explanations, read_rows, scores
    from maieutic.store import units as units_table

    (row,) = store.rows(units_table, key=_key(number, units))
    return {
        "unit": row,
        "explanations": store.rows(explanations, unit=row["id"]),
        "scores": store.rows(scores, unit=row["id"]),
        "choice": store.rows(choices, unit=row["id"]),
        "exemplars": read_rows(_exemplars(folder), unit=number),
    }


def _look_up(folder: Path, units: int, shrink: int, rng: np.random.Generator) -> dict[str, float]:
    from maieutic.store import Store

    def fresh(number: int) -> float:
        command = [sys.executable, "-c", _PROGRAM, str(folder), str(number), str(units)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return float(json.loads(done.stdout))

    cold = [fresh(int(n)) for n in rng.integers(0, units, 3)]
    warm: list[float] = []
    with Store.open(folder) as store:
        for number in rng.integers(0, units, LOOKUPS + 1).tolist():
            begun = time.perf_counter()
            page = look_up(store, folder, number, units)
            warm.append(1e3 * (time.perf_counter() - begun))
            assert len(page["exemplars"]["rank"]) == EXEMPLARS, "every exemplar of the unit"
            assert len(page["scores"]) == len(_SCORES), "every score of the unit"
    return {
        "look-up in a new process, ms": float(np.median(cold)),
        "look-up, median ms": float(np.median(warm[1:])),
        "look-up, slowest ms": max(warm[1:]),
    }


def _sum_up(folder: Path, units: int, shrink: int, rng: np.random.Generator) -> dict[str, float]:
    """Layers added up by the search's explanations and by the chosen ones, then the digest of everything."""
    from maieutic.store import CHOSEN, Store

    found: dict[str, float] = {}
    with Store.open(folder) as store:
        for name, explainer in (("aggregate per layer, s", "search"), ("the same of chosen ones, s", CHOSEN)):
            begun = time.perf_counter()
            sites = store.by_site(explainer, "predictive")
            found[name] = time.perf_counter() - begun
            assert sum(s.units for s in sites) == units, "every unit in some layer"
        begun = time.perf_counter()
        store.digest()
        found["digest of the run, s"] = time.perf_counter() - begun
    return found


def _readouts(folder: Path, units: int, shrink: int, rng: np.random.Generator) -> dict[str, float]:
    """The values of one layer of a language model at 100,000 positions, as a harvest keeps them."""
    import torch

    from maieutic.harvest.readouts import Keeper
    from maieutic.subjects.base import Unit

    kept = [Unit(site="layer", index=i) for i in range(COLUMNS)]
    keeper = Keeper.of(kept, file=folder / "readouts.safetensors")
    batch = {"layer": torch.from_numpy(rng.normal(size=(8, 125, COLUMNS)).astype(np.float32))}
    begun = time.perf_counter()
    stimuli = list(range(8 * (POSITIONS // shrink // 1000)))
    for low in range(0, len(stimuli), 8):
        keeper.add(batch, lengths=np.full(8, 125), stimuli=stimuli[low : low + 8])
    readouts = keeper.done()
    seconds, times = time.perf_counter() - begun, list[float]()
    for unit in kept[:: COLUMNS // 64]:
        begun = time.perf_counter()
        readouts.read(unit, stimuli)
        times.append(1e3 * (time.perf_counter() - begun))
    size = sum(p.stat().st_size for p in folder.glob("readouts.*"))
    return {
        "readouts kept, s": seconds,
        "readouts, MB": size / 1e6,
        "readouts of a unit, median ms": float(np.median(times)),
    }


def _sparse(folder: Path, units: int, shrink: int, rng: np.random.Generator) -> dict[str, float]:
    """Every non-zero of 16,384 latents, 64 of them active at each position."""
    import torch

    from maieutic.harvest.sparse import SparseWriter
    from maieutic.subjects.base import Unit

    writer, begun = SparseWriter.to(folder / "sparse", {"sae": LATENTS}), time.perf_counter()
    positions, busy = SPARSE_POSITIONS // shrink, 0.0
    for number, _ in enumerate(range(0, positions, 500)):
        values = torch.zeros(4, 125, LATENTS)
        chosen = torch.from_numpy(rng.integers(0, LATENTS, (4, 125, ACTIVE)))
        values.scatter_(2, chosen, torch.from_numpy(rng.gamma(1.0, 2.0, (4, 125, ACTIVE)).astype(np.float32)))
        begun = time.perf_counter()
        writer.add("sae", values, lengths=np.full(4, 125), stimuli=list(range(4 * number, 4 * number + 4)))
        busy += time.perf_counter() - begun
    begun = time.perf_counter()
    store = writer.done()
    merged, times = time.perf_counter() - begun, list[float]()
    for latent in range(0, LATENTS, LATENTS // 64):
        begun = time.perf_counter()
        store.read(Unit(site="sae", index=latent))
        times.append(1e3 * (time.perf_counter() - begun))
    return {
        "non-zeros spooled, s": busy,
        "non-zeros sorted, s": merged,
        "non-zeros, millions": store.bytes / 8 / 1e6,
        "non-zeros, MB": store.bytes / 1e6,
        "non-zeros of a unit, median ms": float(np.median(times)),
    }


def _report(folder: Path, units: int, shrink: int, rng: np.random.Generator) -> dict[str, float]:
    """The report of a sweep of 3,000 units, a page each."""
    from maieutic.bench.store_report import UNITS as SWEPT
    from maieutic.bench.store_report import time_report

    return time_report(folder, units=SWEPT // shrink, rng=rng)


# --- the made-up rows ----------------------------------------------------------------------------------------------


def _exemplars(folder: Path) -> Path:
    return folder / "exemplars.parquet"


def _key(number: int, units: int) -> str:
    return f"layers.{number * LAYERS // units}.mlp/{number}"


def _harvest() -> dict[str, Any]:
    return {
        "name": "main", "subject": "made-up", "subject_fingerprint": "f", "corpus": "made-up", "corpus_fingerprint": "g",
        "modality": "text", "sites": [f"layers.{n}.mlp" for n in range(LAYERS)], "settings": {}, "versions": {},
        "status": "done",
    }  # fmt: skip


def _unit(number: int, units: int) -> dict[str, Any]:
    return {"id": number + 1, "harvest": "main", "role": "main", "key": _key(number, units)}


def _explanation(number: int, value: float) -> dict[str, Any]:
    label = f"the word “treaty” and its forms, in passages on foreign relations, kind {number}"
    return {
        "unit": number + 1, "explainer": "search", "label": label,
        "predicate": {"op": "or", "parts": [{"op": "word", "word": f"treaty{number}"}, {"op": "after", "token": " in"}]},
        "confidence": value, "reason": None if number % 7 else "no predicate held", "evidence": [f"{number}#1"],
        "considered": [["numbers", "lift below 0.05"]], "measurements": 17, "standing": value,
        "settings": {"budget": 120}, "seconds": 1.0,
    }  # fmt: skip


_SCORES = (
    "predictive", "predictive.pearson", "predictive.control.shuffled", "predictive.control.constant", "predictive.auroc",
)  # fmt: skip


def _scores(number: int, value: float) -> Iterator[dict[str, Any]]:
    for name in _SCORES:
        yield {
            "unit": number + 1, "explainer": "search", "name": name, "value": value, "low": value - 0.05,
            "high": value + 0.05, "n": 400, "reason": None, "details": {"base_rate": 0.04}, "seconds": 0.1,
        }  # fmt: skip


def _choice(number: int, value: float) -> dict[str, Any]:
    why = "the search stands well enough"
    return {"unit": number + 1, "explainer": "search", "standing": value, "importance": 1 - value, "why": why}


def _peak_memory() -> float:
    """Most memory that this process has held, in MiB; pages of mapped files count while they are mapped."""
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / 1024 / (1024 if sys.platform == "darwin" else 1)
