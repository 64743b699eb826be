"""A sweep: every unit of a run through a cascade of explainers under one budget, then scored; stopped and resumed at will.

Work goes in waves: a wave is planned from what earlier waves left in the store, written down, and only then run, so a
sweep that was killed and run again plans the same waves and ends with the same store. A unit is granted its stage's full
budget of measurements before it starts, and what it did not use goes back, so the limit is never passed. Budgets count
what was asked, not what was fresh.

What this does not do: limit tokens or dollars of a whole sweep (explainers that use language models have limits of their
own for each unit), or study more than one site.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any, cast

from maieutic.campaign.cascade import Record, Rules, Stage, best_of, order_of
from maieutic.campaign.explaining import (
    ExplainJob,
    is_done,
    job_of,
    null_places,
    performed,
    settings_of,
    write_explained,
)
from maieutic.campaign.run import Role, Run, versions
from maieutic.campaign.scoring import score_units
from maieutic.errors import StoreError, UsageError
from maieutic.executors import Executor, open_executor
from maieutic.explain import check_explainer, material
from maieutic.lab.effects import activation_mass
from maieutic.progress import Report, Step, silent
from maieutic.readings import Reading
from maieutic.score import check_scorers
from maieutic.store import CHOSEN, choices, experiments, explanations, jobs, now, sweeps, waves

#: units planned together; part of what decides a sweep's results, so no option of how it is run
WAVE = 64
NAME = "main"
LATE = "the time is up: run the same command again to go on"
#: rooms whose code decides what a sweep finds
_ROOMS = ("subjects", "stimuli", "harvest", "lab", "explain", "score", "campaign")


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepPlan:
    """What decides a sweep's results.

    Attributes:
        stages: explainers, cheapest first.
        measurements: asked by all units together, at most; ``None``: no limit but those of the stages.
        rules: which units go on.
        scorers: how the chosen explanations are scored in the end; empty: not at all.
        by_mass: whether units with more activation go first.
    """

    stages: tuple[Stage, ...]
    measurements: int | None = None
    rules: Rules = Rules()
    scorers: tuple[str, ...] = ("predictive",)
    by_mass: bool = True


@dataclass(frozen=True, kw_only=True)
class Swept:
    """What a sweep came to.

    Attributes:
        units: main units with a chosen explanation. labelled: of these, not abstained. failed: main units without any.
        asked: measurements in all ledgers, null units included. fresh: of these, measured anew.
        by_stage: units that went through each stage.
        stopped: why not everything was done; ``None`` when it was.
        readings: by unit, when scored.
    """

    units: int
    labelled: int
    failed: int
    asked: int
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
        UserError: an explainer or scorer cannot start.
    """
    for stage in plan.stages:
        check_explainer(stage.explainer, **stage.options)
    if plan.scorers:
        check_scorers(plan.scorers)
    started = time.monotonic()
    _announce(run, plan, accept_code)
    with nullcontext(executor) if executor is not None else open_executor() as doing:
        deadline = None if minutes is None else started + 60 * minutes
        stopped = _explain(run, plan, doing, deadline, report)
        _choose(run, plan)
        readings: Mapping[str, Mapping[str, Reading]] = {}
        if plan.scorers and stopped != LATE:
            readings = score_units(run, explainer=CHOSEN, scorers=plan.scorers, executor=doing, report=report)
    if stopped != LATE:
        _finish(run, time.monotonic() - started)
    return _summary(run, plan, stopped, readings)


def _explain(run: Run, plan: SweepPlan, doing: Executor, deadline: float | None, report: Report) -> str | None:
    """Wave after wave until nothing is left to do, or why it stopped."""
    weights = _weights(run, plan)
    with report("sweep", run.subject.name) as step:
        while True:
            planned = _unfinished(run) or _next_wave(run, plan, weights)
            if isinstance(planned, str):
                return planned
            if not planned:
                return None
            late = _run_wave(run, plan, planned, doing, deadline, step)
            if late:
                return LATE


