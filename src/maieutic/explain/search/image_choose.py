"""What the select split says of a finished rule: its quality there, whether it beats chance, and how sure to be.

Nothing is found here; the test split is not touched.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from maieutic.explain.search.image_fit import best_gains
from maieutic.explain.search.image_pairs import best_pair_gain
from maieutic.explain.search.image_quality import quality, resampled_precisions
from maieutic.explain.search.image_rivals import Seen
from maieutic.explain.search.image_rules import Floats, Rule, Target
from maieutic.explain.search.image_table import ImageTable

#: resamples of groups behind the decision to abstain
_RESAMPLES = 120
#: shuffled activations that the best condition must beat
_SHUFFLES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """How a rule does on the select split.

    Attributes:
        ap, correlation: of its predictions there.
        sure: share of resamples in which it beats chance.
        base: share of strong images there; ``strong``: their number.
    """

    ap: float
    correlation: float
    sure: float
    base: float
    strong: int = 0


def held(rule: Rule, seen: Seen, groups: NDArray[np.str_], *, seed: int) -> Held:
    """The rule's quality on the select images."""
    # a level that no select image reaches says nothing
    reached = [level for level in seen.levels if level.any()]
    if not reached:
        return Held(ap=0.0, correlation=0.0, sure=0.0, base=0.0)
    predicted = seen.columns.of(rule.predicate).astype(np.float64)
    _, ap, r = quality(predicted, seen.y, np.stack(reached))
    sure = _beats_chance(predicted, reached[len(reached) // 2], groups, seed=seed)
    return Held(ap=ap, correlation=r, sure=sure, base=float(reached[-1].mean()), strong=int(reached[-1].sum()))


def _beats_chance(predicted: Floats, high: NDArray[np.bool_], groups: NDArray[np.str_], *, seed: int) -> float:
    """Share of resamples of whole groups in which the average precision exceeds 1.3 x the share of positives.

    Resamples without any positive say nothing and are left out.
    """
    counts = _drawn(tuple(groups.tolist()), seed)
    share = (counts @ high) / counts.sum(axis=1)
    wins = (share > 0) & (resampled_precisions(predicted, high, counts) > 1.3 * share)
    return int(wins.sum()) / max(int((share > 0).sum()), 1)


@lru_cache(maxsize=8)
def _drawn(groups: tuple[str, ...], seed: int) -> Floats:
    """How often each image is in each resample of whole groups, ``[resample, image]``; the same for all units."""
    rng = np.random.default_rng(seed)
    names, index = np.unique(np.array(groups), return_inverse=True)
    drawn = [rng.integers(len(names), size=len(names)) for _ in range(_RESAMPLES)]
    counts = np.stack([np.bincount(d, minlength=len(names))[index] for d in drawn]).astype(np.float64)
    counts.flags.writeable = False
    return counts


def like_noise(table: ImageTable, target: Target, *, seed: int) -> bool:
    """Whether nothing goes with the activation better than with the same values dealt out at random.

    Single conditions are asked first, then pairs of them.
    """
    rng = np.random.default_rng(seed)
    order = np.stack([np.arange(len(target.y)), *(rng.permutation(len(target.y)) for _ in range(_SHUFFLES))])
    single = best_gains(table, target.y[order], target.weight[order])
    if single[0] > single[1:].max():
        return False
    found = best_pair_gain(table, target.y, target.weight)
    return any(best_pair_gain(table, target.y[some], target.weight[some]) >= found for some in order[1:])
