"""Work done in this process: one job after another, or several at once in threads. No worker can be lost apart from the driver.

Torch keeps as many threads here as the caller gave it; for values equal to those of other executors that is one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import Any, Self

from maieutic.errors import StoreError, UserError
from maieutic.executors.base import Broken, Done, Work
from maieutic.executors.inside import Outcome, one_line, perform, resolve, worker_name


class InProcess:
    """The default executor. Its jobs and results need not be picklable."""

    def __init__(self, *, threads: int = 1) -> None:
        self.name = "in-process"
        self.workers = threads
        self.lost = 0
        self._prepared: tuple[str, Mapping[str, Any], Any] | None = None

    def run(self, work: Work, jobs: Sequence[Any]) -> Iterator[Done | Broken]:
        """See ``Executor.run``."""
        if not jobs:
            return
        state = self._state(work)
        if self.workers > 1:
            yield from self._threaded(work.perform, state, jobs)
            return
        for index, job in enumerate(jobs):
            yield _ended(index, perform(work.perform, state, job))

    def _state(self, work: Work) -> Any:
        if work.state is not None:
            return work.state
        if self._prepared is not None:
            function, arguments, state = self._prepared
            if function == work.prepare and _same(arguments, work.arguments):
                return state
        self._prepared = None
        try:
            state = resolve(work.prepare)(**work.arguments)
        except UserError:
            raise
        except (Exception, SystemExit) as error:
            raise UserError(f"a worker could not be prepared: {one_line(error)}") from error
        self._prepared = work.prepare, work.arguments, state
        return state

    def _threaded(self, function: str, state: Any, jobs: Sequence[Any]) -> Iterator[Done | Broken]:
        """Jobs go to threads as these become free, so that closing early leaves none waiting."""
        pool = ThreadPoolExecutor(self.workers, thread_name_prefix="maieutic")
        running: dict[Future[Outcome], int] = {}
        places = iter(range(len(jobs)))

        def hand_out() -> None:
            while len(running) < self.workers and (index := next(places, None)) is not None:
                running[pool.submit(perform, function, state, jobs[index])] = index

        try:
            hand_out()
            while running:
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                ended = [(running.pop(future), future.result()) for future in done]
                hand_out()
                for index, outcome in sorted(ended, key=lambda pair: pair[0]):
                    yield _ended(index, outcome)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._prepared = None


def _same(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    """Equal for certain; arguments that do not compare to a plain truth, such as arrays, are the same only as one object."""
    return a is b or (a.keys() == b.keys() and all(a[k] is b[k] or (a[k] == b[k]) is True for k in a))


def _ended(index: int, outcome: Outcome) -> Done | Broken:
    if outcome.ending == "store":
        raise StoreError(outcome.reason)
    if outcome.ending == "broken":
        return Broken(index=index, reason=outcome.reason)
    return Done(index=index, result=outcome.result, seconds=outcome.seconds, worker=worker_name())
