"""Two runs side by side as one self-contained page, and the same as JSON.

What this module does not do: compare; it shows a `maieutic.studies.compare.Comparison`.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from maieutic.readings import Reading
from maieutic.report import charts
from maieutic.report.study import study_style
from maieutic.report.study_charts import Axis, Small, axis, line
from maieutic.report.write import environment, write_pages
from maieutic.studies.compare import Comparison, Side

PAGE, DATA = "comparison.html", "comparison.json"


def write_comparison(found: Comparison, folder: Path) -> Path:
    """Write ``comparison.html`` and ``comparison.json`` into a folder and give the page. Cost: milliseconds.

    Raises:
        UserError: the folder cannot be written.
    """
    page = folder / PAGE
    texts = {page: comparison_html(found), folder / DATA: json.dumps(found.to_json(), indent=1) + "\n"}
    write_pages(texts, advice="give another folder with --out")
    return page


def comparison_html(found: Comparison) -> str:
    """The page."""
    scale = axis([0.0, *(v for _, _, _, d in found.rows for v in (d.value, d.low, d.high) if v is not None)])
    template = environment().get_template("study_compare.html.j2")
    return template.render(
        found=found,
        sides=(("A", found.a), ("B", found.b)),
        scale=scale,
        zero=scale.at(0.0),
        bars={what: bar_of(d, scale) for what, _, _, d in found.rows},
        strips=[s for name, side in (("A", found.a), ("B", found.b)) for s in strips_of(name, side)],
        curves=[curves_of("A", found.a), curves_of("B", found.b)],
        reasons={name: not_scored(side) for name, side in (("A", found.a), ("B", found.b))},
        style=study_style(),
    )


def bar_of(reading: Reading, scale: Axis) -> charts.Bar | None:
    """Where a difference stands; ``None`` when it was not measured."""
    if reading.value is None:
        return None
    low = reading.value if reading.low is None else reading.low
    high = reading.value if reading.high is None else reading.high
    left = scale.at(low)
    return charts.Bar(at=scale.at(reading.value), left=left, width=round(scale.at(high) - left, 2))


def strips_of(name: str, side: Side) -> list[charts.Strip]:
    """Scores of a run's units, and of its random directions."""
    return [
        charts.strip(f"{name}: units", [u.value for u in side.units], own=True),
        charts.strip(f"{name}: random directions", [u.value for u in side.directions], own=False),
    ]


def curves_of(name: str, side: Side) -> Small:
    """Share of live and of all units above each score."""
    lines = (line("all units", "", side.curve(all_units=True)), line("live units", "own", side.curve(all_units=False)))
    return Small(arm=f"{name}: {side.name}", family="control", lines=lines if side.units else (), why="no units")


def not_scored(side: Side) -> list[tuple[str, int]]:
    """Why units could not be scored, and how many."""
    return Counter(u.reason for u in side.units if u.value is None).most_common()
