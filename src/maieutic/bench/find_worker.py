"""The process in which foreign functions run. Started by ``find_sandbox`` as a script of its own; imports nothing of maieutic.

Reads one JSON request a line, forks a child for it, and writes one JSON answer a line. The child alone runs foreign code, with
limits on processor time, memory, files it may write (none) and open files; it is killed when its time is up.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import json
import os
import resource
import select
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

Answer = dict[str, Any]


def main() -> None:
    """Serve until the input ends."""
    _warm()
    for line in sys.stdin:
        request: dict[str, Any] = json.loads(line)
        sys.stdout.write(json.dumps(_answer(request)) + "\n")
        sys.stdout.flush()


def _warm() -> None:
    """What most functions import, once, so that each child has it already."""
    for name in ("numpy", "scipy.signal", "scipy.special"):
        with contextlib.suppress(ImportError):
            __import__(name)


def _answer(request: dict[str, Any]) -> Answer:
    """Run one request in a child; whatever becomes of the child, there is an answer."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _child(request, writer)
    os.close(writer)
    body, alive = _drain(reader, time.monotonic() + request["seconds"])
    os.close(reader)
    if alive:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if alive:
        return {"error": f"took longer than {request['seconds']:g} s"}
    try:
        found: Answer = json.loads(body)
    except ValueError:
        return {"error": f"ended early (status {status}): it may have used too much memory or processor time"}
    return found


def _drain(reader: int, until: float) -> tuple[bytes, bool]:
    """Everything the child writes, and whether it was still at it when its time was up."""
    parts: list[bytes] = []
    while (left := until - time.monotonic()) > 0:
        ready, _, _ = select.select([reader], [], [], left)
        if not ready:
            break
        part = os.read(reader, 1 << 16)
        if not part:
            return b"".join(parts), False
        parts.append(part)
    return b"".join(parts), True


def _child(request: dict[str, Any], writer: int) -> None:
    """Never returns."""
    try:
        answer = _run(request)
    except BaseException as error:  # foreign code may raise anything, SystemExit too
        answer = {"error": _line(error)}
    try:
        with os.fdopen(writer, "w", encoding="utf-8", errors="surrogatepass") as out:
            json.dump(answer, out)
    finally:
        os._exit(0)


def _run(request: dict[str, Any]) -> Answer:
    sink = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(sink, stream)
    limits = {
        resource.RLIMIT_CPU: int(request["seconds"]) + 1,
        resource.RLIMIT_AS: request["bytes"],
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NOFILE: 64,
        resource.RLIMIT_CORE: 0,
    }
    for which, most in limits.items():
        resource.setrlimit(which, (most, most))
    function = _function(request)
    encode = _text if request["kind"] == "strings" else _number
    return {"outputs": [_one(function, value, encode) for value in request["inputs"]]}


def _function(request: dict[str, Any]) -> Callable[[Any], Any]:
    names: dict[str, Any] = {"__name__": "served", "__file__": request["file"]}
    if "torch.load" in request["source"]:  # weights that were saved on a GPU
        import torch

        torch.load = functools.partial(torch.load, map_location="cpu")
    exec(compile(request["source"], request["file"], "exec"), names)
    return _composed(names, request["spec"]) if request["spec"] else names["function"]


def _composed(names: dict[str, Any], spec: dict[str, Any]) -> Callable[[Any], Any]:
    """A function by its recipe: one or two named functions of the module with their parameters, and how they join."""
    *parts, last = str(spec["name"]).partition("(")[0].split(";")
    if not parts:
        return _bound(names, last, spec["params"])
    inner = [_bound(names, part, given) for part, given in zip(parts, spec["params"], strict=True)]
    join = names[last]
    return lambda x: join(*inner, x)


def _bound(names: dict[str, Any], name: str, given: Any) -> Callable[[Any], Any]:
    """The module's function with every parameter but ``x`` filled in, in order."""
    function = names[name] if name in names else names[f"{name}_fct"]
    free = [p for p in inspect.signature(function).parameters if p != "x"]
    values = [] if given is None else list(given) if isinstance(given, list) and len(given) == len(free) else [given]
    if len(values) != len(free):
        raise ValueError(f"{name} takes {len(free)} parameters, the recipe has {len(values)}")
    return lambda x: function(**dict(zip(free, values, strict=True)), x=x)


def _one(function: Callable[[Any], Any], value: Any, encode: Callable[[Any], Any]) -> Answer:
    try:
        return {"v": encode(function(value))}
    except Exception as error:
        return {"e": _line(error)}


def _text(value: Any) -> str:
    return str(value)


def _number(value: Any) -> list[float]:
    """Real and imaginary part; NaN and infinity pass as JSON's extension that Python reads."""
    found = complex(value.item() if hasattr(value, "item") else value)
    return [found.real, found.imag]


def _line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"


if __name__ == "__main__":
    main()
