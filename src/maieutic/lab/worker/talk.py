"""One process and one program: bytes over the pipes, deadlines, calls served, output kept.

Nothing here trusts the process: reads and writes never block for longer than they are allowed to, every message is checked
for its form and its turn, and whatever is not right raises ``Ended``, upon which the caller kills the process.
"""

from __future__ import annotations

import contextlib
import os
import select
import time
from collections.abc import Callable, Mapping
from inspect import signature
from typing import Any

from maieutic.errors import UserError, did_you_mean
from maieutic.lab.worker import check, wire
from maieutic.lab.worker.interpreter import boot_message
from maieutic.lab.worker.launch import Backend, Running
from maieutic.lab.worker.limits import Laid, Limits

Calls = Mapping[str, Callable[..., Any]]
#: seconds between two looks at the scratch folder
_LOOK = 0.02


class Ended(Exception):
    """The worker must be ended; the message says why."""


class OutOfTime(Ended):
    """Because it took too long."""


def _bounds(limits: Limits) -> wire.Bounds:
    return wire.Bounds(limits.message, limits.text, limits.values, limits.depth, limits.pixels)


#: what the host may send; the process trusts it
_FROM_HOST = {"message": 1 << 31, "text": 1 << 28, "values": 10_000_000, "pixels": 1 << 30}


class Process:
    """A started process and the two pipes to it. Reads and writes never block for longer than they are allowed to."""

    def __init__(self, backend: Backend, limits: Limits) -> None:
        self.limits, self._backend = limits, backend
        try:
            self.running: Running = backend.launch(limits)
        except OSError as error:
            raise UserError(f"the jail {backend.name} could not be started ({error}): choose another jail") from error
        process = self.running.process
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        self._in, self._out, self._errors = process.stdin.fileno(), process.stdout.fileno(), process.stderr.fileno()
        os.set_blocking(self._in, False)
        os.set_blocking(self._out, False)
        self.runs, self._looked = 0, 0.0
        #: calls since the process started, as it must count them
        self.calls = 0
        self._bounds = _bounds(limits)

    def boot(self, secret: str, laid: Laid) -> None:
        """Send the program, with what is to lie in its scratch folder, and judge what it reports.

        Raises:
            Ended: it did not start, or the jail is not tight.
        """
        settings: dict[str, object] = {
            "confine": dict(self.running.confine), "bounds": {**_FROM_HOST, "depth": self.limits.depth},
            "most": _bounds(self.limits)._asdict(), "output": self.limits.output,
            "canary": secret, "environment": {**check.ENVIRONMENT, **laid.environment}, "files": dict(laid.files),
        }  # fmt: skip
        until = time.monotonic() + self.limits.start_seconds
        try:
            self.write([boot_message(settings, compiled=self._backend.compiled)], until)
            kind, found = self.read(until)
        except Ended as error:
            raise Ended(self._said() or str(error)) from error
        if kind != "ready":
            raise Ended((str(found).strip().splitlines() or ["it said nothing"])[-1][:300])
        try:
            self.running.ready()
        except OSError as error:
            raise Ended(f"its scratch folder cannot be watched: {error}") from error
        wrong = check.faults(found, pid=self.running.python) if self._backend.jailed else []
        if wrong:
            raise Ended(f"its check failed: {'; '.join(wrong)}")
        self.running.freeze(True)

    def uncalled(self) -> str:
        """Why a process that should be waiting cannot be used; empty when it can."""
        if self.running.process.poll() is not None:
            return "the process has ended"
        waiting, _, _ = select.select([self._out], [], [], 0)
        return "the process spoke without being asked" if waiting else ""

    def read(self, until: float) -> wire.Message:
        """The next message.

        Raises:
            Ended: it is none, or does not come.
        """
        try:
            text, total = wire.lengths(self._exactly(wire.LENGTHS.size, until), self._bounds)
            return wire.decode(self._exactly(text, until), self._exactly(total, until), self._bounds)
        except wire.WireError as error:
            raise Ended(f"it sent {error}") from error

    def write(self, parts: list[bytes], until: float) -> None:
        """Send bytes.

        Raises:
            Ended: it does not take them.
        """
        for part in parts:
            left = memoryview(part)
            while left:
                try:
                    left = left[os.write(self._in, left) :]
                except BlockingIOError:
                    self._wait(self._in, select.POLLOUT, until)
                except BrokenPipeError:
                    raise Ended(self._death()) from None

    def _exactly(self, size: int, until: float) -> bytes:
        got = bytearray()
        while len(got) < size:
            try:
                part = os.read(self._out, min(size - len(got), 1 << 20))
            except BlockingIOError:
                self._wait(self._out, select.POLLIN, until)
                continue
            if not part:
                raise Ended(self._death())
            got += part
            self._look(until)
        return bytes(got)

    def _wait(self, descriptor: int, event: int, until: float) -> None:
        """Until there is something to do; watches time and scratch meanwhile."""
        poll = select.poll()
        poll.register(descriptor, event)
        while not poll.poll(1000 * min(max(until - time.monotonic(), 0), _LOOK)):
            self._look(until)

    def _look(self, until: float) -> None:
        now = time.monotonic()
        if now > until:
            raise OutOfTime("it ran out of time")
        if now - self._looked > _LOOK / 2:
            self._looked = now
            self.look()

    def look(self) -> None:
        """Hold the scratch folder to its limits.

        Raises:
            Ended: it is over them.
        """
        size, files = self.running.usage()
        if size > self.limits.scratch or files > self.limits.files:
            raise Ended(f"its scratch folder is over the limit ({size} bytes in {files} files)")

    def _death(self) -> str:
        """How the process ended."""
        with contextlib.suppress(Exception):
            self.running.process.wait(1.0)
        code = self.running.process.returncode
        if code is None:
            return "it closed the connection"
        signalled = -code if code < 0 else code - 128 if code > 128 else 0
        return f"its process was killed by signal {signalled}" if signalled else f"its process ended (exit code {code})"

    def _said(self) -> str:
        """The last line that a process which did not start wrote to standard error."""
        os.set_blocking(self._errors, False)
        try:
            lines = os.read(self._errors, 1 << 16).decode("utf-8", "replace").strip().splitlines()
        except OSError:
            return ""
        return lines[-1][:300] if lines else ""


