"""The puzzles bench on puzzles written here: replay, ranks by hand, ties, labels that cannot be read; and on the package's."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maieutic.bench.puzzles import Puzzle, Ranked, Scene, load_puzzles, run_puzzles
from maieutic.bench.puzzles_replay import Record, ReplaySubject
from maieutic.errors import UsageError, UserError
from maieutic.explain.predicates.base import Constant
from maieutic.explain.predicates.text import PreviousIs, TokenIn
from maieutic.readings import Reading
from maieutic.stimuli import Corpus

WORDS = "the cat sat on a mat and the dog ran off to see the sea".split()  # noqa: SIM905


def sentence(words: list[str], active: str) -> list[object]:
    """Tokens with their spaces; the word after ``active`` fires with 10."""
    tokens = [w if i == 0 else f" {w}" for i, w in enumerate(words)]
    return [[t, 10] if i and words[i - 1] == active else t for i, t in enumerate(tokens)]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Two puzzles: one about the word after "the", whose true label can be read; one whose true label says nothing."""
    rows = [sentence(WORDS[i:] + WORDS[:i], "the") for i in range(5)]
    readable = {
        "name": "after", "explanation": 'the word after "the"', "sentences": rows,
        "false_explanations": ['the word "the"', "words related to animals", 'instances of the words "cat" and "sat"'],
    }  # fmt: skip
    silent = {"name": "silent", "explanation": "...", "sentences": rows, "false_explanations": ['the word "the"']}
    path = tmp_path / "puzzles.json"
    path.write_text(json.dumps({"after": readable, "silent": silent}))
    return path


def reading(value: float | None) -> Reading:
    return Reading.unmeasured("ap", "unread") if value is None else Reading(name="ap", value=value)


def ranked(true: float | None, *false: float | None) -> Ranked:
    return Ranked(true=reading(true), false=tuple(reading(f) for f in false))


# --- ranks by hand -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("of", "first", "reciprocal", "pairs"),
    [
        (ranked(0.9, 0.5, 0.1), 1.0, 1.0, [1, 1]),
        (ranked(0.5, 0.9, 0.1), 0.0, 1 / 2, [0, 1]),
        (ranked(0.5, 0.5, 0.1), 1 / 2, 1 / 1.5, [0.5, 1]),  # tied for the top: rank 1.5, half a win
        (ranked(0.5, 0.5, 0.5), 1 / 3, 1 / 2, [0.5, 0.5]),
        (ranked(0.5, 0.5, 0.9), 0.0, 1 / 2.5, [0.5, 0]),  # rank 1 + 1 + 0.5
        (ranked(0.5, None, 0.1), 1.0, 1.0, [1]),  # an unread false label is no pair
    ],
)
def test_ranks_by_hand(of: Ranked, first: float, reciprocal: float, pairs: list[float]) -> None:
    assert of.reason is None
    assert (of.first(), of.reciprocal(), of.pairs()) == (pytest.approx(first), pytest.approx(reciprocal), pairs)


def test_an_unread_true_label_is_unmeasured_not_last() -> None:
    assert ranked(None, 0.5).reason == "true label: unread"
    assert ranked(0.5, None).reason == "no false label is measured"
    assert ranked(None, 0.5).pairs() == []


@settings(max_examples=60)
@given(st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=2, max_size=6))
def test_credits_of_one_puzzle_add_up(scores: list[float]) -> None:
    """Whichever label is called the true one: first places sum to 1, and every pair is won once."""
    rows = [ranked(scores[i], *(s for j, s in enumerate(scores) if j != i)) for i in range(len(scores))]
    assert sum(r.first() for r in rows) == pytest.approx(1.0)
    assert sum(sum(r.pairs()) for r in rows) == pytest.approx(len(scores) * (len(scores) - 1) / 2)
    assert all(r.chance() == pytest.approx(1 / len(scores)) for r in rows)


# --- replay --------------------------------------------------------------------------------------------------------


def test_a_record_is_a_subject() -> None:
    subject = ReplaySubject("r", [Record(("A", " b", "c"), (0.0, 2.0, -1.0)), Record((" ",), (0.5,))])
    assert [(t.text, t.start, t.end) for t in subject.tokens("A bc")] == [("A", 0, 1), (" b", 1, 3), ("c", 3, 4)]
    first, second = subject.measure(["A bc", " "], subject.unit())
    np.testing.assert_array_equal(first, np.float32([0.0, 2.0, -1.0]))
    np.testing.assert_array_equal(second, np.float32([0.5]))
    (minus,) = subject.measure(["A bc"], subject.unit("record", 0, sign=-1))
    np.testing.assert_array_equal(minus, np.float32([0.0, -2.0, 1.0]))
    values = subject.forward(["A bc", " "], ["record"]).values["record"]
    assert values.shape == (2, 3, 1)
    assert values[1, 1:].abs().max() == 0  # padding
    assert subject.fingerprint != ReplaySubject("r", [Record((" ",), (0.5,))]).fingerprint


def test_unknown_texts_are_an_error_or_rest() -> None:
    records = [Record(("a",), (1.0,))]
    with pytest.raises(UserError, match="has no record of 'b'.*1 texts"):
        ReplaySubject("r", records).measure(["b"], ReplaySubject("r", records).unit())
    resting = ReplaySubject("r", records, rest=0.0)
    (values,) = resting.measure(["two words"], resting.unit())
    np.testing.assert_array_equal(values, np.zeros(2, np.float32))
    for call in (resting.untrained, lambda: resting.outputs(["a"])):
        with pytest.raises(UserError, match="record"):
            call()


