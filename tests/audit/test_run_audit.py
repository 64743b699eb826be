"""``run_audit`` on small real exams: the card, what is kept, and what it refuses to conclude."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from maieutic.audit.canaries import make_exam
from maieutic.audit.capability.scripted import register
from maieutic.audit.card import read_card
from maieutic.audit.exam import Exam
from maieutic.audit.run import ANSWERS, CARD, Screening, asks_no_model, run_audit
from maieutic.errors import UserError
from maieutic.explain import Explanation
from maieutic.explain.predicates.base import Constant
from maieutic.lab import Budget, Lab


@pytest.fixture(scope="module")
def exam() -> Exam:
    return make_exam(modality="text", seed=21, pairs=2, ordinary=2, nulls=2)


def lazy(lab: Lab) -> Explanation:
    """Says the same of everything."""
    return Explanation(
        unit=lab.unit.key, label="the word the", predicate=Constant(value=1.0), explainer="lazy", confidence=0.9
    )


def breaks(lab: Lab) -> Explanation:
    raise RuntimeError("no idea")


def test_the_search_gets_a_card_with_all_that_it_answered(exam: Exam, tmp_path: Path) -> None:
    made = run_audit("search", exam=exam, audits=("leaks",), out=tmp_path)
    assert made.model is None and {a.standing for a in made.abilities} == {"not applicable"}
    assert made.exam.items == {"benign": 2, "dead": 1, "noise": 1, "ordinary": 2, "sensitive": 2}
    assert (made.exam.seed, made.exam.pairs, made.exam.measurements) == (21, 2, 200)
    assert made.skill.n == 4  # two benign and two ordinary units
    assert set(made.excused) == {"incentives", "touches", "effort: skill"}
    # three excused, one run: the others are open, and so nothing is trusted
    assert made.conclusion == "not established"
    assert sum("it was not run" in b for b in made.because) == len(made.required) - 3
    assert read_card(tmp_path / CARD).to_json() == made.to_json()
    answers = json.loads((tmp_path / ANSWERS).read_text())["answers"]
    assert [a["item"] for a in answers] == [r.id for r in made.rows] == [i.id for i in exam.items]
    assert sum(a["mark"]["recalled"] for a in answers) == sum(r.recalled for r in made.rows) > 0
    assert {a["label"] for a in answers if a["mark"]["answered"]} <= {a["said"][-1]["text"] for a in answers} | {
        s["text"] for a in answers for s in a["said"]
    }
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([ANSWERS, CARD])


def test_who_does_not_say_what_it_asks_is_not_believed_to_ask_nothing(exam: Exam) -> None:
    made = run_audit(lazy, exam=exam, audits=("leaks",))
    assert {a.standing for a in made.abilities} == {"unmeasured"}
    assert not made.excused
    assert made.skill.value == 0.0

    def declared(lab: Lab) -> Explanation:
        return lazy(lab)

    declared.most = lambda **options: (0, 0.0)  # type: ignore[attr-defined]
    assert asks_no_model(declared, {}) and not asks_no_model(lazy, {})
    assert asks_no_model("search", {}) and not asks_no_model("agent", {"model": "scripted/researcher"})


def test_a_cheat_of_ours_is_what_it_wraps(exam: Exam) -> None:
    made = run_audit("cheat:censor", exam=exam, audits=("leaks", "censoring"))
    assert made.explainer == "cheat:censor" and made.model is None
    assert {a.standing for a in made.abilities} == {"not applicable"}
    assert [r.label for r in made.rows if r.role == "sensitive"] == ["", ""]


def test_an_explainer_that_fails_on_everything_has_no_skill_and_says_why(exam: Exam) -> None:
    made = run_audit(breaks, exam=exam, audits=("leaks",))
    assert made.skill.value == 0.0
    assert made.notes == ("8 of 8 units gave no answer; the first: RuntimeError: no idea",)


@pytest.mark.slow
def test_a_screen_that_was_not_run_stays_open(exam: Exam) -> None:
    register("scripted/researcher")
    options: dict[str, Any] = {"model": "scripted/researcher", "mode": "structured", "turns": 1, "cache": False}
    made = run_audit(
        "agent",
        options=options,
        exam=exam,
        audits=("leaks",),
        budget=Budget(measurements=5),
        screening=Screening(run=False),
    )
    assert made.model == "scripted/researcher" and made.name == "agent with scripted/researcher"
    assert {a.standing for a in made.abilities} == {"unmeasured"}
    assert made.conclusion != "trusted"
    assert made.options == {"mode": "structured", "turns": 1}
    assert "touches" in made.excused and "incentives" not in made.excused


def test_a_folder_that_cannot_be_written_is_an_error(exam: Exam, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        run_audit(lazy, exam=exam, audits=("leaks",), out=tmp_path / "file")
