"""Bubblewrap: the interpreter in namespaces of its own, seeing only the files it needs. The default on Linux.

The folder tree is made anew and read-only but for one scratch folder in memory of limited size; there is no ``/proc``, no
``/etc``, no network device, no other process. Bubblewrap itself starts with an empty environment (``--clearenv`` would leave
the caller's where the program can read it). On top the process confines itself as with every backend.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from maieutic.lab.worker import confine, syscalls
from maieutic.lab.worker.interpreter import interpreter, package_folders
from maieutic.lab.worker.launch import ISOLATED, Running, own_user, resource_limits, spawn
from maieutic.lab.worker.limits import Limits

INSTALL = "install it with  apt-get install bubblewrap  (dnf install bubblewrap), or choose the jail landlock or docker"
#: root makes the namespaces itself and gives up its user inside; others need a user namespace for it
_NAMESPACES = ("--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try")
_AS_ROOT = (*_NAMESPACES, "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID")
_AS_USER = ("--unshare-all", "--uid", "65534", "--gid", "65534")


@dataclass(frozen=True)
class Bwrap:
    """See the module."""

    name: str = "bwrap"
    jailed: bool = True
    compiled: bool = True

    def refusal(self) -> str:
        if not sys.platform.startswith("linux"):
            return "it needs Linux: choose the jail docker"
        if os.uname().machine not in syscalls.MACHINES:
            return f"machines of type {os.uname().machine} are not supported: choose the jail docker"
        if shutil.which("bwrap") is None:
            return f"bubblewrap is not installed: {INSTALL}"
        return ""

    def launch(self, limits: Limits) -> Running:
        program = shutil.which("bwrap")
        assert program is not None, "asked to launch what was refused"
        told, tell = os.pipe()
        try:
            argv = [
                program,
                *arguments(limits, info=tell, root=os.geteuid() == 0),
                "--",
                "/python/bin/python3",
                *ISOLATED,
            ]
            process = spawn(argv, pass_fds=[tell])
        except BaseException:
            os.close(told)
            raise
        finally:
            os.close(tell)
        try:
            init = _init(told, limits.start_seconds)
        finally:
            os.close(told)
        running = _InBwrap(process, _settings(limits))
        running.init = init
        return running


class _InBwrap(Running):
    """Two processes: the first of the name space, bubblewrap's own, and the interpreter that it started.

    With the first all others end, whoever they belong to. (The interpreter as first process would outlive a killed host: a
    bubblewrap that has given up its privileges may not signal another user.) Scratch is a file system in memory that only they
    see; the host keeps a handle on it to count its files.
    """

    init: int | None = None

    def ready(self) -> None:
        if self.init is None:
            raise OSError("bubblewrap told no process id")
        self.python = _child(self.init)
        self.handle = os.pidfd_open(self.python)
        self.descriptors.append(os.open(Path("/proc", str(self.init), "root", "scratch"), os.O_PATH | os.O_DIRECTORY))

    def usage(self) -> tuple[int, int]:
        if not self.descriptors:
            return 0, 0
        found = os.statvfs(self.descriptors[0])
        return (found.f_blocks - found.f_bfree) * found.f_frsize, found.f_files - found.f_ffree - 1


def arguments(limits: Limits, *, info: int, root: bool) -> list[str]:
    """Options of bubblewrap.

    Args:
        limits: of the worker; the size of scratch and the packages are taken from it.
        info: descriptor on which bubblewrap tells the process id.
        root: whether the caller is root.
    """
    python, home = interpreter(), f"/python/{sys.platlibdir}"
    stdlib = f"{home}/{python.stdlib.name}"
    out = [*(_AS_ROOT if root else _AS_USER), "--die-with-parent", "--new-session", "--info-fd", str(info)]
    out += ["--hostname", "jail", "--setenv", "LD_LIBRARY_PATH", home]
    for folder in ("/python", "/python/bin", home, "/packages", "/dev", "/usr", "/usr/lib"):
        out += ["--perms", "0755", "--dir", folder]
    out += _read_only([(python.binary, "/python/bin/python3"), (python.stdlib, stdlib)])
    for inside in ("site-packages", "dist-packages"):
        if (python.stdlib / inside).is_dir():
            out += ["--tmpfs", f"{stdlib}/{inside}", "--remount-ro", f"{stdlib}/{inside}"]
    out += _read_only([(p, f"{home}/{p.name}") for p in python.libraries])
    out += _read_only([(p, f"/packages/{name}") for name, p in package_folders(limits.packages)])
    out += _system(python.system)
    out += ["--dev-bind", "/dev/null", "/dev/null"]
    out += ["--size", str(limits.scratch), "--perms", "0777", "--tmpfs", "/scratch"]
    return [*out, "--chdir", "/scratch", "--remount-ro", "/"]


def _read_only(pairs: Sequence[tuple[Path, str]]) -> list[str]:
    return [part for host, inside in pairs for part in ("--ro-bind", str(host), inside)]


def _system(folders: Sequence[Path]) -> list[str]:
    """The system's libraries where they are, and the links to them at the root."""
    out = _read_only([(p, str(p)) for p in folders])
    for link in ("/lib", "/lib64", "/usr/lib64"):
        if os.path.islink(link):
            out += ["--symlink", os.readlink(link), link]
    return out


def _settings(limits: Limits) -> dict[str, object]:
    everything = (1 << 15) - 1 & ~confine.EXECUTE
    null = confine.READ_FILE | confine.WRITE_FILE | confine.TRUNCATE
    return {
        "rules": [("/", confine.READ), ("/scratch", everything), ("/dev/null", null)],
        "scratch": "/scratch",
        "stdlib": None,
        "packages": {name: f"/packages/{name}" for name in limits.packages},
        "limits": resource_limits(limits),
        "user": own_user(),
        "die_with_parent": True,
        "landlock": 99,
        "landlock_needed": False,
        "filter": True,
    }


def _init(descriptor: int, seconds: float) -> int | None:
    """Id of the first process of the name space as bubblewrap tells it; ``None`` when bubblewrap ended before."""
    said = b""
    while not said.rstrip().endswith(b"}"):
        if not select.select([descriptor], [], [], seconds)[0]:
            return None
        part = os.read(descriptor, 4096)
        if not part:
            return None
        said += part
    return int(json.loads(said)["child-pid"])


def _child(parent: int) -> int:
    """The only process that another one started.

    Raises:
        OSError: there is none, or another number of them.
    """
    try:
        with open(f"/proc/{parent}/task/{parent}/children", encoding="ascii") as file:
            found = [int(pid) for pid in file.read().split()]
    except FileNotFoundError:  # a kernel without this list
        found = [pid for pid in _processes() if _parent(pid) == parent]
    if len(found) != 1:
        raise OSError(f"bubblewrap started {len(found)} processes")
    return found[0]


def _processes() -> list[int]:
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]


def _parent(pid: int) -> int | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[1])
    except OSError:
        return None
