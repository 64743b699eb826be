"""Files of a run folder: written whole or not at all, and checked when read.

Parquet for tables, safetensors for tensors, content-addressed WebP for images. Never pickle.
"""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import re
import tempfile
from collections.abc import Generator, Iterable, Mapping, Sequence
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
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    ordered = {name: np.ascontiguousarray(arrays[name]) for name in sorted(arrays)}
    with writing(path) as temporary:
        try:
            save_file(ordered, temporary, metadata={"note": json.dumps(dict(note or {}), sort_keys=True)})
        except SafetensorError as error:
            # it tells the system's reason in words alone
            number = re.search(r"os error (\d+)", str(error))
            if number is None:
                raise
            raise OSError(int(number.group(1)), os.strerror(int(number.group(1)))) from error


def read_tensors(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Named arrays and the note of a safetensors file; ``StoreError`` when it is damaged or missing."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as handle:
            file = cast(Any, handle)
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
            note = json.loads((file.metadata() or {}).get("note", "{}"))
    except (SafetensorError, OSError, ValueError) as error:
        raise _damaged(path, error) from error
    return arrays, note


#: rows of a Parquet row group: what is read to find one unit's rows
GROUP_ROWS = 1 << 16


def write_table(path: Path, columns: Mapping[str, Sequence[Any] | NDArray[Any]]) -> None:
    """Write columns of equal length as Parquet."""
    write_rows(path, [columns])


def write_rows(path: Path, batches: Iterable[Mapping[str, Sequence[Any] | NDArray[Any]]]) -> None:
    """Write columns batch by batch as one Parquet file; sorted by a column, ``read_rows`` finds its values quickly.

    Row groups have ``GROUP_ROWS`` rows whatever the batches, so the same rows are the same bytes. Memory: one batch and
    one row group.

    Args:
        path: the file.
        batches: at least one; each of the same columns with the same types.
    """
    import pyarrow as pa
    from pyarrow import parquet

    pa_, held, writer = cast(Any, pa), cast(Any, None), cast(Any, None)
    with writing(path) as temporary:
        try:
            for columns in batches:
                table = pa_.table({k: pa_.array(v) for k, v in columns.items()})
                writer = writer or cast(Any, parquet).ParquetWriter(
                    temporary, table.schema, compression="zstd", write_page_checksum=True
                )
                held = (table if held is None else pa_.concat_tables([held, table])).combine_chunks()
                whole = held.num_rows - held.num_rows % GROUP_ROWS
                if whole:
                    writer.write_table(held.slice(0, whole), row_group_size=GROUP_ROWS)
                    held = held.slice(whole)
            assert writer is not None, "at least one batch"
            if held.num_rows:
                writer.write_table(held, row_group_size=GROUP_ROWS)
        finally:
            if writer is not None:
                writer.close()


def read_table(path: Path) -> dict[str, list[Any]]:
    """Columns of a Parquet file; ``StoreError`` when it is damaged or missing."""
    with _parquet(path) as file:
        return file.read().to_pydict()


def read_rows(path: Path, **where: int | str) -> dict[str, list[Any]]:
    """Columns of those rows of a Parquet file in which the named columns have the given values.

    Reads only the row groups whose statistics allow them: one or two when the file is sorted by such a column.

    Raises:
        StoreError: the file is damaged or missing.
    """
    import pyarrow as pa
    from pyarrow import compute

    with _parquet(path) as file:
        about, names = file.metadata, file.schema_arrow.names
        columns = {names.index(name): value for name, value in where.items()}
        groups = [g for g in range(about.num_row_groups) if _may_hold(about.row_group(g), columns)]
        table = file.read_row_groups(groups)
        for name, value in where.items():
            wanted = cast(Any, pa).scalar(value, table.schema.field(name).type)
            table = table.filter(cast(Any, compute).equal(table[name], wanted))
        return table.to_pydict()


def _may_hold(group: Any, columns: Mapping[int, int | str]) -> bool:
    for number, value in columns.items():
        known = group.column(number).statistics
        if known is not None and known.has_min_max and not known.min <= value <= known.max:
            return False
    return True


def check_file(path: Path) -> None:
    """Look whether a data file is whole, a piece at a time; other kinds of files are not looked at.

    Raises:
        StoreError: it is damaged.
    """
    if path.suffix == ".parquet":
        with _parquet(path) as file:
            for _ in file.iter_batches():
                pass
    elif path.suffix == ".safetensors":
        _check_tensors(path)
    elif path.suffix == ".npy":
        try:
            np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise _damaged(path, error) from error


def _check_tensors(path: Path) -> None:
    """Safetensors says in its header how long the file is, and has no checksums: opening it is all there is to check."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy"):
            pass
    except (SafetensorError, OSError) as error:
        raise _damaged(path, error) from error


@contextlib.contextmanager
def _parquet(path: Path) -> Generator[Any]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with cast(Any, parquet).ParquetFile(path, page_checksum_verification=True) as file:
            yield file
    except (OSError, cast(Any, pa).ArrowException) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> StoreError:
    why = str(error).splitlines()[0] if str(error) else type(error).__name__
    return StoreError(f"{path} is missing or damaged ({why}): delete it and run the harvest again")


def picture_bytes(image: Image) -> bytes:
    """A WebP preview of an image, at most 256 px."""
    small = image.convert("RGB")
    small.thumbnail((256, 256))
    data = io.BytesIO()
    small.save(data, "WEBP", quality=82, method=2)
    return data.getvalue()


def write_picture(folder: Path, *, content_id: str, data: bytes) -> Path:
    """Store a preview under the content id of its image; a second write of the same id is free."""
    path = folder / content_id[:2] / f"{content_id}.webp"
    if not path.exists():
        with writing(path) as temporary:
            temporary.write_bytes(data)
    return path


def write_image(folder: Path, *, content_id: str, image: Image) -> Path:
    """Store a preview of an image under its content id."""
    path = folder / content_id[:2] / f"{content_id}.webp"
    return path if path.exists() else write_picture(folder, content_id=content_id, data=picture_bytes(image))
