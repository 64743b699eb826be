"""Harvests of small real networks: the same bytes however they are cut, interrupted and shared out; what cannot be read."""

from __future__ import annotations

import hashlib
import os
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from harvest_net import SITES, WORDS, Net, encode, make_corpus, make_subject

import maieutic as mt
from maieutic.errors import StoreError, UserError
from maieutic.executors import Broken, Done, Work, open_executor
from maieutic.harvest import harvest
from maieutic.harvest.plan import plan, shards
from maieutic.harvest.shards import Source
from maieutic.stimuli import Corpus
from maieutic.subjects import Subject
from maieutic.subjects.base import TokenSpan
from maieutic.subjects.modules import module_subject


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[plan.__module__], "SHARD_TOKENS", 40)


def files(folder: Path) -> dict[str, str]:
    found = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in found}


def kept(subject: Subject) -> list[Any]:
    direction = subject.direction("second", np.arange(5), "probe")
    return [subject.unit("first", 2), subject.unit("second", 4), direction]


class Killed(BaseException):
    """What a signal would do, without the process."""


@pytest.mark.usefixtures("small_shards")
def test_an_interrupted_harvest_ends_with_the_same_bytes(tmp_path: Path) -> None:
    subject, corpus = make_subject(), make_corpus()
    harvest(subject, corpus, SITES, run=tmp_path / "whole", keep=kept(subject))
    whole = files(tmp_path / "whole")
    assert "harvest/net/done.json" in whole and not any("parts" in name for name in whole)
    rng, deaths = random.Random(5), 0
    for _ in range(80):
        left = rng.randint(1, 4)

        def progress(done: int, total: int) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise Killed

        try:
            harvest(subject, corpus, SITES, run=tmp_path / "again", keep=kept(subject), progress=progress)
        except Killed:
            deaths += 1
            continue
        break
    assert deaths >= 4
    assert files(tmp_path / "again") == whole


class Shuffled:
    """An executor that does jobs in a random order."""

    name, workers, lost = "shuffled", 1, 0

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def run(self, work: Work, jobs: Sequence[Any]) -> Iterator[Done | Broken]:
        from maieutic.harvest.shards import perform, prepare

        worker = prepare(**work.arguments)
        for index in self.random.sample(range(len(jobs)), len(jobs)):
            yield Done(index=index, result=perform(worker, jobs[index]), seconds=0.0, worker="here")

    def __enter__(self) -> Shuffled:
        return self

    def __exit__(self, *_: object) -> None:
        return


@pytest.mark.usefixtures("small_shards")
def test_any_order_of_shards_gives_the_bytes_of_one_harvest_in_memory_and_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject, corpus = make_subject(), make_corpus()
    source = Source(subject=make_subject, corpus=make_corpus)
    one = harvest(subject, corpus, SITES, keep=kept(subject), run=tmp_path / "one")
    for seed in range(3):
        run = tmp_path / str(seed)
        harvest(subject, corpus, SITES, keep=kept(subject), run=run, executor=Shuffled(seed), source=source)
        assert files(run) == files(tmp_path / "one")
    monkeypatch.setattr(sys.modules[plan.__module__], "SHARD_TOKENS", 10**9)
    memory = harvest(subject, corpus, SITES, keep=kept(subject))  # a single shard
    for site in SITES:
        for name, value in one.sites[site].arrays().items():
            assert value.tobytes() == memory.sites[site].arrays()[name].tobytes(), name
    for unit in kept(subject):
        for split in ("discover", "select", "test"):
            pairs = zip(one.observed(unit, split), memory.observed(unit, split), strict=True)
            assert all(a.stimulus.id == b.stimulus.id and a.values.tobytes() == b.values.tobytes() for a, b in pairs)


@pytest.mark.slow
@pytest.mark.usefixtures("small_shards")
def test_processes_give_the_same_bytes(tmp_path: Path) -> None:
    subject, corpus = make_subject(), make_corpus()
    harvest(subject, corpus, SITES, keep=kept(subject), run=tmp_path / "one")
    source = Source(subject=make_subject, corpus=make_corpus)
    with open_executor("processes", workers=2) as executor:
        harvest(subject, corpus, SITES, keep=kept(subject), run=tmp_path / "two", executor=executor, source=source)
    assert files(tmp_path / "two") == files(tmp_path / "one")


