"""Score the explained units of a run on the test split, every control beside every score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from maieutic.campaign.explaining import explain_units, stored_explanation
from maieutic.campaign.run import Role, Run
from maieutic.errors import UserError
from maieutic.explain import Explanation, Viewer, viewer_of
from maieutic.harvest import Atlas
from maieutic.progress import Report, silent
from maieutic.readings import Reading
from maieutic.score import check_scorers, score
from maieutic.score.controls import Controls, NullUnit, null_unit, shuffled
from maieutic.score.evidence import Predictions, trial
from maieutic.score.predictive import scored
from maieutic.score.shared import Shared
from maieutic.store import jobs, now
from maieutic.store import scores as scores_table
from maieutic.subjects import Subject, Unit

#: the explainer whose label is the one-shot control
ONE_SHOT = "lookup"
_ITSELF = "the label is the one-shot label itself"


def score_units(
    run: Run,
    units: Sequence[Unit] | None = None,
    *,
    explainer: str = "search",
    scorers: Sequence[str] = ("predictive",),
    options: Mapping[str, Any] | None = None,
    report: Report = silent,
) -> dict[str, dict[str, Reading]]:
    """Score explained units and write the readings.

    The one-shot control's labels are made here (by the look-up explainer, no measurements). Units without an
    explanation are left out.

    Args:
        run: opened for writing.
        units: which; ``None`` for all units of the run.
        explainer: whose explanations.
        scorers: names.
        options: of the scorers (``judge``, ``base_url`` ...); the details of a reading say which judge it is by.
        report: called with progress.

    Returns:
        Readings by unit key.

    Raises:
        UsageError: unknown scorer or option, or no judge for a scorer that needs one.
        UserError: nothing of the run is explained yet.
    """
    check_scorers(scorers, options)  # before anything is measured
    viewer = viewer_of(run.subject, run.corpus)
    found = _explained(run, "main", run.units, explainer, viewer)
    chosen = run.units if units is None else units
    more = [u for u in chosen if u.key not in found]
    found |= _explained(run, "main", more, explainer, viewer)
    targets = [u for u in chosen if u.key in found]
    if not targets:
        raise UserError(
            f"no unit in {run.folder} is explained by {explainer}: run  maieutic explain {run.folder}  first"
        )
    explain_units(run, targets, explainer=ONE_SHOT, nulls=False)
    one_shot = _explained(run, "main", targets, ONE_SHOT, viewer)
    lent, memory = shuffled(list(found.values()), seed=run.seed), _memory(run, targets)
    base = _null_controls(run, explainer, viewer, memory.predictions)
    readings: dict[str, dict[str, Reading]] = {}
    with report("score", run.subject.name) as step:
        for done, unit in enumerate(targets, start=1):
            controls = replace(base, shuffled=lent.get(unit.key, ()), one_shot=one_shot.get(unit.key))
            if explainer == ONE_SHOT:
                controls = replace(controls, missing={**controls.missing, "one_shot": _ITSELF})
            if run.nulls.atlas is not None:
                untrained = _untrained(run, unit, found[unit.key], memory.predictions)
                if isinstance(untrained, str):
                    controls = replace(controls, missing={**controls.missing, "untrained": untrained})
                else:
                    controls = replace(controls, untrained=untrained)
            readings[unit.key] = score(
                found[unit.key], run.subject, unit, run.corpus, scorers,
                atlas=run.atlas, controls=controls, seed=run.seed, shared=memory, options=options,
            )  # fmt: skip
            _write(run, "main", unit, explainer, readings[unit.key])
            step(done, len(targets))
    return readings


def _memory(run: Run, targets: Sequence[Unit]) -> Shared:
    """A memory for this run: what is measured for one unit is measured for all of them in the same pass."""
    memory = Shared()
    memory.together(run.subject, [*targets, *run.nulls.directions])
    if run.nulls.subject is not None:
        memory.together(run.nulls.subject, targets)
    return memory


def _explained(
    run: Run, role: Role, units: Sequence[Unit], explainer: str, viewer: Viewer | None
) -> dict[str, Explanation]:
    rows = {u.key: stored_explanation(run, role, u, explainer=explainer, viewer=viewer) for u in units}
    return {key: found for key, found in rows.items() if found is not None}


def _null_controls(run: Run, explainer: str, viewer: Viewer, cache: Predictions) -> Controls:
    """The explained random directions; ``_untrained`` adds the untrained copy unit by unit."""
    if run.nulls.subject is None:
        why = run.nulls.reason or "the run has no null units"
        return Controls(missing={"untrained": why, "random_direction": why})
    _null_units(run, "untrained", explainer, viewer_of(run.nulls.subject, run.corpus), cache)
    directions = _null_units(run, "direction", explainer, viewer, cache)
    missing = {} if directions else {"random_direction": "no random direction of this run is explained and measurable"}
    return Controls(random_direction=directions, missing=missing)


def _null_units(run: Run, role: Role, explainer: str, viewer: Viewer, cache: Predictions) -> tuple[NullUnit, ...]:
    """The run's null units with their explanations, scored in their own right: what explaining nothing gets.

    One that cannot be scored (it never changes) is left out.
    """
    units, subject, atlas = null_side(run, role)
    found = _explained(run, role, units, explainer, viewer)
    out: list[NullUnit] = []
    for unit in units:
        on = trial(lambda split, u=unit: atlas.observed(u, split), modality=subject.modality, seed=run.seed)
        if unit.key in found and not isinstance(on, str):
            _write(run, role, unit, explainer, scored(found[unit.key], on, seed=run.seed, cache=cache))
            out.append(null_unit(found[unit.key], on, subject=subject, unit=unit, atlas=atlas, cache=cache))
    return tuple(out)


def null_side(run: Run, role: Role) -> tuple[tuple[Unit, ...], Subject, Atlas]:
    """The null units of a role, with the subject and the atlas they are read from."""
    if role == "direction":
        return run.nulls.directions, run.subject, run.atlas
    assert run.nulls.subject is not None
    assert run.nulls.atlas is not None
    return run.nulls.untrained, run.nulls.subject, run.nulls.atlas


def _untrained(run: Run, unit: Unit, found: Explanation, cache: Predictions) -> tuple[NullUnit, ...] | str:
    """The label on the same unit of the untrained copy, or why that cannot be scored."""
    atlas = run.nulls.atlas
    assert atlas is not None
    on = trial(lambda split: atlas.observed(unit, split), modality=run.subject.modality, seed=run.seed)
    if isinstance(on, str):
        return f"untrained copy: {on}"
    return (null_unit(found, on, subject=run.nulls.subject, unit=unit, atlas=atlas, cache=cache),)


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
    rows = run.store.rows(scores_table, unit=run.ids[role, unit.key], explainer=explainer)
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
