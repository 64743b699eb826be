"""Workers as actors on a Ray cluster, each with one core (and GPUs where asked for) and one thread of arithmetic.

Ray places the actors and carries messages; who does what, and what follows when an actor or its machine is lost, is decided by
the crew, so that it is the same as for processes. What every worker is prepared with goes through the object store, once a
machine. Actors write nothing for the driver: its store is never opened elsewhere. Ray Data is not used.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from maieutic.errors import MissingExtraError, UserError
from maieutic.executors.crew import Crew, Event, Order
from maieutic.executors.inside import Outcome, Worker, one_line, versions, worker_name

#: Seconds after which a cluster that has placed no actor at all is reported instead of waited for.
PLACING = 300.0
#: Bytes of the object store of a Ray that is started here; what does not fit goes to disk.
STORE = 256 << 20
#: Ray makes Unix sockets below its folder, and their paths end at 107 bytes; its own part takes about 65.
_LONGEST_FOLDER = 40


class Member:
    """What runs in an actor. Ray calls it in the main thread, or in threads where there are several jobs at once."""

    def __init__(self, paths: Sequence[str]) -> None:
        sys.path.extend(path for path in paths if path not in sys.path)
        self._worker = Worker()

    def hello(self) -> tuple[str, dict[str, str]]:
        """Its name and versions, once it has been placed."""
        return worker_name(), versions()

    def prepare(self, function: str, arguments: bytes) -> Outcome:
        return self._worker.prepare(function, arguments)

    def perform(self, function: str, job: bytes) -> bytes:
        return self._worker.perform(function, job)


@dataclass(eq=False, slots=True, kw_only=True)
class Hand:
    """An actor, and the tickets of its calls under way, ``None`` for the greeting."""

    actor: Any
    calls: dict[Any, int | None] = field(default_factory=dict[Any, "int | None"])
    name: str = ""


def open_ray(*, workers: int | None, threads: int, address: str | None, gpus: float) -> Crew[Hand]:
    """A crew on the cluster at ``address``, or on a Ray that is started here and ends with it (8-10 s).

    Raises:
        MissingExtraError: Ray is not installed.
        UserError: no cluster answers.
    """
    # Before Ray is imported: it reads both then.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError(package="ray", extra="scale", feature="--engine ray") from error
    actors = _Actors(ray, threads=threads, gpus=gpus)
    try:
        actors.connect(address, workers)
        return Crew(actors, name="ray", processes=workers or actors.room(), threads=threads)
    except BaseException:
        actors.close()
        raise


def _short_folder() -> str:
    """A new temporary folder whose path leaves room for Ray's sockets."""
    usual = tempfile.gettempdir()
    return tempfile.mkdtemp(prefix="m-ray-", dir=usual if len(usual) < _LONGEST_FOLDER - 16 else "/tmp")


def _knock(address: str) -> None:
    """``OSError`` where nothing listens: Ray itself would try for two minutes and more."""
    host, _, port = address.rpartition(":")
    if host and "/" not in host and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()


def _how(error: Exception) -> str:
    """A lost actor's end in words: Ray's last line has the cause."""
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[-1].strip()[:160]}"


def _check_versions(name: str, theirs: dict[str, str]) -> None:
    """Results of different code are never mixed."""
    ours = versions()
    other = [f"{p} {theirs.get(p, 'missing')} instead of {ours[p]}" for p in ours if theirs.get(p) != ours[p]]
    if other:
        raise UserError(f"the worker {name} has {', '.join(other)}: install the driver's versions on all machines")


