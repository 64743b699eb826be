"""Attacks on processes: spy on them, signal and trace them, start them, outlive the worker."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Sequence

from maieutic.bench.attacks.attack import Attack, door_opened, either, secret_printed
from maieutic.bench.attacks.scene import Scene
from maieutic.lab.worker import Ran

_ENVIRONMENT = """
print(dict(os.environ), os.environb)
import ctypes
print(attempt(lambda: ctypes.cast(ctypes.CDLL(None).getenv(S["key"].encode()), ctypes.c_char_p).value))
pids = ["self", "1", str(os.getppid()), str(S["host"]), str(S["victim"]["pid"])]
for pid in pids + [p for p in attempt(os.listdir, "/proc") or [] if p.isdigit()]:
    for name in ("environ", "cmdline"):
        try:
            print(open(f"/proc/{pid}/{name}", "rb").read()[-4000:])
        except OSError:
            pass
"""

_MEMORY = """
import ctypes
c = ctypes.CDLL(None, use_errno=True)
class Part(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]
victim = S["victim"]
buffer = ctypes.create_string_buffer(100)
here, there = Part(ctypes.addressof(buffer), 64), Part(victim["address"], victim["size"])
c.process_vm_readv(victim["pid"], ctypes.byref(here), 1, ctypes.byref(there), 1, 0)
print(buffer.value)
def memory():
    with open(f"/proc/{victim['pid']}/mem", "rb", 0) as file:
        file.seek(victim["address"])
        return file.read(victim["size"])
print(attempt(memory))
for pid in (victim["pid"], S["host"], os.getppid()):
    if pid > 1 and c.ptrace(0x4206, pid, 0, 0) == 0:  # seize: does not stop the other
        c.ptrace(17, pid, 0, 0)
        opened("a process could be traced")
"""

_SIGNALS = """
import ctypes, signal
c = ctypes.CDLL(None, use_errno=True)
pid = S["victim"]["pid"]
attempt(os.kill, pid, signal.SIGUSR1)
c.tgkill(pid, pid, int(signal.SIGUSR1))
c.syscall(200, pid, int(signal.SIGUSR1))
handle = attempt(os.pidfd_open, pid)
if handle is not None:
    attempt(signal.pidfd_send_signal, handle, signal.SIGUSR1)
import fcntl
for number in range(3, 10):
    for pid in (S["victim"]["pid"], S["host"]):
        if attempt(lambda: fcntl.fcntl(number, fcntl.F_SETOWN, pid) == 0) and pid == S["host"]:
            opened("an owner of signals could be set")
for pid in (S["host"], os.getppid()):
    if pid > 1 and attempt(lambda: os.kill(pid, 0) is None):
        opened("the host could be signalled")
"""

_LIMITS_OF_OTHERS = """
import resource
pid = S["victim"]["pid"]
attempt(lambda: resource.prlimit(pid, resource.RLIMIT_NOFILE, (57, 57)))
attempt(os.setpriority, os.PRIO_PROCESS, pid, 7)
attempt(os.sched_setaffinity, pid, {0})
"""

# at most a hundred, each ends with its parent or after four seconds
_FORKS = """
import time
number = 0
for number in range(100):
    try:
        if os.fork() == 0:
            time.sleep(4)
            os._exit(0)
    except OSError as error:
        print(error)
        break
else:
    number = 100
print("STARTED", number, flush=True)
"""

_THREADS = """
import threading, time
threading.stack_size(1 << 16)
number = 0
for number in range(200):
    try:
        threading.Thread(target=time.sleep, args=(2,), daemon=True).start()
    except RuntimeError as error:
        print(error)
        break
else:
    number = 200
print("STARTED", number, flush=True)
"""

_PROGRAMS = """
import subprocess
asked = "echo out-$((6*7))-" + S["nonce"]
print(attempt(lambda: subprocess.check_output(["/bin/sh", "-c", asked], text=True)))
print(attempt(lambda: subprocess.check_output([sys.executable, "-c", "print('out-%d-' % 42 + '" + S["nonce"] + "')"], text=True)))
print(attempt(lambda: os.popen(asked).read()))
attempt(os.posix_spawn, "/bin/sh", ["sh", "-c", asked], {})
"""

_SURVIVE = """
import ctypes, time
def daemon():
    os.setsid()
    if os.fork():
        os._exit(0)
    ctypes.CDLL(None).prctl(15, S["nonce"].encode(), 0, 0, 0)
    until = time.time() + 6
    while time.time() < until:
        time.sleep(0.05)
    os._exit(0)
