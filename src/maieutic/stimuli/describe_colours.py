"""Colours, light and texture of a picture in words, from its pixels alone.

The eleven colours are the basic colour terms of English, assigned to pixels by hue, saturation and value. What this
module does not do: name what a picture shows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.Image import Image

COLOURS = ("black", "white", "grey", "red", "orange", "yellow", "green", "blue", "purple", "pink", "brown")
#: colours in the order of the conditions of ``colour_maps``
_ORDER = ("black", "white", "grey", "pink", "red", "brown", "orange", "yellow", "green", "blue", "purple")
_SIDE = 64

Floats = NDArray[np.float32]


def colour_maps(rgb: Floats) -> Floats:
    """One-hot ``[colour, height, width]`` in the order of ``COLOURS`` for an RGB image ``[3, height, width]`` in 0-1."""
    high, low = np.maximum(np.maximum(rgb[0], rgb[1]), rgb[2]), np.minimum(np.minimum(rgb[0], rgb[1]), rgb[2])
    chroma = high - low
    saturation = chroma / np.maximum(high, 1e-9)
    hue = _hue(rgb, high, chroma)
    names = np.select(
        [
            high < 0.22,
            (saturation < 0.13) & (high > 0.85),
            (saturation < 0.16) | (chroma < 0.06),
            ((hue >= 295) | (hue < 14)) & (saturation < 0.55) & (high > 0.65),
            (hue >= 342) | (hue < 14),
            (hue < 48) & ((high < 0.68) | (saturation < 0.4)),
            hue < 42,
            hue < 68,
            hue < 168,
            hue < 258,
            hue < 320,
        ],
        [COLOURS.index(c) for c in _ORDER],
        default=COLOURS.index("pink"),
    )  # fmt: skip
    return (np.arange(len(COLOURS))[:, None, None] == names).astype(np.float32)


def _hue(rgb: Floats, high: Floats, chroma: Floats) -> Floats:
    """Hue angle, degrees 0 to 360."""
    r, g, b = rgb
    safe = np.maximum(chroma, 1e-9)
    sector = np.where(high == r, ((g - b) / safe) % 6, np.where(high == g, (b - r) / safe + 2, (r - g) / safe + 4))
    return (60.0 * sector).astype(np.float32)


# --- in words ----------------------------------------------------------------------------------------------------


def colours_of(image: Image, *, where: NDArray[np.bool_] | None = None, least: float = 0.15) -> list[str]:
    """Colour words that cover at least that share of a picture (or of the pixels ``where``), the largest share first.

    Args:
        image: any size.
        where: ``[height, width]`` of the picture.
        least: share, 0 to 1.
    """
    from PIL import Image as Pictures

    small = np.asarray(image.convert("RGB").resize((_SIDE, _SIDE), Pictures.Resampling.BOX), dtype=np.float32)
    maps = colour_maps(np.ascontiguousarray(small.transpose(2, 0, 1)) / np.float32(255))
    inside = np.ones((_SIDE, _SIDE), dtype=bool)
    if where is not None:
        mask = Pictures.fromarray(where.astype(np.uint8) * 255).resize((_SIDE, _SIDE), Pictures.Resampling.BOX)
        inside = np.asarray(mask) > 127
    if not inside.any():
        return []
    shares = maps[:, inside].mean(axis=1)
    return [COLOURS[int(i)] for i in np.argsort(-shares, kind="stable") if shares[i] >= least]


def looks_of(image: Image) -> list[str]:
    """Light and texture in words: ``dark``, ``low contrast``, ``fine vertical lines``; the plain case says ``smooth``."""
    from PIL import Image as Pictures

    light = np.asarray(image.convert("L").resize((_SIDE, _SIDE), Pictures.Resampling.BOX), dtype=np.float64) / 255
    found: list[str] = []
    mean, spread = float(light.mean()), float(light.std())
    if mean < 0.25 or mean > 0.75:
        found.append("dark" if mean < 0.25 else "bright")
    if spread < 0.08 or spread > 0.27:
        found.append("low contrast" if spread < 0.08 else "high contrast")
    # gradients between neighbours of the thumbnail: detail finer than 1.5 % of the picture is not seen
    dx, dy = np.abs(np.diff(light, axis=1)), np.abs(np.diff(light, axis=0))
    across, down = float(dx.mean()), float(dy.mean())
    if across + down < 0.015:
        return [*found, "smooth, without detail"]
    if across > 2.5 * down or down > 2.5 * across:
        found.append("vertical lines" if across > down else "horizontal lines")
    elif across + down > 0.12:
        found.append("fine, busy detail")
    return found
