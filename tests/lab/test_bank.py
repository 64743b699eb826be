"""The bank: each stimulus once, every unit to the bit, whoever asks and whatever fails."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from banking import IMAGE, TEXT, Watched, alone, said, same, text_subject, units_of
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import maieutic as mt
from maieutic.errors import UsageError, UserError
from maieutic.lab import Bank
from maieutic.stimuli.base import Thing
from maieutic.subjects.base import Batch, Unit

# --- to the bit ------------------------------------------------------------------------------------------------------


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
        # float32 has seven digits, and how sums round depends on the processor
        np.testing.assert_allclose(got, wanted, atol=1e-4, rtol=1e-5)


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
