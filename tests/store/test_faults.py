"""Disks that are full, folders that cannot be written, two processes on one folder: one line, and nothing lost."""

from __future__ import annotations

import multiprocessing
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from maieutic.errors import StoreError
from maieutic.store import Store, harvests, read_table, units, write_rows, write_table, write_tensors
from maieutic.store.check import problems

HARVEST: dict[str, Any] = {
    "name": "main", "subject": "s", "subject_fingerprint": "f", "corpus": "c", "corpus_fingerprint": "g",
    "modality": "text", "sites": ["a"], "settings": {}, "versions": {}, "status": "done",
}  # fmt: skip


def fill(store: Store, first: int, count: int, *, padding: int = 10) -> None:
    with store.transaction() as connection:
        store.put(harvests, [HARVEST], connection=connection)
        rows = (
            {"id": n, "harvest": "main", "role": "main", "key": f"a/{n}{'x' * padding}"}
            for n in range(first, first + count)
        )
        store.put(units, rows, connection=connection)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    if (
        mount is None
        or subprocess.run(
            [mount, "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True, check=False
        ).returncode
    ):
        pytest.skip("mounting a small disk is not allowed here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)


def test_a_full_disk_stops_a_transaction_whole(small_disk: Path) -> None:
    """What was committed before is there, the store is sound, and with room the same rows can be written."""
    with Store.open(small_disk / "r", create=True) as store:
        fill(store, 1, 50)
        with pytest.raises(
            StoreError, match=r"^no space left on the disk of .*: free some and run the same command again"
        ):
            fill(store, 100, 5000, padding=400)
        assert len(store.rows(units)) == 50
    with Store.open(small_disk / "r", write=True) as store:
        assert store.integrity() == []
        fill(store, 100, 50)
        assert len(store.rows(units)) == 100


def test_a_full_disk_keeps_the_files_that_were_there(small_disk: Path) -> None:
    write_tensors(small_disk / "t.safetensors", {"a": np.arange(10)})
    write_table(small_disk / "t.parquet", {"unit": [1, 2]})
    before = {p.name: p.read_bytes() for p in small_disk.iterdir()}
    rng = np.random.default_rng(0)
    with pytest.raises(StoreError, match="no space left"):
        write_tensors(small_disk / "t.safetensors", {"a": rng.integers(0, 2**60, 400_000)})
    with pytest.raises(StoreError, match="no space left"):
        write_rows(small_disk / "t.parquet", ({"unit": rng.integers(0, 2**60, 100_000)} for _ in range(6)))
    assert {p.name: p.read_bytes() for p in small_disk.iterdir()} == before


def test_a_full_disk_while_readouts_are_kept(small_disk: Path) -> None:
    """The harvest stops with one line; the checkpoint before it is whole, and it goes on where there is room."""
    import torch

    from maieutic.harvest import readouts as module
    from maieutic.harvest.readouts import Keeper, Readouts
    from maieutic.subjects.base import Unit

    kept = [Unit(site="a", index=i) for i in range(64)]
    rng, file = np.random.default_rng(0), small_disk / "r.safetensors"
    values = rng.normal(size=(8, 1, 1000, 64)).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "CHUNK_BYTES", 64 << 10)
        keeper = Keeper.of(kept, file=file)
        for n in range(2):
            keeper.add({"a": torch.from_numpy(values[n])}, lengths=np.array([1000]), stimuli=[n])
        keeper.done()
        with pytest.raises(StoreError, match="no space left"):
            for n in range(2, 8):
                keeper.add({"a": torch.from_numpy(values[n])}, lengths=np.array([1000]), stimuli=[n])
        found = Readouts.open(file, stimuli=2)
        np.testing.assert_array_equal(found.read(kept[5], [1])[0], values[1, 0, :, 5])
        again = Keeper.of(kept, found, file)
        again.add({"a": torch.from_numpy(values[2])}, lengths=np.array([1000]), stimuli=[2])
        np.testing.assert_array_equal(again.done().read(kept[5], [2])[0], values[2, 0, :, 5])


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """A finished run on a file system that is mounted read-only."""
    folder = tmp_path / "r"
    with Store.open(folder, create=True) as store:
        fill(store, 1, 5)
    write_table(folder / "harvest" / "t.parquet", {"unit": [1, 2]})
    mount = shutil.which("mount")
    steps = (["--bind", str(folder), str(folder)], ["-o", "remount,ro,bind", str(folder)])
    for step in steps:
        if mount is None or subprocess.run([mount, *step], capture_output=True, check=False).returncode:
            subprocess.run(["umount", "-l", str(folder)], capture_output=True, check=False)
            pytest.skip("mounting read-only is not allowed here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)


def test_a_run_on_a_read_only_disk_can_be_read_and_says_that_it_cannot_be_written(read_only: Path) -> None:
    with pytest.raises(
        StoreError, match=r"^cannot write to .*: choose another folder with --run, or change its permissions"
    ):
        Store.open(read_only, write=True)
    with pytest.raises(StoreError, match=r"^cannot write to .*: choose another folder"):
        write_table(read_only / "harvest" / "t.parquet", {"unit": [3]})
    with Store.open(read_only) as store:
        assert len(store.rows(units)) == 5
        assert store.digest()["units"]
    assert read_table(read_only / "harvest" / "t.parquet") == {"unit": [1, 2]}
    assert problems(read_only) == []


def test_a_folder_cannot_be_made_where_a_file_stands(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="cannot write"):
        Store.open(tmp_path / "file" / "r", create=True)


def _write(folder: str, ready: Any, go: Any, out: Any) -> None:
    ready.release()
    go.wait(20)
    try:
        with Store.open(folder, create=True) as store:
            fill(store, 1, 200)
            out.put("wrote")
    except StoreError as error:
        out.put(str(error))


def test_of_two_processes_that_start_together_one_writes(tmp_path: Path) -> None:
    """Each either writes everything or is told that another writes; the store is sound and holds one set of rows."""
    context = multiprocessing.get_context("fork")
    ready, go, out = context.Semaphore(0), context.Event(), context.Queue()
    both = [context.Process(target=_write, args=(str(tmp_path / "r"), ready, go, out), daemon=True) for _ in range(2)]
    for process in both:
        process.start()
    for _ in both:
        assert ready.acquire(timeout=20)
    go.set()
    told = sorted(out.get(timeout=20) for _ in both)
    for process in both:
        process.join(20)
    assert "wrote" in told
    assert all(t == "wrote" or "another process is writing to" in t for t in told)
    with Store.open(tmp_path / "r") as store:
        assert len(store.rows(units)) == 200
        assert store.integrity() == []


def test_a_store_that_somebody_else_holds_locked_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program (not maieutic, which takes the lock file) has the database open for writing."""
    from maieutic.store import store as module

    monkeypatch.setattr(module, "WAIT", 0.1)
    with Store.open(tmp_path / "r", create=True) as store:
        fill(store, 1, 2)
    other = sqlite3.connect(tmp_path / "r" / "store.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        with (
            Store.open(tmp_path / "r", write=True) as store,
            pytest.raises(StoreError, match="busy with another process"),
        ):
            fill(store, 10, 1)
    finally:
        other.execute("ROLLBACK")
        other.close()
