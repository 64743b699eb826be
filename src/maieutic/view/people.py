"""What people say of labels, in the app: a form on every unit's page, a page of its own, blind labelling, and exports.

A form carries the token of the browser it was given to (`security`), and the digest of the label that it showed, so that nobody
answers about a label that has changed meanwhile. What this module does not do: write to the store, or change what machines said.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response
from markupsafe import Markup
from pydantic import ValidationError

from maieutic.errors import UserError
from maieutic.report.agreement import agreements
from maieutic.report.further import said_rows, shown_said
from maieutic.report.model import ReportUnit
from maieutic.report.pages import exemplar_groups
from maieutic.report.said import VERDICTS, Heard, Said, append_said, read_said, said_csv, said_jsonl, why_not
from maieutic.view.evidence import Served, heated
from maieutic.view.opening import Opened, Viewed
from maieutic.view.security import session_of

if TYPE_CHECKING:
    from maieutic.view.units import Units

#: seconds that a page for labelling blind waits for its exemplars
PATIENCE = 20.0
#: verdicts that a form offers, in its order
OFFERED = ("confirm", "correct", "wrong", "unsure", "comment")


def routes(viewed: Viewed) -> APIRouter:
    """``/runs/NAME/people`` with its exports, ``/runs/NAME/blind``, and what stands on pages of units."""
    router = APIRouter()

    @router.get("/runs/{run}/people")
    def everything(request: Request, run: str, page: int = 1) -> Response:  # pyright: ignore[reportUnusedFunction]
        opened = viewed.opened(run)
        heard = read_said(opened.folder)
        files = {kind: f"{opened.url}/people.{kind}" for kind in ("csv", "jsonl", "json")}
        return viewed.page(
            request, "people.html.j2", opened=opened, name=opened.name, base=opened.url, files=files,
            writable=viewed.writable, **shown_said(heard, page),
        )  # fmt: skip

    @router.post("/runs/{run}/people")
    async def say(request: Request, run: str) -> Response:  # pyright: ignore[reportUnusedFunction]
        opened = viewed.opened(run)
        return said_of(opened, request, await _form(request))

    @router.get("/runs/{run}/people.csv")
    def table(run: str) -> Response:  # pyright: ignore[reportUnusedFunction]
        text = said_csv(read_said(viewed.opened(run).folder))
        return Response(text, media_type="text/csv; charset=utf-8", headers=_taken(run, "people.csv"))

    @router.get("/runs/{run}/people.jsonl")
    def lines(run: str) -> Response:  # pyright: ignore[reportUnusedFunction]
        text = said_jsonl(read_said(viewed.opened(run).folder))
        return Response(text, media_type="application/x-ndjson", headers=_taken(run, "people.jsonl"))

    @router.get("/runs/{run}/people.json")
    def figures(run: str) -> Response:  # pyright: ignore[reportUnusedFunction]
        heard = read_said(viewed.opened(run).folder)
        return JSONResponse({"said": len(heard.said), "agreement": [a.to_json() for a in agreements(heard.said)]})

    @router.get("/runs/{run}/blind")
    def blind(request: Request, run: str, unit: str | None = None, explainer: str | None = None) -> Response:  # pyright: ignore[reportUnusedFunction]
        opened = viewed.opened(run)
        _writable(viewed)
        who = explainer or opened.records().usual()
        heard = read_said(opened.folder)
        keys = in_turn(opened, who)
        done = {s.unit for s in heard.said if s.blind and s.browser == session_of(request.scope).id}
        key = unit or next((k for k in keys if k not in done), None)
        if key is not None and key not in keys:
            raise HTTPException(404, f"{who} has no label for {key}.")
        return viewed.page(
            request, "blind.html.j2", opened=opened, asked=key, explainer=who, done=len(done), of=len(keys),
            form=_head(request, heard), **seen_blind(viewed, opened, key, who),
        )  # fmt: skip

    @router.post("/runs/{run}/blind")
    async def unseen(request: Request, run: str) -> Response:  # pyright: ignore[reportUnusedFunction]
        opened = viewed.opened(run)
        given = await _form(request)
        return label_of(opened, request, given)

    def about(request: Request, opened: Opened | None, key: str | None) -> Markup:
        if opened is None or key is None:
            return Markup("")
        who = request.query_params.get("whose") or opened.records().usual()
        unit = _unit(opened, key, who)
        if unit is None:
            return Markup("")
        heard = read_said(opened.folder)
        return viewed.html(
            request, "people_unit.html.j2", opened=opened, key=key, unit=unit, seen=digest(unit),
            rows=said_rows(heard.about(key), heard), verdicts=[(v, VERDICTS[v]) for v in OFFERED],
            form=_head(request, heard), writable=viewed.writable,
        )  # fmt: skip

    viewed.fill("unit.foot", about)
    viewed.run_nav.append(("People", "/people"))
    return router


# --- what is shown ---------------------------------------------------------------------------------------------------------


def in_turn(opened: Opened, explainer: str) -> list[str]:
    """Units that the explainer labelled, in an order that is the same for everybody and says nothing of their scores."""
    columns = opened.index.of(explainer)
    keys = [k for k, own in zip(columns.keys, columns.labelled.tolist(), strict=True) if own]
    return sorted(keys, key=lambda k: hashlib.sha256(k.encode("utf-8", "surrogatepass")).digest())


def seen_blind(viewed: Viewed, opened: Opened, key: str | None, explainer: str) -> dict[str, Any]:
    """What somebody who labels blind may see: what every explainer could see, so nothing held out and no other label."""
    nothing = {"unit": None, "exemplars": (), "why": None, "loading": False}
    unit = None if key is None else _unit(opened, key, explainer)
    if unit is None:
        return nothing
    run = opened.run(wait=PATIENCE)
    if run is None:
        return {**nothing, "why": opened.why or "model and corpus are being loaded", "loading": opened.why is None}
    part: Units = viewed.state["units"]
    shelf = part.shelves[opened.name]
    try:
        measured = shelf.measure(run, unit).result(timeout=PATIENCE)
    except TimeoutError:
        return {**nothing, "why": "it is being measured", "loading": True}
    own = tuple(e for e in measured.exemplars if e.split == "discover")
    bare = replace(measured, exemplars=own, neighbours=(), label="", predicate="")
    served = Served(shelf=shelf, unit=unit.key, heated=heated(run, unit.key))
    return {**nothing, "unit": bare, "exemplars": exemplar_groups(bare, served)}


def digest(unit: ReportUnit) -> str:
    """Of what a form showed."""
    text = f"{unit.explainer}\0{unit.label}\0{unit.abstained}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _unit(opened: Opened, key: str, explainer: str) -> ReportUnit | None:
    records = opened.records()
    member = records.member(key)
    return None if member is None else records.shown([member], explainer)[0]


def _head(request: Request, heard: Heard) -> dict[str, str]:
    """What every form of this browser begins with: its token, and the name that was given last."""
    session = session_of(request.scope)
    own = [s.person for s in heard.said if s.browser == session.id and s.person]
    return {"token": session.form_token, "person": own[-1] if own else ""}


# --- what is sent ----------------------------------------------------------------------------------------------------------


async def _form(request: Request) -> dict[str, str]:
    """The fields of a form.

    Raises:
        HTTPException: it does not carry the token of this browser.
    """
    fields = {k: v for k, v in (await request.form(max_files=0, max_fields=20)).items() if isinstance(v, str)}
    if not session_of(request.scope).holds(fields.get("token", "")):
        raise HTTPException(403, "The page is too old: open it again and send the form from there.")
    return fields


def _kept(opened: Opened, request: Request, given: Mapping[str, str], **more: Any) -> Said:
    """Something that was said, on disk.

    Raises:
        UserError: it says nothing, or too much.
    """
    fields = {k: given.get(k, "") for k in ("text", "comment", "person")}
    try:
        said = Said.model_validate({**fields, "browser": session_of(request.scope).id, **more})
    except ValidationError as error:
        raise UserError(f"this was not kept: {why_not(error)}") from error
    append_said(opened.folder, said)
    return said


def said_of(opened: Opened, request: Request, given: Mapping[str, str]) -> Response:
    """Keep what was said of a label that was seen; back to the unit's page."""
    key, who = given.get("unit", ""), given.get("explainer", "")
    unit = _unit(opened, key, who)
    if unit is None:
        raise HTTPException(404, f"There is no unit {key!r} in this run.")
    if digest(unit) != given.get("seen", ""):
        raise HTTPException(409, "The label has changed since the page was opened: look at the new one first.")
    label = unit.label if unit.abstained is None else ""
    _kept(opened, request, given, unit=key, explainer=unit.explainer, label=label, verdict=given.get("verdict", ""))
    return _back(opened, key, who)


def label_of(opened: Opened, request: Request, given: Mapping[str, str]) -> Response:
    """Keep a label that was given blind; on to what the machine said."""
    key, who = given.get("unit", ""), given.get("explainer", "")
    if key not in in_turn(opened, who):
        raise HTTPException(404, f"{who} has no label for {key}.")
    verdict = "unsure" if given.get("verdict") == "unsure" else "label"
    fields = given if verdict == "label" else {**given, "text": ""}
    unit = _unit(opened, key, who)
    _kept(
        opened,
        request,
        fields,
        unit=key,
        explainer=who if unit is None else unit.explainer,
        verdict=verdict,
        blind=True,
    )
    return _back(opened, key, who)


def _back(opened: Opened, key: str, explainer: str) -> Response:
    query = urlencode({"whose": explainer})
    return RedirectResponse(f"{opened.unit_url(key)}?{query}#people", status_code=303)


def _writable(viewed: Viewed) -> None:
    if not viewed.writable:
        raise HTTPException(403, "This view is for reading only.")


def _taken(run: str, name: str) -> dict[str, str]:
    return {"content-disposition": f'attachment; filename="{run}-{name}"'}
