"""How far people agree with labels, and with each other: shares and chance-corrected agreement, with intervals over units.

Kappa: Cohen, Educational and Psychological Measurement 20 (1960), 37. Alpha: Krippendorff, Content Analysis (2004), 11.3, for
nominal categories. Both are 1 for full agreement and 0 for what chance alone would give.

What this module does not do: say who is right. People who saw the machine's label agree with it more readily than people who
did not, so a share of confirmed labels is no measure of truth; scores on held-out stimuli are (see `human`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maieutic.readings import Estimate, FloatArray, Reading, cluster_weights, from_sums, share_reading
from maieutic.report.said import JUDGED, Said, latest, named

#: units that two people must both have judged before their agreement is given
LEAST = 5
#: pairs of people that are shown
_PAIRS = 12
RIGHT, WRONG = "right", "wrong"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two people with the units that both judged: how often they say the same, and Cohen's kappa."""

    a: str
    b: str
    units: int
    same: Reading
    kappa: Reading


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """What people say of one explainer's labels.

    Attributes:
        explainer: whose.
        people: how many judged.
        units: how many were judged. counts: judgements by verdict (each person's last word about a unit).
        confirmed: share of units whose label most of those who judged it confirmed; Wilson interval.
        alpha: Krippendorff's, of right against wrong, over all people.
        pairs: of people.
    """

    explainer: str
    people: int
    units: int
    counts: Mapping[str, int]
    confirmed: Reading
    alpha: Reading
    pairs: tuple[Pair, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "explainer": self.explainer, "people": self.people, "units": self.units, "counts": dict(self.counts),
            "confirmed": self.confirmed.to_json(), "alpha": self.alpha.to_json(),
            "pairs": [
                {"a": p.a, "b": p.b, "units": p.units, "same": p.same.to_json(), "kappa": p.kappa.to_json()}
                for p in self.pairs
            ],
        }  # fmt: skip


def agreements(said: Sequence[Said]) -> list[Agreement]:
    """One for each explainer that people spoke of, the most spoken of first."""
    last = latest(said)
    spoken = Counter(s.explainer for s in last if not s.blind)
    return [agreement_on(name, said) for name, _ in sorted(spoken.items(), key=lambda n: (-n[1], n[0]))]


def agreement_on(explainer: str, said: Sequence[Said]) -> Agreement:
    """How people judged an explainer's labels; what was said blind is about no label and does not count.

    Cost: some milliseconds a pair of people.
    """
    last = [s for s in latest(said) if s.explainer == explainer and not s.blind]
    names = named(said)
    judged: dict[str, dict[str, str]] = {}
    for s in last:
        if s.verdict in JUDGED:
            judged.setdefault(s.rater, {})[s.unit] = RIGHT if s.verdict == "confirm" else WRONG
    by_unit: dict[str, list[str]] = {}
    for own in judged.values():
        for unit, verdict in own.items():
            by_unit.setdefault(unit, []).append(verdict)
    return Agreement(
        explainer=explainer,
        people=len(judged),
        units=len(by_unit),
        counts=dict(sorted(Counter(s.verdict for s in last).items())),
        confirmed=share_reading("confirmed", [2 * v.count(RIGHT) > len(v) for v in by_unit.values()]),
        alpha=krippendorff_alpha(list(by_unit.values())),
        pairs=tuple(_pairs(judged, names)),
    )


def _pairs(judged: Mapping[str, Mapping[str, str]], names: Mapping[str, str]) -> Iterable[Pair]:
    shared = [(a, b, sorted(judged[a].keys() & judged[b].keys())) for a, b in combinations(judged, 2)]
    shared = sorted((p for p in shared if p[2]), key=lambda p: (-len(p[2]), p[0], p[1]))
    for a, b, units in shared[:_PAIRS]:
        one, other = [judged[a][u] for u in units], [judged[b][u] for u in units]
        yield Pair(
            a=names[a], b=names[b], units=len(units),
            same=share_reading("same", [x == y for x, y in zip(one, other, strict=True)]),
            kappa=cohens_kappa(one, other),
        )  # fmt: skip


