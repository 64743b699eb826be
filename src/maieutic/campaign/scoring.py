"""Score the explained units of a run on the test split, every control beside every score."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

from maieutic.campaign.explaining import explain_units, run_unit, stored_explanation, stored_row
from maieutic.campaign.run import Role, Run
from maieutic.campaign.station import Station, explanation_of, work_of
from maieutic.errors import UserError
from maieutic.executors import Broken, Executor, open_executor
from maieutic.explain import Explanation
from maieutic.lab import Budget
from maieutic.progress import Report, silent
from maieutic.readings import Reading
from maieutic.score import check_scorers, score
from maieutic.score.controls import Controls, NullUnit, null_unit, shuffled
from maieutic.score.evidence import Trial, trial
from maieutic.score.predictive import scored
from maieutic.store import CHOSEN, choices, jobs, now
from maieutic.store import scores as scores_table
from maieutic.subjects import Unit

#: the explainer whose label is the one-shot control
ONE_SHOT = "lookup"
#: units of a site measured in the same passes by scorers that make stimuli; bounds what a job carries
COMPANY = 512
_ITSELF = "the label is the one-shot label itself"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreJob:
    """One unit to score: plain data. Explanations are rows of the store with their unit's key.

    Attributes:
        role, key: the unit. found: its explanation.
        shuffled, one_shot: labels that stand beside it. nulls: explained null units by role.
        scorers, options: how it is scored.
        together: keys of units near it that will be scored too, which are measured in the same passes.
    """

    role: Role
    key: str
    found: Mapping[str, Any]
    shuffled: tuple[Mapping[str, Any], ...] = ()
    one_shot: Mapping[str, Any] | None = None
    nulls: tuple[Mapping[str, Any], ...] = ()
    scorers: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    together: tuple[str, ...] = ()


def score_units(
    run: Run,
    units: Sequence[Unit] | None = None,
    *,
    explainer: str = "search",
    scorers: Sequence[str] = ("predictive",),
    options: Mapping[str, Any] | None = None,
    executor: Executor | None = None,
    report: Report = silent,
) -> dict[str, dict[str, Reading]]:
    """Score explained units and write the readings.

    The one-shot control's labels are made here (by the look-up explainer, no measurements). Units without an
    explanation are left out.

    Args:
        run: opened for writing.
        units: which; ``None`` for all units of the run.
        explainer: whose explanations; ``chosen``: for each unit those that a sweep chose.
        scorers: names.
        options: of the scorers (``judge``, ``base_url`` ...); the details of a reading say which judge it is by.
        executor: who does it; ``None``: this process.
        report: called with progress.

    Returns:
        Readings by unit key.

    Raises:
        UsageError: unknown scorer or option, or no judge for a scorer that needs one.
        UserError: nothing of the run is explained yet.
    """
    check_scorers(scorers, options)  # before anything is measured
    chosen = run.units if units is None else units
    keys = list(dict.fromkeys(u.key for u in (*run.units, *chosen)))
    found = _rows(run, "main", keys, explainer)
    targets = [u for u in chosen if u.key in found]
    if not targets:
        raise UserError(
            f"no unit in {run.folder} is explained by {explainer}: run  maieutic explain {run.folder}  first"
        )
    # it measures nothing; the same settings as a sweep whose cascade names it
    explain_units(run, targets, explainer=ONE_SHOT, budget=Budget(measurements=0), nulls=False, executor=executor)
    work = _jobs(run, targets, found, explainer, tuple(scorers), dict(options or {}))
    readings: dict[str, dict[str, Reading]] = {}
    with report("score", run.subject.name) as step, nullcontext(executor) if executor else open_executor() as doing:
        step(0, len(targets))
        for ended in doing.run(work_of(run, doing, "maieutic.campaign.scoring:perform"), work):
            if isinstance(ended, Broken):
                raise UserError(
                    f"{work[ended.index].key} could not be scored ({ended.reason}): run the same command again"
                )
            job = work[ended.index]
            _write(run, job.role, run_unit(run, job.role, job.key), job.found["explainer"], ended.result)
            if job.role == "main":
                readings[job.key] = ended.result
                step(len(readings), len(targets))
    return {u.key: readings[u.key] for u in targets}


def _rows(run: Run, role: Role, keys: Sequence[str], explainer: str) -> dict[str, dict[str, Any]]:
    """Explanations of units by key; with ``chosen`` each unit's own choice."""
    rows: dict[str, dict[str, Any]] = {}
    picked = {r["unit"]: r["explainer"] for r in run.store.stream(choices)} if explainer == CHOSEN else {}
    for key in keys:
        name = picked.get(run.ids.get((role, key), -1)) if explainer == CHOSEN else explainer
        row = None if name is None else stored_row(run, role, key, explainer=name)
        if row is not None:
            rows[key] = row
    return rows


