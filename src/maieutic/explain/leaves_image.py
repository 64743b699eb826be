"""Elementary image predicates over a fixed list of images, each worked out once, and predictions made of them.

A leaf (a concept, a place, a colour ramp) is read image by image, or for visual features in one go; whatever is made of
leaves (and, or, not, blends) is arithmetic on their columns. So the labels of many units, which name the same few hundred
concepts, cost one column a concept and not one evaluation an image and label. It knows no activation.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from maieutic.explain.predicates.base import And, Constant, Not, Or, Predicate, Scaled
from maieutic.explain.predicates.image import Blend, Colour, Relation, Texture
from maieutic.explain.predicates.image_pixels import INDEX, SHAPES

if TYPE_CHECKING:
    from maieutic.explain.views_image import ImageView

Floats = NDArray[np.float64]
#: columns kept; the oldest go first
KEEP = 16_384


class Leaves:
    """Columns of elementary predicates over some images.

    Args:
        views: the images.
        dtype: of the columns; they are worked out in float64.
        keep: columns kept, ``len(views)`` values each.
    """

    def __init__(self, views: Sequence[ImageView], *, dtype: type[np.floating[Any]], keep: int = KEEP) -> None:
        self.views, self._dtype, self._keep = tuple(views), dtype, keep
        self._columns: dict[Predicate, NDArray[Any]] = {}

    def __len__(self) -> int:
        return len(self.views)

    def of(self, leaf: Predicate) -> NDArray[Any]:
        """``[image]`` in [0, 1]: what ``leaf.evaluate`` gives on each of the images. Not to be written to."""
        column = self._columns.get(leaf)
        if column is None:
            column = self._columns[leaf] = self._read(leaf).astype(self._dtype)
            if len(self._columns) > self._keep:
                del self._columns[next(iter(self._columns))]
        return column

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

    def shows(self, concept: str) -> NDArray[np.bool_]:
        """Which images show the concept; those of which nothing is known must be asked one by one."""
        if not self._annotated:
            return np.ones(len(self.views), dtype=bool)
        return self.presence.get(concept, np.zeros(len(self.views), dtype=bool))

    @cached_property
    def _annotated(self) -> bool:
        return all(v.shares is not None for v in self.views)

    def _read(self, leaf: Predicate) -> Floats:
        if isinstance(leaf, Colour | Texture) and self.views:
            name = leaf.name if isinstance(leaf, Colour) else leaf.feature
            values = self.features[:, INDEX[name if name in SHAPES else f"{name}@{leaf.where}"]]
            return np.clip((values - leaf.low) / (leaf.high - leaf.low), 0.0, 1.0)
        rows: Sequence[int] = range(len(self.views))
        if isinstance(leaf, Relation):
            rows = np.flatnonzero(self.shows(leaf.a) & self.shows(leaf.b)).tolist()
        elif concept := getattr(leaf, "concept", ""):
            rows = np.flatnonzero(self.shows(concept)).tolist()
        column = np.zeros(len(self.views))
        for i in rows:
            column[i] = leaf.evaluate(self.views[i])[0]
        return column


def predicted(predicate: Predicate, leaves: Leaves) -> Floats:
    """``[image]``: what ``predicate.evaluate`` gives on each of the images, to the bit.

    Args:
        predicate: any.
        leaves: columns in float64.
    """
    if isinstance(predicate, And):
        return np.minimum.reduce([predicted(p, leaves) for p in predicate.parts])
    if isinstance(predicate, Or):
        return np.maximum.reduce([predicted(p, leaves) for p in predicate.parts])
    if isinstance(predicate, Not):
        return 1.0 - predicted(predicate.part, leaves)
    if isinstance(predicate, Scaled):
        return predicate.strength * predicted(predicate.part, leaves)
    if isinstance(predicate, Constant):
        return np.full(len(leaves), predicate.value, dtype=np.float64)
    if isinstance(predicate, Blend):
        parts = [s * predicted(p, leaves) for s, p in zip(predicate.strengths, predicate.parts, strict=True)]
        return np.clip(predicate.base + sum(parts, np.zeros(len(leaves))), 0.0, 1.0)
    return leaves.of(predicate)
