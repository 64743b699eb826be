"""Run functions that others wrote in a process of their own.

Protected: this process (its memory, its environment with keys in it, its working folder), the machine against a function that
never ends, eats memory or fills the disk: every request runs in a fresh child with limits on time, processor time, memory, open
files and written bytes (none), started isolated (``python -I``) with an empty environment in an empty folder.

Not protected: the child is the same user on the same machine. It may read that user's files and use the network. For code that
you would not run yourself, run the whole bench in a container or a virtual machine.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from maieutic.bench.find_box import Failed, Kind
from maieutic.errors import UserError

_WORKER = Path(__file__).with_name("find_worker.py")
#: limits of one request
SECONDS, BYTES = 60.0, 6 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """A function in somebody else's source.

    Attributes:
        source: Python that defines ``function``, or the parts that ``spec`` names.
        file: where the source believes it lies (it may read files beside it).
        spec: a recipe ``{"name": "f;g;join", "params": [...]}`` over the functions that the source defines.
    """

    source: str
    file: str = "served.py"
    spec: Mapping[str, Any] | None = None


class Sandbox:
    """A worker that runs ``Code``. Use it as a context; it starts with the first call and again after a crash."""

    def __init__(self, *, seconds: float = SECONDS, memory: int = BYTES) -> None:
        self._seconds, self._bytes = seconds, memory
        self._worker: subprocess.Popen[str] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        if self._worker is not None:
            self._worker.kill()
            self._worker.communicate()
            self._worker = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def call(self, code: Code, inputs: Sequence[Any], *, kind: Kind) -> list[Any]:
        """One output per input: a string or a (complex) number; ``Failed`` for an input on which the function raised.

        Raises:
            UserError: the function could not be loaded, or broke a limit.
        """
        request = {
            "source": code.source, "file": code.file, "spec": None if code.spec is None else dict(code.spec),
            "inputs": list(inputs), "kind": kind, "seconds": self._seconds, "bytes": self._bytes,
        }  # fmt: skip
        answer = self._ask(json.dumps(request))
        if "error" in answer:
            raise UserError(f"the function could not be run ({answer['error']}): look at {code.file}")
        return [_read(row, kind) for row in answer["outputs"]]

    def _ask(self, line: str) -> dict[str, Any]:
        worker = self._started()
        assert worker.stdin is not None
        assert worker.stdout is not None
        try:
            worker.stdin.write(line + "\n")
            worker.stdin.flush()
            said = worker.stdout.readline()
        except OSError as error:
            said = ""
            trouble = str(error)
        else:
            trouble = "it stopped"
        if not said:
            self.close()
            return {"error": f"the worker ended: {trouble}"}
        found: dict[str, Any] = json.loads(said)
        return found

    def _started(self) -> subprocess.Popen[str]:
        if self._worker is None or self._worker.poll() is not None:
            self.close()
            self._folder = tempfile.TemporaryDirectory(prefix="maieutic-box-")
            self._worker = subprocess.Popen(
                [sys.executable, "-I", "-B", str(_WORKER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL, text=True, encoding="utf-8", errors="surrogatepass", cwd=self._folder.name,
                env={"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONUTF8": "1"},
            )  # fmt: skip
        return self._worker


def _read(row: Mapping[str, Any], kind: Kind) -> Any:
    if "e" in row:
        return Failed(str(row["e"]))
    if kind == "strings":
        return str(row["v"])
    real, imaginary = row["v"]
    return float(real) if imaginary == 0 or math.isnan(imaginary) else complex(real, imaginary)


@dataclass(frozen=True, kw_only=True)
class ServedBox:
    """A function in the sandbox as a black box."""

    name: str
    kind: Kind
    code: Code
    sandbox: Sandbox = field(repr=False)

    def call(self, inputs: Sequence[Any], /) -> list[Any]:
        return self.sandbox.call(self.code, inputs, kind=self.kind)
