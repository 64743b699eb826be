"""Yes or no: the arithmetic of detection and fuzzing.

Balanced accuracy is (share of active items said to fit + share of the others said not to) / 2, 0 to 1; chance, and what
any constant answer gets, is 0.5. Accuracy beside it counts answered items alike (a constant gets the larger share of the
two kinds): times ``<name>.answered`` it is the accuracy over everything asked. AUROC ranks items by the probability of
"fits", where the provider gives log-probabilities for nine in ten or more; chance 0.5.

Intervals: 95 %, whole test documents or image groups drawn with replacement.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from maieutic.llm import Answer
from maieutic.readings import Estimate, FloatArray, Reading, cluster_weights, from_sums, ranking
from maieutic.score.judged import prompts
from maieutic.score.judged.asking import Asked, Told, Written, chance_of_one

#: share of the items that must have a probability; those without are left out of the ranking
LEAST_KNOWN = 0.9
_VALUES = re.compile(r'"([A-J])"\s*:\s*([01])')


@dataclass(frozen=True, kw_only=True)
class YesNo:
    """A task of verdicts; subclasses say which items are asked and in which words.

    Attributes:
        against: kinds of items that do not fit, for the headline.
        columns_against: further columns with the kinds of theirs.
    """

    per_prompt: int = 5
    blank: ClassVar[bool] = True
    against: ClassVar[tuple[str, ...]] = ()
    columns_against: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    name: ClassVar[str] = ""

    @property
    def kinds(self) -> tuple[str, ...]:
        return ("active", *self.against)

    @property
    def beside(self) -> tuple[str, ...]:
        return ("accuracy", "auroc", *self.columns_against)

    def parse(self, answer: Answer, n: int, /) -> tuple[list[Any], list[float | None]]:
        """Verdicts by letter, with their probabilities where the provider gave alternatives."""
        written = Written.of(answer)
        chances = {m[1]: written.at(m.start(2)) for m in _VALUES.finditer(written.text)}
        known = [chance_of_one(chances.get(letter, {})) for letter in prompts.LETTERS[:n]]
        return list(prompts.verdicts(answer.parsed, n)), known

    def estimate(self, got: Asked, *, groups: int, seed: int) -> Estimate | str:
        """Balanced accuracy, or why there is none."""
        return self._balanced(got, self.against, groups=groups, seed=seed)

    def _balanced(self, got: Asked, against: Sequence[str], *, groups: int, seed: int) -> Estimate | str:
        kinds = ("active", *against)
        return got.unusable(*kinds) or balanced(got.among(*kinds), groups=groups, seed=seed)

    def columns(self, got: Asked, *, groups: int, seed: int, details: Mapping[str, Any]) -> dict[str, Reading]:
        """Balanced accuracy, accuracy, AUROC, and balanced accuracy against each sort of others."""
        told = got.among(*self.kinds)
        details, n = {**details, "chance": 0.5}, len(told)
        headline = self.estimate(got, groups=groups, seed=seed)
        if isinstance(headline, str):
            plain, ranked = headline, headline
        else:
            plain, ranked = accuracy(told, groups=groups, seed=seed), auroc(told, groups=groups, seed=seed)
        found = {self.name: headline, f"{self.name}.accuracy": plain, f"{self.name}.auroc": ranked}
        readings = {name: reading(name, e, n=n, details=details) for name, e in found.items()}
        for column, others in self.columns_against.items():
            name = f"{self.name}.{column}"
            some = self._balanced(got, others, groups=groups, seed=seed)
            readings[name] = reading(name, some, n=len(got.among("active", *others)), details=details)
        return readings


def reading(name: str, estimate: Estimate | str, *, n: int, details: Mapping[str, Any]) -> Reading:
    """The estimate as a reading; a reason as an unmeasured one."""
    if isinstance(estimate, str):
        return Reading.unmeasured(name, estimate, n=n, details=details)
    return estimate.reading(name, n=n, details=details)


def _outcomes(told: Sequence[Told]) -> tuple[FloatArray, NDArray[np.int64]]:
    """``[item, (hit, active, rightly refused, other)]``, and the cluster of each item."""
    truth = np.array([t.item.truth for t in told], dtype=np.float64)
    said = np.array([bool(t.said) for t in told], dtype=np.float64)
    table = np.stack([truth * said, truth, (1 - truth) * (1 - said), 1 - truth], axis=1)
    return table, np.array([t.item.window.cluster for t in told], dtype=np.int64)


def balanced(told: Sequence[Told], *, groups: int, seed: int = 0) -> Estimate:
    """Balanced accuracy over answered items, 0 to 1; chance 0.5."""
    table, clusters = _outcomes(told)
    weights = cluster_weights(groups, seed=seed)
    return from_sums(
        table, lambda s: 0.5 * (s[..., 0] / s[..., 1] + s[..., 2] / s[..., 3]), clusters=clusters, weights=weights
    )


def accuracy(told: Sequence[Told], *, groups: int, seed: int = 0) -> Estimate:
    """Share of answered items judged rightly, 0 to 1."""
    table, clusters = _outcomes(told)
    weights = cluster_weights(groups, seed=seed)
    return from_sums(
        table, lambda s: (s[..., 0] + s[..., 2]) / (s[..., 1] + s[..., 3]), clusters=clusters, weights=weights
    )


def auroc(told: Sequence[Told], *, groups: int, seed: int = 0) -> Estimate | str:
    """Chance that an active item is thought likelier to fit than another, 0 to 1; or why it is not known."""
    known = [t for t in told if t.probability is not None]
    if len(known) < LEAST_KNOWN * len(told):
        return f"the judge's provider gave probabilities for {len(known)} of {len(told)} items"
    table, clusters = _outcomes(known)
    chances = np.array([t.probability for t in known], dtype=np.float64)
    weights = cluster_weights(groups, seed=seed)
    return ranking(table[:, 1] > 0, chances, clusters=clusters, weights=weights).auroc
