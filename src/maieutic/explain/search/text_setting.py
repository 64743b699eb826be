"""What one explanation of a language unit works with: views, scaled targets and the shared matrix of conditions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maieutic.explain.predicates.base import Predicate
from maieutic.explain.search.text_build import matrix_of
from maieutic.explain.search.text_matrix import FeatureMatrix
from maieutic.explain.viewer_text import TextViewer, text_viewer
from maieutic.explain.views_text import TextView
from maieutic.explain.views_text_book import TextBook
from maieutic.harvest.atlas import Observed
from maieutic.lab import Lab

Array = NDArray[np.float64]

Cut = Callable[[NDArray[np.floating]], NDArray[np.bool_]]


@dataclass(frozen=True, kw_only=True)
class Side:
    """One split as the search sees it.

    Attributes:
        book: its texts.
        target: scaled activation of all measured positions, 0 to 1.
        active: positions above the 99th percentile of discover positions.
        group: document number of each position.
    """

    book: TextBook
    target: Array
    active: NDArray[np.bool_]
    group: NDArray[np.int64]

    @property
    def views(self) -> Sequence[TextView]:
        """One per stimulus."""
        return self.book.views

    def predicted(self, predicate: Predicate) -> Array:
        """The predicate over all positions of the split."""
        return predicate.over(self.book)


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Discover and select sides of one unit."""

    lab: Lab
    viewer: TextViewer
    data: FeatureMatrix
    discover: Side
    select: Side
    raw_values: Array

    @property
    def text_level(self) -> bool:
        return self.viewer.text_level

    @property
    def noise(self) -> float:
        """Standard deviation of the resting unit on the lab's 0-1 scale, from the middle half of its values.

        1.349 standard deviations of a normal distribution lie between its quartiles.
        """
        zero, one = self.lab.scale
        low, high = np.quantile(self.raw_values, (0.25, 0.75))
        return float(high - low) / 1.349 / (one - zero) if one > zero else 0.0


def active_above(values: Array, *, quantile: float = 0.99) -> Cut:
    """Which values are active: above the quantile of discover positions, or at it when ties leave too few above."""
    q = float(np.quantile(values, quantile, method="higher")) if len(values) else 0.0
    inclusive = len(values) > 0 and float((values > q).mean()) < (1 - quantile) / 2 and q > values.min()
    return lambda v: (v >= q) if inclusive else (v > q)


def setting_of(lab: Lab) -> Setting:
    """Gather what a search needs. Cost: the first call per corpus builds the matrix (seconds); later ones are cheap."""
    viewer = text_viewer(lab.subject)
    values = np.concatenate([o.values for o in lab.discover]).astype(np.float64)
    cut = active_above(values)
    discover = _side(lab, viewer, lab.discover, cut)
    groups = [o.stimulus.group or o.stimulus.id for o in lab.discover]
    return Setting(
        lab=lab, viewer=viewer, data=matrix_of(discover.book, groups), discover=discover,
        select=_side(lab, viewer, lab.select, cut), raw_values=values,
    )  # fmt: skip


def _side(lab: Lab, viewer: TextViewer, observed: Sequence[Observed], cut: Cut) -> Side:
    book = viewer.book([o.stimulus for o in observed])
    known: dict[str, int] = {}
    numbers = [known.setdefault(o.stimulus.group or o.stimulus.id, len(known)) for o in observed]
    lengths = [len(v) for v in book.views]
    for o, n in zip(observed, lengths, strict=True):
        assert n == len(o.values), f"{n} tokens but {len(o.values)} values in stimulus {o.stimulus.id[:12]}"
    flat = np.concatenate([o.values for o in observed]) if observed else np.zeros(0, np.float32)
    return Side(
        book=book,
        target=np.asarray(lab.scaled(flat), dtype=np.float64),
        active=cut(flat),
        group=np.repeat(np.array(numbers, dtype=np.int64), lengths),
    )
