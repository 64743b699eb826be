"""Dossiers, trust cards, studies, forecasts and answers that lie in a folder, listed and served in the app.

Only what a search of the folder found is served, by its place in that list: no part of an address becomes part of a path. Pages
are files that anybody may have changed, so they come without scripts, forms and an origin (`security.SANDBOX`). What this module
does not do: search (`report.artifacts` does), or make pages of other commands.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import FileResponse, Response

from maieutic.campaign.forecast_file import read_forecast
from maieutic.report.artifacts import Artifact, find_artifacts
from maieutic.report.links import quoted
from maieutic.view.opening import Viewed
from maieutic.view.security import SANDBOX

#: seconds for which what was found is not looked for again
_FRESH = 5.0
_TYPES = {".json": "application/json", ".csv": "text/csv; charset=utf-8", ".txt": "text/plain; charset=utf-8"}


@dataclass
class Shelf:
    """A folder with what was found in it."""

    name: str
    folder: Path
    _found: dict[str, Artifact] = field(default_factory=dict[str, Artifact])
    _at: float = -1e9

    @property
    def url(self) -> str:
        return f"/runs/{quoted(self.name)}/files"

    def found(self) -> dict[str, Artifact]:
        """By id. Cost: reads what it finds, at most every few seconds."""
        if time.monotonic() - self._at > _FRESH:
            self._found = {a.id: a for a in find_artifacts(self.folder)}
            self._at = time.monotonic()
        return self._found

    def one(self, id: str) -> Artifact:
        """The artifact of that id; a page that says so where there is none."""
        if id not in self.found():
            raise HTTPException(404, "There is no such file among those that were found here.")
        return self._found[id]


def routes(viewed: Viewed) -> APIRouter:
    """``/runs/NAME/files``: what was found; ``/show/ID`` of each, its page at ``/page/ID``, its files at ``/take/ID?name=``."""
    router = APIRouter()
    shelves = {name: Shelf(name=name, folder=o.folder) for name, o in viewed.runs.items()}
    shelves |= {name: Shelf(name=name, folder=folder) for name, folder in viewed.shelves.items()}

    def shelf(name: str) -> Shelf:
        if name not in shelves:
            raise HTTPException(404, f"There is no folder {name!r} here.")
        return shelves[name]

    def opened(name: str) -> Any:
        return viewed.runs.get(name)

    @router.get("/runs/{name}/files")
    def everything(request: Request, name: str) -> Response:  # pyright: ignore[reportUnusedFunction]
        place = shelf(name)
        found = list(place.found().values())
        addresses = {a.id: f"{place.url}/show/{quoted(a.id)}" for a in found}
        return viewed.page(
            request, "artifacts.html.j2", opened=opened(name), name=name, found=found, addresses=addresses
        )

    @router.get("/runs/{name}/files/show/{id:path}")
    def one(request: Request, name: str, id: str) -> Response:  # pyright: ignore[reportUnusedFunction]
        place = shelf(name)
        found = place.one(id)
        return viewed.page(
            request, "artifact.html.j2", opened=opened(name), shelf=place, found=found, more=more(place.folder / id, found)
        )  # fmt: skip

    @router.get("/runs/{name}/files/page/{id:path}")
    def page(name: str, id: str) -> Response:  # pyright: ignore[reportUnusedFunction]
        found = shelf(name).one(id)
        if found.page is None:
            raise HTTPException(404, "It has no page of its own.")
        return FileResponse(
            found.page, media_type="text/html; charset=utf-8", headers={"content-security-policy": SANDBOX}
        )

    @router.get("/runs/{name}/files/take/{id:path}")
    def take(request: Request, name: str, id: str) -> Response:  # pyright: ignore[reportUnusedFunction]
        found = shelf(name).one(id)
        file = found.files.get(request.query_params.get("name", ""))
        if file is None:
            raise HTTPException(404, "There is no such file.")
        kind = _TYPES.get(file.suffix, "application/octet-stream")
        return FileResponse(file, media_type=kind, filename=file.name, headers={"content-security-policy": SANDBOX})

    viewed.run_nav.append(("Files", "/files"))
    return router


def more(file: Path, found: Artifact) -> dict[str, Any]:
    """What the app shows itself of things that have no page: scenarios of a forecast, answers with their experiments."""
    parts: dict[str, Any] = {"scenarios": (), "answers": (), "experiments": ()}
    if found.wrong is None and found.kind == "forecast":
        parts["scenarios"] = read_forecast(file.parent.parent).read()
    if found.wrong is None and found.kind == "answer":
        asked = json.loads(file.read_text(encoding="utf-8"))
        parts |= {"answers": asked["answers"], "experiments": asked["experiments"]}
    return parts