@dataclass(frozen=True, slots=True)
class _Granted:
    """A unit's next stage, with the measurements it may ask for."""

    role: Role
    key: str
    stage: int
    budget: int


def _unfinished(run: Run) -> list[_Granted]:
    """The last wave that was planned, when it is not all done."""
    rows = run.store.rows(waves)
    if not rows:
        return []
    last = [_Granted(*row) for row in rows[-1]["jobs"]]
    done = _ended(run)
    names = {(run.ids.get((g.role, g.key)), g.stage) for g in last}
    return last if any((unit, stage) not in done for unit, stage in names) else []


def _ended(run: Run) -> dict[tuple[int | None, int], bool]:
    """Stages that ended, by unit and number: whether with an explanation."""
    settings = run.store.rows(sweeps, name=NAME)[0]["settings"]
    number = {s["explainer"]: i for i, s in enumerate(settings["stages"])}
    return {
        (r["unit"], number[r["explainer"]]): r["status"] == "done"
        for r in run.store.stream(jobs, kind="explain")
        if r["explainer"] in number
    }


def _histories(run: Run, plan: SweepPlan) -> dict[str, list[Record]]:
    """Records of every unit, main units first; names are ``role key``."""
    rows = {(r["unit"], r["explainer"]): r for r in run.store.stream(explanations)}
    ended = _ended(run)
    places: list[tuple[Role, str]] = [("main", u.key) for u in run.units]
    found: dict[str, list[Record]] = {}
    for role, key in places + null_places(run):
        unit, records = run.ids.get((role, key)), list[Record]()
        for n, stage in enumerate(plan.stages):
            if (unit, n) not in ended:
                break
            row = rows.get((unit, stage.explainer)) if unit is not None else None
            asked = 0 if row is None else int(row["measurements"])
            records.append(Record(standing=None if row is None else row["standing"], measurements=asked))
        found[f"{role} {key}"] = records
    return found


def _next_wave(run: Run, plan: SweepPlan, weights: Mapping[str, float]) -> list[_Granted] | str:
    """The next wave, written down; empty when nothing is worth doing; or why nothing can be."""
    histories = _histories(run, plan)
    main = [name for name in histories if name.startswith("main ")]
    order = order_of(histories, plan.stages, plan.rules, weights=weights, learn_from=main)
    left = None if plan.measurements is None else plan.measurements - _asked(run, plan)
    wave: list[_Granted] = []
    for name, stage in order:
        budget = plan.stages[stage].budget
        if left is not None and budget > left:
            continue
        left = None if left is None else left - budget
        role, _, key = name.partition(" ")
        wave.append(_Granted(cast("Role", role), key, stage, budget))
        if len(wave) == WAVE:
            break
    if order and not wave:
        return f"the budget is spent ({plan.measurements:,} measurements)"
    if wave:
        rows = run.store.rows(waves)
        row = {"number": len(rows) + 1, "jobs": [[g.role, g.key, g.stage, g.budget] for g in wave]}
        with run.store.transaction() as connection:
            run.store.put(waves, [row], connection=connection)
    return wave


def _run_wave(
    run: Run, plan: SweepPlan, wave: Sequence[_Granted], doing: Executor, deadline: float | None, step: Step
) -> bool:
    """Run what of a wave is not done. Whether the time was up before all of it was."""
    waiting: list[ExplainJob] = []
    settings: dict[tuple[str, str, str], dict[str, Any]] = {}
    ended = _ended(run)
    for g in wave:
        stage = plan.stages[g.stage]
        job = job_of(run, g.role, g.key, stage.explainer, g.budget, stage.options, keep="evidence")
        wanted = settings_of(stage.explainer, g.budget, stage.options, seed=run.seed)
        if not is_done(run, job, wanted) and (run.ids.get((g.role, g.key)), g.stage) not in ended:
            waiting.append(job)
            settings[job.role, job.key, job.explainer] = wanted
    done, total = _progress(run, plan)
    step(done, total)
    if deadline is not None and time.monotonic() >= deadline:
        return bool(waiting)
    results = cast("Iterator[Any]", performed(run, waiting, doing))
    finished = 0
    with closing(results):  # pyright: ignore[reportArgumentType]
        for job, outcome in results:
            write_explained(run, job, outcome, settings[job.role, job.key, job.explainer])
            finished += 1
            step(done + finished, total)
            if deadline is not None and time.monotonic() >= deadline:
                break
    return finished < len(waiting)


