"""Attacks on the network and on other ways to talk: TCP, UDP, local sockets, rarer families, kernel message queues."""

from __future__ import annotations

from collections.abc import Sequence

from maieutic.bench.attacks.attack import Attack, Judge, door_opened
from maieutic.bench.attacks.scene import Scene
from maieutic.lab.worker import Ran

_STREAM = """
import socket
def reach(family, address):
    s = socket.socket(family, socket.SOCK_STREAM)
    s.settimeout(1)
    s.connect(address)
    s.send(b"hello")
"""
_TCP = (
    _STREAM
    + """
v = S["victim"]
attempt(reach, socket.AF_INET, tuple(v["tcp"]))
if v["tcp6"]:
    attempt(reach, socket.AF_INET6, tuple(v["tcp6"]))
def fast_open():
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    s.sendto(b"hello", 0x20000000, tuple(v["tcp"]))
attempt(fast_open)
"""
)
_UDP = """
import socket
def send():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.sendto(b"hello", tuple(S["victim"]["udp"]))
attempt(send)
"""
_PATH = (
    _STREAM
    + """
attempt(reach, socket.AF_UNIX, S["victim"]["path"])
def send():
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    s.sendto(b"hello", S["victim"]["datagram"])
attempt(send)
"""
)
_ABSTRACT = (
    _STREAM
    + """
if S["victim"]["abstract"]:
    attempt(reach, socket.AF_UNIX, "\\0" + S["victim"]["abstract"])
"""
)
_RARE = """
import socket
for name, family, kind in (("AF_NETLINK", 16, 3), ("AF_PACKET", 17, 3), ("AF_ALG", 38, 5), ("AF_VSOCK", 40, 1), ("AF_KEY", 15, 3),
                           ("AF_BLUETOOTH", 31, 3), ("AF_XDP", 44, 3), ("raw ICMP", 2, 3)):
    if attempt(lambda: socket.socket(family, kind, 2 if family in (15, 2) else 0)) is not None:
        opened(name)
if attempt(socket.socketpair) is not None:
    opened("socketpair")
"""
_LISTEN = """
import socket
s = attempt(lambda: socket.create_server(("127.0.0.1", 0)))
if s is not None:
    opened("a server on port %d" % s.getsockname()[1])
"""
_QUEUES = """
import ctypes
c = ctypes.CDLL(None, use_errno=True)
key = int(S["nonce"][2:9], 16)
number = c.shmget(key, 4096, 0o1666)
if number >= 0:
    opened("shared memory")
    c.shmctl(number, 0, None)
number = c.msgget(key, 0o1666)
if number >= 0:
    opened("a message queue")
    c.msgctl(number, 0, None)
number = c.semget(key, 1, 0o1666)
if number >= 0:
    opened("semaphores")
    c.semctl(number, 0, 0)
"""


def _reached(*ways: str) -> Judge:
    def judge(scene: Scene, ran: Sequence[Ran]) -> str:
        touched = [t for t in scene.reached() if t in (*ways, "gone")]
        return f"the victim was reached ({', '.join(touched)})" if touched else ""

    return judge


NETWORK: tuple[Attack, ...] = (
    Attack(name="TCP", group="network", what="connect to a local port, IPv4 and IPv6", programs=(_TCP,), judge=_reached("tcp")),
    Attack(name="UDP", group="network", what="send to a local port", programs=(_UDP,), judge=_reached("udp")),
    Attack(
        name="unix sockets", group="network", what="connect and send to sockets that lie in an open folder",
        programs=(_PATH,), judge=_reached("unix"),
    ),
    Attack(
        name="abstract sockets", group="network", what="connect to a socket without a file",
        programs=(_ABSTRACT,), judge=_reached("abstract"),
    ),
    Attack(
        name="rare sockets", group="network", what="netlink, packet, crypto, virtual machine, raw and other families",
        programs=(_RARE,), judge=door_opened,
    ),
    Attack(name="listen", group="network", what="open a port for others", programs=(_LISTEN,), judge=door_opened),
    Attack(
        name="System V queues", group="network", what="shared memory, message queues and semaphores by key",
        programs=(_QUEUES,), judge=door_opened,
    ),
)  # fmt: skip
