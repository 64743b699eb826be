"""Progress of a run that another process works on: a page that keeps itself up to date, a line on the overview, and JSON.

The page asks for its pieces every few seconds, less often while nothing changes; without a script it is loaded anew. What this
module does not do: read the store (`watching` does), or talk to the process that works.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from markupsafe import Markup

from maieutic.view.opening import Opened, Viewed
from maieutic.view.watching import Standing, Watch

#: states in which a page looks again
MOVING = frozenset({"harvesting", "explaining", "scoring"})
_SAID = {
    "harvesting": "Harvesting",
    "explaining": "Explaining",
    "scoring": "Scoring",
    "stopped": "Stopped",
    "done": "Done",
}


def routes(viewed: Viewed) -> APIRouter:
    """``/runs/NAME/live``, its pieces at ``/live/now``, and ``/live.json``."""
    router = APIRouter()
    watches: dict[str, Watch] = {}

    def standing(opened: Opened) -> Standing:
        if opened.name not in watches:
            watches[opened.name] = Watch(opened.store)
        return watches[opened.name].look()

    @router.get("/runs/{run}/live")
    def live(request: Request, run: str) -> Response:  # pyright: ignore[reportUnusedFunction]
        opened = viewed.opened(run)
        return viewed.page(request, "live.html.j2", opened=opened, **shown(standing(opened)))

    @router.get("/runs/{run}/live/now")
    def pieces(request: Request, run: str) -> Response:  # pyright: ignore[reportUnusedFunction]
        opened = viewed.opened(run)
        return viewed.page(request, "live_now.html.j2", opened=opened, **shown(standing(opened)))

    @router.get("/runs/{run}/live.json")
    def plain(run: str) -> Response:  # pyright: ignore[reportUnusedFunction]
        return JSONResponse(standing(viewed.opened(run)).to_json())

    def line(request: Request, opened: Opened | None, key: str | None) -> Markup:
        if opened is None or not opened.records().harvest:
            return Markup("")
        found = standing(opened)
        return viewed.html(request, "live_line.html.j2", opened=opened, **shown(found))

    viewed.fill("overview.top", line)
    viewed.run_nav.append(("Progress", "/live"))
    return router


def shown(found: Standing) -> dict[str, Any]:
    """What the templates show."""
    return {"standing": found, "moving": found.state in MOVING, "said": _SAID[found.state], "headline": headline(found)}


def headline(found: Standing) -> str:
    """Where the run is, in a sentence."""
    if found.state == "harvesting":
        done = "" if found.shards is None else f": {found.shards[0]} of {found.shards[1]} shards of stimuli are read"
        return f"Stimuli pass through the model{done}."
    going = [t for t in found.tasks if t.left] or list(found.tasks[-1:])
    if not going:
        return "The harvest is done; nothing is explained yet."
    told = "; ".join(
        f"{t.done + t.failed:,} of {t.total:,} units {'scored' if t.kind == 'score' else 'explained'} by {t.explainer}"
        for t in going
    )
    if found.state == "stopped":
        return f"Nobody is working on this run, and something is left: {told}. The same command goes on with it."
    return f"{told[0].upper()}{told[1:]}."
