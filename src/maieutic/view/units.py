"""The table of a run's units, searched, filtered and sorted by columns in memory, and the page of each unit.

Both are named by their addresses alone: what was searched for, in which order, and whose explanations are shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import FileResponse, Response

from maieutic.campaign import Run
from maieutic.report import pages
from maieutic.report.columns import Columns, Numbers
from maieutic.report.model import STATE_NAMES, ReportNeighbour, ReportSection, ReportUnit
from maieutic.report.records import Records
from maieutic.report.spans import number
from maieutic.score.loading import one_line
from maieutic.view.evidence import Served, Shelf, heated
from maieutic.view.meaning import Meaning
from maieutic.view.opening import Opened, Viewed
from maieutic.view.querying import Query, Sorting, find

#: seconds that a page waits for what a model has to say, before it is shown without
WAIT = 0.6
#: seconds that a search by meaning waits for the encoder, and a browser for an overlay or a plot
PATIENCE = 60.0
#: labels nearest in meaning that a unit's page shows
NEAR_LABELS = 8
#: pictures are named by their content
_KEEP = {"cache-control": "private, max-age=86400, immutable"}


def routes(viewed: Viewed) -> APIRouter:
    """``/runs/NAME/units``, ``/runs/NAME/unit/KEY`` and what its page asks for."""
    router = APIRouter()
    part = Units(viewed=viewed, shelves={n: Shelf(opened=o, worker=viewed.worker) for n, o in viewed.runs.items()},
                 meaning=Meaning(viewed.worker))  # fmt: skip
    viewed.state["units"] = part
    router.add_api_route("/runs/{run}/units", part.table, response_model=None)
    router.add_api_route("/runs/{run}/unit/{key:path}", part.unit, response_model=None)
    router.add_api_route("/runs/{run}/evidence/{key:path}", part.evidence, response_model=None)
    router.add_api_route("/runs/{run}/confusion/{key:path}", part.confusion, response_model=None)
    router.add_api_route("/runs/{run}/meaning/{key:path}", part.near_in_meaning, response_model=None)
    router.add_api_route("/runs/{run}/heat/{key:path}", part.heat, response_model=None)
    router.add_api_route("/runs/{run}/picture", part.picture, response_model=None)
    router.add_api_route("/runs/{run}/log", part.log, response_model=None)
    return router


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """What a page shows where its evidence is not there yet: where a script finds it, why, and the page once more."""

    to: str
    why: str
    again: str


@dataclass(kw_only=True)
class Units:
    """The routes of this part and what they share."""

    viewed: Viewed
    shelves: Mapping[str, Shelf]
    meaning: Meaning

    # --- the table -------------------------------------------------------------------------------------------------
    def table(self, request: Request, run: str) -> Response:
        """A page of the table."""
        opened = self.viewed.opened(run)
        records = opened.records()
        query = Query.of(request.query_params)
        whose = query.whose or opened.index.usual()
        columns = opened.index.of(whose)
        nearness = self.meaning.nearness(columns, query.meaning, wait=PATIENCE) if query.meaning else None
        if query.meaning and nearness is None:
            nearness = np.full(len(columns), np.nan)
        rows = find(columns, query, nearness)
        last = max(-(-len(rows) // query.size), 1)
        query = replace(query, page=min(query.page, last))
        here = rows[(query.page - 1) * query.size : query.page * query.size]
        return self.viewed.page(
            request, "units.html.j2", opened=opened, query=query, columns=columns, total=len(rows), last=last,
            rows=self._rows(opened, records, columns, here, query, whose, nearness), head=pages.TableHead.of(columns),
            sorting=Sorting(query=query, to=f"{opened.url}/units"), whose=whose, whoses=_whoses(opened),
            state_names=STATE_NAMES, meaning=self._progress(columns) if query.meaning else None,
        )  # fmt: skip

    def _rows(
        self,
        opened: Opened,
        records: Records,
        columns: Columns,
        here: Any,
        query: Query,
        whose: str,
        nearness: Numbers | None,
    ) -> list[pages.UnitPage]:
        members = [(int(columns.ids[i]), columns.keys[i]) for i in here.tolist()]
        shown = records.shown(members, whose, tally=False)
        section = stub(records)
        notes = ["" if nearness is None else f"nearness {number(float(nearness[i]))}" for i in here.tolist()]
        return [
            pages.UnitPage(unit=u, section=section, file=opened.unit_url(u.key) + query.place, note=n)
            for u, n in zip(shown, notes, strict=True)
        ]

    def _progress(self, columns: Columns) -> dict[str, Any]:
        done, total = self.meaning.progress(columns)
        return {"done": done, "total": total, "why": self.meaning.why}

    # --- a unit ----------------------------------------------------------------------------------------------------
    def unit(self, request: Request, run: str, key: str) -> Response:
        """The page of a unit; its address says from which table it was come to."""
        opened, shelf = self.viewed.opened(run), self.shelves[run]
        records, query = opened.records(), Query.of(request.query_params)
        shown = self._shown(opened, records, key, query)
        run_now = opened.run()
        future = shelf.measure(run_now, shown) if run_now is not None else None
        stored = shelf.stored(shown)
        measured, pending, why = self._wait(future, opened, key, query)
        unit = shelf.with_measured(stored, measured) if measured is not None else stored
        section = stub(records)
        before, after = self._around(opened, records, key, query, section)
        values = self._shown_values(shelf, unit, run_now)
        return self.viewed.page(
            request, "one_unit.html.j2", opened=opened, key=key, unit=unit, before=before, after=after,
            page=pages.UnitPage(unit=unit, section=section, file=None), run=_Footer(records), pending=pending,
            back=f"{opened.url}/units{query.place}", back_name="Table",
            ask=f"{opened.url}/confusion/{_path(opened, key)}{query.place}" if run_now is not None else None,
            meaning_url=f"{opened.url}/meaning/{_path(opened, key)}{query.place}", why=why, **values,
        )  # fmt: skip

    def _shown(self, opened: Opened, records: Records, key: str, query: Query) -> ReportUnit:
        member = records.member(key)
        if member is None:
            raise HTTPException(404, f"The run has no unit {key!r}.")
        return records.shown([member], query.whose or opened.index.usual())[0]

    def _shown_values(self, shelf: Shelf, unit: ReportUnit, run: Run | None) -> dict[str, Any]:
        served = Served(shelf=shelf, unit=unit.key, heated=heated(run, unit.key))
        return {
            "exemplars": pages.exemplar_groups(unit, served),
            "groups": pages.groups(unit, served),
            "transcript": pages.transcript(unit, served),
        }

    def _wait(
        self, future: Future[ReportUnit] | None, opened: Opened, key: str, query: Query
    ) -> tuple[ReportUnit | None, Pending | None, str | None]:
        """What was measured; or what stands for it until it is; or why it never will be."""
        here = f"{opened.url}/evidence/{_path(opened, key)}{query.place}"
        again = opened.unit_url(key) + query.place
        if future is None:
            if opened.why is not None:
                return None, None, opened.why
            return None, Pending(to=here, why="Model and corpus are being loaded.", again=again), None
        try:
            return future.result(timeout=WAIT), None, None
        except TimeoutError:
            return None, Pending(to=here, why="It is being measured.", again=again), None
        except Exception as error:  # models and corpora are anyone's: what they raise is the reason, not a crash
            return None, None, f"measuring failed: {one_line(error)}"

    def _around(
        self, opened: Opened, records: Records, key: str, query: Query, section: ReportSection
    ) -> tuple[pages.UnitPage | None, pages.UnitPage | None]:
        """The units before and after in the table that the page was come to from; in the whole table if it is in none."""
        columns = opened.index.of(query.whose or opened.index.usual())
        nearness = self.meaning.nearness(columns, query.meaning, wait=PATIENCE) if query.meaning else None
        if query.meaning and nearness is None:
            nearness = np.full(len(columns), np.nan)
        rows = find(columns, query, nearness)
        at = np.flatnonzero(rows == columns.places.get(key, -1))
        if not len(at):
            return None, None

        def page(i: int) -> pages.UnitPage | None:
            if not 0 <= i < len(rows):
                return None
            other = columns.keys[int(rows[i])]
            unit = ReportUnit(key=other, site="", label="")
            return pages.UnitPage(unit=unit, section=section, file=opened.unit_url(other) + query.place)

        return page(int(at[0]) - 1), page(int(at[0]) + 1)

    # --- what a page asks for --------------------------------------------------------------------------------------
    def evidence(self, request: Request, run: str, key: str) -> Response:
        """The piece of a unit's page that had to be measured; 202 while it is not there yet."""
        opened, shelf = self.viewed.opened(run), self.shelves[run]
        records, query = opened.records(), Query.of(request.query_params)
        shown = self._shown(opened, records, key, query)
        run_now = opened.run(wait=20.0)
        if run_now is None:
            why = (
                "They cannot be loaded: " + opened.why
                if opened.why is not None
                else "Model and corpus are being loaded."
            )
            return self.viewed.page(
                request, "no_evidence.html.j2", opened=opened, why=why, status=200 if opened.why is not None else 202
            )
        try:
            unit = shelf.measure(run_now, shown).result(timeout=20.0)
        except TimeoutError:
            return self.viewed.page(
                request, "no_evidence.html.j2", opened=opened, why="It is being measured.", status=202
            )
        values = self._shown_values(shelf, replace(unit, experiments=(), transcript=None), run_now)
        return self.viewed.page(
            request, "unit_evidence.html.j2", opened=opened, unit=unit, exemplars=values["exemplars"]
        )

    def confusion(self, request: Request, run: str, key: str) -> Response:
        """The plot of a predicate against measurement, made now: the piece, or for a browser without scripts a page."""
        opened, shelf = self.viewed.opened(run), self.shelves[run]
        records, query = opened.records(), Query.of(request.query_params)
        shown = self._shown(opened, records, key, query)
        run_now = opened.run(wait=PATIENCE)
        if run_now is None:
            raise HTTPException(404, f"Model and corpus are needed for this: {opened.why or 'they are being loaded'}")
        made = shelf.confuse(run_now, shown).result(timeout=10 * PATIENCE)
        unit = replace(shown, confusion=made)
        return self.viewed.page(
            request, "confusion.html.j2", opened=opened, unit=unit, back=opened.unit_url(key) + query.place
        )

    def near_in_meaning(self, request: Request, run: str, key: str) -> Response:
        """Units whose labels are nearest in meaning: the piece of the page."""
        opened = self.viewed.opened(run)
        query = Query.of(request.query_params)
        columns = opened.index.of(query.whose or opened.index.usual())
        row = columns.places.get(key)
        if row is None or not columns.labelled[row]:
            raise HTTPException(404, f"{key} has no label.")
        nearness = self.meaning.nearness(columns, columns.labels[row], wait=PATIENCE)
        near: list[ReportNeighbour] = []
        if nearness is not None:
            nearness[row] = np.nan
            order = np.argsort(np.where(np.isnan(nearness), np.inf, -nearness), kind="stable")[:NEAR_LABELS]
            near = [
                ReportNeighbour(key=columns.keys[i], r=float(nearness[i]), label=columns.labels[i], known=True)
                for i in order.tolist()
                if np.isfinite(nearness[i])
            ]
        return self.viewed.page(
            request, "near_in_meaning.html.j2", opened=opened, near=near, progress=self._progress(columns),
            here=f"{opened.url}/meaning/{_path(opened, key)}{query.place}",
        )  # fmt: skip

    def heat(self, run: str, key: str, picture: str) -> Response:
        """The overlay of a picture: where the unit is active in it."""
        self.viewed.opened(run)
        found = self.shelves[run].heat(key, picture)
        data = None if found is None else found.result(timeout=PATIENCE)
        if data is None:
            raise HTTPException(404, "There is no such map.")
        return Response(data, media_type="image/webp", headers=_KEEP)

    def picture(self, run: str, id: str) -> Response:
        """A small copy of a stimulus, or of a picture that an experiment or a model was shown."""
        self.viewed.opened(run)
        data = self.shelves[run].picture(id)
        if data is None:
            raise HTTPException(404, "The run has no such picture.")
        return Response(data, media_type="image/webp", headers=_KEEP)

    def log(self, run: str, file: str) -> Response:
        """The Inspect log of an agent, to keep."""
        folder = self.viewed.opened(run).folder / "transcripts"
        known = {p.name: p for p in folder.glob("*.eval")} if folder.is_dir() else {}
        if file not in known:
            raise HTTPException(404, "The run has no such log.")
        return FileResponse(known[file], filename=file, media_type="application/octet-stream")


@dataclass(frozen=True, slots=True)
class _Footer:
    """What the foot of a unit's page says of its run."""

    records: Records

    @property
    def versions(self) -> Mapping[str, str]:
        return self.records.harvest.get("versions", {})

    @property
    def title(self) -> str:
        return self.records.store.folder.name


def stub(records: Records) -> ReportSection:
    """The run as pages of units name it."""
    return ReportSection(
        subject=str(records.harvest.get("subject", "")), modality=records.modality,
        corpus=str(records.harvest.get("corpus", "")), sites=(), units=(),
    )  # fmt: skip


def _whoses(opened: Opened) -> list[str]:
    """Whose explanations a table can show: the chosen ones where a sweep chose, and each explainer's."""
    return list(dict.fromkeys([opened.index.usual(), *opened.index.explainers()]))


def _path(opened: Opened, key: str) -> str:
    return opened.unit_url(key).removeprefix(f"{opened.url}/unit/")
