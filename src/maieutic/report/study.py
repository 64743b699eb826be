"""The report of the study of regularisation: one self-contained page, light and dark, without a script, and a page of text.

Everything shown is escaped by the templates. What this module does not do: measure, compare or conclude; it shows a
`maieutic.studies.regularization.run.Study`. Its files beside (CSV, Parquet, JSON) are written by the study itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from statistics import fmean
from typing import Any

from markupsafe import Markup

from maieutic.report import study_charts as charts
from maieutic.report.write import environment, write_pages
from maieutic.studies.regularization.arms import ARMS
from maieutic.studies.regularization.comparing import Contrast
from maieutic.studies.regularization.config import BASELINE
from maieutic.studies.regularization.headlines import (
    GAP,
    HEADLINES,
    LOCALITY,
    LOSS,
    PRIMARY,
    SECONDARY,
    Headline,
)
from maieutic.studies.regularization.hypotheses import Answer
from maieutic.studies.regularization.measured import Measured
from maieutic.studies.regularization.run import Study
from maieutic.studies.regularization.summary import arms_in_words, cautions, null_words, summary_lines, what_was_run

PAGE, SUMMARY = "report.html", "summary.txt"
#: behind an extra LayerNorm the same firings are looked at again
BANDS = (("bands.{}", "before any LayerNorm", "own"), ("hiding.{}.after", "behind the LayerNorm", "after"))
#: columns of the table of arms, beside what is always there
_COLUMNS: tuple[tuple[str, str | None, str, int], ...] = (
    ("loss", "", "loss", 3), ("recall.held-out", "", "recall", 2), ("neurons.gap", None, "neuron gap", 3),
    ("neurons.score", None, "score", 3), ("bands.low", None, "weak firings", 2), ("edit.locality", "", "locality", 2),
    ("edit.score", "", "editing", 2), ("sparsity.active", None, "active", 2), ("sparsity.strong", None, "strong", 2),
    ("sparsity.dead", None, "dead", 2), ("sparsity.nonzero", "", "nonzero weights", 2),
    ("tokens-per-second", "", "tokens/CPU s", 0),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmRow:
    """An arm in the table: how many of its models there are, and each column's mean or a dash with the reason."""

    arm: str
    what: str
    family: str
    models: str
    cells: tuple[tuple[str, str], ...]
    reasons: tuple[str, ...]


def write_study(study: Study, folder: Path) -> Path:
    """Write ``report.html`` and ``summary.txt`` into a folder and give the page. Cost: a second.

    Raises:
        UserError: the folder cannot be written.
    """
    page = folder / PAGE
    texts = {page: study_html(study), folder / SUMMARY: "\n\n".join(summary_lines(study)) + "\n"}
    write_pages(texts, advice="give another folder with --run")
    return page


def study_html(study: Study) -> str:
    """The page."""
    arms, table = study.config.arms, study.table
    trained = [a for a in arms if ARMS[a].trained]
    shown: dict[str, Any] = {
        "study": study,
        "ran": list(what_was_run(study)),
        "arms_said": list(arms_in_words(study)),
        "cautions": list(cautions(study)),
        "null_said": null_words(study),
        "frontiers": [charts.frontier(table, arms, x, y) for x, y in ((LOSS, GAP), (LOSS, LOCALITY), (GAP, LOCALITY))],
        "numbered": [(n, a, charts.family_of(a)) for n, a in enumerate(arms, start=1)],
        "primary": [charts.forest(study.findings, h) for h in PRIMARY],
        "secondary": [charts.forest(study.findings, h) for h in SECONDARY],
        "null": null_forest(study),
        "answered": [(a, answer_forests(a)) for a in study.answers],
        "bands": charts.band_charts(table, trained, BANDS),
        "curves": charts.curve_charts(table, arms),
        "columns": [c[2] for c in _COLUMNS],
        "arm_rows": [arm_row(study, a) for a in arms],
        "everything": list(everything(study)),
        "baseline": BASELINE,
    }
    return environment().get_template("study.html.j2").render(**shown, style=study_style())


def answer_forests(answer: Answer) -> list[charts.Forest]:
    """The comparisons behind an answer, one chart for each measure."""
    titles = {h.measure: h for h in HEADLINES}
    found: dict[str, list[tuple[str, str, Contrast]]] = {}
    for c in answer.contrasts:
        found.setdefault(c.measure, []).append((c.arm, charts.MATCHED.get(c.matched, f"equal {c.matched}"), c))
    return [charts.forest_of(titles.get(m, Headline(measure=m, title=m, note="")), rows) for m, rows in found.items()]


def null_forest(study: Study) -> list[tuple[Headline, Contrast]]:
    """The baseline beside itself, measure by measure."""
    return list(zip(HEADLINES, study.findings.null, strict=True))


def arm_row(study: Study, arm: str) -> ArmRow:
    """An arm's line of the table."""
    models = study.table.of(arm)
    wanted = len(study.config.seeds)
    cells = tuple(_cell(list(models.values()), m, where, digits) for m, where, _, digits in _COLUMNS)
    prefix = f"main/{arm}"
    reasons = [
        f"{n}: {why}" for n, why in study.table.missing if n.startswith((f"{prefix}/", f"{prefix}@"))
    ]  # fmt: skip
    return ArmRow(
        arm=arm, what=ARMS[arm].what, family=charts.family_of(arm), models=f"{len(models)} of {wanted}", cells=cells,
        reasons=tuple(reasons),
    )  # fmt: skip


def _cell(models: Sequence[Measured], measure: str, where: str | None, digits: int) -> tuple[str, str]:
    """Mean over seeds as text, and what to say beside it."""
    values = [m.value(measure, where) for m in models]
    known = [v for v in values if v is not None]
    if not known:
        return "–", next((m.reason(measure, where) for m in models), "no model of it is there")
    spread = f"{min(known):.{digits}f} to {max(known):.{digits}f} over {len(known)} of {len(values)} seeds"
    return f"{fmean(known):,.{digits}f}".replace("-", "−"), spread


def everything(study: Study) -> Iterator[tuple[str, list[tuple[str, list[tuple[str, str]]]]]]:
    """Every measure of every arm by what it is about: (about, (measure, a cell for each arm))."""
    places: dict[str, dict[str, set[str]]] = {}
    for m in study.table.models:
        for r in m.rows:
            places.setdefault(r.about, {}).setdefault(r.measure, set()).add(r.where)
    for about, measures in places.items():
        rows: list[tuple[str, list[tuple[str, str]]]] = []
        for measure, wheres in measures.items():
            where = "" if "" in wheres else None
            cells = [_cell(list(study.table.of(a).values()), measure, where, 3) for a in study.config.arms]
            rows.append((measure, cells))
        yield about, rows


def study_style() -> Markup:
    """The styles of reports, of dossiers, and those of studies; all are our own files."""
    room = resources.files("maieutic.report")
    names = ("report.css", "dossier.css", "study.css")
    return Markup("".join(room.joinpath(f"static/{n}").read_text(encoding="utf-8") for n in names))  # noqa: S704
