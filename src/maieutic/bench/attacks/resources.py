"""Attacks on the machine: memory, disk, time, output. Every one is bounded, so that it hurts nothing where it succeeds."""

from __future__ import annotations

import re
from collections.abc import Sequence

from maieutic.bench.attacks.attack import LIMITS, Attack, Judge, door_opened
from maieutic.bench.attacks.scene import Scene
from maieutic.lab.worker import Ran

#: bytes and files that a worker may have used when it was stopped, as multiples of its limits: a host that watches is late
_BYTES, _ENTRIES = 24, 100

_MEMORY = """
import mmap
def take(size):
    return bytearray(size)
if attempt(lambda: len(bytearray(3 << 30))):
    opened("3 GiB at once")
kept = []
try:
    for _ in range(96):
        kept.append(bytearray(32 << 20))
    opened("3 GiB in pieces")
except MemoryError:
    print("refused after", len(kept), "pieces")
kept.clear()
if attempt(lambda: len(mmap.mmap(-1, 3 << 30))):
    opened("3 GiB mapped")
if attempt(lambda: np.empty(3 << 30, dtype="u1").size):
    opened("3 GiB in an array")
"""

_HIDDEN_MEMORY = """
files = []
total = 0
try:
    for i in range(8):
        number = os.memfd_create(str(i))
        files.append(number)
        for _ in range(3):
            total += os.write(number, bytes(4 << 20))
    opened("96 MiB in memory files that no limit counts")
except OSError as error:
    print(error, total)
"""

_RAISE = """
import resource
for name in ("RLIMIT_AS", "RLIMIT_NPROC", "RLIMIT_FSIZE", "RLIMIT_CPU", "RLIMIT_NOFILE"):
    which = getattr(resource, name)
    hard = resource.getrlimit(which)[1]
    if hard == resource.RLIM_INFINITY:
        continue
    if attempt(lambda: resource.setrlimit(which, (hard + 1, hard + 1)) is None):
        opened(name + " could be raised")
"""

# 512 MiB at most, told file by file
_DISK = """
part, total = bytes(1 << 20), 0
for i in range(128):
    try:
        with open(f"file{i}", "wb", 0) as file:
            for _ in range(4):
                total += file.write(part)
    except OSError as error:
        print(error)
    print("WRITTEN", total, flush=True)
"""

_HIDDEN_DISK = """
import ctypes
c, part, total, kept = ctypes.CDLL(None, use_errno=True), bytes(1 << 20), 0, []
c.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
for place in (".", S["folder"], "/tmp", "/dev/shm"):  # room that no size shows
    try:
        number = os.open(f"{place}/{S['nonce']}", os.O_CREAT | os.O_RDWR, 0o600)
        if c.fallocate(number, 1, 0, 256 << 20) == 0:
            total += 256 << 20
        os.unlink(f"{place}/{S['nonce']}")
    except OSError as error:
        print(error)
    print("WRITTEN", total, flush=True)  # at once: what counts sizes may stop it any moment
for i in range(32):  # without a name
    try:
        if i % 2:
            number = os.open(".", os.O_TMPFILE | os.O_RDWR, 0o600)
        else:
            number = os.open(f"hidden{i}", os.O_CREAT | os.O_RDWR, 0o600)
            os.unlink(f"hidden{i}")
        kept.append(number)
        for _ in range(8):
            total += os.write(number, part)
    except OSError as error:
        print(error)
    print("WRITTEN", total, flush=True)
"""

_FILES = """
made = 0
for i in range(50_000):
    try:
        os.close(os.open(f"{i}", os.O_CREAT | os.O_WRONLY))
        made += 1
    except OSError as error:
        print(error)
        break
    if made % 100 == 0:
        print("MADE", made, flush=True)
print("MADE", made, flush=True)
"""

_BIG_FILE = """
with open("big", "wb", 0) as file:
    try:
        file.seek(1 << 30)
        file.write(b"end")
        opened("a file of 1 GiB")
    except OSError as error:
        print(error)
    if attempt(lambda: file.truncate(1 << 30)):
        opened("a file of 1 GiB by its size")
"""

