"""Geometry of the study's charts: frontiers, forests, bands and curves as plain numbers in percent of a box.

Everything is laid out in percent so that charts stretch with the page while text and marks keep their size. What this module
does not do: draw (the template does), or compare (`maieutic.studies.regularization`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from maieutic.readings import Reading
from maieutic.studies.regularization.arms import ARMS
from maieutic.studies.regularization.comparing import Contrast, t_reading
from maieutic.studies.regularization.headlines import MATCHINGS, Findings, Headline, Matching, absent
from maieutic.studies.regularization.measured import Measured, Table

Family = Literal["control", "activation", "solu", "weights", "other"]
MATCHED = {"tokens": "equal tokens", "loss": "equal loss", "recall": "equal recall"}


def family_of(arm: str) -> Family:
    """Which kind of regulariser an arm is; it decides the colour."""
    a = ARMS[arm]
    if a.control:
        return "control"
    if a.weight_rule != "none":
        return "weights"
    if a.activation == "solu":
        return "solu"
    return "activation" if a.activation in ("relu", "topk") else "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """A scale from ``low`` to ``high`` with round marks: (percent, text)."""

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]

    def at(self, value: float) -> float:
        """Percent along the axis, kept within it."""
        return round(100 * min(max((value - self.low) / (self.high - self.low), 0.0), 1.0), 2)


def axis(values: Iterable[float], *, low: float | None = None, high: float | None = None) -> Axis:
    """A scale that holds some values with a little room, or from ``low`` to ``high`` where these are given."""
    known = list(values)
    least = min(known, default=0.0) if low is None else low
    most = max(known, default=1.0) if high is None else high
    if most - least < 1e-9:
        least, most = least - 0.5, most + 0.5
    room = 0.06 * (most - least)
    least, most = (least - room if low is None else least), (most + room if high is None else most)
    step = _step(most - least)
    first = int(least // step) + (0 if least % step < 1e-12 else 1)
    digits = max(0, -_exponent(step))
    marks: list[tuple[float, str]] = []
    for k in range(first, first + 12):
        value = k * step
        if value > most + 1e-12:
            break
        text = f"{value + 0.0:.{digits}f}".replace("-", "−")
        marks.append((round(100 * (value - least) / (most - least), 2), text))
    return Axis(low=least, high=most, ticks=tuple(marks))


def _exponent(step: float) -> int:
    return int(f"{step:e}".split("e")[1])


def _step(span: float) -> float:
    """A round distance of marks, 1, 2 or 5 times a power of ten, that gives 4 to 8 of them."""
    power = 10.0 ** _exponent(span / 5)
    return next(power * m for m in (1, 2, 5, 10) if span / (power * m) <= 8)


# --- frontiers ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One model; ``kind``: main, sweep or checkpoint."""

    x: float
    y: float
    kind: str
    family: Family
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean:
    """An arm: its mean over seeds with a 95 % interval each way; ``number`` stands in the mark and in the legend."""

    number: int
    arm: str
    family: Family
    x: float
    y: float
    wide: tuple[float, float] | None
    tall: tuple[float, float] | None
    said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Frontier:
    """Two measures against each other. ``left_out``: arms without both, with why."""

    x_title: str
    y_title: str
    x: Axis
    y: Axis
    points: tuple[Point, ...]
    means: tuple[Mean, ...]
    left_out: tuple[tuple[str, str], ...]