def cohens_kappa(a: Sequence[str], b: Sequence[str], *, least: int = LEAST, seed: int = 0) -> Reading:
    """Kappa = (observed - expected agreement) / (1 - expected), expected from each rater's own shares; -1 to 1.

    Args:
        a, b: categories of the same units by two raters.
        least: units below which it is not given.
        seed: of the bootstrap over units.
    """
    assert len(a) == len(b), "two raters of the same units"
    name = "Cohen's kappa"
    if len(a) < least:
        return Reading.unmeasured(name, f"fewer than {least} units were judged by both", n=len(a))
    kinds = sorted({*a, *b})
    cells = np.zeros((len(a), len(kinds), len(kinds)))
    for n, (x, y) in enumerate(zip(a, b, strict=True)):
        cells[n, kinds.index(x), kinds.index(y)] = 1.0

    def kappa(sums: FloatArray) -> FloatArray:
        table = sums.reshape(*sums.shape[:-1], len(kinds), len(kinds))
        n = table.sum(axis=(-1, -2))
        observed = np.trace(table, axis1=-2, axis2=-1) / n
        expected = (table.sum(axis=-1) * table.sum(axis=-2)).sum(axis=-1) / n**2
        return _corrected(observed, expected)

    found = _over_units(cells.reshape(len(a), -1), kappa, seed=seed)
    return found.reading(name, n=len(a), undefined="both always say the same one thing: chance explains all of it")


def krippendorff_alpha(units: Sequence[Sequence[str]], *, least: int = LEAST, seed: int = 0) -> Reading:
    """Alpha = 1 - observed / expected disagreement, nominal; units with one judgement say nothing and are left out.

    Args:
        units: for each unit the categories that raters gave it, in any order.
        least: units with two judgements or more below which it is not given.
        seed: of the bootstrap over units.
    """
    name = "Krippendorff's alpha"
    paired = [u for u in units if len(u) > 1]
    if len(paired) < least:
        return Reading.unmeasured(name, f"fewer than {least} units were judged by two people or more", n=len(paired))
    kinds = sorted({k for u in paired for k in u})
    cells = np.stack([_coincidences(u, kinds) for u in paired])

    def alpha(sums: FloatArray) -> FloatArray:
        table = sums.reshape(*sums.shape[:-1], len(kinds), len(kinds))
        own = table.sum(axis=-1)
        n = own.sum(axis=-1)
        same = np.trace(table, axis1=-2, axis2=-1) / n
        by_chance = (own * (own - 1)).sum(axis=-1) / (n * (n - 1))
        return _corrected(same, by_chance)

    found = _over_units(cells.reshape(len(paired), -1), alpha, seed=seed)
    return found.reading(name, n=len(paired), undefined="everybody always says the same one thing: nothing varies")


def _coincidences(values: Sequence[str], kinds: Sequence[str]) -> FloatArray:
    """Ordered pairs of judgements of a unit by category, each counted 1 / (judgements - 1): they sum to the judgements."""
    counts = np.array([values.count(k) for k in kinds], dtype=np.float64)
    return (np.outer(counts, counts) - np.diag(counts)) / (len(values) - 1)


def _corrected(observed: FloatArray, expected: FloatArray) -> FloatArray:
    """Agreement beyond chance; undefined where chance gives full agreement."""
    room = 1 - expected
    return np.where(room > 1e-12, (observed - expected) / np.where(room > 1e-12, room, 1.0), np.nan)


def _over_units(columns: FloatArray, statistic: Any, *, seed: int) -> Estimate:
    clusters: NDArray[np.int64] = np.arange(len(columns), dtype=np.int64)
    return from_sums(columns, statistic, clusters=clusters, weights=cluster_weights(len(columns), seed=seed))