class Talk:
    """One program, from sending it to its end: what it prints, what it asks, how long it took."""

    def __init__(self, process: Process, calls: Calls, limits: Limits, seconds: float) -> None:
        self._process, self._calls, self._limits, self._seconds = process, calls, limits, seconds
        self._printed: list[str] = []
        self._room, self._dropped = limits.output, 0
        self._begun, self._elsewhere = time.monotonic(), 0.0

    def run(self, kind: str, code: str) -> str | None:
        """Serve the program; its own error as text, or ``None``.

        Raises:
            Ended: the worker must go.
        """
        process = self._process
        process.runs += 1
        process.running.freeze(False)
        process.write(wire.encode(kind, {"run": process.runs, "code": code}), self._until())
        while True:
            said, body = process.read(self._until())
            match said, body:
                case "out", str(text):
                    self._print(text)
                case "call", {"id": int(number), "name": str(name), "args": [*args], "kwargs": {**kwargs}} if (
                    len(body) == 4
                ):
                    self._serve(number, name, args, kwargs)
                case "done", {"run": process.runs, "error": str() | None as error, "dropped": int(dropped)}:
                    process.running.freeze(True)
                    process.look()
                    self._dropped += max(dropped, 0)
                    return None if error is None else error[: self._limits.output]
                case _:
                    raise Ended("it sent a message that no program can send")

    def spent(self) -> float:
        """Seconds so far, without host calls."""
        return time.monotonic() - self._begun - self._elsewhere

    def output(self) -> str:
        cut = f"\n[{self._dropped} more characters were printed and cut]" if self._dropped else ""
        return "".join(self._printed) + cut

    def _until(self) -> float:
        return self._begun + self._elsewhere + self._seconds

    def _print(self, text: str) -> None:
        kept = text[: self._room]
        self._room -= len(kept)
        self._dropped += len(text) - len(kept)
        if kept:
            self._printed.append(kept)

    def _serve(self, number: int, name: str, args: list[Any], kwargs: dict[str, Any]) -> None:
        self._process.calls += 1
        if number != self._process.calls or isinstance(number, bool):
            raise Ended("it sent a call out of turn")
        begun = time.monotonic()
        self._process.running.freeze(True)
        try:
            kind, value = _answer(self._calls, name, args, kwargs)
            parts = wire.encode(kind, value, depth=self._limits.depth)
        finally:
            self._process.running.freeze(False)
            self._elsewhere += time.monotonic() - begun
        self._process.write(parts, self._until())


def _answer(calls: Calls, name: str, args: list[Any], kwargs: dict[str, Any]) -> tuple[str, Any]:
    """Kind and body of the reply to a call."""
    serve = calls.get(name)
    if serve is None:
        return "raise", f"the lab has no {name[:80]!r}{did_you_mean(name, calls)}"
    try:
        signature(serve).bind(*args, **kwargs)
        return "return", serve(*args, **kwargs)
    except (ValueError, TypeError, OverflowError) as error:
        return "raise", str(error)
