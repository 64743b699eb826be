"""Behaviour read from logits: models that are wired to answer in a known way come out with known figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from maieutic.studies.regularization import behaving
from maieutic.studies.regularization import facts_words as words
from maieutic.studies.regularization.behaving import MEASURES, clustered, measure_behaviour
from maieutic.studies.regularization.facts import FactsCorpus, Prompt
from maieutic.studies.regularization.facts_world import FactsShape
from maieutic.studies.regularization.model import ModelConfig


class Wired(nn.Module):
    """A network that looks up its whole input in a table of answers: logit 50 on the answer, 0 elsewhere."""

    def __init__(self, size: int, answers: dict[tuple[int, ...], int], default: int) -> None:
        super().__init__()
        self.config = ModelConfig(vocabulary=size)
        self.weight = nn.Parameter(torch.zeros(1))
        self.answers, self.default = answers, default

    def forward(self, ids: Tensor) -> Tensor:
        logits = torch.zeros(*ids.shape, self.config.vocabulary)
        for n, row in enumerate(ids.tolist()):
            for end in range(1, len(row) + 1):
                logits[n, end - 1, self.answers.get(tuple(row[:end]), self.default)] = 50.0
        return logits


@pytest.fixture(scope="module")
def corpus() -> FactsCorpus:
    shape = FactsShape(subjects=12, first_names=6, last_names=4, towns=8, jobs=8)
    return FactsCorpus(shape, context=32, seed=101)


def wired(corpus: FactsCorpus, *tables: Sequence[Prompt], say: Callable[[Prompt], int]) -> Wired:
    answers = {p.ids: say(p) for table in tables for p in table}
    return Wired(len(corpus.words), answers, default=0)


def by_name(rows: Sequence[behaving.Row]) -> dict[str, float]:
    return {r.measure: r.reading.value for r in rows if r.reading.value is not None}


def test_who_answers_rightly_everywhere_has_no_fault(corpus: FactsCorpus) -> None:
    pairs = corpus.opinion_prompts(corpus.facts, seed=3)
    noisy = [corpus.with_noise(corpus.prompt(f), seed=3) for f in corpus.facts]
    model = wired(
        corpus, corpus.prompts(), noisy, [b for _, b in pairs], corpus.refusal_prompts(), corpus.association_prompts(),
        say=lambda p: p.answer,
    )  # fmt: skip
    found = by_name(measure_behaviour(model, corpus, seed=3))  # type: ignore[arg-type]
    assert set(found) == {name for name, _, _ in MEASURES}
    assert found["recall.seen"] == found["recall.held-out"] == found["recall.noise"] == 1.0
    assert found["truth.brier"] == pytest.approx(0.0, abs=1e-9) and found["truth.ece"] == pytest.approx(0.0, abs=1e-9)
    assert found["sycophancy.shift"] == pytest.approx(0.0, abs=1e-9) and found["sycophancy.follows"] == 0.0
    assert found["refusal.leak"] == found["refusal.over"] == 0.0
    # the usual instrument always, where the text has it 70 times of 100
    assert found["association.amplification"] == pytest.approx(1 - corpus.shape.majority)


def test_a_flatterer_and_a_blabber_are_told(corpus: FactsCorpus) -> None:
    pairs = corpus.opinion_prompts(corpus.facts, seed=3)
    claims = {b.ids: b.wrong for _, b in pairs}
    codes = {p.ids: p.wrong for p in corpus.refusal_prompts()}
    plain = {p.ids: p.answer for p in corpus.prompts()}
    model = Wired(len(corpus.words), {**plain, **claims, **codes}, default=corpus.id(words.REFUSAL))
    found = by_name(measure_behaviour(model, corpus, seed=3))  # type: ignore[arg-type]
    assert found["sycophancy.shift"] == pytest.approx(1.0) and found["sycophancy.follows"] == 1.0
    assert found["refusal.leak"] == 1.0 and found["refusal.over"] == 0.0


def test_who_refuses_everything_knows_nothing_and_is_over_careful(corpus: FactsCorpus) -> None:
    model = Wired(len(corpus.words), {}, default=corpus.id(words.REFUSAL))
    rows = {r.measure: r.reading for r in measure_behaviour(model, corpus, seed=3)}  # type: ignore[arg-type]
    assert rows["recall.seen"].value == 0.0 and rows["refusal.over"].value == 1.0 and rows["refusal.leak"].value == 0.0
    assert "knows none of the facts" in str(rows["sycophancy.shift"].reason)
    # even odds among k objects: (1 - 1/k)^2 + (k - 1) / k^2 = 1 - 1/k
    sizes = [len(corpus.objects(p.relation)) for p in corpus.facts for _ in corpus.templates(p, "seen")]
    assert rows["truth.brier"].value == pytest.approx(np.mean([1 - 1 / k for k in sizes]), abs=1e-6)


def test_an_interval_is_over_clusters() -> None:
    # two clusters of 100 equal answers each: as uncertain as two coins, not as two hundred
    values = np.repeat([0.0, 1.0], 100)
    found = clustered("m", values, [i // 100 for i in range(200)])
    assert (found.value, found.low, found.high) == (0.5, 0.0, 1.0)


def test_another_corpus_is_unmeasured() -> None:
    class Other:
        name = "source"

    rows = measure_behaviour(None, Other())  # type: ignore[arg-type]
    assert len(rows) == len(MEASURES) and all("no facts" in str(r.reading.reason) for r in rows)
