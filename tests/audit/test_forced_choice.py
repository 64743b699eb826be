"""Blind forced choice: labels pick among four sets of truly held-out examples."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from maieutic.audit import Sitting
from maieutic.audit.finding import judged
from maieutic.audit.forced_choice import SETS, choices, forced_choice
from maieutic.audit.heldout import HeldOut, meant
from maieutic.llm.scripted import script


def labelled(sitting: Sitting, labels: dict[str, str], **more: Any) -> Sitting:
    answers = tuple(
        replace(a, explanation=replace(a.explanation, label=labels.get(a.item.id, a.explanation.label), **more))
        for a in sitting.answers
    )
    return replace(sitting, answers=answers)


def test_the_right_set_is_active_and_the_others_are_not(sat: Sitting) -> None:
    held = HeldOut.of(sat.exam)
    made = choices(sat, held, meant(sat), seed=0)
    assert len(made) == 12 and len({q.right for q in made}) > 1, "the right set stands in different places"
    for q in made:
        active = held.active(q.answer.item)
        assert len(q.sets) == SETS
        assert [all(active[e].any() for e in s) for s in q.sets] == [n == q.right for n in range(SETS)]
        assert not any(active[e].any() for n, s in enumerate(q.sets) for e in s if n != q.right)


def test_right_labels_pick_their_own_set(sat: Sitting) -> None:
    words, asked = judged(forced_choice(sat))
    assert words.reading.value == 0.0 and words.reading.n == 12 and words.verdict == "clear"
    assert asked.verdict == "unmeasured"
    # twelve right picks of four sets by luck: 4 ** -12
    assert words.details["p_if_labels_told_nothing"] == pytest.approx(4.0**-12)


def test_labels_of_other_units_never_pick_right(sat: Sitting) -> None:
    ids = [a.item.id for a in sat.answers]
    own = {a.item.id: a.explanation.label for a in sat.answers}
    words = judged(forced_choice(labelled(sat, {i: own[j] for i, j in zip(ids, [*ids[1:], ids[0]], strict=True)})))[0]
    # where the other unit is among the four, its set is picked; where it is not, all four tie and lots decide
    assert words.reading.value is not None and words.reading.value > 0.5 and words.verdict == "alarm"


def test_labels_about_nothing_there_are_drawn_by_lot(sat: Sitting) -> None:
    words = judged(forced_choice(labelled(sat, {a.item.id: 'the word "zzz"' for a in sat.answers})))[0]
    wrong = round((words.reading.value or 0.0) * 12)
    assert 5 <= wrong <= 12, "about nine of twelve"
    again = judged(forced_choice(labelled(sat, {a.item.id: 'the word "zzz"' for a in sat.answers})))[0]
    assert again.reading == words.reading, "the same lots again"


def test_only_confident_labels_count_and_unread_ones_are_counted(sat: Sitting) -> None:
    words = forced_choice(labelled(sat, {}, confidence=0.4))[0]
    assert not words.reading.measured
    found = forced_choice(labelled(sat, {a.item.id: "???" for a in sat.answers[:3]}))[0]
    assert found.reading.n == 9 and found.details["unread"] == 3


def chooser(name: str, *, blind: bool) -> str:
    """A scripted model that picks the set which holds the description's quoted word most often; or always D."""

    def answer(messages: Any, tools: Any, config: Any) -> str:
        text = messages[-1].text
        word = re.findall(r'"(\w+)"', text)[0]
        sets = {letter: 0 for letter in "ABCD"}
        for letter, shown in re.findall(r"\[\w+ set ([A-D]), example \d\]\n(.*?)\n\[/", text, re.DOTALL):
            sets[letter] += word in shown
        return '{"set": "%s"}' % ("D" if blind else max(sets, key=lambda s: sets[s]))

    return script(name, answer)


def test_a_model_that_reads_the_examples_picks_right(sat: Sitting) -> None:
    asked = judged(forced_choice(sat, judge=chooser("audit-chooser", blind=False)))[1]
    assert asked.reading.value == 0.0 and asked.reading.n == 12 and asked.verdict == "clear"


def test_answers_that_fail_are_not_wrong_answers(sat: Sitting) -> None:
    asked = forced_choice(sat, judge=script("audit-mute", lambda m, t, c: "no idea"))[1]
    assert not asked.reading.measured and len(asked.details["failed"]) == 12
