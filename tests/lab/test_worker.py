"""The jailed worker as its users see it: programs, calls, limits, resets; in every jail that starts here."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from maieutic.errors import UsageError, UserError
from maieutic.lab.worker import Limits, Ran, Worker, backends, start_worker
from maieutic.lab.worker.worker import AFRESH


@lru_cache(maxsize=1)
def reasons() -> dict[str, str]:
    return backends()


@pytest.fixture(params=["bwrap", "landlock", "docker"])
def jail(request: pytest.FixtureRequest) -> str:
    """A jail that starts on this machine; the others are skipped with their own reason."""
    if why := reasons()[request.param]:
        pytest.skip(f"{request.param}: {why}")
    return request.param


def told(words: str) -> str:
    raise UserError(words)


def broken() -> None:
    raise RuntimeError("a fault of ours")


def slow(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


CALLS: dict[str, Callable[..., Any]] = {"same": lambda value: value, "told": told, "broken": broken, "slow": slow}


@pytest.fixture
def worker(jail: str) -> Iterator[Worker]:
    with start_worker(jail, calls=CALLS) as worker:
        assert (worker.backend, worker.jailed) == (jail, True)
        yield worker


# --- programs ------------------------------------------------------------------------------------------------------


def test_variables_stay_and_a_last_expression_is_printed(worker: Worker) -> None:
    assert worker.run("x = 20").output == ""
    assert worker.run("print('so')\nx + 1").output == "so\n21\n"
    assert worker.run("import math\nmath.floor(2.5); None").output == ""
    assert worker.run("").output == ""
    assert worker.run("def f(): return x\nf()").output == "20\n"


def test_an_error_shows_the_programs_own_lines(worker: Worker) -> None:
    worker.run("def inner(n):\n    return 1 / n")
    ran = worker.run("def outer():\n    return inner(0)\n\nouter()")
    assert ran.error == (
        "line 4: outer()\nline 2, in outer: return inner(0)\ncell 1, line 2, in inner: return 1 / n\n"
        "ZeroDivisionError: division by zero"
    )
    assert (ran.output, ran.stopped) == ("", None)
    assert worker.run("x = = 1").error == "line 1: x = = 1\nSyntaxError: invalid syntax"
    assert worker.run("def f(n): return f(n + 1)\nf(0)").error.count("\n") == 7, (
        "two frames, a gap, four frames, the error"
    )
    assert worker.run("raise SystemExit(3)").error.endswith("SystemExit: 3")
    assert worker.run("1").output == "1\n", "an error loses nothing"


def test_arrays_and_images_cross_both_ways(jail: str) -> None:
    seen: list[Any] = []

    def show(picture: Image.Image, *, weights: np.ndarray) -> Image.Image:
        seen.append((picture, weights))
        return picture.rotate(180)

    with start_worker(jail, calls={"show": show}) as worker:
        ran = worker.run(
            "picture = Image.new('RGB', (3, 2))\npicture.putpixel((0, 0), (9, 8, 7))\n"
            "turned = call('show', picture, weights=np.arange(3.0))\nturned.getpixel((2, 1))"
        )
    assert ran == Ran(output="(9, 8, 7)\n", seconds=ran.seconds)
    assert seen[0][0].getpixel((0, 0)) == (9, 8, 7)
    assert seen[0][1].tolist() == [0.0, 1.0, 2.0]


def test_what_a_call_refuses_arrives_as_its_message_only(worker: Worker) -> None:
    ran = worker.run(
        "try:\n    call('told', 'no budget')\nexcept LabError as error:\n    print(repr(error), error.__cause__)"
    )
    assert ran.output == "LabError('no budget') None\n"
    assert worker.run("call('sane', 1)").error.endswith("LabError: the lab has no 'sane' (did you mean 'same'?)")
    assert "missing a required argument: 'value'" in worker.run("call('same')").error
    assert "unexpected keyword argument 'other'" in worker.run("call('same', 1, other=1)").error
    assert "a set cannot cross" in worker.run("call('same', {1})").error
    assert worker.run("call('same', [1, {'a': None}])").output == "[1, {'a': None}]\n", "a refusal costs nothing"


def test_a_fault_of_ours_is_raised_here(worker: Worker) -> None:
    worker.run("x = 1")
    with pytest.raises(RuntimeError, match="a fault of ours"):
        worker.run("call('broken')")
    assert worker.run("print('x' in globals())").output == AFRESH + "False\n"


def test_too_much_for_one_call_is_told_to_the_program(jail: str) -> None:
    limits = Limits(message=1 << 20, text=1 << 20)
    with start_worker(jail, calls=CALLS, limits=limits) as worker:
        ran = worker.run("call('same', np.zeros(200_000))")  # 1.6 MB
        assert "at most 1 MiB of arrays" in ran.error
        assert worker.run("len(call('same', np.zeros(100_000)))").output == "100000\n"


def test_a_prelude_gives_its_public_names(jail: str, tmp_path: Path) -> None:
    file = tmp_path / "prelude.py"
    file.write_text("import math\n_hidden = 3\ndef double(x):\n    return call('same', 2 * x)\nclass Lab:\n    pass\n")
    with start_worker(jail, calls=CALLS, prelude=file) as worker:
        assert worker.run("double(4), Lab.__name__, '_hidden' in globals(), 'math' in globals()").output == (
            "(8, 'Lab', False, False)\n"
        )
        assert worker.run("double({1})").error.startswith("line 1: double({1})\n"), "the lab's own lines are not shown"
        worker.reset()
        assert worker.run("double(1)").output == "2\n"
    file.write_text(
        "from __future__ import annotations\nfrom dataclasses import dataclass\n__all__ = ['Pair', 'one']\none, two = 1, 2\n"
        "@dataclass\nclass Pair:\n    a: int\n    b: int = 2\n"
    )
    with start_worker(jail, calls={}, prelude=file) as worker:
        assert worker.run("one, 'two' in globals(), Pair(1)").output == "(1, False, Pair(a=1, b=2))\n"
        own = "from dataclasses import dataclass\n@dataclass\nclass Mine:\n    a: 'int'\nMine(3)"
        assert worker.run(own).output == "Mine(a=3)\n"


# --- limits --------------------------------------------------------------------------------------------------------


def test_an_endless_program_is_ended_and_what_it_printed_is_kept(worker: Worker) -> None:
    ran = worker.run("import time\nprint('a')\ntime.sleep(0.25)\nprint('b')\nwhile True: pass", seconds=0.6)
    assert (ran.output, ran.error, ran.stopped) == ("a\nb\n", None, "it ran out of time (0.6 s)")
    assert 0.6 <= ran.seconds < 2.0
    assert worker.run("1").output == AFRESH + "1\n"
    assert worker.run("2").output == "2\n", "told once"


def test_the_time_of_calls_is_not_the_programs(worker: Worker) -> None:
    ran = worker.run("call('slow', 0.5) + call('slow', 0.3)", seconds=0.4)
    assert ran.output == "0.8\n"
    assert ran.seconds < 0.4


def test_output_is_cut_and_the_rest_counted(jail: str) -> None:
    with start_worker(jail, calls={}, limits=Limits(output=10)) as worker:
        # fifteen characters and their line end: ten are kept, six are not
        assert worker.run("print('0123456789abcde')").output == "0123456789\n[6 more characters were printed and cut]"
        assert worker.run("print('short')").output == "short\n"


def test_a_process_that_dies_says_how(worker: Worker) -> None:
    assert worker.run("import os\nos._exit(7)").stopped == "its process ended (exit code 7)"
    ran = worker.run("import ctypes\nctypes.string_at(0)")
    assert ran.stopped == f"its process was killed by signal {int(signal.SIGSEGV)}"


def test_memory_is_limited_and_the_program_goes_on(jail: str) -> None:
    with start_worker(jail, calls={}, limits=Limits(memory=512 << 20)) as worker:
        assert worker.run("bytearray(1 << 30)").error.endswith("MemoryError")
        assert worker.run("len(bytearray(1 << 20))").output == "1048576\n"


def test_scratch_is_limited(jail: str) -> None:
    with start_worker(jail, calls={}, limits=Limits(scratch=1 << 20, files=20)) as worker:
        assert worker.run("open('a', 'wb').write(bytes(1 << 19))").output == f"{1 << 19}\n"
        # full, or ended by the host: either way it does not get two
        ran = worker.run("for i in range(40): open(f'b{i}', 'wb').write(bytes(1 << 18))")
        assert ran.error or "over the limit" in (ran.stopped or "")
    with start_worker(jail, calls={}, limits=Limits(files=20)) as worker:
        ran = worker.run("import time\nfor i in range(30): open(str(i), 'w').close()\ntime.sleep(5)")
        assert "its scratch folder is over the limit" in (ran.stopped or "")


def test_a_program_has_one_process_and_one_thread(worker: Worker) -> None:
    assert "Operation not permitted" in worker.run("import os\nos.fork()").error
    assert "can't start new thread" in worker.run("import threading\nthreading.Thread(target=print).start()").error


# --- between programs and units ------------------------------------------------------------------------------------


def state(pid: int) -> str:
    """The kernel's letter for what a process does; empty when there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def python_of(worker: Worker) -> int:
    assert worker._process is not None
    pid = worker._process.running.python
    if pid is None:
        pytest.skip("the host cannot see this jail's process")
    return pid


