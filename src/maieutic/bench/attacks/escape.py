"""Attacks on the jail itself: namespaces, mounts, privileges, rarely used kernel interfaces."""

from __future__ import annotations

from maieutic.bench.attacks.attack import Attack, door_opened, either, secret_printed

_C = """
import ctypes, platform
c = ctypes.CDLL(None, use_errno=True)
def ask(number, *arguments):
    ctypes.set_errno(0)
    found = c.syscall(number, *arguments)
    return found, ctypes.get_errno()
X = platform.machine() == "x86_64"
"""

_NAMESPACES = (
    _C
    + """
for name, flag in (("user", 0x10000000), ("mount", 0x20000), ("network", 0x40000000), ("process", 0x20000000),
                   ("host name", 0x4000000)):
    if c.unshare(flag) == 0:
        opened("a new " + name + " namespace")
for name in ("net", "mnt", "pid", "user"):
    try:
        if c.setns(os.open(f"/proc/1/ns/{name}", os.O_RDONLY), 0) == 0:
            opened("the " + name + " namespace of process 1")
    except OSError as error:
        print(error)
"""
)

# what succeeds is undone at once: a folder is mounted over itself in scratch and taken off again
_MOUNTS = (
    _C
    + """
attempt(os.mkdir, "mounted")
if c.mount(b"tmpfs", b"mounted", b"tmpfs", 0, b"size=4096") == 0:
    c.umount2(b"mounted", 2)
    opened("a mount")
if c.mount(b"/", b"mounted", None, 4096, None) == 0:
    print(attempt(lambda: open("mounted" + S["file"]).read()))
    c.umount2(b"mounted", 2)
    opened("the root mounted again")
if c.chroot(b".") == 0:
    opened("another root")
for number in (428, 429, 430, 442):  # open_tree, move_mount, fsopen, mount_setattr
    found, error = ask(number, -1, None, 0, 0, 0)
    if error not in (1, 38):
        opened("mount call %d" % number)
"""
)

_PRIVILEGES = (
    _C
    + """
if attempt(lambda: os.setuid(0) is None) and os.getuid() == 0:
    opened("root")
if attempt(lambda: os.setgroups([0]) is None):
    opened("groups")
import socket
if attempt(lambda: socket.sethostname(socket.gethostname()) is None):
    opened("the host's name")
if c.prctl(38, 0, 0, 0, 0) == 0:
    opened("new privileges")
if c.personality(0x0400000) not in (-1,):
    opened("another personality")
if attempt(lambda: os.nice(-5) is not None):
    opened("a higher priority")
if attempt(lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)) is None):
    opened("real-time scheduling")
"""
)

# arguments are wrong on purpose: an answer other than "not permitted" or "unknown" means that the kernel looked at them
_KERNEL = (
    _C
    + """
calls = {"io_uring": 425, "pidfd_getfd": 438, "landlock": 444, "openat2": 437, "clone3": 435, "process_madvise": 440}
if X:
    calls |= {"bpf": 321, "perf_event_open": 298, "keyctl": 250, "add_key": 248, "userfaultfd": 323, "open_by_handle_at": 304,
              "init_module": 175, "kexec_load": 246, "ioperm": 173, "quotactl": 179, "swapon": 167, "reboot": 169, "syslog": 103,
              "modify_ldt": 154, "iopl": 172, "vmsplice": 278, "splice": 275, "memfd_create": 319, "inotify_init1": 294,
              "fanotify_init": 300, "mq_open": 240, "kcmp": 312, "ptrace": 101, "name_to_handle_at": 303, "acct": 163}
for name, number in calls.items():
    found, error = ask(number, -1, -1, -1, -1, -1)
    if error not in (1, 38):
        opened(name)
"""
)

# the older way to ask the kernel on this machine would evade a filter that looks at numbers alone
_OTHER_DOORS = (
    _C
    + """
if X:
    found, error = ask(0x40000000 + 39)
    if error == 0:
        opened("the second set of numbers")
else:
    found, error = ask(10_000)
print("HERE")
"""
)

_OLD_DOOR = """
import ctypes, mmap, platform
if platform.machine() == "x86_64":
    page = mmap.mmap(-1, 4096, prot=7)
    page.write(bytes.fromhex("53b814000000cd805bc3"))  # int 0x80, number 20 there: process id
    function = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
    if function() > 0:
        opened("the older way to ask the kernel")
"""

ESCAPE: tuple[Attack, ...] = (
    Attack(
        name="new namespaces", group="escape", what="unshare and setns of every kind",
        programs=(_NAMESPACES,), judge=door_opened,
    ),
    Attack(
        name="mounts and roots", group="escape", what="mount, chroot and the newer mount calls",
        programs=(_MOUNTS,), judge=either(secret_printed, door_opened),
    ),
    Attack(
        name="privileges", group="escape", what="root, groups, host name, priority, scheduling",
        programs=(_PRIVILEGES,), judge=door_opened,
    ),
    Attack(
        name="kernel interfaces", group="escape", what="thirty calls that experiments never need, from bpf to io_uring",
        programs=(_KERNEL,), judge=door_opened,
    ),
    Attack(
        name="other doors to the kernel", group="escape", what="32-bit calls and the x32 numbers",
        programs=(_OTHER_DOORS, _OLD_DOOR), judge=door_opened,
    ),
)  # fmt: skip
