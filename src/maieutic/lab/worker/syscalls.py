"""The system calls that a jailed process may make, and the kernel filter that holds it to them.

An allow-list: whatever is not named is refused with "operation not permitted", also what later kernels add. So there are
no sockets, no new processes or threads, no tracing, no mounts or namespaces, no signals to others, no changes of owner,
mode or attributes, no shared or anonymous memory files, no asynchronous rings. Numbers are kept for x86_64 and aarch64; any
other machine is refused. Runs inside the worker: standard library only.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

# --- numbers, as in the kernel's asm/unistd.h -----------------------------------------------------------------------

X86_64: Mapping[str, int] = {
    "read": 0, "write": 1, "open": 2, "close": 3, "stat": 4, "fstat": 5, "lstat": 6, "poll": 7, "lseek": 8, "mmap": 9,
    "mprotect": 10, "munmap": 11, "brk": 12, "rt_sigaction": 13, "rt_sigprocmask": 14, "rt_sigreturn": 15, "ioctl": 16,
    "pread64": 17, "pwrite64": 18, "readv": 19, "writev": 20, "access": 21, "pipe": 22, "select": 23, "sched_yield": 24,
    "mremap": 25, "msync": 26, "mincore": 27, "madvise": 28, "dup": 32, "dup2": 33, "pause": 34, "nanosleep": 35,
    "getitimer": 36, "alarm": 37, "setitimer": 38, "getpid": 39, "sendfile": 40, "exit": 60, "kill": 62, "uname": 63,
    "fcntl": 72, "fsync": 74, "fdatasync": 75, "ftruncate": 77, "getdents": 78, "getcwd": 79, "chdir": 80, "fchdir": 81,
    "rename": 82, "mkdir": 83, "rmdir": 84, "unlink": 87, "readlink": 89, "umask": 95, "gettimeofday": 96,
    "getrlimit": 97, "getrusage": 98, "sysinfo": 99, "times": 100, "getuid": 102, "getgid": 104, "geteuid": 107,
    "getegid": 108, "getppid": 110, "getpgrp": 111, "getgroups": 115, "getresuid": 118, "getresgid": 120, "getpgid": 121,
    "getsid": 124, "rt_sigpending": 127, "rt_sigsuspend": 130, "sigaltstack": 131, "statfs": 137, "fstatfs": 138,
    "getpriority": 140, "gettid": 186, "time": 201, "futex": 202, "sched_getaffinity": 204, "getdents64": 217,
    "set_tid_address": 218, "restart_syscall": 219, "fadvise64": 221, "clock_gettime": 228, "clock_getres": 229,
    "clock_nanosleep": 230, "exit_group": 231, "tgkill": 234, "openat": 257, "mkdirat": 258, "newfstatat": 262,
    "unlinkat": 263, "renameat": 264, "readlinkat": 267, "faccessat": 269, "pselect6": 270, "ppoll": 271,
    "set_robust_list": 273, "dup3": 292, "pipe2": 293, "preadv": 295, "pwritev": 296, "prlimit64": 302, "getcpu": 309,
    "renameat2": 316, "getrandom": 318, "membarrier": 324, "copy_file_range": 326, "statx": 332, "rseq": 334,
    "close_range": 436, "faccessat2": 439,
}  # fmt: skip

AARCH64: Mapping[str, int] = {
    "getcwd": 17, "dup": 23, "dup3": 24, "fcntl": 25, "ioctl": 29, "mkdirat": 34, "unlinkat": 35, "renameat": 38,
    "statfs": 43, "fstatfs": 44, "ftruncate": 46, "faccessat": 48, "chdir": 49, "fchdir": 50, "openat": 56, "close": 57,
    "pipe2": 59, "getdents64": 61, "lseek": 62, "read": 63, "write": 64, "readv": 65, "writev": 66, "pread64": 67,
    "pwrite64": 68, "preadv": 69, "pwritev": 70, "sendfile": 71, "pselect6": 72, "ppoll": 73, "readlinkat": 78,
    "newfstatat": 79, "fstat": 80, "fsync": 82, "fdatasync": 83, "exit": 93, "exit_group": 94, "set_tid_address": 96,
    "futex": 98, "set_robust_list": 99, "nanosleep": 101, "getitimer": 102, "setitimer": 103, "clock_gettime": 113,
    "clock_getres": 114, "clock_nanosleep": 115, "sched_getaffinity": 123, "sched_yield": 124, "restart_syscall": 128,
    "kill": 129, "tgkill": 131, "sigaltstack": 132, "rt_sigsuspend": 133, "rt_sigaction": 134, "rt_sigprocmask": 135,
    "rt_sigpending": 136, "rt_sigreturn": 139, "getpriority": 141, "getresuid": 148, "getresgid": 150, "times": 153,
    "getpgid": 155, "getsid": 156, "getgroups": 158, "uname": 160, "getrlimit": 163, "getrusage": 165, "umask": 166,
    "getcpu": 168, "gettimeofday": 169, "getpid": 172, "getppid": 173, "getuid": 174, "geteuid": 175, "getgid": 176,
    "getegid": 177, "gettid": 178, "sysinfo": 179, "brk": 214, "munmap": 215, "mremap": 216, "mmap": 222,
    "fadvise64": 223, "mprotect": 226, "msync": 227, "mincore": 232, "madvise": 233, "prlimit64": 261,
    "renameat2": 276, "getrandom": 278, "membarrier": 283, "copy_file_range": 285, "statx": 291, "rseq": 293,
    "close_range": 436, "faccessat2": 439,
}  # fmt: skip

#: machine -> the kernel's name of its calling convention (AUDIT_ARCH_*), and its numbers
MACHINES: Mapping[str, tuple[int, Mapping[str, int]]] = {
    "x86_64": (0xC000003E, X86_64),
    "aarch64": (0xC00000B7, AARCH64),
}

# --- the filter ----------------------------------------------------------------------------------------------------

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_KILL, _REFUSE, _ALLOW = 0x80000000, 0x00050000 | 1, 0x7FFF0000  # refuse: errno 1, operation not permitted
_NUMBER, _MACHINE, _ARGUMENTS = 0, 4, 16
_X32 = 0x40000000
_O_TMPFILE = 0x400000
#: duplicate, close-on-exec and status flags: never owners, leases, notifications or pipe sizes
_FCNTL = (0, 1, 2, 3, 4, 1030)
#: terminal or not, non-blocking, close-on-exec, bytes waiting, window size
_IOCTL = (0x5401, 0x5421, 0x5450, 0x5451, 0x541B, 0x5413)

Instruction = tuple[int, int, int, int]


def program(machine: str, pid: int) -> bytes:
    """The filter as the kernel takes it: eight bytes an instruction.

    Args:
        machine: as ``os.uname().machine``.
        pid: the process as it knows itself; the only one it may signal.

    Raises:
        KeyError: a machine whose numbers are not known.
    """
    convention, numbers = MACHINES[machine]
    out: list[Instruction] = [(_LOAD, 0, 0, _MACHINE), (_EQUAL, 1, 0, convention), (_RETURN, 0, 0, _KILL)]
    out += [(_LOAD, 0, 0, _NUMBER)]
    if machine == "x86_64":  # a second set of numbers for the same calls
        out += [(_AT_LEAST, 0, 1, _X32), (_RETURN, 0, 0, _KILL)]
    only = {
        "kill": (0, (pid,)),
        "tgkill": (0, (pid,)),
        "prlimit64": (0, (0,)),
        "fcntl": (1, _FCNTL),
        "ioctl": (1, _IOCTL),
    }
    for name, number in numbers.items():
        if name in only:
            block = _one_of(*only[name])
        elif name in ("open", "openat"):  # a file without a name would hide what it holds from the limit on scratch
            block = [
                _argument(1 if name == "open" else 2),
                (_ANY_BIT, 0, 1, _O_TMPFILE),
                _return(_REFUSE),
                _return(_ALLOW),
            ]
        else:
            block = [_return(_ALLOW)]
        out += [(_EQUAL, 0, len(block), number), *block]
    out.append(_return(_REFUSE))
    return b"".join(struct.pack("=HBBI", *i) for i in out)


def _argument(index: int) -> Instruction:
    return (_LOAD, 0, 0, _ARGUMENTS + 8 * index)  # the low half: both machines are little-endian


def _return(action: int) -> Instruction:
    return (_RETURN, 0, 0, action)


def _one_of(index: int, values: Sequence[int]) -> list[Instruction]:
    tests = [step for v in values for step in ((_EQUAL, 0, 1, v), _return(_ALLOW))]
    return [_argument(index), *tests, _return(_REFUSE)]