def frontier(table: Table, arms: Sequence[str], x: Headline, y: Headline) -> Frontier:
    """Every model that has both measures, and the means of arms.

    Untrained models are told in words: their loss would press all others together.
    """
    shown = [m for m in table.models if m.variant.purpose in ("main", "sweep") and m.variant.arm in arms]
    pairs = [(m, x.of(m), y.of(m)) for m in shown]
    every = [(m, a, b) for m, a, b in pairs if a is not None and b is not None]
    known = [(m, a, b) for m, a, b in every if ARMS[m.variant.arm].trained]
    across, up = axis(a for _, a, _ in known), axis(b for _, _, b in known)
    points = tuple(
        Point(x=across.at(a), y=100 - up.at(b), kind=_kind(m), family=family_of(m.variant.arm), name=_point_name(m, x, a, y, b))
        for m, a, b in known
    )  # fmt: skip
    means: list[Mean] = []
    left_out: list[tuple[str, str]] = []
    for number, arm in enumerate(arms, start=1):
        own = [(a, b) for m, a, b in every if m.variant.arm == arm and _kind(m) == "main"]
        if own and not ARMS[arm].trained:
            at = [sum(column) / len(own) for column in zip(*own, strict=True)]
            left_out.append((arm, f"{x.title.lower()} {at[0]:.2f}, {y.title.lower()} {at[1]:.2f}"))
        elif own:
            means.append(_mean(number, arm, own, across, up, f"{x.title} {{}}, {y.title} {{}}"))
        else:
            left_out.append((arm, _why(table, arm, (x, y))))
    return Frontier(
        x_title=x.title, y_title=y.title, x=across, y=up, points=points, means=tuple(means), left_out=tuple(left_out)
    )


def _kind(m: Measured) -> str:
    return "checkpoint" if m.step is not None else m.variant.purpose


def _point_name(m: Measured, x: Headline, a: float, y: Headline, b: float) -> str:
    after = "" if m.step is None else f" after {m.step} steps"
    return f"{m.variant.treatment.label}, seed {m.variant.seed}{after}: {x.title} {a:.3f}, {y.title} {b:.3f}"


def _mean(number: int, arm: str, own: Sequence[tuple[float, float]], across: Axis, up: Axis, said: str) -> Mean:
    a, _ = t_reading("x", [p for p, _ in own])
    b, _ = t_reading("y", [p for _, p in own])
    assert a.value is not None and b.value is not None, "there are models"
    wide = None if a.low is None or a.high is None else (across.at(a.low), across.at(a.high))
    tall = None if b.low is None or b.high is None else (100 - up.at(b.low), 100 - up.at(b.high))
    return Mean(
        number=number, arm=arm, family=family_of(arm), x=across.at(a.value), y=100 - up.at(b.value), wide=wide, tall=tall,
        said=said.format(a, b),
    )  # fmt: skip


def _why(table: Table, arm: str, measures: Sequence[Headline]) -> str:
    models = table.of(arm)
    if not models:
        return absent(table, arm)
    for m in models.values():
        for h in measures:
            if h.of(m) is None:
                return f"{h.title}: {m.reason(h.measure, h.where)}"
    return "no model has both"


# --- forests -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A difference on a scale with 0: where it stands, its interval, how it is to be read."""

    at: float
    left: float
    width: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ForestRow:
    """An arm at one matching. ``first``: the arm's first row, which carries its name."""

    arm: str
    first: bool
    matching: str
    contrast: Contrast
    bar: Bar | None
    tone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Forest:
    """Paired differences of every arm from the baseline in one measure."""

    headline: Headline
    axis: Axis
    zero: float
    rows: tuple[ForestRow, ...]

    @property
    def drawn(self) -> bool:
        """Whether there is anything to draw."""
        return any(r.bar is not None for r in self.rows)


def forest(findings: Findings, headline: Headline, *, matchings: Sequence[Matching] = MATCHINGS) -> Forest:
    """The differences of a measure, arm by arm, at each matching that was compared."""
    found = {m: {c.arm: c for c in findings.of(headline, m)} for m in matchings}
    arms = list(dict.fromkeys(a for by in found.values() for a in by))
    rows = [(a, MATCHED[m], found[m][a]) for a in arms for m in matchings if a in found[m]]
    return forest_of(headline, rows)


def forest_of(headline: Headline, rows: Sequence[tuple[str, str, Contrast]]) -> Forest:
    """A forest of any comparisons: (name, what is alike, comparison)."""
    scale = axis([0.0, *(v for _, _, c in rows for v in _ends(c.reading))])
    shown: list[ForestRow] = []
    before = None
    for name, matching, c in rows:
        shown.append(
            ForestRow(
                arm=name, first=name != before, matching=matching, contrast=c, bar=_bar(c.reading, scale), tone=tone(c)
            )
        )
        before = name
    return Forest(headline=headline, axis=scale, zero=scale.at(0.0), rows=tuple(shown))


