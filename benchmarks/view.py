"""Times of the pages of ``maieutic view`` over made-up stores of 10,000 and 100,000 units, through a socket of the loopback.

    python benchmarks/view.py
    python benchmarks/view.py --units 10000 --keep /tmp/made

Each store has a label and 16 scores a unit (the label's, its controls and what stands beside them). The server is a process of
its own, as a user starts it; "first" is the first page after it said that it listens. Models are not loaded: what they take
depends on the model. Needs about 60 MB of disk for 10,000 units and 600 MB for 100,000.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

_TEXT = (
    "years river treaty bracket number dog wheel cloud red round digits name of after before in code letter word line "
    "first last city tree water face text edge stripe sky metal fur grass capital plural verb past tense question"
)
WORDS = _TEXT.split()
CONTROLS = ("constant", "shuffled", "one_shot", "untrained", "random_direction")
SITES = 10


def make(folder: Path, units: int, *, seed: int = 0) -> None:
    """A store as a sweep leaves it, without a harvest behind it."""
    from maieutic.store import Store, explanations, harvests, jobs, scores
    from maieutic.store import units as units_table

    rng = np.random.default_rng(seed)
    plan = {"subject": "hf:nobody", "corpus": "none", "sites": [], "units": ["all"], "sample": 0, "size": None, "nulls": 0,
            "seed": seed}  # fmt: skip
    harvest = {
        "name": "main", "subject": "made up", "subject_fingerprint": "0" * 16, "corpus": "none",
        "corpus_fingerprint": "0" * 16, "modality": "text", "sites": [f"layers.{s}.mlp" for s in range(SITES)],
        "settings": {"plan": plan, "fingerprint": "0"}, "versions": {}, "status": "done", "seconds": 1.0,
    }  # fmt: skip
    values, gaps, labelled = (
        rng.beta(2, 2, units),
        rng.normal(0.1, 0.2, (units, len(CONTROLS))),
        rng.random(units) < 0.9,
    )
    picks = rng.integers(0, len(WORDS), (units, 6))
    with Store.open(folder, create=True) as store:
        for table, rows in (
            (harvests, iter([harvest])),
            (units_table, ({"id": n + 1, "harvest": "main", "role": "main",
                            "key": f"layers.{n % SITES}.mlp/{n // SITES}"} for n in range(units))),
            (jobs, ({"unit": n + 1, "kind": "explain", "explainer": "search", "status": "done"} for n in range(units))),
            (explanations, (_explanation(n, " ".join(WORDS[i] for i in picks[n]), bool(labelled[n])) for n in range(units))),
            (scores, (row for n in range(units) if labelled[n] for row in _scores(n, float(values[n]), gaps[n]))),
        ):  # fmt: skip
            with store.transaction() as connection:
                store.put(table, rows, connection=connection)


def _explanation(n: int, label: str, labelled: bool) -> dict[str, Any]:
    return {
        "unit": n + 1, "explainer": "search", "label": label if labelled else "unexplained",
        "predicate": {"op": "constant", "value": 0.5}, "confidence": 0.5,
        "reason": None if labelled else "no predicate held on the select split", "evidence": [], "considered": [],
        "measurements": 60, "llm_tokens": 0, "dollars": 0.0, "standing": 0.5, "settings": {}, "seconds": 0.2,
    }  # fmt: skip


def _scores(n: int, value: float, gaps: Any) -> Iterator[dict[str, Any]]:
    beside = ("pearson", "auroc", "f1", "balanced_accuracy", "mean_gap")
    named = {"predictive": value, **{f"predictive.{b}": value for b in beside}}
    for control, gap in zip(CONTROLS, gaps.tolist(), strict=True):
        named |= {f"predictive.control.{control}": value - gap, f"predictive.beats.{control}": gap}
    details = {"split": "test", "clusters": 900, "active": 120, "base_rate": 0.01, "threshold": 1.5, "seed": 0}
    for name, number in named.items():
        yield {
            "unit": n + 1, "explainer": "search", "name": name, "value": number, "low": number - 0.05,
            "high": number + 0.05, "n": 50_000, "reason": None, "details": details, "seconds": 0.01,
        }  # fmt: skip


PROGRAM = """
import sys, socket, uvicorn
from pathlib import Path
from maieutic.view import create_app
app = create_app([Path(sys.argv[1])])
listening = socket.socket(); listening.bind(("127.0.0.1", 0)); listening.listen(16)
print(listening.getsockname()[1], flush=True)
uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False)).run(sockets=[listening])
"""


def timed(folder: Path, units: int) -> dict[str, list[float]]:
    """Seconds of each page: the first time and twice again."""
    server = subprocess.Popen([sys.executable, "-c", PROGRAM, str(folder)], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        base = f"http://127.0.0.1:{server.stdout.readline().strip()}"
        run = f"{base}/runs/{folder.name}"
        last = units // 100
        found: dict[str, list[float]] = {}
        # the table first: the page that a target is set for, right after the start
        for name, url in (
            ("server answers (style sheet)", f"{base}/static/report.css"),
            ("table, first page", f"{run}/units"),
            ("table, words", f"{run}/units?q=river"),
            ("table, sorted by label", f"{run}/units?by=label"),
            ("table, filtered and sorted", f"{run}/units?state=beats&site=layers.3.mlp&by=ap&down=1"),
            ("table, last page", f"{run}/units?page={last}"),
            ("overview", f"{run}/"),
            # what comes behind the overview shares the interpreter with the import of torch, which the overview began
            ("a unit", f"{run}/unit/layers.3.mlp/7"),
            ("another unit", f"{run}/unit/layers.4.mlp/7"),
        ):
            for _ in range(3):
                begun = time.perf_counter()
                with urllib.request.urlopen(url, timeout=120) as answer:  # noqa: S310 (the loopback)
                    answer.read()
                found.setdefault(name, []).append(time.perf_counter() - begun)
        return found
    finally:
        server.terminate()
        server.wait(timeout=20)


def main() -> None:
    """Make the stores, time the pages, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--units", type=int, nargs="*", default=[10_000, 100_000])
    parser.add_argument("--keep", type=Path, default=None, help="keep the stores in this folder, or use those there")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    told: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory(prefix="maieutic-view-") as name:
        for units in asked.units:
            folder = (asked.keep or Path(name)) / f"made-{units}"
            if not folder.exists():
                make(folder, units)
            told[f"{units:,} units"] = timed(folder, units)
    if asked.json:
        print(json.dumps(told))
        return
    for title, found in told.items():
        print(f"{title:40} first    again")
        for page, seconds in found.items():
            print(f"  {page:38} {seconds[0]:5.2f} s  {min(seconds[1:]):5.2f} s")


if __name__ == "__main__":
    main()
