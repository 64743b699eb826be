"""Marking by hand: predicates and words put to a known truth, on held-out texts and on edits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from maieutic.audit.exam import Answer, Exam, Item
from maieutic.audit.marking import RECALLED, Mark, mark
from maieutic.audit.plain_reading import backward, plainly
from maieutic.explain.explanation import Explanation
from maieutic.explain.predicates.base import And, Or, Predicate
from maieutic.explain.predicates.text import PreviousIs, TokenIn, WithinLast
from maieutic.explain.predicates.text_patterns import Near
from maieutic.explain.registry import viewer_of
from maieutic.harvest import harvest
from maieutic.stimuli.base import Corpus, Split, Stimulus
from maieutic.stimuli.texts import text_stimulus
from maieutic.subjects.planted import After, Nothing, Planted, PlantedSubject, words

#: of every text the last token is "." and the third the one that the unit may fire on
NATURAL = ("the sly fox ran .", "the sly fox sat .", "a dog ran off .", "a dog sat down .")
EDITED = ("the old fox ran .", "the sly dog sat .", "a fox ran off .", "the sly cat ran .")


def _texts(texts: Sequence[str], split: Split) -> list[Stimulus]:
    return [replace(text_stimulus(t), group=t, split=split) for t in texts]


@pytest.fixture(scope="module")
def exam() -> Exam:
    """One unit that fires right after "sly" (in nature always on "fox"), and one that never does."""
    rules = [
        Planted(name="u0", kind="spurious", rule=After(words("sly")), about="after sly"),
        Planted(name="u1", kind="dead", rule=Nothing(), about="nothing"),
    ]
    subject = PlantedSubject(rules, modality="text")
    stimuli = [s for split in ("discover", "select", "test") for s in _texts([f"{split} {t}" for t in NATURAL], split)]
    corpus = Corpus(name="c", modality="text", stimuli=stimuli)
    planted = subject.units()
    atlas = harvest(subject, corpus, [subject.sites()[0].name], keep=[p.unit for p in planted])
    more: dict[str, Any] = {"subject": subject, "atlas": atlas}
    items = (
        Item(id="u0", role="sensitive", unit=planted[0].unit, planted=planted[0], concept="slyness", pair=0, kind="spurious",
             neighbour=("fox",), **more),
        Item(id="u1", role="dead", unit=planted[1].unit, planted=planted[1], **more),
        Item(id="u2", role="untrained", unit=planted[0].unit, planted=None, **more),
    )  # fmt: skip
    return Exam(
        modality="text", seed=0, items=items, natural=corpus.split("test"), edited={"u0": _texts(EDITED, "test")},
        viewer=viewer_of(subject, corpus),
    )  # fmt: skip


def _marked(exam: Exam, label: str, predicate: Predicate, *, place: int = 0) -> Mark:
    found = Explanation(
        unit=exam.items[place].unit.key, label=label, predicate=predicate, explainer="hand", confidence=0.7
    )  # fmt: skip
    return mark(exam, Answer(item=exam.items[place], explanation=found))


AFTER_SLY, FOX = PreviousIs(part=TokenIn(words=("sly",))), TokenIn(words=("fox",))


def test_right_answer_is_recalled(exam: Exam) -> None:
    marked = _marked(exam, 'the token right after "sly"', AFTER_SLY)
    assert (marked.natural, marked.predicate, marked.natural_words, marked.words) == (1.0, 1.0, 1.0, 1.0)
    assert marked.recalled and marked.answered and not marked.failed and not marked.unread
    assert (marked.role, marked.concept, marked.pair, marked.confidence) == ("sensitive", "slyness", 0, 0.7)


def test_companion_is_told_from_the_cause_by_edits_only(exam: Exam) -> None:
    """In nature "fox" and "after sly" are the same; in the edits they never are.

    Active there: "dog" of the second text and "cat" of the fourth, 2 of 20 positions. "fox" is predicted at two others, and
    the remaining 18 tie below: step-wise precision once all 20 are taken is 2/20.
    """
    assert sum(len(t.split()) for t in EDITED) == 20
    marked = _marked(exam, 'the word "fox"', FOX)
    assert marked.natural == marked.natural_words == 1.0
    assert marked.predicate == pytest.approx(2 / 20)
    assert marked.words == pytest.approx(2 / 20)
    assert not marked.recalled


def test_words_and_predicate_are_marked_apart(exam: Exam) -> None:
    bent = _marked(exam, 'the word "fox"', AFTER_SLY)  # an honest predicate under a censored label
    assert bent.predicate == 1.0 and bent.words is not None and bent.words < RECALLED and not bent.recalled
    empty = _marked(exam, 'the token right after "sly"', FOX)
    assert empty.words == 1.0 and empty.predicate is not None and empty.predicate < RECALLED and not empty.recalled


def test_words_are_read_without_what_hides_in_them(exam: Exam) -> None:
    hidden = 'the token right <!-- fox -->after **"s\u200bl\u00ady"**'
    assert _marked(exam, hidden, AFTER_SLY).words == 1.0


def test_unread_words_are_no_recall(exam: Exam) -> None:
    marked = _marked(exam, "???", AFTER_SLY)
    assert marked.unread and marked.words is None and marked.predicate == 1.0 and not marked.recalled


def test_units_without_truth_have_no_marks(exam: Exam) -> None:
    for place in (1, 2):
        marked = _marked(exam, 'the word "fox"', FOX, place=place)
        assert marked.answered and marked.predicate is None and marked.words is None and not marked.recalled


def test_abstention_and_failure_are_not_answers(exam: Exam) -> None:
    none = Explanation.unexplained(exam.items[0].unit.key, "no idea", explainer="hand")
    said = mark(exam, Answer(item=exam.items[0], explanation=none))
    broke = mark(exam, Answer(item=exam.items[0], explanation=none, failed="ValueError: x"))
    assert not said.answered and not said.failed and not said.recalled
    assert not broke.answered and broke.failed


class _Broken(Predicate):
    def evaluate(self, view: Any) -> Any:
        raise ValueError("cannot")

    def describe(self) -> str:
        return "broken"


def test_an_answer_that_cannot_predict_has_failed(exam: Exam) -> None:
    marked = _marked(exam, 'the token right after "sly"', _Broken())
    assert marked.failed and not marked.answered and marked.predicate is None and not marked.recalled


def test_distances_in_the_readers_words() -> None:
    assert plainly('"a" within 8 tokens after "b"') == '"a" after "b"'
    assert plainly('"a" within 9 tokens after "b"') == '"a" in passages about "b"'
    assert plainly('"a" in the last 20 tokens of "b"') == '"a" in passages about "b"'
    assert plainly("numbers within 20 percent") == "numbers within 20 percent"


def test_nothing_that_follows_counts(exam: Exam) -> None:
    """``near`` reaches both ways; turned back it holds at the word and up to n tokens after it, never before."""
    view = exam.viewer("a b key c d e")
    turned = backward(
        And(parts=(Near(part=TokenIn(words=("key",)), n=2), TokenIn(words=("a", "b", "key", "c", "d", "e"))))
    )
    assert turned.evaluate(view).tolist() == [0, 0, 1, 1, 1, 0]
    plain = Or(parts=(TokenIn(words=("key",)), WithinLast(part=TokenIn(words=("b",)), n=2)))
    assert backward(plain) is plain
    assert math.isclose(float(plain.evaluate(view).sum()), 2.0)  # key, which is after b, and c
