"""A bank asked by several threads at once: each stimulus once, each error to whom it belongs; explainers side by side."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from banking import WORDS, Watched, alone, said, same, text_subject, units_of
from torch import nn

import maieutic as mt
from maieutic.lab import Bank
from maieutic.readings import Cost
from maieutic.subjects.base import Subject, Unit


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
