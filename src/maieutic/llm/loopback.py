"""An OpenAI-compatible server on this machine whose answers a Python function writes and whose faults are seeded.

For tests and benches of everything that talks to a language model: the client, its retries, an agent, a judge. It
speaks /v1/chat/completions (tools, images, response_format, logprobs, streaming) and /v1/models, on 127.0.0.1 only.
It runs no model, checks no key and protects nothing: never open it to a network.

Which request a fault hits depends on the seed, the request's content and how often that content came before, not on the
order of arrival: a concurrent run meets the same faults every time.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import threading
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from maieutic.llm.loopback_wire import Call, Fail, Reply, broken, chunks, completion

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["FAULTS", "Call", "Fail", "Faults", "Loopback", "Reply", "Request"]

#: what can be made to go wrong: on the wire (first five) or in what the model says
FAULTS = (
    "rate-limit",        # 429 with Retry-After
    "server-error",      # 500
    "stall",             # no answer for Faults.stall seconds, then the connection closes
    "cut",               # the connection closes in the middle of the answer
    "garbage",           # 200 with a body that is no JSON
    "broken-arguments",  # a tool call whose arguments are cut JSON
    "unknown-tool",      # a call of a tool that does not exist
    "refusal",           # the model refuses
    "empty",             # the model says nothing
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request for a completion, as it came.

    Attributes:
        number: from 0, in order of arrival.
        body: the JSON body.
        seen: how often the same body came before (its retries).
        fault: what the server did to it on purpose, or ``None``.
        key: what stood in the Authorization header after ``Bearer``.
    """

    number: int
    body: Mapping[str, Any]
    seen: int = 0
    fault: str | None = None
    key: str = ""

    @property
    def messages(self) -> list[dict[str, Any]]:
        return list(self.body.get("messages", []))

    @property
    def last(self) -> str:
        """Text of the last message."""
        return _text(self.messages[-1]) if self.messages else ""

    @property
    def text(self) -> str:
        """Text of the whole conversation, one message after the other."""
        return "\n".join(_text(m) for m in self.messages)

    @property
    def tools(self) -> list[str]:
        """Names of the tools that are offered."""
        return [t["function"]["name"] for t in self.body.get("tools") or []]

    def images(self) -> list[Image]:
        """The pictures of the conversation, decoded."""
        from PIL import Image

        parts = [p for m in self.messages if isinstance(m.get("content"), list) for p in m["content"]]
        urls = [p["image_url"]["url"] for p in parts if p.get("type") == "image_url"]
        return [Image.open(io.BytesIO(base64.b64decode(u.split(",", 1)[1]))) for u in urls]


def _text(message: Mapping[str, Any]) -> str:
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "\n".join(str(p.get("text", "")) for p in content if p.get("type") == "text")


