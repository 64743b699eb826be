"""Programs in processes of their own that are killed with SIGKILL at the N-th step of a verb, and what they leave."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from maieutic.progress import Report, Step
from maieutic.store import Store


def killing(verb: str, at: int) -> Report:
    """A report that kills its process with the ``at``-th step of a verb; used inside the program."""
    seen: dict[str, int] = {}

    @contextmanager
    def report(name: str, what: str) -> Generator[Step]:
        def step(done: int, total: int, /, note: str = "") -> None:
            seen[name] = seen.get(name, 0) + 1
            if name == verb and seen[name] == at:
                os.kill(os.getpid(), signal.SIGKILL)

        yield step

    return report


def run_program(program: str, *given: object, kill: str = "none:0") -> int:
    """Run a program with arguments; it finds ``report`` and ``given`` made. Its exit status, -9 when it was killed."""
    verb, _, at = kill.partition(":")
    head = f"""
        import sys
        import torch
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from killing import killing
        torch.set_num_threads(1)
        report, given = killing({verb!r}, {int(at)}), sys.argv[1:]
    """
    source = textwrap.dedent(head) + textwrap.dedent(program)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run([sys.executable, "-c", source, *map(str, given)], env=environment, check=False).returncode


def digest(folder: Path) -> dict[str, str]:
    """Of a run's store."""
    with Store.open(folder) as store:
        return store.digest()
