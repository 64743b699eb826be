"""What is looked at: run folders with their stores, an index of their units, and their models, opened when they are needed.

A store is opened for reading; a campaign that writes to it is not disturbed. A model or corpus that cannot be loaded is a
reason in words, and everything that stands in the store is shown all the same.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import ChoiceLoader, Environment, PackageLoader
from markupsafe import Markup

from maieutic.campaign import Run
from maieutic.errors import StoreError, UserError
from maieutic.report.artifacts import find_artifacts
from maieutic.report.links import NavItem, ServedLinks, quoted
from maieutic.report.records import Records
from maieutic.report.write import environment
from maieutic.store import FILE, Store
from maieutic.view.index import Index
from maieutic.view.working import Worker

if TYPE_CHECKING:
    from fastapi import Request
    from fastapi.responses import HTMLResponse

Opener = Callable[[Path], Run]
#: what a part puts into a page of another: gets the request, the run and the unit's key (or ``None``)
Filling = Callable[["Request", "Opened | None", "str | None"], Markup]


class Opened:
    """One run folder.

    Attributes:
        name: in addresses: the folder's name, made unlike the others'.
        folder: of the run.
        store: opened for reading.
        index: columns of its units.
        why: why there is no model or corpus; ``None`` while it is not known, or where there is one.
        kept: what parts keep about the run, by a name of theirs.
    """

    def __init__(self, name: str, folder: Path, opener: Opener) -> None:
        self.name, self.folder, self._opener = name, folder, opener
        self.store = Store.open(folder)
        self.index = Index(self.store)
        self.why: str | None = None
        self.kept: dict[str, Any] = {}
        self._run: Run | None = None
        self._starting = threading.Lock()
        self._opening: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Where its pages stand, without a slash at the end."""
        return f"/runs/{quoted(self.name)}"

    def unit_url(self, key: str) -> str:
        """Where the page of a unit stands."""
        return f"{self.url}/unit/{quoted(key)}"

    def records(self) -> Records:
        """What the store says of units now."""
        return Records.of(self.store)

    def run(self, *, wait: float = 0.0) -> Run | None:
        """The run with its model and corpus, or ``None``: not yet, or never (then ``why`` says why).

        Cost: the first call starts loading them in the background; ``wait`` seconds are spent waiting for that.
        """
        with self._starting:
            if self._opening is None:
                self._opening = threading.Thread(target=self._open, name=f"open {self.name}", daemon=True)
                self._opening.start()
        self._opening.join(timeout=wait)
        return self._run

    @property
    def loaded(self) -> Run | None:
        """The run with its model and corpus where they are there already; nothing is started."""
        return self._run

    def _open(self) -> None:
        try:
            self._run = self._opener(self.folder)
        except UserError as error:
            self.why = str(error)
        except Exception as error:  # models and corpora are anyone's: what they raise is the reason, not a crash
            self.why = f"{type(error).__name__}: {error}"

    def close(self) -> None:
        """Let go of the files."""
        self.store.close()
        if self._run is not None:
            self._run.close()


