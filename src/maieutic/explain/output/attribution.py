"""Logit attribution: which tokens a unit's own write promotes and suppresses, beside random directions of its kind.

A token's score is how far the unit's write raises its logit; its z-score sets that against random directions, token by token,
since the logits of frequent and of odd tokens move with any direction. ``peak`` is the largest z-score over all tokens; that of
further random directions, which the means and spreads were not made from, says whether it is more than chance.

What this module does not do: effects through later layers, so what it says of early layers may differ from what steering
measures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from maieutic.readings import FloatArray
from maieutic.subjects.base import Subject, Unit

#: random directions that means and spreads are made from, and as many more for the null of the peak
RANDOM = 64


@dataclass(frozen=True, kw_only=True)
class Attribution:
    """What a unit's write does to the logits.

    Attributes:
        z: z-score of each output, ``[output]``.
        null: z-scores of further random directions, ``[direction, output]``.
        peak: the largest z-score. null_peaks: those of the random directions, ``[direction]``.
    """

    z: FloatArray
    null: FloatArray

    @property
    def peak(self) -> float:
        return float(self.z.max())

    @property
    def null_peaks(self) -> FloatArray:
        return self.null.max(axis=1)

    @property
    def stands_out(self) -> bool:
        """Whether the peak is above that of 95 % of random directions."""
        return self.peak > float(np.quantile(self.null_peaks, 0.95))


def attribute(
    subject: Subject, unit: Unit, *, contexts: Sequence[Any] = (), n: int = RANDOM, seed: int = 0
) -> Attribution:
    """Logit attribution of a unit.

    Args:
        subject: a language model.
        unit: of a site that writes into the residual stream.
        contexts: texts, for heads.
        n: random directions behind the z-scores, and again behind the null.
        seed: of the directions.

    Cost: no pass (heads: one a context); a product of ``2 n`` vectors with the unembedding.

    Raises:
        UserError: no unembedding, or the unit does not write into the residual stream.
    """
    from maieutic.subjects.writes import random_writes, readout_of, write_of

    readout = readout_of(subject)
    own = readout.logits(_sized(write_of(subject, unit, contexts=contexts)))
    random = readout.logits(_sized(random_writes(subject, unit, n=2 * n, seed=seed, contexts=contexts)))
    return Attribution(z=z_scores(own[None], random[:n])[0], null=z_scores(random[n:], random[:n]))


def _sized(written: FloatArray) -> FloatArray:
    """Vectors ``[..., hidden]`` with a root mean square of 1, so that directions are compared and not lengths."""
    return written / np.maximum(np.sqrt(np.mean(written**2, axis=-1, keepdims=True)), 1e-30)


def z_scores(scores: FloatArray, random: FloatArray) -> FloatArray:
    """Scores ``[row, output]`` against those of random directions ``[direction, output]``, output by output.

    Few directions give poor spreads, so the spread of an output is averaged (in squares) with the typical spread of all, which
    counts like 8 directions.
    """
    mean, squares = random.mean(axis=0), random.var(axis=0, ddof=1)
    n, typical = len(random), float(np.mean(random.var(axis=0, ddof=1)))
    spread = np.sqrt((n * squares + 8 * typical) / (n + 8))
    return (scores - mean) / np.maximum(spread, 1e-12)
