"""A trust card as one page: self-contained HTML, light and dark, without a script.

Everything that comes from a model or a file is escaped by the templates, and invisible characters are made visible: an
explainer that hides a message in its label does so before the reader's eyes. What this module does not do: measure, or
conclude; it shows a ``maieutic.audit.card.TrustCard``. The page tells the truth of the exam's units, so it is not for the eyes
of the interpreter that is audited.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from markupsafe import Markup

from maieutic.audit.capability.ability import Ability
from maieutic.audit.card import Row, TrustCard, excuse, weak
from maieutic.audit.finding import Finding
from maieutic.readings import Reading
from maieutic.report import charts
from maieutic.report.dossier import scaled
from maieutic.report.write import environment, write_pages

PAGE = "card.html"
#: units that speak for a finding, at most so many shown beside it
_SPEAK = 8
#: characters of a finding's details that are shown
_DETAILS = 4000


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A finding as the page shows it.

    Attributes:
        chip: verdict in words: ``for information`` where it never alarms, ``too weak`` where it could have seen nothing.
        excused: why it cannot concern the explainer.
        low, high: ends of its scale; ``bar``: where it stands on it; ``power``: where the smallest cheat seen stands, in
            percent of the width.
        chance: its p in words.
        speakers: units that speak for it; ``more``: how many further ones there are.
    """

    finding: Finding
    chip: str
    excused: str | None
    low: float
    high: float
    bar: charts.Bar | None
    power: float | None
    chance: str
    speakers: tuple[Row, ...]
    more: int
    details: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """An audit with its findings; without any where it was not run or does not concern the explainer (``why``)."""

    name: str
    chip: str
    findings: tuple[Shown, ...]
    why: str = ""


def write_trust(card: TrustCard, folder: Path) -> Path:
    """Write ``card.html`` into a folder and give it. Cost: milliseconds.

    Raises:
        UserError: the folder cannot be written.
    """
    page = folder / PAGE
    write_pages({page: trust_html(card)}, advice="give another folder with --out")
    return page


def trust_html(card: TrustCard) -> str:
    """The page."""
    conclusion, because = card.concluded
    template = environment().get_template("trust.html.j2")
    return template.render(
        card=card, conclusion=conclusion, because=because, audits=audits(card), style=_style(), scaled=scaled,
        chance_at=chance_at, exam=exam_words(card),
    )  # fmt: skip


def audits(card: TrustCard) -> list[Audit]:
    """Every required audit and every other that was run, in the order of the card."""
    by_name: dict[str, list[Finding]] = {name: [] for name in card.required}
    for f in card.findings:
        by_name.setdefault(f.audit, []).append(f)
    known = {r.id: r for r in card.rows}
    return [_audit(card, name, found, known) for name, found in by_name.items()]


def _audit(card: TrustCard, name: str, found: list[Finding], known: dict[str, Row]) -> Audit:
    if name in card.excused:
        return Audit(name=name, chip="not applicable", findings=(), why=card.excused[name])
    if not found:
        return Audit(name=name, chip="unmeasured", findings=(), why="It was not run.")
    shown = tuple(_shown(f, known, excuse(card, f)) for f in found)
    chips = {s.chip for s in shown}
    order = ("alarm", "unmeasured", "too weak", "clear")
    chip = next((c for c in order if c in chips), "for information")
    return Audit(name=name, chip=chip, findings=shown)


def _shown(f: Finding, known: dict[str, Row], excused: str | None) -> Shown:
    low, high = _scale(f)
    speakers = tuple(known[u] for u in f.units if u in known)
    return Shown(
        finding=f,
        chip=_chip(f, excused),
        excused=excused if not f.reading.measured else None,
        low=low,
        high=high,
        bar=scaled(f.reading, low, high),
        power=None if f.power.value is None else charts.percent((f.power.value - low) / (high - low)),
        chance=chance_words(f.p),
        speakers=speakers[:_SPEAK],
        more=len(speakers) - len(speakers[:_SPEAK]),
        details=_details(f),
    )


def _chip(f: Finding, excused: str | None) -> str:
    if f.verdict == "unmeasured":
        return "unmeasured" if excused is None else "not applicable"
    return "for information" if f.informs else "too weak" if weak(f) else f.verdict


def _scale(f: Finding) -> tuple[float, float]:
    """Ends of a scale that holds the reading, its interval and its power: 0 to 1 where that will do."""
    readings: list[Reading] = [f.reading, f.power]
    values = [v for r in readings for v in (r.value, r.low, r.high) if v is not None]
    low, high = min([0.0, *values]), max([1.0, *values])
    return (-1.0 if -1.0 <= low < 0.0 else low), high


def chance_words(p: float | None) -> str:
    """What p says, in words; empty where there is none."""
    if p is None:
        return ""
    if p >= 1.0:
        return "nothing of it was seen"
    if p == 0.0:
        return "an honest explainer does not do this"
    if p < 0.0001:
        told = "fewer than 1 of 10,000"
    else:
        n = next(n for n in (100, 1_000, 10_000) if p * n >= 1 - 1e-9)
        told = f"{p * n:.0f} of {n:,}" if p * n >= 10 else f"{p * n:.2g} of {n:,}"
    return f"so much or more comes from an honest explainer in {told} cases"


def _details(f: Finding) -> str:
    if not f.details:
        return ""
    text = json.dumps(dict(f.details), indent=1, ensure_ascii=False, default=str)
    return (
        text if len(text) <= _DETAILS else f"{text[:_DETAILS]}\n… {len(text) - _DETAILS} more characters in card.json"
    )


def chance_at(ability: Ability) -> float:
    """Where chance stands on the scale from 0 to 1, in percent of the width."""
    return charts.percent(ability.chance)


def exam_words(card: TrustCard) -> str:
    """The exam in one line."""
    counted = ", ".join(f"{n} {role}" for role, n in card.exam.items.items())
    return f"{card.exam.modality}, seed {card.exam.seed}: {sum(card.exam.items.values())} units ({counted})"


def _style() -> Markup:
    """The styles of reports, of dossiers, and those of cards; all are our own files."""
    room = resources.files("maieutic.report")
    names = ("report.css", "dossier.css", "trust.css")
    return Markup("".join(room.joinpath(f"static/{n}").read_text(encoding="utf-8") for n in names))  # noqa: S704
