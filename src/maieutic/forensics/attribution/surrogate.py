"""A sparse linear surrogate of the model's answer to random masks: ContextCite (Cohen-Wang et al. 2024, arXiv 2409.00729).

Parts are kept at random (each with probability 0.5), the value of each mask is measured, and a lasso is fitted to the masks,
standardised, as in the paper: penalty 0.01, 64 masks. Weights are in units of the value. It costs as many values as masks,
however many parts there are, and sees each part beside many others, so redundant parts share their weight. It cannot tell
"both are needed" from "either is enough".

The lasso is solved by coordinate descent; values are checked against scikit-learn's in the tests.
"""

from __future__ import annotations

import numpy as np

from maieutic.forensics.attribution.scores import RESAMPLES, Attribution, unit_of, values
from maieutic.forensics.attribution.trials import Trials
from maieutic.readings import Estimate, FloatArray

PENALTY = 0.01
MASKS = 64


def surrogate(
    trials: Trials, *, masks: int = MASKS, keep: float = 0.5, penalty: float = PENALTY, samples: int = 1,
    seed: int = 0, resamples: int = RESAMPLES,
) -> Attribution:  # fmt: skip
    """Weights of the surrogate. Cost: ``masks`` values.

    Args:
        trials: what is measured.
        masks: random masks.
        keep: chance of each part to be kept.
        penalty: of the lasso, in units of the value.
        samples: of each mask, in mode ``rate``.
        seed: of the masks.
        resamples: fits to resampled masks, behind the intervals; 0: no intervals.
    """
    before = trials.spent
    drawn = np.random.default_rng(seed).random((masks, len(trials.parts))) < keep
    kept = [frozenset(np.flatnonzero(row).tolist()) for row in drawn]
    y = values(trials, kept, samples=samples)
    x = drawn.astype(np.float64)
    weights = lasso(x, y, penalty=penalty)
    pick = np.random.default_rng(seed + 1).integers(0, masks, size=(resamples, masks))
    refits = np.stack([lasso(x[p], y[p], penalty=penalty) for p in pick]) if resamples else np.zeros((0, len(weights)))
    effects = tuple(
        Estimate(value=float(weights[i]), replicates=refits[:, i]).reading(f"effect.{p.id}", n=masks)
        for i, p in enumerate(trials.parts)
    )
    return Attribution(
        method="surrogate", parts=trials.parts, effects=effects, unit=unit_of(trials), spent=trials.spent - before
    )


def lasso(x: FloatArray, y: FloatArray, *, penalty: float, rounds: int = 1000, tolerance: float = 1e-8) -> FloatArray:
    """Weights ``[feature]`` of the lasso with an intercept on standardised features, in units of the raw features.

    Minimises ``|y - b - z w|^2 / (2 n) + penalty |w|_1`` with z the standardised features, by cyclic coordinate descent.
    A feature that never changes has weight 0.

    Args:
        x: ``[row, feature]``.
        y: ``[row]``.
        penalty: see above.
        rounds: sweeps at most.
        tolerance: largest change of a weight at which to stop.
    """
    n = len(y)
    spread = x.std(axis=0)
    live = spread > 0
    z = (x[:, live] - x[:, live].mean(axis=0)) / spread[live]
    gram, target = z.T @ z / n, z.T @ (y - y.mean()) / n
    w = np.zeros(z.shape[1])
    slack = target.copy()  # target - gram @ w
    for _ in range(rounds):
        largest = 0.0
        for j in range(len(w)):
            wanted = slack[j] + w[j]  # the diagonal is 1
            new = np.sign(wanted) * max(abs(wanted) - penalty, 0.0)
            if new != w[j]:
                slack -= gram[:, j] * (new - w[j])
                largest = max(largest, abs(new - w[j]))
                w[j] = new
        if largest < tolerance:
            break
    found = np.zeros(x.shape[1])
    found[live] = w / spread[live]
    return found
