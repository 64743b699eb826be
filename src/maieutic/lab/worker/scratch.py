"""Scratch folders on the host's disk: made for one worker, removed with it, and swept up after hosts that were killed.

The host holds a lock on the folder for as long as the worker may live; the kernel drops it when the host dies in whatever way. So
a folder that can be locked by another is nobody's. Not protected: what a program writes there, which is limited elsewhere.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from pathlib import Path

_PREFIX = "maieutic-jail-"
#: seconds during which a folder may be young enough not to be locked yet
_YOUNG = 60.0


class Scratch:
    """A folder of its own.

    Args:
        user: who may use it; ``None`` for the user of this process.

    Attributes:
        path: where it is.
    """

    def __init__(self, user: int | None = None) -> None:
        sweep(Path(tempfile.gettempdir()))
        self.path = tempfile.mkdtemp(prefix=_PREFIX)
        self._lock = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(self._lock, fcntl.LOCK_SH)
        if user is not None:
            os.chown(self.path, user, user)

    def usage(self) -> tuple[int, int]:
        """Bytes on the disk and entries, of its top level."""
        blocks: list[int] = []
        with os.scandir(self.path) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):  # the program may remove it between the two looks
                    blocks.append(entry.stat(follow_symlinks=False).st_blocks)
        return 512 * sum(blocks), len(blocks)

    def remove(self) -> None:
        """Delete it with everything in it. May be called twice."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._lock >= 0:
            os.close(self._lock)
        self._lock = -1


def sweep(folder: Path, *, older: float = _YOUNG) -> None:
    """Remove scratch folders whose host is gone.

    Args:
        folder: where they lie.
        older: seconds since the last change of what is removed.
    """
    for left in folder.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            number = os.open(left, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                if time.time() - os.fstat(number).st_mtime > older:
                    fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(left, ignore_errors=True)
            finally:
                os.close(number)