def test_a_worker_with_another_model_is_refused(tmp_path: Path) -> None:
    subject, corpus = make_subject(), make_corpus()
    other = Source(subject=make_subject, corpus=partial(make_corpus, 50))
    with pytest.raises(UserError, match="a worker's corpus is another one"):
        harvest(subject, corpus, SITES, run=tmp_path, executor=Shuffled(0), source=other)


def test_stimuli_alone_have_the_values_that_the_subject_gives_alone() -> None:
    subject, corpus = make_subject(), make_corpus()
    atlas = harvest(subject, corpus, SITES, keep=kept(subject))
    for unit in kept(subject):
        for seen in atlas.observed(unit, "test"):
            assert seen.values.tobytes() == subject.read([seen.stimulus], [unit])[0][:, 0].tobytes()


def test_a_device_without_memory_halves_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = make_corpus()
    tight, roomy = make_subject(rows=2), make_subject()
    monkeypatch.setattr(type(tight), "per_pass", 4)  # as on an accelerator
    monkeypatch.setattr(type(tight), "_rows", _padded_rows)
    one, other = harvest(tight, corpus, SITES, keep=()), harvest(roomy, corpus, SITES, keep=())
    assert tight.module.largest == 2 and roomy.module.largest == 4  # type: ignore[attr-defined]
    assert not one.failed
    for name in ("count", "high_rank", "low_rank", "histogram", "sample_key"):
        np.testing.assert_array_equal(getattr(one.sites["second"], name), getattr(other.sites["second"], name))
    tight.module.rows = 0  # type: ignore[attr-defined]
    with pytest.raises(UserError, match="not enough memory for it even alone"):
        harvest(tight, corpus, SITES, keep=())


def _padded_rows(_self: Any, stimuli: Sequence[Any]) -> list[list[int]]:
    """All texts of one length, so that they go through together."""
    rows = [[t for t, _, _ in encode(s)] for s in stimuli]
    return [(r * 12)[:12] for r in rows]


def test_a_text_that_gives_nan_costs_itself_only() -> None:
    words = [*["the cat runs"] * 1, "bad dog", *(f"a {w}" for w in WORDS[:12])]
    corpus = Corpus.from_texts([f"{w} {'the ' * i}".strip() for i, w in enumerate(words)], name="n")
    corpus = replace(corpus, stimuli=[replace(s, split="discover") for s in corpus])
    atlas = harvest(make_subject(bad=True), corpus, SITES, keep=())
    (why,) = atlas.failed.values()
    assert why == "net gave NaN or infinity at second"
    assert atlas.sites["second"].count == sum(len(s.content.split()) for s in corpus) - len(corpus[1].content.split())


def test_a_file_that_vanishes_midway_is_left_out_and_counted(tmp_path: Path) -> None:
    texts = [tmp_path / f"{i}.txt" for i in range(30)]
    for i, file in enumerate(texts):
        file.write_text(" ".join(WORDS[: 2 + i % 9]) + f" {i}")
    corpus = Corpus.from_texts([f.read_text() for f in texts], name="files")
    on_disk = [replace(s, load=partial(_read, f), split="discover") for s, f in zip(corpus, texts, strict=True)]

    def progress(done: int, total: int) -> None:
        if done >= 10:
            texts[26].unlink(missing_ok=True)

    atlas = harvest(make_subject(), replace(corpus, stimuli=on_disk), SITES, keep=(), progress=progress)
    assert list(atlas.failed) == [corpus[26].id]  # the longest, so the last to be read
    assert "did not load (FileNotFoundError" in atlas.failed[corpus[26].id]  # the longest, so the last to be read


def _read(file: Path) -> str:
    return file.read_text()


def test_a_site_that_never_fires_has_an_atlas() -> None:
    subject = mt.function_subject(_silent, modality="text", name="silent")
    atlas = mt.harvest(subject, make_corpus(), [subject.sites()[0].name])
    unit = subject.unit()
    assert atlas.moments(unit).std == 0 and atlas.moments(unit).high == 0
    assert len(atlas.exemplars(unit, 5)) == 5
    assert {e.value for e in atlas.exemplars(unit, 8, where="spectrum")} == {0.0}


