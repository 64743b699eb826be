"""The filter of system calls, run by a small interpreter of the kernel's filter language, and its numbers."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import pytest

from maieutic.lab.worker import syscalls

ALLOW, REFUSE, KILL = 0x7FFF0000, 0x00050001, 0x80000000
PID = 4321
CONVENTION = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}


def verdict(machine: str, number: int, *arguments: int, convention: int | None = None) -> int:
    """What the kernel would do: an accumulator, loads at an offset of ``seccomp_data``, and jumps forward."""
    data = struct.pack(
        "=IIQ6Q", number, CONVENTION[machine] if convention is None else convention, 0, *[*arguments, *[0] * 6][:6]
    )
    steps = [
        struct.unpack_from("=HBBI", raw, 8 * i)
        for raw in [syscalls.program(machine, PID)]
        for i in range(len(raw) // 8)
    ]
    at = accumulator = 0
    while True:
        code, yes, no, value = steps[at]
        at += 1
        if code == 0x20:
            (accumulator,) = struct.unpack_from("=I", data, value)
        elif code == 0x06:
            return value
        else:
            true = {0x15: accumulator == value, 0x35: accumulator >= value, 0x45: bool(accumulator & value)}[code]
            at += yes if true else no


#: number of a call that must never be allowed, on x86_64 and aarch64
FORBIDDEN = {
    "socket": (41, 198), "socketpair": (53, 199), "connect": (42, 203), "clone": (56, 220), "clone3": (435, 435),
    "execve": (59, 221), "execveat": (322, 281), "ptrace": (101, 117),
    "process_vm_readv": (310, 270), "pidfd_open": (434, 434), "mount": (165, 40),
    "unshare": (272, 97), "setns": (308, 268), "chroot": (161, 51), "bpf": (321, 280), "io_uring_setup": (425, 425),
    "memfd_create": (319, 279), "fallocate": (285, 47), "openat2": (437, 437), "setuid": (105, 146), "prctl": (157, 167),
    "keyctl": (250, 219), "userfaultfd": (323, 282), "shmget": (29, 194), "fchmodat": (268, 53), "utimensat": (280, 88),
    "rt_sigqueueinfo": (129, 138), "tkill": (200, 130), "sched_setaffinity": (203, 122), "setpriority": (141, 140),
}  # fmt: skip


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_named_calls_are_allowed_and_all_others_refused(machine: str) -> None:
    numbers = syscalls.MACHINES[machine][1]
    with_conditions = {"kill", "tgkill", "prlimit64", "fcntl", "ioctl"}
    for name, number in numbers.items():
        assert verdict(machine, number, PID if name in ("kill", "tgkill") else 0) == ALLOW or name in with_conditions, (
            name
        )
    allowed = set(numbers.values())
    assert all(verdict(machine, n) == REFUSE for n in range(600) if n not in allowed)
    column = list(CONVENTION).index(machine)
    assert all(verdict(machine, both[column]) == REFUSE for both in FORBIDDEN.values())


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_arguments_decide(machine: str) -> None:
    of = syscalls.MACHINES[machine][1]
    assert verdict(machine, of["kill"], PID, 9) == ALLOW
    for other in (0, 1, PID + 1, 0xFFFFFFFF):  # own group, init, another, everyone (-1)
        assert verdict(machine, of["kill"], other, 9) == REFUSE
        assert verdict(machine, of["tgkill"], other, 1, 9) == REFUSE
    assert verdict(machine, of["prlimit64"], 0, 7) == ALLOW
    assert verdict(machine, of["prlimit64"], PID, 7) == REFUSE
    assert verdict(machine, of["fcntl"], 3, 1030) == ALLOW
    assert verdict(machine, of["fcntl"], 3, 8) == REFUSE  # F_SETOWN: who gets signals
    assert verdict(machine, of["fcntl"], 3, 1031) == REFUSE  # F_SETPIPE_SZ: kernel memory
    assert verdict(machine, of["ioctl"], 0, 0x5401) == ALLOW
    assert verdict(machine, of["ioctl"], 0, 0x5412) == REFUSE  # TIOCSTI: type for the terminal's owner
    assert verdict(machine, of["openat"], 0, 0, 0o101) == ALLOW
    assert verdict(machine, of["openat"], 0, 0, 0o20200002) == REFUSE  # O_TMPFILE


def test_other_calling_conventions_are_killed() -> None:
    assert verdict("x86_64", 20, convention=0x40000003) == KILL, "32-bit calls have other numbers"
    assert verdict("x86_64", 0x40000000 | 39) == KILL, "x32 has other numbers too"
    assert verdict("aarch64", 63, convention=0x40000028) == KILL


@pytest.mark.parametrize(
    ("machine", "header"),
    [("x86_64", "/usr/include/x86_64-linux-gnu/asm/unistd_64.h"), ("aarch64", "/usr/include/asm-generic/unistd.h")],
)
def test_numbers_are_the_kernels(machine: str, header: str) -> None:
    if not Path(header).is_file():
        pytest.skip(f"no {header}; it comes with linux-libc-dev")
    found = dict(re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", Path(header).read_text()))
    found.setdefault("newfstatat", found.get("fstatat", ""))
    assert {n: int(found[n]) for n in syscalls.MACHINES[machine][1]} == dict(syscalls.MACHINES[machine][1])


def test_an_unknown_machine_has_no_filter() -> None:
    with pytest.raises(KeyError):
        syscalls.program("riscv64", PID)
