"""Standing: how well an explanation foretells its unit on the select split, which a cascade decides by.

It is average precision rescaled so that a constant has 0 and a perfect ranking 1. Scores come from the test split and
nothing else: a standing chooses between explanations of one unit and is never reported as a score.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from maieutic.explain.explanation import Explanation
from maieutic.harvest.atlas import Observed
from maieutic.readings import average_precision
from maieutic.score.evidence import QUANTILES, Evidence, Sample, predictions, threshold
from maieutic.stimuli.base import Split


def standing(
    found: Explanation,
    observe: Callable[[Split], Sequence[Observed]],
    *,
    modality: Literal["text", "image"],
    seed: int = 0,
) -> float | None:
    """``(AP - base rate) / (1 - base rate)`` on select, at least 0.

    Args:
        found: bound to a viewer; an abstention stands at 0.
        observe: the unit's measured values over a split; discover and select are asked for.
        modality: decides the quantile of "active".
        seed: of the subsample of very large splits.

    Returns:
        0 to 1; ``None`` where the unit cannot be judged on select (it never changes, or is active nowhere or everywhere).
    """
    discover = [o.values for o in observe("discover")]
    limit = threshold(
        np.concatenate(discover).astype(np.float64) if discover else np.zeros(0), quantile=QUANTILES[modality]
    )
    if isinstance(limit, str):
        return None
    observed = observe("select")
    sample = Sample.of(observed, seed=seed)
    evidence = Evidence.of(sample, [o.values for o in observed], limit)
    base = evidence.base_rate
    if not 0.0 < base < 1.0:
        return None
    if found.abstained:
        return 0.0
    predicted = predictions(found, sample)
    if isinstance(predicted, str):
        return 0.0
    whole = np.ones((1, len(evidence.groups)), np.float32)
    ap = average_precision(evidence.active, predicted, clusters=evidence.clusters, weights=whole).value
    return max(0.0, (ap - base) / (1.0 - base))
