"""The names told to whoever writes predicates are the names that views really say, none missing and none made up."""

from __future__ import annotations

import pytest

import maieutic as mt
from maieutic.errors import UserError
from maieutic.explain import viewer_of
from maieutic.explain.agent.conclude import executable
from maieutic.explain.agent.predicate_kinds import predicate_kinds
from maieutic.explain.predicates import Predicate
from maieutic.explain.predicates.vocabulary import vocabulary

PIECES = (
    "word Word WORD w W 7 1984 w7 é 漢 don't ( ) [ ] { } # // . , : ; - _ ! ? + == ... “ ” \" € running quickly nation "
    "moment kindness ability greatest capable famous active final teacher organize racism artist helpful hopeless student "
    "distance presence cats the this in you my is has will and because who not every more three third March Monday today "
    "metre dollars red north very mother parliament war def True please France said it's Ångström ab-cd\n\t  "
)
TEXT = (
    'First line. Second (in round) [in square] {in curly} "quoted words" here: after it.\n    indented # a comment\n'
    "The United Nations Security Council met.\nx = [1, 2]; y += f(x) == {3: 4}; return (x, y)[0] ** 2\n"
    "In 2001 it was 34.5%, in 2002 35.1%, in 2003: 36%, 37%, 38%, 39% and 40%; 12:30, 13:45.\n"
)


def text_lab() -> mt.Lab:
    subject = mt.function_subject(
        lambda texts: [[0.0] * len(t.split()) for t in texts], modality="text", tokenizer=str.split
    )
    return mt.Lab(
        subject, subject.unit(), mt.harvest(subject, mt.Corpus.from_texts([TEXT, PIECES]), [subject.unit().site])
    )


def test_every_class_and_place_that_a_view_says_is_in_the_vocabulary() -> None:
    from maieutic.explain.text_words import spelling_classes, word_classes

    known = vocabulary()["token_class", "name"]
    said = {c for p in [*PIECES.split(" "), "", "\n", "  "] for c in (*spelling_classes(p), *word_classes(p.lower()))}
    assert said <= set(known)
    # and nearly all of it is said of these pieces: a name that no view says would mislead whoever uses it
    spelling = set(known[:26])
    assert spelling <= said
    lab = text_lab()
    places = {name for at in viewer_of(lab.subject)(TEXT).structure for name in at}
    assert places <= set(vocabulary()["structure", "name"])


def test_every_name_stands_in_a_field_of_a_predicate_that_exists() -> None:
    for (op, field), names in vocabulary().items():
        assert field in Predicate.registry[op].__dataclass_fields__ and len(set(names)) == len(names) > 1


@pytest.mark.parametrize(
    ("predicate", "why"),
    [
        ({"op": "token_class", "name": "numberz"}, "did you mean 'numbers'"),
        ({"op": "structure", "name": "in verse"}, "in prose"),
        ({"op": "phrases", "table": []}, "no predicate 'phrases'"),
        ({"op": "and", "parts": [{"op": "token_class", "name": "numberz"}]}, "did you mean 'numbers'"),
        ({"op": "word_in", "words": 3}, "mend its fields"),
    ],
)
def test_a_predicate_that_could_never_hold_is_turned_down(predicate: dict[str, object], why: str) -> None:
    lab = text_lab()
    with pytest.raises(UserError, match=why):
        executable("x", predicate, lab, viewer_of(lab.subject, lab.corpus))


def test_the_lines_shown_to_models_name_what_fields_take() -> None:
    assert "past tense" in predicate_kinds("text")["word_form"] and "phrases" not in predicate_kinds("text")
    assert "reddish" in predicate_kinds("image")["texture"]
