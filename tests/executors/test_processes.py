"""The process pool under faults: workers that die, drivers that die, interrupts, and what is printed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from executor_loads import noted

from maieutic.errors import UserError
from maieutic.executors import Broken, Done, Executor, Work

Pool = Callable[..., Executor]
Load = Callable[..., Work]


def alive(process: int) -> bool:
    """Whether a process runs; one that waits for its parent's look does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def soon(true: Callable[[], bool], *, seconds: float = 20.0) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if true():
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize("kind", ["once", "segfault"])
def test_a_job_whose_worker_dies_is_done_by_another(
    pool: Pool, load: Load, tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    opened = pool(workers=1)
    jobs = [(i, kind if i == 2 else "fine") for i in range(6)]
    found = list(opened.run(load("dies", factor=1, folder=str(tmp_path)), jobs))
    assert sorted(e.result for e in found if isinstance(e, Done)) == list(range(6))
    assert len(noted(tmp_path, "job2")) == 2 and len(set(noted(tmp_path, "job2"))) == 2
    assert opened.lost == 1 and len(noted(tmp_path, "prepared")) == 2
    assert ("SIGKILL" if kind == "once" else "SIGSEGV") in caplog.text


def test_a_job_that_kills_every_worker_ends_and_the_others_are_done(pool: Pool, load: Load, tmp_path: Path) -> None:
    opened = pool(workers=1)
    jobs = [(i, "always" if i == 1 else "fine") for i in range(5)]
    found = list(opened.run(load("dies", factor=1, folder=str(tmp_path)), jobs))
    (broken,) = (e for e in found if isinstance(e, Broken))
    assert broken.index == 1 and broken.died and "died 3 times" in broken.reason and "SIGKILL" in broken.reason
    assert sorted(e.result for e in found if isinstance(e, Done)) == [0, 2, 3, 4]
    assert len(noted(tmp_path, "job1")) == 3 and opened.lost == 3


def test_a_deadly_job_does_not_take_its_neighbours_with_it(pool: Pool, load: Load, tmp_path: Path) -> None:
    # Four at once in one worker. All four share the first death; after it each of them runs alone, so 0, 2 and 3 survive.
    opened = pool(workers=1, threads=4)
    jobs = [(0, "slow"), (1, "always"), (2, "slow"), (3, "slow"), *((i, "fine") for i in range(4, 12))]
    found = list(opened.run(load("dies", factor=1, folder=str(tmp_path)), jobs))
    assert [e.index for e in found if isinstance(e, Broken)] == [1]
    assert sorted(e.result for e in found if isinstance(e, Done)) == [0, *range(2, 12)]
    assert opened.lost == 3


def test_a_worker_killed_from_outside_costs_nothing_but_time(pool: Pool, load: Load, tmp_path: Path) -> None:
    opened = pool(workers=2)
    run = opened.run(load("noted_sleep", factor=1, folder=str(tmp_path)), [0.1] * 10)
    found = [next(run)]
    os.kill(noted(tmp_path, "sleeping")[-1], signal.SIGKILL)
    found += list(run)
    assert sorted(e.index for e in found) == list(range(10)) and all(isinstance(e, Done) for e in found)
    assert opened.lost == 1


def test_a_worker_that_died_between_runs_is_replaced(pool: Pool, load: Load) -> None:
    opened = pool(workers=1)
    (first,) = opened.run(load("where", factor=1), [0.0])
    assert isinstance(first, Done)
    os.kill(first.result, signal.SIGKILL)
    assert soon(lambda: not alive(first.result))
    (second,) = opened.run(load("where", factor=1), [0.0])
    assert isinstance(second, Done) and second.result != first.result


def test_workers_that_die_while_prepared_are_given_up(pool: Pool, load: Load) -> None:
    opened = pool(workers=1)
    with pytest.raises(UserError, match="die while they are prepared .*SIGKILL"):
        list(opened.run(load("times", "no_state", kind="dies"), range(4)))
    assert opened.lost == 3


def test_a_machine_that_bears_fewer_workers_goes_on_with_fewer(pool: Pool, load: Load, tmp_path: Path) -> None:
    opened = pool(workers=2)
    found = list(opened.run(load("once_prepared", "crowded", folder=str(tmp_path)), [4] * 15))
    assert sorted(e.index for e in found) == list(range(15)) and all(isinstance(e, Done) for e in found)
    assert len(set(noted(tmp_path, "waited"))) == 1
    assert opened.lost == 3 and opened.workers == 1


def test_a_result_that_cannot_travel_is_one_broken_job(pool: Pool, load: Load) -> None:
    lost, fine = sorted(pool(workers=1).run(load("fails", factor=1), ["lambda", "a"]), key=lambda e: e.index)
    assert isinstance(lost, Broken) and "cannot be sent" in lost.reason and not lost.died
    assert isinstance(fine, Done) and fine.result == "a"


def test_leaving_ends_the_workers_quickly_busy_or_not(pool: Pool, load: Load, tmp_path: Path) -> None:
    with pool(workers=2) as opened:
        run = opened.run(load("noted_sleep", factor=1, folder=str(tmp_path)), [0.0, 60.0, 60.0])
        next(run)
        assert soon(lambda: len(noted(tmp_path, "sleeping")) >= 2)
        begun = time.monotonic()
    assert time.monotonic() - begun < 5
    assert not any(alive(p) for p in noted(tmp_path, "sleeping"))


def test_an_idle_worker_tidies_up_before_it_ends(pool: Pool, load: Load) -> None:
    with pool(workers=1) as opened:
        (ended,) = opened.run(load("tells_state", "makes_a_folder"), [None])
        assert isinstance(ended, Done) and Path(ended.result).is_dir()
    assert not Path(ended.result).exists()


DRIVER = """
import signal, sys
from maieutic.executors import Work, open_executor
work = Work(prepare="executor_loads:factor", perform="executor_loads:{perform}",
            arguments={{"factor": 1, "folder": sys.argv[1]}})
with open_executor("processes", workers=2) as pool:
    try:
        for ended in pool.run(work, {jobs}):
            pass
    except KeyboardInterrupt:
        print("interrupted")
        sys.exit(130)
"""


def drive(folder: Path, perform: str, jobs: str) -> subprocess.Popen[str]:
    """A driver in a process group of its own, as a shell starts a command. It has no guard for ``__main__``: none is needed."""
    script = folder / "driver.py"
    script.write_text(DRIVER.format(perform=perform, jobs=jobs))
    return subprocess.Popen(
        [sys.executable, str(script), str(folder)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        # tests that were started in the background (nohup) hand on an ignored Ctrl-C
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip


def test_no_worker_outlives_a_killed_driver(tmp_path: Path) -> None:
    driver = drive(tmp_path, "noted_sleep", "[60.0] * 4")
    assert soon(lambda: len(noted(tmp_path, "sleeping")) == 2), driver.communicate(timeout=1)
    workers = noted(tmp_path, "sleeping")
    driver.kill()
    driver.wait()
    assert soon(lambda: not any(alive(p) for p in workers))
    assert len(noted(tmp_path, "sleeping")) == 2


def test_an_interrupt_reaches_the_driver_alone_and_ends_everything(tmp_path: Path) -> None:
    driver = drive(tmp_path, "noted_sleep", "[60.0] * 4")
    assert soon(lambda: len(noted(tmp_path, "sleeping")) == 2), driver.communicate(timeout=1)
    os.killpg(driver.pid, signal.SIGINT)
    out, err = driver.communicate(timeout=20)
    assert (driver.returncode, out, err) == (130, "interrupted\n", "")
    assert soon(lambda: not any(alive(p) for p in noted(tmp_path, "sleeping")))


def test_what_jobs_print_goes_to_standard_error_and_nobody_reads_the_drivers_input(tmp_path: Path) -> None:
    driver = drive(tmp_path, "prints", '["a job says"]')
    out, err = driver.communicate(timeout=30)
    assert driver.returncode == 0 and out == ""
    assert "a job says" in err and "from a child" in err
