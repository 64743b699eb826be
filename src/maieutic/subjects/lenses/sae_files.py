"""What a file that holds an SAE told, and how its parts are read: plain JSON and tensors, never pickles.

What this module does not do: know any format (`sae_formats`, `sae_gemma`), or say where an SAE belongs (`sae_sites`).
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from pydantic import BaseModel, ValidationError

from maieutic.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

    from maieutic.subjects.lenses.sae import Sae

#: the configuration of SAELens and of sparsify
CONFIG = "cfg.json"
_M = TypeVar("_M", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class SaeFile:
    """An SAE as it was read.

    Attributes:
        sae: its numbers.
        source: the folder or hub id. format: ``saelens``, ``sparsify``, ``gemma-scope`` or ``maieutic``.
        hook: where it was trained, in the words of its file; empty where it says nothing.
        site: the site in our words, where the file itself has it (ours), else empty.
        name: what to call its units, where the file has it.
        model: name of the model in the file.
        notes: what to be careful of, a line each.
        more: further facts that the file tells (``metadata.maieutic``).
    """

    sae: Sae
    source: str
    format: str
    hook: str = ""
    site: str = ""
    name: str = ""
    model: str = ""
    notes: tuple[str, ...] = ()
    more: Mapping[str, Any] = field(default_factory=dict[str, Any])


def read_json(file: Path) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
        UserError: it cannot be read, or is none.
    """
    try:
        found: object = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{file} cannot be read ({error}): download it again") from error
    if not isinstance(found, dict):
        raise UserError(f"{file} is no JSON object: download it again")
    return cast("dict[str, Any]", found)


def checked(model: type[_M], file: Path, raw: Mapping[str, Any]) -> _M:
    """What a configuration file says, in the types that it ought to have.

    Raises:
        UserError: something has another type; the first such place.
    """
    try:
        return model.model_validate(dict(raw))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(p) for p in first["loc"])
        raise UserError(f"{file}: {where}: {first['msg']}: download it again") from error


def read_tensors(file: Path) -> dict[str, Tensor]:
    """All tensors of a file (safetensors, or the plain arrays of an ``.npz``), float32, on the CPU.

    Raises:
        UserError: it cannot be read, or holds numbers that are not finite, or Python objects.
    """
    found = _arrays(file) if file.suffix == ".npz" else _safetensors(file)
    bad = next((n for n, t in found.items() if not bool(t.isfinite().all())), None)
    if bad is not None:
        raise UserError(f"{file}: {bad} holds numbers that are not finite: download it again")
    return found


def _safetensors(file: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="pt", device="cpu") as handle:
            opened = cast(Any, handle)
            return {name: opened.get_tensor(name).float() for name in opened.keys()}  # noqa: SIM118 (not a mapping)
    except (SafetensorError, OSError) as error:
        raise UserError(f"{file} cannot be read ({error}): download it again") from error


def _arrays(file: Path) -> dict[str, Tensor]:
    import numpy as np
    import torch

    try:
        # an array of objects is a pickle inside the archive, which may run code: numpy refuses it
        with np.load(file, allow_pickle=False) as opened:
            return {name: torch.from_numpy(np.asarray(opened[name], np.float32)) for name in opened.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{file} cannot be read ({error}): download it again") from error


def sized(folder: Path, tensors: Mapping[str, Tensor], name: str, shape: tuple[int | None, ...]) -> Tensor:
    """One of the tensors, which must have that shape; ``None`` stands for any size.

    Raises:
        UserError: it is not there, or has another shape.
    """
    if name not in tensors:
        raise UserError(
            f"the weights in {folder} have no tensor {name!r} (have: {', '.join(sorted(tensors))}): download them again"
        )
    found = tensors[name]
    agrees = found.ndim == len(shape) and all(s is None or s == n for s, n in zip(shape, found.shape, strict=False))
    if not agrees:
        wanted = ", ".join("any" if s is None else str(s) for s in shape)
        raise UserError(
            f"{name} in {folder} has shape {tuple(found.shape)}, not ({wanted}): these are not the weights of one SAE"
        )
    return found
