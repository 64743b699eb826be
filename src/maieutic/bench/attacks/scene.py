"""What attacks are aimed at: a secret file, an open folder, a victim process with a secret of its own, and the lab's calls.

The victim is a child of this process, by the same user: it keeps the secret in its environment, its command line and its
memory, listens on every kind of local address and tells what reached it. Everything is gone when the scene is closed.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import secrets
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

import maieutic

#: a variable of the environment that must not be inherited
KEY = "MAIEUTIC_ATTACK_KEY"

_VICTIM = """\
import ctypes, json, os, select, signal, socket, sys
touched = set()
signal.signal(signal.SIGUSR1, lambda *_: touched.add("signal"))
memory = ctypes.create_string_buffer(os.environ["MAIEUTIC_ATTACK_KEY"].encode())
def listening(kind, family, address, stream):
    try:
        s = socket.socket(family, socket.SOCK_STREAM if stream else socket.SOCK_DGRAM)
        s.bind(address)
    except OSError:
        return None
    if stream:
        s.listen(8)
    s.setblocking(False)
    names[s] = kind
    return s.getsockname()
names = {}
folder, nonce = sys.argv[1:3]
told = {
    "pid": os.getpid(), "address": ctypes.addressof(memory), "size": len(memory.value),
    "tcp": listening("tcp", socket.AF_INET, ("127.0.0.1", 0), True),
    "tcp6": listening("tcp", socket.AF_INET6, ("::1", 0), True),
    "udp": listening("udp", socket.AF_INET, ("127.0.0.1", 0), False),
    "path": listening("unix", socket.AF_UNIX, folder + "/socket", True),
    "datagram": listening("unix", socket.AF_UNIX, folder + "/datagram", False),
    "abstract": None,
}
if sys.platform == "linux":
    listening("abstract", socket.AF_UNIX, "\\0" + nonce, True)
    told["abstract"] = nonce
for name in ("socket", "datagram"):
    os.chmod(folder + "/" + name, 0o777)
print(json.dumps(told), flush=True)
while True:
    ready, _, _ = select.select([sys.stdin, *names], [], [])
    for s in ready:
        if s is not sys.stdin:
            touched.add(names[s])
            try:
                s.accept()[0].close() if s.type == socket.SOCK_STREAM else s.recv(64)
            except OSError:
                pass
    if sys.stdin in ready:
        if not sys.stdin.readline():
            break
        print(json.dumps(sorted(touched)), flush=True)
        touched.clear()
"""


class Scene:
    """Use it as a context. Programs learn ``facts``; ``secret`` is what they are after."""

    def __init__(self) -> None:
        self.secret, self.nonce = secrets.token_hex(16), f"mj{secrets.token_hex(6)}"
        #: calls of the lab that were served, with what they were given
        self.served: list[tuple[str, Any]] = []
        self._before = os.environ.get(KEY)

    def __enter__(self) -> Scene:
        self.folder = Path(tempfile.mkdtemp(prefix="maieutic-attack-"))
        self.file = self.folder / "secret.txt"
        self.file.write_text(self.secret, encoding="utf-8")
        self.file.chmod(0o666)
        self.folder.chmod(0o777)
        (self.folder / f"named-{self.secret}").touch()
        os.environ[KEY] = self.secret
        self._inherited = os.open(self.file, os.O_RDONLY)
        os.set_inheritable(self._inherited, True)
        self._victim = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _VICTIM, str(self.folder), self.nonce, self.secret],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
        )  # fmt: skip
        self._told: dict[str, Any] = json.loads(self._line())
        self._state = self._outside()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.environ.pop(KEY, None)
        if self._before is not None:
            os.environ[KEY] = self._before
        os.close(self._inherited)
        self._victim.kill()
        self._victim.communicate()
        shutil.rmtree(self.folder, ignore_errors=True)
        for place in (tempfile.gettempdir(), "/tmp", "/dev/shm", "/"):  # what an attack that got out has left
            for left in Path(place).glob(f"{self.nonce}*"):
                shutil.rmtree(left) if left.is_dir() and not left.is_symlink() else left.unlink()

    def facts(self) -> dict[str, Any]:
        """Everything a program needs to aim, but the secret."""
        package = Path(maieutic.__file__)
        return {
            "folder": str(self.folder), "file": str(self.file), "nonce": self.nonce, "host": os.getpid(),
            "package": str(package), "site": str(Path(json.__file__).parent.parent / "site-packages"),
            "packages": [p for p in sys.path if p.endswith("site-packages")], "victim": self._told, "key": KEY,
        }  # fmt: skip

    def serve(self, name: str, value: Any = None) -> Any:
        """The lab's one call in a scene: notes what it was given and gives it back."""
        self.served.append((name, value))
        return value

    def reached(self) -> list[str]:
        """How the victim was reached since it was last asked; ``gone`` when it is no more."""
        if self._victim.poll() is not None:
            return ["gone"]
        assert self._victim.stdin is not None
        self._victim.stdin.write("?\n")
        found: list[str] = json.loads(self._line())
        return found

    def changed(self) -> str:
        """What is not as it was in the open folder and around it; empty when nothing is."""
        now, before = self._outside(), self._state
        self._state = now
        return "; ".join(f"{what} changed" for what in before if before[what] != now[what])

    def survivors(self) -> list[int]:
        """Processes that call themselves by the scene's name."""
        found: list[int] = []
        for entry in Path("/proc").iterdir() if Path("/proc").is_dir() else ():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and (entry / "comm").read_text(encoding="utf-8").strip() == self.nonce:
                    found.append(int(entry.name))
        return found

    def _line(self) -> str:
        assert self._victim.stdout is not None
        return self._victim.stdout.readline()

    def _outside(self) -> dict[str, Any]:
        pid = self._told["pid"]
        status, home = os.stat(self.file) if self.file.exists() else None, Path(tempfile.gettempdir())
        return {
            "the open folder": sorted(p.name for p in self.folder.iterdir()),
            "the secret file": status and (status.st_mode, status.st_size, status.st_mtime_ns, status.st_nlink),
            "the temporary folder": sorted(p.name for p in home.iterdir() if self.nonce in p.name),
            "the root folder": sorted(p.name for p in Path("/").iterdir() if self.nonce in p.name),
            "the victim's limits": resource.prlimit(pid, resource.RLIMIT_NOFILE) if sys.platform == "linux" else None,
            "the victim's priority": os.getpriority(os.PRIO_PROCESS, pid),
            "the victim's processors": sorted(os.sched_getaffinity(pid)) if sys.platform == "linux" else None,
        }