def _jobs(
    run: Run,
    targets: Sequence[Unit],
    found: Mapping[str, Mapping[str, Any]],
    explainer: str,
    scorers: tuple[str, ...],
    options: Mapping[str, Any],
) -> list[ScoreJob]:
    """Null units in their own right, then the targets with everything that stands beside them."""
    lent = shuffled([explanation_of(row) for row in found.values()], seed=run.seed)
    one_shot = _rows(run, "main", [u.key for u in targets], ONE_SHOT)
    roles: dict[Role, Sequence[Unit]] = {"direction": run.nulls.directions, "untrained": run.nulls.untrained}
    nulls: dict[Role, dict[str, dict[str, Any]]] = {
        role: _rows(run, role, [u.key for u in members], explainer) for role, members in roles.items()
    }
    own = [ScoreJob(role=role, key=key, found=row) for role, rows in nulls.items() for key, row in rows.items()]
    company = [tuple(u.key for u in targets[at : at + COMPANY]) for at in range(0, len(targets), COMPANY)]
    needed = set(scorers) - {"predictive"}
    beside: dict[str, tuple[dict[str, Any], ...]] = {
        site: tuple(
            nulls["direction"][u.key] for u in run.nulls.directions if u.site == site and u.key in nulls["direction"]
        )
        for site in run.sites
    }
    return own + [
        ScoreJob(
            role="main", key=u.key, found=found[u.key], one_shot=one_shot.get(u.key),
            shuffled=tuple(found[e.unit] for e in lent.get(u.key, ())), nulls=beside[u.site],
            scorers=scorers, options=options, together=company[at // COMPANY] if needed else (),
        )
        for at, u in enumerate(targets)
    ]  # fmt: skip


def perform(station: Station, job: ScoreJob) -> dict[str, Reading]:
    """Score one unit on the test split, every control beside it; a null unit in its own right, without controls.

    A null unit that cannot be scored (it never changes) has no readings.
    """
    place = station.place(job.role, job.key)
    found = station.explanation(job.found, job.role)
    if job.role != "main":
        on = _trial(station, job.role, job.key)
        return {} if isinstance(on, str) else scored(found, on, seed=station.seed, cache=station.shared.predictions)
    _together(station, job)
    controls = Controls(
        shuffled=[station.explanation(row) for row in job.shuffled],
        one_shot=None if job.one_shot is None else station.explanation(job.one_shot),
        missing={} if job.found["explainer"] != ONE_SHOT else {"one_shot": _ITSELF},
    )
    controls = _with_nulls(station, job, found, controls)
    return score(
        found, station.subject, place.unit, station.corpus, job.scorers,
        atlas=station.atlas, controls=controls, seed=station.seed, shared=station.shared, options=dict(job.options),
    )  # fmt: skip


def _trial(station: Station, role: Role, key: str) -> Trial | str:
    place = station.place(role, key)
    return trial(
        lambda split: place.atlas.observed(place.unit, split), modality=place.subject.modality, seed=station.seed
    )


def _together(station: Station, job: ScoreJob) -> None:
    """What is measured for one unit is measured for all of them in the same pass."""

    def company() -> bool:
        units = [station.subject.parse_unit(k) for k in job.together]
        station.shared.together(station.subject, [*units, *station.directions.values()])
        if station.has_nulls:
            station.shared.together(station.untrained[0], units)
        return True

    station.shared.once(("together", job.together), company)


def _with_nulls(station: Station, job: ScoreJob, found: Explanation, controls: Controls) -> Controls:
    """The same controls with the explained random directions and the untrained copy of the unit itself."""
    if not station.has_nulls:
        missing = {**controls.missing, "untrained": station.no_nulls, "random_direction": station.no_nulls}
        return replace(controls, missing=missing)
    key = tuple((row["key"], row["explainer"], row["label"]) for row in job.nulls)
    directions = station.shared.once(("directions", key), lambda: _directions(station, job.nulls))
    missing = dict(controls.missing)
    if not directions:
        missing["random_direction"] = "no random direction of this run is explained and measurable"
    on = _trial(station, "untrained", job.key)
    if isinstance(on, str):
        missing["untrained"] = f"untrained copy: {on}"
        return replace(controls, random_direction=directions, missing=missing)
    place = station.place("untrained", job.key)
    copy = null_unit(
        found, on, subject=place.subject, unit=place.unit, atlas=place.atlas, cache=station.shared.predictions
    )
    return replace(controls, random_direction=directions, untrained=(copy,), missing=missing)


def _directions(station: Station, rows: Sequence[Mapping[str, Any]]) -> tuple[NullUnit, ...]:
    """The explained random directions; one that cannot be scored is left out."""
    out: list[NullUnit] = []
    for row in rows:
        place, on = station.place("direction", row["key"]), _trial(station, "direction", row["key"])
        if not isinstance(on, str):
            found = station.explanation(row)
            out.append(
                null_unit(
                    found,
                    on,
                    subject=place.subject,
                    unit=place.unit,
                    atlas=place.atlas,
                    cache=station.shared.predictions,
                )  # fmt: skip
            )
    return tuple(out)


def _write(run: Run, role: Role, unit: Unit, explainer: str, readings: Mapping[str, Reading]) -> None:
    unit_id = run.unit_id(role, unit)
    rows: list[dict[str, Any]] = [
        {
            "unit": unit_id,
            "explainer": explainer,
            "name": name,
            "value": r.value,
            "low": r.low,
            "high": r.high,
            "n": r.n,
            "reason": r.reason,
            "details": dict(r.details),
            "seconds": r.cost.seconds,
        }
        for name, r in sorted(readings.items())
    ]
    job = {
        "unit": unit_id,
        "kind": "score",
        "explainer": explainer,
        "status": "done",
        "error": None,
        "finished_at": now(),
    }
    with run.store.transaction() as connection:
        run.store.put(scores_table, rows, connection=connection)
        run.store.put(jobs, [job], connection=connection)


def stored_readings(run: Run, unit: Unit, *, explainer: str, role: Role = "main") -> dict[str, Reading]:
    """The readings of a unit as the store has them, empty when it is not scored."""
    if (role, unit.key) not in run.ids:
        return {}
    return readings_of(run.store.rows(scores_table, unit=run.ids[role, unit.key], explainer=explainer))


def readings_of(rows: Iterable[Mapping[str, Any]]) -> dict[str, Reading]:
    """Rows of the table ``scores`` of one unit and explainer as readings by name."""
    return {
        r["name"]: Reading(
            name=r["name"],
            value=r["value"],
            low=r["low"],
            high=r["high"],
            n=r["n"],
            reason=r["reason"],
            details=r["details"],
        )
        for r in rows
    }


def null_results(run: Run, explainer: str) -> list[str]:
    """Per kind of null unit: how many got a label, and the mean AP of those."""
    roles: tuple[tuple[Role, str], ...] = (("untrained", "untrained copy"), ("direction", "random directions"))
    lines: list[str] = []
    for role, name in roles:
        if run.nulls.subject is None:
            continue
        units = run.nulls.untrained if role == "untrained" else run.nulls.directions
        found = [stored_explanation(run, role, u, explainer=explainer) for u in units]
        readings = [stored_readings(run, u, explainer=explainer, role=role) for u in units]
        labelled = [r for f, r in zip(found, readings, strict=True) if f is not None and not f.abstained and r]
        values = [v for r in labelled if (v := r["predictive"].value) is not None]
        mean = f"mean AP {sum(values) / len(values):.2f}" if values else "AP unmeasured"
        lines.append(f"{name}: {len(labelled)} of {len(units)} got a label, {mean}")
    return lines
