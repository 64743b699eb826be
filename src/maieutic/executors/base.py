"""What every executor does: jobs in, results out as they finish, each job done exactly once as far as anyone can tell.

A job is plain data and its function has no effects but its result, so a job whose worker died is simply done again. The
driver alone writes to the run's store. What this module does not do: decide what runs, or in what order results count.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Protocol, Self


@dataclass(frozen=True, kw_only=True)
class Work:
    """What workers do.

    Attributes:
        prepare: ``package.module:function``; called once per worker with ``arguments``, gives the worker's state.
        perform: ``package.module:function``; called with (state, job), gives the result of one job; from several threads at
            once where the executor has them.
        arguments: of ``prepare``; they and jobs and results must be picklable for workers in other processes.
        state: a state made already: then ``prepare`` is not called, and only the in-process executor can do the work.
    """

    prepare: str
    perform: str
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])
    state: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A job that finished: its place in the sequence given, its result, seconds it took, and who did it."""

    index: int
    result: Any
    seconds: float
    worker: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """A job that did not: its place and one line why. ``died``: its worker was lost as often as is tolerated."""

    index: int
    reason: str
    died: bool = False


class Executor(Protocol):
    """Where work runs. A context manager; leaving it stops the workers.

    Attributes:
        name: ``in-process``, ``processes`` or ``ray``.
        workers: how many jobs run at once, threads of a worker included.
        lost: how many workers died and were replaced since it was opened.
    """

    name: str
    workers: int
    lost: int

    def run(self, work: Work, jobs: Sequence[Any]) -> Iterator[Done | Broken]:
        """Results in the order in which they finish. An exception of a job is its ``Broken``; ``StoreError`` is raised.

        A worker keeps its state between calls until work with another ``prepare`` or other ``arguments`` comes: pass the
        same ``Work``. Closing the iterator early abandons the jobs that have not started; it has to be closed, or used up,
        before the next call.

        Raises:
            StoreError: a job or a preparation raised it.
            UserError: a worker could not be prepared, with the reason.
        """
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
