"""What the templates show, worked out: order and names of pages, groups of experiments, pictures stored.

It decides nothing about evidence; it only arranges what `model` holds.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from maieutic.report.columns import Columns
from maieutic.report.images import Picture, Pictures, ceiling
from maieutic.report.model import (
    ReportCode,
    ReportExemplar,
    ReportExperiment,
    ReportImage,
    ReportRun,
    ReportSection,
    ReportSession,
    ReportUnit,
    Shown,
)
from maieutic.report.text import Piece, pieces, visible

#: units in one table, about 1.5 kB each; more go to further pages
PAGE = 250
#: units with a page of their own, about 20 ms and 80 kB each; what ranks below is in the tables alone
MOST_PAGES = 5000
#: what a split is to a reader, and the order they are shown in
_SPLITS = {
    "discover": ("Over its range, from what the explainer could see", 0),
    "select": ("From the split that chose between hypotheses", 1),
    "test": ("Held out: seen by no explainer", 2),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitPage:
    """A unit, the file of its page (``None``: it has none), and where it stands; ``note``: why it is in this table."""

    unit: ReportUnit
    section: ReportSection
    file: str | None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableHead:
    """Which columns a table of units has beside those that all have."""

    controls: tuple[str, ...]
    tests: tuple[str, ...]
    ranked: bool
    explainers: tuple[str, ...]

    @classmethod
    def of(cls, columns: Columns) -> TableHead:
        """The columns that some unit fills."""
        return cls(
            controls=columns.controls,
            tests=columns.tests,
            ranked=bool(np.isfinite(columns.column("importance")).any()),
            explainers=tuple(n for n in columns.explainer_names if n),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TablePage:
    """A table of some units of a section; ``file`` is where it stands; ``order`` what they are in the order of."""

    section: ReportSection
    rows: tuple[UnitPage, ...]
    number: int
    file: str
    order: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """All tables of a section, and the search over them.

    Attributes:
        number: of the section.
        by_score: the first stands on the overview.
        by_importance: the same units; none where no unit was ranked by importance.
        head: the columns of each.
        search: file with all rows, which the script loads when somebody searches; ``None`` for a single table.
    """

    section: ReportSection
    number: int
    by_score: tuple[TablePage, ...]
    by_importance: tuple[TablePage, ...]
    search: str | None
    head: TableHead


@dataclass(frozen=True, slots=True, kw_only=True)
class Display:
    """A text as pieces, or a picture with the one it was made from."""

    pieces: tuple[Piece, ...] = ()
    picture: Picture | None = None
    before: Picture | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExemplarRow:
    """An exemplar ready to show."""

    exemplar: ReportExemplar
    display: Display


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentRow:
    """An experiment ready to show, with the original it is compared with."""

    experiment: ReportExperiment
    anchor: str
    display: Display
    original: ReportExperiment | None
    original_anchor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The experiments of one hypothesis; what the label rests on comes first, bare looks last."""

    hypothesis: str
    rows: tuple[ExperimentRow, ...]
    predicted: int
    held: int


def ordered(section: ReportSection, number: int) -> list[UnitPage]:
    """The units of a section, best first: beats every control, then the score, then the key. Abstentions last.

    Where there are more than `MOST_PAGES`, the most important have pages of their own, or the best where nothing is ranked.
    """
    best = sorted(
        section.units,
        key=lambda u: (u.abstained is not None, not u.beats_all, -(u.ap if u.ap is not None else -1), u.key),
    )
    ranked = sorted(best, key=_importance) if any(u.importance is not None for u in best) else best
    paged, taken = {u.key for u in ranked[:MOST_PAGES]}, set[str]()
    return [
        UnitPage(
            unit=u, section=section, file=_file_name(f"{number}-{u.key}", taken) if u.key in paged else None
        )
        for u in best
    ]  # fmt: skip


def _importance(unit: ReportUnit) -> float:
    """Most important first, unranked last."""
    return math.inf if unit.importance is None else -unit.importance


def _file_name(key: str, taken: set[str]) -> str:
    slug = re.sub(r"[^A-Za-z0-9.]+", "-", key).strip("-.")[:80]
    if slug in taken or slug != key.replace("/", "-"):
        slug += "-" + hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    taken.add(slug)
    return f"units/{slug}.html"


def tables(section: ReportSection, rows: Sequence[UnitPage], number: int) -> Tables:
    """A section's units in tables of `PAGE`, in the order given and, where they were ranked, by importance."""
    ranked = any(r.unit.importance is not None for r in rows)
    by_score = _cut(section, rows, "score", ["index.html", *(f"units-{number}-{i}.html" for i in _pages(rows)[1:])])
    important = sorted(rows, key=lambda r: _importance(r.unit)) if ranked else []
    files = [f"units-{number}-importance-{i}.html" for i in _pages(important)]
    return Tables(
        section=section,
        number=number,
        by_score=by_score,
        by_importance=_cut(section, important, "importance", files) if ranked else (),
        search=f"units-{number}.js" if len(by_score) > 1 else None,
        head=TableHead.of(Columns.of(section.units)),
    )


