"""How a worker's process is started, watched, frozen and ended; one class for each backend implements ``Backend``.

A backend only says how to start the interpreter so that standard input and output are the wire, and what the process must
then do to itself (``confine``). It does not talk to it (``worker``) nor decide whether it is tight (``check``).
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

from maieutic.lab.worker.interpreter import BOOT
from maieutic.lab.worker.limits import Limits

#: options of the interpreter: isolated, no site, no bytecode written
ISOLATED = ("-I", "-S", "-B", "-X", "utf8", "-c", BOOT)
#: users that nobody has; each worker gets one of its own
_USERS = 1_800_000_000
_COUNTER = itertools.count()


class Backend(Protocol):
    """A way to jail one interpreter.

    Attributes:
        name: as users give it.
        jailed: whether the check at the start must pass.
        compiled: whether the process is this very interpreter, so that compiled code may be sent.
    """

    @property
    def name(self) -> str: ...
    @property
    def jailed(self) -> bool: ...
    @property
    def compiled(self) -> bool: ...

    def refusal(self) -> str:
        """Empty when nothing speaks against it yet; else why it cannot work here and what to do, in one line."""
        ...

    def launch(self, limits: Limits) -> Running:
        """Start the process. It waits for its program.

        Raises:
            OSError: it could not be started.
        """
        ...


@dataclass
class Running:
    """A process that was started.

    Attributes:
        process: what the host started; its standard input and output are the wire.
        confine: what the process must do to itself, see ``confine.confine``.
        python: process id of the jailed interpreter as the host sees it; ``None`` where the host cannot see it.
        handle: a descriptor of that process (its id may be given to another once it has ended).
        session: whether every process of its session is to be killed with it.
    """

    process: subprocess.Popen[bytes]
    confine: Mapping[str, Any]
    python: int | None = None
    handle: int | None = None
    session: bool = False
    #: further descriptors to close at the end
    descriptors: list[int] = field(default_factory=list[int])

    def ready(self) -> None:
        """Called once the process has confined itself."""

    def usage(self) -> tuple[int, int]:
        """Bytes and entries in the scratch folder."""
        return 0, 0

    def freeze(self, frozen: bool) -> None:
        """Stop the process from running between two programs, or let it go on."""
        self._signal(signal.SIGSTOP if frozen else signal.SIGCONT)

    def kill(self) -> None:
        """End the process and everything it started, and remove what it left. May be called twice."""
        self._signal(signal.SIGKILL)
        if self.session:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        for descriptor in (self.handle, *self.descriptors):
            if descriptor is not None:
                os.close(descriptor)
        self.handle = None
        self.descriptors.clear()

    def _signal(self, number: int) -> None:
        if self.handle is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.handle, number)


@lru_cache(maxsize=1)
def _launcher(process: int) -> ThreadPoolExecutor:  # a forked copy of this process has none of its threads
    return ThreadPoolExecutor(1, thread_name_prefix="worker-launcher")


def spawn(
    argv: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: str = "/", pass_fds: Sequence[int] = ()
) -> subprocess.Popen[bytes]:
    """Start a process with an environment of its own (empty unless given).

    From one thread that lives as long as this process: "die with the parent" means the thread that started a process.
    """
    return (
        _launcher(os.getpid())
        .submit(
            subprocess.Popen,
            list(argv),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env=dict(env or {}),
            cwd=cwd,
            pass_fds=tuple(pass_fds),
            start_new_session=True,
        )  # fmt: skip
        .result()
    )


def resource_limits(limits: Limits, *, processes: bool = True) -> dict[str, int]:
    """Limits that the kernel holds a process to, by their names in ``resource``."""
    found = {
        "RLIMIT_AS": limits.memory, "RLIMIT_FSIZE": limits.scratch, "RLIMIT_CPU": limits.processor_seconds,
        "RLIMIT_CORE": 0, "RLIMIT_NOFILE": 64,
    }  # fmt: skip
    return {**found, "RLIMIT_NPROC": 1, "RLIMIT_MEMLOCK": 0, "RLIMIT_MSGQUEUE": 0} if processes else found


def own_user(uid_map: Path = Path("/proc/self/uid_map")) -> int | None:
    """A user id for one worker that nothing else has, or ``None`` where this process is not root and keeps its own.

    So limits that count per user bind (they never do for root), and workers cannot touch each other or root's files.
    Inside a container the id must be one that the container has.
    """
    if os.geteuid() != 0:
        return None
    count = next(_COUNTER)
    wanted = _USERS + (os.getpid() % 4_000_000) * 256 + count % 256
    ranges = [[int(n) for n in line.split()] for line in uid_map.read_text(encoding="ascii").splitlines()]
    if any(first <= wanted < first + length for first, _, length in ranges):
        return wanted
    first, _, length = max(ranges, key=lambda r: r[2])
    spare = min(5000, length // 2)
    return first + length - 2 - (os.getpid() * 256 + count) % max(spare, 1)
