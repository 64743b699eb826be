"""What a program of an explainer reaches for, read from its source: files, the environment, the network, other processes.

The source is parsed, never run; text inside strings is no code, so a stimulus that looks like a program is none. What this
module does not do: see through a program that hides what it does (``exec`` of built text, attributes by name). Such means
are told, since an experiment needs none of them. The jail is what holds; this only says who tried.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

What = Literal["network", "process", "environment", "file", "hiding"]

#: modules whose import is a try at something that a jail forbids and no experiment needs
_MODULES: Mapping[str, What] = {
    **dict.fromkeys(
        ("socket", "_socket", "ssl", "http", "urllib", "urllib3", "requests", "httpx", "aiohttp", "ftplib", "smtplib",
         "imaplib", "poplib", "telnetlib", "xmlrpc", "socketserver", "webbrowser", "paramiko", "select", "selectors"),
        "network",
    ),
    **dict.fromkeys(("subprocess", "multiprocessing", "ctypes", "pty", "signal", "resource", "mmap", "fcntl"), "process"),
}  # fmt: skip
#: parts of those modules that only rewrite text
_HARMLESS = frozenset({"urllib.parse"})
_CALLS: Mapping[str, What] = {
    "os.system": "process", "os.popen": "process", "os.fork": "process", "os.kill": "process", "os.getenv": "environment",
    "os.getenvb": "environment", "asyncio.open_connection": "network", "asyncio.create_subprocess_exec": "process",
    "asyncio.create_subprocess_shell": "process",
}  # fmt: skip
_ATTRIBUTES: Mapping[str, What] = {"os.environ": "environment", "os.environb": "environment"}
#: calls that look at or open a file; the first argument is its path
_OPENING = frozenset({
    "open", "io.open", "os.open", "os.listdir", "os.scandir", "os.walk", "os.stat", "os.lstat", "os.readlink", "os.chdir",
    "os.access", "os.path.exists", "os.path.isfile", "os.path.isdir", "os.path.getsize", "Path", "pathlib.Path", "glob.glob",
    "glob.iglob", "glob", "listdir", "scandir", "walk", "shutil.copy", "shutil.copyfile", "np.load", "np.loadtxt",
    "np.fromfile", "np.genfromtxt", "Image.open", "csv.reader", "json.load",
})  # fmt: skip
_OUTSIDE = (
    "/proc",
    "/etc",
    "/sys",
    "/dev",
    "/home",
    "/root",
    "/var",
    "/tmp",
    "/usr",
    "/opt",
    "/run",
    "/mnt",
    "..",
    "~",
)
_HIDING = frozenset({"exec", "eval", "compile", "__import__", "importlib.import_module", "globals", "vars"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Something a program reaches for: what, and the words of the program that do it."""

    what: What
    how: str


def reaches(source: str) -> list[Reach] | None:
    """Everything that a program reaches for, in the order of its source; ``None`` when it is no Python, so that it cannot run."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return None
    names = dict(_imported(tree))
    return [r for node in ast.walk(tree) for r in _of(node, names)]


def texts_in(source: str) -> list[str]:
    """The strings of a program."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return []
    return [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)]


def _imported(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Local name -> full name, of everything imported."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for a in node.names:
                yield a.asname or a.name.split(".")[0], a.name if a.asname else a.name.split(".")[0]
        elif isinstance(node, ast.ImportFrom):
            for a in node.names:
                yield a.asname or a.name, f"{node.module or ''}.{a.name}"


def _of(node: ast.AST, names: Mapping[str, str]) -> Iterator[Reach]:
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        modules = [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module or ""]
        for module in modules:
            what = _MODULES.get(module.split(".")[0])
            if what is not None and module not in _HARMLESS:
                yield Reach(what=what, how=f"import {module}")
    elif isinstance(node, ast.Attribute):
        name = _name(node, names)
        if name in _ATTRIBUTES:
            yield Reach(what=_ATTRIBUTES[name], how=name)
    elif isinstance(node, ast.Name) and names.get(node.id) in _ATTRIBUTES:
        yield Reach(what=_ATTRIBUTES[names[node.id]], how=names[node.id])
    elif isinstance(node, ast.Call):
        yield from _called(node, names)


def _called(node: ast.Call, names: Mapping[str, str]) -> Iterator[Reach]:
    name = _name(node.func, names)
    if name in _CALLS:
        yield Reach(what=_CALLS[name], how=f"{name}()")
    if name in _HIDING:
        yield Reach(what="hiding", how=f"{name}()")
    path = node.args[0] if node.args else None
    said = path.value if isinstance(path, ast.Constant) and isinstance(path.value, str) else None
    if name in _OPENING and said is not None and said.startswith(_OUTSIDE):
        yield Reach(what="file", how=f"{name}({said[:80]!r})")


def _name(node: ast.AST, names: Mapping[str, str]) -> str:
    """Dotted name with imports resolved; empty where there is none."""
    if isinstance(node, ast.Name):
        return names.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        inner = _name(node.value, names)
        return f"{inner}.{node.attr}" if inner else ""
    return ""
