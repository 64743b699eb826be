"""Interference of facts: how much an edit of one fact would move the value of another, without making any edit.

``p(i, j) = ((C^-1 k_i)^T k_j) / ((C^-1 k_i)^T k_i)`` (Hu et al. 2024, "Knowledge in Superposition", arXiv 2408.07413). A rank-one
edit of fact i moves the value at key j by ``p(i, j)`` times what it moves at its own key; so 1 on the diagonal, and 0 off it
where edits would leave each other alone.

What this module does not do: say what a moved value does to an answer (`measures`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from maieutic.readings import Estimate, FloatArray, cluster_weights
from maieutic.studies.regularization.editing.keys import RIDGE, Spread


def interference_matrix(keys: Tensor, spread: Spread, *, ridge: float = RIDGE) -> FloatArray:
    """P, ``[fact, fact]``, of keys ``[fact, d_mlp]``; its diagonal is 1.

    Args:
        ridge: share of the mean diagonal of C.
    """
    raw = spread.whitened(keys, share=ridge) @ keys.double().T
    return (raw / raw.diagonal()[:, None]).numpy()


def off_diagonal(matrix: FloatArray, *, among: NDArray[np.bool_] | None = None, seed: int = 0) -> tuple[Estimate, ...]:
    """Root mean square and kurtosis (3 for a normal distribution) of the entries off the diagonal.

    Facts are drawn with replacement, each with its row and its column; a fact is never compared with its own copy.

    Args:
        matrix: P. among: pairs that count, bool ``[fact, fact]``; all by default.
        seed: of the resamples.

    Returns:
        The estimates of the two; ``nan`` where no pair counts, or where all entries are the same.
    """
    counted = ~np.eye(len(matrix), dtype=np.bool_)
    if among is not None:
        counted &= among
    weights = cluster_weights(len(matrix), seed=seed).astype(np.float64)
    ones = np.ones((1, len(matrix)))

    def sums(power: int, shift: float = 0.0) -> FloatArray:
        entries = np.where(counted, (matrix - shift) ** power, 0.0)
        return np.concatenate([((w @ entries) * w).sum(axis=1) for w in (ones, weights)])

    with np.errstate(divide="ignore", invalid="ignore"):
        n = sums(0)
        rms = np.sqrt(sums(2) / n)
        # moments about the mean of the whole sample, then moved to each resample's own: sums of high powers would cancel
        centre = float(np.where(counted, matrix, 0.0).sum() / max(counted.sum(), 1))
        first, second, third, fourth = (sums(k, centre) / n for k in (1, 2, 3, 4))
        variance = second - first**2
        kurtosis = (fourth - 4 * first * third + 6 * first**2 * second - 3 * first**4) / variance**2
    return _estimate(rms), _estimate(np.where(variance > 0, kurtosis, np.nan))


def _estimate(values: FloatArray) -> Estimate:
    return Estimate(value=float(values[0]), replicates=values[1:])
