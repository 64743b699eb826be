"""A dossier as one page: self-contained HTML that a reviewer reads in five minutes, light and dark, without a script.

Everything that comes from a model or a file is escaped by the templates, and invisible characters are made visible. The
page holds its styles and needs nothing else.

What this module does not do: measure or conclude; it shows a `maieutic.forensics.dossier.Dossier`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

from markupsafe import Markup

from maieutic.forensics.action import Message
from maieutic.forensics.actor_render import message_text
from maieutic.forensics.dossier import Chart, Dossier, Mark, Trace, write_dossier_json
from maieutic.readings import Reading
from maieutic.report import charts
from maieutic.report.write import environment, write_pages

#: characters of a message shown whole; of longer ones the surroundings of what is marked
_LONG, _AROUND = 1500, 240


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A run of a message's text; ``marked``: part of the cause; ``gap``: left out."""

    text: str
    marked: bool = False
    gap: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A message as the page shows it; ``calls``: each with whether a part of the cause stands in it."""

    number: int
    role: str
    pieces: tuple[Piece, ...]
    calls: tuple[tuple[str, bool], ...]


def write_dossier(dossier: Dossier, folder: Path) -> Path:
    """Write ``dossier.html`` and ``dossier.json`` into a folder and give the page. Cost: milliseconds.

    Raises:
        UserError: the folder cannot be written.
    """
    page = folder / "dossier.html"
    write_pages({page: dossier_html(dossier)}, advice="give another folder")
    write_dossier_json(dossier, folder / "dossier.json")
    return page


def dossier_html(dossier: Dossier) -> str:
    """The page."""
    drawn: dict[str, Any] = {"scaled": scaled, "polyline": polyline, "shade": shade, "cell": cell, "act_text": act_text}
    template = environment().get_template("dossier.html.j2")
    return template.render(dossier=dossier, turns=turns(dossier), style=_style(), **drawn)


def turns(dossier: Dossier) -> list[Turn]:
    """The transcript with the cause marked."""
    return [
        Turn(
            number=i,
            role=message.role if not message.name or message.role != "tool" else f"tool: {message.name}",
            pieces=tuple(pieces(message, [m for m in dossier.marks if m.message == i and not m.field])),
            calls=tuple(
                (
                    f"{c.name}({_arguments(c.arguments)})",
                    any((i, k) == (m.message, *m.field[:1]) for m in dossier.marks),
                )
                for k, c in enumerate(message.tool_calls)
            ),
        )
        for i, message in enumerate(dossier.action.messages)
    ]


def pieces(message: Message, marks: list[Mark]) -> list[Piece]:
    """A message's text cut at the marks; what lies far from any mark in a long text is left out."""
    found: list[Piece] = []
    at, text = 0, message.content
    for mark in sorted(marks, key=lambda m: m.start):
        start = max(mark.start, at)
        if start >= mark.end:
            continue
        found += _plain(text[at:start], first=at == 0, last=False, whole=len(text) <= _LONG)
        found.append(Piece(text=text[start : mark.end], marked=True))
        at = mark.end
    return [p for p in [*found, *_plain(text[at:], first=at == 0, last=True, whole=len(text) <= _LONG)] if p.text]


def _plain(text: str, *, first: bool, last: bool, whole: bool) -> list[Piece]:
    if whole or len(text) <= 2 * _AROUND:
        return [Piece(text=text)]
    gap = Piece(text=f" … {len(text) - 2 * _AROUND} characters … ", gap=True)
    return [Piece(text=text[:_AROUND]), gap, Piece(text=text[-_AROUND:])]


def scaled(reading: Reading, low: float, high: float) -> charts.Bar | None:
    """Where a reading stands on a scale from ``low`` to ``high``; ``None`` when it was not measured."""
    if reading.value is None:
        return None
    span = (high - low) or 1.0
    low_end, high_end = (None if v is None else (v - low) / span for v in (reading.low, reading.high))
    return charts.bar(replace(reading, value=(reading.value - low) / span, low=low_end, high=high_end))


def polyline(chart: Chart, line: Trace) -> str:
    """Points of a curve in a box of 100 by 100, y downwards."""
    left, right = min(chart.x), max(chart.x)
    span = (right - left) or 1.0
    height = (chart.high - chart.low) or 1.0
    return " ".join(
        f"{100 * (x - left) / span:.2f},{100 - charts.percent((y - chart.low) / height):.2f}"
        for x, y in zip(chart.x, line.y, strict=True)
    )


def shade(chart: Chart, value: float | None) -> float:
    """Strength of a cell of a table of shades, 0 to 1, by its distance from 0."""
    most = max(abs(chart.low), abs(chart.high)) or 1.0
    return 0.0 if value is None else round(min(abs(value) / most, 1.0), 2)


def cell(value: float | None) -> str:
    """A number of a table of shades, two digits; a dash for none."""
    return "–" if value is None else f"{round(value, 2) + 0.0:.2f}".replace("-", "−")  # + 0.0: no minus before 0


def act_text(dossier: Dossier) -> str:
    """What the model did, as text: the message that was seen, else the act that is asked about."""
    observed = dossier.action.observed
    if observed is None:
        return str(dossier.action.act)
    calls = "\n".join(f"{c.name}({_arguments(c.arguments)})" for c in observed.tool_calls)
    return "\n".join(t for t in (observed.content, calls) if t) or message_text(observed)


def _arguments(given: Any) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in given.items())


def _style() -> Markup:
    """The styles of reports, and those of dossiers; both are our own files."""
    room = resources.files("maieutic.report")
    text = "".join(room.joinpath(f"static/{n}").read_text(encoding="utf-8") for n in ("report.css", "dossier.css"))
    return Markup(text)  # noqa: S704 (a file of this package)
