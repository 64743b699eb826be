"""The host's judgement of a fresh worker: is the jail what it is meant to be on this machine? If not, it is refused.

From inside come the attempts of ``probe``; from outside, where the kernel tells, the process's own state. This shows that the
jail was built as meant. It does not show that it has no holes; the attack suite looks for those.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

#: the only variables a program finds: one thread for products, nothing of ours
ENVIRONMENT: Mapping[str, str] = {
    "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "HOME": "/scratch", "LC_CTYPE": "C.UTF-8",
}  # fmt: skip


#: variables that a jail or the interpreter sets by itself
_HARMLESS = frozenset(("PWD", "HOME", "PATH", "HOSTNAME", "LANG", "LD_LIBRARY_PATH", *ENVIRONMENT))


@contextlib.contextmanager
def canary() -> Generator[str]:
    """A file that everyone on the machine may read, in a folder that everyone may list and write; gone afterwards."""
    folder = tempfile.mkdtemp(prefix="maieutic-canary-")
    try:
        os.chmod(folder, 0o777)
        file = Path(folder) / "secret"
        file.write_text("secret", encoding="utf-8")
        file.chmod(0o644)
        yield str(file)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def faults(found: Mapping[str, Any], *, pid: int | None) -> list[str]:
    """What is wrong with the jail, in words; empty when it is tight as far as this can tell.

    Args:
        found: what the worker reported of its attempts.
        pid: its process id on the host, where there is one.
    """
    wrong = {
        "read": "a file outside could be read",
        "listed": "a folder outside could be listed",
        "written": "a file outside the scratch folder could be written",
        "forked": "another process could be started",
    }
    out = [what for key, what in wrong.items() if found.get(key) is not False]
    sockets = found.get("sockets", ["of any kind"])
    out += [f"a socket ({', '.join(sockets)}) could be opened"] if sockets else []
    out += ["the scratch folder cannot be written"] if found.get("scratch") is not True else []
    leaked = [n for n in found.get("environment", os.environ) if n in os.environ and n not in _HARMLESS]
    out += [f"variables of the environment came along ({', '.join(leaked[:3])})"] if leaked else []
    out += ["open files came along"] if found.get("descriptors") != 0 else []
    out += ["it runs as root"] if found.get("user") == 0 else []
    return out + (_seen_from_outside(pid) if pid is not None else [])


def _seen_from_outside(pid: int) -> list[str]:
    """What the kernel says of the process: filter on, no privilege to gain, none held, not root."""
    try:
        text = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError as error:
        return [f"its state cannot be seen ({error.strerror})"]
    state = {key: value.split() for key, _, value in (line.partition(":") for line in text.splitlines())}
    out = ["no filter of system calls is on"] if state.get("Seccomp") != ["2"] else []
    out += ["it may gain privileges"] if state.get("NoNewPrivs") != ["1"] else []
    held = [n for n in ("CapPrm", "CapEff", "CapInh", "CapAmb") if int(state.get(n, ["1"])[0], 16)]
    out += [f"it holds capabilities ({', '.join(held)})"] if held else []
    return out + (["it runs as root outside"] if os.geteuid() == 0 and "0" in state.get("Uid", ["0"]) else [])
