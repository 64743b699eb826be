"""Workers as processes on this machine: fresh interpreters, never forks, each with one thread of arithmetic.

A worker is started by command line and not by ``multiprocessing``, so that nothing of the caller's script is run again in it
and its environment is set before torch can load. Ctrl-C reaches the driver alone. A worker ends when its pipe closes, so none
outlives a driver, however that ends. Not for jobs of others: a worker can do whatever the driver can.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, Any

from maieutic.executors.crew import Crew, Event, Order
from maieutic.executors.inside import ONE_THREAD
from maieutic.executors.member import GRACE, read, write

#: Seconds between looks at processes that may have died without their pipe closing (a child of theirs can hold it open).
LOOK = 1.0


@dataclass(eq=False, slots=True, kw_only=True)
class Hand:
    """A worker process and the driver's ends of its pipes."""

    process: subprocess.Popen[bytes]
    to: IO[bytes]
    back: IO[bytes]
    name: str = ""


def open_processes(*, workers: int, threads: int) -> Crew[Hand]:
    """A pool of ``workers`` processes with ``threads`` jobs at once in each. They start with the first run."""
    return Crew(_Pipes(threads), name="processes", processes=workers, threads=threads)


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Pipes:
    """The transport: two pipes a worker, and a thread each that reads what comes back."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._events: queue.SimpleQueue[Event[Hand]] = queue.SimpleQueue()
        self._hands: list[Hand] = []
        self._looked = time.monotonic()

    def start(self) -> Hand:
        paths = os.pathsep.join(os.path.abspath(p) for p in sys.path)
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "maieutic.executors.member", str(self._threads)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
            env={**os.environ, **ONE_THREAD, "PYTHONPATH": paths},
        )  # fmt: skip
        assert process.stdin is not None and process.stdout is not None
        hand = Hand(process=process, to=process.stdin, back=process.stdout)
        self._hands.append(hand)
        threading.Thread(target=self._receive, args=(hand,), daemon=True).start()
        return hand

    def name(self, hand: Hand) -> str:
        return hand.name

    def prepare(self, hand: Hand, ticket: int, order: Order) -> None:
        self._send(hand, ("prepare", ticket, order.prepare, order.arguments))

    def submit(self, hand: Hand, ticket: int, perform: str, job: bytes) -> None:
        self._send(hand, ("perform", ticket, perform, job))

    def next_event(self) -> Event[Hand]:
        while True:
            if time.monotonic() - self._looked > LOOK:
                self._looked = time.monotonic()
                for hand in self._hands:
                    if hand.process.poll() is not None:
                        self._events.put(Event(hand=hand, how=_how(hand.process)))
            try:
                return self._events.get(timeout=LOOK)
            except queue.Empty:
                continue

    def stop(self, hands: Sequence[Hand]) -> None:
        for hand in hands:
            _close(hand.to)
        until = time.monotonic() + GRACE
        for hand in hands:
            try:
                hand.process.wait(timeout=max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                hand.process.kill()
                hand.process.wait()
            self._hands.remove(hand)

    def close(self) -> None:
        self.stop(list(self._hands))  # an interrupt can come between a start and its being noted

    def _send(self, hand: Hand, message: tuple[Any, ...]) -> None:
        try:
            write(hand.to, message)
        except (OSError, ValueError):  # it died, or its pipe was closed when that was noticed; its reader tells
            _close(hand.to)

    def _receive(self, hand: Hand) -> None:
        """Everything a worker sends, then its end."""
        with hand.back:
            hand.name = read(hand.back) or ""
            while hand.name and (message := read(hand.back)) is not None:
                ticket, outcome = message
                self._events.put(Event(hand=hand, ticket=ticket, outcome=outcome))
        try:
            hand.process.wait(timeout=LOOK)
        except subprocess.TimeoutExpired:
            hand.process.kill()
            hand.process.wait()
        self._events.put(Event(hand=hand, how=_how(hand.process)))


def _close(stream: IO[bytes]) -> None:
    with contextlib.suppress(OSError):  # what was buffered cannot be sent any more
        stream.close()


def _how(process: subprocess.Popen[bytes]) -> str:
    """A dead process's end in words."""
    code = process.returncode
    if code >= 0:
        return f"exit code {code}"
    name = signal.Signals(-code).name if -code in signal.valid_signals() else f"signal {-code}"
    return f"{name}, perhaps for want of memory" if name == "SIGKILL" else name
