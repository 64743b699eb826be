"""A pilot: every stage of a cascade run on a random sample of units, each stage scored, each job timed.

It is an ordinary run folder with an ordinary sweep whose rules send every unit through every stage, so that what a further
stage would gain is known for each. Beside it, in ``plan/``, stand the seconds of each job as the executor tells them
(``timings.jsonl``) and what was sampled from what (``pilot.json``).

What this does not do: forecast. A pilot's test scores are read here, to forecast the mean score; they decide nothing in
the campaign, and a cascade that is chosen by them should be scored on other units.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, nullcontext
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

from maieutic.campaign.cascade import Rules, Stage
from maieutic.campaign.explaining import ExplainJob
from maieutic.campaign.run import RunPlan, create_run
from maieutic.campaign.scoring import ScoreJob, score_units
from maieutic.campaign.sweep import SweepPlan, code_fingerprint, sweep
from maieutic.errors import StoreError, UsageError
from maieutic.executors import Broken, Done, Executor, Work, open_executor
from maieutic.explain import material, most_of
from maieutic.progress import Report, silent
from maieutic.store import writing

#: in the run folder of a pilot
FOLDER, PILOT, TIMINGS = "plan", "pilot.json", "timings.jsonl"
#: fewer units than this tell nothing about the spread of the rest
FEWEST = 8
#: sends every unit through every stage: no standing is enough, and no gain too little
EVERY_STAGE = Rules(enough=2.0, least=-1.0)


class Recorder:
    """An executor that passes everything on and writes down what each job took."""

    def __init__(self, inner: Executor, file: Path) -> None:
        """An executor around another, which is opened and closed by whoever made it."""
        self._inner, self._file = inner, file
        self.name, self.workers, self.lost = inner.name, inner.workers, inner.lost
        self._session = f"{time.time():.6f}"
        self._runs = 0
        self._ended: float | None = None

    def run(self, work: Work, jobs: Sequence[Any]) -> Iterator[Done | Broken]:
        """See ``Executor.run``. A line a job is kept, and one a call: how long it took, and how long after the last."""
        begun, number, last = time.perf_counter(), self._runs, 0.0
        gap = None if self._ended is None else begun - self._ended
        self._runs += 1
        kind = work.perform.partition(":")[0].rpartition(".")[2]
        with closing(cast("Any", self._inner.run(work, jobs))) as ended:
            for one in ended:
                last = time.perf_counter() - begun
                if isinstance(one, Done):
                    line = {"run": number, "kind": kind, **_named(jobs[one.index])}
                    self._keep({**line, "worker": one.worker, "seconds": one.seconds, "at": last})
                yield one
        self.lost, self.workers = self._inner.lost, self._inner.workers
        self._ended = begun + last if jobs else self._ended
        if jobs:
            row = {"run": number, "kind": kind, "jobs": len(jobs), "span": last, "gap": gap, "workers": self.workers}
            self._keep({**row, "engine": self.name, "load": os.getloadavg()[0] / (os.cpu_count() or 1)})

    def _keep(self, row: Mapping[str, Any]) -> None:
        self._file.parent.mkdir(exist_ok=True)
        with self._file.open("a", encoding="utf-8") as handle:
            handle.write(json.dumps({"session": self._session, **row}) + "\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


def _named(job: Any) -> dict[str, str]:
    """Whose job it is; a shard of a harvest is nobody's."""
    if isinstance(job, ExplainJob):
        return {"role": job.role, "key": job.key, "explainer": job.explainer}
    if isinstance(job, ScoreJob):
        return {"role": job.role, "key": job.key, "explainer": str(job.found["explainer"])}
    return {}


def run_pilot(
    folder: Path,
    plan: RunPlan,
    stages: Sequence[Stage],
    *,
    scorers: Sequence[str] = ("predictive",),
    first: str = "mass",
    executor: Executor | None = None,
    report: Report = silent,
) -> None:
    """Run a pilot into a run folder; one that was stopped goes on.

    Args:
        folder: new, or this very pilot's.
        plan: ``sample`` units of each site are drawn; it names no units.
        stages: all of them are run for every unit.
        scorers: how each stage's explanations are scored; ``predictive`` gives the forecast of the score.
        first: which units the campaign puts first (`campaign.priority`).
        executor: as the campaign's is going to be; times are only as comparable as the machines are.
        report: called with progress.

    Raises:
        UsageError: units are named, too few are sampled, or there is no stage.
        StoreError: the folder holds another run.
    """
    if plan.units or plan.sample < FEWEST:
        raise UsageError(f"a pilot is a random sample of {FEWEST} units at least: give --pilot {FEWEST} or more")
    with nullcontext(executor) if executor is not None else open_executor() as inner:
        recorder = Recorder(inner, folder / FOLDER / TIMINGS)
        # in this process the harvest uses the model that is loaded, as a sweep's does
        elsewhere = None if inner.name == "in-process" else recorder
        with create_run(folder, plan, executor=elsewhere, report=report) as run:
            widths = {site: run.subject.site(site).width for site in run.sites}
            _note(run.folder, {"widths": widths, "stages": [_stage(s) for s in stages]})
            made = SweepPlan(stages=tuple(stages), rules=EVERY_STAGE, scorers=(), first=first)
            sweep(run, made, executor=recorder, report=report)
            for stage in stages if scorers else ():
                score_units(run, explainer=stage.explainer, scorers=scorers, executor=recorder, report=report)


def _stage(stage: Stage) -> dict[str, Any]:
    most = most_of(stage.explainer, stage.options)
    return {
        "explainer": stage.explainer, "budget": stage.budget, "options": material(stage.explainer, stage.options),
        "most": None if most is None else list(most),
    }  # fmt: skip


def _note(folder: Path, about: Mapping[str, Any]) -> None:
    file = folder / FOLDER / PILOT
    with writing(file) as temporary:
        temporary.write_text(json.dumps({**about, "code": code_fingerprint()}, indent=1), encoding="utf-8")


def noted(folder: Path) -> dict[str, Any]:
    """What a pilot's folder says it is a sample of: ``widths`` by site, ``stages``, ``code``.

    Raises:
        StoreError: there is no pilot.
    """
    file = folder / FOLDER / PILOT
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StoreError(f"{folder} is no pilot: make one with  maieutic plan MODEL … --run FOLDER") from None
    except (OSError, ValueError) as error:
        raise StoreError(f"cannot read {file} ({error}): make the pilot again into a new --run folder") from error


def timings(folder: Path) -> list[dict[str, Any]]:
    """Lines of the recorder; one that a kill cut short is left out."""
    file = folder / FOLDER / TIMINGS
    rows: list[dict[str, Any]] = []
    for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else ():
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue
    return rows
