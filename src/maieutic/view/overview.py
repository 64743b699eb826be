"""The first page, and the overview of a run: coverage, scores beside controls, what it took. Charts are drawn from columns."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from maieutic.report.gather import Closed, section_of
from maieutic.report.records import Records
from maieutic.view.opening import Opened, Viewed


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
    def overview(request: Request, run: str, explainer: str | None = None) -> Response:  # pyright: ignore[reportUnusedFunction]
        opened = viewed.opened(run)
        return viewed.page(request, "run.html.j2", opened=opened, **shown(opened, explainer))

    return router


def shown(opened: Opened, explainer: str | None) -> dict[str, Any]:
    """What the overview of a run shows."""
    records = opened.records()
    who = explainer or records.usual()
    columns = opened.index.of(who)
    run = opened.run()
    section = section_of(records, run or Closed(store=opened.store, why=opened.why or "they are being loaded"), who)
    return {
        "section": section,
        "columns": columns,
        "explainer": who,
        "explainers": records.explainers(),
        "records": records,
    }


def _summary(opened: Opened) -> dict[str, Any]:
    records = Records.of(opened.store)
    return {"opened": opened, "records": records, "columns": opened.index.of(records.usual())}