def gone(pid: int) -> bool:
    until = time.monotonic() + 3
    while state(pid) not in ("", "Z") and time.monotonic() < until:
        time.sleep(0.01)
    return state(pid) in ("", "Z")


def stopped(pid: int) -> bool:
    until = time.monotonic() + 3
    while state(pid) != "T" and time.monotonic() < until:
        time.sleep(0.01)
    return state(pid) == "T"


def test_between_programs_the_process_is_frozen(worker: Worker) -> None:
    pid = python_of(worker)
    assert stopped(pid)
    assert worker.run("1").output == "1\n"
    assert stopped(pid)


def test_a_program_that_claims_to_be_done_is_frozen_too(worker: Worker) -> None:
    forged = (
        "import json, os, stat, struct\n"
        "text = json.dumps(['done', {'run': 1, 'error': None, 'dropped': 0}, []]).encode()\n"
        "frame = struct.pack('>II', len(text), 0) + text\n"
        "sink = [n for n in (3, 4) if stat.S_ISFIFO(os.fstat(n).st_mode)][-1]\n"
        "os.write(sink, frame)\nwhile True: pass"
    )
    pid = python_of(worker)
    assert worker.run(forged).stopped is None, "the host cannot tell it from an end"
    assert stopped(pid)
    assert worker.run("1", seconds=0.3).stopped == "it ran out of time (0.3 s)"


