"""A harvest's sparse store against the readouts of the same harvest; interrupted and shared out, it has the same bytes."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from harvest_net import SITES, make_corpus, make_subject

from maieutic.errors import StoreError, UsageError
from maieutic.executors import open_executor
from maieutic.harvest import harvest
from maieutic.harvest.plan import plan
from maieutic.harvest.shards import Source
from maieutic.harvest.sparse import Sparse, SparseStore
from maieutic.store import read_rows

SPARSE = Sparse(sites=("second",), threshold=0.2)


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[plan.__module__], "SHARD_TOKENS", 40)


def files(folder: Path) -> dict[str, str]:
    found = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in found}


def test_every_value_above_the_threshold_and_no_other_is_there(tmp_path: Path) -> None:
    subject, corpus = make_subject(), make_corpus()
    units = [subject.unit("second", i) for i in range(5)]
    atlas = harvest(subject, corpus, SITES, run=tmp_path, keep=units, sparse=SPARSE)
    store, total = SparseStore.open(tmp_path / "harvest" / "net" / "sparse"), 0
    place = {s.id: i for i, s in enumerate(corpus.stimuli)}
    for unit in units:
        expected = {
            (place[o.stimulus.id], position): value
            for split in ("discover", "select", "test")
            for o in atlas.observed(unit, split)
            for position, value in enumerate(o.values.tolist())
            if abs(value) > 0.2
        }
        found = store.read(unit)
        got = dict(zip(zip(found.stimulus.tolist(), found.position.tolist(), strict=True), found.value, strict=True))
        assert got == expected
        total += len(expected)
    assert total > 100
    assert not store.has(subject.unit("first", 0))


def test_interrupted_and_shared_out_it_has_the_same_bytes(tmp_path: Path) -> None:
    subject, corpus = make_subject(), make_corpus()
    harvest(subject, corpus, SITES, run=tmp_path / "whole", keep=[], sparse=SPARSE)
    left = 0

    def steps() -> Iterator[int]:
        yield from (2, 3, 5, 10**9)

    def progress(done: int, total: int) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise KeyboardInterrupt

    deaths = 0
    for left in steps():  # noqa: B007 (read by progress)
        try:
            harvest(subject, corpus, SITES, run=tmp_path / "again", keep=[], sparse=SPARSE, progress=progress)
        except KeyboardInterrupt:
            deaths += 1
    assert deaths == 3
    assert files(tmp_path / "again") == files(tmp_path / "whole")


@pytest.mark.slow
def test_processes_give_the_same_bytes(tmp_path: Path) -> None:
    subject, corpus = make_subject(), make_corpus()
    harvest(subject, corpus, SITES, run=tmp_path / "one", keep=[], sparse=SPARSE)
    source = Source(subject=make_subject, corpus=make_corpus)
    with open_executor("processes", workers=2) as executor:
        run = tmp_path / "two"
        harvest(subject, corpus, SITES, run=run, keep=[], sparse=SPARSE, executor=executor, source=source)
    assert files(tmp_path / "two") == files(tmp_path / "one")


def test_what_cannot_be_kept_sparsely_is_said(tmp_path: Path) -> None:
    subject, corpus = make_subject(), make_corpus()
    with pytest.raises(UsageError, match="give the harvest a folder"):
        harvest(subject, corpus, SITES, sparse=SPARSE)
    with pytest.raises(UsageError, match="sparse sites are some of those harvested"):
        harvest(subject, corpus, ["first"], run=tmp_path, sparse=SPARSE)
    harvest(subject, corpus, SITES, run=tmp_path, keep=[])
    with pytest.raises(StoreError, match="other settings"):
        harvest(subject, corpus, SITES, run=tmp_path, keep=[], sparse=SPARSE)


def test_exemplars_stand_by_unit_in_their_file(tmp_path: Path) -> None:
    subject, corpus = make_subject(), make_corpus()
    atlas = harvest(subject, corpus, SITES, run=tmp_path, keep=[])
    file = tmp_path / "harvest" / "net" / "exemplars.first.parquet"
    for index in (0, 7):
        rows = read_rows(file, unit=index, tail="top")
        summary = atlas.sites["first"]
        known = summary.top_stimulus[index] >= 0
        assert rows["value"] == summary.top_value[index][known].tolist()
        assert rows["rank"] == list(range(known.sum()))
        assert rows["stimulus"] == [corpus[int(i)].id for i in summary.top_stimulus[index][known]]
    units = read_rows(file)["unit"]
    assert units == sorted(units)
