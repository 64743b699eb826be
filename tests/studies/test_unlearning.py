"""Unlearning against a gold model: what is compared with what, and what each way changes."""

import numpy as np
import pytest
import torch

from maieutic.studies.regularization.arms import Shape, arm
from maieutic.studies.regularization.asking import answers_of, ask
from maieutic.studies.regularization.corpora import forgotten
from maieutic.studies.regularization.editing.evaluate import text_before
from maieutic.studies.regularization.editing.keys import spread
from maieutic.studies.regularization.editing.sites import Site, frozen, patched
from maieutic.studies.regularization.editing.unlearning import (
    ForgetSettings,
    compare_with_gold,
    make_task,
    unlearn,
)
from maieutic.studies.regularization.facts import FactsCorpus
from maieutic.studies.regularization.facts_world import FactsShape
from maieutic.studies.regularization.model import build_model, model_config

SITE = Site(layer=1)


@pytest.fixture(scope="module")
def corpus():
    return FactsCorpus(FactsShape(subjects=24, first_names=8, last_names=8, towns=8, jobs=8, lands=4), seed=100)


@pytest.fixture(scope="module")
def setting(corpus):
    """A model, another as if it were gold, and the task of forgetting three subjects."""
    config = model_config(arm("gelu"), Shape(layers=2, d_model=32, d_mlp=64, heads=2), vocabulary=len(corpus.words))
    model, gold = build_model(config, seed=100).eval(), build_model(config, seed=101).eval()
    ids = corpus.documents(14).ids
    everything = frozenset(range(len(corpus.facts)))
    task = make_task(
        corpus, forget=forgotten(corpus, subjects=3), known=everything, text=text_before(model, corpus, ids[10:]),
        tested=8, seed=100,
    )  # fmt: skip
    return model, gold, task, spread(model, ids[:10, :-1], layer=1)


def test_what_is_forgotten_retained_and_tested_are_apart(corpus, setting):
    task = setting[2]
    sets = [{f.subject for f in facts} for facts in (task.forget, task.retain, task.tested)]
    assert [len(task.forget), len(task.tested)] == [3 * 4, 8]
    assert not sets[0] & sets[1] and not sets[0] & sets[2] and not sets[1] & sets[2]


def test_the_gold_model_is_at_no_distance_from_itself(corpus, setting):
    model, gold, task, _ = setting
    with frozen(gold):
        after = compare_with_gold(gold, corpus, task, {}, gold=gold)
    assert after.kolmogorov == 0 and after.p == 1 and not after.distance.any()
    np.testing.assert_array_equal(after.recall, after.gold_recall)
    with frozen(model):
        other = compare_with_gold(model, corpus, task, {}, gold=gold)
    prompts = corpus.prompts([task.forget[2]])
    chances = [ask(m, prompts).softmax(-1)[torch.arange(4), answers_of(prompts)].double() for m in (model, gold)]
    assert other.distance[2] == pytest.approx(float((chances[0] - chances[1]).abs().mean()), abs=1e-7)
    assert other.drift.kl[0] == pytest.approx(0, abs=1e-6)


def _chance(model, corpus, task, changes):
    prompts = corpus.prompts(task.forget)
    with patched(model, changes):
        return float(ask(model, prompts).softmax(-1)[torch.arange(len(prompts)), answers_of(prompts)].mean())


def test_ascent_makes_answers_less_likely_and_nothing_changes_nothing(corpus, setting):
    model, _, task, behind = setting
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    with frozen(model):
        assert unlearn(model, corpus, task, way="none", site=SITE, spread=behind, seed=0) == {}
        changes = {
            way: unlearn(
                model,
                corpus,
                task,
                way=way,
                site=SITE,
                spread=behind,
                seed=0,
                settings=ForgetSettings(steps=4, rate=0.05),
            )
            for way in ("uniform", "edit")
        }
        plain = _chance(model, corpus, task, {})
        # a fresh model guesses among all words, so a guess among the objects of a relation is likelier than what it does
        assert _chance(model, corpus, task, changes["edit"]) > plain
    assert set(changes["edit"]) == {"blocks.1.mlp.down.weight"}
    assert set(changes["uniform"]) == set(model.matrices()) or not changes["uniform"]
    assert all(torch.equal(before[n], p) for n, p in model.named_parameters())


def test_ascent_lowers_what_a_model_knows(corpus, setting):
    """A model that was tuned to the facts first, so that there is something to forget."""
    model, _, task, behind = setting
    taught = build_model(model.config, seed=100)
    optimiser = torch.optim.Adam(taught.parameters(), lr=3e-3)
    prompts = corpus.prompts([*task.forget, *task.tested])
    from maieutic.studies.regularization.asking import padded

    ids, last = padded(prompts)
    for _ in range(60):
        loss = torch.nn.functional.cross_entropy(taught(ids)[torch.arange(len(ids)), last], answers_of(prompts))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with frozen(taught):
        knew = _chance(taught, corpus, task, {})
        settings = ForgetSettings(steps=20, rate=0.05)
        changes = unlearn(taught, corpus, task, way="ascent", site=SITE, spread=behind, seed=0, settings=settings)
        knows = _chance(taught, corpus, task, changes)
    assert knew > 0.6 and knows < 0.5 * knew
