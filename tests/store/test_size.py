"""What a store does when it is large, on a small one: rows one at a time, exemplars by unit, sites added up."""

from __future__ import annotations

import multiprocessing
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet
from sqlalchemy import func, select

from maieutic.errors import StoreError
from maieutic.store import (
    CHOSEN,
    Store,
    choices,
    explanations,
    files,
    harvests,
    jobs,
    read_rows,
    read_table,
    scores,
    units,
    write_rows,
    write_table,
)
from maieutic.store import store as store_module
from maieutic.store.check import problems

HARVEST: dict[str, Any] = {
    "name": "main", "subject": "s", "subject_fingerprint": "f", "corpus": "c", "corpus_fingerprint": "g",
    "modality": "text", "sites": ["a"], "settings": {}, "versions": {}, "status": "done",
}  # fmt: skip


def explanation(unit: int, *, explainer: str = "search", reason: str | None = None) -> dict[str, Any]:
    return {
        "unit": unit, "explainer": explainer, "label": f"label {unit}", "predicate": {}, "confidence": 0.5,
        "reason": reason, "evidence": [], "considered": [], "measurements": 1, "settings": {}, "seconds": 0.0,
    }  # fmt: skip


def score(unit: int, value: float | None, *, explainer: str = "search") -> dict[str, Any]:
    return {
        "unit": unit, "explainer": explainer, "name": "predictive", "value": value, "low": None, "high": None, "n": 1,
        "reason": None if value is not None else "silent", "details": {}, "seconds": 0.0,
    }  # fmt: skip


def fill(store: Store, keys: list[str]) -> None:
    with store.transaction() as connection:
        store.put(harvests, [HARVEST], connection=connection)
        rows = ({"id": n, "harvest": "main", "role": "main", "key": key} for n, key in enumerate(keys, start=1))
        store.put(units, rows, connection=connection)


def test_rows_of_several_shapes_are_put_in_order_and_the_last_wins(tmp_path: Path) -> None:
    with Store.open(tmp_path, create=True) as store:
        fill(store, ["a/0", "a/1"])
        with store.transaction() as connection:
            rows = [score(1, 0.1), {**score(2, 0.2), "details": {"x": [1]}}, score(1, 0.3)]
            short = {k: v for k, v in score(2, 0.4).items() if k not in ("low", "high", "reason")}
            store.put(scores, iter([*rows, short]), connection=connection)
        found = {r["unit"]: r for r in store.rows(scores)}
        assert (found[1]["value"], found[2]["value"]) == (0.3, 0.4)
        assert found[2]["details"] == {}


def test_a_failure_within_a_bulk_insert_leaves_nothing(tmp_path: Path) -> None:
    def rows() -> Iterator[dict[str, Any]]:
        yield from (score(1 + n % 2, 0.1) for n in range(25_000))
        raise RuntimeError

    with Store.open(tmp_path, create=True) as store:
        fill(store, ["a/0", "a/1"])
        with pytest.raises(RuntimeError), store.transaction() as connection:
            store.put(scores, rows(), connection=connection)
        assert store.rows(scores) == []


def test_sites_are_added_up_by_hand(tmp_path: Path) -> None:
    with Store.open(tmp_path, create=True) as store:
        fill(store, ["layers.0/0", "layers.0/1-", "layers.1/0", "net/head/3", "net/head/d:tone"])
        with store.transaction() as connection:
            # 1: searched and the agent was chosen; 2: abstained; 3: not explained; 4, 5: another site with a slash
            found = [explanation(1), explanation(1, explainer="agent"), explanation(2, reason="dead"), explanation(4)]
            store.put(explanations, found, connection=connection)
            store.put(
                scores,
                [score(1, 0.5), score(1, 0.75, explainer="agent"), score(2, None), score(4, 0.25)],
                connection=connection,
            )
            picked = [(1, "agent"), (2, "search"), (4, "search")]
            chosen = ({"unit": u, "explainer": e, "standing": None, "importance": None, "why": "w"} for u, e in picked)
            store.put(choices, chosen, connection=connection)
        assert [tuple(r) for r in store.by_site("search", "predictive")] == [
            ("layers.0", 2, 2, 1, 1, 0.5),
            ("layers.1", 1, 0, 0, 0, None),
            ("net/head", 2, 1, 1, 1, 0.25),
        ]
        assert store.by_site(CHOSEN, "predictive")[0].score == 0.75


def test_streaming_and_digests_hold_no_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """3 MB of text in one table: reading it a row at a time and hashing it need a small part of that."""
    with Store.open(tmp_path, create=True) as store:
        fill(store, [f"a/{n}" for n in range(2000)])
        with store.transaction() as connection:
            rows = ({**explanation(n), "label": f"{n} " * 200} for n in range(1, 2001))
            store.put(explanations, rows, connection=connection)
        monkeypatch.setattr(store_module, "AT_ONCE", 100)
        tracemalloc.start()
        digest = store.digest()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 1 << 20
        with store.transaction() as connection:
            store.put(explanations, [{**explanation(1234), "label": "another"}], connection=connection)
        changed = store.digest()
    assert [name for name in digest if digest[name] != changed[name]] == ["explanations"]


