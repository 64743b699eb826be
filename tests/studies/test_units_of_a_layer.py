"""Units against predicates, beside their controls and in bands: planted units, hand-computed values, and scikit-learn beside."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from numpy.typing import NDArray

from maieutic.errors import UserError
from maieutic.stimuli.base import SPLITS
from maieutic.studies.regularization.documents import Documents, Label
from maieutic.studies.regularization.interpreting.bands import BANDS, band_precision, band_readings
from maieutic.studies.regularization.interpreting.bases import (
    components,
    moved,
    rotated,
    sae_features,
    turned,
    z_scored,
)
from maieutic.studies.regularization.interpreting.neurons import CURVE, curve, distinct
from maieutic.studies.regularization.interpreting.predicates import (
    Labelled,
    best_thresholds,
    correlations,
    f1_scores,
    label_directions,
    precision_scores,
)
from maieutic.studies.regularization.interpreting.truths import Truths, foretold, truths_of

DOCUMENTS, LENGTH, VALUES = 150, 20, tuple(f"v{n}" for n in range(12))
Floats = NDArray[np.float32]


@lru_cache(maxsize=1)
def documents() -> Documents:
    """One label with twelve values, each at about 5 % of the tokens; the rest is none. A second label says the same."""
    rng = np.random.default_rng(0)
    values = rng.choice(13, size=(DOCUMENTS, LENGTH), p=[0.4] + [0.05] * 12)
    return Documents(
        ids=rng.integers(0, 9, size=(DOCUMENTS, LENGTH + 1)),
        labels={
            "what": Label(values=values, names=("none", *VALUES)),
            "token": Label(values=(values == 3).astype(np.int64), names=("no", "the same as v2")),
        },
        groups=tuple(f"drawn-{n}" for n in range(DOCUMENTS)),
        texts=tuple(f"text {n}" for n in range(DOCUMENTS)),
    )


@lru_cache(maxsize=1)
def truths() -> Truths:
    return truths_of(documents())


def planted() -> Floats:
    """Twelve units, each 1 where its value holds and 0 elsewhere, ``[token, unit]``."""
    what = documents().labels["what"]
    return np.stack([what.mask(v).reshape(-1) for v in VALUES], axis=1).astype(np.float32)


def noise(units: int, seed: int = 1) -> Floats:
    return np.random.default_rng(seed).standard_normal((DOCUMENTS * LENGTH, units)).astype(np.float32)


# --- predicates and splits -------------------------------------------------------------------------------------------


def test_predicates_that_hold_at_the_same_tokens_are_one() -> None:
    names = truths().names
    # "none" holds at 40 %, under the limit of half; "no" at 95 %, over it; "the same as v2" is v2
    assert names == (("what", "none"), *(("what", v) for v in VALUES))
    assert not truths().lexical.any()


def test_every_token_is_in_the_split_of_its_document() -> None:
    split = {s: set((truths().places[s] // LENGTH).tolist()) for s in SPLITS}
    assert [sorted(split[s]) for s in SPLITS] == [
        [n for n, s in enumerate(documents().splits) if s == wanted] for wanted in SPLITS
    ]
    assert sum(len(p) for p in truths().places.values()) == DOCUMENTS * LENGTH


def test_what_the_word_alone_foretells_is_lexical_by_hand() -> None:
    from scipy import sparse

    ids = np.array([7, 7, 7, 2, 2, 5])
    holds = sparse.csr_matrix(np.array([[1, 1, 1, 0, 0, 0], [1, 0, 1, 1, 0, 0]], np.float32))
    # row 0 is the word 7. Row 1: said at 7 (2 of 3, more than half), not at 2 (1 of 2): 2 right of 3 said, 3 true: 4/6
    assert foretold(holds, ids) == pytest.approx([1.0, 4 / 6])


def test_contextual_predicates_are_those_that_the_word_does_not_decide() -> None:
    one = documents()
    known = truths_of(replace(one, ids=np.pad(one.labels["what"].values, ((0, 0), (0, 1)))))
    assert known.lexical.all() and known.contextual() is known  # the word is the value
    half = replace(known, lexical=np.arange(len(known.names)) < 4)
    assert half.contextual().names == known.names[4:]
    assert np.array_equal(half.contextual().at(np.array([0]), "test"), known.at(np.array([4]), "test"))


def test_too_little_text_is_an_error() -> None:
    with pytest.raises(UserError, match="more documents"):
        truths_of(documents().at([0, 1]))


# --- scores ----------------------------------------------------------------------------------------------------------


def test_the_best_threshold_by_hand() -> None:
    values = np.array([[0.1, 0.9, 0.8, 0.4, 0.4], [1.0, 1.0, 1.0, 1.0, 1.0]], np.float32)
    truth = np.array([[0, 1, 1, 0, 1], [1, 0, 0, 0, 0]], bool)
    # row 0: down to .8: 2 right of 2, 3 true: F1 = 4/5; down to .4: 3 right of 4: F1 = 6/7; so half-way .4 to .1
    assert best_thresholds(values, truth) == pytest.approx([0.25, 1.0])
    # row 1: equal values cannot be told apart: all predicted, 1 right of 5: F1 = 2/6
    assert f1_scores(values >= best_thresholds(values, truth)[:, None], truth) == pytest.approx([6 / 7, 2 / 6])


def test_average_precision_and_correlation_are_those_of_other_implementations() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    values = np.round(noise(6), 1)  # many ties
    at = truths().at(np.arange(6), "test")
    test = np.ascontiguousarray(values[truths().places["test"]].T)
    expected = [metrics.average_precision_score(t, v) for t, v in zip(at, test, strict=True)]
    assert precision_scores(test, at) == pytest.approx(expected)
    seen, holds = values[truths().places["discover"]], truths().of("discover")
    own = np.corrcoef(np.concatenate([holds.toarray(), seen.T]))[:13, 13:]
    assert correlations(seen, holds) == pytest.approx(own, abs=1e-5)


def test_a_planted_unit_is_found_exactly() -> None:
    found = label_directions(np.concatenate([planted(), noise(4)], axis=1), truths(), ranked=True)
    assert [truths().names[p] for p in found.predicate[:12]] == [("what", v) for v in VALUES]
    assert (found.f1[:12] == 1).all() and found.average_precision[:12] == pytest.approx(1)
    assert (found.f1[12:] < 0.6).all() and found.live.all()
    # best F1 of a constant: everything predicted, 2p / (1 + p)
    base = planted()[truths().places["test"]].mean(axis=0)
    assert found.constant[:12] == pytest.approx(2 * base / (1 + base))


def test_a_score_does_not_depend_on_scale_but_on_sign() -> None:
    own, scaled = (
        label_directions(v, truths()) for v in (planted() + 0.1 * noise(12), 7 * planted() + 0.7 * noise(12))
    )
    assert np.array_equal(own.predicate, scaled.predicate) and own.f1 == pytest.approx(scaled.f1)
    assert label_directions(-planted(), truths()).f1.max() < 0.7


def test_dead_units_are_left_out_and_counted() -> None:
    values = planted()
    values[:, 3] = 0
    values[truths().places["discover"], 5] = 0.25  # never changes where it is looked at
    found = label_directions(values, truths())
    assert np.flatnonzero(~found.live).tolist() == [3, 5] and len(found.f1) == 10
    nothing = label_directions(np.zeros_like(values), truths())
    assert not nothing.live.any() and nothing.f1.shape == (0,)


def test_labels_of_other_tokens_score_next_to_nothing() -> None:
    order = moved(truths(), DOCUMENTS * LENGTH, seed=4)
    for places in truths().places.values():
        assert sorted(order[places]) == sorted(places) and (order[places] != places).mean() > 0.9
    # 5 % of the tokens: a prediction by chance has an F1 near .05
    assert label_directions(planted()[order], truths()).f1.mean() < 0.2


def test_the_curve_and_the_predicates_covered_by_hand() -> None:
    found = Labelled(
        live=np.ones(4, bool), predicate=np.array([2, 2, 5, 6]), f1=np.array([0.9, 0.8, 0.5, 0.2]),
        correlation=np.zeros(4), threshold=np.zeros(4), average_precision=np.zeros(4), constant=np.zeros(4),
    )  # fmt: skip
    assert distinct(found) == 2  # 2 and 5; 6 is not covered
    assert [curve(found.f1)[CURVE.index(t)] for t in (0.0, 0.2, 0.5, 0.85)] == [1.0, 0.75, 0.5, 0.25]
    # the area under the curve is the mean score, up to its steps
    assert sum(curve(found.f1)) * 0.05 == pytest.approx(found.f1.mean(), abs=0.05)


# --- controls --------------------------------------------------------------------------------------------------------


def test_a_rotation_destroys_planted_units_and_keeps_distances() -> None:
    values = np.concatenate([planted(), noise(36)], axis=1)
    turned_round = rotated(values, truths(), seed=0)
    assert label_directions(turned_round, truths()).f1.mean() < 0.3 < label_directions(planted(), truths()).f1.mean()
    z = z_scored(values, truths())
    assert np.linalg.norm(turned(z, seed=0), axis=1) == pytest.approx(np.linalg.norm(z, axis=1), rel=1e-4)


def test_a_rotation_of_raw_activations_would_be_no_control() -> None:
    """Why activations are z-scored first: one planted unit with a large spread makes every raw direction score."""
    values = np.concatenate([1000 * planted()[:, :1], noise(24)], axis=1)
    raw = label_directions(np.abs(turned(values, seed=0)), truths()).f1
    assert np.median(raw) > 0.9 > 0.6 > np.median(label_directions(rotated(values, truths(), seed=0), truths()).f1)


def test_z_scores_leave_dead_units_out_and_have_unit_spread_on_discover() -> None:
    values = 5 + 3 * noise(6)
    values[:, 2] = 1
    seen = z_scored(values, truths())[truths().places["discover"]]
    assert seen.shape[1] == 5
    assert seen.mean(axis=0) == pytest.approx(0, abs=1e-4) and seen.std(axis=0) == pytest.approx(1, abs=1e-4)


def test_principal_components_are_uncorrelated_and_point_where_rare_things_fire() -> None:
    seen = components(planted() * np.linspace(1, 3, 12, dtype=np.float32), truths())[truths().places["discover"]]
    covariance = np.cov(seen.T.astype(np.float64))
    assert np.abs(covariance - np.diag(np.diag(covariance))).max() < 1e-4
    assert (np.diff(np.diag(covariance)) < 1e-6).all()  # largest first
    assert (((seen - seen.mean(axis=0)) ** 3).mean(axis=0) > 0).all()


def test_an_autoencoder_finds_planted_features_that_a_rotation_hid() -> None:
    hidden = turned(planted(), seed=3)
    found = sae_features(hidden, truths(), seed=0, steps=120, features=24)
    assert found.explained > 0.9
    own = label_directions(found.values, truths())
    covered = {int(p) for p, f in zip(own.predicate, own.f1, strict=True) if f > 0.9}
    assert len(covered) >= 8
    one, again = (sae_features(hidden, truths(), seed=0, steps=3).values for _ in range(2))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, sae_features(hidden, truths(), seed=1, steps=3).values)


# --- bands -----------------------------------------------------------------------------------------------------------


def test_bands_by_hand() -> None:
    """A unit whose maximum is 10: strong firings at v0 alone, middle ones half of them, weak ones a quarter."""
    values = np.zeros((DOCUMENTS * LENGTH, 1), np.float32)
    holds = planted()[:, 0] > 0
    for split in SPLITS:
        places = truths().places[split]
        on, off = places[holds[places]], places[~holds[places]]
        assert len(on) >= 24
        values[on[:12], 0] = 10  # high: 12 of 12
        values[on[12:18], 0], values[off[:6], 0] = 5, 5  # middle: 6 of 12
        values[on[18:20], 0], values[off[6:12], 0] = 2, 2  # low: 2 of 8
        values[off[12:30], 0] = 0.5  # under a tenth: in no band
    labelled = label_directions(values, truths())
    assert truths().names[int(labelled.predicate[0])] == ("what", "v0")
    found = band_precision(values, truths(), labelled)
    assert {b: float(p[0]) for b, p in found.precision.items()} == {"low": 0.25, "middle": 0.5, "high": 1.0}
    assert tuple(BANDS) == ("low", "middle", "high")


def test_a_band_without_firings_is_unmeasured() -> None:
    found = band_precision(planted(), truths(), label_directions(planted(), truths()))
    low, middle, high = band_readings("bands", found, seed=0)
    assert not low.measured and not middle.measured and "fires" in str(low.reason)
    assert high.value == 1.0 and high.n == 12