_LOOPS = (
    "while True:\n    pass",
    "sum(range(10**12))",
    "import re\nre.match('(a|a)*b', 'a' * 60)",
    """
import signal
for number in range(1, 65):
    attempt(signal.signal, number, signal.SIG_IGN)
attempt(signal.pthread_sigmask, signal.SIG_BLOCK, range(1, 65))
while True:
    try:
        while True:
            pass
    except BaseException:
        pass
""",
    "import time\ntime.sleep(1000)",
    "os.read(3, 1 << 20); os.read(3, 1 << 20)",
    "class Slow:\n    def __repr__(self):\n        while True: pass\nSlow()",
)

_OUTPUT = (
    "print('x' * (64 << 20))",
    "for _ in range(200_000):\n    print('x' * 100)",
    "'x' * (64 << 20)",
    "raise ValueError('x' * (64 << 20))",
    "os.write(1, b'x' * (1 << 20)); os.write(2, b'x' * (1 << 20))",
)

_FLOOD = """
import json, struct
text = json.dumps(["out", "x" * 100_000, []]).encode()
frame = struct.pack(">II", len(text), 0) + text
while True:
    for number in (4, 3):
        try:
            os.write(number, frame)
        except OSError:
            pass
"""


def _most(word: str, limit: int, slack: int) -> Judge:
    def judge(scene: Scene, ran: Sequence[Ran]) -> str:
        counts = [
            int(line.split()[1]) for r in ran for line in r.output.splitlines() if re.fullmatch(rf"{word} \d+", line)
        ]
        return f"{max(counts)} where {limit} are allowed" if max(counts, default=0) > slack * limit else ""

    return judge


def _stopped_in_time(scene: Scene, ran: Sequence[Ran]) -> str:
    late = [r.seconds for r in ran if r.stopped is None or r.seconds > 2.0]
    return f"{len(late)} went on" if late else ""


def _output_kept_short(scene: Scene, ran: Sequence[Ran]) -> str:
    longest = max(len(r.output) + len(r.error or "") for r in ran)
    return f"{longest} characters came through" if longest > 2 * LIMITS.output + 200 else ""


RESOURCES: tuple[Attack, ...] = (
    Attack(
        name="take 3 GiB", group="resources", what="allocate three times the limit by four ways",
        programs=(_MEMORY,), judge=door_opened,
    ),
    Attack(
        name="memory files", group="resources", what="fill memory that belongs to no process",
        programs=(_HIDDEN_MEMORY,), judge=door_opened,
    ),
    Attack(name="raise own limits", group="resources", what="set higher limits", programs=(_RAISE,), judge=door_opened),
    Attack(
        name="fill the disk", group="resources", what="write thirty-two times the limit in many files",
        programs=(_DISK,), judge=_most("WRITTEN", LIMITS.scratch, _BYTES),
    ),
    Attack(
        name="fill the disk unseen", group="resources", what="files without a name, and space that no size shows",
        programs=(_HIDDEN_DISK,), judge=_most("WRITTEN", LIMITS.scratch, _BYTES),
    ),
    Attack(name="one big file", group="resources", what="a file of 1 GiB", programs=(_BIG_FILE,), judge=door_opened),
    Attack(
        name="many files", group="resources", what="fifty thousand empty files",
        programs=(_FILES,), judge=_most("MADE", LIMITS.files, _ENTRIES),
    ),
    Attack(
        name="endless loop", group="resources", what="seven that never end, in Python, in C, asleep, with every signal blocked",
        programs=_LOOPS, judge=_stopped_in_time, seconds=0.4,
    ),
    Attack(
        name="huge output", group="resources", what="print, return and raise 64 MiB; write to the raw descriptors",
        programs=_OUTPUT, judge=_output_kept_short, seconds=4.0,
    ),
    Attack(
        name="flood the wire", group="resources", what="send well-formed output for ever",
        programs=(_FLOOD,), judge=_output_kept_short, seconds=0.5,
    ),
)  # fmt: skip
