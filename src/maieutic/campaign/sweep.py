"""A sweep: every unit of a run through a cascade of explainers under one budget, then scored; stopped and resumed at will.

Work goes in waves: a wave is planned from what earlier waves left in the store, written down, and only then run, so a
sweep that was killed and run again plans the same waves and ends with the same store. A unit is granted the most that
its stage may cost before it starts, and what it did not use goes back, so no limit is ever passed. Budgets count what
was asked, not what was fresh.

What this does not do: decide what an explainer does with its grant, or look at scores of the test split.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any, cast

from maieutic.campaign.cascade import Rules, Stage, best_of, order_of
from maieutic.campaign.course import Course, Place
from maieutic.campaign.explaining import ExplainJob, job_of, null_places, performed, settings_of, write_explained
from maieutic.campaign.priority import check_priority, weights_of
from maieutic.campaign.run import Role, Run, versions
from maieutic.campaign.scoring import score_units
from maieutic.campaign.spend import Limits, Spend, grant_of
from maieutic.errors import StoreError, UsageError
from maieutic.executors import Executor, open_executor
from maieutic.explain import check_explainer, material
from maieutic.progress import Report, Step, silent
from maieutic.readings import Reading
from maieutic.score import check_scorers
from maieutic.store import CHOSEN, choices, explanations, now, sweeps, waves

#: units planned together, and waves that all units of a stage make at least: planning takes time in proportion to units
WAVE, WAVES = 64, 64
NAME = "main"
LATE = "the time is up: run the same command again to go on"
#: rooms whose code decides what a sweep finds
_ROOMS = ("subjects", "stimuli", "harvest", "lab", "explain", "score", "campaign")
#: of these, files that only foretell what a sweep costs
_FORETELLING = ("forecast", "prices")


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepPlan:
    """What decides a sweep's results.

    Attributes:
        stages: explainers, cheapest first.
        limits: of all units together.
        rules: which units go on.
        scorers: how the chosen explanations are scored in the end; empty: not at all.
        first: which units come first: ``mass``, ``effect``, ``order`` or ``query:WORDS`` (`campaign.priority`).
    """

    stages: tuple[Stage, ...]
    limits: Limits = Limits()
    rules: Rules = Rules()
    scorers: tuple[str, ...] = ("predictive",)
    first: str = "mass"


@dataclass(frozen=True, kw_only=True)
class Swept:
    """What a sweep came to.

    Attributes:
        units: main units with a chosen explanation. labelled: of these, not abstained. failed: main units without any.
        spent: by all units, null units included. fresh: measurements that were made anew.
        by_stage: main units that went through each stage.
        stopped: why not everything was done; ``None`` when it was.
        readings: by unit, when scored.
    """

    units: int
    labelled: int
    failed: int
    spent: Spend
    fresh: int
    by_stage: Mapping[str, int]
    stopped: str | None
    readings: Mapping[str, Mapping[str, Reading]]


def sweep(
    run: Run,
    plan: SweepPlan,
    *,
    executor: Executor | None = None,
    minutes: float | None = None,
    accept_code: bool = False,
    report: Report = silent,
) -> Swept:
    """Explain every unit of a run, and its null units, through a cascade, and score what was chosen.

    Args:
        run: opened for writing.
        plan: what decides the results; a folder holds one sweep.
        executor: who does it; ``None``: this process.
        minutes: no unit is started later than this after the start, and nothing is scored then; run again to go on.
        accept_code: go on although the program changed since the sweep began.
        report: called with progress.

    Raises:
        StoreError: the folder holds a sweep with other settings, or one begun by other code.
        UsageError: a limit that a stage cannot keep, or no such priority.
        UserError: an explainer or scorer cannot start.
    """
    for stage in plan.stages:
        check_explainer(stage.explainer, **stage.options)
    if plan.scorers:
        check_scorers(plan.scorers)
    check_priority(plan.first)
    grants = tuple(grant_of(stage, plan.limits) for stage in plan.stages)
    started = time.monotonic()
    _announce(run, plan, accept_code)
    weights, course = _weights(run, plan, report), Course.of(run, plan.stages, grants)
    with nullcontext(executor) if executor is not None else open_executor() as doing:
        deadline = None if minutes is None else started + 60 * minutes
        stopped = _explain(run, plan, course, weights, doing, deadline, report)
        _choose(run, plan, course, weights)
        readings: Mapping[str, Mapping[str, Reading]] = {}
        if plan.scorers and stopped != LATE:
            readings = score_units(run, explainer=CHOSEN, scorers=plan.scorers, executor=doing, report=report)
    if stopped != LATE:
        _finish(run, time.monotonic() - started)
    return _summary(run, plan, course, stopped, readings)


def _explain(
    run: Run,
    plan: SweepPlan,
    course: Course,
    weights: Mapping[Place, float],
    doing: Executor,
    deadline: float | None,
    report: Report,
) -> str | None:
    """Wave after wave until nothing is left to do, or why it stopped."""
    number = len(run.store.rows(waves))
    with report("sweep", run.subject.name) as step:
        planned = _unfinished(run, course)
        while True:
            order = order_of(course.records, plan.stages, plan.rules, weights=weights, learn_from=course.main)
            wave = planned or _next_wave(order, plan, course)
            if not wave:
                return f"the budget is spent ({plan.limits.told()})" if order else None
            if not planned:
                number += 1
                _write_wave(run, number, wave)
            planned = []
            # what a wave that is gone on with has left is in the order already
            if _run_wave(run, plan, course, wave, doing, deadline, step, course.ended + len(order)):
                return LATE


@dataclass(frozen=True, slots=True)
class _Granted:
    """A unit's next stage, with the measurements it may ask for."""

    role: Role
    key: str
    stage: int
    budget: int


