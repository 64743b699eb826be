"""How long work tells where it is: a ``Report`` opens a named step, the step is called with (done, total)."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

Step = Callable[[int, int], None]


class Report(Protocol):
    """``with report("explain", "smollm2-135m") as step: step(done, total)``."""

    def __call__(self, verb: str, what: str, /) -> AbstractContextManager[Step]: ...


@contextmanager
def silent(verb: str, what: str) -> Generator[Step]:
    """No report."""
    yield lambda done, total: None