#: what to say to a request
Script = Callable[[Request], "Reply | Fail | str"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """What goes wrong, and when.

    Attributes:
        rates: share of requests that meet each fault (names of ``FAULTS``); together at most 1.
        at: fault of single requests by their number; these come first.
        seed: of the draw.
        persistent: a request that met a fault meets it again in every retry (else each retry is a new draw).
        stall: seconds of a stall.
        retry_after: seconds that a 429 asks for.
    """

    rates: Mapping[str, float] = field(default_factory=dict)
    at: Mapping[int, str] = field(default_factory=dict)
    seed: int = 0
    persistent: bool = False
    stall: float = 30.0
    retry_after: float = 0.05

    def __post_init__(self) -> None:
        unknown = {*self.rates, *self.at.values()} - set(FAULTS)
        assert not unknown, f"no such faults: {sorted(unknown)}"
        assert sum(self.rates.values()) <= 1 + 1e-9, "the rates of all faults together are at most 1"

    def of(self, number: int, body: bytes, seen: int) -> str | None:
        """The fault that a request meets."""
        if number in self.at:
            return self.at[number]
        again = 0 if self.persistent else seen
        digest = hashlib.sha256(f"{self.seed}:{again}:".encode() + body).digest()
        draw = int.from_bytes(digest[:8], "big") / 2**64
        for name, rate in sorted(self.rates.items()):
            if draw < rate:
                return name
            draw -= rate
        return None


class Loopback:
    """The server. A context manager; it serves from its making until ``close``, which raises what the script raised.

    Args:
        script: what the model says.
        faults: what goes wrong.
        models: names that /v1/models lists; a request for another is a 404 when ``strict``.
        strict: whether unknown models are turned down.
        without: what this server cannot do: ``json_schema``, ``json_object`` (answered like llama-cpp-python: a 500
            that names the field), ``logprobs`` (left out of the answer).
        port: 0 takes a free one.
    """

    def __init__(
        self,
        script: Script,
        *,
        faults: Faults | None = None,
        models: Collection[str] = ("test",),
        strict: bool = False,
        without: Collection[str] = (),
        port: int = 0,
    ) -> None:
        self.script = script
        self.faults = faults or Faults()
        self.models = tuple(models)
        self.strict = strict
        self.without = frozenset(without)
        self.requests: list[Request] = []
        self.closing = threading.Event()
        self.errors: list[Exception] = []
        self.busy = self.busiest = 0
        self._seen: Counter[bytes] = Counter()
        self._lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"loopback": self})
        self._server = _Server(("127.0.0.1", port), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """What ``base_url`` takes."""
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def close(self) -> None:
        """End the server.

        Raises:
            Exception: what the script raised first; the client saw a 500.
        """
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        if self.errors:
            raise self.errors.pop()

    def __enter__(self) -> Loopback:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def faulted(self) -> Counter[str]:
        """How many requests met each fault."""
        return Counter(r.fault for r in self.requests if r.fault is not None)

    def take(self, raw: bytes, key: str) -> Request:
        """Write a request down and decide its fault."""
        body = json.loads(raw)
        with self._lock:
            seen, number = self._seen[raw], len(self.requests)
            self._seen[raw] += 1
            fault = self.faults.of(number, raw, seen)
            request = Request(number=number, body=body, seen=seen, fault=fault, key=key)
            self.requests.append(request)
        return request

    def count(self, change: int) -> None:
        """How many requests are being answered now, and the most there ever were."""
        with self._lock:
            self.busy += change
            self.busiest = max(self.busiest, self.busy)

    def answer(self, request: Request) -> Reply | Fail:
        """What the script says, changed by the request's fault where the fault is the model's."""
        if self.strict and request.body.get("model") not in self.models:
            return Fail(
                status=404, message=f"The model `{request.body.get('model')}` does not exist", code="model_not_found"
            )
        form = (request.body.get("response_format") or {}).get("type")
        if form in self.without:
            return Fail(status=500, message=f"body -> response_format -> type: Input should not be '{form}'")
        try:
            said = self.script(request)
        except Exception as error:
            self.errors[:] = self.errors or [error]
            return Fail(status=500, message=f"the script raised {type(error).__name__}: {error}")
        reply = Reply(text=said) if isinstance(said, str) else said
        if isinstance(reply, Fail):
            return reply
        return broken(reply, request.fault, request.tools)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # many units connect at once

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    loopback: Loopback

    def log_message(self, format: str, *args: Any) -> None:
        """Tests read ``requests``, not a log."""

    def do_GET(self) -> None:
        if self.path.rstrip("/") != "/v1/models":
            return self._json(404, {"error": {"message": f"no {self.path}"}})
        return self._json(200, {"object": "list", "data": [{"id": m, "object": "model"} for m in self.loopback.models]})

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path.rstrip("/") != "/v1/chat/completions":
            return self._json(404, {"error": {"message": f"no {self.path}"}})
        request = self.loopback.take(raw, self.headers.get("Authorization", "").removeprefix("Bearer "))
        self.loopback.count(+1)
        try:
            self._complete(request)
        finally:
            self.loopback.count(-1)

    def _complete(self, request: Request) -> None:
        faults = self.loopback.faults
        match request.fault:
            case "rate-limit":
                error = {"error": {"message": "slow down", "code": "rate_limit_exceeded"}}
                return self._json(429, error, {"Retry-After": str(faults.retry_after)})
            case "server-error":
                return self._json(500, {"error": {"message": "the server broke", "code": "server_error"}})
            case "stall":
                self.loopback.closing.wait(faults.stall)
                return self._hang_up()
            case "garbage":
                return self._send(200, b"<html>bad gateway</html>", "text/html")
            case _:
                pass
        reply = self.loopback.answer(request)
        if isinstance(reply, Fail):
            error = {"message": reply.message, "code": reply.code, "type": reply.code}
            return self._json(reply.status, {"error": error}, reply.headers)
        if request.body.get("stream"):
            return self._stream(request, reply)
        body = json.dumps(
            completion(reply, request.body, number=request.number, without=self.loopback.without)
        ).encode()
        return self._send(200, body, cut=request.fault == "cut")

    def _json(self, status: int, value: Any, headers: Mapping[str, str] | None = None) -> None:
        self._send(status, json.dumps(value).encode(), headers=headers)

    def _send(
        self,
        status: int,
        body: bytes,
        kind: str = "application/json",
        *,
        headers: Mapping[str, str] | None = None,
        cut: bool = False,
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if cut else body)
        if cut:
            self._hang_up()

    def _stream(self, request: Request, reply: Reply) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        events = [json.dumps(c) for c in chunks(reply, request.body, number=request.number)] + ["[DONE]"]
        for event in events[: len(events) // 2] if request.fault == "cut" else events:
            line = f"data: {event}\n\n".encode()
            self.wfile.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")
        if request.fault == "cut":
            return self._hang_up()
        self.wfile.write(b"0\r\n\r\n")
        return None

    def _hang_up(self) -> None:
        self.wfile.flush()
        self.close_connection = True
        self.connection.close()
