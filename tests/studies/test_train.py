"""Training: the same again for the same seed, the same documents for every arm, and a run that takes up where it stopped."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
import torch

from maieutic.errors import StoreError
from maieutic.executors import open_executor
from maieutic.studies.regularization.arms import ARMS, Arm, Shape
from maieutic.studies.regularization.asking import ask, right, text_loss
from maieutic.studies.regularization.config import StudyConfig, TrainingConfig, load_config
from maieutic.studies.regularization.facts import FactsCorpus
from maieutic.studies.regularization.facts_world import FactsShape
from maieutic.studies.regularization.keeping import Failed, Kept, all_kept, load_kept, train_all
from maieutic.studies.regularization.model import build_model, model_config
from maieutic.studies.regularization.train import Trained, document_order, measured_sparsity, rate_factor, train
from maieutic.studies.regularization.variants import Variant

SHAPE = Shape(layers=1, d_model=16, d_mlp=24, heads=2)
SETTINGS = TrainingConfig(steps=12, batch=8)  # pyright: ignore[reportCallIssue]
WORLD = {"subjects": 12, "first_names": 6, "last_names": 4, "towns": 8, "jobs": 6}


@lru_cache(maxsize=1)
def corpus() -> FactsCorpus:
    return FactsCorpus(FactsShape(**WORLD), seed=1)


@lru_cache(maxsize=32)
def trained(name: str = "gelu", seed: int = 100, **changes: float) -> Trained:
    return made(replace(ARMS[name], **changes), seed=seed)


def made(arm: Arm, *, seed: int = 100, settings: TrainingConfig = SETTINGS, **more: tuple[float, ...]) -> Trained:
    texts, held_out = corpus().training(80), corpus().documents(40).ids
    return train(
        arm, seed=seed, shape=SHAPE, vocabulary=len(corpus().words), training=texts, validation=held_out,
        settings=settings, **more,
    )  # fmt: skip


@pytest.mark.parametrize("name", sorted(ARMS))
def test_every_arm_trains_and_tells_how_sparse_it_came_out(name: str) -> None:
    found = trained(name)
    assert found.tokens == (12 * 8 * 32 if name != "untrained" else 0)
    assert (found.loss < trained("untrained").loss - 0.03) == (name != "untrained")
    assert len(found.sparsity.active) == len(found.sparsity.dead) == 1
    assert found.sparsity.units == 24 * ARMS[name].width
    if name in ("gelu", "solu", "dropout"):
        assert found.sparsity.active[0] > 23.9  # a smooth activation is hardly ever exactly 0
    if name == "topk":
        assert found.sparsity.active == (3.0,)  # an eighth of 24
    if name == "pruning":
        assert found.sparsity.nonzero == found.sparsity.entries // 4
    if name == "weight-sparse":
        assert found.sparsity.nonzero == trained("gelu").sparsity.entries


def test_the_same_seed_gives_the_same_weights_and_another_does_not() -> None:
    one, again, other = made(ARMS["dropout"]), made(ARMS["dropout"]), made(ARMS["dropout"], seed=101)
    pairs = list(zip(one.model.parameters(), again.model.parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b in pairs) and one.loss == again.loss and one.curve == again.curve
    assert one.loss != other.loss


def test_two_trainings_of_the_dense_arm_differ_only_in_the_arm() -> None:
    # an L1 loss of coefficient 0 is ReLU, whatever it is called
    assert made(replace(ARMS["relu-l1"], l1_activations=0.0)).loss == trained("relu").loss


def test_the_l1_loss_makes_activations_sparser() -> None:
    longer = TrainingConfig(steps=60, batch=8)  # pyright: ignore[reportCallIssue]
    strong = made(replace(ARMS["relu-l1"], l1_activations=0.1), settings=longer)
    assert strong.sparsity.active[0] < 0.5 * made(ARMS["relu"], settings=longer).sparsity.active[0]


def test_a_seeds_order_is_every_document_once_a_round() -> None:
    order = document_order(10, seed=4, count=25)
    assert len(order) == 25
    assert sorted(order[:10].tolist()) == sorted(order[10:20].tolist()) == list(range(10))
    assert torch.equal(order[:7], document_order(10, seed=4, count=7))
    assert not torch.equal(order[:10], document_order(10, seed=5, count=10))


def test_the_learning_rate_rises_and_falls_to_a_tenth() -> None:
    rates = [rate_factor(n, 100, 0.1) for n in range(1, 101)]
    assert rates[4] == 0.5 and rates[9] == 1.0
    assert rates[54] == pytest.approx(0.55)  # half-way down the cosine: 0.1 + 0.9 / 2
    assert rates[99] == pytest.approx(0.1)


def test_checkpoints_are_what_the_model_was_then() -> None:
    found = made(ARMS["gelu"], checkpoints=(0.5, 1.0))
    assert [c.step for c in found.checkpoints] == [6]  # the end is the model itself
    again = build_model(model_config(ARMS["gelu"], SHAPE, vocabulary=len(corpus().words)), seed=0)
    again.load_state_dict(found.checkpoints[0].weights)
    assert text_loss(again.eval(), corpus().documents(40).ids) == pytest.approx(found.checkpoints[0].loss, abs=1e-6)
    assert found.checkpoints[0].loss > found.loss
    assert found.loss == trained("gelu").loss  # keeping one changed nothing


def test_dead_and_active_units_are_counted_right() -> None:
    model = build_model(model_config(ARMS["relu"], SHAPE, vocabulary=len(corpus().words)), seed=0)
    with torch.no_grad():
        up = model.blocks[0].mlp.up
        up.weight.zero_()
        up.bias.copy_(torch.tensor([1.0] * 5 + [-1.0] * 19))
    found = measured_sparsity(model, corpus().documents(10).ids)
    # five units are 1 everywhere, 19 are 0 everywhere
    assert (found.active, found.strong, found.dead) == ((5.0,), (5.0,), (19,))


def test_asking_in_a_batch_is_asking_alone() -> None:
    model = trained().model
    prompts = [*corpus().prompts()[:5], *(b for _, b in corpus().opinion_prompts(corpus().facts[:3]))]
    assert len({len(p.ids) for p in prompts}) > 1
    together = ask(model, prompts)
    for row, p in zip(together, prompts, strict=True):
        alone = model(torch.tensor([p.ids]))[0, -1]
        assert torch.allclose(row, alone, atol=1e-5)
    assert right(model, prompts).tolist() == [
        int(r.argmax()) == p.answer for r, p in zip(together, prompts, strict=True)
    ]
    assert ask(model, []).shape == (0, len(corpus().words))


def test_the_loss_of_a_text_is_the_mean_surprise() -> None:
    model, ids = trained().model, corpus().documents(3).ids
    surprise = [
        -float(model(torch.tensor(row[None, :-1])).detach()[0].log_softmax(-1)[n, row[n + 1]])
        for row in ids
        for n in range(ids.shape[1] - 1)
    ]
    assert text_loss(model, ids) == pytest.approx(np.mean(surprise), abs=1e-4)


# --- whole runs ----------------------------------------------------------------------------------------------------


def study(**changes: object) -> StudyConfig:
    return load_config(
        "quick",
        **{
            "arms": ["gelu", "topk", "untrained"], "seeds": [100], "null_seeds": [], "forget": 2,
            "gold_arms": ["gelu"], "gold_seeds": [100],
            "shape": {"layers": 1, "d_model": 16, "d_mlp": 24, "heads": 2},
            "corpus": {**WORLD, "training": 60, "measured": 30},
            "training": {"steps": 10, "batch": 6, "checkpoints": [0.5]}, **changes,
        },
    )  # fmt: skip


def test_a_run_trains_every_job_and_takes_up_where_it_stopped(tmp_path) -> None:
    config = study()
    with open_executor() as executor:
        found = train_all(config, tmp_path, executor)
        assert [k.variant.name for k in found] == [
            "main/gelu/seed-100", "main/topk@0.125/seed-100", "main/untrained/seed-100", "gold/gelu/seed-100",
        ]  # fmt: skip
        dense, topk = found[0], found[1]
        assert isinstance(dense, Kept) and isinstance(topk, Kept)
        assert list(dense.record["checkpoints"]) == ["5"] and topk.record["checkpoints"] == {}
        assert 0 <= dense.record["recall_seen"] <= 1 and dense.record["sparsity"]["dead"]
        held_out = FactsCorpus(config.corpus.facts_shape(), seed=0).documents(30).ids
        assert text_loss(dense.model(), held_out) == pytest.approx(dense.record["loss"], abs=1e-6)
        assert text_loss(dense.model(5), held_out) == pytest.approx(dense.record["checkpoints"]["5"]["loss"], abs=1e-6)
        # one is lost, and only that one is trained again, to the same weights
        before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("record.json")}
        lost = topk.folder / "record.json"
        lost.unlink()
        assert isinstance(all_kept(config, tmp_path)[1], Failed)
        again = train_all(config, tmp_path, executor)
    after = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("record.json")}
    assert {p for p in after if after[p] != before[p]} == {lost}
    assert isinstance(again[1], Kept) and again[1].record["loss"] == topk.record["loss"]
    assert not list(tmp_path.rglob("*.part"))


def test_a_folder_of_another_configuration_is_refused(tmp_path) -> None:
    one = [Variant(purpose="main", arm="gelu", strength=None, seed=100)]
    with open_executor() as executor:
        train_all(study(), tmp_path, executor, variants=one)
        with pytest.raises(StoreError, match="another configuration"):
            train_all(study(training={"steps": 11, "batch": 6}), tmp_path, executor, variants=one)
        with pytest.raises(StoreError, match="no trained model"):
            load_kept(tmp_path, replace(one[0], seed=101))


def test_a_job_that_fails_is_told_and_the_others_go_on(tmp_path) -> None:
    # a rate at which nothing stays finite
    config = study(strengths={"weight-sparse": 0.5}, arms=["gelu", "weight-sparse", "untrained"], gold_arms=[])
    wild = config.model_copy(
        update={"training": config.training.model_copy(update={"learning_rate": 1e38, "clip": 1e30})}
    )
    with open_executor() as executor:
        found = train_all(wild, tmp_path, executor)
    assert [isinstance(f, Failed) for f in found] == [True, True, False]
    assert isinstance(found[0], Failed) and "not finite" in found[0].reason


def test_without_the_forgotten_facts_the_gold_model_is_another(tmp_path) -> None:
    variants = [Variant(purpose=p, arm="gelu", strength=None, seed=100) for p in ("main", "gold")]
    with open_executor() as executor:
        main, gold = train_all(study(), tmp_path, executor, variants=variants)
    assert isinstance(main, Kept) and isinstance(gold, Kept)
    assert main.record["curve"][0] != gold.record["curve"][0]


@pytest.mark.slow
def test_other_processes_give_the_same_weights(tmp_path) -> None:
    config = study(arms=["gelu", "dropout"], gold_arms=[])
    losses: list[list[float]] = []
    for engine in ("in-process", "processes"):
        with open_executor(engine, workers=1) as executor:
            found = train_all(config, tmp_path / engine, executor)
        assert all(isinstance(f, Kept) for f in found)
        losses.append([f.record["loss"] for f in found if isinstance(f, Kept)])
    assert losses[0] == losses[1]
