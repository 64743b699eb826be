"""How long work tells where it is: a ``Report`` opens a named step, the step is called with (done, total)."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Step(Protocol):
    """``step(done, total)``; a note says in a few words what it cost so far."""

    def __call__(self, done: int, total: int, /, note: str = "") -> None: ...


class Report(Protocol):
    """``with report("explain", "smollm2-135m") as step: step(done, total)``."""

    def __call__(self, verb: str, what: str, /) -> AbstractContextManager[Step]: ...


def nothing(done: int, total: int, /, note: str = "") -> None:
    """A step that tells nobody."""


@contextmanager
def silent(verb: str, what: str) -> Generator[Step]:
    """No report."""
    yield nothing