def _ends(reading: Reading) -> list[float]:
    """Value and interval, the interval cut at three times the value's distance from it: two seeds can have an endless one."""
    if reading.value is None:
        return []
    reach = 3 * abs(reading.value) + 1e-6
    ends = [v for v in (reading.low, reading.high) if v is not None]
    return [reading.value, *(min(max(v, reading.value - reach), reading.value + reach) for v in ends)]


def _bar(reading: Reading, scale: Axis) -> Bar | None:
    if reading.value is None:
        return None
    low = reading.value if reading.low is None else reading.low
    high = reading.value if reading.high is None else reading.high
    return Bar(at=scale.at(reading.value), left=scale.at(low), width=round(scale.at(high) - scale.at(low), 2))


def tone(contrast: Contrast) -> str:
    """How a difference is coloured: blue better, orange worse, grey anything else."""
    return {"better": "own", "worse": "miss"}.get(contrast.verdict, "control")


# --- bands and curves --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A curve in a box of 100 by 100, y downwards; ``kind``: its class."""

    name: str
    kind: str
    points: str
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Small:
    """One arm's small chart. ``why``: why it is empty."""

    arm: str
    family: Family
    lines: tuple[Line, ...]
    why: str = ""


def line(name: str, kind: str, values: Sequence[float], *, high: float = 1.0) -> Line:
    """Values at even steps, 0 to ``high``."""
    last = max(len(values) - 1, 1)
    points = " ".join(f"{100 * i / last:.1f},{100 - 100 * min(max(v / high, 0), 1):.1f}" for i, v in enumerate(values))
    return Line(name=name, kind=kind, points=points, values=tuple(round(v, 3) for v in values))


def band_charts(table: Table, arms: Sequence[str], series: Sequence[tuple[str, str, str]]) -> list[Small]:
    """Precision of weak, middle and strong firings of each arm, mean over seeds and layers.

    Args:
        series: (measure with ``{}`` for the band, name, class): as it is, and behind the LayerNorm.
    """
    charts: list[Small] = []
    for arm in arms:
        found: list[Line] = []
        for measure, name, kind in series:
            means = [_seed_mean(table, arm, measure.format(band)) for band in ("low", "middle", "high")]
            known = [v for v in means if v is not None]
            if len(known) == 3:
                found.append(line(name, kind, known))
        why = "" if found else _reason(table, arm, series[0][0].format("low"))
        charts.append(Small(arm=arm, family=family_of(arm), lines=tuple(found), why=why))
    return charts


def curve_charts(table: Table, arms: Sequence[str]) -> list[Small]:
    """Share of units above each score, for neurons and for random rotations, mean over seeds and layers."""
    charts: list[Small] = []
    for arm in arms:
        found = [
            line(name, kind, values)
            for measure, name, kind in (("rotated.score", "random rotations", ""), ("neurons.score", "neurons", "own"))
            if (values := _curve(table, arm, measure))
        ]
        why = "" if found else _reason(table, arm, "neurons.score")
        charts.append(Small(arm=arm, family=family_of(arm), lines=tuple(found), why=why))
    return charts


def _seed_mean(table: Table, arm: str, measure: str) -> float | None:
    values = [m.value(measure) for m in table.of(arm).values()]
    known = [v for v in values if v is not None]
    return sum(known) / len(known) if known else None


def _reason(table: Table, arm: str, measure: str) -> str:
    return next((m.reason(measure) for m in table.of(arm).values()), absent(table, arm))


def _curve(table: Table, arm: str, measure: str) -> list[float]:
    found = [
        list(r.reading.details["curve"])
        for m in table.of(arm).values()
        for r in m.rows
        if r.measure == measure and r.reading.measured and "curve" in r.reading.details
    ]
    return [sum(column) / len(found) for column in zip(*found, strict=True)] if found else []
