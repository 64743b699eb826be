"""Scores of parts: leave one out, interactions of pairs, sampled Shapley values. The usual methods, for what they are worth.

All need the same thing, the value ``v`` of a set of kept parts: log-odds of a continuation (one pass), 0 or 1 (one greedy
sample) or the rate among ``r`` samples. *Leave one out*, ``v(all) - v(all without i)``, d + 1 values: 0 for every part of
a redundant cause. *Interaction*, ``v(all) - v(without i) - v(without j) + v(without both)``: negative where one takes the
other's place, positive where they need each other. *Shapley*, the mean of ``v(S and i) - v(S)`` over random orders (Castro
et al. 2009), d values an order; orders come in pairs, one the other backwards.

What this module does not do: name a cause. A score says how much, not which sets suffice: that is ``find_cause``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from maieutic.forensics.actor import Spent
from maieutic.forensics.attribution.trials import Trials
from maieutic.forensics.partition import Part
from maieutic.forensics.sequential import difference_interval, fisher, holm
from maieutic.readings import Estimate, FloatArray, Reading, cluster_weights

#: resamples behind intervals of scores
RESAMPLES = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribution:
    """A score for every part.

    Attributes:
        method: ``leave one out``, ``surrogate``, ``shapley``.
        parts: in the order of the transcript.
        effects: a reading a part, in log-odds or rates; positive: it pushes towards the act.
        unit: ``log-odds`` or ``rate``.
        spent: what it cost.
    """

    method: str
    parts: tuple[Part, ...]
    effects: tuple[Reading, ...]
    unit: str
    spent: Spent

    def strongest(self, k: int) -> tuple[Part, ...]:
        """The k parts of the largest effects, the largest first; ties in the order of the transcript."""
        order = sorted(range(len(self.parts)), key=lambda i: -(self.effects[i].value or 0.0))
        return tuple(self.parts[i] for i in order[:k])


def values(trials: Trials, kept: Sequence[frozenset[int]], *, samples: int = 1) -> FloatArray:
    """The value of each set, see above; ``samples`` of each in mode ``rate``."""
    if trials.mode == "score":
        return np.array(trials.scores(kept), dtype=np.float64)
    return np.array([trials.tally(k, samples).rate for k in kept], dtype=np.float64)


def unit_of(trials: Trials) -> str:
    """What values are measured in."""
    return "log-odds" if trials.mode == "score" else "rate"


def leave_one_out(trials: Trials, *, samples: int = 16) -> Attribution:
    """Remove each part alone. Cost: d + 1 passes, or times ``samples``.

    Intervals are Newcombe's for a difference of rates; ``details["p"]`` is Fisher's p-value after Holm. Values that are
    measured exactly have no interval.
    """
    before, every = trials.spent, trials.everything
    without = [every - {i} for i in range(len(trials.parts))]
    found = values(trials, [every, *without], samples=samples)
    effects = [
        Reading(name=f"effect.{p.id}", value=float(found[0] - v), n=1)
        for p, v in zip(trials.parts, found[1:], strict=True)
    ]
    if trials.mode == "rate":
        full, rest = trials.tally(every, samples), [trials.tally(w, samples) for w in without]
        p_values = holm([fisher(full, t) for t in rest])
        effects = [
            Reading(
                name=e.name, value=e.value, low=low, high=high, n=full.n + t.n, details={"p": p}
            )
            for e, t, p in zip(effects, rest, p_values, strict=True)
            for low, high in [difference_interval(full, t)]
        ]  # fmt: skip
    return Attribution(
        method="leave one out", parts=trials.parts, effects=tuple(effects), unit=unit_of(trials),
        spent=trials.spent - before,
    )  # fmt: skip


def interactions(trials: Trials, parts: Sequence[int], *, samples: int = 16) -> dict[tuple[int, int], Reading]:
    """The interaction of every two of some parts (numbers in ``trials.parts``). Cost: ``1 + k + k (k - 1) / 2`` values."""
    every = trials.everything
    alone = values(trials, [every, *(every - {i} for i in parts)], samples=samples)
    pairs = list(combinations(range(len(parts)), 2))
    both = values(trials, [every - {parts[a], parts[b]} for a, b in pairs], samples=samples)
    return {
        (parts[a], parts[b]): Reading(
            name=f"interaction.{trials.parts[parts[a]].id}.{trials.parts[parts[b]].id}",
            value=float(alone[0] - alone[a + 1] - alone[b + 1] + v), n=samples if trials.mode == "rate" else 1,
        )
        for (a, b), v in zip(pairs, both, strict=True)
    }  # fmt: skip


def shapley(trials: Trials, *, orders: int = 16, samples: int = 1, seed: int = 0) -> Attribution:
    """Sampled Shapley values. Cost: about ``orders x d`` values; equal sets are measured once.

    Args:
        trials: what is measured.
        orders: random orders, in pairs; the interval is a bootstrap over pairs.
        samples: of each set, in mode ``rate``.
        seed: of the orders.
    """
    before, d = trials.spent, len(trials.parts)
    draw, rows = np.random.default_rng(seed), list[FloatArray]()
    for _ in range(max(1, orders // 2)):
        order = draw.permutation(d)
        rows.append((_marginals(trials, order, samples) + _marginals(trials, order[::-1], samples)) / 2)
    table = np.stack(rows)
    weights = cluster_weights(len(rows), resamples=RESAMPLES, seed=seed).astype(np.float64)
    replicates = weights @ table / len(rows)
    effects = tuple(
        Estimate(value=float(table[:, i].mean()), replicates=replicates[:, i]).reading(f"effect.{p.id}", n=len(rows))
        for i, p in enumerate(trials.parts)
    )
    return Attribution(
        method="shapley", parts=trials.parts, effects=effects, unit=unit_of(trials), spent=trials.spent - before
    )


def _marginals(trials: Trials, order: NDArray[np.int64], samples: int) -> FloatArray:
    """What each part adds when parts come in this order."""
    kept = [frozenset(order[:i].tolist()) for i in range(len(order) + 1)]
    found = values(trials, kept, samples=samples)
    row = np.zeros(len(order))
    row[order] = np.diff(found)
    return row
