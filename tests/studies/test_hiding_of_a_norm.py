"""The hiding test: small activations by hand, LayerNorm behind SoLU by hand, and the loss of a cut."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
import torch

from maieutic.studies.regularization.activations import solu
from maieutic.studies.regularization.arms import ARMS, Shape
from maieutic.studies.regularization.asking import text_loss
from maieutic.studies.regularization.facts import FactsCorpus
from maieutic.studies.regularization.facts_world import FactsShape
from maieutic.studies.regularization.interpreting.hiding import cut_small, hiding_rows, losses_with_cut
from maieutic.studies.regularization.interpreting.material import Material, activations_of, read_material
from maieutic.studies.regularization.interpreting.neurons import labelled_layers
from maieutic.studies.regularization.interpreting.plan import interpret_plan
from maieutic.studies.regularization.model import Gpt, build_model, model_config
from maieutic.studies.regularization.rows import Row


@lru_cache(maxsize=1)
def corpus() -> FactsCorpus:
    return FactsCorpus(FactsShape(subjects=12, first_names=6, last_names=4, towns=8, jobs=6), seed=1)


def model(arm: str) -> Gpt:
    shape = Shape(layers=2, d_model=16, d_mlp=24, heads=2)
    return build_model(model_config(ARMS[arm], shape, vocabulary=len(corpus().words)), seed=100).eval()


@lru_cache(maxsize=2)
def material(arm: str) -> Material:
    return read_material(model(arm), corpus(), seed=0, plan=interpret_plan("quick"), documents=corpus().documents(120))


@lru_cache(maxsize=2)
def rows(arm: str) -> dict[tuple[str, str], Row]:
    return {(r.measure, r.where): r for r in hiding_rows(material(arm), labelled_layers(material(arm)))}


def test_activations_below_a_share_of_their_tokens_largest_are_cut() -> None:
    values = torch.tensor([[4.0, 1.0, -0.9, 0.3], [0.1, -1.0, 0.25, 0.24]])
    # a quarter of 4 is 1, which stays; a quarter of |-1| is .25, which stays
    assert cut_small(values, 25).tolist() == [[4.0, 1.0, 0.0, 0.0], [0.0, -1.0, 0.25, 0.0]]
    assert torch.equal(cut_small(values, 0), values)


def test_a_layer_norm_lifts_what_solu_pressed_down_by_hand() -> None:
    """Token A fires (4, 0, 0, 0), token B does not (1, 1, 1, 0): before, B's units are under a tenth of A's; behind, alike."""
    a, b = solu(torch.tensor([4.0, 0.0, 0.0, 0.0])), solu(torch.tensor([1.0, 1.0, 1.0, 0.0]))
    # e / (3e + 1) = .297
    assert a[0] == pytest.approx(3.79, abs=0.01) and b[0] == pytest.approx(0.297, abs=0.001)
    assert b[0] / a[0] < 0.1
    normed = [torch.nn.functional.layer_norm(x, (4,)) for x in (a, b)]
    # (3, -1, -1, -1) / sqrt 3 and (1, 1, 1, -3) / sqrt 3: the share is 1 / 3
    assert normed[1][0] / normed[0][0] == pytest.approx(1 / 3, abs=1e-3)


def test_a_cut_of_nothing_is_the_models_own_loss_and_a_cut_of_all_but_the_largest_is_not() -> None:
    own, ids = model("gelu"), corpus().documents(20).ids
    sites = ["blocks.0.mlp.act", "blocks.1.mlp.act"]
    before = losses_with_cut(own, ids, sites=sites, percent=0)
    assert before.mean() == pytest.approx(text_loss(own, ids), rel=1e-5)
    cut = losses_with_cut(own, ids, sites=sites, percent=100)

    def only_largest(_module: object, _inputs: object, out: torch.Tensor) -> torch.Tensor:
        size = out.abs()
        return out * (size == size.amax(dim=-1, keepdim=True))

    handles = [m.act.register_forward_hook(only_largest) for m in own.mlps()]
    assert cut.mean() == pytest.approx(text_loss(own, ids), rel=1e-5)
    [h.remove() for h in handles]
    assert not np.allclose(cut, before)


def test_an_arm_without_a_layer_norm_says_so_and_keeps_the_names() -> None:
    without, own = rows("gelu"), rows("solu-ln")
    assert list(without) == list(own)
    behind = [r for (name, _), r in without.items() if "after" in name or "drop" in name or name == "hiding.gain"]
    assert behind and all("no LayerNorm" in str(r.reading.reason) for r in behind)
    assert own["hiding.low.after", "blocks.0.mlp.norm"].reading.measured
    assert without["hiding.low.before", "blocks.1.mlp.act"].reading.measured


def test_the_drop_is_before_minus_after_and_the_gain_falls_where_units_fire() -> None:
    found = rows("solu-ln")
    for layer in range(2):
        act, norm = f"blocks.{layer}.mlp.act", f"blocks.{layer}.mlp.norm"
        before, after = found["hiding.low.before", act].reading.value, found["hiding.low.after", norm].reading.value
        drop, gain = found["hiding.low.drop", act].reading.value, found["hiding.gain", act].reading.value
        assert before is not None and after is not None and drop == pytest.approx(before - after)
        assert gain is not None and -1 <= gain < -0.3


def test_what_is_read_behind_the_norm_is_its_layer_norm() -> None:
    own = material("solu-ln")
    before, after = (torch.from_numpy(own.values[f"blocks.1.mlp.{k}"]) for k in ("act", "norm"))
    torch.testing.assert_close(torch.nn.functional.layer_norm(before, (24,)), after)
    again = activations_of(own.model, own.documents, ["blocks.1.mlp.act"])["blocks.1.mlp.act"]
    assert np.array_equal(again, own.values["blocks.1.mlp.act"])
