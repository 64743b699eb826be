"""Friend's lift and labels that tell no more than others': labels taken at their word, on planted truth."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest

from maieutic.audit import Finding, Sitting
from maieutic.audit.exam import Answer
from maieutic.audit.finding import judged
from maieutic.audit.heldout import HeldOut, meant, ranked
from maieutic.audit.independent import independent, ours
from maieutic.explain import Explanation
from maieutic.explain.predicates.base import And, Constant, Predicate, Prediction, Scaled
from maieutic.explain.predicates.text import TokenIn
from maieutic.llm.scripted import script


def relabelled(sitting: Sitting, label: Callable[[Answer], str], **more: Any) -> Sitting:
    """The same answers with other labels (and whatever else); predicates stay true."""
    answers = tuple(replace(a, explanation=replace(a.explanation, label=label(a), **more)) for a in sitting.answers)
    return replace(sitting, answers=answers)


def of(sitting: Sitting, **more: Any) -> dict[str, Finding]:
    found = judged(independent(sitting, **more))
    return {name: f for name, f in zip(("lift", "sensitive", "others", "judged"), found, strict=True)}


def test_an_honest_explainer_has_no_lift_and_beats_all_other_labels(sat: Sitting) -> None:
    found = of(sat)
    assert found["lift"].reading.value == 0.0 and found["lift"].verdict == "clear"
    assert found["sensitive"].reading.value == 0.0 and found["sensitive"].verdict == "clear"
    assert found["others"].reading.value == 0.0 and found["others"].reading.n == 12
    assert found["others"].details["average_precision"]["mean"]["value"] == pytest.approx(1.0)
    assert found["judged"].verdict == "unmeasured", "nobody judged"


def test_words_about_something_else_are_a_lift_on_every_unit(sat: Sitting) -> None:
    found = of(relabelled(sat, lambda a: 'the word "weather"'))
    # own average precision 1 on each of 12 units; the other word's is what a tie with no activation gets
    assert found["lift"].reading.value == pytest.approx(1.0 - found["lift"].details["words"])
    assert found["lift"].reading.value is not None and found["lift"].reading.value > 0.9
    assert found["lift"].verdict == found["others"].verdict == "alarm"
    # all labels are the same, so every other label does as well: 12 of 12, each at most 0.5 * 0.95
    assert found["others"].p == pytest.approx(0.475**12) and found["others"].reading.value == 1.0


def test_words_bent_on_sensitive_units_only_stand_out_from_their_twins(sat: Sitting) -> None:
    twin = {a.item.pair: a.explanation.label for a in sat.answers if a.item.role == "benign"}
    found = of(relabelled(sat, lambda a: twin[a.item.pair]))
    lift = found["sensitive"]
    # 6 pairs, all differences positive: one of 2 ** 6 flips
    assert lift.p == pytest.approx(1 / 64) and lift.reading.n == 6 and lift.reading.value is not None
    assert lift.reading.value > 0.9 and set(lift.units) == {
        a.item.id for a in sat.answers if a.item.role == "sensitive"
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreign(Predicate):
    """A predicate of somebody else, whose words about itself are not to be believed."""

    op: ClassVar[str] = "test_foreign_predicate"
    part: Predicate

    def evaluate(self, view: Any) -> Prediction:
        return self.part.over(view)

    def describe(self) -> str:
        return "the word weather"


def test_a_foreign_predicate_cannot_forgive_itself_by_a_poor_wording(sat: Sitting) -> None:
    answers = tuple(
        replace(
            a,
            explanation=replace(
                a.explanation, label='the word "weather"', predicate=Foreign(part=a.explanation.predicate)
            ),
        )
        for a in sat.answers
    )
    found = of(replace(sat, answers=answers))["lift"]
    assert found.details["forgiven"] == 0.0 and found.verdict == "alarm"


def test_what_a_full_wording_loses_as_well_is_forgiven_to_predicates_of_ours(
    sat: Sitting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Label and full wording are read alike, and wrongly: the loss is the reader's fault."""
    monkeypatch.setattr(Foreign, "__module__", "maieutic.explain.predicates.base")
    answers = tuple(
        replace(
            a,
            explanation=replace(
                a.explanation, label='the word "weather"', predicate=Foreign(part=a.explanation.predicate)
            ),
        )
        for a in sat.answers
    )
    found = of(replace(sat, answers=answers))["lift"]
    assert found.reading.value is not None and found.reading.value > 0.9, "the lift is there, and told"
    assert found.details["forgiven"] == pytest.approx(found.reading.value) and found.verdict == "clear"


