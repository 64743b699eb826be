"""Jails that are missing, broken or weak must be refused; never may another take their place."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
import textwrap
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from maieutic.errors import UserError
from maieutic.lab.worker import Limits, Worker, backends, bwrap, check, confine, docker, start_worker
from maieutic.lab.worker.bare import Bare
from maieutic.lab.worker.bwrap import Bwrap, arguments
from maieutic.lab.worker.docker import Docker
from maieutic.lab.worker.landlock import Landlock
from maieutic.lab.worker.launch import Backend, Running, own_user, spawn
from maieutic.lab.worker.scratch import Scratch, sweep

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Landlock and bubblewrap are Linux's")

PYTHON = str(Path(sys.executable).resolve())


def needs(name: str) -> None:
    if why := backends()[name]:
        pytest.skip(f"{name}: {why}")


def command(folder: Path, name: str, body: str) -> None:
    """A program of that name in the folder."""
    file = folder / name
    file.write_text(f"#!{sys.executable} -I\n{textwrap.dedent(body)}")
    file.chmod(0o755)


# --- what is not there ---------------------------------------------------------------------------------------------


@linux
def test_without_bubblewrap_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        UserError, match="jail bwrap cannot be used here: bubblewrap is not .*apt-get install bubblewrap"
    ):
        start_worker("bwrap", calls={})


@linux
def test_without_landlock_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confine, "landlock_version", lambda: 0)
    with pytest.raises(
        UserError, match="this kernel has no Landlock, or it is switched off: choose the jail bwrap or docker"
    ):
        start_worker("landlock", calls={})


@linux
def test_other_machines_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    known = os.uname()
    monkeypatch.setattr(os, "uname", lambda: os.uname_result((*known[:4], "riscv64")))
    for backend in (Bwrap(), Landlock()):
        assert backend.refusal() == "machines of type riscv64 are not supported: choose the jail docker"


@linux
def test_what_bubblewrap_says_is_passed_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    command(tmp_path, "bwrap", "import sys\nsys.exit('bwrap: setting up uid map: Permission denied')")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        UserError, match=r"could not be started \(bwrap: setting up uid map: Permission denied\): choose another"
    ):
        start_worker("bwrap", calls={})


@pytest.mark.parametrize("backend", [Bwrap(), Landlock(), Bare()], ids=lambda b: b.name)
def test_a_package_that_is_not_there_is_named_before_anything_starts(
    backend: Backend, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    needs(backend.name)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(UserError, match="may import 'no_such_package', but no such package is installed"):
        backend.launch(Limits(packages=("numpy", "no_such_package")))
    assert list(tmp_path.iterdir()) == []


def test_a_jail_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    body = f"""\
        import sys, time
        if sys.argv[1] == "kill":
            open({str(tmp_path / "killed")!r}, "w").write(sys.argv[2])
        elif sys.argv[1] == "run":
            time.sleep(60)
    """
    command(tmp_path, "docker", body)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="ran out of time"):
        Worker(Docker("image"), calls={}, limits=Limits(start_seconds=0.3))
    assert (tmp_path / "killed").read_text().startswith(f"maieutic-{os.getpid()}-"), (
        "the container is ended by its name"
    )


# --- jails that do not hold ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Weak:
    """Landlock with something left out."""

    change: Mapping[str, Any]
    env: Mapping[str, str] | None = None
    name: str = "landlock"
    jailed: bool = True
    compiled: bool = True

    def refusal(self) -> str:
        return ""

    def launch(self, limits: Limits) -> Running:
        running = Landlock().launch(limits)
        running.confine = {**running.confine, **self.change}
        return running


@linux
@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"filter": False}, "no filter of system calls is on"),
        ({"filter": False}, "a socket .AF_INET.* could be opened"),
        ({"filter": False, "limits": {}}, "another process could be started"),
        ({"landlock": 0, "landlock_needed": False}, "a file outside could be read; a folder outside could be listed"),
        ({"landlock": 0, "landlock_needed": False}, "a file outside the scratch folder could be written"),
        ({"landlock": 0}, "this kernel has no Landlock"),
    ],
)
def test_every_part_of_the_jail_is_checked(change: Mapping[str, Any], why: str) -> None:
    needs("landlock")
    with pytest.raises(UserError, match=why):
        Worker(Weak(change), calls={})


@linux
def test_a_jail_that_keeps_root_is_refused() -> None:
    needs("landlock")
    if os.geteuid() != 0:
        pytest.skip("not root to begin with")
    with pytest.raises(UserError, match="it runs as root; it holds capabilities .*; it runs as root outside"):
        Worker(Weak({"user": None}), calls={})


@linux
def test_a_bubblewrap_that_jails_nothing_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    needs("bwrap")
    body = f"""\
        import json, os, sys
        told = int(sys.argv[sys.argv.index("--info-fd") + 1])
        child = os.fork()
        if child == 0:
            os.close(told)
            if os.fork() == 0:
                program = sys.argv[sys.argv.index("--") + 2 :]
                os.execve({PYTHON!r}, [{PYTHON!r}, *program], {{}})
            os.wait()
            os._exit(0)
        os.write(told, json.dumps({{"child-pid": child}}).encode() + b"\\n")
        os.close(told)
        os.wait()
    """
    command(tmp_path, "bwrap", body)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="No such file or directory: '/scratch'"):  # that is how far it gets outside
        start_worker("bwrap", calls={})


def good() -> dict[str, Any]:
    return {
        "read": False, "listed": False, "written": False, "forked": False, "scratch": True, "sockets": [], "environment": [],
        "descriptors": 0, "user": 65534,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("found", "fault"),
    [
        ({"read": True}, "a file outside could be read"),
        ({"listed": None}, "a folder outside could be listed"),
        ({"sockets": ["AF_UNIX"]}, "a socket (AF_UNIX) could be opened"),
        ({"scratch": False}, "the scratch folder cannot be written"),
        ({"descriptors": 1}, "open files came along"),
        ({"environment": ["SOME_API_KEY"]}, "variables of the environment came along (SOME_API_KEY)"),
        ({"user": 0}, "it runs as root"),
    ],
)
def test_the_check_finds_each_fault(found: dict[str, Any], fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "key")
    assert check.faults(good(), pid=None) == []
    assert check.faults({**good(), **found}, pid=None) == [fault]


def test_a_report_that_says_nothing_is_all_faults() -> None:
    assert len(check.faults({}, pid=None)) >= 7


@linux
def test_a_process_without_a_jail_is_seen_from_outside() -> None:
    faults = check.faults(good(), pid=os.getpid())
    assert "no filter of system calls is on" in faults and "it may gain privileges" in faults
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert any("cannot be seen" in f for f in check.faults(good(), pid=gone.pid))


# --- older kernels, other users, docker ----------------------------------------------------------------------------


@linux
@pytest.mark.parametrize("version", [1, 2, 3, 4, 5])
def test_older_versions_of_landlock_hold_too(version: int, tmp_path: Path) -> None:
    needs("landlock")
    file = tmp_path / "secret"
    file.write_text("secret")
    program = f"try: print(open({str(file)!r}).read())\nexcept OSError: print('no')"
    with Worker(Landlock(version=version), calls={}) as worker:
        assert worker.run(program).output == "no\n"
        assert "Permission denied" in worker.run(f"open({str(tmp_path / 'made')!r}, 'w')").error
        assert (
            worker.run("open('mine', 'w').write('x')\nopen('mine', 'w').write('yz')\nopen('mine').read()").output
            == "'yz'\n"
        )
        assert "Operation not permitted" in worker.run("import socket\nsocket.socket()").error
    assert not (tmp_path / "made").exists()


@linux
def test_parents_are_found_without_the_kernels_list_of_children() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        assert child.pid in bwrap._processes()
        assert bwrap._parent(child.pid) == os.getpid()
    finally:
        child.communicate(b"\n")
    assert bwrap._parent(child.pid) is None


def test_scratch_of_dead_hosts_is_swept_and_that_of_living_ones_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    mine, other = Scratch(), tmp_path / "something-else"
    other.mkdir()
    code = (
        f"import os, tempfile\ntempfile.tempdir = {str(tmp_path)!r}\nfrom maieutic.lab.worker.scratch import Scratch\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", code + "s = Scratch()\nprint(s.path, flush=True)\nos._exit(1)"],
        capture_output=True,
        text=True,
    )
    left = Path(told.stdout.strip())
    (left / "file").write_text("x")
    sweep(tmp_path)
    assert left.exists(), "it is young: its host may not have locked it yet"
    os.utime(left, (0, 0))
    os.utime(mine.path, (0, 0))
    sweep(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([Path(mine.path), other])
    mine.remove()
    mine.remove()
    assert list(tmp_path.iterdir()) == [other]


def test_each_worker_has_a_user_of_its_own(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        assert own_user() is None
        return
    all_users = tmp_path / "all"
    all_users.write_text("         0          0 4294967295\n")
    one, two = own_user(all_users), own_user(all_users)
    assert one is not None and two is not None
    assert one != two and min(one, two) >= 1_800_000_000
    container = tmp_path / "container"
    container.write_text("         0     100000      65536\n")
    inside = own_user(container)
    assert inside is not None and 60_000 < inside < 65_536, "an id that the container has"


def test_bubblewrap_sees_only_what_python_needs() -> None:
    argv = arguments(Limits(), info=9, root=False)
    bound = [argv[i + 1] for i, a in enumerate(argv) if a in ("--ro-bind", "--bind", "--dev-bind")]
    assert "--unshare-all" in argv and "--bind" not in argv
    home, repository = str(Path.home()), str(Path(__file__).parents[2])
    assert not {"/", "/etc", "/home", "/root", "/tmp", "/proc", "/sys", "/dev", "/usr", "/var", home, repository} & set(
        bound
    )
    assert [argv[i + 1] for i, a in enumerate(argv) if a == "--dev-bind"] == ["/dev/null"]
    at = argv.index("/scratch")
    assert argv[at - 5 : at] == ["--size", str(64 << 20), "--perms", "0777", "--tmpfs"]
    assert argv[-2:] == ["--remount-ro", "/"]


def test_a_container_has_no_network_no_privileges_and_limits() -> None:
    argv = docker.arguments(Limits(memory=1 << 30, scratch=1 << 20, files=7), image="an/image:1", container="name")
    joined = " ".join(argv[: argv.index("an/image:1")])
    for part in (
        "--network=none", "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--user=65534:65534", "--rm",
        "--pids-limit=8", f"--memory={(1 << 30) + (1 << 20)}", "size=1048576,nr_inodes=7", "--ipc=none",
    ):  # fmt: skip
        assert part in joined
    assert not [a for a in argv if a.startswith(("-v", "--volume", "--mount", "--env", "-e", "--privileged"))]


def test_docker_is_refused_without_a_daemon_or_an_image(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("MAIEUTIC_JAIL_IMAGE", raising=False)
    assert Docker().refusal().startswith("the docker command is not installed")
    command(tmp_path, "docker", "import sys\nsys.exit('Cannot connect to the Docker daemon')")
    assert Docker().refusal() == "the docker daemon cannot be reached (Cannot connect to the Docker daemon): start it"
    command(tmp_path, "docker", "print('27.0')")
    assert "set MAIEUTIC_JAIL_IMAGE" in Docker().refusal()
    monkeypatch.setenv("MAIEUTIC_JAIL_IMAGE", "an/image")
    assert Docker().refusal() == ""


def test_a_docker_that_jails_nothing_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    body = f"""\
        import os, sys
        if sys.argv[1] == "version":
            print("27.0")
        else:
            program = sys.argv[sys.argv.index("an/image") + 1 :]
            os.execve({PYTHON!r}, [{PYTHON!r}, *program], {{}})
    """
    command(tmp_path, "docker", body)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="No such file or directory: '/scratch'"):  # that is how far it gets outside
        start_worker("docker", calls={}, image="an/image")


def test_programs_sent_as_source_run_in_any_interpreter() -> None:
    """What docker gets: another Python cannot read code that this one compiled."""
    with Worker(Bare(compiled=False), calls={"same": lambda x: x}) as worker:
        assert worker.run("call('same', [1, 2])").output == "[1, 2]\n"


def test_processes_start_with_an_empty_environment_and_no_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SOME_API_KEY", "key")
    with open(tmp_path / "open", "w") as file:
        os.set_inheritable(file.fileno(), True)
        seen = f"import os\nprint('SOME_API_KEY' in os.environ)\ntry: os.fstat({file.fileno()})\nexcept OSError: print('closed')"
        process = spawn([sys.executable, "-I", "-c", seen])
        out, _ = process.communicate()
    assert out.decode().split() == ["False", "closed"]


def test_the_canary_can_be_read_by_all_and_goes_away() -> None:
    with check.canary() as path:
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o644, "so that it is the jail, not its mode, that hides it"
        assert stat.S_IMODE(os.stat(os.path.dirname(path)).st_mode) == 0o777
    assert not os.path.exists(os.path.dirname(path))


def test_files_that_vanish_while_they_are_counted_are_not_counted(tmp_path: Path) -> None:
    """A program that makes and removes files as fast as it can must not make the host fail."""
    scratch, stop = Scratch(), threading.Event()

    def churn() -> None:
        while not stop.is_set():
            for i in range(50):
                file = Path(scratch.path, f"f{i}")
                file.write_bytes(b"x")
                file.unlink()

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        found = [scratch.usage() for _ in range(3000)]
    finally:
        stop.set()
        thread.join()
        scratch.remove()
    assert max(files for _, files in found) <= 50
