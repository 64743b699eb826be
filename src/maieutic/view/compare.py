"""Two explainers of a run, or two runs, side by side in the app: a chart, the units where they part most, wins and losses.

What this module does not do: compare (`report.pairing` does, from the stores alone).
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import JSONResponse, Response
from markupsafe import Markup

from maieutic.report.further import paired_csv, shown_pairs
from maieutic.report.pairing import Paired, explainers_of, pair, side_of, usual_pair
from maieutic.view.index import version_of
from maieutic.view.opening import Opened, Viewed

#: comparisons that are kept while their stores do not change
_KEPT = 8
#: which units the table shows, in words
SHOWN = {
    "apart": "most apart first",
    "a": "A better, most first",
    "b": "B better, most first",
    "one": "without a score on a side",
}


def routes(viewed: Viewed) -> APIRouter:
    """``/runs/NAME/compare`` with ``a``, ``b`` (explainers) and ``with`` (another run); the same ``.json`` and ``.csv``."""
    router = APIRouter()
    kept: dict[tuple[Any, ...], Paired] = {}

    def found(request: Request, run: str) -> tuple[Opened, Opened, Paired | None]:
        """The runs, and what is compared; ``None`` where there are no two to compare."""
        opened = viewed.opened(run)
        other = viewed.opened(request.query_params.get("with") or run)
        own, theirs = explainers_of(opened.store), explainers_of(other.store)
        a, b = _who(request, own, theirs, opened is other)
        if a is None or b is None or (opened is other and a == b):
            return opened, other, None
        for name, there, where in ((a, own, opened), (b, theirs, other)):
            if name not in there:
                raise HTTPException(404, f"{where.name} has no labels by {name!r}.")
        what = (opened.name, other.name, a, b, version_of(opened.folder), version_of(other.folder))
        if what not in kept:
            while len(kept) >= _KEPT:
                del kept[next(iter(kept))]
            sides = side_of(opened.store, a, name=opened.name), side_of(other.store, b, name=other.name)
            kept[what] = pair(*sides)
        return opened, other, kept[what]

    @router.get("/runs/{run}/compare")
    def compare(request: Request, run: str, page: int = 1, show: str = "apart") -> Response:  # pyright: ignore[reportUnusedFunction]
        opened, other, both = found(request, run)
        choice = {n: explainers_of(o.store) for n, o in viewed.runs.items()}
        return viewed.page(
            request, "compare.html.j2", opened=opened, name=opened.name, other=other.name, base=opened.url, both=both,
            choice=choice, show=show, kinds=SHOWN, here=_here(request), url_a=_to(opened), url_b=_to(other),
            files={} if both is None else _files(opened, other, both), **shown_pairs(both, page, show),
        )  # fmt: skip

    @router.get("/runs/{run}/compare.json")
    def plain(request: Request, run: str) -> Response:  # pyright: ignore[reportUnusedFunction]
        return JSONResponse(_there(found(request, run)[2]).to_json())

    @router.get("/runs/{run}/compare.csv")
    def table(request: Request, run: str) -> Response:  # pyright: ignore[reportUnusedFunction]
        headers = {"content-disposition": f'attachment; filename="{run}-compare.csv"'}
        return Response(
            paired_csv(_there(found(request, run)[2])), media_type="text/csv; charset=utf-8", headers=headers
        )

    viewed.run_nav.append(("Compare", "/compare"))
    return router


def _who(request: Request, own: list[str], theirs: list[str], one: bool) -> tuple[str | None, str | None]:
    """Whose labels: those asked for, else the usual ones; of another run the same explainer's where it has any."""
    a = request.query_params.get("a") or usual_pair(own)[0]
    rest = [n for n in theirs if n != a] if one else theirs
    usual = a if a in rest else usual_pair(rest)[0]
    return a, request.query_params.get("b") or usual


def _there(both: Paired | None) -> Paired:
    if both is None:
        raise HTTPException(404, "There are no two labels to compare: name two explainers.")
    return both


def _here(request: Request) -> Any:
    """Makes an address of this page with some of its questions changed."""

    def here(**changed: Any) -> Markup:
        asked = {**request.query_params, **{k: str(v) for k, v in changed.items()}}
        return Markup.escape(f"{request.url.path}?{urlencode(asked)}")

    return here


def _to(opened: Opened) -> Any:
    """Addresses of units with the labels of an explainer."""

    def to(key: str, explainer: str) -> str:
        return f"{opened.unit_url(key)}?{urlencode({'whose': explainer})}"

    return to


def _files(opened: Opened, other: Opened, both: Paired) -> dict[str, str]:
    asked = urlencode({"a": both.a.explainer, "b": both.b.explainer, "with": other.name})
    return {kind: f"{opened.url}/compare.{kind}?{asked}" for kind in ("csv", "json")}
