"""What a worker does, wherever it runs: prepare a state once, perform jobs on it, and put what went wrong into one line.

Nothing here knows how jobs arrive or who else works. One state is held at a time, because a state is mostly a model.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import socket
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module, metadata
from typing import Any, Literal

from maieutic.errors import StoreError, UserError

#: One thread of arithmetic a worker: two such processes are faster than one with two threads, and values stay the same to the
#: bit whatever shares a batch. The libraries read these when they are loaded, so they are set before any job's module is.
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
) | {"TOKENIZERS_PARALLELISM": "false"}

Ending = Literal["done", "broken", "store"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a job or a preparation ended.

    Attributes:
        ending: ``done``; ``broken``, an exception; ``store``, a ``StoreError``, which ends the whole run.
        result: of a job that is done.
        reason: one line, of one that is not.
        seconds: the job alone took, waiting and transport excluded.
    """

    ending: Ending = "done"
    result: Any = None
    reason: str = ""
    seconds: float = 0.0


def resolve(path: str) -> Any:
    """What ``package.module:name`` names."""
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)


def one_line(error: BaseException) -> str:
    """An exception as one line: a user's error says enough by itself, others are named by their type."""
    message = " ".join(str(error).split())
    if isinstance(error, UserError):
        return message
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def failed(error: BaseException, *, seconds: float = 0.0) -> Outcome:
    """The outcome of an exception."""
    ending: Ending = "store" if isinstance(error, StoreError) else "broken"
    return Outcome(ending=ending, reason=one_line(error), seconds=seconds)


def perform(function: str, state: Any, job: Any) -> Outcome:
    """Do one job. A job that calls ``sys.exit`` is broken like one that raises; only a dead process is a dead worker."""
    begun = time.perf_counter()
    try:
        result = resolve(function)(state, job)
    except (Exception, SystemExit) as error:
        return failed(error, seconds=time.perf_counter() - begun)
    return Outcome(result=result, seconds=time.perf_counter() - begun)


def worker_name() -> str:
    """``host:process``, for logs and for ``Done.worker``."""
    return f"{socket.gethostname()}:{os.getpid()}"


def versions() -> dict[str, str]:
    """Of what values depend on; packages that are not there are left out."""
    found: dict[str, str] = {}
    for package in ("maieutic", "numpy", "torch", "transformers"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package).partition("+")[0]
    return found


class Worker:
    """The state of one worker process, and jobs on it. Jobs may come from several threads at once."""

    def __init__(self) -> None:
        os.environ.update(ONE_THREAD)
        self._state: Any = None

    def prepare(self, function: str, arguments: bytes) -> Outcome:
        """Make the state out of pickled arguments; the state before is let go first, so that two are never held."""
        self._state = None
        try:
            given: Mapping[str, Any] = pickle.loads(arguments)
            self._state = resolve(function)(**given)
        except (Exception, SystemExit) as error:
            return failed(error)
        torch = sys.modules.get("torch")
        if torch is not None:
            torch.set_num_threads(1)
        return Outcome()

    def perform(self, function: str, job: bytes) -> bytes:
        """Do one pickled job; gives its pickled outcome."""
        try:
            given = pickle.loads(job)
        except Exception as error:
            return pickle.dumps(failed(error))
        outcome = perform(function, self._state, given)
        try:
            return pickle.dumps(outcome, protocol=pickle.HIGHEST_PROTOCOL)
        except Exception as error:
            reason = f"its result cannot be sent to the driver: {one_line(error)}"
            return pickle.dumps(Outcome(ending="broken", reason=reason, seconds=outcome.seconds))
