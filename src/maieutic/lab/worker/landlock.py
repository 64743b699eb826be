"""Landlock and a filter of system calls: no package, no privilege and no namespace needed, so it works in containers.

The process sees the host's files but may open only those of the interpreter and its own scratch folder; it has no sockets
and starts nothing. Weaker than bubblewrap in two ways: names, sizes and times of other files can be asked for as far as its
user id allows, and the scratch folder lies on the disk, where the host watches its size (every fiftieth of a second) instead
of the kernel. In scratch, files can be made and overwritten, not removed, renamed or put into folders, so that what the host
counts is all there is.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

from maieutic.lab.worker import confine, probe, syscalls
from maieutic.lab.worker.interpreter import interpreter, library_entries, package_folders
from maieutic.lab.worker.launch import ISOLATED, Running, own_user, resource_limits, spawn
from maieutic.lab.worker.limits import Limits
from maieutic.lab.worker.scratch import Scratch

UPGRADE = "choose the jail bwrap or docker, or boot a kernel with Landlock (5.13 or later, lsm=landlock,...)"


@dataclass(frozen=True)
class Landlock:
    """See the module. ``version`` caps what is used of the kernel's Landlock, to test what older kernels do."""

    name: str = "landlock"
    jailed: bool = True
    compiled: bool = True
    version: int = 99

    def refusal(self) -> str:
        if not sys.platform.startswith("linux"):
            return "it needs Linux: choose the jail docker"
        if os.uname().machine not in syscalls.MACHINES:
            return f"machines of type {os.uname().machine} are not supported: choose the jail docker"
        if confine.landlock_version() < 1:
            return f"this kernel has no Landlock, or it is switched off: {UPGRADE}"
        return ""

    def launch(self, limits: Limits) -> Running:
        user = own_user()
        scratch = Scratch(user)
        try:
            settings = _settings(limits, scratch=scratch.path, user=user, version=self.version)
            process = spawn([str(interpreter().binary), *ISOLATED])
        except BaseException:
            scratch.remove()
            raise
        return _OnDisk(process, settings, python=process.pid, handle=os.pidfd_open(process.pid), scratch=scratch)


@dataclass
class _OnDisk(Running):
    """Its scratch is a flat folder of the host."""

    scratch: Scratch = field(kw_only=True)

    def ready(self) -> None:
        Path(self.scratch.path, probe.MADE).unlink(missing_ok=True)

    def usage(self) -> tuple[int, int]:
        return self.scratch.usage()

    def kill(self) -> None:
        super().kill()
        self.scratch.remove()


def _settings(limits: Limits, *, scratch: str, user: int | None, version: int) -> dict[str, object]:
    python = interpreter()
    packages = package_folders(limits.packages)
    readable = [*library_entries(), *python.libraries, *python.system, *(p for _, p in packages)]
    null = confine.READ_FILE | confine.WRITE_FILE | confine.TRUNCATE
    return {
        "rules": [
            *((str(p), confine.READ) for p in readable),
            (str(python.stdlib), confine.READ_DIR),
            (scratch, confine.READ | confine.WRITE_FILE | confine.MAKE_FILE | confine.TRUNCATE),
            ("/dev/null", null),
        ],
        "scratch": scratch,
        "stdlib": str(python.stdlib),
        "packages": {name: str(dict(packages)[name]) for name in limits.packages},
        "limits": resource_limits(limits),
        "user": user,
        "die_with_parent": True,
        "landlock": version,
        "landlock_needed": True,
        "filter": True,
    }