def _silent(texts: list[str]) -> list[float]:
    return [0.0 for _ in texts]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_one_line(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(StoreError, match="cannot write to"):
            harvest(make_subject(), make_corpus(), SITES, run=tmp_path)
    finally:
        tmp_path.chmod(0o700)


def test_a_file_in_place_of_a_folder_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("")
    with pytest.raises(StoreError, match="cannot write"):
        harvest(make_subject(), make_corpus(), SITES, run=tmp_path / "run")


def test_a_full_disk_keeps_what_was_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_shards: None) -> None:
    subject, corpus = make_subject(), make_corpus()
    harvest(subject, corpus, SITES, run=tmp_path / "whole", keep=())
    real, writes = Path.replace, 0

    def full(self: Path, target: Any) -> Any:
        nonlocal writes
        writes += 1
        if writes == 9:
            raise OSError(28, "No space left on device")
        return real(self, target)

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(StoreError, match="no space left"):
        harvest(subject, corpus, SITES, run=tmp_path / "full", keep=())
    monkeypatch.setattr(Path, "replace", real)
    done = list((tmp_path / "full" / "harvest" / "net" / "parts").glob("*/part.json"))
    assert done  # shards before it are not done again
    harvest(subject, corpus, SITES, run=tmp_path / "full", keep=())
    assert files(tmp_path / "full") == files(tmp_path / "whole")


def test_half_precision_is_near_full_precision() -> None:
    # bfloat16 keeps 8 bits: 2^-8 of a value in the weights, the inputs and the result; sums of 8 of them stay within 2 %
    corpus = make_corpus(40)
    full, half = make_subject(), module_subject(Net().to(torch.bfloat16), tokenizer=encode, name="net", sites=SITES)
    a, b = harvest(full, corpus, SITES, keep=()), harvest(half, corpus, SITES, keep=())
    for site in SITES:
        one, two = a.sites[site], b.sites[site]
        scale = np.sqrt(one.total_sq / one.count)
        assert two.sample_values.dtype == np.float32
        assert np.abs(one.total - two.total).max() / one.count < 0.02 * scale.max()
        np.testing.assert_allclose(np.sqrt(two.total_sq / two.count), scale, rtol=0.02)
        np.testing.assert_allclose(one.maximum, two.maximum, atol=0.03 * np.abs(one.maximum).max())


def test_exemplars_of_a_shared_sample_reach_down_through_the_octaves() -> None:
    subject = mt.function_subject(_per_word, modality="text", name="lengths")
    texts = [" ".join(["o" * (1 + (i * j) % 40) for j in range(1, 12)]) for i in range(1, 200)]
    corpus = Corpus.from_texts(texts, name="o")
    atlas = mt.harvest(subject, corpus, [subject.sites()[0].name])
    site = subject.sites()[0].name
    summary = atlas.sites[site]
    few = replace(summary, **{f: getattr(summary, f)[:2] for f in SAMPLED})
    shared = replace(atlas, sites={site: few})
    values = [e.value for e in shared.exemplars(subject.unit(), 20, where="spectrum")]
    assert {int(np.log2(v)) for v in values} >= {5, 4, 3, 2, 1}
    assert values == sorted(values, reverse=True)


SAMPLED = ("sample_key", "sample_stimulus", "sample_position", "sample_values")


def _per_word(texts: list[str]) -> list[list[float]]:
    return [[float(len(w)) for w in t.split()] for t in texts]


def test_shards_cover_every_batch_once_and_depend_on_the_corpus_alone() -> None:
    corpus = make_corpus()
    batches = plan(corpus, batch_size=4, everything=True, content=lambda s: s.content)
    cut = shards(batches, modality="text", units=13)
    assert [b for shard in cut for b in shard.batches] == batches
    assert sorted(i for b in batches for i in b.stimuli) == list(range(len(corpus)))
    assert shards(batches, modality="text", units=13) == cut


def test_spans_are_those_of_the_tokenizer() -> None:
    assert make_subject().tokens("red cat") == [TokenSpan("red", 0, 3), TokenSpan("cat", 4, 7)]
