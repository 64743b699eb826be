"""Two explainers of one run, or two runs, unit by unit: which labels score better, by how much, and where they part.

Only what stands in the stores is read; no model is needed. Units that both have a score for are compared, the others counted
with the reason. Intervals, 95 %, are of a bootstrap over units. What this module does not do: compare models (a unit's number
means nothing in another model; `studies.compare` sets models side by side, with documents drawn too), or read label texts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from maieutic.campaign.run import MAIN
from maieutic.errors import UserError
from maieutic.readings import Estimate, Reading, cluster_weights, share_reading
from maieutic.report import charts
from maieutic.score.controls import CONTROLS
from maieutic.store import CHOSEN, Store, choices, explanations, harvests, scores, units

#: differences of scores below this are none
SAME = 5e-4
#: dots of a scatter chart; more units are counted in squares
DOTS = 600
_SQUARES = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """A unit's label with its score.

    Attributes:
        key: of the unit.
        label: empty where the explainer gave none.
        reason: why there is no label, or no score.
        value, low, high: average precision on the test split with its interval.
        explainer: whose it is, where each unit has its own.
    """

    key: str
    label: str = ""
    reason: str | None = None
    value: float | None = None
    low: float | None = None
    high: float | None = None
    explainer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of two.

    Attributes:
        name: of the run, as it is shown. explainer: whose labels.
        subject: of which model. fingerprints: of the model and of the corpus.
        units: by key. controls: by name, the same score for what ought to be worse, by key.
    """

    name: str
    explainer: str
    subject: str
    fingerprints: tuple[str, str]
    units: Mapping[str, Labelled]
    controls: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Both:
    """A unit on both sides; ``a`` or ``b`` is ``None`` where that side does not have the unit."""

    key: str
    a: Labelled | None
    b: Labelled | None

    @property
    def difference(self) -> float | None:
        """Score of A minus that of B, where both have one."""
        if self.a is None or self.b is None or self.a.value is None or self.b.value is None:
            return None
        return self.a.value - self.b.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Paired:
    """Two sides, unit by unit.

    Attributes:
        rows: every unit, those that part most first, then those without a difference by key.
        difference: mean of A minus B over units with both scores.
        better: share of these whose A is better, without ties.
        wins, ties, losses: units whose A is better, the same, worse.
        one_label: units that both label with the same words.
        controls: (name, A, B, A minus B) over the same units: what meaningless labels get.
        left_out: (why, units).
        notes: what to be careful of.
    """

    a: Side
    b: Side
    rows: tuple[Both, ...]
    mean_a: Reading
    mean_b: Reading
    difference: Reading
    better: Reading
    wins: int
    ties: int
    losses: int
    one_label: int
    controls: tuple[tuple[str, Reading, Reading, Reading], ...]
    left_out: tuple[tuple[str, int], ...]
    notes: tuple[str, ...]

    @property
    def compared(self) -> tuple[Both, ...]:
        """Units with both scores."""
        return tuple(r for r in self.rows if r.difference is not None)

    def to_json(self) -> dict[str, Any]:
        return {
            "a": {"run": self.a.name, "explainer": self.a.explainer, "subject": self.a.subject},
            "b": {"run": self.b.name, "explainer": self.b.explainer, "subject": self.b.subject},
            "mean": {"a": self.mean_a.to_json(), "b": self.mean_b.to_json()},
            "difference": self.difference.to_json(), "better": self.better.to_json(),
            "wins": self.wins, "ties": self.ties, "losses": self.losses, "same_label": self.one_label,
            "controls": [
                {"control": n, "a": a.to_json(), "b": b.to_json(), "difference": d.to_json()}
                for n, a, b, d in self.controls
            ],
            "left_out": dict(self.left_out), "notes": list(self.notes),
            "units": [
                {"unit": r.key, "difference": r.difference, "a": _plain(r.a), "b": _plain(r.b)} for r in self.rows
            ],
        }  # fmt: skip


