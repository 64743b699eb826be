"""The worker's own program: confine itself, prove it, then run what it is sent, cell after cell, with its variables kept.

Runs inside the jail: standard library only. It is not a guard: foreign code shares this process and may change all of it. What
holds is what ``confine`` gave up before, and what the host checks of every message.
"""

from __future__ import annotations

import ast
import io
import os
import sys
import time
import types
from collections.abc import Mapping
from typing import Any

from maieutic.lab.worker import confine, probe, wire

#: printed text is sent when so many characters wait, or at the end of a line when so many seconds passed
CHARACTERS, SECONDS = 8192, 0.2
#: frames of a traceback, and characters of a message
FRAMES, MESSAGE = 6, 1000


class LabError(Exception):
    """The lab refused or could not do what it was asked; the message says why."""


class Wire:
    """This end of the two pipes to the host."""

    def __init__(self, source: int, sink: int, bounds: wire.Bounds) -> None:
        self._source, self._sink, self.bounds = source, sink, bounds

    def send(self, kind: str, body: Any) -> None:
        self.write(wire.encode(kind, body, depth=self.bounds.depth))

    def write(self, parts: list[bytes]) -> None:
        for part in parts:
            left = memoryview(part)
            while left:
                left = left[os.write(self._sink, left) :]

    def receive(self) -> wire.Message:
        return wire.receive(self._exactly, self.bounds)

    def _exactly(self, size: int) -> bytes:
        parts: list[bytes] = []
        while size:
            part = os.read(self._source, min(size, 1 << 20))
            if not part:
                os._exit(0)  # the host has gone
            parts.append(part)
            size -= len(part)
        return b"".join(parts)


class Printed(io.TextIOBase):
    """Standard output and error of foreign code: sent to the host in pieces, up to a limit for each run."""

    encoding = "utf-8"

    def __init__(self, host: Wire, most: int) -> None:
        self._host, self._most = host, most
        self.begin()

    def begin(self) -> None:
        self._waiting: list[str] = []
        self._size, self._left, self.dropped, self._last = 0, self._most, 0, time.monotonic()

    def writable(self) -> bool:
        return True

    def write(self, text: str, /) -> int:
        kept = text[: self._left]
        self.dropped += len(text) - len(kept)
        self._left -= len(kept)
        if kept:
            self._waiting.append(kept)
            self._size += len(kept)
            if self._size >= CHARACTERS or (text.endswith("\n") and time.monotonic() - self._last > SECONDS):
                self.flush()
        return len(text)

    def flush(self) -> None:
        if self._waiting:
            self._host.send("out", "".join(self._waiting))
        self._waiting, self._size, self._last = [], 0, time.monotonic()


class Late(types.ModuleType):
    """A module that is imported when it is first used."""

    def __getattr__(self, name: str) -> Any:
        from importlib import import_module

        return getattr(import_module(self.__name__), name)

    def __repr__(self) -> str:
        return f"<module {self.__name__!r}>"


