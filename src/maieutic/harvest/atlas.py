"""The Atlas: what one pass of a corpus through a subject leaves behind, and how explainers look at it.

Summaries and exemplars come from the ``discover`` split only. ``observed`` gives a unit's values over a whole split; a
scorer may ask for ``test``, the Lab never hands that out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from maieutic.errors import UsageError
from maieutic.harvest.summary import SAMPLE, SiteSummary
from maieutic.stimuli.base import Corpus, Split, Stimulus
from maieutic.subjects.base import Unit, Values

#: corpus index, position, value
_Row = tuple[int, int, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exemplar:
    """One place where a unit was read: a stimulus, a position in it, the value, and its rank among all positions.

    ``quantile`` is the share of a uniform sample of discover positions with a smaller value, 0 to 1.
    """

    stimulus: Stimulus
    position: int
    value: float
    quantile: float


@dataclass(frozen=True, slots=True)
class Observed:
    """A stimulus of the corpus with a unit's measured values: ``[position]`` (image: one)."""

    stimulus: Stimulus
    values: Values


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """Moments over all discover positions, in raw model units (times the unit's sign)."""

    n: int
    mean: float
    std: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Atlas:
    """One harvest.

    Attributes:
        subject: name of the subject.
        corpus: what was shown.
        sites: per site the mergeable summary (statistics, top and bottom exemplars, uniform sample).
        observe: gives the values of a unit over a split, from what the harvest kept or by measuring now.
        failed: stimuli that were left out (they did not load, or the subject could not read them), id -> why.
    """

    subject: str
    corpus: Corpus
    sites: Mapping[str, SiteSummary]
    observe: Callable[[Unit, Split], Sequence[Observed]]
    failed: Mapping[str, str] = field(default_factory=dict[str, str])

    def _summary(self, unit: Unit) -> SiteSummary:
        if unit.site not in self.sites:
            raise UsageError(f"{unit.site} was not harvested (have: {', '.join(self.sites)}): harvest it first")
        return self.sites[unit.site]

    def observed(self, unit: Unit, split: Split) -> Sequence[Observed]:
        """Measured values of the unit over every stimulus of a split that could be read."""
        return self.observe(unit, split)

    def moments(self, unit: Unit) -> Moments:
        """Moments of a neuron or channel over the discover split (directions: use ``sample``)."""
        s, i = self._summary(unit), unit.index
        assert i is not None, "moments are kept for indexed units"
        mean = float(s.total[i] / max(s.count, 1))
        std = float(np.sqrt(max(s.total_sq[i] / max(s.count, 1) - mean**2, 0.0)))
        low, high = sorted((unit.sign * float(s.minimum[i]), unit.sign * float(s.maximum[i])))
        return Moments(n=s.count, mean=unit.sign * mean, std=std, low=low, high=high)

    def sample(self, unit: Unit) -> NDArray[np.float32]:
        """The unit's values at the uniform sample of discover positions, ``[position]``."""
        rows = self._summary(unit).sample_values
        if unit.index is not None:
            return unit.sign * rows[:, unit.index]
        assert unit.vector is not None
        return unit.sign * (rows @ unit.vector + np.float32(unit.offset))

    def exemplars(self, unit: Unit, n: int = 20, *, where: Literal["top", "spectrum"] = "top") -> list[Exemplar]:
        """Exemplars from the discover split.

        Args:
            unit: an indexed unit of a harvested site, or a direction (then from the uniform sample only).
            n: how many at most.
            where: ``top``: highest first, one a stimulus. ``spectrum``: half from the top, half evenly over the
                quantiles of the uniform sample, highest first: the whole activation range. Where many sites share the
                sample, so that it is small, every other one of these is from the octaves below the unit's maximum.
        """
        s, sample = self._summary(unit), self.sample(unit)
        order = np.argsort(sample, kind="stable")
        ranked = sample[order]
        top = _top(s, unit) if unit.index is not None else []
        if where == "top" and top:
            rows = top[:n]
        else:
            share = n if not top else n - n // 2
            picks = np.unique(np.linspace(0, len(order) - 1, num=max(share, 1)).round().astype(int))[::-1]
            spread = [
                (int(s.sample_stimulus[order[p]]), int(s.sample_position[order[p]]), float(ranked[p])) for p in picks
            ]
            if len(order) < min(s.count, SAMPLE) and unit.index is not None:
                spread = _alternating(spread, _octaves(s, unit), share)
            rows = sorted({*top[: n // 2], *spread}, key=lambda r: (-r[2], r[0], r[1]))
        return [
            Exemplar(
                stimulus=self.corpus[stimulus],
                position=position,
                value=value,
                quantile=float(np.searchsorted(ranked, value, side="left") / max(len(ranked), 1)),
            )
            for stimulus, position, value in rows
        ]


def _octaves(s: SiteSummary, unit: Unit) -> list[_Row]:
    """(corpus index, position, value) of the stratified reservoirs of the unit's tail, each octave in its turn."""
    assert unit.index is not None
    found = [(a, p, unit.sign * v) for a, p, v in s.banded(unit.index, tail=unit.sign)]
    octave = [math.frexp(v)[1] for _, _, v in found]
    turn = [octave[:i].count(o) for i, o in enumerate(octave)]
    return [found[i] for i in sorted(range(len(found)), key=lambda i: (turn[i], -octave[i]))]


def _alternating(a: list[_Row], b: list[_Row], n: int) -> list[_Row]:
    """``n`` rows: some of the second, at most half, the others spread over the first."""
    taken = b[: n // 2]
    left = min(n - len(taken), len(a))
    return [*taken, *(a[i] for i in np.linspace(0, len(a) - 1, num=left).round().astype(int))]


def _top(s: SiteSummary, unit: Unit) -> list[_Row]:
    """(corpus index, position, value) of the stored extreme stimuli of the unit's tail, highest first."""
    i = unit.index
    value, stimulus, position = (
        (s.top_value, s.top_stimulus, s.top_position)
        if unit.sign > 0
        else (s.low_value, s.low_stimulus, s.low_position)
    )
    rows = zip(stimulus[i].tolist(), position[i].tolist(), (unit.sign * value[i]).tolist(), strict=True)
    return [r for r in rows if r[0] >= 0]
