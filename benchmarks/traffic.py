"""How much moves between a driver and its workers for one unit: bytes of a job, of a ledger, an explanation, its pictures.

    python benchmarks/traffic.py [--subject smollm2-135m --corpus text --size 150 --site layers.7.mlp] [--units 3,200,812] [--json]

The units are explained here, by ``search-no-experiments`` and by ``search`` with 120 measurements; what a worker would send back is
pickled and counted. Pictures are those that the ledger shows, as the run keeps them (WebP, at most 256 pixels). An explanation is
sent without its viewer, which holds the model; ``viewer`` says what forgetting that would cost.
"""

from __future__ import annotations

import argparse
import json
import pickle
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import maieutic as mt
from maieutic.lab import Budget, Lab
from maieutic.store import write_image


def size(value: Any) -> int:
    """Bytes of its pickle."""
    return len(pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL))


def viewer_size(viewer: Any) -> str:
    """In megabytes, or that it cannot be pickled at all."""
    try:
        return f"{size(viewer) / 1e6:.0f} MB"
    except (AttributeError, TypeError, pickle.PicklingError):
        return "cannot travel"


def pictures(lab: Lab) -> tuple[int, int]:
    """How many the ledger shows, and bytes of all as they are kept."""
    with tempfile.TemporaryDirectory() as folder:
        shown = [s for s in lab.shown.values() if s.modality == "image"]
        files = [write_image(Path(folder), content_id=s.id, image=s.content) for s in shown]
        return len(files), sum(f.stat().st_size for f in files)


def measured(args: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for each unit and explainer."""
    import torch

    torch.set_num_threads(1)
    subject = mt.load_subject(args.subject)
    corpus = mt.load_corpus(args.corpus, size=args.size)
    units = [subject.unit(args.site, int(i)) for i in args.units.split(",")]
    atlas = mt.harvest(subject, corpus, sites=[args.site], keep=units)
    rows: list[dict[str, Any]] = []
    for explainer in ("search-no-experiments", "search"):
        for unit in units:
            lab = Lab(subject, unit, atlas, budget=Budget(measurements=120), seed=0)
            found = mt.explain(lab, explainer)
            many, bytes_of = pictures(lab)
            rows.append(
                {
                    "explainer": explainer, "unit": unit.key,
                    "job": size({"unit": unit.key, "explainer": explainer, "budget": 120, "seed": 0}),
                    "entries": len(lab.ledger), "ledger": size(lab.ledger.entries),
                    "explanation": size(replace(found, viewer=None)), "viewer": viewer_size(found.viewer),
                    "pictures": many, "pictures_bytes": bytes_of,
                }
            )  # fmt: skip
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--subject", default="smollm2-135m")
    parser.add_argument("--corpus", default="text")
    parser.add_argument("--size", type=int, default=150)
    parser.add_argument("--site", default="layers.7.mlp")
    parser.add_argument("--units", default="3,200,812")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    rows = measured(args)
    if args.json:
        print(json.dumps(rows))
        return
    for row in rows:
        print(
            f"{row['explainer']:<22} {row['unit']:<18} job {row['job']:>4} B  ledger {row['ledger'] / 1000:6.1f} kB "
            f"({row['entries']} entries)  explanation {row['explanation'] / 1000:5.1f} kB  "
            f"{row['pictures']} pictures {row['pictures_bytes'] / 1000:7.1f} kB  viewer {row['viewer']}"
        )


if __name__ == "__main__":
    main()
