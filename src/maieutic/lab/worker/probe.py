"""What a worker finds when it looks around, told to the host before any foreign code runs. Standard library only.

The host judges (``check``). It is a proof that the jail was built as meant on this machine, not that it has no holes.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

#: a file made in the scratch folder; the host removes it where the jail cannot
MADE = ".made"


def found(canary: str) -> Mapping[str, Any]:
    """What could be read, listed, written, reached and started.

    Args:
        canary: path of a file, readable by everyone, that the host made outside the jail.
    """
    folder = os.path.dirname(canary)
    told = {
        "read": _works(lambda: _read(canary)),
        "listed": _works(lambda: os.listdir(folder)),
        "written": _works(lambda: _write(os.path.join(folder, "written"))) or _works(lambda: _write("/written")),
        "scratch": _works(lambda: _write(MADE)),
        "sockets": [n for n in ("AF_INET", "AF_INET6", "AF_UNIX", "AF_NETLINK") if _works(lambda n=n: _socket(n))],
        "forked": _works(_fork),
        "descriptors": _descriptors(),
        "user": os.getuid(),
        "python": sys.version.split()[0],
    }
    _works(lambda: os.unlink(MADE))
    return told


def _works(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except OSError:
        return False
    return True


def _read(path: str) -> None:
    with open(path, "rb") as file:
        file.read(1)


def _write(path: str) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))


def _socket(family: str) -> None:
    import _socket as sockets  # the module `socket` takes ten times as long to import

    sockets.socket(getattr(sockets, family), sockets.SOCK_DGRAM).close()


def _fork() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def _descriptors() -> int:
    """Open descriptors beyond the three standard ones and the two of the wire, but for folders kept to import from."""
    others = 0
    for descriptor in range(5, 256):
        try:
            kind = os.fstat(descriptor).st_mode & 0o170000
        except OSError:
            continue
        others += kind != 0o040000
    return others
