"""The explainer that needs no language model: for each direction the predicate that fits it, tested on other documents.

For each direction the predicate with the highest correlation on discover is its label; the threshold with the best F1 on select
turns activations into a prediction of the predicate; F1 and average precision on test are its scores. The same interface as any
explainer has (hypothesis, prediction, held-out score), with an exact answer and no price.

What this module does not do: try conjunctions, or say what a direction does to the output.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maieutic.stimuli.base import Split
from maieutic.studies.regularization.interpreting.truths import Truths

Floats = NDArray[np.float32]
#: a direction is dead when its magnitude never exceeds this on discover, or it never changes there
DEAD = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """Directions with their best predicates.

    Attributes:
        live: which of the directions given are live, bool ``[direction]``; the other fields are of the live ones alone.
        predicate: index of the label. correlation: with it on discover.
        threshold: activations from here on predict it.
        f1, average_precision: on test; constant: the best F1 of a prediction that is the same everywhere, there.
    """

    live: NDArray[np.bool_]
    predicate: NDArray[np.int64]
    correlation: NDArray[np.float64]
    threshold: NDArray[np.float64]
    f1: NDArray[np.float64]
    average_precision: NDArray[np.float64]
    constant: NDArray[np.float64]


def live_units(values: Floats, truths: Truths) -> NDArray[np.bool_]:
    """Which directions are live: bool ``[direction]``. ``values``: activations ``[token, direction]``."""
    seen = values[truths.places["discover"]]
    return (np.abs(seen).max(axis=0) > DEAD) & (np.ptp(seen, axis=0) > DEAD)


def correlations(values: Floats, holds: Any) -> NDArray[np.float64]:
    """Pearson correlation of every predicate with every direction, ``[predicate, direction]``; 0 where one never changes.

    Args:
        values: activations ``[token, direction]``. holds: sparse ``[predicate, token]``.

    Cost: one sparse matrix product: (labels per token) x tokens x directions multiplications.
    """
    n = values.shape[0]
    centred = values - values.mean(axis=0, dtype=np.float64).astype(np.float32)
    spread = np.sqrt(np.square(centred, dtype=np.float64).sum(axis=0))
    counts = np.asarray(holds.sum(axis=1), np.float64).reshape(-1)
    own = np.sqrt(counts * (1 - counts / n))
    sums = np.asarray(holds @ np.ascontiguousarray(centred), np.float64)
    scale = own[:, None] * spread[None, :]
    return np.divide(sums, scale, out=np.zeros_like(sums), where=scale > 0)


def _ranked(values: Floats, truth: NDArray[np.bool_]) -> tuple[Floats, NDArray[np.float64]]:
    """Values of each row from the largest down, and their truth as 0 and 1; among equal values the true ones come first.

    The bits of a float, those of negative ones turned round, are an integer of the same order. With the truth as a last bit
    one sort of integers does what a sort of places and two gathers would do, in a quarter of the time.
    """
    bits = np.ascontiguousarray(values, np.float32).view(np.int32)
    keys = (bits ^ ((bits >> 31) & 0x7FFFFFFF)).astype(np.int64) << 1
    keys |= truth
    keys.sort(axis=1)
    keys = keys[:, ::-1]
    back = (keys >> 1).astype(np.int32)
    return (back ^ ((back >> 31) & 0x7FFFFFFF)).view(np.float32), (keys & 1).astype(np.float64)


def best_thresholds(values: Floats, truth: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The threshold with the best F1 of each row, half-way to the next value below; the highest such where several are best.

    Args:
        values: ``[row, token]``, float32. truth: the same shape.
    """
    ranked, on = _ranked(values, truth)
    right = np.cumsum(on, axis=1)
    f1 = 2 * right / (np.arange(1, values.shape[1] + 1) + right[:, -1:])
    f1[:, :-1][ranked[:, :-1] == ranked[:, 1:]] = -1.0  # equal values cannot be told apart
    best = f1.argmax(axis=1)
    rows, below = np.arange(len(values)), np.minimum(best + 1, values.shape[1] - 1)
    return (ranked[rows, best].astype(np.float64) + ranked[rows, below]) / 2


def f1_scores(predicted: NDArray[np.bool_], truth: NDArray[np.bool_]) -> NDArray[np.float64]:
    """F1 of each row, ``[row]``; 0 where nothing is predicted right."""
    right = (predicted & truth).sum(axis=1)
    return 2 * right / np.maximum(predicted.sum(axis=1) + truth.sum(axis=1), 1)


def precision_scores(values: Floats, truth: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Step-wise average precision of each row, ties as one group, ``[row]``; rows without a true token give 0."""
    ranked, on = _ranked(values, truth)
    size = values.shape[1]
    ends = np.where(
        np.append(ranked[:, :-1] != ranked[:, 1:], np.ones((len(values), 1), bool), axis=1), np.arange(size), size
    )
    end = np.minimum.accumulate(ends[:, ::-1], axis=1)[:, ::-1]  # last place of each one's group of ties
    right = np.cumsum(on, axis=1)
    precision = np.take_along_axis(right, end, axis=1) / (end + 1)
    return (on * precision).sum(axis=1) / np.maximum(right[:, -1], 1)


def label_directions(values: Floats, truths: Truths, *, ranked: bool = False) -> Labelled:
    """Label directions and test the labels.

    Args:
        values: activations ``[token, direction]`` over all documents.
        truths: what they may mean.
        ranked: whether average precision is wanted; 0 otherwise, as it costs another sort.
    """
    live = live_units(values, truths)
    kept = values[:, live]

    def part(split: Split) -> Floats:
        return kept[truths.places[split]]

    found = correlations(part("discover"), truths.of("discover"))
    chosen = found.argmax(axis=0) if live.any() else np.zeros(0, np.int64)
    at = {s: truths.at(chosen, s) for s in ("select", "test")}
    threshold = best_thresholds(np.ascontiguousarray(part("select").T), at["select"])
    test = np.ascontiguousarray(part("test").T)
    base = at["test"].mean(axis=1)
    return Labelled(
        live=live,
        predicate=chosen,
        correlation=found[chosen, np.arange(len(chosen))],
        threshold=threshold,
        f1=f1_scores(test >= threshold[:, None], at["test"]),
        average_precision=precision_scores(test, at["test"]) if ranked else np.zeros(len(chosen)),
        constant=2 * base / (1 + base),
    )
