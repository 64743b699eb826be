"""Explain the units of a run: one unit, one transaction.

A unit that is done with the same settings is skipped, so a run that was killed goes on where it was; a unit whose
explainer raised is recorded as failed with the reason, and the run goes on.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from maieutic.campaign.run import Role, Run
from maieutic.errors import StoreError, UserError
from maieutic.explain import Explanation, Viewer, check_explainer, explain, material, options_of, viewer_of
from maieutic.explain.predicates import from_json
from maieutic.lab import Budget, Entry, Lab
from maieutic.progress import Report, silent
from maieutic.readings import Cost
from maieutic.store import Store, experiments, explanations, jobs, now, scores, write_image
from maieutic.subjects import Subject, Unit

#: rises when an explainer's results change for the same inputs
EXPLAIN_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A unit whose explainer raised."""

    unit: str
    reason: str


@dataclass(frozen=True, slots=True)
class _Task:
    role: Role
    unit: Unit
    subject: Subject
    atlas: Any


def explain_units(
    run: Run,
    units: Sequence[Unit] | None = None,
    *,
    explainer: str = "search",
    budget: Budget | None = None,
    nulls: bool = True,
    options: Mapping[str, Any] | None = None,
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
        report: called with progress.

    Returns:
        The units that failed, with why. Everything else is in the store.
    """
    budget, options = budget or Budget(), dict(options or {})
    check_explainer(explainer, **options)
    tasks = _tasks(run, run.units if units is None else units, nulls=nulls)
    settings: dict[str, Any] = {"budget": budget.measurements, "seed": run.seed, "version": EXPLAIN_VERSION}
    if options:
        settings["options"] = material(explainer, options)
    if "transcripts" in options_of(explainer):
        options["transcripts"] = run.folder / "transcripts"
    failures: list[Failure] = []
    with report("explain", run.subject.name) as step:
        step(0, len(tasks))
        for done, task in enumerate(tasks, start=1):
            unit_id = run.unit_id(task.role, task.unit)
            if not _is_done(run.store, unit_id, explainer, settings):
                failure = _explain_one(run, task, unit_id, explainer, budget, settings, options)
                failures += [failure] if failure else []
            step(done, len(tasks))
    return failures


def _tasks(run: Run, units: Sequence[Unit], *, nulls: bool) -> list[_Task]:
    tasks = [_Task("main", u, run.subject, run.atlas) for u in units]
    if nulls:
        tasks += [_Task("direction", u, run.subject, run.atlas) for u in run.nulls.directions]
        if run.nulls.subject is not None:
            tasks += [_Task("untrained", u, run.nulls.subject, run.nulls.atlas) for u in run.nulls.untrained]
    return tasks


def _is_done(store: Store, unit_id: int, explainer: str, settings: dict[str, Any]) -> bool:
    rows = store.rows(explanations, unit=unit_id, explainer=explainer)
    return bool(rows) and rows[0]["settings"] == settings


def _explain_one(
    run: Run,
    task: _Task,
    unit_id: int,
    explainer: str,
    budget: Budget,
    settings: dict[str, Any],
    options: Mapping[str, Any],
) -> Failure | None:
    lab, started = Lab(task.subject, task.unit, task.atlas, budget=budget, seed=run.seed), time.perf_counter()
    found, failure = None, None
    try:
        found = explain(lab, explainer, **options)
    except StoreError:
        raise
    except Exception as error:  # explainers may be plug-ins: whatever one raises is that unit's failure, recorded
        why = str(error).splitlines()[0] if str(error) else "no message"
        failure = Failure(
            unit=task.unit.key, reason=why if isinstance(error, UserError) else f"{type(error).__name__}: {why}"
        )
    for stimulus in lab.shown.values():
        if stimulus.modality == "image":
            write_image(run.folder / "images", content_id=stimulus.id, image=stimulus.content)
    _write(run.store, unit_id, explainer, lab.ledger.entries, found, failure, settings, time.perf_counter() - started)
    return failure


def _write(
    store: Store,
    unit_id: int,
    explainer: str,
    entries: Sequence[Entry],
    found: Explanation | None,
    failure: Failure | None,
    settings: dict[str, Any],
    seconds: float,
) -> None:
    """Everything about one unit's explanation in one transaction; what an earlier attempt left is replaced."""
    job = {
        "unit": unit_id,
        "kind": "explain",
        "explainer": explainer,
        "status": "failed" if failure else "done",
        "error": failure.reason if failure else None,
        "finished_at": now(),
    }
    with store.transaction() as connection:
        for table in (experiments, explanations, scores):
            connection.execute(table.delete().where(table.c.unit == unit_id, table.c.explainer == explainer))
        rows = [_experiment_row(e, unit_id, explainer, n) for n, e in enumerate(entries, start=1)]
        store.put(experiments, rows, connection=connection)
        if found is not None:
            store.put(
                explanations, [_explanation_row(found, unit_id, explainer, settings, seconds)], connection=connection
            )
        store.put(jobs, [job], connection=connection)


def _experiment_row(entry: Entry, unit_id: int, explainer: str, number: int) -> dict[str, Any]:
    return {
        "unit": unit_id,
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
        "seconds": entry.cost.seconds,
    }


def _explanation_row(
    found: Explanation, unit_id: int, explainer: str, settings: dict[str, Any], seconds: float
) -> dict[str, Any]:
    return {
        "unit": unit_id,
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
        "settings": settings,
        "written_at": now(),
        "seconds": seconds,
    }


def stored_explanation(
    run: Run, role: Role, unit: Unit, *, explainer: str, viewer: Viewer | None = None
) -> Explanation | None:
    """The explanation of a unit as the store has it, able to predict; ``None`` when there is none."""
    if (role, unit.key) not in run.ids:
        return None
    rows = run.store.rows(explanations, unit=run.ids[role, unit.key], explainer=explainer)
    if not rows:
        return None
    row = rows[0]
    return Explanation(
        unit=unit.key,
        label=row["label"],
        predicate=from_json(row["predicate"]),
        explainer=explainer,
        confidence=row["confidence"],
        reason=row["reason"],
        evidence=tuple(row["evidence"]),
        considered=tuple((label, why) for label, why in row["considered"]),
        cost=Cost(
            measurements=row["measurements"],
            llm_tokens=row["llm_tokens"],
            dollars=row["dollars"],
            seconds=row["seconds"],
        ),
        viewer=viewer or viewer_of(run.subject, run.corpus),
    )
