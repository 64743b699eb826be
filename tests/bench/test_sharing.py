"""What units share is counted right: a scripted explainer, whose questions are known."""

from __future__ import annotations

from pathlib import Path

import pytest

import maieutic as mt
from maieutic.bench.sharing import compare, figures_of, run_sharing, tables_of
from maieutic.campaign.run import RunPlan, create_run
from maieutic.errors import UsageError
from maieutic.explain import Explanation
from maieutic.lab import Lab, Question
from maieutic.stimuli.texts import text_stimulus


def asks(lab: Lab) -> Explanation:
    """Every unit asks for two texts that all ask for, one of them twice, and for one of its own."""
    own = f"only {lab.unit.key}"
    for text, kind in (("the cat", "look"), ("a dog", "look"), ("the cat", "look"), (own, "edit")):
        lab.measure([Question(stimulus=text_stimulus(text), hypothesis="h", kind=kind)])
    return Explanation.unexplained(lab.unit.key, "a script", explainer="script")


def test_what_is_asked_alone_and_shared_is_counted(model_folder: Path, jsonl: Path, tmp_path: Path) -> None:
    plan = RunPlan(subject=f"hf:{model_folder}", corpus=str(jsonl), sites=("layers.1.mlp",), sample=4, nulls=0)
    with create_run(tmp_path / "run", plan) as run:
        found = compare(run, run.units, explainer=asks, budget=10)
    assert [(f.asked, f.alone, f.shared, f.same) for f in found] == [(4, 3, 3, True), *[(4, 3, 1, True)] * 3]
    assert [dict(f.kinds) for f in found] == [{"look": (3, 2), "edit": (1, 1)}, *[{"look": (3, 0), "edit": (1, 1)}] * 3]
    values = {name: figure.reading.value for name, figure in figures_of(found).items()}
    assert values["measured_alone"] == pytest.approx(3.0)
    assert values["measured_shared"] == pytest.approx((3 + 1 + 1 + 1) / 4)
    # a quarter is answered by the first unit's bank, three quarters of the others' questions
    assert values["from_bank"] == pytest.approx((1 / 4 + 3 * 3 / 4) / 4)
    assert values["from_bank.later_half"] == pytest.approx(3 / 4)
    assert values["same_answers"] == 1.0
    each, kinds = tables_of("four units", found)
    assert ("measured", "3.0", "1.5") in each.rows
    assert kinds.rows == (("look", "3.0", "83%"), ("edit", "1.0", "0%"))


def test_another_answer_is_told(model_folder: Path, jsonl: Path, tmp_path: Path) -> None:
    calls: list[mt.Lab] = []

    def fickle(lab: Lab) -> Explanation:
        calls.append(lab)
        lab.measure([Question(stimulus=text_stimulus(f"text {len(calls)}"), hypothesis="h", kind="look")])
        return Explanation.unexplained(lab.unit.key, "a script", explainer="script")

    plan = RunPlan(subject=f"hf:{model_folder}", corpus=str(jsonl), sites=("layers.1.mlp",), sample=2, nulls=0)
    with create_run(tmp_path / "run", plan) as run:
        found = compare(run, run.units, explainer=fickle, budget=10)
    assert [f.same for f in found] == [False, False]
    assert figures_of(found)["same_answers"].met is False


def test_an_unknown_modality_is_refused() -> None:
    with pytest.raises(UsageError, match="text or image, not 'sound'"):
        run_sharing(modality="sound")
