"""Files of a run folder: written whole or not at all, and checked when read.

Parquet for tables, safetensors for tensors, content-addressed WebP for images. Never pickle.
"""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import tempfile
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from maieutic.errors import StoreError

if TYPE_CHECKING:
    from PIL.Image import Image


@contextlib.contextmanager
def writing(path: Path) -> Generator[Path]:
    """A temporary path beside ``path`` that replaces it at the end; on any error nothing is left behind.

    Raises:
        StoreError: no space, no permission, or a read-only file system; what was there before is untouched.
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise disk_error(error, path) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def disk_error(error: OSError, path: Path) -> StoreError:
    """The one-line error for a write that failed."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreError(
            f"no space left on the disk of {path.parent}: free some and run the same command again, it resumes"
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return StoreError(f"cannot write to {path.parent}: choose another folder with --run, or change its permissions")
    return StoreError(
        f"cannot write {path} ({error.strerror or error}): check the disk, then run the same command again"
    )


def write_tensors(path: Path, arrays: Mapping[str, NDArray[Any]], *, note: Mapping[str, Any] | None = None) -> None:
    """Write named arrays as safetensors, with a small JSON note in the header."""
    from safetensors.numpy import save_file

    ordered = {name: np.ascontiguousarray(arrays[name]) for name in sorted(arrays)}
    with writing(path) as temporary:
        save_file(ordered, temporary, metadata={"note": json.dumps(dict(note or {}), sort_keys=True)})


def read_tensors(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Named arrays and the note of a safetensors file; ``StoreError`` when it is damaged or missing."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as handle:
            file = cast(Any, handle)
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
            note = json.loads((file.metadata() or {}).get("note", "{}"))
    except (SafetensorError, OSError, ValueError) as error:
        raise StoreError(f"{path} is missing or damaged ({error}): delete it and run the harvest again") from error
    return arrays, note


def write_table(path: Path, columns: Mapping[str, Sequence[Any] | NDArray[Any]]) -> None:
    """Write columns of equal length as Parquet."""
    import pyarrow as pa
    from pyarrow import parquet

    table = cast(Any, pa).table({k: cast(Any, pa).array(v) for k, v in columns.items()})
    with writing(path) as temporary:
        cast(Any, parquet).write_table(table, temporary, compression="zstd")


def read_table(path: Path) -> dict[str, list[Any]]:
    """Columns of a Parquet file; ``StoreError`` when it is damaged or missing."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        return cast(Any, parquet).read_table(path).to_pydict()
    except (OSError, cast(Any, pa).ArrowException) as error:
        raise StoreError(f"{path} is missing or damaged: delete it and run the harvest again") from error


def write_image(folder: Path, *, content_id: str, image: Image) -> Path:
    """Store an image under its content id (WebP preview, at most 256 px); a second write of the same id is free."""
    path = folder / content_id[:2] / f"{content_id}.webp"
    if not path.exists():
        small = image.convert("RGB")
        small.thumbnail((256, 256))
        data = io.BytesIO()
        small.save(data, "WEBP", quality=82, method=2)
        with writing(path) as temporary:
            temporary.write_bytes(data.getvalue())
    return path
