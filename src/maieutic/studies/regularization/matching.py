"""Comparisons at matched loss or matched recall: an arm that knows less may look cleaner for that reason alone.

Two ways. The baseline stopped early: its value, between the checkpoints of its training, at the arm's loss. The arm's sweep:
its value, between its strengths, where its loss is the baseline's plus a slack. Values are interpolated along straight lines
between neighbours in loss, seed by seed, and never beyond the ends: where nobody was, it is unmeasured. What this module
does not do: compare at equal tokens (`comparing`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from maieutic.studies.regularization.comparing import Contrast, Matched, contrast
from maieutic.studies.regularization.config import BASELINE
from maieutic.studies.regularization.measured import Measured, Table

On = Literal["loss", "recall"]
#: nats (share of facts) beyond the baseline at which sweeps are read: few sweeps reach the baseline itself
SLACK = {"loss": 0.02, "recall": -0.02}
#: how far beyond the ends of a curve counts as at the end
NEAR = {"loss": 0.005, "recall": 0.01}


def interpolated(points: Sequence[tuple[float, float]], at: float, *, near: float = 0.0) -> float | None:
    """The value at a place on the line through some points, ``None`` beyond its ends.

    Args:
        points: (place, value), in any order; values at one place are averaged.
        at: the place. near: how far beyond an end still counts as the end.

    Example: points (1, 10) and (3, 20): 15 at 2, ``None`` at 3.5; 20 at 3.5 with ``near=0.5``.
    """
    by: dict[float, list[float]] = {}
    for place, value in points:
        by.setdefault(place, []).append(value)
    known = sorted((place, sum(v) / len(v)) for place, v in by.items())
    if not known or at < known[0][0] - near or at > known[-1][0] + near:
        return None
    at = min(max(at, known[0][0]), known[-1][0])
    for (left, low), (right, high) in zip(known, known[1:], strict=False):
        if left <= at <= right:
            return low + (high - low) * (at - left) / (right - left)
    return known[0][1]


def stopped_early(table: Table, arm: str, measure: str, *, on: On = "loss", where: str | None = None) -> Contrast:
    """The arm beside the baseline stopped where it was as good as the arm is."""
    way, own = table.on_the_way(), table.of(arm)
    pairs: dict[int, tuple[float, float]] = {}
    why = "the baseline has no checkpoints"
    for seed in sorted(own.keys() & way.keys()):
        found = _matched(own[seed], way[seed], measure, where, on, whose=arm)
        if isinstance(found, str):
            why = found
        else:
            pairs[seed] = found
    return contrast(arm, measure, pairs, where=where or "", matched=on, better=table.better(measure), why=why)


def along_its_sweep(
    table: Table, arm: str, measure: str, *, on: On = "loss", where: str | None = None, slack: float | None = None
) -> Contrast:
    """The arm at the strength where it is as good as the baseline, but for the slack, beside the baseline."""
    base, sweeps = table.of(BASELINE), table.swept(arm)
    pairs: dict[int, tuple[float, float]] = {}
    why = f"{arm} was trained at one strength only"
    room = SLACK[on] if slack is None else slack
    for seed in sorted(s for s in base.keys() & sweeps.keys() if len(sweeps[s]) > 1):
        found = _matched(base[seed], sweeps[seed], measure, where, on, whose=BASELINE, slack=room)
        if isinstance(found, str):
            why = found
        else:
            pairs[seed] = (found[1], found[0])
    matched: Matched = "loss of its sweep" if on == "loss" else "recall of its sweep"
    return contrast(arm, measure, pairs, where=where or "", matched=matched, better=table.better(measure), why=why)


def _matched(
    model: Measured,
    others: Sequence[Measured],
    measure: str,
    where: str | None,
    on: On,
    *,
    whose: str,
    slack: float = 0.0,
) -> tuple[float, float] | str:
    """A model's value, and that on the line through others where they are as good but for the slack; or why there is none."""
    start, value = _place(model, on), model.value(measure, where)
    target = None if start is None else start + slack
    curve = _points(others, measure, where, on)
    other = None if target is None else interpolated(curve, target, near=NEAR[on])
    if value is None:
        return f"{model.variant.name}: {model.reason(measure, where)}"
    return _beyond(whose, target, curve, on) if other is None else (value, other)


def _place(model: Measured, on: On) -> float | None:
    return model.loss if on == "loss" else model.recall


def _points(models: Sequence[Measured], measure: str, where: str | None, on: On) -> list[tuple[float, float]]:
    found: list[tuple[float, float]] = []
    for m in models:
        place, value = _place(m, on), m.value(measure, where)
        if place is not None and value is not None:
            found.append((place, value))
    return found


def _beyond(whose: str, target: float | None, curve: Sequence[tuple[float, float]], on: On) -> str:
    """Why nothing could be matched, in words."""
    if target is None:
        return f"{whose} has no {on}"
    if not curve:
        return "nothing on the other side has it"
    places = [p for p, _ in curve]
    return f"{on} {target:.3f} of {whose} lies outside {min(places):.3f} to {max(places):.3f} on the other side"
