"""``maieutic view``: runs as a local web app."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

EXAMPLE = "Example:  maieutic view runs/mine"


def view(
    runs: Annotated[list[Path], typer.Argument(help="Run folders.")],
    port: Annotated[int, typer.Option(help="Where to listen; 0: any free port.", min=0, max=65535)] = 8765,
    host: Annotated[
        str, typer.Option(help="Address to listen on. On any but this machine's own a token is needed to look.")
    ] = "127.0.0.1",
    token: Annotated[
        str | None, typer.Option(help="What a browser must show; one is made where it is needed.", show_default=False)
    ] = None,
    allow: Annotated[
        list[str] | None, typer.Option(help="A further name under which the server is reached.", show_default=False)
    ] = None,
    read_only: Annotated[bool, typer.Option("--read-only", help="Nobody may confirm or correct labels.")] = False,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Do not open a browser.")] = False,
) -> None:
    """Look at runs in a browser: search, filter and compare units, their evidence and scores. Needs no network."""
    from maieutic.errors import MissingExtraError, UserError

    try:
        import uvicorn
    except ImportError as error:
        raise MissingExtraError(package="uvicorn", extra="view", feature="maieutic view") from error
    from maieutic.view.app import create_app
    from maieutic.view.security import access, address

    who = access(host, token=token, allow=allow or (), writable=not read_only)
    app = create_app(runs, access=who)
    listening = _listen(host, port)
    url = address(host, listening.getsockname()[1], who)
    out = Console(highlight=False, soft_wrap=True)
    out.print(f"view: {url}", markup=False)
    out.print("Ctrl-C stops it.", style="dim")
    config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=2, lifespan="on")
    server = uvicorn.Server(config)
    if not no_browser:
        _open_later(url)
    try:
        server.run(sockets=[listening])
    except KeyboardInterrupt:
        pass  # the server has stopped; this is how people end it
    finally:
        listening.close()
    if not server.started:
        raise UserError(f"the server did not start on {host}:{port}: try another --port")


def _listen(host: str, port: int) -> socket.socket:
    from maieutic.errors import UserError

    bare = host.strip("[]")
    found = socket.socket(socket.AF_INET6 if ":" in bare else socket.AF_INET, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((bare, port))
        found.listen(128)
    except OSError as error:
        found.close()
        raise UserError(
            f"cannot listen on {host}:{port} ({error.strerror or error}): try another --port, or 0 for any free one"
        ) from error
    return found


def _open_later(url: str) -> None:
    """Open a browser once the server answers; where there is none, the address was printed."""
    import threading
    import webbrowser

    timer = threading.Timer(0.5, webbrowser.open, args=(url,))
    timer.daemon = True
    timer.start()
