"""Which units drive an output: ranked by attribution on some stimuli, verified by ablation on others, beside controls.

The strongest candidates are ablated to their mean one at a time on held-out stimuli. Beside them stand as many units of the same
sites that ablation moves as far (root mean square less the mean), drawn at random, and as many of those that attribution
ranks nearest to nothing. A candidate *drives* the output when the whole interval of its effect lies above the size of the
effect of every control, up or down. The curve ablates the best k together, and k controls of either kind; and keeps only the
best k, all other units of the sites being at their means.

An effect is what the target loses: its logit less the mean logit (or less another one), with the unit and without it.
What this does not do: find units that matter only together, or explain how; units that hold an output down come last in
the ranking, not first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from maieutic.errors import UsageError
from maieutic.lab.halves import group_numbers, grouped_reading, halves
from maieutic.lab.outputs import Target
from maieutic.lab.slopes import Attributions, at_zero, attribute_output, last_stream, ordered
from maieutic.progress import Report, silent
from maieutic.readings import Cost, FloatArray, Reading
from maieutic.stimuli.base import Stimulus
from maieutic.subjects.base import Intervention, Subject, Unit, raw
from maieutic.subjects.gradients import ablating
from maieutic.subjects.hooks import InterventionDidNothing

Kind = Literal["candidate", "matched", "bottom"]
#: units nearest in how far ablation moves them, of which a matched control is drawn
_NEAREST = 20
#: points of the curve
STEPS = (1, 2, 5, 10, 20, 50)


@dataclass(frozen=True, slots=True, kw_only=True)
class Driver:
    """One unit.

    Attributes:
        unit: its key. kind: ``candidate``, or the control that it is.
        rank: place in the ranking by attribution, from 1.
        attributed: foretold effect, on the stimuli that were chosen on.
        direct: its part without later layers; unmeasured where that cannot be told apart.
        ablated: effect of ablation on held-out stimuli.
        drives: the rule above; ``None`` for controls.
        label: what a run says of it; ``""`` where nothing is known.
    """

    unit: str
    kind: Kind
    rank: int
    attributed: Reading
    direct: Reading
    ablated: Reading
    drives: bool | None = None
    label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """The curve at ``k`` units: what the target loses without them, and what is left with nothing else (share, 1: all)."""

    k: int
    top: Reading
    matched: Reading
    bottom: Reading
    kept: Reading
    kept_matched: Reading


@dataclass(frozen=True, kw_only=True)
class Drivers:
    """An answer to "which units drive this output".

    Attributes:
        subject, target, sites: of what. units: how many units were ranked.
        clean: value of the target on held-out stimuli.
        nothing: its value with every unit of the sites at its mean.
        chosen_on, measured_on: stimuli.
        candidates, matched, bottom: units, each in the order of the ranking.
        curve: from few to many units.
        notes: what to know. seed, cost: how.
    """

    subject: str
    target: Target
    sites: tuple[str, ...]
    units: int
    clean: Reading
    nothing: Reading
    chosen_on: int
    measured_on: int
    candidates: tuple[Driver, ...]
    matched: tuple[Driver, ...]
    bottom: tuple[Driver, ...]
    curve: tuple[Point, ...]
    notes: tuple[str, ...] = ()
    seed: int = 0
    cost: Cost = field(default_factory=Cost)

    @property
    def drivers(self) -> tuple[Driver, ...]:
        """Candidates that drive the output, the strongest measured effect first."""
        found = [d for d in self.candidates if d.drives]
        return tuple(sorted(found, key=lambda d: -(d.ablated.value or 0.0)))

    def to_json(self) -> dict[str, Any]:
        """Plain data."""

        def plain(value: Any) -> Any:
            if isinstance(value, Reading):
                return value.to_json()
            if isinstance(value, (Driver, Point)):
                return {n: plain(getattr(value, n)) for n in value.__dataclass_fields__}
            return [plain(v) for v in value] if isinstance(value, tuple) else value

        data = {n: plain(getattr(self, n)) for n in self.__dataclass_fields__}
        return {**data, "target": asdict(self.target), "cost": asdict(self.cost)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Drivers:
        """Back from plain data."""

        def built(kind: type[Any], row: Mapping[str, Any]) -> Any:
            return kind(**{n: Reading.from_json(v) if isinstance(v, Mapping) else v for n, v in row.items()})

        sides = {n: tuple(built(Driver, r) for r in data[n]) for n in ("candidates", "matched", "bottom")}
        values: dict[str, Any] = {
            **data, **sides, "curve": tuple(built(Point, r) for r in data["curve"]), "sites": tuple(data["sites"]),
            "notes": tuple(data["notes"]), "clean": Reading.from_json(data["clean"]), "cost": Cost(**data["cost"]),
            "nothing": Reading.from_json(data["nothing"]), "target": Target(**data["target"]),
        }  # fmt: skip
        return cls(**values)


def find_drivers(
    subject: Subject,
    stimuli: Sequence[Stimulus],
    target: Target,
    *,
    sites: Sequence[str] = (),
    top: int = 10,
    most: int = 24,
    seed: int = 0,
    report: Report = silent,
) -> Drivers:
    """Rank units by attribution and verify the best by ablation.

    Args:
        subject: a network.
        stimuli: that show the output at work: half of them are chosen on, half measured on.
        target: the output.
        sites: whose units; none: `default_sites`.
        top: candidates; as many controls of either kind.
        most: stimuli of each half at most.
        seed: of the controls and resamples.
        report: called with progress.

    Cost: one backward pass a stimulus of the first half; ``3 top`` passes a stimulus of the second, and 5 for each of up to
    6 points of the curve.

    Raises:
        UserError: no network, or too few stimuli or units.
    """
    import time

    started = time.perf_counter()
    names = _checked(subject, sites or default_sites(subject))
    chosen, held = halves(stimuli, most=most)
    with report("attribute", subject.name) as step:
        found = attribute_output(subject, [raw(s) for s in chosen], names, target, step=step)
    ranked, values = ordered(found)
    if len(ranked) < 2 * top:
        top = max(len(ranked) // 3, 1)
    measured = _Measured(subject, held, target, found, seed=seed)
    tops = ranked[:top]
    matched = _matched(found, tops, ranked, seed=seed)
    bottom = _bottom(ranked, values, {*tops, *matched}, top)
    place = {u: i + 1 for i, u in enumerate(ranked)}
    groups = group_numbers(chosen)
    with report("ablate", subject.name) as step:
        rows: list[Driver] = []
        sides: list[tuple[Kind, list[tuple[str, int]]]] = [
            ("candidate", tops),
            ("matched", matched),
            ("bottom", bottom),
        ]
        for kind, units in sides:
            for unit in units:
                rows.append(_driver(measured, found, unit, kind, place[unit], groups))
                step(len(rows), sum(len(u) for _, u in sides))
    most_of_controls = max(
        (abs(r.ablated.value) for r in rows if r.kind != "candidate" and r.ablated.value is not None), default=0.0
    )
    rows = [_judged(r, most_of_controls) for r in rows]
    curve = _curve(measured, ranked, matched, bottom, seed=seed, top=top)
    text = subject.modality == "text"
    return Drivers(
        subject=subject.name, target=target, sites=tuple(names), units=len(ranked),
        clean=measured.reading("target", measured.clean), nothing=measured.reading("nothing", measured.nothing),
        chosen_on=len(chosen), measured_on=len(held),
        candidates=tuple(r for r in rows if r.kind == "candidate"), matched=tuple(r for r in rows if r.kind == "matched"),
        bottom=tuple(r for r in rows if r.kind == "bottom"), curve=curve, seed=seed,
        notes=tuple(n for n in (target.note, _several(names)) if n),
        cost=Cost(
            measurements=len(chosen) + measured.passes * len(held), images=0 if text else len(chosen) + len(held),
            seconds=time.perf_counter() - started,
        ),
    )  # fmt: skip


def default_sites(subject: Subject) -> tuple[str, ...]:
    """MLP sites of a language model; of an image network sites with units after an activation, else all but the logits."""
    every = [s.name for s in subject.sites() if s.name != "logits" and s.width is not None]
    if subject.modality == "text":
        return tuple(n for n in every if n.endswith(".mlp")) or tuple(every)
    return tuple(n for n in every if n.rpartition(".")[2] in ("expand", "mlp")) or tuple(every)


def _checked(subject: Subject, sites: Sequence[str]) -> list[str]:
    names = [subject.site(s).name for s in dict.fromkeys(sites)]
    if not names:
        raise UsageError(f"{subject.name} has no site with units: name one with --site")
    if "logits" in names:
        raise UsageError("logits are what is driven: name the sites before them, as in  --site layers.20.mlp")
    return names


def _several(names: Sequence[str]) -> str:
    if len(names) < 2:
        return ""
    return f"{len(names)} sites were ranked together: a unit's effect may pass through later ones, so effects do not add up"


class _Measured:
    """The target on held-out stimuli, with any units ablated."""

    def __init__(
        self, subject: Subject, held: Sequence[Stimulus], target: Target, found: Attributions, *, seed: int
    ) -> None:
        self.subject, self.target, self.found, self.seed = subject, target, found, seed
        self.shown = [raw(s) for s in held]
        self.groups = group_numbers(held)
        self.passes = 1
        self.clean = target.value(subject.outputs(self.shown))
        self.nothing = self.kept(())

    def reading(self, name: str, values: FloatArray) -> Reading:
        return grouped_reading(name, values, self.groups, seed=self.seed)

    def without(self, units: Sequence[tuple[str, int]]) -> FloatArray:
        """Value of the target with some units ablated, ``[stimulus]``."""
        self.passes += 1
        changes = [self._ablation(site, i) for site, i in units]
        try:
            return self.target.value(self.subject.outputs(self.shown, interventions=changes))
        except InterventionDidNothing:
            # a unit that stands at its mean wherever it was looked at has no effect there; others of the set may have
            kept = [c for c in changes if self._moves(c)]
            if not kept:
                return self.clean
            return self.target.value(self.subject.outputs(self.shown, interventions=kept))

    def kept(self, units: Sequence[tuple[str, int]]) -> FloatArray:
        """Value of the target with all *other* units of plain sites at their means, ``[stimulus]``; NaN with lenses."""
        if any(getattr(self.subject.site(s), "lens", None) is not None for s in self.found.sites):
            return np.full(len(self.shown), np.nan)
        self.passes += 1
        changes: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
        for site, a in self.found.sites.items():
            inside = {i for s, i in units if s == site}
            rest = np.array([i for i in range(len(a.means)) if i not in inside], dtype=np.int64)
            changes[site] = (torch.as_tensor(rest), torch.as_tensor(a.means[rest], dtype=torch.float32))
        with ablating(self.subject, changes):
            return self.target.value(self.subject.outputs(self.shown))

    def _ablation(self, site: str, index: int) -> Intervention:
        unit = Unit(site=site, index=index)
        if at_zero(self.subject, site):
            return Intervention(unit=unit, kind="ablate_zero")
        return Intervention(unit=unit, kind="ablate_mean", value=float(self.found.sites[site].means[index]))

    def _moves(self, change: Intervention) -> bool:
        try:
            self.subject.outputs(self.shown, interventions=[change])
        except InterventionDidNothing:
            return False
        return True


def _driver(
    measured: _Measured,
    found: Attributions,
    unit: tuple[str, int],
    kind: Kind,
    rank: int,
    groups: NDArray[np.int64],
) -> Driver:
    site, index = unit
    attributed = grouped_reading("attributed", found.sites[site].effects[:, index], groups, seed=measured.seed)
    return Driver(
        unit=f"{site}/{index}", kind=kind, rank=rank, attributed=attributed,
        direct=_direct(measured.subject, found, site, index, groups, seed=measured.seed),
        ablated=measured.reading("ablated", measured.clean - measured.without([unit])),
    )  # fmt: skip


def _direct(
    subject: Subject, found: Attributions, site: str, index: int, groups: NDArray[np.int64], *, seed: int
) -> Reading:
    """Gradient at the end of the residual stream times what the unit writes there at the last position."""
    from maieutic.errors import UserError
    from maieutic.subjects.writes import write_of

    if found.stream is None or last_stream(subject) is None:
        return Reading.unmeasured("direct", "there is no residual stream to tell direct effects by")
    if at_zero(subject, site):
        return Reading.unmeasured("direct", "what the unit writes depends on the input")
    try:
        written = write_of(subject, Unit(site=site, index=index))
    except UserError as error:
        return Reading.unmeasured("direct", str(error))
    a = found.sites[site]
    return grouped_reading("direct", (found.stream @ written) * (a.last[:, index] - a.means[index]), groups, seed=seed)


def _matched(
    found: Attributions, tops: Sequence[tuple[str, int]], ranked: Sequence[tuple[str, int]], *, seed: int
) -> list[tuple[str, int]]:
    """For each candidate a unit of its site that ablation moves about as far, drawn from the nearest."""
    rng = np.random.default_rng([seed, 83])
    taken = set(tops)
    chosen: list[tuple[str, int]] = []
    for site, index in tops:
        spread = found.sites[site].spread
        near = np.argsort(np.abs(np.log(np.maximum(spread, 1e-12)) - np.log(max(spread[index], 1e-12))), kind="stable")
        free = [(site, int(i)) for i in near if (site, int(i)) not in taken and spread[i] > 0][:_NEAREST]
        if free:
            chosen.append(free[int(rng.integers(len(free)))])
            taken.add(chosen[-1])
    return sorted(chosen, key={u: i for i, u in enumerate(ranked)}.__getitem__)


def _bottom(
    ranked: Sequence[tuple[str, int]], values: FloatArray, taken: set[tuple[str, int]], n: int
) -> list[tuple[str, int]]:
    """The units with the smallest attribution in either sense."""
    order: list[int] = np.argsort(np.abs(values), kind="stable").tolist()
    return [ranked[i] for i in order if ranked[i] not in taken][:n]


def _judged(row: Driver, controls: float) -> Driver:
    from dataclasses import replace

    if row.kind != "candidate":
        return row
    return replace(row, drives=row.ablated.low is not None and row.ablated.low > max(controls, 0.0))


def _curve(
    measured: _Measured,
    ranked: Sequence[tuple[str, int]],
    matched: Sequence[tuple[str, int]],
    bottom: Sequence[tuple[str, int]],
    *,
    seed: int,
    top: int,
) -> tuple[Point, ...]:
    most = min(top, len(matched), len(bottom))
    sizes = sorted({k for k in (*STEPS, top) if k <= most})
    span = float(measured.clean.mean() - measured.nothing.mean())
    points: list[Point] = []
    for k in sizes:
        lost = {
            name: measured.reading(name, measured.clean - measured.without(units[:k]))
            for name, units in (("top", ranked), ("matched", matched), ("bottom", bottom))
        }
        left = {
            name: _share(measured, name, units[:k], span)
            for name, units in (("kept", ranked), ("kept_matched", matched))
        }
        points.append(Point(k=k, **lost, **left))
    return tuple(points)


def _share(measured: _Measured, name: str, units: Sequence[tuple[str, int]], span: float) -> Reading:
    """Of what all units of the sites together do to the target, the share that some do with the others at their means."""
    if not np.isfinite(span):
        return Reading.unmeasured(name, "units seen through a lens are not all that stands at their site")
    if span <= 1e-9:
        return Reading.unmeasured(name, "the sites together do not raise the target: there is nothing to keep")
    values = (measured.kept(units) - measured.nothing) / span
    return measured.reading(name, values)
