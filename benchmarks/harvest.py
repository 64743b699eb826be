"""Harvest time over bare forward time, for both packaged models, in one run.

    python benchmarks/harvest.py [--stimuli 256] [--rounds 5] [--json]

The floor is the bare network on the same batches, inputs prepared beforehand, stopped by one hook that keeps nothing at
the last site needed. A harvest tokenises or decodes, reads all units of the sites, summarises them and keeps 24 of them.
Rounds alternate floor and harvest, so that a busy machine slows both; the ratio of each round is printed with the median
and its 95 % interval over rounds (bootstrap). Peak memory is not measured here.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch

import maieutic as mt
from maieutic.harvest.run import _plan  # the very batches of a harvest
from maieutic.subjects.hooks import Tap, run_hooked, submodule

CASES = (
    ("smollm2-135m", "text", ("layers.7.mlp",)),
    ("smollm2-135m", "text", ("layers.1.mlp", "layers.3.mlp", "layers.5.mlp", "layers.7.mlp")),
    ("efficientnet-lite0", "photos", ("blocks.14.expand",)),
)


def prepared(subject: Any, contents: list[Any]) -> Any:
    """Network inputs of one batch."""
    if subject.modality == "image":
        return torch.stack([subject.preprocess(c) for c in contents])
    rows = [[*subject.prefix, *(t for t, _, _ in subject._encode(c))] for c in contents]
    width = max(map(len, rows))
    ids = torch.tensor([r + [0] * (width - len(r)) for r in rows])
    real = torch.arange(width)[None, :] < torch.tensor([[len(r)] for r in rows])
    return ids, real


def bare(subject: Any, batches: list[Any], last: str) -> float:
    """Seconds of the network alone up to the last site."""
    site = subject.site(last)
    network = subject.model if subject.modality == "text" else subject._running  # BatchNorm folded, as harvested
    tap = Tap(site=last, module=submodule(network, site.module, last), io=site.io)
    start = time.perf_counter()
    for inputs in batches:
        call = partial(subject._call, *inputs, to_end=False) if subject.modality == "text" else partial(network, inputs)
        run_hooked(call, reads=[tap], keep=lambda _tap, value: value[:0])
    return time.perf_counter() - start


def measure(name: str, corpus_name: str, sites: tuple[str, ...], *, stimuli: int, rounds: int) -> dict[str, Any]:
    subject, whole = mt.load_subject(name), mt.load_corpus(corpus_name)
    chosen = sorted(whole.split("discover"), key=lambda s: s.id)[:stimuli]
    corpus = replace(whole, stimuli=chosen)
    keep = [subject.unit(sites[0], i) for i in range(24)]
    plan = _plan(subject, corpus, everything=True)
    batches = [prepared(subject, [corpus[i].content for i in b.stimuli]) for b in plan]
    ratios, floors, harvests = [], [], []
    for round_ in range(rounds + 1):
        floor = bare(subject, batches, sites[-1])
        start = time.perf_counter()
        mt.harvest(subject, corpus, list(sites), keep=keep)
        took = time.perf_counter() - start
        if round_:  # the first warms caches
            ratios.append(took / floor)
            floors.append(floor)
            harvests.append(took)
    draws = np.random.default_rng(0).choice(ratios, size=(2000, rounds)).copy()
    low, high = np.quantile(np.median(draws, axis=1), [0.025, 0.975])
    return {
        "subject": name,
        "sites": list(sites),
        "stimuli": len(corpus),
        "bare_seconds": float(np.median(floors)),
        "harvest_seconds": float(np.median(harvests)),
        "ratio": {"value": float(np.median(ratios)), "low": float(low), "high": float(high), "n": rounds},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stimuli", type=int, default=192)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--subject", help="only this model")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    chosen = [c for c in CASES if args.subject in (None, c[0])]
    rows = [measure(*case, stimuli=args.stimuli, rounds=args.rounds) for case in chosen]
    machine = (
        f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}, {torch.get_num_threads()} threads"
    )
    if args.json:
        print(json.dumps({"machine": machine, "rows": rows}))
        return
    print(machine)
    for r in rows:
        q = r["ratio"]
        print(
            f"{r['subject']:<20} {len(r['sites'])} site(s), {r['stimuli']} stimuli: bare {r['bare_seconds']:.2f} s, "
            f"harvest {r['harvest_seconds']:.2f} s, ratio {q['value']:.3f} [{q['low']:.3f}, {q['high']:.3f}] over {q['n']} rounds"
        )


if __name__ == "__main__":
    main()