def _progress(run: Run, plan: SweepPlan) -> tuple[int, int]:
    """Stages that ended, and how many there are if every unit not yet seen went through the first and no more."""
    ended = _ended(run)
    seen = {unit for unit, stage in ended if stage == 0}
    units = len(run.units) + len(null_places(run))
    return len(ended), len(ended) + units - len(seen)


def _asked(run: Run, plan: SweepPlan) -> int:
    """Entries of all ledgers, those of units that failed included."""
    return sum(run.store.count(experiments, explainer=s.explainer) for s in plan.stages)


def _weights(run: Run, plan: SweepPlan) -> dict[str, float]:
    """Activation mass of main units, the largest 1; null units weigh as much as the median."""
    if not plan.by_mass or not run.units:
        return {}
    mass = activation_mass(run.atlas, run.units)
    top = float(mass.max()) or 1.0
    weights = {f"main {u.key}": float(m) / top for u, m in zip(run.units, mass, strict=True)}
    middle = sorted(weights.values())[len(weights) // 2]
    return {**weights, **{f"{role} {key}": middle for role, key in null_places(run)}}


def _choose(run: Run, plan: SweepPlan) -> None:
    """For each unit the explanation that stands best on select, in one transaction."""
    weights, chosen = _weights(run, plan), list[dict[str, Any]]()
    for name, records in _histories(run, plan).items():
        role, _, key = name.partition(" ")
        if not any(r.standing is not None for r in records):
            continue
        place, value = best_of(records)
        why = "the only one" if len(records) == 1 else f"stands best of {len(records)} on the select split"
        chosen.append(
            {
                "unit": run.ids[role, key],
                "explainer": plan.stages[place].explainer,
                "standing": value,
                "importance": weights.get(name),
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
        "stages": stages, "measurements": plan.measurements, "enough": plan.rules.enough, "least": plan.rules.least,
        "by_mass": plan.by_mass, "seed": run.seed, "wave": WAVE,
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
                elif entry.name.endswith(".py"):
                    digest.update(f"{entry.name}\n".encode() + entry.read_bytes())
    return digest.hexdigest()[:16]


def _announce(run: Run, plan: SweepPlan, accept_code: bool) -> None:
    before, settings, code = run.store.rows(sweeps, name=NAME), _settings(run, plan), code_fingerprint()
    # a larger budget goes on with what is there; anything else is another sweep
    if before and {**before[0]["settings"], "measurements": None} != {**settings, "measurements": None}:
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


def _summary(run: Run, plan: SweepPlan, stopped: str | None, readings: Mapping[str, Mapping[str, Reading]]) -> Swept:
    main = {run.ids["main", u.key] for u in run.units}
    picked = {r["unit"]: r["explainer"] for r in run.store.stream(choices) if r["unit"] in main}
    rows = {(r["unit"], r["explainer"]): r["reason"] for r in run.store.stream(explanations)}
    ended, names = _ended(run), {s.explainer for s in plan.stages}
    fresh = sum(run.store.count(experiments, explainer=name, fresh=1) for name in sorted(names))
    return Swept(
        units=len(picked),
        labelled=sum(rows[unit, name] is None for unit, name in picked.items()),
        failed=len({unit for unit, _ in ended if unit in main} - set(picked)),
        asked=_asked(run, plan),
        fresh=fresh,
        by_stage={
            s.explainer: sum(stage == n and unit in main for unit, stage in ended) for n, s in enumerate(plan.stages)
        },
        stopped=stopped,
        readings=readings,
    )