def test_the_order_of_names_in_json_does_not_count(tmp_path: Path) -> None:
    digests: list[dict[str, str]] = []
    for name, details in (("a", {"x": 1, "y": [2]}), ("b", {"y": [2], "x": 1}), ("c", {"x": 1, "y": [3]})):
        with Store.open(tmp_path / name, create=True) as store:
            fill(store, ["a/0"])
            with store.transaction() as connection:
                store.put(scores, [{**score(1, 0.5), "details": details}], connection=connection)
            digests.append(store.digest())
    assert digests[0] == digests[1] != digests[2]


@settings(max_examples=25, deadline=None)
@given(data=st.data(), rows=st.lists(st.tuples(st.integers(0, 9), st.floats(0, 1, width=32)), min_size=1, max_size=60))
def test_rows_of_a_unit_are_those_of_the_whole_table(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, rows: list[tuple[int, float]]
) -> None:
    """Sorted or not; and however the batches came, the file is the same."""
    folder = tmp_path_factory.mktemp("t")
    if data.draw(st.booleans()):
        rows = sorted(rows)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(rows)))) | {len(rows)})
    batches = [rows[a:b] for a, b in zip([0, *cuts], cuts, strict=False)]

    def columns(some: list[tuple[int, float]]) -> dict[str, list[Any]]:
        return {"unit": [u for u, _ in some], "value": [v for _, v in some], "tail": ["top"] * len(some)}

    before = files.GROUP_ROWS
    try:
        files.GROUP_ROWS = 7
        write_rows(folder / "batches.parquet", [columns(b) for b in batches])
        write_table(folder / "whole.parquet", columns(rows))
    finally:
        files.GROUP_ROWS = before
    assert (folder / "batches.parquet").read_bytes() == (folder / "whole.parquet").read_bytes()
    assert read_table(folder / "batches.parquet") == columns(rows)
    for unit in range(10):
        found = read_rows(folder / "whole.parquet", unit=unit)
        assert found == columns([r for r in rows if r[0] == unit])


def test_one_unit_reads_one_row_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "GROUP_ROWS", 10)
    path = tmp_path / "t.parquet"
    write_table(path, {"unit": [n // 10 for n in range(1000)], "value": list(range(1000))})
    end = parquet.ParquetFile(path).metadata.row_group(50).column(0).dictionary_page_offset
    data = bytearray(path.read_bytes())
    data[4:end] = bytes(end - 4)  # the first half is rubbish; unit 90 does not stand there
    path.write_bytes(bytes(data))
    assert read_rows(path, unit=90)["value"] == list(range(900, 910))
    with pytest.raises(StoreError, match="damaged"):
        read_rows(path, unit=20)


def test_check_reads_whatever_is_damaged(tmp_path: Path) -> None:
    with Store.open(tmp_path, create=True) as store:
        fill(store, ["a/0"])
    write_table(tmp_path / "harvest" / "e.parquet", {"unit": list(range(5000))})
    (tmp_path / "harvest" / "r.npy").write_bytes(b"\x93NUMPY torn")
    data = bytearray((tmp_path / "harvest" / "e.parquet").read_bytes())
    data[40:400] = bytes(360)
    (tmp_path / "harvest" / "e.parquet").write_bytes(bytes(data))
    found = problems(tmp_path)
    assert len(found) == 2
    assert all("missing or damaged" in line and line.endswith("run the harvest again") for line in found)


def _read_while_written(folder: str, out: Any) -> None:
    """Every state that a reader sees has as many explanations as jobs; three states are enough."""
    query = select(
        select(func.count()).select_from(explanations).scalar_subquery(),
        select(func.count()).select_from(jobs).scalar_subquery(),
    )
    seen = set[int]()
    with Store.open(folder) as store:
        while len(seen) < 3:
            with store._engine.connect() as connection:  # pyright: ignore[reportPrivateUsage] (two tables in one state)
                found, done = connection.execute(query).one()
            assert found == done, f"{found} explanations, {done} jobs"
            assert len(store.rows(explanations)) >= done
            seen.add(int(done))
    out.put(sorted(seen))


def test_readers_see_whole_transactions_while_the_driver_writes(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    out = context.Queue()
    with Store.open(tmp_path, create=True) as store:
        fill(store, [f"a/{n}" for n in range(20_000)])
    readers = [context.Process(target=_read_while_written, args=(str(tmp_path), out), daemon=True) for _ in range(3)]
    for reader in readers:
        reader.start()
    with Store.open(tmp_path, write=True) as store:
        unit, until = 0, time.monotonic() + 30
        while unit < 20_000 and time.monotonic() < until and any(r.is_alive() for r in readers):
            unit += 1
            with store.transaction() as connection:
                job = {"unit": unit, "kind": "explain", "explainer": "search", "status": "done", "error": None}
                store.put(explanations, [explanation(unit)], connection=connection)
                store.put(jobs, [job], connection=connection)
        for reader in readers:
            reader.join(10)
        assert [r.exitcode for r in readers] == [0, 0, 0]
        assert all(len(out.get(timeout=10)) == 3 for _ in readers)
        assert len(store.rows(explanations)) == unit
