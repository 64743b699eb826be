"""The report of the study of spurious features: one self-contained page with its pictures inside, light and dark.

Everything shown is escaped by the templates. What this module does not do: measure or conclude; it shows a
`maieutic.studies.spurious.run.Study`. ``results.json`` beside is written by the study itself.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from maieutic.readings import Reading
from maieutic.report import charts
from maieutic.report.study import study_style
from maieutic.report.study_charts import Axis, axis
from maieutic.report.write import environment, write_pages
from maieutic.studies.spurious.choices import ARMS
from maieutic.studies.spurious.config import TARGET
from maieutic.studies.spurious.replicate import Outcome
from maieutic.studies.spurious.run import Study, cells_of
from maieutic.studies.spurious.summary import cautions, percent, summary_lines

PAGE, SUMMARY = "report.html", "summary.txt"
#: side of a picture on the page, and dropped units shown in full
_SIDE, _DROPPED = 72, 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """A picture with what was measured, what was foretold of it, and what to say of it."""

    source: Markup
    alt: str
    measured: str
    foretold: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitCard:
    """A unit with its decision and its pictures."""

    index: int
    label: str
    kept: bool
    reasons: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    exemplars: tuple[Shot, ...]
    crossed: tuple[tuple[str, tuple[Shot, ...]], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginRow:
    """Kept units minus another head."""

    name: str
    what: str
    said: str
    bar: charts.Bar | None
    shade: str


def write_spurious(study: Study, folder: Path) -> Path:
    """Write ``report.html`` and ``summary.txt`` into a folder and give the page. Cost: a second.

    Raises:
        UserError: the folder cannot be written.
    """
    page = folder / PAGE
    texts = {page: spurious_html(study), folder / SUMMARY: "\n".join(summary_lines(study)) + "\n"}
    write_pages(texts, advice="give another folder with --run")
    return page


def spurious_html(study: Study) -> str:
    """The page."""
    first = study.outcomes[0]
    cards = [card_of(u, study.folder / f"seed-{first.seed}" / "pictures") for u in _ordered(first)]
    dropped = [c for c in cards if not c.kept]
    scale = axis([0.0, *(v for m in study.margins.values() for v in _points(m["worst"]))])
    shown: dict[str, Any] = {
        "study": study,
        "target": TARGET,
        "lines": list(summary_lines(study)),
        "cautions": list(cautions(study)),
        "rule": study.config.rule.lines(),
        "scale": scale,
        "zero": scale.at(0.0),
        "rows": [margin_row(n, m["worst"], scale) for n, m in study.margins.items()],
        "heads": [(n, ARMS[n], *_accuracy(study, n), _mean(o.sizes[n] for o in study.outcomes)) for n in _heads(study)],
        "groups": group_tables(study, first),
        "seed": first.seed,
        "kept": [c for c in cards if c.kept],
        "dropped": dropped[:_DROPPED],
        "listed": dropped[_DROPPED:],
    }
    return environment().get_template("spurious.html.j2").render(**shown, style=_style())


def card_of(unit: Mapping[str, Any], pictures: Path) -> UnitCard:
    """A unit's card."""
    decision = unit["decision"]
    claim, survival, others, removed = (
        Reading.from_json(decision[n]) for n in ("claim", "survival", "others", "removed")
    )
    facts = (
        ("foretold that follows the object", percent(claim)),
        ("activation that follows the object", percent(survival)),
        ("claimed objects against others", _deviations(others)),
        ("claimed objects against none", _deviations(removed)),
    )
    empty = unit["empty"]
    rows = [*unit["crossed"], {"what": "no object", **empty}]
    return UnitCard(
        index=unit["index"],
        label=unit["label"],
        kept=decision["kept"],
        reasons=tuple(decision["reasons"]),
        facts=facts,
        exemplars=tuple(_shot(e["picture"], e["what"], e["value"], None, pictures) for e in unit["exemplars"]),
        crossed=tuple((r["what"], _row(r, pictures)) for r in rows),
    )


def _row(row: Mapping[str, Any], pictures: Path) -> tuple[Shot, ...]:
    columns = zip(row["pictures"], row["measured"], row["foretold"], strict=True)
    return tuple(_shot(p, row["what"], m, f, pictures) for p, m, f in columns)


def _shot(picture: str, what: str, measured: float, foretold: float | None, pictures: Path) -> Shot:
    return Shot(
        source=embedded(pictures / picture[:2] / f"{picture}.webp"),
        alt=what,
        measured=f"{measured:.2f}",
        foretold="" if foretold is None else f"{foretold:.2f}",
    )


