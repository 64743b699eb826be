"""How likely an image label is to be right, from what its search saw: a fixed logistic map of five readings.

Right means what the planted bench calls recovered: held-out and edited pictures are ranked as the truth ranks them. The
coefficients say how often that was so on planted units; on other units they are an extrapolation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: intercept and weights of ``Evidence.readings``: a logistic regression with weights held at 0 or above, of "recovered"
#: on 820 labels that the search gave to planted image units of seeds 105 to 108, half of them without experiments, and
#: on 9 labels of units of a real network that held-out images showed to be incomplete (each counted twice)
_COEFFICIENTS = (-8.25, 7.12, 0.25, 2.39, 0.0, 2.58)
#: never quite sure either way
_LEAST, _MOST = 0.02, 0.98
#: a label that no experiment has borne out: it fits, as some tone fits any unit, of an untrained network too
_UNTESTED = 0.75


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is known of a finished label.

    Attributes:
        fit: quality over discover (left-out groups) and select, 0 to 1.
        select: average precision on the select split, 0 to 1.
        belief: posterior of the rule among its rivals, 0 to 1.
        foretold: share of experiments with a clear prediction that came out so; ``None`` without experiments. It
            told nothing beside the belief, which the same experiments made, and has weight 0.
        support: strong select images behind it; ten and more count as ten.
    """

    fit: float
    select: float
    belief: float
    foretold: float | None
    support: int

    @property
    def readings(self) -> tuple[float, ...]:
        """As the map takes them; without experiments nothing is known of causes."""
        return (
            self.fit,
            self.select,
            self.belief,
            0.0 if self.foretold is None else self.foretold,
            min(self.support, 10) / 10,
        )


def confidence_of(evidence: Evidence) -> float:
    """Probability that the label is right, 0.02 to 0.98; at most 0.75 when no experiment made a clear prediction."""
    intercept, *weights = _COEFFICIENTS
    score = intercept + float(np.dot(weights, evidence.readings))
    most = _UNTESTED if evidence.foretold is None else _MOST
    return round(float(np.clip(1 / (1 + np.exp(-score)), _LEAST, most)), 3)
