"""No jail: a plain process of the same user on the same machine, for code that one would run anyway. Only by name.

It may read and write that user's files, use the network and start processes that outlive it. What remains: an empty
environment, a folder of its own, limits on memory and file size against accidents, and the checked wire.
"""

from __future__ import annotations

import signal
import sys
from dataclasses import dataclass, field

from maieutic.lab.worker.interpreter import interpreter, package_folders
from maieutic.lab.worker.launch import ISOLATED, Running, resource_limits, spawn
from maieutic.lab.worker.limits import Limits
from maieutic.lab.worker.scratch import Scratch


@dataclass(frozen=True)
class Bare:
    """See the module."""

    name: str = "none"
    jailed: bool = False
    compiled: bool = True

    def refusal(self) -> str:
        return "" if sys.platform != "win32" else "it needs Linux or macOS: choose the jail docker"

    def launch(self, limits: Limits) -> Running:
        scratch = Scratch()
        try:
            settings = _settings(limits, scratch.path)
            process = spawn([str(interpreter().binary), *ISOLATED])
        except BaseException:
            scratch.remove()
            raise
        return _Plain(process, settings, session=True, scratch=scratch)


@dataclass
class _Plain(Running):
    scratch: Scratch = field(kw_only=True)

    def usage(self) -> tuple[int, int]:
        return self.scratch.usage()

    def freeze(self, frozen: bool) -> None:
        self.process.send_signal(signal.SIGSTOP if frozen else signal.SIGCONT)

    def kill(self) -> None:
        super().kill()
        self.scratch.remove()


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