def embedded(file: Path) -> Markup:
    """A picture as a small data URI; empty where it is gone, so that a page can always be made again."""
    import io

    from PIL import Image

    if not file.is_file():
        return Markup()
    with Image.open(file) as opened:
        small = opened.convert("RGB")
    small.thumbnail((_SIDE, _SIDE))
    data = io.BytesIO()
    small.save(data, "WEBP", quality=70, method=2)
    return Markup("data:image/webp;base64," + base64.b64encode(data.getvalue()).decode())  # noqa: S704 (our own bytes)


def margin_row(name: str, margin: Reading, scale: Axis) -> MarginRow:
    """A line of the chart of margins."""
    bar = None
    if margin.value is not None:
        low = margin.value if margin.low is None else margin.low
        high = margin.value if margin.high is None else margin.high
        bar = charts.Bar(at=scale.at(margin.value), left=scale.at(low), width=round(scale.at(high) - scale.at(low), 2))
    shade = "control"
    if margin.low is not None and margin.high is not None:
        shade = "own" if margin.low > 0 else "miss" if margin.high < 0 else "control"
    return MarginRow(name=name, what=ARMS[name], said=percent(margin), bar=bar, shade=shade)


def group_tables(study: Study, first: Outcome) -> list[tuple[str, list[tuple[str, list[str]]]]]:
    """Per head a table of classes by backgrounds, means over seeds, in percent."""
    found: list[tuple[str, list[tuple[str, list[str]]]]] = []
    for name in ("kept", "all", "oracle"):
        if name not in first.correct:
            continue
        rows = [cells_of(o, name) for o in study.outcomes]
        mean = {cell: _mean(r[i] for r in rows) for i, cell in enumerate(first.table.names)}
        classes, groups = study.material.classes, study.material.groups
        table = [(c, [f"{100 * mean[c, g]:.0f}" if (c, g) in mean else "–" for g in groups]) for c in classes]
        found.append((name, table))
    return found


def _heads(study: Study) -> list[str]:
    return [n for n in ARMS if n in study.accuracies or n == "random"]


def _accuracy(study: Study, name: str) -> tuple[str, str]:
    if name != "random":
        both = study.accuracies[name]
        return percent(both["worst"]), percent(both["balanced"])
    texts: list[str] = []
    for what in ("worst", "balanced"):
        low, middle, high = (100 * v for v in study.draws[what])
        texts.append(f"{middle:.1f} (draws: {low:.1f} to {high:.1f}) %")
    return texts[0], texts[1]


def _ordered(outcome: Outcome) -> Sequence[Mapping[str, Any]]:
    """Kept units first; each by how far they survive."""
    return sorted(
        outcome.units,
        key=lambda u: (not u["decision"]["kept"], -(u["decision"]["survival"]["value"] or 0.0), u["index"]),
    )


def _deviations(reading: Reading) -> str:
    if reading.value is None:
        return f"unmeasured: {reading.reason}"
    between = "" if reading.low is None or reading.high is None else f" ({reading.low:.2f} to {reading.high:.2f})"
    return f"{reading.value:.2f}{between} SD".replace("-", "−")


def _points(reading: Reading) -> list[float]:
    return [v for v in (reading.value, reading.low, reading.high) if v is not None]


def _mean(values: Any) -> float:
    rows = [float(v) for v in values]
    return sum(rows) / len(rows)


def _style() -> Markup:
    """The styles of studies, and a few lines for rows of pictures; all our own."""
    return study_style() + Markup(
        ".shots{display:flex;flex-wrap:wrap;gap:.35rem;align-items:flex-start;margin:.2rem 0 .5rem}"
        ".shots figure{margin:0;width:72px}.shots img{display:block;width:72px;height:72px;border-radius:4px}"
        ".shots figcaption{font-size:.72rem;font-variant-numeric:tabular-nums}"
        ".unit-card{border-top:1px solid color-mix(in srgb,currentColor 20%,transparent);padding:.7rem 0}"
        ".unit-card h3{margin:.1rem 0}"
        ".forest.margins .line{grid-template-columns:7.5rem 1fr 14rem}"
        ".wide td.words{text-align:left;white-space:normal;min-width:18rem}"
        "@media (max-width:58rem){.forest.margins .line{grid-template-columns:5.5rem 1fr}}"
    )
