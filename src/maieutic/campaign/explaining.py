"""Explain the units of a run: one unit, one transaction.

A unit that is done with the same settings is skipped, so a run that was killed goes on where it was; a unit whose
explainer raised is recorded as failed with the reason, and the run goes on.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Literal

from maieutic.campaign.run import Role, Run
from maieutic.campaign.station import Station, explanation_of, work_of
from maieutic.errors import StoreError, UserError
from maieutic.executors import Broken, Executor, open_executor
from maieutic.explain import Explanation, Viewer, check_explainer, explain, material, options_of, viewer_of
from maieutic.lab import Budget, Entry, Lab
from maieutic.progress import Report, silent
from maieutic.score.standing import standing
from maieutic.store import experiments, explanations, now, picture_bytes, scores, write_picture
from maieutic.store import jobs as jobs_table
from maieutic.subjects import Unit

#: rises when an explainer's results change for the same inputs
EXPLAIN_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A unit whose explainer raised."""

    unit: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainJob:
    """One unit to explain: plain data, so that any worker can do it.

    Attributes:
        role, key: the unit.
        explainer, budget, options: how.
        keep: whether all pictures shown in experiments are kept, or those of the evidence only.
    """

    role: Role
    key: str
    explainer: str
    budget: int
    options: Mapping[str, Any]
    keep: Literal["all", "evidence"] = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """What explaining a unit gave, as rows of the store without the unit's id.

    Attributes:
        explanation: ``None`` when it failed; ``failure`` says why then.
        experiments: the ledger.
        pictures: content ids and WebP previews of what was shown.
        seconds: wall time.
    """

    explanation: Mapping[str, Any] | None
    experiments: tuple[Mapping[str, Any], ...]
    pictures: tuple[tuple[str, bytes], ...]
    failure: str | None
    seconds: float


def explain_units(
    run: Run,
    units: Sequence[Unit] | None = None,
    *,
    explainer: str = "search",
    budget: Budget | None = None,
    nulls: bool = True,
    options: Mapping[str, Any] | None = None,
    executor: Executor | None = None,
    report: Report = silent,
) -> list[Failure]:
    """Explain units and write what was found.

    Args:
        run: opened for writing.
        units: which; ``None`` for all units of the run.
        explainer: a name of ``maieutic.explain.explainers``.
        budget: of each unit.
        nulls: also explain the run's null units, which scores stand beside.
        options: of the explainer; part of what makes a stored explanation the same.
        executor: who does it; ``None``: this process.
        report: called with progress.

    Returns:
        The units that failed, with why. Everything else is in the store.
    """
    budget, options = budget or Budget(), dict(options or {})
    check_explainer(explainer, **options)
    places: list[tuple[Role, str]] = [("main", u.key) for u in (run.units if units is None else units)]
    if nulls:
        places += null_places(run)
    settings = settings_of(explainer, budget.measurements, options, seed=run.seed)
    jobs = [job_of(run, role, key, explainer, budget.measurements, options) for role, key in places]
    waiting = [j for j in jobs if not is_done(run, j, settings)]
    failures: list[Failure] = []
    with report("explain", run.subject.name) as step:
        step(len(jobs) - len(waiting), len(jobs))
        done = len(jobs) - len(waiting)
        for job, outcome in performed(run, waiting, executor):
            write_explained(run, job, outcome, settings)
            failures += [Failure(unit=job.key, reason=outcome.failure)] if outcome.failure else []
            done += 1
            step(done, len(jobs))
    return failures


def null_places(run: Run) -> list[tuple[Role, str]]:
    """Roles and keys of the run's null units."""
    places: list[tuple[Role, str]] = [("direction", u.key) for u in run.nulls.directions]
    return places + [("untrained", u.key) for u in run.nulls.untrained]


def settings_of(explainer: str, budget: int, options: Mapping[str, Any], *, seed: int) -> dict[str, Any]:
    """What makes a stored explanation the one that is wanted."""
    settings: dict[str, Any] = {"budget": budget, "seed": seed, "version": EXPLAIN_VERSION}
    if options:
        settings["options"] = material(explainer, options)
    return settings


def job_of(
    run: Run,
    role: Role,
    key: str,
    explainer: str,
    budget: int,
    options: Mapping[str, Any],
    *,
    keep: Literal["all", "evidence"] = "all",
) -> ExplainJob:
    """The job of explaining one unit of a run; transcripts go to the run's folder."""
    given = dict(options)
    if "transcripts" in options_of(explainer):
        given["transcripts"] = run.folder / "transcripts"
    return ExplainJob(role=role, key=key, explainer=explainer, budget=budget, options=given, keep=keep)


def is_done(run: Run, job: ExplainJob, settings: Mapping[str, Any]) -> bool:
    """Whether the store has this unit's explanation by these settings."""
    unit = run.ids.get((job.role, job.key))
    rows = [] if unit is None else run.store.rows(explanations, unit=unit, explainer=job.explainer)
    return bool(rows) and rows[0]["settings"] == dict(settings)


def performed(
    run: Run, jobs: Sequence[ExplainJob], executor: Executor | None = None
) -> Iterator[tuple[ExplainJob, Explained]]:
    """Jobs with their outcomes, as they finish. A job whose worker was lost for good is a failure."""
    with nullcontext(executor) if executor is not None else open_executor() as doing:
        work = work_of(run, doing, "maieutic.campaign.explaining:perform")
        for ended in doing.run(work, jobs):
            if isinstance(ended, Broken):
                outcome = Explained(explanation=None, experiments=(), pictures=(), failure=ended.reason, seconds=0.0)
                yield jobs[ended.index], outcome
            else:
                yield jobs[ended.index], ended.result


