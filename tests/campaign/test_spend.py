"""What a sweep may cost, by hand; and a real sweep over a language model that never passes its limit of tokens."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from maieutic.campaign import Limits, RunPlan, Spend, Stage, SweepPlan, create_run, open_run, parse_stages, sweep
from maieutic.campaign.priority import check_priority, weights_of
from maieutic.campaign.spend import grant_of
from maieutic.errors import StoreError, UsageError
from maieutic.explain import most_of
from maieutic.llm.loopback import Loopback
from maieutic.llm.loopback_wire import Reply
from maieutic.store import choices, explanations

MLP = ("layers.0.mlp", "layers.1.mlp")


def test_amounts_add_and_limits_are_met_at_most() -> None:
    limits = Limits(measurements=10, dollars=1.0)
    spent = Spend(measurements=6, llm_tokens=900, dollars=0.25) + Spend(measurements=4, dollars=0.75)
    assert spent == Spend(measurements=10, llm_tokens=900, dollars=1.0)
    assert limits.allow(spent) and not limits.allow(spent + Spend(measurements=1))
    assert Limits().allow(spent) and not limits.allow(spent + Spend(dollars=0.01))
    assert spent.told() == "10 measurements, 900 tokens, $1.00" and limits.told() == "10 measurements, $1.00"


def test_an_agent_is_granted_what_it_may_cost_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"model": "scripted/x", "runs": 2, "llm_tokens": 1000, "max_tokens": 100}
    # two runs, each: its limit, once more when the last answer reads everything again, that answer, what a tool printed
    assert most_of("agent", options) == (2 * (1000 + 1000 + 100 + 40_000), None)
    with pytest.raises(UsageError, match="no price"):
        grant_of(Stage(explainer="agent", options=options), Limits(dollars=1.0))
    prices = tmp_path / "prices.toml"
    prices.write_text('["scripted/x"]\ninput = 1.0\noutput = 10.0\n')
    monkeypatch.setenv("MAIEUTIC_PRICES", str(prices))
    # 84,200 tokens, each as dear as one that is written: $10 a million
    assert grant_of(Stage(explainer="agent", budget=5, options=options), Limits(dollars=1.0)) == Spend(
        measurements=5, llm_tokens=84_200, dollars=pytest.approx(0.842)
    )


def test_what_asks_no_model_costs_no_tokens() -> None:
    assert grant_of(Stage(explainer="search", budget=7), Limits(llm_tokens=0, dollars=0.0)) == Spend(measurements=7)


@pytest.fixture
def answers(loopback: Callable[..., Loopback]) -> Loopback:
    """A server whose model always gives the same label; a question and its answer count 5,000 tokens."""
    label = '{"description": "the word cat", "confidence": 0.5, "unexplained": ""}'
    return loopback(lambda _: Reply(text=label, usage=(4000, 1000)))


@pytest.mark.slow
def test_a_sweep_stops_before_its_tokens_are_passed_and_goes_on_with_more(
    tmp_path: Path, model_folder: Path, jsonl: Path, answers: Loopback
) -> None:
    options = {"model": "openai-api/local/test", "base_url": answers.url, "examples": 4}
    stages = parse_stages("one-shot", {"one-shot": options})
    most = most_of("one-shot", options)
    assert most is not None and most[0] == 4000 + 4 * 1600  # FIXED_TOKENS + examples * EXAMPLE_TOKENS
    plan = RunPlan(subject=f"hf:{model_folder}", corpus=str(jsonl), sites=("layers.1.mlp",), sample=6, nulls=0)

    def swept(tokens: int | None) -> Any:
        with create_run(tmp_path / "run", plan) as run:
            return sweep(run, SweepPlan(stages=stages, limits=Limits(llm_tokens=tokens), scorers=()))

    nothing = swept(most[0] - 1)
    assert nothing.units == 0 and nothing.spent == Spend() and "budget is spent" in nothing.stopped
    some = swept(2 * most[0])
    # 20,800 tokens: two units are granted 10,400 each and use 5,000 each; the 10,800 left grant a third, 5,800 no fourth
    assert some.units == 3 and some.spent.llm_tokens == 15_000 and "budget is spent" in some.stopped
    everything = swept(None)
    assert everything.stopped is None and everything.units == 6
    with open_run(tmp_path / "run") as run:
        assert everything.spent.llm_tokens == sum(r["llm_tokens"] for r in run.store.rows(explanations)) == 30_000
    assert len(answers.requests) == 6  # each unit asked once, whatever was stopped and gone on with


@pytest.mark.slow
def test_two_sites_are_one_run_with_nulls_at_each(tmp_path: Path, model_folder: Path, jsonl: Path) -> None:
    plan = RunPlan(subject=f"hf:{model_folder}", corpus=str(jsonl), sites=MLP, sample=2, nulls=1)
    with create_run(tmp_path / "run", plan) as run:
        assert [u.site for u in run.units] == [MLP[0]] * 2 + [MLP[1]] * 2
        assert [u.site for u in run.nulls.directions] == list(MLP) == [u.site for u in run.nulls.untrained]
        stages = parse_stages("search-no-experiments")
        found = sweep(run, SweepPlan(stages=stages, first="order"))
        assert found.stopped is None and found.units == 4 and len(run.store.rows(choices)) == 8
        beside = found.readings[run.units[0].key]
        assert any(name.startswith("control.random_direction") or "random_direction" in name for name in beside)
    with open_run(tmp_path / "run") as run:
        assert run.sites == MLP and len(run.units) == 4


@pytest.mark.slow
def test_units_come_first_by_activation_by_effect_or_by_a_query(
    tmp_path: Path, model_folder: Path, jsonl: Path
) -> None:
    plan = RunPlan(subject=f"hf:{model_folder}", corpus=str(jsonl), sites=MLP, sample=3, nulls=0)
    with create_run(tmp_path / "run", plan) as run:
        keys = {u.key for u in run.units}
        for first in ("mass", "effect", "query:cat river"):
            weights = weights_of(run, first)
            assert set(weights) == keys and max(weights.values()) == 1.0 and min(weights.values()) >= 0.0
        # raw activations of two sites are not compared: each site has a unit of weight 1
        mass = weights_of(run, "mass")
        assert all(max(mass[u.key] for u in run.units if u.site == s) == 1.0 for s in MLP)
        assert weights_of(run, "effect") == weights_of(run, "effect")  # the second from the run folder
        assert weights_of(run, "order") == {}
        # every text holds "the" or "a" near any place, none holds "zebra"
        assert set(weights_of(run, "query:zebra").values()) == {0.0}
    with pytest.raises(UsageError, match="query:WORDS"):
        check_priority("query:")


@pytest.mark.slow
def test_what_was_explained_otherwise_before_is_not_mixed_in(tmp_path: Path, model_folder: Path, jsonl: Path) -> None:
    from maieutic.campaign import explain_units
    from maieutic.lab import Budget

    plan = RunPlan(subject=f"hf:{model_folder}", corpus=str(jsonl), sites=MLP[:1], sample=2, nulls=0)
    with create_run(tmp_path / "run", plan) as run:
        explain_units(run, budget=Budget(measurements=3))
        with pytest.raises(StoreError, match="other settings before"):
            sweep(run, SweepPlan(stages=parse_stages("search:5"), scorers=()))
