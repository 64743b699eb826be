"""Directions found in activations: principal components, differences of means, logistic probes, and random ones beside.

All take rows ``[row, hidden]`` and give a `Fit`: vectors and offsets, reading ``row @ vector + offset``. What this module
does not do: choose the rows, or say how good a direction is; both need a corpus.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maieutic.errors import UserError

Rows = NDArray[np.float32]
Floats = NDArray[np.float64]
#: weight of the squared length of a probe on standardised inputs, against the mean loss of a row
PENALTY = 1e-2


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """Directions: ``vectors`` float32 ``[direction, hidden]``, ``offsets`` float32 ``[direction]``."""

    vectors: Rows
    offsets: Rows


def principal(rows: Rows, count: int) -> tuple[Fit, Floats]:
    """The directions in which rows vary most, of length 1, reading 0 at the mean; and their shares of the variance.

    A direction's largest part is positive, so that the same rows give the same signs.

    Raises:
        UserError: fewer rows or dimensions than directions, or rows that do not vary.
    """
    if not 0 < count < min(len(rows), rows.shape[1] + 1):
        raise UserError(
            f"{count} components of {len(rows)} rows of width {rows.shape[1]}: ask for fewer, or give more rows"
        )
    mean = rows.mean(axis=0, dtype=np.float64)
    centred = rows - mean
    values, vectors = np.linalg.eigh(centred.T @ centred / len(rows))
    order = np.argsort(values)[::-1][:count]
    total = float(values.sum())
    if total <= 0:
        raise UserError("activations that do not vary have no components: give other stimuli")
    chosen = vectors[:, order].T
    largest = np.take_along_axis(chosen, np.abs(chosen).argmax(axis=1)[:, None], axis=1)
    chosen = chosen * np.sign(largest)
    return _fit(chosen, -(chosen @ mean)), np.maximum(values[order], 0.0) / total


def difference(rows: Rows, labels: NDArray[np.bool_]) -> Fit:
    """From the mean of the rows without to the mean of those with a label: length 1, reading 0 halfway.

    Raises:
        UserError: one side is empty, or the means are the same.
    """
    _both(labels)
    one, other = (rows[side].mean(axis=0, dtype=np.float64) for side in (labels, ~labels))
    vector = one - other
    length = float(np.linalg.norm(vector))
    if length == 0.0:
        raise UserError("both sides have the same mean: give other labels")
    vector = vector / length
    return _fit(vector[None], np.array([-(vector @ (one + other)) / 2]))


def probe(rows: Rows, labels: NDArray[np.bool_], *, penalty: float = PENALTY) -> Fit:
    """Logistic regression on standardised rows, both sides weighing the same; the reading is log-odds.

    Args:
        rows: activations.
        labels: bool ``[row]``.
        penalty: on the squared length of the weights.

    Raises:
        UserError: one side is empty.
    """
    from scipy.optimize import minimize

    _both(labels)
    mean, std = rows.mean(axis=0, dtype=np.float64), rows.std(axis=0, dtype=np.float64)
    live = std > 1e-6 * std.max(initial=0.0)
    x = (rows[:, live] - mean[live]) / std[live]
    signs = np.where(labels, 1.0, -1.0)
    weights = np.where(labels, 0.5 / labels.sum(), 0.5 / (~labels).sum())

    def loss(theta: Floats) -> tuple[float, Floats]:
        margin = signs * (x @ theta[:-1] + theta[-1])
        pull = -signs * weights / (1.0 + np.exp(np.clip(margin, -500, 500)))
        gradient = np.concatenate([x.T @ pull + penalty * theta[:-1], [pull.sum()]])
        return float(weights @ np.logaddexp(0.0, -margin) + penalty / 2 * theta[:-1] @ theta[:-1]), gradient

    theta = np.asarray(minimize(loss, np.zeros(x.shape[1] + 1), jac=True, method="L-BFGS-B").x, dtype=np.float64)
    vector = np.zeros(rows.shape[1])
    vector[live] = theta[:-1] / std[live]
    return _fit(vector[None], np.array([theta[-1] - mean @ vector]))


def random(rows: Rows, count: int, *, seed: int) -> Fit:
    """Random directions of length 1 in z-scored activations: the null beside those that were found.

    Z-scored, since a few huge coordinates would else be most of every random direction; constant ones are left out.
    """
    mean, std = rows.mean(axis=0, dtype=np.float64), rows.std(axis=0, dtype=np.float64)
    live = std > 1e-6 * std.max(initial=0.0)
    drawn = np.random.default_rng([seed, 5]).standard_normal((count, rows.shape[1])) * live
    drawn /= np.maximum(np.linalg.norm(drawn, axis=1, keepdims=True), 1e-12)
    vectors = np.divide(drawn, std, out=np.zeros_like(drawn), where=live[None])
    return _fit(vectors, -(vectors @ mean))


def _both(labels: NDArray[np.bool_]) -> None:
    if not labels.any() or labels.all():
        side = "no" if not labels.any() else "every"
        raise UserError(f"{side} row has the label: directions between two sides need both; give other labels")


def _fit(vectors: Floats, offsets: Floats) -> Fit:
    return Fit(vectors=vectors.astype(np.float32), offsets=offsets.astype(np.float32))
