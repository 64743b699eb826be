"""Which units drive an output, as one self-contained page.

What this module does not do: measure; it shows a `maieutic.lab.drivers.Drivers`.
"""

from __future__ import annotations

import re
from pathlib import Path

from maieutic.lab.drivers import Driver, Drivers
from maieutic.report.study import study_style
from maieutic.report.study_charts import Axis, axis
from maieutic.report.study_compare import bar_of
from maieutic.report.write import environment, write_pages


def write_drivers_page(found: Drivers, folder: Path) -> Path:
    """Write ``<output>.html`` into a folder and give the page; the same question again replaces it.

    Raises:
        UserError: the folder cannot be written.
    """
    page = folder / f"{page_name(found)}.html"
    write_pages({page: drivers_html(found)}, advice="give another folder with --out")
    return page


def page_name(found: Drivers) -> str:
    """A name for files about an output: ``token-Paris``, ``class-281-tabby-cat``."""
    target = found.target
    words = re.sub(r"[^\w-]+", "-", target.name.strip()).strip("-")
    parts = [target.kind, str(target.index) if target.kind != "token" or not words else "", words[:40]]
    against = f"against-{target.against}" if target.against is not None else ""
    return "-".join(p for p in (*parts, against) if p)


def drivers_html(found: Drivers) -> str:
    """The page."""
    rows: list[Driver] = [*found.candidates, *found.matched, *found.bottom]
    values = [v for r in rows for v in (r.ablated.value, r.ablated.low, r.ablated.high) if v is not None]
    scale: Axis = axis([0.0, *values])
    return (
        environment()
        .get_template("drivers.html.j2")
        .render(
            found=found,
            title=title_of(found),
            sides=(
                ("Candidates by attribution", found.candidates),
                ("Other units that ablation moves as far", found.matched),
                ("Units that attribution ranks nearest to nothing", found.bottom),
            ),
            scale=scale,
            zero=scale.at(0.0),
            bar_of=bar_of,
            style=study_style(),
        )
    )


def title_of(found: Drivers) -> str:
    """The output in words."""
    target = found.target
    shown = f"{target.kind} {target.name!r}" if target.kind == "token" else f"{target.kind} {target.name}"
    return shown + (f" against {target.against_name!r}" if target.against is not None else "")
