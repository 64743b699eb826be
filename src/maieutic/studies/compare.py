"""Two finished runs side by side: whose units can be interpreted better, never without the controls of each.

For any two models that were harvested, explained and scored (`maieutic harvest`, `explain`, `score`), of one architecture or of
two. What is set side by side is the average precision (AP) of labels at held-out positions, over the units of each run, and the
same of what means nothing: random directions that went through the same explainer, and a constant. A difference of models is
given with the difference of their controls and the difference over controls; where a run has none, it is unmeasured.

*Live* units are those that can be scored: they change, and they are active often enough on the test split. One that the
explainer declined to label gets the constant's AP, as everywhere. *All* units count the others as not reaching any score.

Intervals, 95 %: resamples draw units of each run, and documents; where both runs read the same documents the same ones are
drawn for both (paired), else each its own. What this module does not do: harvest, explain or score; and it cannot tell a better
model from an explainer that happens to suit it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maieutic.campaign import Run, open_run
from maieutic.campaign.explaining import null_places, stored_row
from maieutic.campaign.station import Station
from maieutic.errors import UserError
from maieutic.explain import Explanation
from maieutic.progress import Report, silent
from maieutic.readings import RESAMPLES, Estimate, FloatArray, Reading, average_precision, cluster_weights
from maieutic.score.controls import CONTROLS
from maieutic.score.evidence import Evidence, Trial, trial
from maieutic.score.shared import Shared
from maieutic.store import CHOSEN, choices
from maieutic.store import scores as scores_table

#: scores at which the curve of units is read
CURVE = tuple(round(0.05 * n, 2) for n in range(21))
#: units of a run that are compared at most; more are drawn at random
MOST = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitScore:
    """A unit's AP. ``value`` is ``None`` where it cannot be scored (``reason``); ``label`` is empty where it has none."""

    key: str
    value: float | None
    label: str = ""
    reason: str = ""
    replicates: FloatArray = field(default_factory=lambda: np.zeros(0), repr=False)
    constant: FloatArray = field(default_factory=lambda: np.zeros(0), repr=False)
    base_rate: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Side:
    """One run.

    Attributes:
        name: of the model. folder: the run. corpus, sites: what was harvested. explainer: whose labels.
        units: every unit that is compared, live or not. of: how many the run has.
        directions: random directions that were explained; ``no_directions`` says why there are none.
        stored: mean over units of each control's difference as the run's own scores have it, by control.
        groups: names of the test documents; empty without a live unit.
    """

    name: str
    folder: str
    corpus: str
    sites: tuple[str, ...]
    explainer: str
    units: tuple[UnitScore, ...]
    of: int
    directions: tuple[UnitScore, ...]
    no_directions: str
    stored: tuple[Reading, ...]
    groups: tuple[str, ...]

    @property
    def live(self) -> tuple[UnitScore, ...]:
        """Units that can be scored."""
        return tuple(u for u in self.units if u.value is not None)

    @property
    def labelled(self) -> int:
        """Live units with a label."""
        return sum(bool(u.label) for u in self.live)

    def curve(self, *, all_units: bool) -> tuple[float, ...]:
        """Share of live units, or of all of them, whose AP is at least each of ``CURVE``."""
        values = np.array([u.value for u in self.live], np.float64)
        n = len(self.units) if all_units else len(values)
        return tuple(float((values >= t).sum() / n) if n else 0.0 for t in CURVE)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two runs side by side.

    Attributes:
        a, b: the runs. paired: whether both read the same documents.
        rows: (what, reading of a, reading of b, a minus b).
        notes: what to be careful of.
    """

    a: Side
    b: Side
    paired: bool
    rows: tuple[tuple[str, Reading, Reading, Reading], ...]
    notes: tuple[str, ...]

    def lines(self) -> list[str]:
        """In words, a line each."""
        told = [f"A: {_words(self.a)}", f"B: {_words(self.b)}"]
        told += [f"{what}: A {a}; B {b}; A minus B {d}" for what, a, b, d in self.rows]
        return [*told, *self.notes]

    def to_json(self) -> dict[str, Any]:
        return {
            "paired": self.paired, "notes": list(self.notes),
            "rows": [
                {"what": w, "a": a.to_json(), "b": b.to_json(), "difference": d.to_json()} for w, a, b, d in self.rows
            ],
            "runs": [_side_json(s) for s in (self.a, self.b)],
        }  # fmt: skip


def _words(side: Side) -> str:
    drawn = "" if side.of == len(side.units) else f", drawn of {side.of}"
    return (
        f"{side.name} ({side.folder}), {side.corpus}, {', '.join(side.sites)}: {len(side.units)} units{drawn}, "
        f"{len(side.live)} live, {side.labelled} of them with a label by {side.explainer}; {len(side.directions)} random "
        "directions"
    )


def _side_json(side: Side) -> dict[str, Any]:
    return {
        "name": side.name, "folder": side.folder, "corpus": side.corpus, "sites": list(side.sites),
        "explainer": side.explainer, "units": len(side.units), "of": side.of, "live": len(side.live),
        "labelled": side.labelled, "directions": len(side.directions), "no_directions": side.no_directions,
        "thresholds": list(CURVE), "curve": list(side.curve(all_units=False)),
        "curve_all": list(side.curve(all_units=True)), "stored": [r.to_json() for r in side.stored],
        "scores": [{"unit": u.key, "ap": u.value, "label": u.label, "reason": u.reason} for u in side.units],
    }  # fmt: skip


# --- comparing ---------------------------------------------------------------------------------------------------------


def compare_runs(
    a: Path | Run, b: Path | Run, *, explainer: str = "search", seed: int = 0, report: Report = silent
) -> Comparison:
    """Compare two runs.

    Args:
        a, b: run folders, or runs that are open already (models that have no name).
        explainer: whose labels; ``chosen``: those that a sweep chose. The same for both, or the comparison is of explainers.
        seed: of the draws. report: called with progress.

    Cost: no forward pass; about 50 ms a unit, and loading both models.

    Raises:
        UserError: a run has no explanations by that explainer.
    """
    sides = [_side_of(r, explainer=explainer, seed=seed, report=report) for r in (a, b)]
    return compared_sides(sides[0], sides[1], seed=seed)


def compared_sides(a: Side, b: Side, *, seed: int = 0) -> Comparison:
    """The comparison of two runs that were read."""
    paired = bool(a.groups) and a.groups == b.groups
    own = _means(a, seed=seed, apart=False)
    other = _means(b, seed=seed + 1, apart=not paired)
    why = next((e for e in (own[_CONTROL].estimate, other[_CONTROL].estimate) if isinstance(e, str)), None)
    rows = tuple(
        (what, own[what].reading(what), other[what].reading(what), _difference(what, own[what], other[what], why))
        for what in own
    )
    return Comparison(a=a, b=b, paired=paired, rows=rows, notes=tuple(_notes(a, b, paired)))


def _notes(a: Side, b: Side, paired: bool) -> Iterator[str]:
    yield (
        "Both runs read the same documents: resamples draw the same ones for both."
        if paired
        else "The runs read different documents: differences are of models and of texts at once."
    )
    yield (
        "A unit counts as one sample of its model; units of one layer hang together, so intervals are rather too narrow. "
        "One model of each kind says nothing about other seeds of training."
    )
    if len(a.units) != len(b.units) and not paired:
        yield f"{len(a.units)} units stand beside {len(b.units)}."


_SCORE, _CONTROL, _OVER, _CONSTANT = (
    "AP of live units", "AP of random directions", "AP of live units over random directions",
    "AP of live units over a constant",
)  # fmt: skip
_HALF, _HALF_ALL = "live units with AP 0.5 or more", "all units with AP 0.5 or more"
_ROWS = (_SCORE, _CONTROL, _OVER, _CONSTANT, _HALF, _HALF_ALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mean:
    """A mean over so many units, or why there is none."""

    estimate: Estimate | str
    n: int

    def reading(self, name: str) -> Reading:
        if isinstance(self.estimate, str):
            return Reading.unmeasured(name, self.estimate)
        return self.estimate.reading(name, n=self.n)


def _means(side: Side, *, seed: int, apart: bool) -> dict[str, _Mean]:
    """Every row of a run; ``apart``: its documents are drawn apart from the other run's."""
    rng = np.random.default_rng([seed, 7])
    order = rng.permutation(RESAMPLES) if apart else np.arange(RESAMPLES)
    live, directions = side.live, [u for u in side.directions if u.value is not None]
    drawn = unit_draws(len(live), rng)
    values, reps = _values(live), _stack([u.replicates for u in live], order)
    base, constant = np.array([u.base_rate for u in live], np.float64), _stack([u.constant for u in live], order)
    null: Estimate | str = side.no_directions or "no random direction can be scored"
    if directions:
        turned = _stack([u.replicates for u in directions], order)
        null = mean_of_units(_values(directions), turned, unit_draws(len(directions), rng))
    found: dict[str, Estimate | str] = dict.fromkeys(_ROWS, f"no unit of {side.name} can be scored")
    if live:
        score = mean_of_units(values, reps, drawn)
        found[_SCORE] = score
        found[_OVER] = null if isinstance(null, str) else score - null
        found[_CONSTANT] = mean_of_units(values - base, reps - constant, drawn)
        found[_HALF] = mean_of_units(_reached(values), np.where(np.isfinite(reps), _reached(reps), np.nan), drawn)
    found[_CONTROL] = null
    found[_HALF_ALL] = _share_of_all(side, live, reps, rng)
    counts = {_CONTROL: len(directions), _HALF_ALL: len(side.units)}
    return {what: _Mean(estimate=e, n=counts.get(what, len(live))) for what, e in found.items()}