def _unfinished(run: Run, course: Course) -> list[_Granted]:
    """The last wave that was planned, when it is not all done."""
    rows = run.store.rows(waves)
    last = [_Granted(*row) for row in rows[-1]["jobs"]] if rows else []
    return last if any(len(course.records[g.role, g.key]) <= g.stage for g in last) else []


def _next_wave(order: Sequence[tuple[Place, int]], plan: SweepPlan, course: Course) -> list[_Granted]:
    """The units that come next and that what is left covers at their dearest; empty when there is none."""
    size = max(WAVE, math.ceil(len(course.records) / WAVES))
    granted, wave = course.spent, list[_Granted]()
    for (role, key), stage in order:
        if not plan.limits.allow(granted + course.grants[stage]):
            continue
        granted += course.grants[stage]
        wave.append(_Granted(role, key, stage, plan.stages[stage].budget))
        if len(wave) == size:
            break
    return wave


def _write_wave(run: Run, number: int, wave: Sequence[_Granted]) -> None:
    row = {"number": number, "jobs": [[g.role, g.key, g.stage, g.budget] for g in wave]}
    with run.store.transaction() as connection:
        run.store.put(waves, [row], connection=connection)


def _run_wave(
    run: Run,
    plan: SweepPlan,
    course: Course,
    wave: Sequence[_Granted],
    doing: Executor,
    deadline: float | None,
    step: Step,
    total: int,
) -> bool:
    """Run what of a wave is not done. Whether the time was up before all of it was."""
    waiting: list[ExplainJob] = []
    stage_of: dict[Place, int] = {}
    for g in (g for g in wave if len(course.records[g.role, g.key]) <= g.stage):
        stage = plan.stages[g.stage]
        waiting.append(job_of(run, g.role, g.key, stage.explainer, g.budget, stage.options, keep="evidence"))
        stage_of[g.role, g.key] = g.stage
    step(course.ended, total, note=course.spent.told())
    if deadline is not None and time.monotonic() >= deadline:
        return bool(waiting)
    results = cast("Iterator[Any]", performed(run, waiting, doing))
    finished = 0
    with closing(results):  # pyright: ignore[reportArgumentType]
        for job, outcome in results:
            settings = settings_of(
                job.explainer, job.budget, plan.stages[stage_of[job.role, job.key]].options, seed=run.seed
            )
            write_explained(run, job, outcome, settings)
            course.take(job, stage_of[job.role, job.key], outcome)
            finished += 1
            step(course.ended, total, note=course.spent.told())
            if deadline is not None and time.monotonic() >= deadline:
                break
    return finished < len(waiting)


