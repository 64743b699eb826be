"""Monitors on disk: ``monitor.json`` says what it is, ``weights.safetensors`` holds its numbers. Never pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from maieutic.errors import UserError
from maieutic.store.files import read_tensors, write_tensors, writing

#: a later version that cannot read an older monitor must say so
VERSION = 1


def write_monitor(
    folder: Path, kind: str, about: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]] | None = None
) -> None:
    """Write a monitor, its description last, so that a folder with one is whole.

    Raises:
        StoreError: the folder cannot be written.
    """
    if arrays:
        write_tensors(folder / "weights.safetensors", arrays)
    text = json.dumps({"maieutic_monitor": VERSION, "kind": kind, **about}, indent=1, ensure_ascii=False)
    with writing(folder / "monitor.json") as part:
        part.write_text(text, encoding="utf-8")


def read_about(folder: Path) -> dict[str, Any]:
    """The description of a monitor.

    Raises:
        UserError: there is none, or one that this version does not know.
    """
    file = folder / "monitor.json"
    try:
        about = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{folder} holds no monitor ({error}): make one with  maieutic monitor fit") from error
    if not isinstance(about, dict) or about.get("maieutic_monitor") != VERSION:
        raise UserError(f"{file} is of another version than {VERSION}: fit the monitor again")
    return about


def read_arrays(folder: Path) -> dict[str, NDArray[Any]]:
    """Its numbers.

    Raises:
        StoreError: they are missing or damaged.
    """
    return read_tensors(folder / "weights.safetensors")[0]