class _Actors:
    """The transport: calls of actors, and their references waited for together."""

    def __init__(self, ray: ModuleType, *, threads: int, gpus: float) -> None:
        self._ray = ray
        self._gpus = gpus
        self._kind = ray.remote(num_cpus=1, num_gpus=gpus, max_restarts=0, max_concurrency=threads)(Member)
        self._hands: list[Hand] = []
        self._stored: tuple[str, Any] = ("", None)
        self._folder: str | None = None
        self._ours = False
        self._unplaced_since: float | None = None

    def connect(self, address: str | None, workers: int | None) -> None:
        """Use the cluster that this process is connected to already, else connect, else start one."""
        if self._ray.is_initialized():
            return
        # What workers print stays in Ray's logs: forwarded, it would mix with the driver's output.
        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        self._ours = True
        if address is not None:
            try:
                _knock(address)
                self._ray.init(address=address, **quiet)
            except (OSError, RuntimeError, ValueError) as error:
                raise UserError(
                    f"no Ray cluster answers at {address} ({one_line(error)[:200]}): start one with  ray start --head"
                ) from error
            return
        self._folder = _short_folder()
        # ``local``: even where RAY_ADDRESS names a cluster.
        self._ray.init(
            address="local", num_cpus=workers, include_dashboard=False, object_store_memory=STORE,
            _temp_dir=self._folder, **quiet,
        )  # fmt: skip

    def room(self) -> int:
        """Workers that the cluster has room for now, at least one."""
        resources: dict[str, float] = self._ray.cluster_resources()
        fitting = resources.get("CPU", 1.0)
        if self._gpus:
            fitting = min(fitting, resources.get("GPU", 0.0) / self._gpus)
        return max(1, int(fitting))

    def start(self) -> Hand:
        hand = Hand(actor=self._kind.remote([os.path.abspath(p) for p in sys.path]))
        hand.calls[hand.actor.hello.remote()] = None
        self._hands.append(hand)
        return hand

    def name(self, hand: Hand) -> str:
        return hand.name

    def prepare(self, hand: Hand, ticket: int, order: Order) -> None:
        if self._stored[0] != order.key:
            self._stored = order.key, self._ray.put(order.arguments)
        hand.calls[hand.actor.prepare.remote(order.prepare, self._stored[1])] = ticket

    def submit(self, hand: Hand, ticket: int, perform: str, job: bytes) -> None:
        hand.calls[hand.actor.perform.remote(perform, job)] = ticket

    def next_event(self) -> Event[Hand]:
        while True:
            calls = {ref: hand for hand in self._hands for ref in hand.calls}
            ready, _ = self._ray.wait(list(calls), num_returns=1, timeout=1.0)
            self._look_for_room()
            if not ready:
                continue
            hand = calls[ready[0]]
            ticket = hand.calls.pop(ready[0])
            found: Any
            try:
                found = self._ray.get(ready[0])
            except self._ray.exceptions.RayTaskError as error:
                found = Outcome(ending="broken", reason=one_line(error.cause or error))
                assert ticket is not None, error
            except self._ray.exceptions.RayError as error:
                return Event(hand=hand, how=_how(error))
            if ticket is not None:
                return Event(hand=hand, ticket=ticket, outcome=found)
            hand.name, theirs = found
            _check_versions(hand.name, theirs)

    def _look_for_room(self) -> None:
        """A cluster without room for a single actor would be waited for without end."""
        if any(hand.name for hand in self._hands):
            self._unplaced_since = None
        elif self._unplaced_since is None:
            self._unplaced_since = time.monotonic()
        elif time.monotonic() - self._unplaced_since > PLACING:
            there = {k: v for k, v in self._ray.cluster_resources().items() if k in ("CPU", "GPU")}
            raise UserError(
                f"no worker found a place in {PLACING:.0f} s: it needs 1 CPU and {self._gpus:g} GPUs, the cluster has "
                f"{there} in use or not: add machines, or wait until others are done"
            )

    def stop(self, hands: Sequence[Hand]) -> None:
        for hand in hands:
            with contextlib.suppress(self._ray.exceptions.RayError):
                self._ray.kill(hand.actor)
            self._hands.remove(hand)

    def close(self) -> None:
        self.stop(list(self._hands))
        self._stored = "", None
        if self._ours and self._ray.is_initialized():
            self._ray.shutdown()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
