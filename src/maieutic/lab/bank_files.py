"""Values of a bank on disk: one safetensors file a stimulus, written whole, checked when read, bounded in size.

Processes share a folder without locks: a file is written under another name and renamed, two that measure the same write
the same bytes, and one that vanishes or is damaged is measured again. A file that cannot be written costs a warning, never
the measurement.

What this module does not do: it knows no subject; its folder's name must say everything that the values depend on.
"""

from __future__ import annotations

import os
import re
import threading
import warnings
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import numpy as np

from maieutic.errors import StoreError
from maieutic.store.files import read_tensors, write_tensors
from maieutic.subjects.base import Values

#: after a clearing this share of the limit is used
_ROOM = 0.9
#: the folder is looked over again after so large a share of the limit has been written, since others write too
_LOOK = 1 / 16


class BankFolderWarning(UserWarning):
    """Measurements could not be written to the folder of a bank."""


class BankFiles:
    """A folder of measured values by content id."""

    def __init__(self, folder: Path, *, limit_bytes: int) -> None:
        """A folder that need not exist yet.

        Args:
            folder: of one bank (subject, sites and all that values depend on).
            limit_bytes: disk space; passed by at most a sixteenth for each process that writes.
        """
        self._folder, self._limit = folder, limit_bytes
        self._lock = threading.Lock()
        self._closed = False
        #: bytes written since the folder was last looked over; it has not been yet
        self._since = float("inf")

    def load(self, key: str, sites: Sequence[str]) -> dict[str, Values] | None:
        """What was kept of a stimulus; ``None`` when there is nothing, or nothing whole."""
        path = self._path(key)
        if path is None or not path.exists():
            return None
        try:
            arrays, note = read_tensors(path)
        except StoreError:
            return None
        if set(arrays) != set(sites) or note.get("crc32") != _checksum(arrays):
            return None
        with suppress(OSError):  # another process may have cleared it away; the time only orders clearing
            os.utime(path)
        return {s: arrays[s] for s in sites}

    def save(self, key: str, arrays: Mapping[str, Values]) -> None:
        """Keep a stimulus. Once a write has failed, nothing more is written.

        Warns:
            BankFolderWarning: the first write that fails.
        """
        path = self._path(key)
        if path is None or self._closed:
            return
        try:
            write_tensors(path, arrays, note={"crc32": _checksum(arrays)})
        except StoreError as error:
            self._closed = True
            warnings.warn(f"measurements are no longer kept on disk: {error}", BankFolderWarning, stacklevel=2)
            return
        with self._lock:
            self._since += _space(path)
            if self._since >= self._limit * _LOOK:
                self._since = 0.0
                self._clear()

    def _path(self, key: str) -> Path | None:
        """The file of a stimulus; ids that are no digests are not kept on disk."""
        return self._folder / key[:2] / f"{key}.safetensors" if re.fullmatch(r"[0-9a-f]{8,128}", key) else None

    def _clear(self) -> None:
        """Delete what has been unused longest, half-written files of killed processes among it, until there is room."""
        found: list[tuple[float, int, Path]] = []
        for path in self._folder.rglob("*.safetensors*"):
            with suppress(OSError):
                found.append((path.stat().st_mtime, _space(path), path))
        excess = sum(size for _, size, _ in found) - self._limit
        if excess <= 0:
            return
        excess += (1 - _ROOM) * self._limit
        for _, size, path in sorted(found):
            if excess <= 0:
                break
            with suppress(OSError):
                path.unlink(missing_ok=True)
                excess -= size


def _space(path: Path) -> int:
    """Bytes that a file takes on disk; small files take a whole block."""
    try:
        found = path.stat()
    except OSError:
        return 0
    return max(found.st_size, getattr(found, "st_blocks", 0) * 512)


def _checksum(arrays: Mapping[str, Values]) -> int:
    total = 0
    for site in sorted(arrays):
        array = np.ascontiguousarray(arrays[site])
        total = zlib.crc32(f"{site}{array.shape}{array.dtype}".encode(), total)
        total = zlib.crc32(cast("Any", array), total)
    return total