@dataclass(kw_only=True)
class Viewed:
    """What all parts of the app share.

    Attributes:
        runs: by name, in the order in which they were given.
        shelves: folders without a store in which something else was found (a dossier, a trust card, a study), by name.
        token: what requests must show, or ``None``.
        writable: whether people may write.
        worker: one thread in which models run, one after another.
        nav: further entries of the bar above every page: words and address.
        run_nav: the same for pages of a run; the address goes on from the run's.
        slots: what parts put into pages, by place.
        state: of parts, by their name.
    """

    runs: Mapping[str, Opened]
    shelves: Mapping[str, Path] = field(default_factory=dict[str, Path])
    token: str | None = None
    writable: bool = True
    worker: Worker = field(default_factory=Worker)
    nav: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    run_nav: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    slots: dict[str, list[Filling]] = field(default_factory=dict[str, list[Filling]])
    state: dict[str, Any] = field(default_factory=dict[str, Any])

    @classmethod
    def of(cls, folders: Sequence[Path], *, token: str | None, writable: bool, opener: Opener) -> Viewed:
        """Open the stores; models wait until a page needs them.

        Raises:
            StoreError: a folder is no run, and nothing else lies there that could be shown.
        """
        runs: dict[str, Opened] = {}
        shelves: dict[str, Path] = {}
        for folder in folders:
            name = _slug(folder.resolve().name, {**runs, **shelves})
            try:
                if (folder / FILE).is_file():
                    runs[name] = Opened(name, folder.resolve(), opener)
                elif folder.is_dir() and find_artifacts(folder):
                    shelves[name] = folder.resolve()
                else:
                    raise StoreError(
                        f"{folder} is not a maieutic run (no {FILE}), and holds no dossier, card or study: "
                        "give the folder of one"
                    )
            except StoreError:
                for opened in runs.values():
                    opened.close()
                raise
        return cls(runs=runs, shelves=shelves, token=token, writable=writable)

    @property
    def places(self) -> list[str]:
        """Addresses of the runs and of the other folders."""
        return [f"{o.url}/" for o in self.runs.values()] + [f"/runs/{quoted(n)}/files" for n in self.shelves]

    def opened(self, name: str) -> Opened:
        """The run of that name; a page that says so where there is none."""
        from fastapi import HTTPException

        if name not in self.runs:
            raise HTTPException(404, f"There is no run {name!r} here.")
        return self.runs[name]

    # --- pages ---------------------------------------------------------------------------------------------------
    def fill(self, place: str, filling: Filling) -> None:
        """Put something into a place of pages (``slot(place)`` in templates): what it returns stands there."""
        self.slots.setdefault(place, []).append(filling)

    def page(
        self,
        request: Request,
        template: str,
        *,
        opened: Opened | None = None,
        key: str | None = None,
        status: int = 200,
        **values: Any,
    ) -> HTMLResponse:
        """A page of a template, with the bar above it and what parts put into it."""
        from fastapi.responses import HTMLResponse

        html = self.html(request, template, opened=opened, key=key, **values)
        return HTMLResponse(html, status_code=status)

    def html(
        self, request: Request, template: str, *, opened: Opened | None = None, key: str | None = None, **values: Any
    ) -> Markup:
        """The same as text: for pieces of pages too."""

        def slot(place: str) -> Markup:
            return Markup("").join(f(request, opened, key) for f in self.slots.get(place, ()))

        links = ServedLinks(base=opened.url if opened else "", nav=self._nav(request.url.path, opened))
        text = self.templates.get_template(template).render(
            links=links, slot=slot, viewed=self, opened=opened, address=request.url.path, **values
        )
        return Markup(text)  # noqa: S704 (a template's output, escaped)

    def sorry(self, request: Request, message: str, *, status: int) -> HTMLResponse:
        """A page that says what is wrong."""
        return self.page(request, "sorry.html.j2", status=status, message=message)

    def _nav(self, path: str, opened: Opened | None) -> list[NavItem]:
        items = [("Runs", "/")] if len(self.runs) > 1 else []
        one = opened or (next(iter(self.runs.values())) if len(self.runs) == 1 else None)
        if one is not None:
            items += [("Overview", f"{one.url}/"), ("Units", f"{one.url}/units")]
            items += [(title, one.url + to) for title, to in self.run_nav]
        return [NavItem(title=t, to=to, current=path == to) for t, to in [*items, *self.nav]]

    @cached_property
    def templates(self) -> Environment:
        """The report's templates and filters, and the app's own templates."""
        return environment().overlay(
            loader=ChoiceLoader([PackageLoader("maieutic.view"), PackageLoader("maieutic.report")])
        )

    def warm(self) -> None:
        """Read templates and what tables show before the first page is asked for, in the background."""

        def read() -> None:
            for name in ("units.html.j2", "run.html.j2"):
                self.templates.get_template(name)
            for opened in self.runs.values():
                # a store that is being made, or lost, is told by the page that asks for it
                with suppress(UserError, OSError):
                    opened.index.of(opened.index.usual())

        threading.Thread(target=read, name="warm", daemon=True).start()

    def close(self) -> None:
        """Stop the worker and let go of the runs."""
        self.worker.close()
        for opened in self.runs.values():
            opened.close()


def _slug(name: str, taken: Mapping[str, Any]) -> str:
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "run"
    made, n = plain, 2
    while made in taken:
        made, n = f"{plain}-{n}", n + 1
    return made
