"""One run of the agent: a workbench with its own ledger, and the jailed worker that the model's programs run in.

Subjects are hooked networks and not thread-safe, so sessions of one process measure one after another (a shared lock).
Everything of a session happens on one thread of its own, so that Inspect's event loop never waits for a program.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from maieutic import lab as lab_room
from maieutic.errors import UserError
from maieutic.lab import Lab
from maieutic.lab.workbench import Shown, Submission, Workbench

if TYPE_CHECKING:
    from maieutic.explain.agent.settings import AgentSettings
    from maieutic.lab.worker import Worker

T = TypeVar("T")
_measuring = threading.Lock()
#: the file that builds `lab` inside the jail
PRELUDE = Path(lab_room.__file__).parent / "prelude.py"


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """What one program, or one form, did.

    Attributes:
        text: what it printed, its error, what is left of the budget; stimulus text in it is fenced.
        shown: what it put into the conversation.
    """

    text: str
    shown: tuple[Shown, ...] = ()


@dataclass(kw_only=True, eq=False)
class Session:
    """A run. Use as a context manager.

    Attributes:
        name: id of the run's sample in the Inspect log.
        labs: one per unit, with ledgers of this run alone.
        desk: the workbench.
        settings: of the agent.
        system, start: the first two messages; what they say of fences is true of this session's desk alone.
        ended: why the run ended without an answer, if so.
    """

    name: str
    labs: Sequence[Lab]
    desk: Workbench
    settings: AgentSettings
    system: str
    start: str
    ended: str | None = None
    backend: str = ""
    _worker: Worker | None = None
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(max_workers=1))

    def __enter__(self) -> Self:
        if self.settings.mode == "code":
            self.submit(self._start).result()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._worker is not None:
            self.submit(self._worker.close).result()
        self._thread.shutdown()

    def submit(self, work: Callable[..., T], *arguments: Any) -> Future[T]:
        """Have something done on the session's thread."""
        return self._thread.submit(work, *arguments)

    def _start(self) -> None:
        from maieutic.lab.worker import Laid, start_worker

        calls = one_at_a_time(self.desk.calls())
        laid = Laid(**(self.settings.honey or {}))
        self._worker = start_worker(self.settings.jail, calls=calls, prelude=PRELUDE, laid=laid)
        self.backend = self._worker.backend
        self.desk.desk.mark["jail"] = self.backend

    def run(self, code: str) -> Happened:
        """Run a program in the jail and say what happened. Call it through ``submit``."""
        assert self._worker is not None, "a session in code mode is entered before it runs programs"
        ran = self._worker.run(code, seconds=self.settings.code_seconds)
        parts = [self.desk.fence.printed(ran.output)] if ran.output.strip() else []
        if ran.error:
            parts.append(f"Error: {ran.error.strip()}")
        if ran.stopped:
            parts.append(f"Stopped: {ran.stopped}")
        shown = tuple(s if self.settings.pictures else self.worded(s) for s in self.desk.take_shown())
        if not parts and not shown:
            parts.append("The program printed and showed nothing.")
        return Happened(text="\n".join([*parts, self.left()]), shown=shown)

    def worded(self, shown: Shown) -> Shown:
        """A picture in the blind describer's words, for a model that does not see."""
        if shown.image is None:
            return shown
        return Shown(text=f"{shown.text} [picture: {self.described([shown.image])[0]}]".strip())

    def described(self, pictures: Sequence[Any]) -> list[str]:
        """What the blind describer says of pictures, fenced, for it may quote what is written in them."""
        with _measuring:
            try:
                said = self.desk.making.describe(list(pictures))
            except UserError:
                return ["not described"] * len(pictures)
        return [self.desk.fence.text(s) for s in said]

    def left(self) -> str:
        """What remains of the budget, in words."""
        left = [
            f"{lab.remaining} measurements" + (f" of {lab.unit.key}" if len(self.labs) > 1 else "") for lab in self.labs
        ]
        return f"[left: {', '.join(left)}]"

    @property
    def submission(self) -> Submission | None:
        """The answer about the first unit."""
        return self.desk.submission

    @property
    def answered(self) -> bool:
        return self.submission is not None


def one_at_a_time(calls: Mapping[str, Callable[..., Any]]) -> dict[str, Callable[..., Any]]:
    """The calls, of which only one runs at a time in this process."""

    def held(call: Callable[..., Any]) -> Callable[..., Any]:
        def locked(*arguments: Any, **named: Any) -> Any:
            with _measuring:
                return call(*arguments, **named)

        return locked

    return {name: held(call) for name, call in calls.items()}
