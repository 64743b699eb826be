"""The first page, and the overview of a run: coverage, scores beside controls, what it took. Charts are drawn from columns."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from starlette.background import BackgroundTask

from maieutic.campaign import Run
from maieutic.errors import UsageError, did_you_mean
from maieutic.report.gather import Closed, section_of
from maieutic.report.model import ReportSection
from maieutic.report.overview import Overview
from maieutic.report.pages import TableHead, UnitPage
from maieutic.store import CHOSEN
from maieutic.view.opening import Opened, Viewed
from maieutic.view.querying import Query, find
from maieutic.view.units import stub

#: units of the short table on the overview
BEST = 20


def routes(viewed: Viewed) -> APIRouter:
    """``/`` and ``/runs/NAME/``."""
    router = APIRouter()

    @router.get("/")
    def first(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        if len(viewed.places) == 1:
            return RedirectResponse(viewed.places[0], status_code=307)
        return viewed.page(request, "runs.html.j2", runs=[_summary(o) for o in viewed.runs.values()])

    @router.get("/runs/{run}")
    def whole(run: str) -> Response:  # pyright: ignore[reportUnusedFunction]
        return RedirectResponse(f"{viewed.opened(run).url}/", status_code=307)

    @router.get("/runs/{run}/")
    def overview(request: Request, run: str, whose: str | None = None) -> Response:  # pyright: ignore[reportUnusedFunction]
        opened = viewed.opened(run)
        if not opened.records().harvest:
            return viewed.page(request, "empty_run.html.j2", opened=opened)
        page = viewed.page(request, "run.html.j2", opened=opened, **shown(opened, whose))
        # the model comes behind the page: importing it takes the interpreter for seconds
        page.background = BackgroundTask(opened.run)
        return page

    return router


def shown(opened: Opened, explainer: str | None) -> dict[str, Any]:
    """What the overview of a run shows.

    Raises:
        UsageError: nobody of that name explained a unit.
    """
    records = opened.records()
    known, usual = opened.index.explainers(), opened.index.usual()
    if explainer is not None and explainer not in (*known, CHOSEN):
        raise UsageError(f"no explainer {explainer[:60]!r} here{did_you_mean(explainer, known)}: leave it out")
    who = explainer or usual
    columns = opened.index.of(who)
    run = opened.loaded or Closed(store=opened.store, why=opened.why or "they are being loaded; look again in a moment")
    section = _section(opened, run, who)
    overview = Overview.of(columns, section)
    best = find(columns, Query())[:BEST].tolist()
    units = records.shown([(int(columns.ids[i]), columns.keys[i]) for i in best], who, tally=False)
    place = Query(whose="" if who == usual else who).place
    return {
        "section": section, "o": overview, "explainer": who, "explainers": known, "records": records,
        "seconds": (records.harvest["seconds"] or 0.0) + overview.total.seconds, "total": len(columns),
        "head": TableHead.of(columns),
        "rows": [UnitPage(unit=u, section=section, file=opened.unit_url(u.key) + place) for u in units],
    }  # fmt: skip


def _section(opened: Opened, run: Run | Closed, who: str) -> ReportSection:
    """What the overview says beside its units; made anew where the store changed or the model came, since it adds up all rows."""
    now = (opened.index.version(), isinstance(run, Run), opened.why)
    before, section = opened.kept.get(f"section {who}", (None, None))
    if before != now:
        section = section_of(opened.records(), run, who)
        opened.kept[f"section {who}"] = (now, section)
    return section


def _summary(opened: Opened) -> dict[str, Any]:
    records = opened.records()
    if not records.harvest:
        return {"opened": opened, "section": None, "o": None}
    section = stub(records)
    return {"opened": opened, "section": section, "o": Overview.of(opened.index.of(opened.index.usual()), section)}
