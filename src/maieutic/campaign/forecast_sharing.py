"""How many of a campaign's measurements are made anew: stimuli that several units ask for pass through the model once.

Up to as many units as were sampled the expected number of different stimuli is known exactly (rarefaction: Hurlbert 1971,
equation 3, over units). Beyond, it is carried on as a power of the number of units (Heaps' law), whose exponent is what
doubling from a half of the sample to all of it gave; far beyond the sample that is an extrapolation. The sample is of those
sampled units that a simulated campaign sent through the stage: units that matter more share more.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharing:
    """What some units shared in one stage.

    Attributes:
        units: how many. asked: measurements a unit, repeated ones too.
        times: of each different stimulus, how many units asked for it, ``[stimulus]``.
        half: different stimuli of a random half of the units, the mean over some halves.
    """

    units: int
    asked: float
    times: Floats
    half: float

    @classmethod
    def of(cls, shown: Bools, asked: Floats, rng: np.random.Generator, *, halves: int = 1) -> Sharing:
        """From which unit asked for what, ``[unit, stimulus]``, and measurements of each, ``[unit]``."""
        n = len(shown)
        picks = [rng.choice(n, size=n // 2, replace=False) for _ in range(halves)]
        times = shown.sum(axis=0)
        return cls(
            units=n, asked=float(asked.mean()) if n else 0.0, times=times[times > 0].astype(np.float64),
            half=float(np.mean([shown[p].any(axis=0).sum() for p in picks])),
        )  # fmt: skip

    def different(self, units: float) -> float:
        """Different stimuli that so many units (a fraction too) are expected to ask for."""
        if units <= 1.0:
            return units * float(self.times.sum()) / self.units
        if units <= self.units:
            return _rarefied(self.times, self.units, units)
        whole, half = float(len(self.times)), self.half * self.units / (2 * (self.units // 2) or 1)
        exponent = float(np.clip(np.log2(whole / half), 0.0, 1.0)) if half else 1.0
        return whole * (units / self.units) ** exponent

    def fresh(self, units: float, *, banks: int) -> float:
        """Share of what so many units ask for that is measured anew, when they are spread over so many banks."""
        if not self.asked or units <= 0:
            return 1.0
        each = units / banks
        return min(1.0, self.different(each) / (self.asked * each))


def _rarefied(times: Floats, n: int, k: float) -> float:
    """Sum over stimuli of the chance that k of n units hold one that asked for it: 1 - C(n - t, k) / C(n, k)."""
    left = np.maximum(n - times, 0.0)
    possible = left >= k
    gone = np.zeros(len(times))
    rest = left[possible]
    gone[possible] = np.exp(gammaln(rest + 1) - gammaln(rest - k + 1) - gammaln(n + 1) + gammaln(n - k + 1))
    return float((1.0 - gone).sum())
