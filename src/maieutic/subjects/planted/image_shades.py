"""Whether a measure of pixels is clear: much the same when its words are taken a shade wider or narrower.

Two people who draw the line between blue and grey, or even and busy, a little apart should agree on the pictures that a
planted unit is about; otherwise nobody could be marked right or wrong. Nothing here knows how explainers measure.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from maieutic.subjects.planted.image_rules import Busy, Colour, Light, Seen, Tint, led, tints
from maieutic.subjects.planted.rule import Rule

Floats = NDArray[np.float64]
#: least average precision of a measure a shade apart against the pictures on which the rule is active
CLEAR = 0.97
#: least saturation of a hue and turn of all hues in degrees, where the planted ones are 0.35 and 0
_SHADES = ((0.2, 0.0), (0.5, 0.0), (0.35, -8.0), (0.35, 8.0))


class Shades:
    """Measures a shade apart, over some pictures; each is worked out once for all rules."""

    def __init__(self, views: Sequence[Seen]) -> None:
        self._views = views
        self._tints: dict[tuple[float, float], list[dict[tuple[str, str], float]]] = {}

    def clear(self, rule: Rule, active: NDArray[np.bool_]) -> bool:
        """Whether every measure a shade apart ranks the active pictures first; true of rules that measure nothing."""
        return bool(active.any()) and all(_precision(m, active) >= CLEAR for m in self._measures(rule))

    def _measures(self, rule: Rule) -> list[Floats]:
        if isinstance(rule, Tint):
            return [self._shares(shade, rule.colour, rule.where) for shade in _SHADES]
        if isinstance(rule, Colour):
            return [np.array([led(v.pixels, rule.colour, lead=x) for v in self._views]) for x in (1.15, 1.4)]
        if isinstance(rule, Light):
            return [_signed(rule.start, rule.full) * np.array([_mean(v, rule.where) for v in self._views])]
        if isinstance(rule, Busy):
            return [_signed(rule.start, rule.full) * np.array([_slopes(v, rule.where) for v in self._views])]
        return []

    def _shares(self, shade: tuple[float, float], colour: str, where: str) -> Floats:
        if shade not in self._tints:
            vivid, turn = shade
            self._tints[shade] = [tints(v.hues, v.things, vivid=vivid, turn=turn) for v in self._views]
        return np.array([share[colour, where] for share in self._tints[shade]])


def _signed(start: float, full: float) -> float:
    return 1.0 if full > start else -1.0


def _mean(view: Seen, where: str) -> float:
    """Brightness with the channels weighed alike."""
    region = view.region(where)
    return float(view.pixels[region].mean()) if region.any() else 0.0


def _slopes(view: Seen, where: str) -> float:
    """Busyness as the length of the slope of brightness."""
    rows, columns = np.gradient(view.pixels.mean(axis=-1))
    region = view.region(where)
    return float(np.hypot(rows, columns)[region].mean()) if region.any() else 0.0


def _precision(scores: Floats, active: NDArray[np.bool_]) -> float:
    """Average precision; pictures with equal scores enter in the order given."""
    hits = active[np.argsort(-scores, kind="stable")]
    return float((np.cumsum(hits) / np.arange(1, len(hits) + 1))[hits].mean())
