"""Which files a jailed interpreter needs: the binary, its standard library, a few packages, the system's shared libraries.

Nothing else of the machine goes in: no ``/etc``, no home, no repository, no other installed packages.
"""

from __future__ import annotations

import marshal
import os
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

from maieutic.errors import UserError

#: package -> folders that stand beside it and hold its shared libraries
_BESIDE = {"numpy": ("numpy.libs",), "PIL": ("pillow.libs",), "scipy": ("scipy.libs",)}
_ELSEWHERE = ("site-packages", "dist-packages")
#: in this order: each may import those before it
_INSIDE = ("wire", "syscalls", "confine", "probe", "inside")
_ROOM = "maieutic.lab.worker"

#: all that is given to the interpreter on its command line: read the real program from standard input and start it
BOOT = """\
import marshal, os, sys, types
def exactly(size):
    parts = b""
    while len(parts) < size:
        part = os.read(0, size - len(parts))
        if not part:
            os._exit(0)
        parts += part
    return parts
settings, modules = marshal.loads(exactly(int.from_bytes(exactly(8), "big")))
room = sys.modules["ROOM"] = types.ModuleType("ROOM")
for name, code in modules:
    module = sys.modules["ROOM." + name] = types.ModuleType("ROOM." + name)
    setattr(room, name, module)
    exec(code, module.__dict__)
module.main(settings)
""".replace("ROOM", _ROOM)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """Paths on the host.

    Attributes:
        binary: the interpreter itself, no link and no virtual environment.
        stdlib: folder of the standard library.
        libraries: shared libraries of the interpreter's own installation.
        system: folders of the system's shared libraries.
    """

    binary: Path
    stdlib: Path
    libraries: tuple[Path, ...]
    system: tuple[Path, ...]


@lru_cache(maxsize=1)
def interpreter() -> Interpreter:
    """The interpreter that runs this process."""
    base = Path(sys.base_prefix)
    binary = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
    stdlib = Path(sysconfig.get_path("stdlib")).resolve()
    triple = sysconfig.get_config_var("MULTIARCH") or ""
    many = [Path(p) for p in (f"/usr/lib/{triple}", f"/lib/{triple}") if triple and Path(p).is_dir()]
    system = [*(many or [Path("/usr/lib"), Path("/lib")]), Path("/usr/lib64"), Path("/lib64")]
    own = () if base == Path("/usr") else tuple(sorted((base / "lib").glob("lib*.so*")))
    kept = dict.fromkeys(p.resolve() for p in system if p.is_dir())
    return Interpreter(binary=binary, stdlib=stdlib, libraries=own, system=tuple(kept))


@lru_cache(maxsize=8)
def package_folders(names: Sequence[str]) -> tuple[tuple[str, Path], ...]:
    """Folders of packages, and of the shared libraries beside them, by the name they must keep.

    Raises:
        UserError: a package is not installed, or is no folder.
    """
    found: list[tuple[str, Path]] = []
    for name in names:
        spec = find_spec(name)
        places = list(spec.submodule_search_locations or ()) if spec else []
        if not places:
            raise UserError(
                f"a jailed program may import {name!r}, but no such package is installed: install it, or leave it out"
            )
        folder = Path(places[0]).resolve()
        beside = [folder.parent / b for b in _BESIDE.get(name, ())]
        found += [(p.name, p) for p in (folder, *beside) if p.is_dir()]
    return tuple(found)


@lru_cache(maxsize=1)
def library_entries() -> tuple[Path, ...]:
    """Everything in the folder of the standard library but packages that were installed into it."""
    stdlib = interpreter().stdlib
    return tuple(sorted(Path(e.path) for e in os.scandir(stdlib) if e.name not in _ELSEWHERE))


@lru_cache(maxsize=2)
def payload(*, compiled: bool = True) -> tuple[tuple[str, object], ...]:
    """The worker's program, module by module: as code for this very interpreter, or as source for any other."""
    sources = [(n, Path(__file__).with_name(f"{n}.py").read_text(encoding="utf-8")) for n in _INSIDE]
    return tuple((n, compile(s, f"<{n}>", "exec", dont_inherit=True) if compiled else s) for n, s in sources)


def boot_message(settings: dict[str, object], *, compiled: bool = True) -> bytes:
    """What ``BOOT`` reads: settings and program. Only ever sent by the host, to a process that has run nothing yet."""
    data = marshal.dumps(cast(Any, (settings, payload(compiled=compiled))))
    return len(data).to_bytes(8, "big") + data
