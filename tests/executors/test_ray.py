"""Ray when things go wrong: an actor killed, a machine lost, no room, no cluster, a driver killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from executor_loads import noted

from maieutic.errors import UserError
from maieutic.executors import Broken, Done, Executor, Work, ray_cluster

pytest.importorskip("ray")
pytestmark = pytest.mark.slow
Pool = Callable[..., Executor]
Load = Callable[..., Work]


def done_once(found: list[Done | Broken], jobs: int) -> None:
    """Every job is done, and the driver saw it once."""
    assert [e for e in found if isinstance(e, Broken)] == []
    assert sorted(e.index for e in found) == list(range(jobs))


def test_an_actor_killed_in_the_middle_costs_nothing_but_time(
    on_cluster: Any, pool: Pool, load: Load, tmp_path: Path
) -> None:
    opened = pool("ray", workers=3)
    run = opened.run(load("noted_sleep", factor=1, folder=str(tmp_path)), [0.1] * 40)
    found = [next(run) for _ in range(8)]
    os.kill(noted(tmp_path, "sleeping")[-1], signal.SIGKILL)
    found += list(run)
    done_once(found, 40)
    assert opened.lost == 1
    # the two that are left may be done before the fourth has started, which takes seconds on a busy machine
    assert len(noted(tmp_path, "prepared")) in (3, 4)


def test_a_machine_lost_in_the_middle_costs_nothing_but_time(
    on_cluster: Any, pool: Pool, load: Load, tmp_path: Path
) -> None:
    import ray

    third = on_cluster.add_node(num_cpus=2, object_store_memory=100 << 20)
    opened = pool("ray", workers=6)
    run = opened.run(load("node", factor=1), [0.2] * 60)
    found = [next(run) for _ in range(3)]
    while third.node_id not in {e.result for e in found if isinstance(e, Done)}:
        found.append(next(run))
    on_cluster.remove_node(third, allow_graceful=False)
    found += list(run)
    done_once(found, 60)
    assert opened.lost >= 1
    assert third.node_id in {e.result for e in found if isinstance(e, Done)}
    assert {e.result for e in found if isinstance(e, Done)} <= {n["NodeID"] for n in ray.nodes()}


def test_a_job_that_kills_every_actor_ends_and_the_others_are_done(
    on_cluster: Any, pool: Pool, load: Load, tmp_path: Path
) -> None:
    opened = pool("ray", workers=1)
    jobs = [(i, "always" if i == 1 else "fine") for i in range(5)]
    found = list(opened.run(load("dies", factor=1, folder=str(tmp_path)), jobs))
    (broken,) = (e for e in found if isinstance(e, Broken))
    assert broken.index == 1 and broken.died and "died 3 times" in broken.reason
    assert sorted(e.result for e in found if isinstance(e, Done)) == [0, 2, 3, 4]


def test_a_cluster_without_room_is_reported(
    on_cluster: Any, pool: Pool, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_cluster, "PLACING", 2.0)
    with pytest.raises(UserError, match="no worker found a place .* 1 CPU and 3 GPUs"):
        list(pool("ray", workers=1, gpus=3).run(load("times", factor=1), [1]))


def test_workers_share_the_gpus_there_are(on_cluster: Any, pool: Pool, load: Load) -> None:
    opened = pool("ray", gpus=0.5)
    assert opened.workers == 2  # four cores, but one GPU for every two workers
    found = list(opened.run(load("devices", factor=1), [0.2] * 6))
    assert {e.result for e in found if isinstance(e, Done)} == {"0"} and len(found) == 6


def test_a_machine_with_other_versions_is_refused(
    on_cluster: Any, pool: Pool, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_cluster, "versions", lambda: {"maieutic": "9.9", "torch": version("torch").split("+")[0]})
    with pytest.raises(UserError, match=r"has maieutic 0\.\d+\.\d+ instead of 9\.9: install the driver's versions"):
        list(pool("ray", workers=1).run(load("times", factor=1), [1]))


def alone(code: str, *args: str, seconds: float = 120) -> subprocess.CompletedProcess[str]:
    """A driver of its own: this process may be connected to the other cluster."""
    return subprocess.run(
        [sys.executable, "-c", code, *args], capture_output=True, text=True, timeout=seconds, check=False
    )


def test_no_cluster_at_an_address_says_what_to_do() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
    code = (
        "import sys\nfrom maieutic.executors import open_executor\nfrom maieutic.errors import UserError\n"
        "try: open_executor('ray', address=sys.argv[1])\n"
        "except UserError as error: print(error)"
    )
    told = alone(code, address)
    assert f"no Ray cluster answers at {address}" in told.stdout and "ray start --head" in told.stdout, told


LOCAL = """
import sys
sys.path.append(sys.argv[1])
from maieutic.executors import Work, open_executor
if __name__ == "__main__":
    work = Work(prepare="executor_loads:factor", perform="executor_loads:" + sys.argv[3],
                arguments={"factor": 3, "folder": sys.argv[2]})
    with open_executor("ray", workers=2) as pool:
        jobs = [60.0] if sys.argv[3] == "noted_sleep" else range(10)
        for ended in pool.run(work, jobs):
            print(ended.result)
"""


def test_a_ray_of_its_own_starts_works_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / ("long" * 20)  # longer than what Ray's sockets bear
    deep.mkdir()
    monkeypatch.setenv("TMPDIR", str(deep))
    told = alone(LOCAL, str(Path(__file__).parent), str(tmp_path), "times")
    assert told.returncode == 0, told.stderr
    assert sorted(int(line) for line in told.stdout.split()) == [3 * i for i in range(10)]
    assert not any(deep.iterdir())


def test_no_actor_outlives_a_killed_driver(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="m-", dir="/tmp", ignore_cleanup_errors=True) as short:
        driver = subprocess.Popen(
            [sys.executable, "-c", LOCAL, str(Path(__file__).parent), str(tmp_path), "noted_sleep"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "TMPDIR": short},
        )  # fmt: skip
        until = time.monotonic() + 90
        while not noted(tmp_path, "sleeping") and time.monotonic() < until:
            time.sleep(0.1)
        driver.kill()
        driver.wait()
        (actor,) = noted(tmp_path, "sleeping")
        while Path(f"/proc/{actor}").exists() and time.monotonic() < until:
            time.sleep(0.1)
        assert not Path(f"/proc/{actor}").exists()
