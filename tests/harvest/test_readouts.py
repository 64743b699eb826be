"""Readouts against the plain list of values they stand for: in memory, in files, cut back, joined."""

from __future__ import annotations

import hashlib
import resource
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from maieutic.errors import StoreError
from maieutic.harvest import readouts as module
from maieutic.harvest.readouts import Keeper, Readouts
from maieutic.subjects.base import Unit

UNITS = [Unit(site="a", index=i) for i in range(3)] + [Unit(site="b", index=4)]
DIRECTION = Unit(site="a", vector=np.array([1.0, -2.0, 0.5], np.float32), name="probe", offset=0.25)

Truth = dict[int, dict[str, np.ndarray]]


def world(lengths: list[int], *, seed: int = 0) -> Truth:
    """Per stimulus the values ``[position, unit]`` of two sites of 3 and 6 units."""
    rng = np.random.default_rng(seed)
    widths = {"a": 3, "b": 6}
    return {
        i: {s: rng.normal(size=(n, w)).astype(np.float32) for s, w in widths.items()} for i, n in enumerate(lengths)
    }


def feed(keeper: Keeper, truth: Truth, batches: list[list[int]]) -> None:
    for batch in batches:
        lengths = np.array([len(truth[i]["a"]) for i in batch], np.int64)
        padded: dict[str, torch.Tensor] = {}
        for site in ("a", "b"):
            table = np.full((len(batch), lengths.max(), truth[batch[0]][site].shape[1]), 99.0, np.float32)
            for row, i in enumerate(batch):
                table[row, : lengths[row]] = truth[i][site]
            padded[site] = torch.from_numpy(table)
        keeper.add(padded, lengths=lengths, stimuli=batch)


def agree(readouts: Readouts, truth: Truth, stimuli: list[int]) -> None:
    for unit in UNITS:
        for signed in (unit, Unit(site=unit.site, index=unit.index, sign=-1)):
            got = readouts.read(signed, stimuli)
            for i, values in zip(stimuli, got, strict=True):
                np.testing.assert_array_equal(values, signed.sign * truth[i][unit.site][:, unit.index])
                assert values.dtype == np.float32


def files(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir())}


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    # 4 columns x 4 bytes x 5 positions: chunks of five positions
    monkeypatch.setattr(module, "CHUNK_BYTES", 80)


def test_values_by_hand(tmp_path: Path) -> None:
    # two texts of 2 and 1 positions, a site of one unit; the padding 99 is nobody's value
    keeper = Keeper.of([Unit(site="a", index=0)], file=tmp_path / "r.safetensors")
    batch = {"a": torch.tensor([[[1.0], [-2.0]], [[3.0], [99.0]]])}
    keeper.add(batch, lengths=np.array([2, 1]), stimuli=[7, 4])
    found = keeper.done()
    assert [v.tolist() for v in found.read(Unit(site="a", index=0), [4, 7])] == [[3.0], [1.0, -2.0]]
    assert [v.tolist() for v in found.read(Unit(site="a", index=0, sign=-1), [7])] == [[-1.0, 2.0]]
    assert not found.has(Unit(site="a", index=1))


@settings(max_examples=40, deadline=None)
@given(data=st.data(), lengths=st.lists(st.integers(1, 13), min_size=1, max_size=8))
def test_files_and_memory_hold_the_same(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, lengths: list[int]
) -> None:
    """Any batches, any order of asking; and what is cut back and resumed ends with the same bytes."""
    folder, truth = tmp_path_factory.mktemp("r"), world(lengths)
    order = data.draw(st.permutations(range(len(lengths))))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(lengths)))) | {len(lengths)})
    batches = [list(order[a:b]) for a, b in zip([0, *cuts], cuts, strict=False)]
    memory, whole = Keeper.of(UNITS), Keeper.of(UNITS, file=folder / "whole" / "r.safetensors")
    feed(memory, truth, batches)
    feed(whole, truth, batches)
    asked = data.draw(st.lists(st.sampled_from(range(len(lengths))), unique=True))
    agree(memory.done(), truth, asked)
    agree(whole.done(), truth, asked)

    stop, beyond = sorted((data.draw(st.integers(0, len(batches))), data.draw(st.integers(0, len(batches)))))
    file = folder / "cut" / "r.safetensors"
    killed = Keeper.of(UNITS, file=file)
    feed(killed, truth, batches[:beyond])
    killed.done()
    feed(killed, truth, batches[beyond:])  # chunks written after the last checkpoint; then the kill
    read = sum(len(b) for b in batches[:stop])
    again = Keeper.of(UNITS, Readouts.open(file, stimuli=read), file)
    feed(again, truth, batches[stop:])
    agree(again.done(), truth, asked)
    assert files(folder / "cut") == files(folder / "whole")


