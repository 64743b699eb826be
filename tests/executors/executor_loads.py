"""Work for executors under test; workers import it by name, as they do a room's own functions."""

from __future__ import annotations

import atexit
import ctypes
import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from maieutic.errors import StoreError, UserError


def note(folder: str, name: str) -> None:
    """Append this process's number to a file of a folder (short appends are whole)."""
    with open(Path(folder) / name, "a") as file:
        file.write(f"{os.getpid()}\n")


def noted(folder: Path, name: str) -> list[int]:
    file = folder / name
    return [int(line) for line in file.read_text().split()] if file.exists() else []


# --- states --------------------------------------------------------------------------------------------------------
def factor(*, factor: int, folder: str | None = None) -> dict[str, Any]:
    if folder is not None:
        note(folder, "prepared")
    return {"factor": factor, "folder": folder, "seen": []}


def makes_a_folder() -> str:
    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)
    return folder.name


def tells_state(state: Any, job: Any) -> Any:
    return state


def no_state(*, kind: str) -> Any:
    if kind == "user":
        raise UserError("no corpus at x: give another")
    if kind == "store":
        raise StoreError("the run folder is newer")
    if kind == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    raise KeyError(kind)


def network(*, seed: int) -> Any:
    import torch

    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Linear(64, 96), torch.nn.GELU(), torch.nn.Linear(96, 64))


# --- jobs ----------------------------------------------------------------------------------------------------------
def times(state: dict[str, Any], job: int) -> int:
    return state["factor"] * job


def where(state: Any, job: float) -> int:
    time.sleep(job)
    return os.getpid()


def seen(state: dict[str, Any], job: int) -> list[int]:
    state["seen"].append(job)
    return list(state["seen"])


def fails(state: Any, job: str) -> str:
    match job:
        case "value":
            raise ValueError("two\n  lines")
        case "user":
            raise UserError("no unit 7: choose another")
        case "exit":
            sys.exit(3)
        case "store":
            raise StoreError("the store is locked")
        case "lambda":
            return lambda: job  # type: ignore[return-value]
        case _:
            return job


def dies(state: dict[str, Any], job: tuple[int, str]) -> int:
    """``always``: kills its worker; ``once``: the first time; anything else: gives its number."""
    number, kind = job
    folder = state["folder"]
    first = not noted(Path(folder), f"job{number}")
    note(folder, f"job{number}")
    if kind == "always" or (kind == "once" and first):
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "segfault" and first:
        ctypes.string_at(0)
    if kind == "slow":
        time.sleep(0.3)
    return number


def noted_sleep(state: dict[str, Any], job: float) -> None:
    note(state["folder"], "sleeping")
    time.sleep(job)


def prints(state: Any, job: str) -> str:
    print(job)
    os.system("echo from a child")
    return sys.stdin.read()


def forward(state: Any, job: int) -> tuple[bytes, int, str | None]:
    import torch

    with torch.no_grad():
        found = state(torch.randn(8, 64, generator=torch.Generator().manual_seed(job)))
    return found.numpy().tobytes(), torch.get_num_threads(), os.environ.get("OMP_NUM_THREADS")


def node(state: Any, job: float) -> str:
    import ray

    time.sleep(job)
    return ray.get_runtime_context().get_node_id()


def crowded(*, folder: str) -> dict[str, Any]:
    """Only the first worker has room."""
    note(folder, "prepared")
    if noted(Path(folder), "prepared")[0] != os.getpid():
        os.kill(os.getpid(), signal.SIGKILL)
    return {"folder": folder}


def fails_late(*, folder: str) -> dict[str, Any]:
    """All but the first fail after a while."""
    note(folder, "prepared")
    if noted(Path(folder), "prepared")[0] != os.getpid():
        time.sleep(0.4)
        raise KeyError("late")
    return {"folder": folder}


def once_prepared(state: dict[str, Any], workers: int) -> None:
    """Wait until so many workers have been prepared, dead ones included."""
    while len(noted(Path(state["folder"]), "prepared")) < workers:
        time.sleep(0.01)
    note(state["folder"], "waited")
    time.sleep(0.03)


def devices(state: Any, job: float) -> str | None:
    time.sleep(job)
    return os.environ.get("CUDA_VISIBLE_DEVICES")
