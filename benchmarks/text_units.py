"""Processor time of explaining and scoring the text units of a harvested run, one after another in one process.

    maieutic harvest smollm2-135m --corpus text --site layers.7.mlp --sample 60 --run runs/units
    OMP_NUM_THREADS=1 python benchmarks/text_units.py runs/units [--explainer search] [--units 16] [--budget 120] [--json]

``tables``: the first unit's explanation, which makes what all units share. ``explain``: each further one (median over units,
with the least and the greatest). ``score``: the predictive score with every control, labels of other units, the look-up label,
the untrained copy and random directions; ``controls``: explaining and marking these once. ``memory``: the most that was resident.
Nothing is written to the run. Figures of a busy machine are too high: its cores share caches and memory.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

from maieutic.campaign.run import Run, open_run
from maieutic.explain import Explanation, explain
from maieutic.lab import Budget, Lab
from maieutic.score import score
from maieutic.score.controls import Controls, NullUnit, null_unit, shuffled
from maieutic.score.evidence import trial
from maieutic.score.shared import Shared
from maieutic.subjects import Subject, Unit


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """What the work gives, and the processor seconds that it took."""
    start = time.process_time()
    found = work()
    return found, time.process_time() - start


def explained(run: Run, subject: Subject, atlas: Any, unit: Unit, explainer: str, budget: int) -> Explanation:
    lab = Lab(subject, unit, atlas, budget=Budget(measurements=budget), seed=run.seed)
    return explain(lab, explainer)


def marked(run: Run, found: Explanation, unit: Unit, subject: Any, atlas: Any, shared: Shared) -> list[NullUnit]:
    """A unit that means nothing, with its own evidence; none when it never changes."""
    on = trial(lambda split: atlas.observed(unit, split), modality="text", seed=run.seed)
    if isinstance(on, str):
        return []
    return [null_unit(found, on, subject=subject, unit=unit, atlas=atlas, cache=shared.predictions)]


def directions(run: Run, explainer: str, budget: int, shared: Shared) -> list[NullUnit]:
    out: list[NullUnit] = []
    for unit in run.nulls.directions:
        found = explained(run, run.subject, run.atlas, unit, explainer, budget)
        out += marked(run, found, unit, run.subject, run.atlas, shared)
    return out


def measured(run: Run, explainer: str, units: Sequence[Unit], budget: int) -> dict[str, Any]:
    """Every figure."""
    shared, rows = (
        Shared(),
        [timed(lambda u=u: explained(run, run.subject, run.atlas, u, explainer, budget)) for u in units],
    )
    labels = {u.key: found for u, (found, _) in zip(units, rows, strict=True)}
    lent = shuffled(list(labels.values()), seed=run.seed)
    nulls, controls_s = timed(lambda: directions(run, explainer, budget, shared))

    def scored(unit: Unit) -> Any:
        one_shot = explained(run, run.subject, run.atlas, unit, "lookup", 0)
        atlas = run.nulls.atlas
        untrained = [] if atlas is None else marked(run, labels[unit.key], unit, run.nulls.subject, atlas, shared)
        controls = Controls(
            shuffled=lent.get(unit.key, ()), one_shot=one_shot, untrained=untrained, random_direction=nulls
        )  # fmt: skip
        return score(
            labels[unit.key], run.subject, unit, run.corpus, atlas=run.atlas, controls=controls, seed=run.seed,
            shared=shared,
        )  # fmt: skip

    scores = [timed(lambda u=u: scored(u))[1] for u in units]
    return {
        "explainer": explainer,
        "units": len(units),
        "tables": round(rows[0][1], 2),
        "explain": _spread([s for _, s in rows[1:]]),
        "controls": round(controls_s, 2),
        "score": _spread(scores[1:]),
        "memory": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def _spread(seconds: Sequence[float]) -> dict[str, float]:
    return {
        "median": round(statistics.median(seconds), 3), "mean": round(statistics.mean(seconds), 3),
        "least": round(min(seconds), 3), "most": round(max(seconds), 3),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description="Processor time of explaining and scoring text units.")
    parser.add_argument("run", help="a run folder that was harvested")
    parser.add_argument("--explainer", default="search-no-experiments")
    parser.add_argument("--units", type=int, default=16)
    parser.add_argument("--budget", type=int, default=120, help="measurements a unit")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    with open_run(args.run) as run:
        found = measured(run, args.explainer, run.units[: max(args.units, 3)], args.budget)
    if args.json:
        print(json.dumps(found))
        return
    e, s = found["explain"], found["score"]
    print(f"{found['explainer']}, {found['units']} units, processor seconds on one thread")
    print(f"  tables   {found['tables']:7.2f}   the first unit, with what all share")
    print(f"  explain  {e['median']:7.3f}   a unit; mean {e['mean']:.3f}, {e['least']:.3f} to {e['most']:.3f}")
    print(f"  controls {found['controls']:7.2f}   explaining the null units")
    print(f"  score    {s['median']:7.3f}   a unit; mean {s['mean']:.3f}, {s['least']:.3f} to {s['most']:.3f}")
    print(f"  memory   {found['memory']:7d}   MB at most")


if __name__ == "__main__":
    main()
