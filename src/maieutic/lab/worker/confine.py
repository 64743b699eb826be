"""What a worker does to itself before it runs any foreign code: it gives up everything, for good.

In this order: limits on resources, another user id where it started as root (so that limits on processes bind, and files and
processes of root are out of reach), no new privileges, Landlock rules (files, TCP, signals, abstract sockets), the filter of
system calls. Each step is inherited and cannot be undone; a step that fails ends the worker before it is ready. Runs inside
the worker: standard library only.

Not protected: bugs of the kernel. With Landlock alone, names, sizes and times of files can still be asked for (``stat``),
as far as the user id allows; contents and listings cannot.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Mapping, Sequence
from typing import Any, cast

from maieutic.lab.worker import syscalls

_SET_DEATH_SIGNAL, _SET_SECCOMP, _SET_NO_NEW_PRIVILEGES = 1, 22, 38
_CREATE, _ADD, _RESTRICT = 444, 445, 446  # the same numbers on every machine
_VERSION_QUESTION, _PATH_BENEATH = 1, 1
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, REMOVE_DIR, REMOVE_FILE = (1 << i for i in range(6))
MAKE_FILE = 1 << 8
TRUNCATE, IOCTL = 1 << 14, 1 << 15
_FILE_RIGHTS = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL
READ = READ_FILE | READ_DIR
#: what a version of Landlock can forbid: rights over files (by their number), TCP, scopes
_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}


class ConfineError(Exception):
    """A step of the confinement that this kernel refused."""


def confine(settings: Mapping[str, Any]) -> None:
    """Apply ``settings`` (see ``launch``) to this process.

    Raises:
        ConfineError: a step failed; nothing foreign may run.
    """
    # made by the user that started us: the jail's own user may be barred from folders above these
    ruleset = _ruleset(settings)
    os.chdir(settings["scratch"])
    _find_modules(settings["stdlib"], settings["packages"])
    _limit(settings["limits"])
    if settings["user"] is not None:
        os.setgroups([])
        os.setresgid(*[settings["user"]] * 3)
        os.setresuid(*[settings["user"]] * 3)
        _drop_capabilities()
    if settings["die_with_parent"]:
        _prctl(_SET_DEATH_SIGNAL, 9)  # a change of user clears it
    if ruleset is not None:
        _prctl(_SET_NO_NEW_PRIVILEGES, 1)
        _landlock(_RESTRICT, ctypes.c_int(ruleset), ctypes.c_uint32(0))
        os.close(ruleset)
    if settings["filter"]:
        _prctl(_SET_NO_NEW_PRIVILEGES, 1)
        filter_calls(syscalls.program(os.uname().machine, os.getpid()))


def _drop_capabilities() -> None:
    """A change of user empties what a process holds, but not what it would hand on."""
    header, nothing = struct.pack("=Ii", 0x20080522, 0), bytes(24)
    if ctypes.CDLL(None, use_errno=True).capset(header, nothing) != 0:
        raise ConfineError(f"capset: {os.strerror(ctypes.get_errno())}")


def _prctl(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        raise ConfineError(f"prctl {option}: {os.strerror(ctypes.get_errno())}")


def _limit(limits: Mapping[str, int]) -> None:
    import resource

    os.umask(0o077)
    for name, most in limits.items():
        which = getattr(resource, name)
        hard = resource.getrlimit(which)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(which, (most, most))


# --- where modules come from ---------------------------------------------------------------------------------------


class _Packages:
    """Finds the packages that were named, and no others."""

    def __init__(self, folders: Mapping[str, str]) -> None:
        self._folders = folders

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: object = None) -> Any:
        if name not in self._folders:
            return None
        from importlib.util import spec_from_file_location

        folder = self._folders[name]
        return spec_from_file_location(name, f"{folder}/__init__.py", submodule_search_locations=[folder])


def _find_modules(stdlib: str | None, packages: Mapping[str, str] | None) -> None:
    """Set where imports look.

    Args:
        stdlib: folder of the standard library where the process keeps the host's view of files. It is reached through an
            open descriptor, because another user may not pass the folders above it.
        packages: name to folder; ``None`` leaves the interpreter's own way of finding them.
    """
    held: dict[str, str] = dict(packages or {})
    if stdlib is not None:
        folder = _descriptor_path(stdlib)
        sys.path[:] = [folder, f"{folder}/lib-dynload"]
        held = {name: _descriptor_path(path) for name, path in held.items()}
    if packages is not None:
        sys.meta_path.insert(0, cast(Any, _Packages(held)))
    sys.path_importer_cache.clear()


def _descriptor_path(folder: str) -> str:
    return f"/proc/self/fd/{os.open(folder, os.O_PATH | os.O_CLOEXEC)}"


# --- Landlock ------------------------------------------------------------------------------------------------------


def landlock_version() -> int:
    """Version of this kernel's Landlock; 0 where it has none or it is switched off."""
    library = ctypes.CDLL(None, use_errno=True)
    return max(int(library.syscall(_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION_QUESTION))), 0)


def _ruleset(settings: Mapping[str, Any]) -> int | None:
    version = min(settings["landlock"], landlock_version())
    if settings["landlock_needed"] and version < 1:
        raise ConfineError("this kernel has no Landlock, or it is switched off")
    return make_ruleset(settings["rules"], version=version) if version else None


def make_ruleset(rules: Sequence[tuple[str, int]], *, version: int) -> int:
    """A set of rules that forbids every right over files that no rule grants; and TCP, sockets in the abstract name space and
    signals to others where Landlock knows them.

    Args:
        rules: path of a file or folder, rights over it and everything below.
        version: of Landlock, 1 or more.

    Returns:
        Its descriptor; nothing is forbidden yet.
    """
    handled = (1 << _RIGHTS.get(version, 16)) - 1
    parts = [handled, *([3] if version >= 4 else []), *([3] if version >= 6 else [])]
    attributes = struct.pack(f"={len(parts)}Q", *parts)
    ruleset = _landlock(_CREATE, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint32(0))
    for path, rights in rules:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        folder = os.fstat(descriptor).st_mode & 0o170000 == 0o040000
        granted = rights & handled if folder else rights & handled & _FILE_RIGHTS
        rule = struct.pack("=Qi", granted, descriptor)
        _landlock(_ADD, ctypes.c_int(ruleset), ctypes.c_int(_PATH_BENEATH), rule, ctypes.c_uint32(0))
        os.close(descriptor)
    return ruleset


def _landlock(number: int, *arguments: Any) -> int:
    found = int(ctypes.CDLL(None, use_errno=True).syscall(ctypes.c_long(number), *arguments))
    if found < 0:
        raise ConfineError(f"Landlock call {number}: {os.strerror(ctypes.get_errno())}")
    return found


# --- the filter of system calls ------------------------------------------------------------------------------------


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p)]


def filter_calls(instructions: bytes) -> None:
    """Hand the kernel a filter that holds from here on."""
    program = _Program(len(instructions) // 8, instructions)
    if ctypes.CDLL(None, use_errno=True).prctl(_SET_SECCOMP, 2, ctypes.byref(program), 0, 0) != 0:
        raise ConfineError(f"the filter of system calls: {os.strerror(ctypes.get_errno())}")
