"""The bank: each stimulus once, every unit to the bit, whoever asks and whatever fails."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import nn

import maieutic as mt
from maieutic.errors import UsageError, UserError
from maieutic.lab import Bank
from maieutic.lab.bank_files import BankFiles, BankFolderWarning
from maieutic.readings import Cost
from maieutic.stimuli.base import Stimulus, Thing
from maieutic.stimuli.texts import text_stimulus
from maieutic.subjects.base import Batch, Subject, Unit, Values

WORDS = ["the", "cat", "dog", "sat", "on", "mat", "river", "moon"]


def encode(text: str) -> list[tuple[int, int, int]]:
    """A token a character."""
    return [(ord(c) % 32, i, i + 1) for i, c in enumerate(text)]


class Layers(nn.Module):
    """Embeddings, two linear maps and a readout with random weights, wide enough for sums to round."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.embed = nn.Embedding(32, 24)
        self.low = nn.Linear(24, 33)
        self.high = nn.Linear(33, 17)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.high(torch.tanh(self.low(self.embed(ids))))


class Eyes(nn.Module):
    """Two convolutions with random weights."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(3, 19, 3)
        self.second = nn.Conv2d(19, 23, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(torch.relu(self.first(x))).mean((2, 3))


class Watched(Subject):
    """A real subject whose passes are counted and can be made to fail; ``before`` is called with what is shown."""

    def __init__(self, inner: Subject, before: Callable[[list[str]], None] = lambda shown: None) -> None:
        self.inner, self.before = inner, before
        self.name, self.modality, self.batch_size = inner.name, inner.modality, inner.batch_size
        self.passes: list[list[str]] = []

    def forward(self, stimuli: Any, sites: Any, **more: Any) -> Any:
        shown = [str(s.content) for s in stimuli]
        self.passes.append(shown)
        self.before(shown)
        return self.inner.forward(stimuli, sites, **more)

    def sites(self) -> Any:
        return self.inner.sites()

    @property
    def fingerprint(self) -> str:
        return self.inner.fingerprint

    def tokens(self, text: str) -> Any:
        return self.inner.tokens(text)

    def outputs(self, stimuli: Any, **more: Any) -> Any:
        return self.inner.outputs(stimuli, **more)

    def untrained(self, seed: int = 0) -> Subject:
        return self.inner.untrained(seed)


def text_subject(seed: int = 0) -> Subject:
    sites = {"low": "low", "high": "high"}
    return mt.module_subject(Layers(seed), tokenizer=encode, name="layers", sites=sites)


def image_subject() -> Subject:
    def prepare(image: Image.Image) -> torch.Tensor:
        return torch.from_numpy(np.asarray(image, dtype=np.float32) / 255).permute(2, 0, 1)

    return mt.module_subject(Eyes(), prepare, name="eyes", sites={"first": "first", "second": "second"})


def said(*texts: str) -> list[Stimulus]:
    return [text_stimulus(t) for t in texts]


def units_of(subject: Subject, seed: int = 0) -> list[Unit]:
    """Both tails of neurons of every site, and directions with offsets of either sign."""
    rng, found = np.random.default_rng(seed), list[Unit]()
    for site in subject.sites():
        assert site.width is not None
        found += [
            Unit(site=site.name, index=int(i), sign=sign) for i in rng.integers(0, site.width, 2) for sign in (1, -1)
        ]
        vector = rng.standard_normal(site.width).astype(np.float32)
        way = subject.direction(site.name, vector, "way", offset=float(rng.standard_normal()))
        found += [way, Unit(site=site.name, vector=vector, name="back", offset=0.3, sign=-1)]
    return found


def alone(subject: Subject, stimuli: Sequence[Stimulus], units: Sequence[Unit]) -> list[Values]:
    return [subject.read([s], units)[0] for s in stimuli]


def same(found: Sequence[Values], wanted: Sequence[Values]) -> bool:
    """To the bit, zeros with their signs too."""
    return all(
        f.dtype == w.dtype == np.float32 and f.shape == w.shape and f.tobytes() == w.tobytes()
        for f, w in zip(found, wanted, strict=True)
    )


# --- to the bit ------------------------------------------------------------------------------------------------------
TEXT, IMAGE = text_subject(), image_subject()


@settings(max_examples=60, deadline=None)
@given(texts=st.lists(st.text(min_size=0, max_size=90), min_size=1, max_size=5), seed=st.integers(0, 1000))
def test_every_unit_of_a_text_reads_what_the_subject_gives_to_the_bit(texts: list[str], seed: int) -> None:
    stimuli, units = said(*texts), units_of(TEXT, seed)
    bank = Bank(TEXT, sites=["low", "high"])
    bank.read(stimuli, [Unit(site="high", index=0)])
    found, fresh = bank.read(stimuli, units)
    assert same(found, alone(TEXT, stimuli, units))
    assert not any(fresh)


@settings(max_examples=20, deadline=None)
@given(sizes=st.lists(st.integers(8, 40), min_size=1, max_size=4), seed=st.integers(0, 1000))
def test_every_unit_of_a_picture_reads_what_the_subject_gives_to_the_bit(sizes: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    pictures = [Image.fromarray(rng.integers(0, 256, (s, s, 3)).astype(np.uint8)) for s in sizes]
    stimuli = mt.Corpus.from_images([*pictures, *(Image.new("RGB", (9, 9), c) for c in ("red", "blue", "lime"))])
    units, bank = units_of(IMAGE, seed), Bank(IMAGE, sites=["first", "second"])
    assert same(bank.read(list(stimuli), units)[0], alone(IMAGE, list(stimuli), units))


def test_every_unit_of_a_language_model_reads_what_the_subject_gives_to_the_bit(
    model_folder: Path, texts: list[str]
) -> None:
    subject = mt.load_subject(f"hf:{model_folder}")
    # many texts of each length, which share passes
    cut = [" ".join(t.split()[:n]) for t in texts[:40] for n in (1, 2, 5, 8)]
    stimuli, units = said(*dict.fromkeys([*texts[:60], *cut, "", "cat"])), units_of(subject)
    bank = Bank(subject, sites=[s.name for s in subject.sites()])
    assert same(bank.read(stimuli, units)[0], alone(subject, stimuli, units))


def test_a_function_and_its_directions_read_as_the_subject_reads_them(texts: list[str]) -> None:
    subject = mt.function_subject(lambda ts: [[len(w) / 7 for w in t.split()] for t in ts], "text", name="lengths")
    units = [subject.unit(), subject.unit("output", 0, sign=-1), subject.direction("output", [1.7], "more", offset=0.1)]
    found, _ = Bank(subject, sites=["output"]).read(said(*texts[:9]), units)
    for got, wanted in zip(found, subject.read(texts[:9], units), strict=True):
        np.testing.assert_array_equal(got, wanted)


def test_planted_subjects_see_the_stimulus_with_its_annotations() -> None:
    seen: list[Any] = []

    class Sees(Watched):
        def forward(self, stimuli: Any, sites: Any, **more: Any) -> Any:
            seen.extend(stimuli)
            return super().forward(stimuli, sites, **more)

    (plain,) = said("a text")
    annotated = replace(plain, things=(Thing(name="cat", concepts=("cat",)),))
    Bank(Sees(TEXT), sites=["low"]).read([annotated], [Unit(site="low", index=0)])
    assert seen == [annotated]
    assert seen[0].things[0].name == "cat"


def test_several_in_a_pass_are_equal_up_to_rounding(model_folder: Path, texts: list[str]) -> None:
    subject = mt.load_subject(f"hf:{model_folder}")
    stimuli, units = said(*texts[:20]), units_of(subject)
    bank = Bank(subject, sites=["layers.0.mlp", "layers.1.mlp", *(s.name for s in subject.sites())], batch=8)
    found, _ = bank.read(stimuli, units)
    assert bank.use.forwards < 10
    for got, wanted in zip(found, alone(subject, stimuli, units), strict=True):
        np.testing.assert_allclose(got, wanted, atol=1e-4)


class Network(Watched):
    """As a network on the CPU, where a harvest takes one stimulus at a time."""

    @property
    def per_pass(self) -> int:
        return 1


class Steady(Network):
    """Texts of one length, each computed alone: company cannot change a bit."""

    def forward(self, stimuli: Any, sites: Any, **more: Any) -> Any:
        self.passes.append([str(s.content) for s in stimuli])
        done = [self.inner.forward([s], sites) for s in stimuli]
        values = {site: torch.cat([d.values[site] for d in done]) for site in sites}
        return Batch(values=values, lengths=np.concatenate([d.lengths for d in done]))


def test_texts_of_one_length_share_a_pass_once_that_is_seen_to_change_no_bit() -> None:
    subject = Steady(text_subject())
    bank, units = Bank(subject, sites=["low", "high"]), units_of(TEXT)
    words = [f"{a}{b}" for a in "abcdefgh" for b in "abcdefgh"]
    for i in range(0, 64, 8):
        stimuli = said(*words[i : i + 8])
        assert same(bank.read(stimuli, units)[0], alone(TEXT, stimuli, units))
    # eight together, then each alone to compare; from then on eight together
    assert [len(p) for p in subject.passes] == [8, *[1] * 8, *[8] * 7]
    # 3 of one length and 2 of another: 2 + 1 and 2, of which pairs of both lengths have to be proved
    subject.passes.clear()
    stimuli = said("aaa", "bbbbb", "ccc", "ddd", "eeeee")
    assert same(bank.read(stimuli, units)[0], alone(TEXT, stimuli, units))
    assert subject.passes == [
        ["aaa", "ccc"], ["aaa"], ["ccc"], ["bbbbb", "eeeee"], ["bbbbb"], ["eeeee"], ["ddd"],
    ]  # fmt: skip


def test_where_company_changes_a_bit_everyone_is_measured_alone() -> None:
    class Swayed(Network):
        """Values are larger by a bit for each text beside."""

        def forward(self, stimuli: Any, sites: Any, **more: Any) -> Any:
            done = super().forward(stimuli, sites, **more)
            nudged = {s: v * (1 + 2**-23 * (len(stimuli) - 1)) for s, v in done.values.items()}
            return replace(done, values=nudged)

    subject = Swayed(text_subject())
    bank, units = Bank(subject, sites=["low"]), [Unit(site="low", index=0)]
    stimuli = said("aaa", "bbb", "ccc", "ddd", "eee", "fff")
    assert same(bank.read(stimuli, units)[0], alone(TEXT, stimuli, units))
    # four and two change bits, so both are tried once
    assert [len(p) for p in subject.passes] == [4, 1, 1, 1, 1, 2, 1, 1]
    # other lengths are tried until there is no hope: 8 shapes of 8
    for n in range(4, 9):
        bank.read(said(*(c * n for c in "abcdef")), units)
    subject.passes.clear()
    bank.read(said(*(c * 20 for c in "abcdef")), units)
    assert subject.passes == [[c * 20] for c in "abcdef"]


# --- each stimulus once ----------------------------------------------------------------------------------------------
def test_a_stimulus_is_measured_once_for_all_units_and_the_count_is_kept() -> None:
    subject = Watched(text_subject())
    bank = Bank(subject, sites=["low", "high"])
    a, b, c = said("a cat", "a dog", "a moon")
    assert bank.read([a, b, a], [Unit(site="low", index=1)])[1] == [True, True, False]
    assert bank.read([b, c], [Unit(site="high", index=2), Unit(site="low", index=0)])[1] == [False, True]
    assert subject.passes == [["a cat"], ["a dog"], ["a moon"]]
    use = bank.use
    assert (use.asked, use.fresh, use.forwards, use.loaded, use.evicted) == (5, 3, 3, 0, 0)
    # (5 + 5 + 6) characters, 33 + 17 units, 4 bytes
    assert use.bytes == 16 * 50 * 4


def test_the_least_recently_read_is_forgotten_and_measured_again() -> None:
    subject = Watched(text_subject())
    # a character takes 33 units x 4 bytes = 132 bytes: two texts of ten fit, three do not
    bank = Bank(subject, sites=["low"], limit_bytes=2 * 10 * 132)
    a, b, c = said("aaaaaaaaaa", "bbbbbbbbbb", "cccccccccc")
    unit = [Unit(site="low", index=3)]
    bank.read([a, b], unit)
    bank.read([a], unit)
    assert bank.read([c], unit)[1] == [True]  # b goes: a was read after it
    assert bank.use.evicted == 1
    assert bank.use.bytes == 2 * 10 * 132
    assert bank.read([a], unit)[1] == [False]
    again, fresh = bank.read([b], unit)
    assert fresh == [True]
    assert same(again, alone(subject.inner, [b], unit))


def test_a_read_larger_than_memory_is_answered_whole() -> None:
    bank = Bank(TEXT, sites=["low"], limit_bytes=0)
    stimuli, unit = said("one", "two", "three"), [Unit(site="low", index=0)]
    assert same(bank.read(stimuli, unit)[0], alone(TEXT, stimuli, unit))
    assert (bank.use.bytes, bank.use.evicted) == (0, 3)


def test_what_is_handed_out_can_be_written_into() -> None:
    bank = Bank(TEXT, sites=["low"])
    stimuli, units = said("a text"), [Unit(site="low", index=0)]
    first = bank.read(stimuli, units)[0][0]
    wanted = first.copy()
    first[:] = 7.0
    assert same(bank.read(stimuli, units)[0], [wanted])


def test_sites_units_and_a_missing_site_are_checked() -> None:
    with pytest.raises(UsageError, match="has no site 'middle'"):
        Bank(TEXT, sites=["low", "middle"])
    with pytest.raises(UsageError, match="needs a site"):
        Bank(TEXT, sites=[])
    bank = Bank(TEXT, sites=["low"])
    with pytest.raises(UsageError, match="the bank has low, not high"):
        bank.read(said("x"), [Unit(site="high", index=0)])
    with pytest.raises(UsageError, match="no unit"):
        bank.read(said("x"), [])
    assert bank.read([], [Unit(site="low", index=0)]) == ([], [])


def test_nothing_tells_what_is_in_a_bank_but_asking_for_it() -> None:
    bank = Bank(TEXT, sites=["low"])
    assert {n for n in dir(bank) if not n.startswith("_")} == {"check", "read", "sites", "subject", "use"}
    for ask in (lambda: "x" in bank, lambda: len(bank), lambda: list(bank), lambda: bank["x"]):  # type: ignore[arg-type, index, call-overload]
        with pytest.raises(TypeError):
            ask()


# --- threads ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("batch", [1, 4])
def test_threads_measure_each_stimulus_once_and_read_the_same(batch: int) -> None:
    subject = Watched(text_subject())
    bank, rng = Bank(subject, sites=["low", "high"], batch=batch), np.random.default_rng(0)
    pool = said(*(" ".join(rng.choice(WORDS, 6)) for _ in range(60)))
    asks = [[pool[i] for i in rng.integers(0, len(pool), 12)] for _ in range(64)]
    units = [[units_of(subject, k)[k % 12]] for k in range(64)]
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(bank.read, asks, units))
    distinct = {s.id: s for ask in asks for s in ask}
    assert sorted(t for shown in subject.passes for t in shown) == sorted(str(s.content) for s in distinct.values())
    assert sum(sum(fresh) for _, fresh in found) == len(distinct) == bank.use.fresh
    for (values, _), ask, unit in zip(found, asks, units, strict=True):
        for got, wanted in zip(values, alone(subject.inner, ask, unit), strict=True):
            # several texts of one length may share a pass, where sums round otherwise
            np.testing.assert_allclose(got, wanted, rtol=0, atol=0 if batch == 1 else 1e-5)


def test_one_thread_takes_what_all_wait_for_into_one_pass() -> None:
    entered, go = threading.Event(), threading.Event()

    def hold(shown: list[str]) -> None:
        if shown == ["first"]:
            entered.set()
            assert go.wait(10)

    subject = Watched(text_subject(), hold)
    bank, unit = Bank(subject, sites=["low"], batch=8), [Unit(site="low", index=0)]
    with ThreadPoolExecutor(4) as threads:
        first = threads.submit(bank.read, said("first"), unit)
        assert entered.wait(10)
        others = [threads.submit(bank.read, said(t), unit) for t in ("abcde", "fghij", "klmno")]
        while bank.use.asked < 4:
            threading.Event().wait(0.005)
        go.set()
        assert [f.result(10)[1] for f in (first, *others)] == [[True]] * 4
    assert [sorted(shown) for shown in subject.passes] == [["first"], ["abcde", "fghij", "klmno"]]


@pytest.mark.parametrize("batch", [1, 8])
def test_every_thread_gets_the_error_that_is_its_own(batch: int) -> None:
    def refuse(shown: list[str]) -> None:
        for t in shown:
            if t.startswith("bad"):
                raise ValueError(f"cannot read {t}")

    subject = Watched(text_subject(), refuse)
    bank, unit = Bank(subject, sites=["low"], batch=batch), [Unit(site="low", index=0)]
    texts = ["good1", "bad 1", "good2", "bad 2", "good3", "bad 3", "good4", "bad 4"]
    with ThreadPoolExecutor(8) as threads:
        asked = [threads.submit(bank.read, said(t), unit) for t in texts]
        for text, future in zip(texts, asked, strict=True):
            error = future.exception(10)
            assert (error is None) if text.startswith("good") else str(error) == f"cannot read {text}"
    # the failed one is tried again, and what was good is kept
    subject.before = lambda shown: None
    assert bank.read(said("bad 1", "good1"), unit)[1] == [True, False]


def test_of_several_failures_the_first_asked_is_told_and_the_rest_is_kept() -> None:
    def refuse(shown: list[str]) -> None:
        if "bad" in shown[0]:
            raise ValueError(shown[0])

    bank, unit = Bank(Watched(text_subject(), refuse), sites=["low"]), [Unit(site="low", index=0)]
    with pytest.raises(ValueError, match="^bad one$"):
        bank.read(said("fine", "bad one", "bad two", "fine too"), unit)
    assert bank.read(said("fine", "fine too"), unit)[1] == [False, False]


def test_an_interrupted_pass_is_taken_over_by_those_who_wait() -> None:
    class Stop(BaseException):
        """As Ctrl-C: no Exception."""

    entered, go, hits = threading.Event(), threading.Event(), []

    def interrupt(shown: list[str]) -> None:
        hits.append(shown)
        if len(hits) == 1:
            entered.set()
            assert go.wait(10)
            raise Stop

    subject = Watched(text_subject(), interrupt)
    bank, unit = Bank(subject, sites=["low"]), [Unit(site="low", index=0)]
    with ThreadPoolExecutor(3) as threads:
        killed = threads.submit(bank.read, said("shared", "only mine"), unit)
        assert entered.wait(10)
        heirs = [threads.submit(bank.read, said("shared"), unit) for _ in range(2)]
        while bank.use.asked < 4:
            threading.Event().wait(0.005)
        go.set()
        assert isinstance(killed.exception(10), Stop)
        values = [f.result(10)[0] for f in heirs]
    assert all(same(v, alone(subject.inner, said("shared"), unit)) for v in values)
    # nobody waits for what only the interrupted thread wanted
    assert subject.passes == [["shared"], ["shared"]]


# --- a device without memory -----------------------------------------------------------------------------------------
def test_a_batch_that_does_not_fit_is_halved_for_good() -> None:
    def crowd(shown: list[str]) -> None:
        if len(shown) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    subject = Watched(text_subject(), crowd)
    bank, unit = Bank(subject, sites=["low"], batch=16), [Unit(site="low", index=0)]
    stimuli = said(*(f"text {i:02}" for i in range(16)))
    found, fresh = bank.read(stimuli, unit)
    assert all(fresh)
    assert [len(p) for p in subject.passes] == [16, 8, 4, *[2] * 8]
    for got, wanted in zip(found, alone(subject.inner, stimuli, unit), strict=True):
        np.testing.assert_allclose(got, wanted, atol=1e-5)


def test_a_single_stimulus_that_does_not_fit_says_what_to_do() -> None:
    def crowd(shown: list[str]) -> None:
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")

    bank = Bank(Watched(text_subject(), crowd), sites=["low"])
    with pytest.raises(UserError, match="out of memory on a single stimulus: show it smaller ones"):
        bank.read(said("long"), [Unit(site="low", index=0)])


# --- on disk ---------------------------------------------------------------------------------------------------------
def files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.is_file())


def test_another_bank_finds_the_files_and_reads_the_same_bits(tmp_path: Path) -> None:
    stimuli, units = said("a cat sat", "", "on the moon"), units_of(TEXT)
    first = Bank(TEXT, sites=["low", "high"], folder=tmp_path)
    wanted, _ = first.read(stimuli, units)
    assert len(files(tmp_path)) == 3
    subject = Watched(TEXT)
    second = Bank(subject, sites=["low", "high"], folder=tmp_path)
    found, fresh = second.read(stimuli, units)
    assert same(found, wanted)
    assert (fresh, subject.passes, second.use.loaded, second.use.fresh) == ([False] * 3, [], 3, 0)


def test_other_weights_and_other_sites_have_other_files(tmp_path: Path) -> None:
    stimuli, unit = said("a cat sat"), [Unit(site="low", index=0)]
    Bank(TEXT, sites=["low"], folder=tmp_path).read(stimuli, unit)
    for subject, sites in ((text_subject(seed=1), ["low"]), (TEXT, ["low", "high"])):
        found, fresh = Bank(subject, sites=sites, folder=tmp_path).read(stimuli, unit)
        assert fresh == [True]
        assert same(found, alone(subject, stimuli, unit))
    assert len(files(tmp_path)) == 3


@pytest.mark.parametrize("harm", ["cut", "empty", "header", "value", "other"])
def test_a_damaged_file_is_measured_again_and_put_right(tmp_path: Path, harm: str) -> None:
    stimuli, unit = said("a cat sat on the mat", "another text"), [Unit(site="low", index=0)]
    Bank(TEXT, sites=["low"], folder=tmp_path).read(stimuli, unit)
    path = next(p for p in files(tmp_path) if p.stem == stimuli[0].id)
    whole = path.read_bytes()
    harmed = {
        "cut": whole[: len(whole) // 2],
        "empty": b"",
        "header": b"\xff" + whole[1:],
        "value": whole[:-5] + bytes([whole[-5] ^ 0x10]) + whole[-4:],
        "other": next(p for p in files(tmp_path) if p != path).read_bytes()[::-1],
    }
    path.write_bytes(harmed[harm])
    found, fresh = Bank(TEXT, sites=["low"], folder=tmp_path).read(stimuli, unit)
    assert fresh == [True, False]
    assert same(found, alone(TEXT, stimuli, unit))
    assert path.read_bytes() == whole


def test_a_folder_that_cannot_be_written_costs_a_warning_and_no_measurement(tmp_path: Path) -> None:
    (tmp_path / "bank").write_text("a file where a folder should be")
    bank = Bank(TEXT, sites=["low"], folder=tmp_path / "bank")
    stimuli, unit = said("one", "two"), [Unit(site="low", index=0)]
    with pytest.warns(BankFolderWarning, match="no longer kept on disk") as warned:
        found, _ = bank.read(stimuli, unit)
    assert len(warned) == 1
    assert same(found, alone(TEXT, stimuli, unit))


def test_the_folder_stays_within_its_limit_and_keeps_what_was_used_last(tmp_path: Path) -> None:
    # a text of 31 characters takes 31 x 33 x 4 = 4,092 bytes and a header: two blocks of 4 kB
    shelf, limit = BankFiles(tmp_path, limit_bytes=20 * 8192), 20 * 8192
    arrays = {"low": np.zeros((1, 31, 33), np.float32)}
    names = [f"{i:064x}" for i in range(60)]
    for i, name in enumerate(names):
        shelf.save(name, arrays)
        os.utime(tmp_path / name[:2] / f"{name}.safetensors", (i, i))
        if i > 0:
            # the first is read all the time
            assert shelf.load(names[0], ["low"]) is not None
    left = {p.stem for p in files(tmp_path)}
    assert sum(p.stat().st_blocks * 512 for p in files(tmp_path)) <= limit * 17 / 16
    assert names[0] in left
    assert names[-1] in left
    assert names[1] not in left
    assert len(left) > 10


def test_ids_that_are_no_digests_never_become_paths(tmp_path: Path) -> None:
    (good,) = said("a text")
    bank = Bank(TEXT, sites=["low"], folder=tmp_path / "bank")
    bank.read([replace(good, id="../../outside")], [Unit(site="low", index=0)])
    assert files(tmp_path) == []


# --- explainers side by side -----------------------------------------------------------------------------------------
class Vocabulary(nn.Module):
    """Unit i fires at the i-th word, half as much one word later; a second layer mixes units with random weights."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.units = nn.Identity()
        self.mixed = nn.Linear(len(WORDS), 6)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        now = nn.functional.one_hot(ids, len(WORDS)).float()
        before = nn.functional.pad(now, (0, 0, 1, 0))[:, :-1]
        return self.mixed(self.units(now + 0.5 * before))