if attempt(os.fork) == 0:
    daemon()
time.sleep(0.2)
"""

_LEAVE = """
import builtins
left = builtins.left = S["nonce"]
sys.modules["left"] = left
for place in ("", "/tmp/", "/dev/shm/", S["folder"] + "/"):
    attempt(lambda: open(place + S["nonce"] + "-left", "w").write(S["nonce"]))
os.environ["LEFT"] = S["nonce"]
"""
_FIND = """
import builtins
seen = [str(globals().get("left")), str(getattr(builtins, "left", "")), str(sys.modules.get("left")), str(dict(os.environ))]
for place in (".", "/tmp", "/dev/shm", S["folder"]):
    try:
        seen += os.listdir(place)
    except OSError:
        pass
if any(S["nonce"] in s for s in seen):
    opened("something of the last unit was left")
"""

_TAKE_OVER = """
attempt(lambda: open("/proc/self/mem", "r+b", 0))
import ctypes
c = ctypes.CDLL(None, use_errno=True)
attempt(lambda: os.execv(sys.executable, [sys.executable, "-c", "print()"]))
attempt(lambda: os.execv("/bin/sh", ["sh", "-c", "echo"]))
attempt(lambda: os.execv("/python/bin/python3", ["python3", "-c", "pass"]))
print("STILL HERE")
"""


def _many(scene: Scene, ran: Sequence[Ran]) -> str:
    """More than eight started."""
    lines = [line.split() for r in ran for line in r.output.splitlines() if line.startswith("STARTED ")]
    most = max((int(line[1]) for line in lines), default=0)
    return f"{most} were started" if most > 8 else ""


def _ran_outside(scene: Scene, ran: Sequence[Ran]) -> str:
    return "another program ran" if any(f"out-42-{scene.nonce}" in r.output for r in ran) else ""


def _replaced(scene: Scene, ran: Sequence[Ran]) -> str:
    return "" if all("STILL HERE" in r.output for r in ran) else "the process became another program"


def _reached(scene: Scene, ran: Sequence[Ran]) -> str:
    touched = scene.reached()
    return f"the victim was reached ({', '.join(touched)})" if touched else ""


def _outlived(scene: Scene, ran: Sequence[Ran]) -> str:
    time.sleep(0.1)
    left = scene.survivors()
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return "a process outlived the worker" if left else ""


def _others_changed(scene: Scene, ran: Sequence[Ran]) -> str:
    return scene.changed()


PROCESSES: tuple[Attack, ...] = (
    Attack(
        name="read environments", group="processes", what="own environment, /proc/1, /proc/parent, all of /proc",
        programs=(_ENVIRONMENT,), judge=secret_printed,
    ),
    Attack(
        name="read memory of others", group="processes", what="ptrace, process_vm_readv and /proc/PID/mem",
        programs=(_MEMORY,), judge=either(secret_printed, door_opened),
    ),
    Attack(
        name="signal the parent", group="processes", what="kill, tgkill, tkill, pidfd and signals by file owner",
        programs=(_SIGNALS,), judge=either(_reached, door_opened),
    ),
    Attack(
        name="limits of others", group="processes", what="prlimit, priority and processors of another process",
        programs=(_LIMITS_OF_OTHERS,), judge=_others_changed,
    ),
    Attack(name="fork bomb", group="processes", what="fork up to a hundred times", programs=(_FORKS,), judge=_many),
    Attack(name="thread bomb", group="processes", what="start up to 200 threads", programs=(_THREADS,), judge=_many),
    Attack(
        name="start a program", group="processes", what="subprocess, popen and posix_spawn of a shell and of Python",
        programs=(_PROGRAMS,), judge=_ran_outside,
    ),
    Attack(
        name="become a program", group="processes", what="exec a shell or a fresh Python in place of the worker",
        programs=(_TAKE_OVER,), judge=_replaced,
    ),
    Attack(
        name="outlive the unit", group="processes", what="a daemon by a double fork in a session of its own",
        programs=(_SURVIVE,), judge=_outlived, then="pass",
    ),
    Attack(
        name="leave things to the next unit", group="processes", what="files, variables, modules and environment after a reset",
        programs=(_LEAVE,), judge=door_opened, then=_FIND,
    ),
)  # fmt: skip
