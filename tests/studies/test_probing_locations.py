"""Probes, coherence and kurtosis of a location, on hand-made activations."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
from numpy.typing import NDArray

from maieutic.studies.regularization.documents import Documents, Label
from maieutic.studies.regularization.interpreting.bases import turned
from maieutic.studies.regularization.interpreting.probing import (
    coherence,
    dense_probe,
    excess_kurtosis,
    probed_labels,
    single_probe,
)
from maieutic.studies.regularization.interpreting.truths import Truths, truths_of

DOCUMENTS, LENGTH = 150, 20
Floats = NDArray[np.float32]


@lru_cache(maxsize=1)
def documents() -> Documents:
    """Six labels of two values each, independent of one another, each "on" at 20 % of the tokens; and a label of words."""
    rng = np.random.default_rng(3)
    labels = {f"l{n}": (rng.random((DOCUMENTS, LENGTH)) < 0.2).astype(np.int64) for n in range(6)}
    return Documents(
        ids=rng.integers(0, 9, size=(DOCUMENTS, LENGTH + 1)),
        labels={
            **{k: Label(values=v, names=("off", "on")) for k, v in labels.items()},
            "token": Label(values=rng.integers(0, 5, size=(DOCUMENTS, LENGTH)), names=tuple("abcde")),
        },
        groups=tuple(f"probed-{n}" for n in range(DOCUMENTS)),
        texts=("",) * DOCUMENTS,
    )


@lru_cache(maxsize=1)
def truths() -> Truths:
    return truths_of(documents())


def on() -> Floats:
    """Six units, each the z-scored truth of a label, ``[token, unit]``."""
    rows = np.stack([documents().labels[f"l{n}"].values.reshape(-1) for n in range(6)], axis=1).astype(np.float32)
    return (rows - rows.mean(axis=0)) / rows.std(axis=0)


def test_labels_are_chosen_by_the_corpus_in_turns_and_words_are_left_out() -> None:
    chosen = [truths().names[n] for n in probed_labels(truths(), count=6)]
    assert chosen == [(f"l{n}", "on") for n in range(6)]
    assert len(probed_labels(truths(), count=3)) == 3


def test_labels_of_words_serve_where_there_are_no_others() -> None:
    alone = documents()
    words = Documents(ids=alone.ids, labels={"token": alone.labels["token"]}, groups=alone.groups, texts=alone.texts)
    only = truths_of(words)
    assert {only.names[n][0] for n in probed_labels(only, count=4)} == {"token"}


def test_one_unit_suffices_when_units_are_the_labels() -> None:
    labels = probed_labels(truths(), count=6)
    assert single_probe(on(), truths(), labels) == pytest.approx(np.ones(6))
    assert single_probe(-on(), truths(), labels) == pytest.approx(np.ones(6))  # either sign
    assert dense_probe(on(), truths(), labels, tokens=10_000, seed=0) == pytest.approx(np.ones(6))


def test_a_rotation_spreads_labels_out_for_one_unit_and_not_for_a_dense_probe() -> None:
    labels, hidden = probed_labels(truths(), count=6), turned(on(), seed=2)
    one = single_probe(hidden, truths(), labels)
    dense = dense_probe(hidden, truths(), labels, tokens=10_000, seed=0)
    assert dense == pytest.approx(np.ones(6)) and one.mean() < 0.95
    again = dense_probe(hidden, truths(), labels, tokens=500, seed=0)
    assert np.array_equal(again, dense_probe(hidden, truths(), labels, tokens=500, seed=0))


def test_noise_gives_a_dense_probe_no_more_than_a_constant() -> None:
    labels = probed_labels(truths(), count=6)
    noise = np.random.default_rng(5).standard_normal((DOCUMENTS * LENGTH, 6)).astype(np.float32)
    # everything predicted: 2 * .2 / 1.2 = 1/3
    assert dense_probe(noise, truths(), labels, tokens=10_000, seed=0).mean() == pytest.approx(1 / 3, abs=0.05)


def test_coherence_is_0_for_labels_with_axes_of_their_own_and_1_for_labels_on_one() -> None:
    apart, together = coherence(on(), truths()), coherence(on().sum(axis=1, keepdims=True), truths())
    assert apart.value is not None and together.value is not None
    assert together.value == pytest.approx(1.0) and apart.value < 0.5
    assert together.details["random"] == 1.0 and apart.details["random"] == pytest.approx(6**-0.5)


def test_coherence_by_hand() -> None:
    """Three labels on two units: 45 degrees between the third and each of the others."""
    rows = [documents().labels[f"l{n}"].values.reshape(-1).astype(np.float32) for n in range(3)]
    z = np.stack([rows[0] + rows[2], rows[1] + rows[2]], axis=1)
    z = (z - z[truths().places["discover"]].mean(axis=0)).astype(np.float32)
    only = Truths(
        names=(("l0", "on"), ("l1", "on"), ("l2", "on")),
        holds=truths().holds[[truths().names.index((f"l{n}", "on")) for n in range(3)]],
        places=truths().places,
        lexical=np.zeros(3, bool),
    )
    found = coherence(z, only)
    # cosines 0, 1/sqrt 2, 1/sqrt 2: root mean square sqrt(1/3)
    assert found.n == 3 and found.value == pytest.approx(3**-0.5, abs=0.05)


def test_kurtosis_by_hand() -> None:
    # a fair coin of -1 and 1: fourth moment 1, second 1: -2
    coin = np.array([[-1.0], [1.0]] * 50, np.float32)
    spike = np.zeros((100, 1), np.float32)
    spike[0] = 1
    p = 0.01
    assert excess_kurtosis(coin) == pytest.approx([-2])
    # of a 0/1 variable: 1 / (p (1 - p)) - 6
    assert excess_kurtosis(spike) == pytest.approx([1 / (p * (1 - p)) - 6], rel=1e-4)
