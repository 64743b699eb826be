"""Persistent Python for experiment code, in a process that owns nothing; it reaches the lab by calls that the host serves.

    with start_worker(calls={"double": lambda x: 2 * x}) as worker:
        worker.run("x = call('double', 21)")
        print(worker.run("x").output)  # 42

The host believes nothing that comes from the process: every message is checked, every wait has an end, and a message that
should not be ends the worker. Between two programs the process is frozen. What the lab allows (budgets, which split) is the
business of the calls themselves. Not protected: see ``docs/security.md``.
"""

from __future__ import annotations

import threading
import warnings
import weakref
from pathlib import Path
from types import TracebackType

from maieutic.errors import UsageError, UserError, did_you_mean
from maieutic.lab.worker import check
from maieutic.lab.worker.bare import Bare
from maieutic.lab.worker.bwrap import Bwrap
from maieutic.lab.worker.docker import Docker
from maieutic.lab.worker.landlock import Landlock
from maieutic.lab.worker.launch import Backend
from maieutic.lab.worker.limits import Laid, Limits, Ran
from maieutic.lab.worker.talk import Calls, Ended, OutOfTime, Process, Talk

AFRESH = "[the worker was started afresh: variables and files of earlier programs are gone]\n"


def named(backend: str, *, image: str | None = None) -> Backend:
    """The backend of that name.

    Raises:
        UsageError: there is none.
    """
    known: dict[str, Backend] = {b.name: b for b in (Bwrap(), Landlock(), Docker(image) if image else Docker(), Bare())}
    if backend not in known:
        raise UsageError(f"no jail {backend!r}{did_you_mean(backend, known)}: choose from {', '.join(known)}")
    return known[backend]


def backends(*, image: str | None = None) -> dict[str, str]:
    """Every backend, with an empty text where a worker started and passed its check, else why not and what to do."""
    found: dict[str, str] = {}
    for name in ("bwrap", "landlock", "docker", "none"):
        backend = named(name, image=image)
        found[name] = backend.refusal()
        if not found[name] and backend.jailed:
            try:
                Worker(backend, calls={}).close()
            except UserError as error:
                found[name] = str(error)
    return found


def start_worker(
    backend: str = "bwrap",
    *,
    calls: Calls,
    prelude: Path | None = None,
    limits: Limits | None = None,
    image: str | None = None,
    laid: Laid | None = None,
) -> Worker:
    """A worker that is ready, in the jail that was asked for and in no other.

    Args:
        backend: ``bwrap``, ``landlock``, ``docker`` or ``none``.
        calls: what programs reach by ``call(name, ...)``. They run in the thread that calls ``run``. A ``ValueError``
            (so every ``UserError``), ``TypeError`` or ``OverflowError`` of theirs arrives in the program as ``LabError``;
            anything else is a fault of ours, ends the worker and is raised by ``run``.
        prelude: a file that is run inside before any program; its public names (``__all__`` where it has one) are what
            programs find beside ``np``, ``Image``, ``call`` and ``LabError``. It may use the standard library and those.
        limits: see ``Limits``.
        image: for ``docker``; else the variable ``MAIEUTIC_JAIL_IMAGE``.
        laid: files and variables that programs find.

    Raises:
        UserError: the jail cannot be had here, or its check failed; nothing else is tried.
    """
    chosen = named(backend, image=image)
    if not chosen.jailed:
        message = "programs run without a jail: they may read your files and use the network as you may"
        warnings.warn(message, RuntimeWarning, stacklevel=2)
    return Worker(chosen, calls=calls, prelude=prelude, limits=limits, laid=laid)


class Worker:
    """One jailed interpreter at a time, made anew by ``reset`` and after it was ended. Use it as a context.

    Attributes:
        backend: name of the jail, for the record of each experiment.
        jailed: ``False`` for ``none``.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        calls: Calls,
        prelude: Path | None = None,
        limits: Limits | None = None,
        laid: Laid | None = None,
    ) -> None:
        self.backend, self.jailed = backend.name, backend.jailed
        self.limits, self._laid = limits or Limits(), laid or Laid()
        self._backend, self._calls = backend, dict(calls)
        self._prelude = None if prelude is None else prelude.read_text(encoding="utf-8")
        self._lock = threading.Lock()
        self._process: Process | None = None
        self._closed = self._lost = False
        self._start()

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def run(self, code: str, *, seconds: float | None = None) -> Ran:
        """Run one program; its variables stay for the next.

        Args:
            code: Python; the value of a last expression is printed.
            seconds: wall time for this program without host calls; default ``Limits.seconds``.

        Raises:
            UserError: the worker had ended and could not be started again.
        """
        with self._lock:
            assert not self._closed, "a closed worker runs nothing"
            if self._process is not None and self._process.uncalled():
                self._end()
                self._lost = True
            note = AFRESH if self._lost else ""
            if self._process is None:
                self._start()
            ran = self._finish("run", code, seconds or self.limits.seconds)
            return Ran(output=note + ran.output, error=ran.error, stopped=ran.stopped, seconds=ran.seconds)

    def reset(self) -> None:
        """A new process: no variable, file or process of earlier programs is left. For the next unit."""
        with self._lock:
            self._end()
            self._closed = self._lost = False
            self._start()

    def close(self) -> None:
        """End the process and remove what it left. May be called twice."""
        with self._lock:
            self._end()
            self._closed = True

    # --- one process -----------------------------------------------------------------------------------------------

    def _start(self) -> None:
        refused = self._backend.refusal()
        if refused:
            raise UserError(f"the jail {self.backend} cannot be used here: {refused}")
        with check.canary() as secret:
            self._process = Process(self._backend, self.limits)
            # also when nobody closes it
            self._ending = weakref.finalize(self, self._process.running.kill)
            try:
                self._process.boot(secret, self._laid)
            except Ended as error:
                self._end()
                other = "choose another jail;  maieutic bench jail  shows which work here"
                raise UserError(f"the jail {self.backend} could not be started ({error}): {other}") from error
            except BaseException:
                self._end()
                raise
        if self._prelude is not None:
            ran = self._finish("prelude", self._prelude, self.limits.start_seconds)
            assert ran.error is None and ran.stopped is None, f"the lab's own part failed: {ran.error or ran.stopped}"

    def _end(self) -> None:
        if self._process is not None:
            self._process = None
            self._ending()

    def _finish(self, kind: str, code: str, seconds: float) -> Ran:
        """Send a program and serve it to its end; the worker survives only when all went well."""
        assert self._process is not None
        talk = Talk(self._process, self._calls, self.limits, seconds)
        self._lost = True
        try:
            error = talk.run(kind, code)
            self._lost = False
            return Ran(output=talk.output(), error=error, seconds=talk.spent())
        except Ended as stop:
            why = f"{stop} ({seconds:g} s)" if isinstance(stop, OutOfTime) else str(stop)
            return Ran(output=talk.output(), stopped=why, seconds=talk.spent())
        finally:
            if self._lost:
                self._end()
