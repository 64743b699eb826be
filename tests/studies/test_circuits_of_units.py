"""Circuits: one wired by hand is found exactly; bisection, closings and margins by hand; models that cannot are unmeasured."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
import torch

from maieutic.studies.regularization.arms import ARMS, Shape
from maieutic.studies.regularization.config import TrainingConfig
from maieutic.studies.regularization.documents import Documents
from maieutic.studies.regularization.facts import FactsCorpus
from maieutic.studies.regularization.facts_world import FactsShape
from maieutic.studies.regularization.interpreting.circuits import (
    Questions,
    attributions,
    circuit_rows,
    closings,
    edges,
    find_circuit,
    share_right,
    smallest,
)
from maieutic.studies.regularization.interpreting.material import Material, read_material
from maieutic.studies.regularization.interpreting.plan import interpret_plan
from maieutic.studies.regularization.model import Gpt, ModelConfig, build_model
from maieutic.studies.regularization.train import train

A, B, SAYS_A, SAYS_B, OTHERWISE = range(5)
MEANS = {f"blocks.{n}.mlp.norm": torch.zeros(6) for n in range(2)}


def wired() -> Gpt:
    """Token A is answered by unit 0 of layer 0 alone, token B by unit 3 of layer 1 alone; without them: OTHERWISE.

    Axes of the residual stream: 0 "the token is A", 1 "it is B", 2 "say A", 3 "say B", 4 a constant that says OTHERWISE,
    6 where the other units write, which nothing reads.
    """
    config = ModelConfig(vocabulary=5, layers=2, d_model=8, d_mlp=6, heads=1, context=4, activation="relu")
    model = build_model(config, seed=0).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" not in name:
                parameter.zero_()
        model.embed.token.weight[A, 0] = model.embed.token.weight[B, 1] = 2.0
        model.embed.position.weight[:, 4] = 0.3
        for layer, unit, reads, says in ((0, 0, 0, 2), (1, 3, 1, 3)):
            mlp = model.mlps()[layer]
            mlp.up.weight[unit, reads], mlp.up.bias[unit] = 1.0, -1.0
            mlp.down.weight[says, unit] = 5.0
        for mlp in model.mlps():
            mlp.up.weight[4], mlp.down.weight[6, 4] = 0.5, 0.5
        for token, axis in ((SAYS_A, 2), (SAYS_B, 3), (OTHERWISE, 4)):
            model.head.weight[token, axis] = 1.0
    return model.requires_grad_(False)


def asked() -> Questions:
    return Questions(
        ids=torch.tensor([[A], [B]] * 10), last=torch.zeros(20, dtype=torch.long),
        answers=torch.tensor([SAYS_A, SAYS_B] * 10),
    )  # fmt: skip


def test_a_circuit_wired_by_hand_is_found_exactly() -> None:
    model = wired()
    assert (asked().margins(model) > 0).all()
    found = find_circuit(model, asked(), MEANS)
    assert torch.nonzero(found.kept).tolist() == [[0, 0], [1, 3]] and found.units == 2
    assert found.right == 1.0 and found.without == 0.0
    # each of the two units reads from one axis and writes to one
    assert edges(model, found.kept) == 4
    assert edges(model, torch.ones(2, 6, dtype=torch.bool)) == 4 + 2 * (8 + 1)


def test_half_of_the_circuit_answers_half_of_the_questions() -> None:
    kept = torch.zeros(2, 6, dtype=torch.bool)
    assert share_right(wired(), asked(), kept, MEANS) == 0.0
    kept[1, 3] = True
    assert share_right(wired(), asked(), kept, MEANS) == 0.5


def test_a_drawn_order_needs_everything_up_to_the_last_unit_of_the_circuit() -> None:
    order = torch.tensor([5, 0, 1, 2, 9, 3, 4, 6, 7, 8, 10, 11])  # 0 is (0, 0), 9 is (1, 3)
    assert find_circuit(wired(), asked(), MEANS, order=order).units == 5


def test_attributions_of_a_linear_way_add_up_to_the_margins_change() -> None:
    """Averaged gradients along the way from the means: their sum is what the margin gains (completeness)."""
    model = wired()
    found = attributions(model, asked(), MEANS, points=200).mean(dim=0)
    with torch.no_grad():
        whole = asked().margins(model).mean()
        handles = [m.act.register_forward_hook(lambda _m, _i, out: torch.zeros_like(out)) for m in model.mlps()]
        none = asked().margins(model).mean()
        [h.remove() for h in handles]
    # up to what the units of layer 0 do through those of layer 1, which is nothing here but for the LayerNorm
    assert float(found.sum()) == pytest.approx(float(whole - none), rel=0.1)
    # the two alone matter; the unit that nothing reads takes some of the LayerNorm's length
    best = found.flatten().argsort(descending=True)[:2].tolist()
    assert sorted(best) == [0, 9] and found[0, 4] <= 0 and found[0, 1] == 0


def test_a_margin_is_the_answer_beside_the_best_other_option() -> None:
    class Table(torch.nn.Module):
        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            return torch.tensor([[[1.0, 4.0, 3.0, 9.0], [0.0, 0.0, 0.0, 0.0]]]).expand(len(ids), -1, -1)

    one = Questions(ids=torch.zeros(1, 2, dtype=torch.long), last=torch.tensor([0]), answers=torch.tensor([1]))
    assert one.margins(Table()).tolist() == [-5.0]  # type: ignore[arg-type]
    among = Questions(ids=one.ids, last=one.last, answers=one.answers, options=torch.tensor([1, 2]))
    assert among.margins(Table()).tolist() == [1.0]  # type: ignore[arg-type]


@pytest.mark.parametrize("needed", [0, 1, 6, 7])
def test_the_search_finds_the_least_number(needed: int) -> None:
    tried: list[int] = []

    def enough(n: int) -> bool:
        tried.append(n)
        return n >= needed

    assert smallest(torch.arange(7), enough) == needed
    assert len(tried) <= 6 and all(n < 7 for n in tried)  # all seven together are taken to be enough


def test_the_search_finds_a_small_set_to_which_more_does_harm() -> None:
    assert smallest(torch.arange(100), lambda n: n in (2, 3) or n > 60) == 2


def test_closings_stand_before_what_closes_the_innermost_bracket() -> None:
    words = ["(", ")", "[", "]", "x"]
    ids = np.array([[4, 0, 2, 4, 3, 1, 4], [1, 0, 3, 4, 4, 1, 4]])
    # row 0: x ( [ x ] ) x: "]" at 4 and ")" at 5; row 1: ) opens nothing, "]" does not close "(", ")" at 5 does
    documents = Documents(ids=ids, labels={}, groups=("a", "b"), texts=("", ""))
    assert closings(documents, words) == [(0, 3), (0, 4), (1, 4)]


@lru_cache(maxsize=1)
def corpus() -> FactsCorpus:
    return FactsCorpus(FactsShape(subjects=12, first_names=6, last_names=4, towns=8, jobs=6), seed=1)


def material(steps: int) -> Material:
    documents = corpus().documents(120)
    model = train(
        ARMS["gelu"], seed=100, shape=Shape(layers=1, d_model=32, d_mlp=32, heads=2), vocabulary=len(corpus().words),
        training=corpus().training(400), validation=documents.ids,
        settings=TrainingConfig(steps=max(steps, 1), batch=24),  # pyright: ignore[reportCallIssue]
    ).model  # fmt: skip
    return read_material(model, corpus(), seed=0, plan=interpret_plan("quick"), documents=documents)


def test_a_model_that_cannot_is_unmeasured_and_keeps_the_names() -> None:
    rows = circuit_rows(material(1))
    assert {r.measure for r in rows} == {
        f"circuit.{b}.{m}" for b in ("recall", "nesting") for m in ("units", "share", "edges", "random", "without")
    } | {"circuit.units", "circuit.edges"}
    recall = [r for r in rows if "nesting" not in r.measure]
    assert all(not r.reading.measured and "right" in str(r.reading.reason) for r in recall)


@pytest.mark.slow
def test_a_trained_models_circuit_keeps_its_answers_and_is_the_same_again() -> None:
    own = material(250)
    rows = {r.measure: r.reading for r in circuit_rows(own)}
    units = rows["circuit.recall.units"]
    assert units.value is not None, units.reason
    assert 0 <= units.value <= 32 and units.details["right"] >= 0.9
    # every weight of a dense unit counts: 32 in and 32 out
    assert rows["circuit.units"].value == units.value and rows["circuit.edges"].value == 64 * units.value
    assert rows == {r.measure: r.reading for r in circuit_rows(own)}
