"""Executors under test, and the module that their workers import."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from maieutic.executors import Executor, Work, open_executor

HERE = str(Path(__file__).parent)
if HERE not in sys.path:
    sys.path.append(HERE)


@pytest.fixture
def pool() -> Iterator[Callable[..., Executor]]:
    """Opens executors that end with the test."""
    with ExitStack() as opened:
        yield lambda engine="processes", **options: opened.enter_context(open_executor(engine, **options))


@pytest.fixture
def load() -> Callable[..., Work]:
    """``load("times", factor=3)``: work of ``executor_loads`` with the state ``factor``, or another by ``prepare=``."""

    def made(perform: str, prepare: str = "factor", **arguments: Any) -> Work:
        path = "executor_loads"
        return Work(prepare=f"{path}:{prepare}", perform=f"{path}:{perform}", arguments=arguments)

    return made