def test_shards_are_joined_in_place_or_into_the_bytes_of_one_harvest(tmp_path: Path) -> None:
    truth = world([4, 9, 2, 7, 1])
    whole = Keeper.of(UNITS, file=tmp_path / "whole" / "r.safetensors")
    feed(whole, truth, [[0, 1], [2], [3, 4]])
    shards: list[Readouts] = []
    for name, batches in {"x": [[0, 1]], "y": [[2]], "z": [[3, 4]]}.items():
        keeper = Keeper.of(UNITS, file=tmp_path / f"{name}.safetensors")
        feed(keeper, truth, batches)
        shards.append(keeper.done())
    agree(Readouts.joined(shards), truth, [4, 0, 2])
    agree(Readouts.joined(shards, file=tmp_path / "one" / "r.safetensors"), truth, [4, 0, 2])
    whole.done()
    assert files(tmp_path / "one") == files(tmp_path / "whole")


def test_the_values_are_a_plain_npy_file(tmp_path: Path) -> None:
    truth = world([6, 6])
    keeper = Keeper.of(UNITS, file=tmp_path / "r.safetensors")
    feed(keeper, truth, [[0, 1]])
    keeper.done()
    values = np.load(tmp_path / "r.npy", mmap_mode="r")
    assert values.shape == (2, 4, 5)  # 12 positions: two full chunks of five, and two positions left over
    np.testing.assert_array_equal(values[0, 1], truth[0]["a"][:5, 1])


def test_directions_are_read_as_a_subject_reads_them() -> None:
    truth = world([3])
    keeper = Keeper.of([DIRECTION])
    feed(keeper, truth, [[0]])
    assert DIRECTION.vector is not None
    expected = torch.from_numpy(truth[0]["a"]) @ torch.from_numpy(DIRECTION.vector) + 0.25
    np.testing.assert_array_equal(keeper.done().read(DIRECTION, [0])[0], expected.numpy())


def test_arrays_go_both_ways() -> None:
    truth = world([6, 3])
    keeper = Keeper.of(UNITS)
    feed(keeper, truth, [[1, 0]])
    found = keeper.done()
    back = Readouts.from_arrays(found.columns, found.arrays())
    agree(back, truth, [0, 1])
    assert found.arrays()["values"].shape == (9, 4)
    going_on = Keeper.of(UNITS, back)
    agree(going_on.done(), truth, [0, 1])


def test_no_units_is_no_values(tmp_path: Path) -> None:
    keeper = Keeper.of([], file=tmp_path / "r.safetensors")
    keeper.add({}, lengths=np.array([3]), stimuli=[0])
    assert keeper.done().count == 0
    assert Readouts.open(tmp_path / "r.safetensors").columns == ()


def test_memory_is_one_chunk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """4 MB through chunks of 256 kB: what the keeper holds does not grow."""
    monkeypatch.setattr(module, "CHUNK_BYTES", 256 << 10)
    units = [Unit(site="a", index=i) for i in range(256)]
    keeper = Keeper.of(units, file=tmp_path / "r.safetensors")
    batch = {"a": torch.ones(1, 128, 256)}
    tracemalloc.start()
    for i in range(32):
        keeper.add(batch, lengths=np.array([128]), stimuli=[i])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (tmp_path / "r.npy").stat().st_size > 4 << 20
    assert peak < 1 << 20


@pytest.mark.parametrize("name", ["r.npy", "r.safetensors"])
@pytest.mark.parametrize("damage", ["gone", "short"])
def test_damage_is_said(tmp_path: Path, name: str, damage: str) -> None:
    keeper = Keeper.of(UNITS, file=tmp_path / "r.safetensors")
    feed(keeper, world([12]), [[0]])
    keeper.done()
    if damage == "gone":
        (tmp_path / name).unlink()
    else:
        data = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(data[: len(data) // 2])
    with pytest.raises(StoreError, match="missing or damaged.*run the harvest again"):
        Readouts.open(tmp_path / "r.safetensors")


def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    """A limit on the size of files stands for a full disk: the checkpoint before it can be resumed."""
    truth, file = world([5] * 4), tmp_path / "r.safetensors"
    keeper = Keeper.of(UNITS, file=file)
    feed(keeper, truth, [[0], [1]])
    keeper.done()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, ((tmp_path / "r.npy").stat().st_size + 10, hard))
    try:
        with pytest.raises(StoreError, match=r"cannot write|no space"):
            feed(keeper, truth, [[2], [3]])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    again = Keeper.of(UNITS, Readouts.open(file, stimuli=2), file)
    feed(again, truth, [[2], [3]])
    agree(again.done(), truth, [0, 1, 2, 3])
