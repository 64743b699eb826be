"""Differences between arms with the seed as the replicate: paired, with intervals, corrected for how many there are.

Neurons of one model are no independent samples, so nothing here counts them. A seed decides the start and the order of the
documents of every arm alike, so arms are compared seed by seed. Interval and p: Student's t over the paired differences; with
two seeds there is an interval and it is wide, with one there is none. What this module does not do: match losses
(`matching`), or answer hypotheses (`hypotheses`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from maieutic.forensics.sequential import holm
from maieutic.readings import Reading
from maieutic.studies.regularization.config import BASELINE
from maieutic.studies.regularization.measured import Measured, Table

Matched = Literal["tokens", "loss", "recall", "loss of its sweep", "recall of its sweep"]
FloatArray = NDArray[np.float64]
ALPHA = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """An arm beside another, in one measure.

    Attributes:
        arm, baseline: names. measure, where: as in `Row`; ``where`` is empty for the mean over places.
        matched: what is alike on both sides: tokens (and parameters), validation loss, or recall.
        reading: mean paired difference, arm minus baseline, with a t interval; n seeds.
        p: two-sided, ``None`` with fewer than two seeds. corrected: by Holm over the family it was compared in.
        pairs: (seed, value of the arm, value of the baseline).
        better: 1 where more is better, -1 where less is, 0 where neither.
    """

    arm: str
    measure: str
    reading: Reading
    baseline: str = BASELINE
    where: str = ""
    matched: Matched = "tokens"
    p: float | None = None
    corrected: float | None = None
    pairs: tuple[tuple[int, float, float], ...] = ()
    better: int = 1

    @property
    def verdict(self) -> Literal["better", "worse", "more", "less", "no difference seen", "unmeasured"]:
        """By the corrected p (the plain one where none was corrected)."""
        if self.reading.value is None:
            return "unmeasured"
        p = self.corrected if self.corrected is not None else self.p
        if p is None or p > ALPHA or self.reading.value == 0:
            return "no difference seen"
        if self.better == 0:
            return "more" if self.reading.value > 0 else "less"
        return "better" if self.reading.value * self.better > 0 else "worse"

    def to_json(self) -> dict[str, Any]:
        return {
            "arm": self.arm, "baseline": self.baseline, "measure": self.measure, "where": self.where,
            "matched": self.matched, "p": self.p, "corrected": self.corrected, "verdict": self.verdict,
            "pairs": [list(p) for p in self.pairs], "better": self.better, "reading": self.reading.to_json(),
        }  # fmt: skip


def t_reading(name: str, values: Sequence[float]) -> tuple[Reading, float | None]:
    """Mean of some differences with Student's 95 % interval, and the two-sided p that their mean is 0.

    Example: differences 1, 2, 3: mean 2, standard error 1/sqrt(3) = 0.577, t(2 df, 97.5 %) = 4.303, so 2 +- 2.484.
    """
    from scipy import stats

    found = np.asarray(values, np.float64)
    n = len(found)
    if not n:
        return Reading.unmeasured(name, "no seed has it on both sides"), None
    mean = float(found.mean())
    if n == 1:
        return Reading(name=name, value=mean, n=1, details={"why": "one seed has no interval"}), None
    error = float(found.std(ddof=1)) / math.sqrt(n)
    if error == 0:
        return Reading(name=name, value=mean, low=mean, high=mean, n=n), 1.0 if mean == 0 else 0.0
    reach = float(stats.t.ppf(0.975, n - 1)) * error
    p = float(2 * stats.t.sf(abs(mean) / error, n - 1))
    return Reading(name=name, value=mean, low=mean - reach, high=mean + reach, n=n), p


def contrast(
    arm: str,
    measure: str,
    pairs: Mapping[int, tuple[float, float]],
    *,
    where: str = "",
    matched: Matched = "tokens",
    baseline: str = BASELINE,
    better: int = 1,
    why: str = "no seed has it on both sides",
) -> Contrast:
    """A contrast of values by seed: (the arm's, the baseline's)."""
    rows = tuple((seed, *pairs[seed]) for seed in sorted(pairs))
    reading, p = t_reading(measure, [own - base for _, own, base in rows])
    if reading.value is None:
        reading = Reading.unmeasured(measure, why)
    return Contrast(
        arm=arm, measure=measure, reading=reading, baseline=baseline, where=where, matched=matched, p=p, pairs=rows,
        better=better,
    )  # fmt: skip


def compare(table: Table, arm: str, measure: str, *, where: str | None = None) -> Contrast:
    """An arm beside the baseline at equal tokens and (but for widened arms) equal parameters."""
    return beside(table, measure, table.of(arm), table.of(BASELINE), arm=arm, where=where)


def null_contrast(table: Table, measure: str, *, where: str | None = None) -> Contrast:
    """The baseline at further seeds beside itself: what two arms look like that differ in nothing.

    The seeds of a pair differ here, so the pairing takes nothing away: intervals are wider than those of real arms.
    """
    nulls, own = table.of(BASELINE, purpose="null"), table.of(BASELINE)
    aligned = {seed: nulls[other] for seed, other in zip(sorted(own), sorted(nulls), strict=False)}
    return beside(table, measure, aligned, own, arm=f"{BASELINE} again", where=where)


def beside(
    table: Table,
    measure: str,
    own: Mapping[int, Measured],
    base: Mapping[int, Measured],
    *,
    arm: str,
    where: str | None,
) -> Contrast:
    """Models of an arm beside those of the baseline, by seed."""
    pairs: dict[int, tuple[float, float]] = {}
    why = "no seed has it on both sides"
    for seed in sorted(own.keys() & base.keys()):
        mine, theirs = own[seed].value(measure, where), base[seed].value(measure, where)
        if mine is None or theirs is None:
            side = own[seed] if mine is None else base[seed]
            why = f"{side.variant.name}: {side.reason(measure, where)}"
        else:
            pairs[seed] = (mine, theirs)
    return contrast(arm, measure, pairs, where=where or "", better=table.better(measure), why=why)


def corrected(contrasts: Sequence[Contrast]) -> tuple[Contrast, ...]:
    """The contrasts with Holm's p over all of them that have one: a family of comparisons that are read together."""
    able = [i for i, c in enumerate(contrasts) if c.p is not None]
    by = dict(zip(able, holm([contrasts[i].p or 0.0 for i in able]), strict=True))
    return tuple(replace(c, corrected=by.get(i)) for i, c in enumerate(contrasts))


def hierarchical(
    values: Mapping[int, Mapping[str, FloatArray]], *, resamples: int = 1000, seed: int = 0
) -> tuple[float, float, float]:
    """Mean of something over units, with an interval that knows that units of a model and seeds of an arm hang together.

    Args:
        values: by seed and place, ``[unit]``. resamples, seed: of the bootstrap.

    Returns:
        mean over seeds of the mean over places of the mean over units; and its 95 % percentile interval over resamples that
        draw seeds, then places, then units, each with replacement.
    """
    seeds = sorted(values)
    rng = np.random.default_rng(seed)
    mean = float(np.mean([np.mean([v.mean() for v in values[s].values()]) for s in seeds]))
    drawn: list[float] = []
    for _ in range(resamples):
        models: list[float] = []
        for s in rng.choice(len(seeds), len(seeds)):
            places = list(values[seeds[int(s)]].values())
            chosen = [places[int(i)] for i in rng.choice(len(places), len(places))]
            models.append(float(np.mean([v[rng.integers(0, len(v), len(v))].mean() for v in chosen])))
        drawn.append(float(np.mean(models)))
    low, high = np.quantile(drawn, [0.025, 0.975])
    return mean, float(low), float(high)
