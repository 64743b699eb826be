"""Inquiries: the right answer, in about as few measurements as there are bits to learn."""

from __future__ import annotations

import numpy as np
import pytest

from maieutic.explain.predicates.base import Constant
from maieutic.explain.search.inquiry import Hypothesis, Probe, inquire
from maieutic.harvest.atlas import Atlas, Observed
from maieutic.lab import Budget, Lab
from maieutic.stimuli.base import Corpus
from maieutic.stimuli.texts import text_stimulus
from maieutic.subjects.function import function_subject

REACHES = range(1, 17)


def lab_of(window: int, *, noise: float = 0.0, measurements: int = 100, wild: int = -1) -> Lab:
    """A text-level unit that fires when the text is ``gap`` words long at most; ``wild``: the gap at which it lies."""
    rng = np.random.default_rng(0)

    def fn(batch: list[str]) -> list[float]:
        return [float((t.count("o") <= window) != (t.count("o") == wild)) + noise * float(rng.normal()) for t in batch]

    subject = function_subject(fn, name="gap")
    stimuli = [text_stimulus("o" * n) for n in (1, 40)]
    atlas = Atlas(
        subject=subject.name,
        corpus=Corpus(name="made-up", modality="text", stimuli=stimuli),
        sites={},
        observe=lambda _, split: [
            Observed(s, np.array([float(i == 0)])) for i, s in enumerate(stimuli) if split == "discover"
        ],
    )
    return Lab(subject, subject.unit(), atlas, budget=Budget(measurements=measurements))


def asked(lab: Lab, **options: int) -> tuple[int, int, float]:
    """Window answered (1 to 16), measurements used, belief."""
    hypotheses = [Hypothesis(words=f"within {n}", predicate=Constant(value=0.0)) for n in REACHES]
    probes = [
        Probe(
            stimulus=text_stimulus("o" * d),
            kind="insert",
            foretold=np.array([float(d <= n) for n in REACHES]),
        )
        for d in REACHES
    ]
    answer = inquire(lab, hypotheses, probes, question="how far?", **{"most": 40, **options})
    return REACHES[answer.best], len(answer.entries), float(answer.belief.max())


@pytest.mark.parametrize("window", [1, 2, 5, 8, 13, 16])
def test_it_halves_what_is_left(window: int) -> None:
    # 16 answers are 4 bits; a probe tells at most 1 bit, a little less as outcomes may be outliers
    found, used, belief = asked(lab_of(window))
    assert found == window
    assert 4 <= used <= 10
    assert belief > 0.8


def test_noise_costs_measurements_but_not_the_answer() -> None:
    assert [asked(lab_of(w, noise=0.25))[0] for w in (3, 9)] == [3, 9]


def test_one_lie_is_forgiven() -> None:
    # the first probe asked is about the middle; a lie there is contradicted by its neighbours
    found, _, _ = asked(lab_of(5, wild=9))
    assert found == 5


def test_the_budget_holds() -> None:
    lab = lab_of(5, measurements=2)
    asked(lab)
    assert len(lab.ledger) == 2


def test_every_prediction_is_written_before_its_value() -> None:
    lab = lab_of(5)
    asked(lab)
    assert all(e.expect is not None and 0.0 <= e.expect <= 1.0 for e in lab.ledger.entries)
    # equal beliefs in 16 answers: the first probe asked splits them in half
    assert lab.ledger.entries[0].expect == pytest.approx(0.5, abs=0.07)


def test_nothing_is_asked_that_cannot_tell() -> None:
    lab = lab_of(5)
    same = [Hypothesis(words=w, predicate=Constant(value=0.0)) for w in ("a", "b")]
    probe = Probe(stimulus=text_stimulus("o"), kind="look", foretold=np.array([1.0, 1.0]))
    answer = inquire(lab, same, [probe], question="which?", most=5)
    assert len(answer.entries) == 0
    assert answer.belief.tolist() == [0.5, 0.5]


def test_the_prior_decides_what_no_experiment_can() -> None:
    lab = lab_of(5)
    two = [
        Hypothesis(words="a", predicate=Constant(value=0.0)),
        Hypothesis(words="b", predicate=Constant(value=0.0), weight=1.0),
    ]
    answer = inquire(lab, two, [], question="which?", most=5)
    # e / (1 + e) = 0.731
    assert answer.belief[answer.best] == pytest.approx(0.731, abs=0.001)
    assert answer.best == 1
    assert "no experiment" in answer.why_not(0)