def perform(station: Station, job: ExplainJob) -> Explained:
    """Explain one unit. Has no effect but its result (and an agent's transcript)."""
    place = station.place(job.role, job.key)
    lab = Lab(
        place.subject, place.unit, place.atlas,
        budget=Budget(measurements=job.budget), seed=station.seed, bank=place.bank,
    )  # fmt: skip
    started, row, failure = time.perf_counter(), None, None
    try:
        found = explain(lab, job.explainer, **job.options)
        stands = standing(
            found, lambda split: place.atlas.observed(place.unit, split), modality=lab.subject.modality, seed=lab.seed
        )
        row = _explanation_row(found, job.explainer, stands, time.perf_counter() - started)
    except StoreError:
        raise
    except Exception as error:  # explainers may be plug-ins: whatever one raises is that unit's failure, recorded
        why = str(error).splitlines()[0] if str(error) else "no message"
        failure = why if isinstance(error, UserError) else f"{type(error).__name__}: {why}"
    entries = lab.ledger.entries
    wanted = _cited(lab, row) if job.keep == "evidence" else set(lab.shown)
    return Explained(
        explanation=row,
        experiments=tuple(_experiment_row(e, job.explainer, n) for n, e in enumerate(entries, start=1)),
        pictures=tuple(
            (s.id, picture_bytes(s.content)) for i, s in lab.shown.items() if s.modality == "image" and i in wanted
        ),
        failure=failure,
        seconds=time.perf_counter() - started,
    )


def _cited(lab: Lab, row: Mapping[str, Any] | None) -> set[str]:
    """Content ids of what the evidence and its originals showed."""
    cited = [lab.ledger[i] for i in (row["evidence"] if row else ())]
    pairs = [lab.ledger[e.pair] for e in cited if e.pair]
    return {e.stimulus for e in [*cited, *pairs]}


def write_explained(run: Run, job: ExplainJob, outcome: Explained, settings: Mapping[str, Any]) -> None:
    """Everything about one unit's explanation in one transaction; what an earlier attempt left is replaced."""
    for content_id, data in outcome.pictures:
        write_picture(run.folder / "images", content_id=content_id, data=data)
    unit, explainer = run.unit_id(job.role, run_unit(run, job.role, job.key)), job.explainer
    finished = {
        "unit": unit,
        "kind": "explain",
        "explainer": explainer,
        "status": "failed" if outcome.failure else "done",
        "error": outcome.failure,
        "finished_at": now(),
    }
    with run.store.transaction() as connection:
        for table in (experiments, explanations, scores):
            connection.execute(table.delete().where(table.c.unit == unit, table.c.explainer == explainer))
        run.store.put(experiments, [{**r, "unit": unit} for r in outcome.experiments], connection=connection)
        if outcome.explanation is not None:
            row = {**outcome.explanation, "unit": unit, "settings": dict(settings), "written_at": now()}
            run.store.put(explanations, [row], connection=connection)
        run.store.put(jobs_table, [finished], connection=connection)


def run_unit(run: Run, role: Role, key: str) -> Unit:
    """The unit of a role and key."""
    if role == "direction":
        return next(u for u in run.nulls.directions if u.key == key)
    return run.subject.parse_unit(key)


def _experiment_row(entry: Entry, explainer: str, number: int) -> dict[str, Any]:
    return {
        "explainer": explainer,
        "number": number,
        "entry": entry.id,
        "kind": entry.kind,
        "hypothesis": entry.hypothesis,
        "expect": entry.expect,
        "value": entry.value,
        "scaled": entry.scaled,
        "stimulus": entry.stimulus,
        "shown": entry.shown,
        "position": entry.position,
        "pair": entry.pair,
        "seed": entry.seed,
        "detail": dict(entry.detail),
        "tokens": entry.cost.tokens,
        "images": entry.cost.images,
        "fresh": int(entry.fresh),
        "seconds": entry.cost.seconds,
    }


def _explanation_row(found: Explanation, explainer: str, stands: float | None, seconds: float) -> dict[str, Any]:
    return {
        "explainer": explainer,
        "label": found.label,
        "predicate": found.predicate.to_json(),
        "confidence": found.confidence,
        "reason": found.reason,
        "evidence": list(found.evidence),
        "considered": [list(c) for c in found.considered],
        "measurements": found.cost.measurements,
        "llm_tokens": found.cost.llm_tokens,
        "dollars": found.cost.dollars,
        "standing": stands,
        "seconds": seconds,
    }


def stored_row(run: Run, role: Role, key: str, *, explainer: str) -> dict[str, Any] | None:
    """The row of an explanation, with its unit's key; ``None`` when there is none."""
    if (role, key) not in run.ids:
        return None
    rows = run.store.rows(explanations, unit=run.ids[role, key], explainer=explainer)
    return {**rows[0], "key": key} if rows else None


def stored_explanation(
    run: Run, role: Role, unit: Unit, *, explainer: str, viewer: Viewer | None = None
) -> Explanation | None:
    """The explanation of a unit as the store has it, able to predict; ``None`` when there is none."""
    row = stored_row(run, role, unit.key, explainer=explainer)
    return None if row is None else explanation_of(row, viewer=viewer or viewer_of(run.subject, run.corpus))