def test_records_that_contradict_or_are_broken() -> None:
    with pytest.raises(UserError, match="twice"):
        ReplaySubject("r", [Record(("a",), (1.0,)), Record(("a",), (2.0,))])
    with pytest.raises(UserError, match="one finite value per token"):
        Record(("a", "b"), (1.0,))
    with pytest.raises(UserError, match="finite"):
        Record(("a",), (float("nan"),))


def test_a_replayed_unit_goes_through_the_whole_spine() -> None:
    """Harvest, lab, the look-up explainer and the scorer run on a record as on any subject."""
    import maieutic as mt

    rng = np.random.default_rng(0)
    words = ["red", "blue", "cat", "dog", "sun", "sea"]
    records = []
    for _ in range(60):
        chosen = [str(w) for w in rng.choice(words, size=12)]
        tokens = tuple(w if i == 0 else f" {w}" for i, w in enumerate(chosen))
        records.append(Record(tokens, tuple(float(w == "sun") for w in chosen)))
    subject = ReplaySubject("sun", list({r.text: r for r in records}.values()))
    corpus = Corpus.from_texts([r.text for r in records], documents=[str(i) for i in range(60)])
    atlas = mt.harvest(subject, corpus, ["record"])
    found = mt.explain(mt.Lab(subject, subject.unit(), atlas), explainer="lookup")
    readings = mt.score(found, subject, subject.unit(), corpus, atlas=atlas)
    assert readings["predictive"].value == pytest.approx(1.0)


# --- the bench -----------------------------------------------------------------------------------------------------


def test_the_file_is_read(file: Path) -> None:
    after, silent = load_puzzles(file)
    assert after.label == 'the word after "the"'
    assert len(after.false) == 3
    assert after.records[0].tokens[:3] == ("the", " cat", " sat")
    assert after.records[0].values[:3] == (0.0, 10.0, 0.0)
    assert silent.name == "silent"


def test_true_labels_rank_first_and_unread_ones_are_counted(file: Path) -> None:
    result = run_puzzles(file=file)
    value = {name: figure.reading.value for name, figure in result.figures.items()}
    assert value["ap.true_first"] == 1.0
    assert value["ap.chance"] == pytest.approx(1 / 4)
    assert value["ap.pairs_right"] == 1.0
    details = result.figures["ap.true_first"].reading.details
    assert (details["of"], details["unmeasured"]) == (2, {"true label: the label could not be read": 1})
    assert result.figures["read.true"].reading.value == 0.5
    assert value["oracle.ap.score"] == 1.0
    assert value["oracle.pearson.score"] == pytest.approx(1.0)
    assert result.to_json()["met"]


def test_the_oracle_is_exact_and_a_constant_is_not(file: Path) -> None:
    scene = Scene.of(load_puzzles(file)[0])
    # the true rule, written as a predicate: all activations are 10, so r is 1 as well
    rule = scene.scores(PreviousIs(part=TokenIn(words=("the",))))
    assert rule["ap"].value == 1.0
    assert rule["pearson"].value == pytest.approx(1.0)
    assert {m: r.value for m, r in scene.oracle().items()} == {"ap": 1.0, "pearson": pytest.approx(1.0)}
    constant = scene.scores(Constant(value=1.0))
    assert constant["ap"].value == pytest.approx(scene.evidence.base_rate)
    assert not constant["pearson"].measured


def test_too_few_active_tokens_are_unmeasured(tmp_path: Path) -> None:
    one = {
        "name": "one",
        "explanation": "numbers",
        "sentences": [["a", [" 1", 5]], ["b"]],
        "false_explanations": ["commas"],
    }
    (tmp_path / "p.json").write_text(json.dumps({"one": one}))
    figure = run_puzzles(file=tmp_path / "p.json").figures["ap.true_first"]
    assert figure.reading.value is None
    assert "at least 5 are needed" in (figure.reading.reason or "")
    assert figure.met is False


@pytest.mark.parametrize("content", ["", "[]", '{"a": {}}', '{"a": {"sentences": 3}}', '{"a": 1}'])
def test_a_file_in_another_format(tmp_path: Path, content: str) -> None:
    (tmp_path / "p.json").write_text(content)
    with pytest.raises(UserError, match=r"p\.json is no file of puzzles.*maieutic fetch"):
        run_puzzles(file=tmp_path / "p.json")


def test_other_modalities_are_refused() -> None:
    with pytest.raises(UsageError, match="--modality"):
        run_puzzles(modality="image")


@pytest.mark.slow
@pytest.mark.packaged
def test_the_packaged_puzzles() -> None:
    """What the package holds, and that the scorers rank its true labels above a coin's rank; figures are in the docs."""
    puzzles: list[Puzzle] = load_puzzles()
    assert (len(puzzles), sum(len(p.false) for p in puzzles)) == (19, 63)
    assert sum(len(r.tokens) for p in puzzles for r in p.records) > 4000
    figures = run_puzzles().figures
    assert figures["oracle.ap.score"].reading.value == 1.0
    assert figures["oracle.pearson.score"].reading.value == pytest.approx(1.0)
    first, chance = figures["ap.true_first"].reading, figures["ap.chance"].reading
    assert first.low is not None
    assert chance.value is not None
    assert first.low > chance.value