def test_nothing_is_left_after_a_reset(worker: Worker) -> None:
    before = python_of(worker)
    worker.run("x = 1\nopen('left.txt', 'w').write('left')")
    worker.reset()
    assert gone(before)
    assert worker.run("import os\nos.listdir('.'), 'x' in globals()").output == "([], False)\n", (
        "and no note: it was asked for"
    )


def test_closing_ends_the_process_and_removes_its_folder(
    jail: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tmp_path.chmod(0o755)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    worker = start_worker(jail, calls={})
    worker.run("open('file', 'w').write('x')")
    pid = python_of(worker)
    worker.close()
    worker.close()
    assert gone(pid)
    assert list(tmp_path.iterdir()) == []


def test_a_worker_that_nobody_closes_ends_with_its_last_reference(jail: str) -> None:
    worker = start_worker(jail, calls={})
    pid = python_of(worker)
    del worker
    assert gone(pid)


def test_a_worker_outlives_the_thread_that_started_it(jail: str) -> None:
    made: list[Worker] = []
    thread = threading.Thread(target=lambda: made.append(start_worker(jail, calls={})))
    thread.start()
    thread.join()
    time.sleep(0.1)
    with made[0] as worker:
        assert worker.run("1").output == "1\n"


HOST = """
import sys, threading
from maieutic.lab.worker import start_worker
worker = start_worker(sys.argv[1], calls={})
print(worker._process.running.python, flush=True)
worker.run("while True: pass", seconds=60)
"""


def test_a_killed_host_leaves_no_process(jail: str, tmp_path: Path) -> None:
    for folder in (tmp_path, *list(tmp_path.parents)[:2]):
        folder.chmod(
            0o755
        )  # the scratch folder that stays behind is made here, and the check looks at what others may read
    env = {**os.environ, "TMPDIR": str(tmp_path)}
    host = subprocess.Popen([sys.executable, "-c", HOST, jail], stdout=subprocess.PIPE, text=True, env=env)
    assert host.stdout is not None
    said = host.stdout.readline().strip()
    if said == "None":
        pytest.skip("the host cannot see this jail's process")
    assert state(int(said)) != ""
    time.sleep(0.2)
    host.kill()
    host.communicate()
    assert gone(int(said))


FORKED = """
import os, sys
from maieutic.lab.worker import start_worker
start_worker(sys.argv[1], calls={}).close()
pid = os.fork()
if pid == 0:
    with start_worker(sys.argv[1], calls={}) as worker:
        print(worker.run("6 * 7").output, flush=True)
    os._exit(0)
os.waitpid(pid, 0)
"""


def test_a_forked_copy_of_the_host_can_start_workers(jail: str) -> None:
    done = subprocess.run([sys.executable, "-c", FORKED, jail], capture_output=True, text=True, timeout=20, check=False)
    assert done.stdout.strip() == "42", done.stderr


def test_workers_do_not_see_each_other(jail: str) -> None:
    with start_worker(jail, calls={}) as one, start_worker(jail, calls={}) as two:
        one.run("open('mine', 'w').write('x'); y = 1")
        assert two.run("import os\nos.listdir('.'), 'y' in globals()").output == "([], False)\n"
        assert one.run("y").output == "1\n"


# --- what the program finds ----------------------------------------------------------------------------------------


def test_numpy_pillow_and_scipy_are_there_and_nothing_of_ours(worker: Worker) -> None:
    ran = worker.run("import scipy.special\nround(float(np.linalg.det(np.eye(3) * 2))), Image.new('L', (2, 2)).size")
    assert ran.output == "(8, (2, 2))\n"
    for name in ("torch", "maieutic.lab.lab", "typer"):
        assert (
            "ModuleNotFoundError" in worker.run(f"import {name}").error
            or "not a package" in worker.run(f"import {name}").error
        )


def test_the_environment_is_ours_alone(monkeypatch: pytest.MonkeyPatch, jail: str) -> None:
    monkeypatch.setenv("SOME_API_KEY", "key")
    with start_worker(jail, calls={}) as worker:
        assert worker.run("import os\nsorted(os.environ)").output == (
            "['HOME', 'LC_CTYPE', 'MKL_NUM_THREADS', 'OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS']\n"
        )


def test_root_is_given_up(worker: Worker) -> None:
    if os.geteuid() != 0:
        pytest.skip("not root to begin with")
    pid = python_of(worker)
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    users = {int(n) for n in status["Uid"].split()}
    assert len(users) == 1 and users.isdisjoint({0, os.getuid()})
    assert all(int(status[name], 16) == 0 for name in ("CapPrm", "CapEff", "CapInh", "CapAmb"))


# --- no jail -------------------------------------------------------------------------------------------------------


def test_no_jail_only_by_name_and_with_a_warning() -> None:
    with pytest.warns(RuntimeWarning, match="without a jail"), start_worker("none", calls=CALLS) as worker:
        assert (worker.backend, worker.jailed) == ("none", False)
        assert worker.run("call('same', 5)").output == "5\n"


def test_an_unknown_jail_is_a_usage_error() -> None:
    with pytest.raises(
        UsageError, match=r"no jail 'bwarp' \(did you mean 'bwrap'\?\): choose from bwrap, landlock, docker, none"
    ):
        start_worker("bwarp", calls={})