def _pages(rows: Sequence[UnitPage]) -> list[int]:
    return list(range(1, max(-(-len(rows) // PAGE), 1) + 1))


def _cut(section: ReportSection, rows: Sequence[UnitPage], order: str, files: Sequence[str]) -> tuple[TablePage, ...]:
    return tuple(
        TablePage(section=section, rows=tuple(rows[i * PAGE : (i + 1) * PAGE]), number=i + 1, file=file, order=order)
        for i, file in enumerate(files)
    )


def search_script(tables: Tables) -> str:
    """All rows of a section for the script's search: key, label, state, score, importance, page."""
    rows = [
        [visible(f"{r.unit.key} {r.unit.name}".strip()),
         visible(r.unit.label if r.unit.abstained is None else f"unexplained: {r.unit.abstained}"),
         r.unit.state, r.unit.ap, r.unit.importance, r.file]
        for t in tables.by_score
        for r in t.rows
    ]  # fmt: skip
    return f"searched({tables.number}, {json.dumps(rows, separators=(',', ':'))});\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """An agent's sessions as a page shows them: (role, texts, programs and pictures) per message."""

    model: str
    sessions: list[tuple[ReportSession, list[tuple[str, list[str | ReportCode | Picture]]]]]
    log: str | None


def exemplar_groups(unit: ReportUnit, assets: Pictures) -> list[tuple[str, list[ExemplarRow]]]:
    """Exemplars by split, what the explainer saw first; highest first, their pictures stored with one heat scale."""
    top = ceiling([e.shown for e in unit.exemplars if isinstance(e.shown, ReportImage)])
    ranked = sorted(unit.exemplars, key=lambda e: -e.value)
    splits = sorted({e.split for e in ranked}, key=lambda s: (_SPLITS.get(s, ("", 3))[1], s))
    return [
        (
            _SPLITS.get(split, (split, 3))[0],
            [ExemplarRow(exemplar=e, display=_display(e.shown, unit, assets, top)) for e in ranked if e.split == split],
        )
        for split in splits
    ]


def _display(shown: Shown, unit: ReportUnit, assets: Pictures, top: float, original: Shown | None = None) -> Display:
    if isinstance(shown, ReportImage):
        before = assets.picture(original, top) if isinstance(original, ReportImage) else None
        return Display(picture=assets.picture(shown, top), before=before)
    return Display(pieces=tuple(pieces(shown, unit.scale, original=original)))


def transcript(unit: ReportUnit, assets: Pictures) -> Transcript | None:
    """The sessions of an agent with their pictures stored, and its log copied among the assets."""
    found = unit.transcript
    if found is None:
        return None
    sessions = [
        (
            s,
            [
                (m.role, [assets.picture(p, 0.0) if isinstance(p, ReportImage) else p for p in m.parts])
                for m in s.messages
            ],
        )
        for s in found.sessions
    ]
    return Transcript(model=found.model, sessions=sessions, log=assets.copy(found.log) if found.log else None)


def groups(unit: ReportUnit, assets: Pictures) -> list[Group]:
    """Experiments by hypothesis, in the order they were first tested."""
    known = {e.id: e for e in unit.experiments}
    anchor = {e.id: f"e{i + 1}" for i, e in enumerate(unit.experiments)}
    top = ceiling([e.shown for e in unit.experiments if isinstance(e.shown, ReportImage)])
    evidence = set(unit.evidence)
    out: list[Group] = []
    for hypothesis in dict.fromkeys(e.hypothesis for e in unit.experiments):
        own = [e for e in unit.experiments if e.hypothesis == hypothesis]
        own.sort(key=lambda e: (e.id not in evidence, e.expect is None))
        rows = [_experiment_row(e, unit, assets, top, known, anchor) for e in own]
        predicted = [e for e in own if e.expect is not None]
        held = sum(e.verdict == "as predicted" for e in predicted)
        out.append(Group(hypothesis=hypothesis, rows=tuple(rows), predicted=len(predicted), held=held))
    return out


def _experiment_row(
    experiment: ReportExperiment,
    unit: ReportUnit,
    assets: Pictures,
    top: float,
    known: dict[str, ReportExperiment],
    anchor: dict[str, str],
) -> ExperimentRow:
    original = known.get(experiment.pair) if experiment.pair else None
    return ExperimentRow(
        experiment=experiment,
        anchor=anchor[experiment.id],
        display=_display(experiment.shown, unit, assets, top, original.shown if original else None),
        original=original,
        original_anchor=anchor[original.id] if original else None,
    )


def calibration(units: Sequence[ReportUnit]) -> tuple[int, int]:
    """How many experiments had a prediction, and how many of those came out as predicted."""
    counted = [u.predictions for u in units]
    return sum(made for made, _ in counted), sum(held for _, held in counted)


def summary_json(run: ReportRun, pages: Sequence[UnitPage]) -> str:
    """The overview for programs: one object a unit."""
    units = [
        {
            "subject": p.section.subject, "unit": p.unit.key, "name": p.unit.name, "label": p.unit.label,
            "abstained": p.unit.abstained,
            "ap": p.unit.scores.primary.to_json() if p.unit.scores else None, "beats_every_control": p.unit.beats_all,
            "controls": {c.name: c.reading.value for c in p.unit.scores.controls} if p.unit.scores else {},
            "tests": {t.name: t.reading.to_json() for t in p.unit.scores.tests} if p.unit.scores else {},
            "page": p.file, "explainer": p.unit.explainer, "standing": p.unit.standing, "importance": p.unit.importance,
        }
        for p in pages
    ]  # fmt: skip
    data = {"format": "maieutic-report", "version": 1, "title": run.title, "seed": run.seed, "units": units}
    return json.dumps(data, indent=1, sort_keys=True) + "\n"
