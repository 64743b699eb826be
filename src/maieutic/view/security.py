"""Who may talk to the local server, and what a page may do: a guard that stands before every route.

Without a token the server listens on this machine alone; on any other address a token is made, and its digest becomes a
cookie that scripts cannot read. Every request names a host that is allowed (so that no foreign name can be pointed at this
machine), bodies are small, and what changes something comes from a page of this server and carries the token of its form.

What this module does not do: encrypt (use a tunnel, or a proxy that speaks TLS), or tell people apart: whoever holds the token
may read all and say things.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
import secrets
import socket
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl, urlencode

from maieutic.errors import UsageError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

#: bytes of a body that is read; forms of a page are far smaller
MOST_BODY = 64 * 1024
#: methods that change nothing
_SAFE = frozenset({"GET", "HEAD"})
_LOCAL = ("localhost", "127.0.0.1", "::1")
#: under which a request's `Session` stands in its scope
SESSION = "maieutic.session"
#: what a page may load: the app's own files, no script or style between its lines, nothing from elsewhere
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
#: of pages that come from files: no script, no form, an origin of their own
SANDBOX = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
#: what may stand in a Host header: a name or an address, and a port
_HOST = re.compile(r"(?P<name>[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")
#: of a browser, as this module makes it; seconds for which a browser keeps it
_ID = re.compile(r"[0-9a-f]{16}")
_A_YEAR = 365 * 24 * 3600
#: ``no-referrer`` would make browsers send ``Origin: null`` with our own forms
_HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Who may talk to a server.

    Attributes:
        token: what a stranger must know; ``None``: only this machine can reach the server.
        hosts: names that a request may be addressed to, lower case, without a port.
        numbers: whether any address written in numbers will do as well (no name can be pointed at this server by them).
        writable: whether people may say things.
    """

    token: str | None = field(default=None, repr=False)
    hosts: tuple[str, ...] = _LOCAL
    numbers: bool = False
    writable: bool = True


@dataclass(frozen=True, slots=True)
class Session:
    """A browser: a random id, and the token that its forms carry."""

    id: str
    form_token: str = field(repr=False)

    def holds(self, given: str) -> bool:
        """Whether a form came from a page that this browser was given."""
        return hmac.compare_digest(self.form_token.encode(), given.encode("utf-8", "replace"))


