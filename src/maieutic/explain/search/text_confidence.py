"""How likely a text label is to be right, from what its search saw: a fixed logistic map of a few readings.

Right means what the planted bench calls recovered: held-out and edited texts are ranked as the truth ranks them. The
coefficients say how often that was so on planted units of seeds that no figure is reported of; on real units, which are
never so crisp, they are an extrapolation, and a label that is not strong on the select split never gets far.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: intercept, and weights of ``Evidence.readings``: a logistic fit to 155 labels of planted units of seed 103 (93 with
#: experiments, 62 without)
_COEFFICIENTS = (-2.4, 0.0, 1.2, 2.6, 2.6, 0.2, -1.8)
#: never quite sure either way; and never surer than the label is surely strong, plus this
_LEAST, _MOST, _SLACK = 0.02, 0.98, 0.1
#: words of a long list
LONG = 12
#: nor is a long list: of an untrained network, too, every unit answers to some words
_LISTED = 0.75


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is known of a finished label.

    Attributes:
        explained: share of the discover variance that is not noise which it accounts for, 0 to 1.
        select: correlation on the select split as a share of what noise allows, 0 to 1.
        surely: the same at the lower end of its 95 % interval.
        belief: product of the beliefs in what experiments chose, 0 to 1; ``None`` without experiments.
        foretold: share of measurements that came as the standing hypotheses say; ``None`` without experiments.
        table: whether the label rests on a table of graded words and phrases.
        listed: whether it names more words than a kind of thing would (``LONG``).
    """

    explained: float
    select: float
    surely: float
    belief: float | None
    foretold: float | None
    table: bool
    listed: bool = False

    @property
    def readings(self) -> tuple[float, ...]:
        """As the map takes them; without experiments nothing is known of causes."""
        return (
            self.explained,
            self.select,
            self.surely,
            0.0 if self.belief is None else self.belief,
            0.0 if self.foretold is None else self.foretold,
            float(self.table),
        )


def confidence_of(evidence: Evidence) -> float:
    """Probability that the label is right, 0.02 to 0.98."""
    intercept, *weights = _COEFFICIENTS
    score = intercept + float(np.dot(weights, evidence.readings))
    # long lists of words pass experiments on untrained networks too
    most = min(_LISTED if evidence.table or evidence.listed else _MOST, max(_SLACK + evidence.surely, _LEAST))
    return round(float(np.clip(1.0 / (1.0 + np.exp(-score)), _LEAST, most)), 3)
