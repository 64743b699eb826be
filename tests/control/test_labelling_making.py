"""How the labelling task is made of a network, and that it comes back from disk as it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from maieutic.control.labelling.making import Plan, make, read, write, written_out
from maieutic.control.labelling.outcome import outcome
from maieutic.control.labelling.planted import planted_labelling
from maieutic.errors import UserError
from maieutic.explain.predicates import Constant, Or, Scaled
from maieutic.explain.predicates.text import TokenIn
from maieutic.stimuli import Corpus, load_corpus
from maieutic.stimuli.base import SPLITS
from maieutic.subjects import load_subject


def test_a_label_written_out_names_what_carries_most_of_the_prediction() -> None:
    made = planted_labelling(seed=5)
    texts = made.texts["discover"]
    count = {w: " ".join(str(t.content) for t in texts).split().count(w) for w in ("qua", "zem", "spy", "red", "hox")}
    strong, weak = TokenIn(words=("qua", "spy", "red")), Scaled(part=TokenIn(words=("zem",)), strength=0.5)
    too_weak = Scaled(part=TokenIn(words=("hox",)), strength=0.1)
    found = written_out(Or(parts=(strong, weak, too_weak)), made.viewer, texts)
    assert found is not None
    # in all: "qua" its count, "zem" half of it; "hox" has a mean of a tenth, less than a quarter of the greatest
    mass = {"qua": count["qua"], "zem": count["zem"] / 2, "spy": count["spy"], "red": count["red"]}
    assert found[1] == tuple(sorted(mass, key=lambda w: (-mass[w], w)))
    assert found[0].label == "words such as " + ", ".join(f'"{w}"' for w in found[1])


def test_what_names_fewer_than_three_words_is_not_written_out() -> None:
    made = planted_labelling(seed=5)
    for predicate in (TokenIn(words=("spy", "red")), Constant(value=0.0)):
        assert written_out(predicate, made.viewer, made.texts["discover"]) is None


def test_the_task_comes_back_from_disk(tmp_path: Path) -> None:
    made = planted_labelling(texts=6, seed=2)
    write(made, tmp_path, {"version": 1})
    corpus = Corpus(name="planted", modality="text", stimuli=[t for s in SPLITS for t in made.texts[s]])
    again = read(tmp_path, corpus, made.viewer)
    assert [(u.id, u.words, u.concept, u.reference, u.others, u.exemplars) for u in again.units] == [
        (u.id, u.words, u.concept, u.reference, dict(u.others), u.exemplars) for u in made.units
    ]
    for one, other in zip(made.units, again.units, strict=True):
        assert all(np.array_equal(a, b) for s in SPLITS for a, b in zip(one.values[s], other.values[s], strict=True))
    with pytest.raises(UserError, match="other texts"):
        read(tmp_path, Corpus(name="none", modality="text", stimuli=[]), made.viewer)


@pytest.mark.slow
def test_a_task_is_made_of_a_real_network_and_the_same_again(model_folder: Path, jsonl: Path) -> None:
    """A tiny network of random weights: its units are labelled as well as they can be, and nobody picks by the test split."""
    subject, corpus = load_subject(f"hf:{model_folder}"), load_corpus(jsonl)
    plan = Plan(site="layers.0.mlp", drawn=8, kept=4, measurements=8, trusted=-1.0, reference=-1.0, words=-1.0, seed=0)
    made, again = (make(subject, corpus, plan) for _ in range(2))
    assert [u.id for u in made.units] == [f"unit-{i:02d}" for i in range(4)]
    assert [(u.key, u.words, u.reference) for u in made.units] == [(u.key, u.words, u.reference) for u in again.units]
    for unit in made.units:
        assert unit.exemplars and all("<<" in e and ">>" in e for e in unit.exemplars)
        measured = subject.read(list(made.texts["test"]), [subject.parse_unit(unit.key)])
        assert all(np.allclose(m[:, 0], v, atol=1e-5) for m, v in zip(measured, unit.values["test"], strict=True))
        found = outcome(made, unit, unit.reference)
        assert found.named == unit.concept
        # half of its own score, and no less than 0.02
        assert found.main in (None, (found.score.value or 0.0) >= 0.02)
    with pytest.raises(UserError, match="only 0 units"):
        make(subject, corpus, Plan(site="layers.0.mlp", drawn=2, kept=2, trusted=2.0, seed=0))