def is_local(host: str) -> bool:
    """Whether a server bound to this address can be reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def access(host: str, *, token: str | None = None, allow: Iterable[str] = (), writable: bool = True) -> Access:
    """Who may talk to a server bound to an address.

    Args:
        host: where it listens.
        token: at least 16 characters; ``None``: one is made where others can reach the server.
        allow: further host names it is addressed by.
        writable: whether people may say things.

    Raises:
        UsageError: a token that can be guessed.
    """
    if token is not None and len(token) < 16:
        raise UsageError("a token of fewer than 16 characters can be guessed: leave --token out and one is made")
    own = tuple(h.lower() for h in allow)
    if is_local(host):
        return Access(token=token, hosts=(*_LOCAL, host.strip("[]").lower(), *own), writable=writable)
    named = (host.strip("[]").lower(), socket.gethostname().lower(), socket.getfqdn().lower())
    return Access(
        token=token or secrets.token_urlsafe(32), hosts=(*_LOCAL, *named, *own), numbers=True, writable=writable
    )  # fmt: skip


def address(host: str, port: int, given: Access) -> str:
    """What to open in a browser; with the token where one is needed."""
    shown = {"0.0.0.0": socket.gethostname(), "::": socket.gethostname()}.get(host.strip("[]"), host.strip("[]"))  # noqa: S104
    shown = f"[{shown}]" if ":" in shown else shown
    query = "" if given.token is None else f"?{urlencode({'token': given.token})}"
    return f"http://{shown}:{port}/{query}"


def session_of(scope: Mapping[str, Any]) -> Session:
    """The browser that asks (``request.scope`` of a route)."""
    found = scope.get(SESSION)
    assert isinstance(found, Session), "the app stands behind a Guard"
    return found


class Guard:
    """An ASGI app around another: refuses, or lets through with a session, and adds headers to every answer."""

    def __init__(self, app: App, access: Access, *, most_body: int = MOST_BODY) -> None:
        self.app, self.access, self.most_body = app, access, most_body
        self._secret = secrets.token_bytes(32)
        # several servers of one machine share its cookies: each has a name of its own
        self._entry = f"maieutic_entry_{hashlib.sha256((access.token or '').encode()).hexdigest()[:10]}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        if scope["type"] != "http":
            return await send({"type": "websocket.close", "code": 1008})
        headers = _Headers(scope)
        cookies = _cookies(headers)
        refused = self._refused(scope, headers)
        if refused is None and self.access.token is not None and not self._known(headers, cookies):
            return await self._enter(scope, send)
        if refused is not None:
            return await _answer(send, *refused)
        browser = f"maieutic_browser_{(scope.get('server') or ('', 0))[1]}"
        session, mark, fresh = self._session(cookies.get(browser, ""))
        scope[SESSION] = session
        cookie = [f"{_cookie(browser, mark)}; Max-Age={_A_YEAR}"] if fresh else []
        # a valid token stays in no later address
        if self.access.token is not None and scope["method"] in _SAFE and "token" in dict(_query(scope)):
            return await _answer(send, 303, "", {"location": _without_token(scope)}, cookie)
        if scope["method"] not in _SAFE:
            whole = await _body(receive, self.most_body)
            if isinstance(whole, int):
                return None if not whole else await _answer(send, *self._too_large())
            receive = _Told(whole, receive)
        await self.app(scope, receive, _Answer(send, cookie))
        return None

    # --- refusals ------------------------------------------------------------------------------------------------
    def _refused(self, scope: Scope, headers: _Headers) -> tuple[int, str] | None:
        """Status and reason; ``None`` when the request may go on."""
        host = headers.only("host")
        if host is None or not self._allowed(host):
            return 421, "this server is not called by that name: open the address that  maieutic view  printed"
        method = str(scope["method"])
        if method not in _SAFE and method != "POST":
            return 405, "only reading and forms are known here"
        length = headers.only("content-length")
        if length is not None and (not length.isascii() or not length.isdigit() or int(length) > self.most_body):
            return self._too_large()
        if method in _SAFE:
            return None
        if not self.access.writable:
            return 403, "this view is for reading only: start  maieutic view  without --read-only"
        if not _same_origin(headers, f"{scope.get('scheme', 'http')}://{host}"):
            return 403, "this form did not come from a page of this server: open the page again and send it from there"
        return None

    def _too_large(self) -> tuple[int, str]:
        return 413, f"more than {self.most_body:,} bytes: say it shorter"

    def _allowed(self, host: str) -> bool:
        found = _HOST.fullmatch(host.lower())
        if found is None:
            return False
        name = found["name"].strip("[]")
        if name in self.access.hosts:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return self.access.numbers

    # --- the token -----------------------------------------------------------------------------------------------
    def _digest(self) -> str:
        assert self.access.token is not None
        return hmac.new(self.access.token.encode(), b"maieutic view", hashlib.sha256).hexdigest()

    def _known(self, headers: _Headers, cookies: Mapping[str, str]) -> bool:
        bearer = (headers.only("authorization") or "").removeprefix("Bearer ")
        by_cookie = hmac.compare_digest(self._digest().encode(), cookies.get(self._entry, "").encode())
        return by_cookie or self._is_token(bearer)

    def _is_token(self, given: str) -> bool:
        assert self.access.token is not None
        return hmac.compare_digest(self.access.token.encode(), given.encode("utf-8", "replace"))

    async def _enter(self, scope: Scope, send: Send) -> None:
        """The first visit: the token is taken out of the address and becomes a cookie."""
        given = dict(_query(scope)).get("token", "")
        if str(scope["method"]) not in _SAFE or not self._is_token(given):
            await _answer(send, 403, "a token is needed: open the whole address that  maieutic view  printed")
            return
        cookie = _cookie(self._entry, self._digest())
        await _answer(send, 303, "", {"location": _without_token(scope)}, [cookie])

    # --- browsers ------------------------------------------------------------------------------------------------
    def _session(self, cookie: str) -> tuple[Session, str, bool]:
        """The browser's session, its cookie, and whether that is new.

        An id that an earlier server gave out is kept, so that a person stays the same one; its forms carry new tokens.
        """
        name, _, mark = cookie.partition(".")
        fresh = not (name and hmac.compare_digest(self._mark("browser", name).encode(), mark.encode()))
        if fresh and _ID.fullmatch(name) is None:
            name = secrets.token_hex(8)
        return Session(name, self._mark("form", name)), f"{name}.{self._mark('browser', name)}", fresh

    def _mark(self, what: str, name: str) -> str:
        return hmac.new(self._secret, f"{what} {name}".encode("utf-8", "replace"), hashlib.sha256).hexdigest()[:32]


# --- parts of requests and answers -------------------------------------------------------------------------------------


class _Headers:
    def __init__(self, scope: Scope) -> None:
        self._rows = [(k.decode("latin-1").lower(), v.decode("latin-1")) for k, v in scope["headers"]]

    def all(self, name: str) -> list[str]:
        return [v for k, v in self._rows if k == name]

    def only(self, name: str) -> str | None:
        """The header where it stands once."""
        found = self.all(name)
        return found[0] if len(found) == 1 else None


def _cookies(headers: _Headers) -> dict[str, str]:
    jar = SimpleCookie()
    for line in headers.all("cookie"):
        try:
            jar.load(line)
        except CookieError:
            return {}
    return {name: morsel.value for name, morsel in jar.items()}


def _same_origin(headers: _Headers, own: str) -> bool:
    """Whether a form was sent by a page of this server; browsers say where it came from, and who does not is refused."""
    origin = headers.only("origin")
    if origin is None:
        return False
    site = headers.only("sec-fetch-site")
    return origin.lower() == own.lower() and site in (None, "same-origin")


def _query(scope: Scope) -> list[tuple[str, str]]:
    return parse_qsl(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)


def _without_token(scope: Scope) -> str:
    """The same page without the token; a path on this server, whatever was asked."""
    path = "/" + str(scope.get("raw_path", b"/").decode("latin-1")).partition("?")[0].lstrip("/\\")
    rest = [(k, v) for k, v in _query(scope) if k != "token"]
    return path + (f"?{urlencode(rest)}" if rest else "")


def _cookie(name: str, value: str) -> str:
    return f"{name}={value}; Path=/; HttpOnly; SameSite=Strict"


async def _body(receive: Receive, most: int) -> bytes | int:
    """The whole body; 1 where it is longer than it may be (an announced length may be a lie), 0 where nobody listens."""
    parts, size, more = list[bytes](), 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return 0
        parts.append(message.get("body", b""))
        size, more = size + len(parts[-1]), bool(message.get("more_body", False))
        if size > most:
            return 1
    return b"".join(parts)


class _Told:
    """A body that was read already, then whatever else comes."""

    def __init__(self, body: bytes, after: Receive) -> None:
        self._body: bytes | None = body
        self._after = after

    async def __call__(self) -> Message:
        if self._body is None:
            return await self._after()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}


class _Answer:
    """Sends an answer with the headers that it does not set itself."""

    def __init__(self, send: Send, cookies: Iterable[str]) -> None:
        self._send, self._cookies = send, list(cookies)

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            rows = list(message.get("headers", []))
            there = {bytes(k).lower() for k, _ in rows}
            rows += [(k.encode(), v.encode()) for k, v in _HEADERS.items() if k.encode() not in there]
            rows += [(b"set-cookie", c.encode()) for c in self._cookies]
            message = {**message, "headers": rows}
        await self._send(message)


async def _answer(
    send: Send, status: int, text: str, headers: Mapping[str, str] | None = None, cookies: Iterable[str] = ()
) -> None:
    body = f"{text}\n".encode() if text else b""
    given = {"content-type": "text/plain; charset=utf-8", "content-length": str(len(body)), **(headers or {})}
    through = _Answer(send, cookies)
    rows = [(k.encode(), v.encode("latin-1")) for k, v in given.items()]
    await through({"type": "http.response.start", "status": status, "headers": rows})
    await send({"type": "http.response.body", "body": body})
