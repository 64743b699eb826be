"""Write a report: static pages that open from disk, with no script or style from elsewhere.

The same `ReportRun` gives the same bytes. A report is written beside its folder and put in place when complete, so an
interrupted write leaves the old one.
"""

from __future__ import annotations

import errno
import json
import shutil
import tempfile
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, cast

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from maieutic.errors import UserError
from maieutic.readings import Reading
from maieutic.report import charts, overview, pages, text
from maieutic.report.further import FurtherPage, said_of
from maieutic.report.images import Assets
from maieutic.report.links import NavItem, StaticLinks
from maieutic.report.model import STATE_NAMES, TOLERANCE, ReportRun
from maieutic.report.said import Heard
from maieutic.report.spans import number, stimulus

_STATIC = ("report.css", "parts.css", "report.js", "icon.svg")
_MARK = "report.json"


def write_report(run: ReportRun, folder: Path, *, further: Sequence[FurtherPage] = ()) -> Path:
    """Write a report into a folder and give its first page.

    Args:
        run: what to show.
        folder: made when missing; an older report there is replaced.
        further: pages beside the overview and the units.

    Cost: a few milliseconds a text unit; pictures are loaded, shrunk and stored (about 20 ms each).

    Raises:
        UserError: the folder holds something else, or cannot be written.
    """
    if folder.exists() and not (folder.is_dir() and ((folder / _MARK).is_file() or not any(folder.iterdir()))):
        raise UserError(f"{folder} holds something that is not a report: choose an empty or a new folder")
    with _replacing(folder) as new:
        _write(run, new, further)
    return folder / "index.html"


@contextmanager
def _replacing(folder: Path) -> Generator[Path]:
    new: Path | None = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        new = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
        new.chmod(0o755)
        yield new
        if folder.exists():
            shutil.rmtree(folder)
        new.rename(folder)
    except OSError as error:
        why = "the disk is full" if error.errno == errno.ENOSPC else (error.strerror or str(error))
        raise UserError(f"the report cannot be written to {folder} ({why}): choose another folder") from error
    finally:
        if new is not None:
            shutil.rmtree(new, ignore_errors=True)


def _write(run: ReportRun, folder: Path, further: Sequence[FurtherPage]) -> None:
    assets = Assets(folder=folder / "assets")
    for sub in ("assets", "units"):
        (folder / sub).mkdir()
    for name in _STATIC:
        (folder / "assets" / name).write_bytes(_resource(f"static/{name}"))
    sections = [(s, pages.ordered(s, i + 1)) for i, s in enumerate(run.sections)]
    tables = [pages.tables(s, rows, i + 1) for i, (s, rows) in enumerate(sections)]
    nav = _nav(further)
    _page(folder, "index.html", "index.html.j2", run=run, tables=tables, nav=nav("index.html"))
    for own in tables:
        for table in (*own.by_score[1:], *own.by_importance):
            _page(folder, table.file, "table.html.j2", run=run, table=table, tables=own, nav=nav(table.file))
        if own.search is not None:
            (folder / "assets" / own.search).write_text(pages.search_script(own), encoding="utf-8")
    paged = [page for _, rows in sections for page in rows if page.file is not None]
    said = {n: f.values["heard"] for n in range(1, len(sections) + 1) for f in further if f.about(n, "heard")}
    heard = {id(s): said[n] for n, (s, _) in enumerate(sections, 1) if n in said}
    _unit_pages(run, paged, folder, assets, nav(""), heard)
    for page in further:
        own = sections[page.section - 1][1]
        units = {p.unit.key: (p.file, p.unit.explainer) for p in own if p.file is not None}
        _further(folder, page, units, nav(page.file))
    (folder / _MARK).write_text(pages.summary_json(run, [p for _, rows in sections for p in rows]), encoding="utf-8")


def _nav(further: Sequence[FurtherPage]) -> Callable[[str], list[NavItem]]:
    """The bar above every page, for the page of a file; none where there is nothing else to go to."""
    items = [("Overview", "index.html"), *((f.title, f.file) for f in further)] if further else []
    return lambda file: [NavItem(title=t, to=to, current=to == file) for t, to in items]


