"""The driver's side of every executor with workers elsewhere: who gets which job, and what follows when a worker is lost.

A worker gets its next job when it is free, before the driver looks at the result it brought, so that neither waits for the
other. A worker that dies is replaced and its jobs are done again, each ``RETRIES`` times at most; such a job then runs alone
in its worker, so that a job that kills workers does not take its neighbours with it. How messages travel is the transport's.
"""

from __future__ import annotations

import hashlib
import itertools
import logging
import pickle
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Generic, Protocol, Self, TypeVar

from maieutic.errors import StoreError, UserError
from maieutic.executors.base import Broken, Done, Work
from maieutic.executors.inside import Outcome, one_line

#: How often a job is given to another worker after its own died; and how many workers in a row may die while prepared.
RETRIES = 2

Hand = TypeVar("Hand")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event(Generic[Hand]):
    """News of one worker.

    Attributes:
        hand: the worker.
        ticket: of the job or preparation it is about; -1 where it is about none.
        outcome: pickled or not; ``None``: the worker is lost.
        how: it was lost, in a few words.
    """

    hand: Hand
    ticket: int = -1
    outcome: Outcome | bytes | None = None
    how: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a worker is prepared with: the function, its pickled arguments, and a digest that tells orders apart."""

    prepare: str
    arguments: bytes
    key: str

    @staticmethod
    def of(work: Work) -> Order:
        arguments = pickle.dumps(dict(work.arguments), protocol=pickle.HIGHEST_PROTOCOL)
        return Order(
            prepare=work.prepare, arguments=arguments,
            key=hashlib.sha256(work.prepare.encode() + b"\0" + arguments).hexdigest(),
        )  # fmt: skip


class Transport(Protocol[Hand]):
    """Starts workers, carries jobs to them and brings news. Sending to a worker that is lost does nothing: its loss is news."""

    def start(self) -> Hand: ...

    def name(self, hand: Hand) -> str: ...

    def prepare(self, hand: Hand, ticket: int, order: Order) -> None: ...

    def submit(self, hand: Hand, ticket: int, perform: str, job: bytes) -> None: ...

    def next_event(self) -> Event[Hand]:
        """Waits for it. There is always something to wait for when this is called."""
        ...

    def stop(self, hands: Sequence[Hand]) -> None:
        """End these workers now, busy or not."""
        ...

    def close(self) -> None:
        """End all workers, and let go of everything else."""
        ...


@dataclass(slots=True, kw_only=True)
class _Member(Generic[Hand]):
    """A worker as the driver sees it.

    Attributes:
        hand: the transport's.
        key: of the order it has or will have the state of.
        preparing: ticket of that preparation while it lasts.
        running: ticket to place of the job, ``None`` where its run was closed.
    """

    hand: Hand
    key: str = ""
    preparing: int | None = None
    running: dict[int, int | None] = field(default_factory=dict[int, int | None])


@dataclass(slots=True, kw_only=True)
class _Run:
    """One call of ``run``: what is to do, what has to be done again, and how often workers died."""

    work: Work
    order: Order
    jobs: Sequence[Any]
    left: int
    todo: deque[int]
    suspects: deque[int] = field(default_factory=deque[int])
    deaths: Counter[int] = field(default_factory=Counter[int])
    failed_starts: int = 0
    any_ready: bool = False


class Crew(Generic[Hand]):
    """An executor over a transport.

    Attributes:
        name: of the engine.
        workers: how many jobs run at once; fewer than asked for where the machine does not bear so many.
        lost: how many workers died and were replaced since it was opened.
    """

    def __init__(self, transport: Transport[Hand], *, name: str, processes: int, threads: int) -> None:
        self.name = name
        self.workers = processes * threads
        self.lost = 0
        self._transport = transport
        self._processes = processes
        self._threads = threads
        self._members: list[_Member[Hand]] = []
        self._tickets = itertools.count()
        self._open = False
        self._order: tuple[Work, Order] | None = None

    def run(self, work: Work, jobs: Sequence[Any]) -> Iterator[Done | Broken]:
        """See ``Executor.run``. One run at a time: close an iterator, or use it up, before the next."""
        assert work.state is None, "a state made already cannot travel: only the in-process executor takes one"
        assert not self._open, "the run before is not closed"
        if self._order is None or self._order[0] is not work:
            self._order = work, Order.of(work)
        run = _Run(work=work, order=self._order[1], jobs=jobs, left=len(jobs), todo=deque(range(len(jobs))))
        self._open = True
        try:
            self._hand_out(run)
            while run.left:
                ended = self._settle(run, self._transport.next_event())
                run.left -= len(ended)
                self._hand_out(run)
                yield from ended
        except GeneratorExit:
            raise
        except BaseException:
            # A message may be half sent: these workers cannot be trusted to be in step. The next run starts others.
            self._stop()
            raise
        finally:
            self._open = False
            for member in self._members:
                member.running = dict.fromkeys(member.running)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._members = []
        self._transport.close()

    def _stop(self) -> None:
        members, self._members = self._members, []
        self._transport.stop([m.hand for m in members])

    def _hand_out(self, run: _Run) -> None:
        """Start and prepare the workers that there is work for, and give jobs to the free ones."""
        wanted = min(self._processes, -(-run.left // self._threads))
        while len(self._members) < wanted:
            self._members.append(_Member(hand=self._transport.start()))
        for member in self._members:
            if member.key != run.order.key and (run.todo or run.suspects):
                member.key, member.preparing = run.order.key, next(self._tickets)
                self._transport.prepare(member.hand, member.preparing, run.order)
            while member.preparing is None and (place := self._next_job(run, member)) is not None:
                ticket = next(self._tickets)
                job = pickle.dumps(run.jobs[place], protocol=pickle.HIGHEST_PROTOCOL)
                member.running[ticket] = place
                self._transport.submit(member.hand, ticket, run.work.perform, job)

    def _next_job(self, run: _Run, member: _Member[Hand]) -> int | None:
        if run.suspects and not member.running:
            return run.suspects.popleft()
        alone = any(place is not None and run.deaths[place] for place in member.running.values())
        if run.todo and not alone and len(member.running) < self._threads:
            return run.todo.popleft()
        return None

    def _settle(self, run: _Run, event: Event[Hand]) -> list[Done | Broken]:
        """Jobs that this event ends."""
        member = next((m for m in self._members if m.hand is event.hand), None)
        if member is None:  # of a worker that was stopped
            return []
        if event.outcome is None:
            return self._bury(run, member, event.how)
        try:
            outcome = pickle.loads(event.outcome) if isinstance(event.outcome, bytes) else event.outcome
        except Exception as error:
            outcome = Outcome(ending="broken", reason=f"its result cannot be read: {one_line(error)}")
        if event.ticket == member.preparing:
            self._prepared(run, member, outcome)
            return []
        place = member.running.pop(event.ticket, None)
        if place is None:  # a job or a preparation of a run that was closed
            return []
        if outcome.ending == "store":
            raise StoreError(outcome.reason)
        if outcome.ending == "broken":
            return [Broken(index=place, reason=outcome.reason)]
        name = self._transport.name(member.hand)
        return [Done(index=place, result=outcome.result, seconds=outcome.seconds, worker=name)]

    def _prepared(self, run: _Run, member: _Member[Hand], outcome: Outcome) -> None:
        if outcome.ending == "store":
            raise StoreError(outcome.reason)
        if outcome.ending == "broken":
            raise UserError(f"a worker could not be prepared: {outcome.reason}")
        member.preparing = None
        run.any_ready = True
        run.failed_starts = 0

    def _bury(self, run: _Run, member: _Member[Hand], how: str) -> list[Done | Broken]:
        """Replace a worker that died; its jobs wait for another, or end here."""
        self._members.remove(member)
        self._transport.stop([member.hand])
        self.lost += 1
        _log.warning("a worker died (%s): another takes its place", how)
        if member.preparing is not None:
            self._failed_start(run, how)
        ended: list[Done | Broken] = []
        for place in member.running.values():
            if place is None:
                continue
            run.deaths[place] += 1
            if run.deaths[place] <= RETRIES:
                run.suspects.append(place)
                continue
            reason = f"its worker died {run.deaths[place]} times, last of {how}"
            ended.append(Broken(index=place, reason=reason, died=True))
        return ended

    def _failed_start(self, run: _Run, how: str) -> None:
        """Workers that die while prepared: go on with fewer where some are ready, give up where none ever was."""
        run.failed_starts += 1
        if run.failed_starts <= RETRIES:
            return
        fewer = min(self._processes - 1, len(self._members))
        if not run.any_ready or fewer < 1:
            raise UserError(
                f"workers die while they are prepared ({how}): see what they printed, give them more memory, "
                "or take fewer with --workers"
            )
        run.failed_starts = 0
        self._processes, self.workers = fewer, fewer * self._threads
        _log.warning("workers die while they are prepared (%s): going on with %d", how, fewer)
