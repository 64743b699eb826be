"""The store: transactions, who may open what, and what damage looks like."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from maieutic.errors import StoreError
from maieutic.store import (
    FILE,
    Store,
    experiments,
    explanations,
    harvests,
    read_table,
    read_tensors,
    units,
    write_table,
    write_tensors,
)
from maieutic.store.check import problems
from maieutic.store.schema import SCHEMA_VERSION


def harvest_row(**changes: object) -> dict[str, object]:
    return {
        "name": "main",
        "subject": "s",
        "subject_fingerprint": "f",
        "corpus": "c",
        "corpus_fingerprint": "g",
        "modality": "text",
        "sites": ["a"],
        "settings": {},
        "versions": {},
        "status": "done",
        "started_at": "2026-01-01",
        **changes,
    }


def fill(store: Store, **changes: object) -> None:
    with store.transaction() as connection:
        store.put(harvests, [harvest_row(**changes)], connection=connection)


def test_a_transaction_is_all_or_nothing(tmp_path: Path) -> None:
    with Store.open(tmp_path / "r", create=True) as store:
        with pytest.raises(RuntimeError), store.transaction() as connection:
            store.put(harvests, [harvest_row()], connection=connection)
            raise RuntimeError
        assert store.rows(harvests) == []
        fill(store)
        assert store.rows(harvests)[0]["sites"] == ["a"]


def test_put_replaces_the_row_with_the_same_key(tmp_path: Path) -> None:
    with Store.open(tmp_path / "r", create=True) as store:
        fill(store)
        fill(store, status="running")
        assert [r["status"] for r in store.rows(harvests)] == ["running"]


def test_digest_ignores_times_and_nothing_else(tmp_path: Path) -> None:
    digests = []
    for name, changes in (("a", {}), ("b", {"started_at": "later", "seconds": 3.0}), ("c", {"corpus": "other"})):
        with Store.open(tmp_path / name, create=True) as store:
            fill(store, **changes)
            digests.append(store.digest())
    assert digests[0] == digests[1] != digests[2]


def test_one_writer_many_readers(tmp_path: Path) -> None:
    with Store.open(tmp_path / "r", create=True) as store:
        fill(store)
        with Store.open(tmp_path / "r") as reader:
            assert len(reader.rows(harvests)) == 1
        with pytest.raises(StoreError, match="another process"):
            Store.open(tmp_path / "r", write=True)
    Store.open(tmp_path / "r", write=True).close()


def test_a_killed_writer_leaves_no_lock_and_no_half_row(tmp_path: Path) -> None:
    program = textwrap.dedent(
        """
        import os, sys
        from maieutic.store import Store, harvests
        from tests_row import row
        store = Store.open(sys.argv[1], create=True)
        with store.transaction() as connection:
            store.put(harvests, [row], connection=connection)
        with store.transaction() as connection:
            store.put(harvests, [{**row, "name": "second"}], connection=connection)
            os.kill(os.getpid(), 9)
        """
    )
    (tmp_path / "tests_row.py").write_text(f"row = {harvest_row()!r}")
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "r")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
        check=False,
    )
    assert done.returncode == -9
    with Store.open(tmp_path / "r", write=True) as store:
        assert [r["name"] for r in store.rows(harvests)] == ["main"]
        assert store.integrity() == []


def test_opening_what_is_not_a_run(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="not a maieutic run"):
        Store.open(tmp_path / "nothing")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    with pytest.raises(StoreError, match="empty folder"):
        Store.open(tmp_path / "full", create=True)
    assert [p.name for p in (tmp_path / "full").iterdir()] == ["notes.txt"]
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / FILE).write_text("no database " * 200)
    with pytest.raises(StoreError, match="damaged"):
        Store.open(tmp_path / "text")
    (tmp_path / "foreign").mkdir()
    with sqlite3.connect(tmp_path / "foreign" / FILE) as other:
        other.execute("CREATE TABLE t (x)")
    with pytest.raises(StoreError, match="not written by maieutic"):
        Store.open(tmp_path / "foreign")


def test_opening_a_newer_schema(tmp_path: Path) -> None:
    Store.open(tmp_path / "r", create=True).close()
    with sqlite3.connect(tmp_path / "r" / FILE) as file:
        file.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    with pytest.raises(StoreError, match="upgrade"):
        Store.open(tmp_path / "r")


def test_opening_a_truncated_file(tmp_path: Path) -> None:
    with Store.open(tmp_path / "r", create=True) as store:
        fill(store)
    file = tmp_path / "r" / FILE
    for extra in (f"{FILE}-wal", f"{FILE}-shm"):
        (tmp_path / "r" / extra).unlink(missing_ok=True)
    file.write_bytes(file.read_bytes()[:5000])
    with pytest.raises(StoreError), Store.open(tmp_path / "r") as store:
        store.rows(harvests)


def test_check_finds_damage(tmp_path: Path) -> None:
    run = tmp_path / "r"
    with Store.open(run, create=True) as store:
        fill(store)
        with store.transaction() as connection:
            connection.execute(units.insert().values(id=1, harvest="main", role="main", key="a/0"))
            row = {
                "unit": 1, "explainer": "search", "label": "l", "predicate": {}, "confidence": 0.5, "reason": None,
                "evidence": ["a/0#1", "a/0#2"], "considered": [], "measurements": 1, "settings": {}, "seconds": 0.0,
            }  # fmt: skip
            store.put(explanations, [row], connection=connection)
            experiment = {
                "unit": 1, "explainer": "search", "number": 1, "entry": "a/0#1", "kind": "look", "hypothesis": "h",
                "expect": None, "value": 1.0, "scaled": 1.0, "stimulus": "00", "shown": "x", "position": -1, "pair": None,
                "seed": 0, "detail": {}, "tokens": 1, "images": 0, "seconds": 0.0,
            }  # fmt: skip
            store.put(experiments, [experiment], connection=connection)
    write_tensors(run / "harvest" / "x.safetensors", {"a": np.arange(4)})
    found = problems(run)
    assert len(found) == 1
    assert "a/0#2" in found[0]
    (run / "harvest" / "x.safetensors").write_bytes(b"torn")
    assert any("damaged" in p for p in problems(run))


def test_tables_and_tensors_round_trip(tmp_path: Path) -> None:
    write_tensors(tmp_path / "t.safetensors", {"a": np.arange(3), "b": np.ones((2, 2), np.float32)}, note={"k": [1]})
    arrays, note = read_tensors(tmp_path / "t.safetensors")
    assert arrays["a"].tolist() == [0, 1, 2]
    assert note == {"k": [1]}
    write_table(tmp_path / "t.parquet", {"x": [1, 2], "y": ["a", "b"]})
    assert read_table(tmp_path / "t.parquet") == {"x": [1, 2], "y": ["a", "b"]}
    with pytest.raises(StoreError, match="damaged"):
        read_tensors(tmp_path / "none.safetensors")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_is_one_line_and_keeps_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from maieutic.store import files

    target = tmp_path / "t.safetensors"
    write_tensors(target, {"a": np.arange(3)})
    with pytest.raises(StoreError, match="no space left"), files.writing(target) as temporary:
        temporary.write_bytes(b"half")
        with open("/dev/full", "wb", buffering=0) as full:
            full.write(b"x")
    assert read_tensors(target)[0]["a"].tolist() == [0, 1, 2]
    assert [p.name for p in tmp_path.iterdir()] == ["t.safetensors"]


def test_a_store_of_version_1_is_migrated_and_keeps_its_rows(tmp_path: Path) -> None:
    with Store.open(tmp_path, create=True) as store:
        fill(store)
    with sqlite3.connect(tmp_path / "store.sqlite") as file:  # as version 1 wrote it
        file.execute("ALTER TABLE explanations DROP COLUMN llm_tokens")
        file.execute("ALTER TABLE explanations DROP COLUMN dollars")
        file.execute("ALTER TABLE explanations DROP COLUMN standing")
        file.execute("ALTER TABLE experiments DROP COLUMN fresh")
        file.execute("DROP INDEX units_by_key")
        file.execute("DROP INDEX units_by_site")
        file.execute("DROP TABLE choices")
        file.execute("DROP TABLE sweeps")
        file.execute("DROP TABLE waves")
        file.execute("PRAGMA user_version = 1")
        file.execute("INSERT INTO units VALUES (1, 'main', 'a/0', 'main')")
        file.execute(
            "INSERT INTO explanations (unit, explainer, label, predicate, confidence, evidence, considered,"
            " measurements, settings, seconds) VALUES (1, 'search', 'dogs', '{}', 0.5, '[]', '[]', 7, '{}', 1.0)"
        )
    with pytest.raises(StoreError, match="store migrate"):
        Store.open(tmp_path)
    with Store.open(tmp_path, write=True) as store:
        (row,) = store.rows(explanations)
        assert (row["label"], row["measurements"], row["llm_tokens"], row["dollars"]) == ("dogs", 7, 0, 0.0)
        assert store.integrity() == []
    with sqlite3.connect(tmp_path / "store.sqlite") as file:
        plan = file.execute("EXPLAIN QUERY PLAN SELECT id FROM units WHERE key = 'a/0'").fetchall()
        assert "units_by_key" in plan[0][-1]
