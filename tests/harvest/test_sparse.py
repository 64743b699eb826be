"""The sparse store against the dense values it stands for."""

from __future__ import annotations

import hashlib
import resource
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from maieutic.errors import StoreError, UsageError
from maieutic.harvest import sparse as module
from maieutic.harvest.sparse import SparseStore, SparseWriter
from maieutic.subjects.base import Unit

WIDTHS = {"a": 4, "b": 7}


@pytest.fixture(autouse=True)
def small_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RUN_ENTRIES", 6)


def world(lengths: list[int], *, seed: int = 0) -> list[dict[str, np.ndarray]]:
    """Per stimulus ReLU-like values ``[position, unit]``; unit 2 of site ``a`` never fires, unit 3 always."""
    rng = np.random.default_rng(seed)
    rows = [
        {s: np.maximum(rng.normal(size=(n, w)) - 0.5, 0).astype(np.float32) for s, w in WIDTHS.items()} for n in lengths
    ]
    for row in rows:
        row["a"][:, 2], row["a"][:, 3] = 0, 1.5
    return rows


def feed(writer: SparseWriter, truth: list[dict[str, np.ndarray]], batches: list[list[int]]) -> None:
    for batch in batches:
        lengths = np.array([len(truth[i]["a"]) for i in batch], np.int64)
        for site, width in WIDTHS.items():
            table = np.full((len(batch), lengths.max(), width), 99.0, np.float32)
            for row, i in enumerate(batch):
                table[row, : lengths[row]] = truth[i][site]
            writer.add(site, torch.from_numpy(table), lengths=lengths, stimuli=batch)


def agree(store: SparseStore, truth: list[dict[str, np.ndarray]], order: list[int], *, threshold: float = 0.0) -> None:
    for site, width in WIDTHS.items():
        for index in range(width):
            found = store.read(Unit(site=site, index=index))
            expected = [(i, p, v) for i in order for p, v in enumerate(truth[i][site][:, index]) if abs(v) > threshold]
            assert list(zip(found.stimulus, found.position, found.value, strict=True)) == expected


def files(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir()) if p.is_file()}


def test_one_unit_by_hand(tmp_path: Path) -> None:
    # two texts of 2 and 1 positions, two units; the padding 99 is nobody's value
    writer = SparseWriter.to(tmp_path, {"a": 2})
    values = torch.tensor([[[0.0, 1.0], [-2.0, 0.0]], [[3.0, 0.0], [99.0, 99.0]]])
    writer.add("a", values, lengths=np.array([2, 1]), stimuli=[7, 4])
    store = writer.done()
    found = store.read(Unit(site="a", index=0, sign=-1))
    assert (found.stimulus.tolist(), found.position.tolist(), found.value.tolist()) == ([7, 4], [1, 0], [2.0, -3.0])
    assert store.bytes == 3 * 8  # three non-zeros of 4 + 4 bytes
    assert not (tmp_path / "runs").exists()


@settings(max_examples=30, deadline=None)
@given(data=st.data(), lengths=st.lists(st.integers(1, 9), min_size=1, max_size=7))
def test_nothing_is_lost_or_invented(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, lengths: list[int]
) -> None:
    """Any batches; a kill after a checkpoint and shards end with the bytes of one harvest."""
    folder, truth = tmp_path_factory.mktemp("s"), world(lengths)
    order = list(data.draw(st.permutations(range(len(lengths)))))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(lengths)))) | {len(lengths)})
    batches = [order[a:b] for a, b in zip([0, *cuts], cuts, strict=False)]
    whole = SparseWriter.to(folder / "whole", WIDTHS)
    feed(whole, truth, batches)
    agree(whole.done(), truth, order)

    stop = data.draw(st.integers(0, len(batches)))
    killed = SparseWriter.to(folder / "cut", WIDTHS)
    feed(killed, truth, batches[:stop])
    marked = killed.mark()
    feed(killed, truth, batches[stop:])
    again = SparseWriter.to(folder / "cut", WIDTHS, stimuli=marked)
    feed(again, truth, batches[stop:])
    again.done()
    assert files(folder / "cut") == files(folder / "whole")

    for n, part in enumerate((batches[:stop], batches[stop:])):
        shard = SparseWriter.to(folder / f"shard{n}", WIDTHS)
        feed(shard, truth, part)
        shard.mark()
    agree(SparseStore.merged([folder / "shard0", folder / "shard1"], folder / "joined"), truth, order)
    assert files(folder / "joined") == files(folder / "whole")


def test_a_threshold_leaves_the_small_ones_out(tmp_path: Path) -> None:
    truth = world([8, 5])
    writer = SparseWriter.to(tmp_path, WIDTHS, threshold=0.4)
    feed(writer, truth, [[1], [0]])
    store = writer.done()
    agree(store, truth, [1, 0], threshold=0.4)
    assert len(store.read(Unit(site="a", index=3)).value) == 13
    assert len(store.read(Unit(site="a", index=2)).value) == 0


def test_half_precision_rounds_and_says_what_does_not_fit(tmp_path: Path) -> None:
    writer = SparseWriter.to(tmp_path, {"a": 1}, precision="float16")
    writer.add("a", torch.tensor([[[0.1], [1e-9]]]), lengths=np.array([2]), stimuli=[0])
    with pytest.raises(UsageError, match="does not fit float16: keep float32"):
        writer.add("a", torch.tensor([[[70000.0]]]), lengths=np.array([1]), stimuli=[1])
    found = writer.done().read(Unit(site="a", index=0))
    # 1e-9 is below the smallest half (6e-8): still an entry, of value 0
    assert found.value.tolist() == [float(np.float16(0.1)), 0.0]


def test_a_harvest_of_nothing_is_an_empty_store(tmp_path: Path) -> None:
    store = SparseWriter.to(tmp_path, WIDTHS).done()
    assert len(store.read(Unit(site="b", index=6)).value) == 0


@pytest.mark.parametrize("name", ["value.0.npy", "position.1.npy", "sparse.safetensors"])
def test_damage_is_said(tmp_path: Path, name: str) -> None:
    writer = SparseWriter.to(tmp_path, WIDTHS)
    feed(writer, world([9, 9]), [[0, 1]])
    writer.done()
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: len(data) // 2])
    with pytest.raises(StoreError, match="run the harvest again"):
        SparseStore.open(tmp_path)


def test_a_mark_that_never_was_is_refused(tmp_path: Path) -> None:
    writer = SparseWriter.to(tmp_path, WIDTHS)
    feed(writer, world([3, 3]), [[0, 1]])
    writer.mark()
    with pytest.raises(StoreError, match="holds 0 stimuli, not 1"):
        SparseWriter.to(tmp_path, WIDTHS, stimuli=1)


def test_no_space_for_the_merge_keeps_the_runs(tmp_path: Path) -> None:
    """A limit on the size of files stands for a full disk: the merge can be done again once there is room."""
    truth = world([40] * 3)
    writer = SparseWriter.to(tmp_path, WIDTHS)
    feed(writer, truth, [[0], [1], [2]])
    writer.mark()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300, hard))
    try:
        with pytest.raises(StoreError, match=r"cannot write|no space"):
            writer.done()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    agree(SparseStore.merged([tmp_path], tmp_path), truth, [0, 1, 2])
