"""Safety against tax as SVG text: a point for each monitor or protocol, with intervals. Nothing is drawn on a screen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from maieutic.readings import Reading

#: told apart without colour vision too (Okabe and Ito)
_COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#999999")
_LEFT, _TOP, _WIDE, _HIGH = 56, 44, 460, 260


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One point: ``tax`` 0 or more, ``worth`` 0 to 1; unmeasured ones are listed under the chart."""

    name: str
    tax: Reading
    worth: Reading


def safety_svg(title: str, points: Sequence[Point], *, tax: str, worth: str) -> str:
    """The chart; the tax is on a scale of log10(1 + x).

    Args:
        title: above it.
        points: what is drawn.
        tax, worth: what the axes mean.
    """
    top = max([1.0, *(math.log10(1 + (p.tax.high or p.tax.value or 0)) for p in points)])
    parts = [_axis(top), f'<text x="{_LEFT}" y="20" font-size="15">{escape(title)}</text>']
    parts.append(
        f'<text x="{_LEFT + _WIDE / 2}" y="{_TOP + _HIGH + 36}" text-anchor="middle">{escape(tax)}</text>'
        f'<text x="14" y="{_TOP + _HIGH / 2}" text-anchor="middle" transform="rotate(-90 14 {_TOP + _HIGH / 2})">'
        f"{escape(worth)}</text>"
    )
    under = _TOP + _HIGH + 60
    for i, point in enumerate(points):
        colour, at = _COLOURS[i % len(_COLOURS)], under + 18 * i
        told = f"{point.name}: {worth} {point.worth}, {tax} {point.tax}"
        parts.append(
            f'<rect x="{_LEFT}" y="{at - 9}" width="10" height="10" fill="{colour}"/>'
            f'<text x="{_LEFT + 16}" y="{at}">{escape(told)}</text>'
        )
        if point.tax.value is None or point.worth.value is None:
            continue
        x, y = _x(point.tax.value, top), _y(point.worth.value)
        if point.worth.low is not None and point.worth.high is not None:
            parts.append(_line(x, _y(point.worth.low), x, _y(point.worth.high), colour))
        if point.tax.low is not None and point.tax.high is not None:
            parts.append(_line(_x(max(point.tax.low, 0), top), y, _x(max(point.tax.high, 0), top), y, colour))
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{colour}"><title>{escape(told)}</title></circle>')
    height, width = under + 18 * len(points) + 6, 760
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'font-family="sans-serif" font-size="12" role="img"><rect width="100%" height="100%" fill="#fff"/>'
        f"{''.join(parts)}</svg>\n"
    )


def _axis(top: float) -> str:
    lines = [
        _line(_LEFT, _y(t), _LEFT + _WIDE, _y(t), "#ddd")
        + f'<text x="{_LEFT - 6}" y="{_y(t) + 4:.1f}" text-anchor="end">{t:g}</text>'
        for t in (0.0, 0.25, 0.5, 0.75, 1.0)
    ]
    for power in range(math.ceil(top) + 1):
        value = 0 if power == 0 else 10**power
        if math.log10(1 + value) <= top + 0.05:
            x = _x(value, top)
            lines.append(_line(x, _TOP, x, _y(0), "#eee"))
            lines.append(f'<text x="{x:.1f}" y="{_y(0) + 16:.1f}" text-anchor="middle">{value:g}</text>')
    return "".join(lines)


def _x(value: float, top: float) -> float:
    return _LEFT + _WIDE * math.log10(1 + value) / top


def _y(value: float) -> float:
    return _TOP + (1 - value) * _HIGH


def _line(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>'
