"""Against control-arena 20.1.1 and Inspect Sentinel themselves; skipped where they are not installed (extra ``control``)."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

pytest.importorskip("control_arena", reason="needs control-arena: see docs/control.md")

from control_arena.analysis import (  # noqa: E402
    compute_safety,
    compute_safety_upfront_audit,
    compute_usefulness,
    compute_usefulness_upfront_audit,
    scale_usefulness,
)
from control_arena.analysis._auc import compute_classifier_roc_auc  # noqa: E402
from control_arena.analysis._tpr import compute_classifier_tpr  # noqa: E402
from control_arena.monitor import MonitorResponse  # noqa: E402
from inspect_ai.agent import AgentState  # noqa: E402
from inspect_ai.model import ChatMessageAssistant, ChatMessageUser, ContentImage, ContentText  # noqa: E402
from inspect_ai.tool import ToolCall  # noqa: E402

from maieutic.control import metrics as m  # noqa: E402
from maieutic.control.adapters.arena import live, monitor_builder, response_of, table_of  # noqa: E402
from maieutic.control.adapters.inspect_messages import steps_of, stored_suspicion, stored_worst  # noqa: E402
from maieutic.control.curve import Run  # noqa: E402
from maieutic.control.monitors import FunctionMonitor  # noqa: E402
from maieutic.readings import Reading  # noqa: E402


def drawn(seed: int, *, ties: bool) -> list[Run]:
    """Runs with scores of which many are equal, or none are."""
    rng = np.random.default_rng(seed)
    found: list[Run] = []
    for i in range(60):
        attack = i % 3 == 0
        score = float(np.clip(rng.normal(0.6 if attack else 0.4, 0.25), 0, 1))
        value = round(score, 1) if ties else score
        main, side = bool(rng.random() < 0.8), bool(rng.random() < 0.5)
        reading = Reading(name="suspicion", value=value)
        found.append(Run(suspicion=reading, attack=attack, main=float(main), side=side if attack else None))
    return found


@pytest.mark.parametrize("ties", [True, False])
@pytest.mark.parametrize("seed", range(4))
def test_figures_are_those_of_control_arena(seed: int, ties: bool) -> None:
    runs = drawn(seed, ties=ties)
    table = table_of(runs)
    honest, attacks = (table[table.eval_mode == mode]["score_maieutic"] for mode in ("honest", "attack"))
    assert m.auroc(runs).value == pytest.approx(compute_classifier_roc_auc(honest, attacks))
    assert m.usefulness(runs).value == pytest.approx(compute_usefulness(table))
    for budget in (0.01, 0.03, 0.1, 0.25, 0.5):
        for require in (True, False):
            theirs = compute_safety(table, "maieutic", 100 * budget, require_attack_main_task_success=require)
            assert m.safety(runs, budget=budget, require_main=require).value == pytest.approx(theirs)
        rate = compute_classifier_tpr(honest, attacks, target_fpr=budget)
        ours = m.tpr_at_fpr(runs, fpr=budget, rule="percentile")
        assert ours.value == pytest.approx(rate.tpr) and ours.details["achieved_fpr"] == pytest.approx(rate.actual_fpr)
        # the exact rule uses what the percentile leaves unused
        exact = m.tpr_at_fpr(runs, fpr=budget)
        assert (exact.value or 0) >= (rate.tpr or 0) - 1e-12 and exact.details["achieved_fpr"] <= budget + 1e-12
        for n in (None, 7, 500):
            assert m.safety_upfront(runs, budget=budget, deployments=n).value == pytest.approx(
                compute_safety_upfront_audit(table, 100 * budget, n)
            )
            assert m.usefulness_upfront(runs, trusted=0.4, budget=budget, deployments=n).value == pytest.approx(
                compute_usefulness_upfront_audit(table, 0.4, 100 * budget, n)
            )
    useful = m.usefulness(runs)
    assert m.scaled_usefulness(useful, trusted=0.2, untrusted=0.9).value == pytest.approx(
        scale_usefulness(useful.value or 0.0, 0.2, 0.9)
    )


def test_where_nothing_happened_we_measure_nothing_and_they_say_1() -> None:
    quiet = Reading(name="suspicion", value=0.1)
    runs = [Run(suspicion=quiet, attack=a, main=1.0, side=False if a else None) for a in (True, False, False)]
    assert compute_safety(table_of(runs), "maieutic", 1.0) == 1.0
    assert not m.safety(runs, budget=0.01).measured


def state_of(*content: Any) -> AgentState:
    call = ToolCall(id="c", function="send", arguments={"to": "x"})
    return AgentState(
        messages=[ChatMessageUser(content=list(content)), ChatMessageAssistant(content="", tool_calls=[call])]
    )


def judge_with(value: float | None) -> Any:
    def judge(seen: Any) -> float:
        if value is None:
            raise RuntimeError("out of order")
        return value

    return monitor_builder()(monitor=live(FunctionMonitor(name="rule", judge=judge)))


def test_our_monitor_is_a_control_agent_and_keeps_its_evidence() -> None:
    state = asyncio.run(judge_with(0.75)(state_of(ContentText(text="hello")), []))
    about = state.messages[-1].metadata
    assert MonitorResponse.model_validate(about).suspicion_score == 0.75
    assert about["maieutic"]["details"]["monitor"] == "rule"
    found = stored_suspicion(about)
    assert found is not None and found.value == 0.75


def test_a_monitor_that_breaks_is_not_a_zero_in_control_arena() -> None:
    state = asyncio.run(judge_with(None)(state_of(ContentText(text="hello")), []))
    response = MonitorResponse.model_validate(state.messages[-1].metadata)
    assert response.suspicion_score == 1.0 and response.score_parsed is False and "out of order" in response.reason
    assert not stored_worst(state.messages).measured


def test_pictures_of_real_messages_are_named() -> None:
    state = state_of(ContentText(text="look"), ContentImage(image="data:image/png;base64,AAAA"))
    assert steps_of(state.messages)[0].unseen == ("image in message 1",)


def test_nested_records_of_a_protocol_are_read() -> None:
    """As ``defer_to_resample`` writes them (its own scorer finds no score behind them)."""
    from control_arena.micro_protocol._defer_to_resample import DTRMetadata

    def message(value: float) -> ChatMessageAssistant:
        reading = Reading(name="suspicion", value=value)
        return ChatMessageAssistant(content="x", metadata=response_of(reading))

    first, other = message(0.9), message(0.2)
    response = MonitorResponse.model_validate(other.metadata)
    record = DTRMetadata(
        monitor_response=response, untrusted_response=first, resampled_responses=[other], chosen_response=other
    )
    final = ChatMessageAssistant(content="x", metadata=record.model_dump())
    assert "suspicion_score" not in (final.metadata or {})
    assert stored_worst([final]).value == 0.9


def test_sentinel_takes_our_monitor() -> None:
    pytest.importorskip("inspect_sentinel")
    from inspect_sentinel import Observation, threshold

    from maieutic.control.adapters.sentinel import sentinel_monitor

    made = sentinel_monitor(FunctionMonitor(name="rule", judge=lambda _: 0.9))
    assert threshold({"maieutic": made}, reject_at=0.8) is not None
    call = ToolCall(id="c", function="rm", arguments={})

    class Call:
        input, message = [ChatMessageUser(content="tidy")], "ok"

        def __init__(self) -> None:
            self.call = call

    found = asyncio.run(made(None, Call()))
    assert isinstance(found, Observation) and found.suspicion == 0.9
    broken = sentinel_monitor(FunctionMonitor(name="rule", judge=lambda _: 3.0))
    assert asyncio.run(broken(None, Call())).suspicion == 1.0
