"""Executors under test, and the module that their workers import."""

from __future__ import annotations

import faulthandler
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from maieutic.executors import Executor, Work, open_executor

HERE = str(Path(__file__).parent)
if HERE not in sys.path:
    sys.path.append(HERE)


@pytest.fixture(scope="session")
def two_nodes() -> Iterator[Any]:
    """A Ray cluster of two nodes with two cores each and one GPU, as far as Ray knows, and this process connected to it."""
    with ExitStack() as lasting:
        folder = Path(lasting.enter_context(tempfile.TemporaryDirectory(prefix="m-", dir="/tmp")))
        environment = lasting.enter_context(pytest.MonkeyPatch.context())
        # Apart from a cluster that somebody else may run on this machine, and with a path short enough for sockets.
        environment.setenv("RAY_TMPDIR", str(folder))
        environment.setenv("RAY_USAGE_STATS_ENABLED", "0")
        environment.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        (folder / "ray").mkdir()
        ray = pytest.importorskip("ray")
        from ray.cluster_utils import Cluster

        node = {"num_cpus": 2, "object_store_memory": 100 << 20, "include_dashboard": False}
        cluster = Cluster(initialize_head=True, head_node_args={**node, "num_gpus": 1})
        cluster.add_node(**node)
        ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
        yield cluster
        ray.shutdown()
        cluster.shutdown()


@pytest.fixture
def on_cluster(request: pytest.FixtureRequest) -> Iterator[Any]:
    """The cluster, with a limit of two minutes: an exception that tells where it hangs, then the end of the process."""

    def too_long(number: int, frame: Any) -> None:
        raise TimeoutError("two minutes on a cluster")

    faulthandler.dump_traceback_later(150, exit=True)
    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(120)
    yield request.getfixturevalue("two_nodes")
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)
    faulthandler.cancel_dump_traceback_later()


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
