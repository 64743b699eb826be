"""The law that planted networks learn: outputs as a mixture of a background and what each active concept raises.

With ``m = min(1, sum s)`` over the concepts that are used, strengths ``s`` in [0, 1]:

    p = (1 - PULL m) background + PULL m sum_k (s_k / sum s) raised_k

It knows neither texts nor pictures, and no torch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
#: share of the probability that a fully active concept decides
PULL = 0.8


@dataclass(frozen=True, eq=False)
class Law:
    """From concept strengths to output probabilities.

    Attributes:
        background: probabilities where no concept is active, ``[output]``.
        raised: probabilities under each concept alone at full pull, ``[concept, output]``; zeros for an idle concept.
    """

    background: Floats
    raised: Floats

    @classmethod
    def of(cls, background: Floats, outputs: tuple[tuple[int, ...], ...]) -> Law:
        """The law that raises the given outputs of each concept evenly."""
        raised = np.zeros((len(outputs), len(background)))
        for row, chosen in zip(raised, outputs, strict=True):
            row[list(chosen)] = 1.0 / max(len(chosen), 1)
        return cls(background, raised)

    def __call__(self, strengths: Floats) -> Floats:
        """Probabilities ``[..., output]`` of strengths ``[..., concept]``."""
        used = strengths * self.raised.any(axis=1)
        total = used.sum(axis=-1, keepdims=True)
        share = PULL * np.minimum(total, 1.0)
        return (1 - share) * self.background + (share / np.maximum(total, 1e-12) * used) @ self.raised
