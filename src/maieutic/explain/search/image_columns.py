"""Values of predicates over a fixed list of images in single precision, for a search that compares very many of them.

What a label finally predicts is worked out in double precision (`leaves_image`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from maieutic.explain.leaves_image import Floats, Leaves
from maieutic.explain.predicates.base import And, Constant, Not, Or, Predicate, Scaled
from maieutic.explain.predicates.image import Blend
from maieutic.explain.views_image import ImageView


class Columns:
    """Columns over some images."""

    def __init__(self, views: Sequence[ImageView]) -> None:
        self.views = tuple(views)
        self._leaves = Leaves(self.views, dtype=np.float32)

    @property
    def features(self) -> Floats:
        """Visual features ``[image, feature]``."""
        return self._leaves.features

    @property
    def presence(self) -> dict[str, NDArray[np.bool_]]:
        """Which images show a concept."""
        return self._leaves.presence

    def shows(self, concept: str) -> NDArray[np.bool_]:
        """Which images show the concept; those of which nothing is known must be asked one by one."""
        return self._leaves.shows(concept)

    def of(self, predicate: Predicate) -> NDArray[np.float32]:
        """``[image]`` in [0, 1]: what ``predicate.evaluate`` gives on each of the images."""
        if isinstance(predicate, And):
            return np.minimum.reduce([self.of(p) for p in predicate.parts])
        if isinstance(predicate, Or):
            return np.maximum.reduce([self.of(p) for p in predicate.parts])
        if isinstance(predicate, Not):
            return np.float32(1.0) - self.of(predicate.part)
        if isinstance(predicate, Scaled):
            return np.float32(predicate.strength) * self.of(predicate.part)
        if isinstance(predicate, Constant):
            return np.full(len(self.views), predicate.value, dtype=np.float32)
        if isinstance(predicate, Blend):
            total = np.full(len(self.views), predicate.base, dtype=np.float64)
            for strength, part in zip(predicate.strengths, predicate.parts, strict=True):
                total += strength * self.of(part)
            return np.clip(total, 0.0, 1.0).astype(np.float32)
        return self._leaves.of(predicate)