def split_words(text: str) -> list[tuple[int, int, int]]:
    return [
        (WORDS.index(m.group()) if m.group() in WORDS else 0, m.start(), m.end()) for m in re.finditer(r"\w+", text)
    ]


def world(texts: int) -> tuple[Subject, mt.Atlas]:
    rng = np.random.default_rng(0)
    shown = [" ".join(rng.choice(WORDS, size=int(rng.integers(8, 16)))) for _ in range(texts)]
    subject = mt.module_subject(
        Vocabulary(), tokenizer=split_words, name="vocabulary", sites={"units": "units", "mixed": "mixed"}
    )
    return subject, mt.harvest(subject, mt.Corpus.from_texts(shown), sites=["units", "mixed"])


def ledgers(subject: Subject, atlas: mt.Atlas, units: Sequence[Unit], *, threads: int, shared: bool) -> list[Any]:
    """What the search finds and measures for each unit: everything but whether and how fast a value was measured."""
    common = Bank(subject, sites=["units", "mixed"])

    def explained(unit: Unit) -> Any:
        bank = common if shared else Bank(subject, sites=["units", "mixed"])
        lab = mt.Lab(subject, unit, atlas, budget=mt.Budget(measurements=30), bank=bank)
        found = mt.explain(lab, "search")
        entries = [replace(e, fresh=True, cost=Cost()) for e in lab.ledger.entries]
        return found.label, found.reason, found.confidence, found.predicate.to_json(), entries

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(explained, units))


def test_explainers_in_threads_write_the_ledgers_that_they_write_one_by_one() -> None:
    subject, atlas = world(60)
    units = [subject.unit("units", 1), subject.unit("units", 2), subject.unit("mixed", 3)]
    one_by_one = ledgers(subject, atlas, units, threads=1, shared=False)
    assert sum(len(entries) for *_, entries in one_by_one) > 20
    assert ledgers(subject, atlas, units, threads=3, shared=True) == one_by_one


@pytest.mark.slow
def test_many_explainers_in_threads_write_the_ledgers_that_they_write_one_by_one() -> None:
    subject, atlas = world(80)
    units = [subject.unit("units", i) for i in range(5)] + [subject.unit("mixed", i) for i in range(3)]
    one_by_one = ledgers(subject, atlas, units, threads=1, shared=False)
    assert sum(len(entries) for *_, entries in one_by_one) > 60
    for threads in (1, 5):
        assert ledgers(subject, atlas, units, threads=threads, shared=True) == one_by_one
