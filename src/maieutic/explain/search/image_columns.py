"""Values of predicates over a fixed list of images, worked out once a condition and shared by all units.

A leaf (a concept, a place, a colour ramp) is read image by image, or for visual features in one go; everything made of
leaves (and, or, not, blends) is arithmetic on their columns. It knows no activation.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from maieutic.explain.predicates.base import And, Constant, Not, Or, Predicate, Scaled
from maieutic.explain.predicates.image import Blend, Colour, Relation, Texture
from maieutic.explain.predicates.image_pixels import INDEX, SHAPES
from maieutic.explain.views_image import ImageView

Floats = NDArray[np.float64]


class Columns:
    """Columns over some images."""

    def __init__(self, views: Sequence[ImageView]) -> None:
        self.views = tuple(views)
        self._leaves: dict[Predicate, NDArray[np.float32]] = {}

    @cached_property
    def features(self) -> Floats:
        """Visual features ``[image, feature]``."""
        return np.stack([v.pixels() for v in self.views]).astype(np.float64)

    @cached_property
    def presence(self) -> dict[str, NDArray[np.bool_]]:
        """Which images show a concept."""
        found: dict[str, NDArray[np.bool_]] = {}
        for i, view in enumerate(self.views):
            for concept, share in (view.shares or {}).items():
                if share > 0:
                    found.setdefault(concept, np.zeros(len(self.views), dtype=bool))[i] = True
        return found

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
        if predicate not in self._leaves:
            self._leaves[predicate] = self._leaf(predicate)
        return self._leaves[predicate]

    def _leaf(self, predicate: Predicate) -> NDArray[np.float32]:
        if isinstance(predicate, Colour | Texture):
            name = predicate.name if isinstance(predicate, Colour) else predicate.feature
            values = self.features[:, INDEX[name if name in SHAPES else f"{name}@{predicate.where}"]]
            ramp = (values - predicate.low) / (predicate.high - predicate.low)
            return np.clip(ramp, 0.0, 1.0).astype(np.float32)
        rows: Sequence[int] = range(len(self.views))
        if isinstance(predicate, Relation):
            rows = np.flatnonzero(self.shows(predicate.a) & self.shows(predicate.b)).tolist()
        elif concept := getattr(predicate, "concept", ""):
            rows = np.flatnonzero(self.shows(concept)).tolist()
        column = np.zeros(len(self.views), dtype=np.float32)
        for i in rows:
            column[i] = predicate.evaluate(self.views[i])[0]
        return column

    @cached_property
    def _annotated(self) -> bool:
        return all(v.shares is not None for v in self.views)

    def shows(self, concept: str) -> NDArray[np.bool_]:
        """Which images show the concept; those of which nothing is known must be asked one by one."""
        if not self._annotated:
            return np.ones(len(self.views), dtype=bool)
        return self.presence.get(concept, np.zeros(len(self.views), dtype=bool))
