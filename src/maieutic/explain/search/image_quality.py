"""How well predictions rank and follow an activation: average precision at several levels, and correlation.

Many predictions of the same images are judged in one go, since a search judges hundreds a unit; each gets the value to
the bit that it gets alone. Nothing here knows of rules or of units.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


def average_precision(scores: Floats, high: Flags) -> float:
    """Mean precision at each positive, images with equal scores entering together; chance level = share of positives.

    Range 0 to 1; 0 when there is no positive.
    """
    return float(average_precisions(scores[None], high[None])[0, 0])


def average_precisions(scores: Floats, levels: Flags) -> Floats:
    """``average_precision`` of several predictions ``[prediction, image]`` against several sets of positives.

    Args:
        scores: ``[prediction, image]``.
        levels: ``[level, image]``.

    Returns:
        ``[level, prediction]``. Cost: about 30 µs a prediction of 700 images.
    """
    m, n = scores.shape
    positives = np.flatnonzero(levels.any(axis=0))
    if not len(positives):
        return np.zeros((len(levels), m))
    # the sum runs over groups of equal scores, and only those with a positive add to it
    mine = np.take(scores, positives, axis=1)
    order = np.argsort(-mine, axis=1)
    mine, everything = np.take_along_axis(mine, order, axis=1), np.sort(scores, axis=1)
    below = np.stack([np.searchsorted(row, values) for row, values in zip(everything, mine, strict=True)])
    shown = (n - below).astype(np.float64)
    last = np.ones(mine.shape, dtype=bool)
    np.not_equal(mine[:, 1:], mine[:, :-1], out=last[:, :-1])
    high = levels[:, positives].astype(np.float64)
    hits = np.cumsum(high[:, order], axis=2)
    before = np.zeros_like(hits)
    np.maximum.accumulate((hits * last)[:, :, :-1], axis=2, out=before[:, :, 1:])
    total = np.maximum(high.sum(axis=1), 1.0)[:, None, None]
    gained = (hits - before) / total * (hits / shown) * last
    return np.cumsum(gained, axis=2)[:, :, -1]  # added one after another, so that zeros between change no bit


def resampled_precisions(scores: Floats, high: Flags, counts: Floats) -> Floats:
    """``average_precision`` on each of several resamples, ``[resample]``.

    Args:
        scores: ``[image]``.
        high: the positives, ``[image]``.
        counts: how often each image was drawn, ``[resample, image]``.
    """
    order = np.argsort(-scores, kind="stable")
    last = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    drawn = counts[:, order]
    shown, hits = np.cumsum(drawn, axis=1)[:, last], np.cumsum(drawn * high[order], axis=1)[:, last]
    gained = np.diff(hits, axis=1, prepend=0.0) / np.maximum(hits[:, -1:], 1.0)
    return np.cumsum(gained * (hits / np.maximum(shown, 1.0)), axis=1)[:, -1]


def correlation(a: Floats, b: Floats) -> float:
    """Pearson correlation; 0 when either is constant."""
    return float(correlations(a[None], b)[0])


def correlations(some: Floats, b: Floats) -> Floats:
    """``correlation`` of each of ``[prediction, image]`` with one."""
    da, db = some - some.mean(axis=1, keepdims=True), b - b.mean()
    # products of a row with a column are single dot products
    own, with_b = (da[:, None, :] @ da[:, :, None])[:, 0, 0], (da[:, None, :] @ db[:, None])[:, 0, 0]
    scale = np.sqrt(own * (db @ db))
    return np.divide(with_b, scale, out=np.zeros_like(scale), where=scale > 1e-12)


def qualities(predicted: Floats, y: Floats, levels: Flags) -> Floats:
    """(overall quality, average precision at the highest level, correlation) of each prediction, ``[prediction, 3]``.

    Overall: the mean of the average precisions at all levels and of the correlation.
    """
    parts = np.vstack([average_precisions(predicted, levels), correlations(predicted, y)])
    return np.stack([np.mean(np.ascontiguousarray(parts.T), axis=1), parts[-2], parts[-1]], axis=1)


def quality(predicted: Floats, y: Floats, levels: Flags) -> tuple[float, float, float]:
    """(overall quality, average precision at the highest level, correlation) of predictions."""
    overall, ap, r = qualities(predicted[None], y, levels)[0].tolist()
    return overall, ap, r
