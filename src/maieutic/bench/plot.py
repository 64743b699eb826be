"""Two small charts as SVG text: bars with intervals, and calibration. Plain strings; nothing is drawn on a screen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from maieutic.bench.calibration import Bin
from maieutic.readings import Reading

#: told apart without colour vision too (Okabe and Ito)
_COLOURS = ("#0072b2", "#e69f00", "#009e73", "#999999", "#cc79a7", "#d55e00")
_LEFT, _TOP, _HEIGHT = 44, 40, 220


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One explainer's readings, in the order of the groups."""

    name: str
    values: Sequence[Reading]


def bars_svg(title: str, groups: Sequence[str], series: Sequence[Series]) -> str:
    """Bars from 0 to 1 with their intervals, one group of bars for each name."""
    wide = 11
    step = wide * len(series) + 18
    parts: list[str] = []
    for g, group in enumerate(groups):
        left = _LEFT + 10 + g * step
        for s, one in enumerate(series):
            x, reading = left + s * wide, one.values[g]
            if reading.value is None:
                continue
            top = _y(reading.value)
            told = f"{one.name}, {group}: {reading.value:.2f} (n={reading.n})"
            parts.append(
                f'<rect x="{x}" y="{top:.1f}" width="{wide - 2}" height="{_y(0) - top:.1f}" fill="{_colour(s)}">'
                f"<title>{escape(told)}</title></rect>"
            )
            if reading.low is not None and reading.high is not None:
                parts.append(_line(x + wide / 2 - 1, _y(reading.low), x + wide / 2 - 1, _y(reading.high), "#000"))
        middle, under = left + wide * len(series) / 2, _y(0) + 14
        parts.append(
            f'<text x="{middle:.1f}" y="{under:.1f}" text-anchor="end" transform="rotate(-30 {middle:.1f} {under:.1f})">'
            f"{escape(group.replace('_', ' '))}</text>"
        )
    return _framed(title, _LEFT + 20 + max(step * len(groups), 420), 70, parts, [s.name for s in series])


def calibration_svg(title: str, bins: Mapping[str, Sequence[Bin]]) -> str:
    """Share right over mean confidence, with intervals; perfect calibration is the diagonal."""
    side = 420
    parts = [_line(_x(0, side), _y(0), _x(1, side), _y(1), "#bbb")]
    for s, some in enumerate(bins.values()):
        points = [(_x(b.confidence, side), _y(b.right)) for b in some]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{_colour(s)}"/>')
        for b, (x, y) in zip(some, points, strict=True):
            parts.append(_line(x, _y(b.right_low), x, _y(b.right_high), _colour(s)))
            parts.append(
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{_colour(s)}"><title>{b.n} answers, '
                f"confidence {b.confidence:.2f}, right {b.right:.2f}</title></circle>"
            )
    for tick in (0.0, 0.5, 1.0):
        parts.append(f'<text x="{_x(tick, side):.1f}" y="{_y(0) + 16}" text-anchor="middle">{tick:g}</text>')
    parts.append(f'<text x="{_x(0.5, side):.1f}" y="{_y(0) + 34}" text-anchor="middle">confidence</text>')
    return _framed(title, _LEFT + side + 20, 44, parts, list(bins))


def _framed(title: str, width: float, under: float, parts: Sequence[str], names: Sequence[str]) -> str:
    """A chart with its title, its scale from 0 to 1 and its legend, black on white."""
    height = _TOP + _HEIGHT + under + 20
    scale = "".join(
        _line(_LEFT, _y(t), width - 10, _y(t), "#ddd") + f'<text x="{_LEFT - 6}" y="{_y(t) + 4:.1f}" '
        f'text-anchor="end">{t:g}</text>'
        for t in (0.0, 0.25, 0.5, 0.75, 1.0)
    )
    legend, at = "", float(_LEFT)
    for i, name in enumerate(names):
        legend += f'<rect x="{at:.0f}" y="{height - 16:.0f}" width="10" height="10" fill="{_colour(i)}"/>'
        legend += f'<text x="{at + 14:.0f}" y="{height - 7:.0f}">{escape(name)}</text>'
        at += 30 + 7 * len(name)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
        f'height="{height:.0f}" font-family="sans-serif" font-size="12" role="img">'
        f'<rect width="100%" height="100%" fill="#fff"/><text x="{_LEFT}" y="20" font-size="15">{escape(title)}</text>'
        f"{scale}{''.join(parts)}{legend}</svg>\n"
    )


def _x(value: float, side: float) -> float:
    return _LEFT + value * side


def _y(value: float) -> float:
    return _TOP + (1 - value) * _HEIGHT


def _line(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>'


def _colour(i: int) -> str:
    return _COLOURS[i % len(_COLOURS)]
