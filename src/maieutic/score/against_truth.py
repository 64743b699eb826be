"""How well predictions agree with a truth that is known exactly, position by position.

For planted units only, whose rule gives its noiseless truth on any stimulus, edited ones included (``against_truth_texts``
and ``against_truth_images`` make the edits). What this module does not do: compare with measured activations, as scores
of real units do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from maieutic.explain.explanation import Explanation
from maieutic.readings import ranking
from maieutic.subjects.planted import PlantedUnit


def agreement(found: Explanation, unit: PlantedUnit, stimuli: Sequence[Any]) -> tuple[float | None, float | None]:
    """Average precision (truth of 0.5 or more is active) and Pearson's r of the predictions against the truth.

    Returns:
        ``None`` for what is undefined: AP when the truth is never active there, r when either side never changes.
    """
    if not stimuli:
        return None, None
    truth = np.concatenate(unit.truth(stimuli))
    predicted = np.concatenate([np.atleast_1d(np.asarray(p, dtype=np.float64)) for p in found.predict(stimuli)])
    if len(predicted) != len(truth):
        raise ValueError(f"predicted {len(predicted)} positions where there are {len(truth)}")
    if not np.isfinite(predicted).all():
        raise ValueError("predicted something that is not a number")
    r = float(np.corrcoef(truth, predicted)[0, 1]) if np.ptp(truth) > 0 and np.ptp(predicted) > 0 else None
    active = truth >= 0.5
    if not active.any():
        return None, r
    one = np.zeros(len(truth), dtype=np.int64)
    ranked = ranking(active, predicted, clusters=one, weights=np.ones((1, 1), dtype=np.float32))
    return ranked.average_precision.value, r
