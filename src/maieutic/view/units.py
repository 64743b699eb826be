"""The table of a run's units, searched, filtered and sorted by columns in memory, and the page of each unit."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response

from maieutic.view.opening import Viewed


def routes(viewed: Viewed) -> APIRouter:
    """``/runs/NAME/units`` and ``/runs/NAME/unit/KEY``."""
    router = APIRouter()

    @router.get("/runs/{run}/units")
    def table(request: Request, run: str) -> Response:  # pyright: ignore[reportUnusedFunction]
        opened = viewed.opened(run)
        records = opened.records()
        columns = opened.index.of(records.usual())
        return viewed.page(request, "units.html.j2", opened=opened, columns=columns)

    @router.get("/runs/{run}/unit/{key:path}")
    def unit(request: Request, run: str, key: str, explainer: str | None = None) -> Response:  # pyright: ignore[reportUnusedFunction]
        opened = viewed.opened(run)
        records = opened.records()
        member = records.member(key)
        if member is None:
            raise HTTPException(404, f"The run has no unit {key!r}.")
        (shown,) = records.shown([member], explainer or records.usual())
        return viewed.page(request, "one_unit.html.j2", opened=opened, key=key, unit=shown)

    return router
