"""The project's own explainer on units of a study model: planted units, blinding, controls, and all parts together."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
import torch

from maieutic.errors import UsageError
from maieutic.explain import Explanation
from maieutic.lab import Lab
from maieutic.readings import Reading
from maieutic.studies.regularization.arms import ARMS, Shape
from maieutic.studies.regularization.facts import FactsCorpus
from maieutic.studies.regularization.facts_world import FactsShape
from maieutic.studies.regularization.interpreting.explained import (
    BLIND,
    Explaining,
    Sampled,
    agreement,
    explained_rows,
)
from maieutic.studies.regularization.interpreting.material import Material, read_material
from maieutic.studies.regularization.interpreting.measure import PARTS, measure_interpretability
from maieutic.studies.regularization.interpreting.neurons import labelled_layers
from maieutic.studies.regularization.interpreting.plan import PLANS, InterpretPlan, interpret_plan
from maieutic.studies.regularization.model import Gpt, build_model, model_config
from maieutic.subjects.base import Unit

SHAPE = Shape(layers=1, d_model=16, d_mlp=6, heads=2)


@lru_cache(maxsize=1)
def corpus() -> FactsCorpus:
    return FactsCorpus(FactsShape(subjects=12, first_names=6, last_names=4, towns=8, jobs=6), seed=1)


def plan(**changes: int) -> InterpretPlan:
    return replace(
        interpret_plan("quick"),
        **{"documents": 150, "explained_documents": 150, "sae_steps": 2, "measurements": 30, **changes},
    )


@lru_cache(maxsize=1)
def rare() -> int:
    """The token that comes nearest to 1 % of the text from below: a unit counts as active at its highest 1 %."""
    counts = np.bincount(corpus().documents(150).split("discover").ids[:, :-1].ravel(), minlength=len(corpus().words))
    share = counts / counts.sum()
    return int(np.where(share < 0.01, share, 0).argmax())


def model(arm: str = "relu", *, planted: bool = False) -> Gpt:
    """An untrained model; planted: every unit of its MLP fires at one rare token and at nothing else."""
    made = build_model(model_config(ARMS[arm], SHAPE, vocabulary=len(corpus().words)), seed=100).eval()
    if planted:
        with torch.no_grad():
            made.embed.token.weight[:, 0] = 0
            made.embed.token.weight[rare(), 0] = 40
            made.embed.position.weight[:, 0] = 0
            up = made.mlps()[0].up
            up.weight.zero_()
            up.weight[:, 0], up.bias[:] = 1.0, -2.0
    return made


def material(*, planted: bool, **changes: int) -> Material:
    return read_material(model(planted=planted), corpus(), seed=0, plan=plan(**changes))


@pytest.mark.slow
def test_planted_units_are_explained_and_their_labels_fail_on_the_untrained_copy() -> None:
    own = material(planted=True)
    rows = {(r.measure, r.where): r.reading for r in explained_rows(own, labelled_layers(own))}
    where = "blocks.0.mlp.act"
    score, exact = rows["explained.score", where], rows["explained.exact", where]
    assert score.value is not None and score.value > 0.9
    assert exact.value == pytest.approx(1.0)  # the token is the truth
    fresh = rows["explained.untrained", where].value
    assert fresh is not None and fresh < 0.5
    assert not rows["explained.agreement", ""].measured and "1 units" in str(rows["explained.agreement", ""].reason)
    named = [r["unit"] for r in score.details["labels"]]
    assert len(named) == 2 and named[0].startswith(where)


def test_an_explainer_sees_nothing_of_the_arm() -> None:
    seen: list[str] = []

    def curious(lab: Lab) -> Explanation:
        seen.extend([lab.subject.name, lab.atlas.subject, lab.unit.key])
        return Explanation.unexplained(lab.unit.key, "I only look", explainer="curious")

    own = material(planted=False)
    labelled = labelled_layers(own)
    rows = explained_rows(own, labelled, explaining=Explaining(explainer=curious))
    assert set(seen) == {BLIND, *(k for k in seen if k.startswith("blocks.0.mlp.act"))}
    # an abstention counts as a constant, which is the base rate
    score = next(r.reading for r in rows if r.measure == "explained.score")
    assert score.value is None or score.value < 0.3


def test_agreement_is_the_rank_correlation_and_needs_some_units() -> None:
    def sampled(own: float | None, exact: float) -> Sampled:
        reading = Reading(name="r", value=own) if own is not None else Reading.unmeasured("r", "not")
        return Sampled(unit=Unit(site="s", index=0), label="", reading=reading, exact=Reading(name="e", value=exact))

    rising = [sampled(n / 10, n * n) for n in range(6)]
    assert agreement(rising).value == pytest.approx(1.0)
    assert agreement([sampled(-n / 10, n * n) for n in range(6)]).value == pytest.approx(-1.0)
    assert agreement([*rising, sampled(None, 0.0)]).n == 6
    assert not agreement(rising[:5]).measured
    assert "same for all" in str(agreement([sampled(0.5, n) for n in range(6)]).reason)


@pytest.mark.slow
def test_all_parts_give_the_same_names_in_arms_with_and_without_a_layer_norm() -> None:
    parts = [p for p in PARTS if p != "explained"]
    rows = {
        a: measure_interpretability(model(a), corpus(), seed=0, plan=plan(), parts=parts) for a in ("relu", "solu-ln")
    }
    names = {a: [(r.measure, r.where) for r in found] for a, found in rows.items()}
    assert names["relu"] == names["solu-ln"] and len(set(names["relu"])) == len(names["relu"])
    again = measure_interpretability(model("relu"), corpus(), seed=0, plan=plan(), parts=parts)
    assert [r.to_json() for r in again] == [r.to_json() for r in rows["relu"]]


def test_a_layer_of_dead_units_is_unmeasured_and_never_a_number() -> None:
    dead = model()
    with torch.no_grad():
        dead.mlps()[0].up.bias.fill_(-1000.0)
    parts = ["neurons", "bands", "hiding", "locations", "explained"]
    rows = {
        r.measure: r.reading
        for r in measure_interpretability(dead, corpus(), seed=0, plan=plan(explained_documents=60), parts=parts)
        if r.where == "blocks.0.mlp.act"
    }
    assert rows.pop("neurons.live").value == 0 and rows.pop("neurons.score.all").value == 0
    # nothing is covered; what is cut away from zeros changes nothing
    zero = {
        "neurons.distinct",
        "contextual.distinct",
        "rotated.distinct",
        "hiding.cut.10",
        "hiding.cut.25",
        "sae.live",
        "sae.explained",
    }
    assert all(rows.pop(name).value == 0 for name in zero)
    assert rows and {k: v.value for k, v in rows.items() if v.measured} == {}


def test_the_model_is_as_it_was_afterwards() -> None:
    own = model().train()
    before = {k: v.clone() for k, v in own.state_dict().items()}
    measure_interpretability(own, corpus(), seed=0, plan=plan(), parts=["bands", "circuits"])
    assert own.training and all(p.requires_grad for p in own.parameters())
    assert all(torch.equal(v, before[k]) for k, v in own.state_dict().items())


def test_unknown_plans_and_parts_are_refused() -> None:
    assert set(PLANS) == {"quick", "full"}
    with pytest.raises(UsageError, match="did you mean"):
        interpret_plan("ful")
    with pytest.raises(UsageError, match="choose from neurons"):
        measure_interpretability(model(), corpus(), seed=0, parts=["neuron"])