class Session:
    """The variables of one worker, and the way to the lab."""

    def __init__(self, host: Wire, printed: Printed, most: wire.Bounds) -> None:
        self._host, self._printed, self._most = host, printed, most
        self._calls = self._cells = 0
        self._sources: dict[str, list[str]] = {}
        self.names = _module("__main__")
        self.names |= {"np": Late("numpy"), "Image": Late("PIL.Image"), "call": self.call, "LabError": LabError}

    def call(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """Ask the host. What it refuses arrives as ``LabError``."""
        self._printed.flush()
        asked = {"id": self._calls + 1, "name": name, "args": list(args), "kwargs": kwargs}
        parts = wire.encode("call", asked, depth=self._host.bounds.depth)
        wire.check_size(parts, self._most)
        self._calls += 1
        self._host.write(parts)
        kind, body = self._host.receive()
        if kind == "raise":
            raise LabError(body)
        return body

    def prelude(self, source: str) -> str | None:
        """Run the lab's own part and take over its public names."""
        module = _module("lab_prelude")
        module |= {name: self.names[name] for name in ("np", "Image", "call", "LabError")}
        given = set(module)
        try:
            exec(compile(source, "<lab>", "exec", dont_inherit=True), module)
        except BaseException as error:
            return self._told(error, "<lab>")
        public = [n for n, v in module.items() if not n.startswith("_") and n not in given and not _is_module(v)]
        self.names |= {n: module[n] for n in module.get("__all__", public)}
        return None

    def run(self, source: str) -> str | None:
        """Run one cell and print its last expression; its exception as text, or ``None``."""
        self._cells += 1
        name = f"<cell {self._cells}>"
        self._sources[name] = source.splitlines()
        try:
            tree = ast.parse(source, name)
            last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
            exec(compile(tree, name, "exec", dont_inherit=True), self.names)
            if isinstance(last, ast.Expr):
                value = eval(compile(ast.Expression(last.value), name, "eval", dont_inherit=True), self.names)
                if value is not None:
                    print(repr(value))
        except BaseException as error:
            return self._told(error, "<cell ")
        return None

    def _told(self, error: BaseException, files: str) -> str:
        """The exception with the lines of foreign code it passed; never those of libraries."""
        try:
            what = f"{type(error).__name__}: {error}"[:MESSAGE].rstrip(": ")
        except BaseException:
            what = type(error).__name__
        if isinstance(error, SyntaxError) and str(error.filename).startswith(files):
            return f"line {error.lineno}: {(error.text or '').strip()}\n{type(error).__name__}: {error.msg}"
        frames: list[str] = []
        trace = error.__traceback__
        while trace is not None:
            code = trace.tb_frame.f_code
            if code.co_filename.startswith(files):
                frames.append(self._frame(code.co_filename, trace.tb_lineno, code.co_name))
            trace = trace.tb_next
        if len(frames) > FRAMES:
            frames[2 : 2 - FRAMES] = [f"... {len(frames) - FRAMES} more"]
        return "\n".join([*frames, what])

    def _frame(self, file: str, line: int, function: str) -> str:
        lines = self._sources.get(file, [])
        text = lines[line - 1].strip()[:200] if 0 < line <= len(lines) else ""
        cell = "" if file == f"<cell {self._cells}>" else f"{file.strip('<>')}, "
        return f"{cell}line {line}{'' if function == '<module>' else f', in {function}'}: {text}"


def _module(name: str) -> dict[str, Any]:
    """The variables of a new module that can be found by its name, as dataclasses expect."""
    module = sys.modules[name] = types.ModuleType(name)
    return module.__dict__


def _is_module(value: Any) -> bool:
    return isinstance(value, types.ModuleType)


def main(settings: Mapping[str, Any]) -> None:
    """Confine, report, then serve until the host goes. The host's pipes are descriptors 0 and 1 at the start."""
    host = Wire(os.dup(0), os.dup(1), wire.Bounds(**settings["bounds"]))
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nothing, standard)
    os.close(nothing)
    inherited = sorted(os.environ)
    os.environ.clear()
    os.environ.update(settings["environment"])
    try:
        confine.confine(settings["confine"])
        found = {**probe.found(settings["canary"]), "environment": inherited}
    except Exception as error:
        host.send("failed", f"{type(error).__name__}: {error}")
        return
    for name, text in settings["files"].items():
        with open(name, "w", encoding="utf-8") as file:
            file.write(text)
    printed = Printed(host, settings["output"])
    sys.stdout = sys.stderr = printed
    sys.stdin = io.StringIO()
    sys.argv = [""]
    session = Session(host, printed, wire.Bounds(**settings["most"]))
    host.send("ready", found)
    _serve(host, printed, session)


def _serve(host: Wire, printed: Printed, session: Session) -> None:
    while True:
        kind, body = host.receive()
        printed.begin()
        error = session.prelude(body["code"]) if kind == "prelude" else session.run(body["code"])
        printed.flush()
        host.send("done", {"run": body["run"], "error": error, "dropped": printed.dropped})
