"""Latents beside other units of their layer, as one self-contained page, light and dark, without a script.

Everything shown is escaped by the templates. What this module does not do: measure or conclude; it shows a
`maieutic.studies.sae.comparing.Compared`, whose JSON is written by the study itself, and, where they are given, the SAE's metrics.
"""

from __future__ import annotations

from pathlib import Path

from maieutic.report import charts
from maieutic.report.study import study_style
from maieutic.report.study_charts import Axis, axis
from maieutic.report.study_compare import bar_of
from maieutic.report.write import environment, write_pages
from maieutic.studies.sae.comparing import Compared
from maieutic.studies.sae.metrics import Metrics

PAGE = "sae.html"
#: of each kind, the labels that are shown: the best by AP
SHOWN = 20


def write_sae_page(found: Compared, folder: Path, *, metrics: Metrics | None = None) -> Path:
    """Write ``sae.html`` into a folder and give it. Cost: milliseconds.

    Raises:
        UserError: the folder cannot be written.
    """
    page = folder / PAGE
    write_pages({page: sae_html(found, metrics=metrics)}, advice="give another folder with --out")
    return page


def sae_html(found: Compared, *, metrics: Metrics | None = None) -> str:
    """The page."""
    scale = _scale(found)
    groups = [
        (g, charts.strip(g.kind.name, [s.score.value for s in g.scored], own=i == 0))
        for i, g in enumerate(found.groups)
    ]
    best = {
        g.kind.name: sorted(g.scored, key=lambda s: -(s.score.value if s.score.value is not None else -1.0))[:SHOWN]
        for g in found.groups
    }
    return (
        environment()
        .get_template("sae.html.j2")
        .render(
            found=found,
            verdict=verdict(found),
            scale=scale,
            zero=scale.at(0.0),
            bars=[bar_of(c.reading, scale) for c in found.contrasts],
            groups=groups,
            best=best,
            metrics=metrics,
            style=study_style(),
        )
    )


def _scale(found: Compared) -> Axis:
    readings = [c.reading for c in found.contrasts]
    return axis([0.0, *(v for r in readings for v in (r.value, r.low, r.high) if v is not None)])


def verdict(found: Compared) -> str:
    """In one sentence: what latents beat, what beats them, and where no difference was seen."""
    names = {
        v: [c.other for c in found.contrasts if c.verdict == v]
        for v in ("better", "worse", "no difference seen", "unmeasured")
    }
    parts = [
        f"labels of latents score higher than those of {_and(names['better'])}" if names["better"] else "",
        f"lower than those of {_and(names['worse'])}" if names["worse"] else "",
        f"no difference was seen beside {_and(names['no difference seen'])}" if names["no difference seen"] else "",
        f"{_and(names['unmeasured'])} could not be compared" if names["unmeasured"] else "",
    ]
    if names["worse"] and not names["better"]:
        parts[1] = f"labels of latents score {parts[1]}"
    said = "; ".join(p for p in parts if p)
    return f"{said[:1].upper()}{said[1:]}." if said else "Nothing was compared."


def _and(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
