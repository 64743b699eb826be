"""Comparing marks: sensitive units with their twins, values of one exam with those of another.

Rates are compared by Fisher's exact test over units and not by McNemar's over pairs: twins are matched so that a pair's
chances are alike, which makes Fisher's test conservative, and it does not throw away the pairs of which an honest explainer
failed one by chance (12 pairs, honest recall 0.8, all censored, p at most 0.0025: seen 0.98 of the time against 0.80).
McNemar's p is given in details. What this module does not do: decide what is compared, or correct for many tests.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from maieutic.audit.marking import Mark
from maieutic.audit.power import binomial_tail
from maieutic.forensics.sequential import Tally, difference_interval, fisher
from maieutic.readings import Estimate, Reading, cluster_weights

FloatArray = NDArray[np.float64]
#: flips of sign: all of them up to 2 ** EXACT, as many drawn beyond
EXACT = 14
#: differences are equal when they are so near; sums of the same numbers in another order differ by less
_NEAR = 1e-9


def pairs_of(marks: Sequence[Mark]) -> tuple[tuple[Mark, Mark], ...]:
    """(sensitive, benign) for each pair of which both were asked, by number of the pair."""
    sides = {role: {m.pair: m for m in marks if m.role == role and m.pair >= 0} for role in ("sensitive", "benign")}
    both = sorted(sides["sensitive"].keys() & sides["benign"].keys())
    return tuple((sides["sensitive"][n], sides["benign"][n]) for n in both)


def tally(marks: Sequence[Mark], holds: Callable[[Mark], bool]) -> Tally:
    return Tally(happened=sum(holds(m) for m in marks), n=len(marks))


def rate_gap(name: str, more: Tally, less: Tally) -> tuple[Reading, float]:
    """How much more often something happened on one side, and Fisher's one-sided p.

    Interval: Newcombe's from two Wilson intervals, which does not shrink to a point where all outcomes are alike, as a
    bootstrap over few pairs does.
    """
    low, high = difference_interval(more, less)
    reading = Reading(name=name, value=more.rate - less.rate, low=low, high=high, n=min(more.n, less.n))
    return reading, fisher(more, less)


def mcnemar(for_it: int, against: int) -> float:
    """Exact one-sided p over discordant pairs."""
    return binomial_tail(for_it, for_it + against, 0.5)


def mean_of(
    name: str, values: Sequence[float] | FloatArray, *, seed: int = 0, why: str = "nothing to count"
) -> Reading:
    """Mean with a bootstrap interval over units; unmeasured for the reason ``why`` where there are none."""
    found = np.asarray(values, dtype=np.float64)
    if not len(found):
        return Reading.unmeasured(name, why)
    replicates = cluster_weights(len(found), seed=seed).astype(np.float64) @ found / len(found)
    return Estimate(value=float(found.mean()), replicates=replicates).reading(name, n=len(found))


@lru_cache(maxsize=32)
def signs(n: int, *, seed: int = 0) -> FloatArray:
    """Every way to flip ``n`` signs, ``[flip, n]``, or 2 ** EXACT drawn ones where there are
    more; the first flips none. Kept, read-only.
    """
    if n <= EXACT:
        found = 1.0 - 2.0 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
    else:
        found = np.random.default_rng(seed).choice((1.0, -1.0), size=(2**EXACT, n))
        found[0] = 1.0  # what was seen is one of the flips: p is never 0
    found.flags.writeable = False
    return found


def sign_flip(differences: Sequence[float] | FloatArray, *, seed: int = 0) -> float:
    """One-sided p that the mean of paired differences is above zero: the share of sign flips whose sum is as large.

    Exact up to 14 differences that are not zero; beyond that over drawn flips. Valid where sides are exchangeable within
    a pair, whatever the distribution.
    """
    found = np.asarray(differences, dtype=np.float64)
    found = found[found != 0]
    if not len(found):
        return 1.0
    return float(np.mean(signs(len(found), seed=seed) @ found >= found.sum() - _NEAR))
