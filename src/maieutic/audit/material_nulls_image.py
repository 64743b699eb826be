"""Image units that mean nothing, as rules of a planted subject: those of an untrained network, and shuffled ones.

What this module does not do: train anything; an untrained unit's value follows from its seed and the pixels alone.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from maieutic.subjects.planted import Rule, Seen, Truth

#: side of the patches that the untrained network sees, and its channels: two layers
_PATCH, _CHANNELS = 8, 24


@dataclass(frozen=True)
class UntrainedPicture(Rule):
    """A channel of a network with random weights: patches, a ReLU, neighbouring patches mixed, a ReLU, the mean.

    ``unit``: which channel. Scaled such that a strong activation is about 1.
    """

    seed: int
    unit: int

    def truth(self, view: Seen) -> Truth:
        first, second = _weights(self.seed)
        n = view.pixels.shape[0] // _PATCH
        patches = view.pixels.reshape(n, _PATCH, n, _PATCH, 3).transpose(0, 2, 1, 3, 4).reshape(n, n, -1)
        x = np.maximum((patches - patches.mean()) @ first, 0.0)
        x = x + np.roll(x, 1, axis=0) + np.roll(x, 1, axis=1)
        return np.array([float(np.maximum(x @ second[:, self.unit % _CHANNELS], 0.0).mean())])


@dataclass(frozen=True)
class ShuffledPicture(Rule):
    """One of the values that another unit has somewhere, chosen by a hash of the pixels."""

    values: tuple[float, ...]
    seed: int

    def truth(self, view: Seen) -> Truth:
        digest = hashlib.sha256(f"{self.seed}|".encode() + view.pixels.tobytes()).digest()
        return np.array([self.values[int.from_bytes(digest[:8], "big") % len(self.values)]])


@lru_cache(maxsize=4)
def _weights(seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    rng = np.random.default_rng([seed, 73])
    size = 3 * _PATCH * _PATCH
    return rng.standard_normal((size, _CHANNELS)) / np.sqrt(size), rng.standard_normal((_CHANNELS, _CHANNELS))
