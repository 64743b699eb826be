"""No jail: a plain process of the same user on the same machine, for code that one would run anyway. Only by name.

It may read and write that user's files, use the network and start processes that outlive it. What remains: an empty
environment, a folder of its own, limits on memory and file size against accidents, and the checked wire.
"""

from __future__ import annotations

import shutil
import signal
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from maieutic.lab.worker.interpreter import interpreter, package_folders
from maieutic.lab.worker.launch import ISOLATED, Running, resource_limits, spawn
from maieutic.lab.worker.limits import Limits


@dataclass(frozen=True)
class Bare:
    """See the module."""

    name: str = "none"
    jailed: bool = False
    compiled: bool = True

    def refusal(self) -> str:
        return "" if sys.platform != "win32" else "it needs Linux or macOS: choose the jail docker"

    def launch(self, limits: Limits) -> Running:
        scratch = tempfile.mkdtemp(prefix="maieutic-nojail-")
        try:
            process = spawn([str(interpreter().binary), *ISOLATED])
        except BaseException:
            shutil.rmtree(scratch, ignore_errors=True)
            raise
        running = _Plain(process, _settings(limits, scratch), session=True)
        running.scratch = scratch
        return running


class _Plain(Running):
    scratch: str = ""

    def usage(self) -> tuple[int, int]:
        sizes = [p.lstat().st_blocks * 512 for p in Path(self.scratch).iterdir()]
        return sum(sizes), len(sizes)

    def freeze(self, frozen: bool) -> None:
        self.process.send_signal(signal.SIGSTOP if frozen else signal.SIGCONT)

    def kill(self) -> None:
        super().kill()
        shutil.rmtree(self.scratch, ignore_errors=True)


def _settings(limits: Limits, scratch: str) -> dict[str, object]:
    folders = dict(package_folders(limits.packages))
    held = {"RLIMIT_AS", "RLIMIT_FSIZE", "RLIMIT_CPU", "RLIMIT_CORE"} - (
        {"RLIMIT_AS"} if sys.platform == "darwin" else set()
    )
    return {
        "rules": [],
        "scratch": scratch,
        "stdlib": None,
        "packages": {name: str(folders[name]) for name in limits.packages},
        "limits": {name: most for name, most in resource_limits(limits, processes=False).items() if name in held},
        "user": None,
        "die_with_parent": False,
        "landlock": 0,
        "landlock_needed": False,
        "filter": False,
    }