def _further(
    folder: Path, page: FurtherPage, units: Mapping[str, tuple[str, str]], nav: Sequence[NavItem]
) -> None:  # fmt: skip
    """A further page with the files beside it; a unit is linked where its page shows the labels that are meant."""

    def to(key: str, explainer: str) -> str | None:
        file, shown = units.get(key, ("", ""))
        return file if file and explainer == shown else None

    for name, data in page.data.items():
        (folder / name).write_bytes(data)
    addresses = {name: to for name in ("url_a", "url_b") if name in page.values}
    files = {key: file for key, (file, _) in units.items()}
    values: dict[str, Any] = {**page.values, **addresses, "units": files, "nav": nav}
    _page(folder, page.file, page.template, **values)


def _unit_pages(
    run: ReportRun,
    every: Sequence[pages.UnitPage],
    folder: Path,
    assets: Assets,
    nav: Sequence[NavItem],
    heard: Mapping[int, Heard],
) -> None:
    """A page a unit; evidence is held for one at a time. ``heard``: what people said, by section."""
    files: dict[str, str] = {}
    for before, page, after in zip([None, *every], every, [*every[1:], None], strict=False):
        unit = page.unit if page.section.full is None else page.section.full(page.unit)
        shown = {
            "exemplars": pages.exemplar_groups(unit, assets),
            "groups": pages.groups(unit, assets),
            "transcript": pages.transcript(unit, assets),
        }
        around = {"before": before, "after": after, "back": None, "pending": None, "ask": None}
        if before is None or before.section is not page.section:
            files = {p.unit.key: p.file for p in every if p.section is page.section and p.file is not None}
        assert page.file is not None, "units with pages"
        about = said_of(unit.key, heard.get(id(page.section)))
        _page(
            folder, page.file, "unit.html.j2", run=run, page=page, unit=unit, units=files, nav=nav, said=about,
            **around, **shown,
        )  # fmt: skip
        assets.forget()


def _page(folder: Path, file: str, template: str, *, said: Sequence[Any] = (), **values: Any) -> None:
    links = StaticLinks(root="../" * file.count("/"), units=values.pop("units", {}), nav=values.pop("nav", ()))

    def slot(place: str) -> Markup:
        """What stands in a place that the app fills: in a folder what people said, and nothing else."""
        if place != "unit.foot" or not said:
            return Markup("")
        text = environment().get_template("people_said.html.j2").render(links=links, rows=said)
        return Markup(text)  # noqa: S704 (a template's output, escaped)

    html = environment().get_template(template).render(links=links, slot=slot, **values)
    (folder / file).write_bytes(html.encode("utf-8"))


def _resource(name: str) -> bytes:
    return resources.files("maieutic.report").joinpath(name).read_bytes()


@cache
def environment() -> Environment:
    """The templates: everything escaped, unknown names refused, invisible characters made visible."""
    made = Environment(
        loader=PackageLoader("maieutic.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_finalize,
    )
    filters: dict[str, Any] = {
        "num": number,
        "interval": _interval,
        "short": text.shortened,
        "duration": _duration,
        "plain": _plain_json,
    }
    cast(dict[str, Any], made.filters).update(filters)
    functions: dict[str, Any] = {
        "bar": charts.bar,
        "columns": charts.histogram,
        "headline": overview.headline_of,
        "overview_of": overview.of_units,
        "calibration": pages.calibration,
        "stimulus": stimulus,
        "confusion_cells": charts.confusion_cells,
        "tolerance": TOLERANCE,
        "states": STATE_NAMES,
    }
    cast(dict[str, Any], made.globals).update(functions)
    return made


def _finalize(value: Any) -> Any:
    return text.visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _interval(reading: Reading | None) -> str:
    if reading is None or reading.low is None or reading.high is None:
        return ""
    return f"{number(reading.low)} to {number(reading.high)}"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _plain_json(value: Any) -> str:
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, default=str)


def write_pages(texts: Mapping[Path, str], *, advice: str) -> None:
    """Write files of one folder, each whole or not at all; what UTF-8 cannot hold becomes a character reference.

    Args:
        texts: by path; the folder is made. The first names what could not be written.
        advice: what to do where it cannot be written, as in ``give another folder``.

    Raises:
        UserError: the folder cannot be written.
    """
    first = next(iter(texts))
    try:
        first.parent.mkdir(parents=True, exist_ok=True)
        for path, text in texts.items():
            part = path.with_name(path.name + ".part")
            part.write_bytes(text.encode("utf-8", "xmlcharrefreplace"))
            part.replace(path)
    except OSError as error:
        raise UserError(f"cannot write {first} ({error.strerror}): {advice}") from error
