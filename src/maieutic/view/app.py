"""The app: parts that bring routes, put together with their shared state behind the guard that says who may ask.

A part is a module with ``routes(viewed) -> APIRouter``; parts import fastapi at their top, this
module does not. What this module does not do: open a socket (`cli.view` does).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from maieutic.campaign import Run, open_run
from maieutic.errors import MissingExtraError, UserError
from maieutic.view.opening import Viewed
from maieutic.view.security import Access, Guard

if TYPE_CHECKING:
    from fastapi import FastAPI

#: modules of this room that bring routes, in the order in which they are asked
PARTS = ("overview", "units", "live", "people", "compare", "artifacts")


def create_app(
    folders: Sequence[Path],
    *,
    token: str | None = None,
    writable: bool = True,
    opener: Callable[[Path], Run] = open_run,
    access: Access | None = None,
) -> FastAPI:
    """The app over some run folders.

    Args:
        folders: of the runs; each must hold a store.
        token: what every request must show, or ``None`` where only this machine can ask.
        writable: whether people may write down what they think of labels.
        opener: opens a run with its model and corpus; runs of subjects that have no name need one of their own.
        access: who may talk to the app; ``None``: this machine alone, with ``token`` and ``writable``.

    Raises:
        StoreError: a folder is no run.
        MissingExtraError: the packages of the extra ``view`` are not installed.
    """
    for package in ("fastapi", "uvicorn"):
        if find_spec(package) is None:
            raise MissingExtraError(package=package, extra="view", feature="maieutic view")
    from fastapi import FastAPI, Request
    from fastapi.exceptions import RequestValidationError
    from fastapi.responses import Response
    from fastapi.staticfiles import StaticFiles
    from starlette.exceptions import HTTPException

    access = access or Access(token=token, writable=writable)
    viewed = Viewed.of(folders, token=access.token, writable=access.writable, opener=opener)

    @asynccontextmanager
    async def running(_: FastAPI) -> AsyncGenerator[None]:
        viewed.warm()
        yield
        viewed.close()

    app = FastAPI(title="maieutic view", docs_url=None, redoc_url=None, openapi_url=None, lifespan=running)
    app.state.viewed = viewed
    app.mount("/static", StaticFiles(packages=[("maieutic.report", "static"), ("maieutic.view", "static")]))
    for name in PARTS:
        app.include_router(import_module(f"maieutic.view.{name}").routes(viewed))

    @app.exception_handler(HTTPException)
    def lost(request: Request, error: HTTPException) -> Response:  # pyright: ignore[reportUnusedFunction]
        return viewed.sorry(request, "" if error.detail == "Not Found" else str(error.detail), status=error.status_code)

    @app.exception_handler(RequestValidationError)
    def odd(request: Request, error: Exception) -> Response:  # pyright: ignore[reportUnusedFunction]
        return viewed.sorry(request, "A part of the address is not what it should be.", status=400)

    @app.exception_handler(UserError)
    def refused(request: Request, error: Exception) -> Response:  # pyright: ignore[reportUnusedFunction]
        return viewed.sorry(request, str(error), status=400)

    app.add_middleware(Guard, access=access)
    return app
