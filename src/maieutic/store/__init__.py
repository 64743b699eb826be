"""One run = one folder: SQLite for what changes, Parquet and safetensors for bulk, content-addressed images."""

from maieutic.store.files import (
    check_file,
    disk_error,
    picture_bytes,
    read_rows,
    read_table,
    read_tensors,
    write_image,
    write_picture,
    write_rows,
    write_table,
    write_tensors,
    writing,
)
from maieutic.store.schema import choices, experiments, explanations, harvests, jobs, scores, sweeps, units, waves
from maieutic.store.store import CHOSEN, FILE, SiteRow, Store, locked, now

__all__ = [
    "CHOSEN",
    "FILE",
    "SiteRow",
    "Store",
    "check_file",
    "choices",
    "disk_error",
    "experiments",
    "explanations",
    "harvests",
    "jobs",
    "locked",
    "now",
    "read_rows",
    "read_table",
    "read_tensors",
    "scores",
    "sweeps",
    "units",
    "waves",
    "picture_bytes",
    "write_image",
    "write_picture",
    "write_rows",
    "write_table",
    "write_tensors",
    "writing",
]
