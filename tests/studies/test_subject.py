"""A model of the study under the project's own harvest, search explainer and scorers."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
import torch

import maieutic as mt
from maieutic.studies.regularization.arms import ARMS, Shape
from maieutic.studies.regularization.config import TrainingConfig
from maieutic.studies.regularization.documents import Documents
from maieutic.studies.regularization.facts import FactsCorpus
from maieutic.studies.regularization.facts_world import FactsShape
from maieutic.studies.regularization.model import Gpt
from maieutic.studies.regularization.subject import StudySubject, study_subject
from maieutic.studies.regularization.train import train


@lru_cache(maxsize=1)
def setting() -> tuple[FactsCorpus, Documents, Gpt]:
    corpus = FactsCorpus(FactsShape(subjects=12, first_names=6, last_names=4, towns=8, jobs=6), seed=1)
    documents = corpus.documents(60)
    model = train(
        ARMS["solu-ln"], seed=100, shape=Shape(layers=2, d_model=16, d_mlp=24, heads=2), vocabulary=len(corpus.words),
        training=corpus.training(80), validation=documents.ids,
        settings=TrainingConfig(steps=10, batch=8),  # pyright: ignore[reportCallIssue]
    ).model  # fmt: skip
    return corpus, documents, model


def subject() -> StudySubject:
    corpus, _, model = setting()
    return study_subject(model, corpus, name="small")


def test_sites_are_named_by_location_in_the_order_of_the_pass() -> None:
    assert [(s.name, s.width) for s in subject().sites()] == [
        ("embed", 16),
        ("blocks.0.attn", 16), ("blocks.0.mlp.act", 24), ("blocks.0.mlp.norm", 24), ("blocks.0", 16),
        ("blocks.1.attn", 16), ("blocks.1.mlp.act", 24), ("blocks.1.mlp.norm", 24), ("blocks.1", 16),
    ]  # fmt: skip
    assert all(s.positions == "token" and s.what for s in subject().sites())


def test_what_is_read_is_what_the_model_computes() -> None:
    _, documents, model = setting()
    one = subject()
    seen: list[torch.Tensor] = []
    handle = model.blocks[1].mlp.act.register_forward_hook(lambda _m, _i, out: seen.append(out))
    with torch.no_grad():
        model(torch.tensor(documents.ids[:1, :-1]))
    handle.remove()
    read = one.measure([documents.texts[0]], one.unit("blocks.1.mlp.act", 5))[0]
    assert read.shape == (32,) and np.allclose(read, seen[0][0, :, 5].numpy(), atol=1e-6)
    assert [t.text for t in one.tokens(documents.texts[0])] == documents.texts[0].split()


def test_the_untrained_copy_starts_as_training_does() -> None:
    one = subject()
    fresh, again = one.untrained(3), one.untrained(3)
    assert fresh.fingerprint == again.fingerprint != one.untrained(4).fingerprint != one.fingerprint
    assert fresh.sites() == one.sites()


def test_harvest_search_and_score_work_unchanged_and_find_a_planted_unit() -> None:
    corpus, documents, model = setting()
    # planted: unit 0 of the embedding is 1 at towns and 0 elsewhere
    towns = [corpus.id(t) for t in corpus.world.objects["town"]]
    model.embed.token.weight[:, 0] = 0
    model.embed.token.weight[towns, 0] = 1
    model.embed.position.weight[:, 0] = 0
    one = study_subject(model, corpus, name="planted")
    planted, other = one.unit("embed", 0), one.unit("blocks.1.mlp.act", 3)
    texts = documents.corpus("facts")
    atlas = mt.harvest(one, texts, ["embed", "blocks.1.mlp.act"], keep=[planted, other])
    found = mt.explain(mt.Lab(one, planted, atlas), budget=mt.Budget(measurements=60))
    assert not found.abstained
    reading = mt.score(found, one, planted, texts, ["predictive"], atlas=atlas)["predictive"]
    assert reading.value is not None and reading.value > 0.8
    test = documents.split("test")
    rows = one.measure(list(test.texts), planted)
    truth = test.labels["category"].mask("town")
    assert all(np.array_equal(r > 0.5, t) for r, t in zip(rows, truth, strict=True))
    # any neuron goes through the same way, whatever comes out
    assert mt.explain(mt.Lab(one, other, atlas), budget=mt.Budget(measurements=20)).unit == other.key


def test_a_text_that_is_too_long_is_an_error() -> None:
    with pytest.raises(mt.UserError, match="reads 32 tokens"):
        subject().measure(["the " * 40], subject().unit("embed", 0))
