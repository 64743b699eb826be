"""How many of a campaign's measurements are made anew: stimuli that several units ask for pass through the model once.

Up to as many units as were sampled the expected number of different stimuli is known exactly (rarefaction: Hurlbert 1971,
equation 3, over units). Beyond, it is carried on as a power of the number of units (Heaps' law), whose exponent is what
doubling from a half of the sample to all of it gave. So far beyond the sample it is an extrapolation, and its interval is
only as wide as random halves differ.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharing:
    """What the units of a sample shared in one stage.

    Attributes:
        units: in the sample. asked: measurements by all of them, repeated ones too.
        times: of each different stimulus, how many units asked for it, ``[stimulus]``.
        halves: different stimuli of random halves of the units, ``[draw]``.
    """

    units: int
    asked: int
    times: Floats
    halves: Floats

    @classmethod
    def of(cls, shown: Sequence[Sequence[str]], asked: int, *, draws: int = 200, seed: int = 0) -> Sharing:
        """From the stimuli that each unit asked for, without repeats."""
        counts = Counter(s for one in shown for s in one)
        rng, half = np.random.default_rng(seed), len(shown) // 2
        halves = [
            len({s for i in rng.choice(len(shown), size=half, replace=False) for s in shown[i]}) for _ in range(draws)
        ]
        times = np.array(list(counts.values()), dtype=np.float64)
        return cls(units=len(shown), asked=asked, times=times, halves=np.array(halves, dtype=np.float64))

    def different(self, units: float, *, draw: int | None = None) -> float:
        """Different stimuli that so many units are expected to ask for.

        Args:
            units: may be a fraction.
            draw: by the doubling of this random half; ``None``: of the mean half.
        """
        if units <= 1.0:
            return units * float(self.times.sum()) / self.units
        if units <= self.units:
            return _rarefied(self.times, self.units, units)
        whole = float(len(self.times))
        half = float(self.halves.mean()) if draw is None else float(self.halves[draw % len(self.halves)])
        exponent = float(np.clip(np.log2(whole / half), 0.0, 1.0)) if half else 1.0
        return whole * (units / self.units) ** exponent

    def fresh(self, units: float, *, banks: int, draw: int | None = None) -> float:
        """Share of what so many units ask for that is measured anew, when they are spread over so many banks."""
        if not self.asked or units <= 0:
            return 1.0
        each = units / banks
        return min(1.0, self.different(each, draw=draw) / (self.asked / self.units * each))


def _rarefied(times: Floats, n: int, k: float) -> float:
    """Sum over stimuli of the chance that k of n units hold one that asked for it: 1 - C(n - t, k) / C(n, k)."""
    left = np.maximum(n - times, 0.0)
    possible = left >= k
    gone = np.zeros(len(times))
    rest = left[possible]
    gone[possible] = np.exp(gammaln(rest + 1) - gammaln(rest - k + 1) - gammaln(n + 1) + gammaln(n - k + 1))
    return float((1.0 - gone).sum())