def _weights(run: Run, plan: SweepPlan, report: Report) -> dict[Place, float]:
    """How much each unit matters; null units as much as the median one."""
    found = weights_of(run, plan.first, report=report)
    if not found:
        return {}
    middle = sorted(found.values())[len(found) // 2]
    main: dict[Place, float] = {("main", key): weight for key, weight in found.items()}
    return {**main, **{place: middle for place in null_places(run)}}


def _choose(run: Run, plan: SweepPlan, course: Course, weights: Mapping[Place, float]) -> None:
    """For each unit the explanation that stands best on select, in one transaction."""
    chosen: list[dict[str, Any]] = []
    for place, records in course.records.items():
        found = [r for r in records if not r.failed]
        if not found:
            continue
        stage, _ = best_of(records)
        why = "the only one" if len(found) == 1 else f"stands best of {len(found)} on the select split"
        chosen.append(
            {
                "unit": run.ids[place],
                "explainer": plan.stages[stage].explainer,
                "standing": records[stage].standing,
                "importance": weights.get(place),
                "why": why,
            }  # fmt: skip
        )
    with run.store.transaction() as connection:
        connection.execute(choices.delete())
        run.store.put(choices, chosen, connection=connection)


# --- what was begun ------------------------------------------------------------------------------------------------


def _settings(run: Run, plan: SweepPlan) -> dict[str, Any]:
    stages = [
        {"explainer": s.explainer, "budget": s.budget, "options": material(s.explainer, s.options)} for s in plan.stages
    ]
    return {
        "stages": stages, "limits": asdict(plan.limits), "enough": plan.rules.enough, "least": plan.rules.least,
        "first": plan.first, "seed": run.seed, "wave": [WAVE, WAVES],
    }  # fmt: skip


@lru_cache(maxsize=1)
def code_fingerprint() -> str:
    """Digest of the source of every room that decides what a sweep finds."""
    digest = hashlib.sha256()
    root = files("maieutic")
    for room in _ROOMS:
        stack = [root / room]
        while stack:
            place = stack.pop()
            for entry in sorted(place.iterdir(), key=lambda e: e.name):
                if entry.is_dir():
                    stack.append(entry)
                elif entry.name.endswith(".py") and not entry.name.startswith(_FORETELLING):
                    digest.update(f"{entry.name}\n".encode() + entry.read_bytes())
    return digest.hexdigest()[:16]


def _announce(run: Run, plan: SweepPlan, accept_code: bool) -> None:
    before, settings, code = run.store.rows(sweeps, name=NAME), _settings(run, plan), code_fingerprint()
    # a larger budget goes on with what is there; anything else is another sweep
    if before and {**before[0]["settings"], "limits": None} != {**settings, "limits": None}:
        raise StoreError(f"{run.folder} holds a sweep with other settings: use the same, or another --run folder")
    if before and before[0]["code"] != code and not accept_code:
        raise StoreError(
            f"the program changed since the sweep in {run.folder} began: use the old one, another --run folder, or "
            "--accept-code to mix both"
        )
    if not before and not plan.stages:
        raise UsageError("the cascade has no stage: name one, as in  --cascade search-no-experiments,search:120")
    row = {
        "name": NAME, "settings": settings, "code": code, "versions": versions(), "status": "running",
        "started_at": before[0]["started_at"] if before else now(),
    }  # fmt: skip
    with run.store.transaction() as connection:
        run.store.put(sweeps, [row], connection=connection)


def _finish(run: Run, seconds: float) -> None:
    row = run.store.rows(sweeps, name=NAME)[0]
    with run.store.transaction() as connection:
        run.store.put(
            sweeps, [{**row, "status": "done", "finished_at": now(), "seconds": seconds}], connection=connection
        )


def _summary(
    run: Run, plan: SweepPlan, course: Course, stopped: str | None, readings: Mapping[str, Mapping[str, Reading]]
) -> Swept:
    picked = {r["unit"]: r["explainer"] for r in run.store.stream(choices)}
    unlabelled = {(r["unit"], r["explainer"]) for r in run.store.stream(explanations) if r["reason"] is not None}
    ids = [run.ids[place] for place in course.main if run.ids.get(place) in picked]
    return Swept(
        units=len(ids),
        labelled=sum((unit, picked[unit]) not in unlabelled for unit in ids),
        failed=sum(bool(course.records[p]) and run.ids.get(p) not in picked for p in course.main),
        spent=course.spent,
        fresh=course.fresh,
        by_stage={s.explainer: sum(len(course.records[p]) > n for p in course.main) for n, s in enumerate(plan.stages)},
        stopped=stopped,
        readings=readings,
    )