def _plain(found: Labelled | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {"label": found.label, "reason": found.reason, "ap": found.value, "low": found.low, "high": found.high}


# --- reading ---------------------------------------------------------------------------------------------------------------


def explainers_of(store: Store) -> list[str]:
    """Explainers with labels of units in a store, what a sweep chose first."""
    names = {str(name) for (name,) in store.columns(explanations, ["explainer"])}
    return [*([CHOSEN] if store.count(choices) else []), *sorted(names)]


def usual_pair(names: Sequence[str]) -> tuple[str | None, str | None]:
    """Which two are compared if nobody says: neither a mixture of others nor the baseline, where there is a choice."""
    last = (CHOSEN, "lookup")
    order = [*(n for n in ("search",) if n in names), *(n for n in names if n != "search" and n not in last)]
    order += [n for n in last if n in names]
    return (order[0] if order else None), (order[1] if len(order) > 1 else None)


def side_of(store: Store, explainer: str, *, name: str) -> Side:
    """One side, from a store. Cost: about a second for 100,000 units.

    Raises:
        UserError: the store has no labels by that explainer.
    """
    row = store.rows(harvests, name=MAIN)[0]
    keys = {u: str(k) for u, k in store.columns(units, ["id", "key"], harvest=MAIN, role="main")}
    who = {u: str(e) for u, e in store.columns(choices, ["unit", "explainer"])} if explainer == CHOSEN else {}
    of: dict[str, Any] = {"explainer": sorted({*who.values()}) if explainer == CHOSEN else explainer}

    def meant(unit: int, by: str) -> bool:
        return unit in keys and (who.get(unit) == by if explainer == CHOSEN else True)

    marks = {
        u: (v, low, high, reason)
        for u, e, v, low, high, reason in store.columns(
            scores, ["unit", "explainer", "value", "low", "high", "reason"], name="predictive", **of
        )
        if meant(u, e)
    }
    found: dict[str, Labelled] = {}
    for u, e, label, why in store.columns(explanations, ["unit", "explainer", "label", "reason"], **of):
        if meant(u, e):
            value, low, high, reason = marks.get(u, (None, None, None, "it was not scored"))
            reason = f"abstained: {why}" if why is not None else reason
            found[keys[u]] = Labelled(
                key=keys[u], label="" if why is not None else label, reason=reason,
                value=None if why is not None else value, low=low, high=high, explainer=e,
            )  # fmt: skip
    if not found:
        raise UserError(f"{name} has no labels by {explainer}: run  maieutic explain {name} --explainer {explainer}")
    return Side(
        name=name, explainer=explainer, subject=row["subject"], units=found, controls=_controls(store, of, keys, meant),
        fingerprints=(row["subject_fingerprint"], row["corpus_fingerprint"]),
    )  # fmt: skip


def _controls(store: Store, of: Mapping[str, Any], keys: Mapping[int, str], meant: Any) -> dict[str, dict[str, float]]:
    names = {f"predictive.control.{c}": c for c in CONTROLS}
    found: dict[str, dict[str, float]] = {c: {} for c in CONTROLS}
    rows = store.columns(scores, ["unit", "explainer", "name", "value"], name=list(names), **of)
    for u, e, name, value in rows:
        if value is not None and meant(u, e):
            found[names[name]][keys[u]] = float(value)
    return found


# --- comparing -------------------------------------------------------------------------------------------------------------


def pair(a: Side, b: Side, *, seed: int = 0) -> Paired:
    """Set two sides beside each other. Cost: some milliseconds, and a microsecond a unit and resample."""
    rows = [Both(key=k, a=a.units.get(k), b=b.units.get(k)) for k in sorted({*a.units, *b.units})]
    rows.sort(key=lambda r: (r.difference is None, -abs(r.difference or 0.0), r.key))
    both = [r for r in rows if r.difference is not None]
    apart = [r.difference or 0.0 for r in both]
    wins, losses = sum(d > SAME for d in apart), sum(d < -SAME for d in apart)
    keys = [r.key for r in both]
    return Paired(
        a=a,
        b=b,
        rows=tuple(rows),
        mean_a=_mean("A", [a.units[k].value for k in keys], seed),
        mean_b=_mean("B", [b.units[k].value for k in keys], seed),
        difference=_mean("A minus B", apart, seed),
        better=share_reading("A better", [d > 0 for d in apart if abs(d) > SAME]),
        wins=wins,
        ties=len(both) - wins - losses,
        losses=losses,
        one_label=sum(_one_label(r) for r in rows),
        controls=tuple(_beside(c, a.controls[c], b.controls[c], keys, seed) for c in CONTROLS),
        left_out=tuple(_left_out(rows)),
        notes=tuple(_notes(a, b, bool(both))),
    )


def _one_label(row: Both) -> bool:
    return row.a is not None and row.b is not None and bool(row.a.label) and row.a.label == row.b.label


_TOO_FEW = "fewer than two units have a score on both sides"


def _mean(name: str, values: Sequence[float | None], seed: int, *, why: str = _TOO_FEW) -> Reading:
    known = np.array([v for v in values if v is not None], dtype=np.float64)
    if len(known) < 2:
        return Reading.unmeasured(name, why, n=len(known))
    weights = cluster_weights(len(known), seed=seed).astype(np.float64)
    found = Estimate(value=float(known.mean()), replicates=weights @ known / len(known))
    return found.reading(name, n=len(known))


def _beside(
    name: str, a: Mapping[str, float], b: Mapping[str, float], keys: Sequence[str], seed: int
) -> tuple[str, Reading, Reading, Reading]:
    shared = [k for k in keys if k in a and k in b]
    apart = [a[k] - b[k] for k in shared]
    why = "not scored beside both"
    return (
        name,
        _mean(f"A {name}", [a[k] for k in shared], seed, why=why),
        _mean(f"B {name}", [b[k] for k in shared], seed, why=why),
        _mean(f"{name}, A minus B", apart, seed, why=why),
    )


def _left_out(rows: Iterable[Both]) -> list[tuple[str, int]]:
    """Why units have no difference, and how many."""
    why: Counter[str] = Counter()
    for r in rows:
        for name, side in (("A", r.a), ("B", r.b)):
            if side is None:
                why[f"not in {name}"] += 1
            elif side.value is None:
                told = "no label" if (side.reason or "").startswith("abstained") else "no score"
                why[f"{told} in {name}"] += 1
    return why.most_common()


def _notes(a: Side, b: Side, compared: bool) -> Iterable[str]:
    if a.fingerprints[0] != b.fingerprints[0]:
        yield (
            f"These are two models ({a.subject}, {b.subject}): units of one number belong together only where one model was "
            "made from the other. To compare models:  maieutic study compare"
        )
    if a.fingerprints[1] != b.fingerprints[1]:
        yield "The runs read different stimuli: differences are of labels and of stimuli at once."
    if not compared:
        yield "No unit has a score on both sides, so nothing is compared."
    elif "person" in (a.explainer, b.explainer):
        yield "People chose which units to label: the difference is over those units, and says nothing of others."


# --- the chart -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Dot:
    """A unit of the scatter chart, in percent of its width and height (from above)."""

    key: str
    x: float
    y: float
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Square:
    """Units that share a place, ``shade`` 0 to 1 by their number's logarithm."""

    x: float
    y: float
    size: float
    count: int
    shade: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Scatter:
    """Score of B to the right, of A upwards; dots for some hundred units, squares for more."""

    dots: tuple[Dot, ...]
    squares: tuple[Square, ...]
    n: int


def scatter(found: Paired) -> Scatter:
    """Lay out the units that are compared."""
    rows = found.compared
    if len(rows) <= DOTS:
        return Scatter(dots=tuple(_dot(r) for r in rows), squares=(), n=len(rows))
    values = np.array([(r.b.value, r.a.value) for r in rows if r.a and r.b], dtype=np.float64).clip(0, 1)
    counts, _, _ = np.histogram2d(values[:, 0], values[:, 1], bins=_SQUARES, range=((0, 1), (0, 1)))
    most, size = float(np.log1p(counts.max())), 100 / _SQUARES
    squares = tuple(
        Square(
            x=round(int(i) * size, 2), y=round(100 - (int(j) + 1) * size, 2), size=size, count=int(counts[i, j]),
            shade=round(float(np.log1p(counts[i, j])) / most, 2),
        )
        for i, j in zip(*np.nonzero(counts), strict=True)
    )  # fmt: skip
    return Scatter(dots=(), squares=squares, n=len(rows))


def _dot(row: Both) -> Dot:
    assert row.a is not None and row.b is not None and row.difference is not None
    kind = "same" if abs(row.difference) <= SAME else "a" if row.difference > 0 else "b"
    x, y = charts.percent(row.b.value or 0.0), 100 - charts.percent(row.a.value or 0.0)
    return Dot(key=row.key, x=x, y=round(y, 2), kind=kind)