def _values(units: Sequence[UnitScore]) -> FloatArray:
    return np.array([u.value for u in units], np.float64)


def _reached(scores: FloatArray) -> FloatArray:
    return (np.nan_to_num(scores) >= 0.5).astype(np.float64)


def _share_of_all(side: Side, live: Sequence[UnitScore], reps: FloatArray, rng: np.random.Generator) -> Estimate | str:
    if not side.units:
        return f"{side.name} has no units"
    reached = np.zeros((len(side.units), RESAMPLES))
    value = np.zeros(len(side.units))
    places = {u.key: n for n, u in enumerate(side.units)}
    for n, u in enumerate(live):
        reached[places[u.key]] = _reached(reps[n])
        value[places[u.key]] = float((u.value or 0.0) >= 0.5)
    return mean_of_units(value, reached, unit_draws(len(side.units), rng))


def unit_draws(units: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """How often each unit is drawn in each resample, ``[unit, resample]``."""
    if not units:
        return np.zeros((0, RESAMPLES))
    return rng.multinomial(units, np.full(units, 1 / units), size=RESAMPLES).T.astype(np.float64)


def _stack(rows: Sequence[FloatArray], order: NDArray[np.int64]) -> FloatArray:
    return np.stack([r[order] for r in rows]) if rows else np.zeros((0, RESAMPLES))


def mean_of_units(values: FloatArray, replicates: FloatArray, drawn: FloatArray) -> Estimate:
    """Mean over units, and over the drawn ones of each resample; where a resample leaves one undefined, over the others."""
    known = np.isfinite(replicates)
    weight = (drawn * known).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = (drawn * np.where(known, replicates, 0.0)).sum(axis=0) / weight
    return Estimate(value=float(values.mean()), replicates=found)


def _difference(name: str, a: _Mean, b: _Mean, no_control: str | None) -> Reading:
    """A minus B; unmeasured where a side is, or where the control that belongs beside it is."""
    said = f"{name}, A minus B"
    if isinstance(a.estimate, str):
        return Reading.unmeasured(said, a.estimate)
    if isinstance(b.estimate, str):
        return Reading.unmeasured(said, b.estimate)
    if no_control is not None:
        return Reading.unmeasured(said, f"no difference without its control: {no_control}")
    return (a.estimate - b.estimate).reading(said, n=min(a.n, b.n))


# --- reading a run -----------------------------------------------------------------------------------------------------


def _side_of(run: Path | Run, *, explainer: str, seed: int, report: Report) -> Side:
    if isinstance(run, Run):
        return read_side(run, explainer=explainer, seed=seed, report=report)
    with open_run(run) as opened:
        return read_side(opened, explainer=explainer, seed=seed, report=report)


def read_side(run: Run, *, explainer: str, seed: int = 0, most: int = MOST, report: Report = silent) -> Side:
    """What is compared of a run.

    Raises:
        UserError: it has no explanations by that explainer.
    """
    station = run.station or Station.of(run)
    keys = [u.key for u in run.units]
    if len(keys) > most:
        kept = sorted(np.random.default_rng(seed).choice(len(keys), most, replace=False).tolist())
        keys = [keys[int(i)] for i in kept]
    chosen = {r["unit"]: str(r["explainer"]) for r in run.store.stream(choices)} if explainer == CHOSEN else {}
    units: list[UnitScore] = []
    groups: tuple[str, ...] = ()
    explained = 0
    with report("compare", run.subject.name) as step:
        for done, key in enumerate(keys, start=1):
            who = chosen.get(run.ids.get(("main", key), -1), explainer)
            row = stored_row(run, "main", key, explainer=who)
            explained += row is not None
            on = trial_at(station, "main", key)
            units.append(unit_score(key, on, None if row is None else station.explanation(row), station.shared))
            if not groups and not isinstance(on, str):
                groups = on.test.groups
            step(done, len(keys))
    if not explained:
        raise UserError(
            f"{run.folder} has no explanations by {explainer}: run  maieutic explain {run.folder} --explainer {explainer}"
        )
    directions = _directions(run, station, explainer)
    return Side(
        name=run.subject.name, folder=str(run.folder), corpus=run.corpus.name, sites=run.sites, explainer=explainer,
        units=tuple(units), of=len(run.units), directions=tuple(directions),
        no_directions="" if directions else f"{run.folder} has no explained random directions: harvest with --nulls 8",
        stored=stored_controls(run, keys, explainer), groups=groups,
    )  # fmt: skip


def _directions(run: Run, station: Station, explainer: str) -> list[UnitScore]:
    """Random directions that the explainer looked at; one that it declined to label gets the constant's AP, as units do."""
    found: list[UnitScore] = []
    for role, key in null_places(run):
        row = stored_row(run, role, key, explainer=explainer)
        if role == "direction" and row is not None:
            found.append(unit_score(key, trial_at(station, role, key), station.explanation(row, role), station.shared))
    return found


def trial_at(station: Station, role: Any, key: str) -> Trial | str:
    """A unit's evidence, or why there is none."""
    place = station.place(role, key)
    return trial(
        lambda split: place.atlas.observed(place.unit, split), modality=place.subject.modality, seed=station.seed
    )


def unit_score(key: str, on: Trial | str, found: Explanation | None, shared: Shared) -> UnitScore:
    """A unit's AP with its resamples; one without a label is given the constant."""
    if isinstance(on, str):
        return UnitScore(key=key, value=None, reason=on)
    why = on.test.unusable()
    if why is not None:
        return UnitScore(key=key, value=None, reason=why)
    if found is None:
        return UnitScore(key=key, value=None, reason="it was not explained")
    flat = np.zeros(len(on.test.measured))
    predicted = flat if found.abstained else shared.predictions.of(found, on.test_sample)
    if isinstance(predicted, str):
        return UnitScore(key=key, value=None, label=found.label, reason=predicted)
    own, constant = _ap(on.test, predicted), _ap(on.test, flat)
    return UnitScore(
        key=key, value=own.value, label="" if found.abstained else found.label, replicates=own.replicates,
        constant=constant.replicates, base_rate=constant.value,
    )  # fmt: skip


def _ap(evidence: Evidence, predicted: FloatArray) -> Estimate:
    # one seed for all runs: the same documents are drawn wherever the documents are the same
    weights = cluster_weights(len(evidence.groups), seed=0)
    return average_precision(evidence.active, predicted, clusters=evidence.clusters, weights=weights)


def stored_controls(run: Run, keys: Sequence[str], explainer: str) -> tuple[Reading, ...]:
    """Mean over units by how much their labels beat each control, from the run's own scores, with how many units have it."""
    ids = {run.ids.get(("main", k)) for k in keys}
    by: dict[str, list[float]] = {c: [] for c in CONTROLS}
    for row in run.store.stream(scores_table):
        name = str(row["name"])
        if row["unit"] in ids and row["explainer"] == explainer and name.startswith("predictive.beats."):
            control = name.removeprefix("predictive.beats.")
            if control in by and row["value"] is not None:
                by[control].append(float(row["value"]))
    return tuple(
        Reading(name=f"beats.{c}", value=float(np.mean(values)), n=len(values))
        if values
        else Reading.unmeasured(f"beats.{c}", "no unit was scored beside it: run  maieutic score")
        for c, values in by.items()
    )
