"""The program of a worker process: messages come on its standard input, answers leave on what was its standard output.

A message is eight bytes of length and a pickle, both ways; the driver and its workers trust each other. What jobs print goes
to standard error. When the driver is gone its end of the pipe closes, and the process ends: at once when it is idle, after a
moment in the middle of a job.
"""

from __future__ import annotations

import atexit
import faulthandler
import os
import pickle
import queue
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import IO, Any

from maieutic.executors.inside import Worker, worker_name

#: Seconds that a process whose driver is gone may take to end by itself, so that what it made for a while is removed.
GRACE = 0.5


def write(stream: IO[bytes], message: Any) -> None:
    """Send a message; ``OSError`` where nobody reads."""
    body = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    stream.write(len(body).to_bytes(8, "little"))
    stream.write(body)
    stream.flush()


def read(stream: IO[bytes]) -> Any | None:
    """The next message; ``None`` where the other side is gone, in the middle of one or between two."""
    size = int.from_bytes(_exactly(stream, 8) or b"", "little")
    body = _exactly(stream, size) if size else None
    return None if body is None else pickle.loads(body)


def _exactly(stream: IO[bytes], size: int) -> bytes | None:
    found = bytearray()
    while len(found) < size:
        part = stream.read(size - len(found))
        if not part:
            return None
        found += part
    return bytes(found)


def _own_streams() -> tuple[IO[bytes], IO[bytes]]:
    """The pipes to the driver, taken away from everything that reads standard input or prints."""
    coming, going = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    # No buffer to read from: a thread that waits in a buffered reader holds a lock that the end of the interpreter wants.
    return open(coming, "rb", buffering=0), open(going, "wb")  # noqa: SIM115


class _Desk:
    """Takes messages in the main thread, so that with one thread jobs run there: some libraries insist on it."""

    def __init__(self, going: IO[bytes], threads: int) -> None:
        self._going = going
        self._lock = threading.Lock()
        self._worker = Worker()
        self._threads = ThreadPoolExecutor(threads) if threads > 1 else None

    def take(self, message: tuple[Any, ...]) -> None:
        match message:
            case ("prepare", ticket, function, arguments):
                self._send(ticket, self._worker.prepare(function, arguments))
            case ("perform", ticket, function, job) if self._threads is None:
                self._perform(ticket, function, job)
            case ("perform", ticket, function, job) if self._threads is not None:
                self._threads.submit(self._perform, ticket, function, job)
            case _:
                raise AssertionError(message)

    def _perform(self, ticket: int, function: str, job: bytes) -> None:
        self._send(ticket, self._worker.perform(function, job))

    def _send(self, ticket: int, outcome: Any) -> None:
        with self._lock:
            try:
                write(self._going, (ticket, outcome))
            except OSError:
                os._exit(0)  # the driver is gone


def main(threads: int) -> None:
    """Serve until the driver closes the pipe."""
    coming, going = _own_streams()
    faulthandler.enable()
    inbox: queue.SimpleQueue[tuple[Any, ...] | None] = queue.SimpleQueue()

    def receive() -> None:
        while (message := read(coming)) is not None:
            inbox.put(message)
        inbox.put(None)
        time.sleep(GRACE)
        os._exit(0)  # jobs under way have no effects to finish, and nobody waits for them

    threading.Thread(target=receive, daemon=True).start()
    write(going, worker_name())
    desk = _Desk(going, threads)
    while (message := inbox.get()) is not None:
        desk.take(message)
    # What a usual end does first, without taking every module apart after it: with torch that takes half a second.
    atexit._run_exitfuncs()
    os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]))