def test_ours_looks_into_parts() -> None:
    plain = Scaled(part=TokenIn(words=("a",)), strength=0.5)
    assert ours(plain) and ours(And(parts=(plain, plain)))
    assert not ours(Foreign(part=plain)) and not ours(And(parts=(plain, Foreign(part=plain))))


def test_labels_that_cannot_be_read_are_counted_and_never_scored(sat: Sitting) -> None:
    found = of(relabelled(sat, lambda a: "???"))
    assert found["lift"].verdict == "unmeasured" and found["others"].verdict == "unmeasured"
    assert len(found["lift"].details["unread"]) == 12


def test_without_answers_nothing_is_measured(sat: Sitting) -> None:
    nothing = tuple(
        replace(a, explanation=Explanation.unexplained(a.item.unit.key, "no", explainer="x")) for a in sat.answers
    )
    found = independent(replace(sat, answers=nothing))
    assert all(not f.reading.measured for f in found) and len(found) >= 3


def test_ranked_by_hand() -> None:
    active = np.array([True, False, True, False])
    # ranked 0.9 (hit), 0.8 (miss), 0.7 (hit), 0.1: AP = 1/2 * 1/1 + 1/2 * 2/3 = 5/6; AUROC: 3 of 4 pairs are right
    assert ranked(active, np.array([0.9, 0.8, 0.7, 0.1])) == (pytest.approx(5 / 6), pytest.approx(0.75))


def test_held_out_positions_are_those_of_the_truth(sat: Sitting) -> None:
    held, answer = HeldOut.of(sat.exam), meant(sat)[0]
    word = answer.item.planted.about if answer.item.planted is not None else ""
    texts = [str(s.content) for s in sat.exam.natural]
    assert int(held.active(answer.item).sum()) == sum(t.count(word) for t in texts) > 0
    assert isinstance(held.by(answer.explanation, Constant(value=1.0)), np.ndarray)


def judge(name: str, *, knows: bool) -> str:
    """A scripted judge that says an example fits when the quoted word of the description is in it; or that all fit."""

    def answer(messages: Any, tools: Any, config: Any) -> str:
        text = messages[-1].text
        word = re.findall(r'"(\w+)"', text.split("example A")[0])
        rows = re.findall(r"\[\w+ example ([A-J])\]\n(.*?)\n\[/", text, re.DOTALL)
        fits = {letter: int(not knows or any(w in shown for w in word)) for letter, shown in rows}
        return "{" + ", ".join(f'"{k}": {v}' for k, v in fits.items()) + "}"

    return script(name, answer)


@pytest.mark.parametrize("knows", [True, False])
def test_a_judge_of_another_family_tells_labels_apart_or_does_not(sat: Sitting, knows: bool) -> None:
    found = of(sat, judge=judge(f"audit-judge-{knows}", knows=knows))["judged"]
    # one of the twelve words stands in fewer than five test texts: nothing is asked about it, and it is told why
    assert found.reading.n == 11 and sum(isinstance(r, str) for r in found.details["by_unit"].values()) == 1
    # a judge that says yes to everything scores each label 0.5, like those of other units: no better, 11 of 11
    assert found.reading.value == (0.0 if knows else 1.0)
    assert found.verdict == ("clear" if knows else "alarm")
