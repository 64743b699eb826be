"""What one explanation of a language unit works with: views, scaled targets and the shared matrix of conditions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maieutic.explain.predicates.base import Predicate
from maieutic.explain.search.text_features import FeatureMatrix, build, shared
from maieutic.explain.views_text import TextView, TextViewer
from maieutic.harvest.atlas import Observed
from maieutic.lab import Lab

Array = NDArray[np.float64]

Cut = Callable[[NDArray[np.floating]], NDArray[np.bool_]]

#: viewers are shared between the units of a subject, so that each text is read once
_VIEWERS: dict[str, TextViewer] = {}


@dataclass(frozen=True, kw_only=True)
class Side:
    """One split as the search sees it.

    Attributes:
        views: one per stimulus.
        target: scaled activation of all measured positions, 0 to 1.
        active: positions above the 99th percentile of discover positions.
        group: document number of each position.
    """

    views: list[TextView]
    target: Array
    active: NDArray[np.bool_]
    group: NDArray[np.int64]

    def predicted(self, predicate: Predicate) -> Array:
        """The predicate over all positions of the split."""
        rows = [predicate.evaluate(v) for v in self.views]
        return np.concatenate(rows) if rows else np.zeros(0)


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
    viewer = text_viewer(lab)
    values = np.concatenate([o.values for o in lab.discover]).astype(np.float64)
    cut = active_above(values)
    discover = _side(lab, viewer, lab.discover, cut)
    groups = [o.stimulus.group or o.stimulus.id for o in lab.discover]
    key = (lab.corpus.fingerprint, lab.subject.name, viewer.text_level)
    data = shared(key, lambda: build(discover.views, groups, text_level=viewer.text_level))
    return Setting(
        lab=lab, viewer=viewer, data=data, discover=discover,
        select=_side(lab, viewer, lab.select, cut), raw_values=values,
    )  # fmt: skip


def text_viewer(lab: Lab) -> TextViewer:
    """The viewer that all units of a subject share."""
    key = f"{lab.subject.name}:{lab.subject.fingerprint}"
    if key not in _VIEWERS or _VIEWERS[key].subject is not lab.subject:
        _VIEWERS.clear()
        _VIEWERS[key] = TextViewer(lab.subject)
    return _VIEWERS[key]


def _side(lab: Lab, viewer: TextViewer, observed: Sequence[Observed], cut: Cut) -> Side:
    views: list[TextView] = []
    values: list[NDArray[np.float32]] = []
    groups: list[NDArray[np.int64]] = []
    known: dict[str, int] = {}
    for o in observed:
        stimulus, row = o.stimulus, o.values
        view = viewer(stimulus)
        assert len(view) == len(row), f"{len(view)} tokens but {len(row)} values in stimulus {stimulus.id[:12]}"
        views.append(view)
        values.append(row)
        number = known.setdefault(stimulus.group or stimulus.id, len(known))
        groups.append(np.full(len(row), number, dtype=np.int64))
    flat = np.concatenate(values) if values else np.zeros(0, np.float32)
    return Side(
        views=views,
        target=np.asarray(lab.scaled(flat), dtype=np.float64),
        active=cut(flat),
        group=np.concatenate(groups) if groups else np.zeros(0, np.int64),
    )
