"""Named visual features of an image: colours, light and texture of the whole, its things, its background, its parts.

Everything is read from a thumbnail of 64 x 64 pixels, so it says nothing of detail finer than about 1.5 % of the image.
A feature is named ``map@region`` (``red@things``, ``edges@whole``, ``brightness@top``); shape and layout features stand
alone (``size``, ``tall``, ``regular``). Values are shares or strengths in [0, 1]. It knows no concept names.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from maieutic.stimuli.describe_colours import COLOURS, colour_maps

if TYPE_CHECKING:
    from PIL.Image import Image

SIDE = 64
#: ``reddish`` to ``yellowish``: one channel (for yellow, two) leads the others, whatever the colour is called
TONES = ("reddish", "greenish", "bluish", "yellowish")
TEXTURES = (
    "brightness", "saturation", "edges", "horizontal", "vertical", "diagonal", "fine", "coarse", *TONES, "contrast",
)  # fmt: skip
REGIONS = ("whole", "things", "ground", "top", "bottom", "left", "right", "centre")
#: layout features: area of the things, taller than wide, wider than tall, compact outline, repeating pattern
SHAPES = ("size", "tall", "wide", "round", "regular")
NAMES: tuple[str, ...] = (*(f"{m}@{r}" for m in (*COLOURS, *TEXTURES) for r in REGIONS), *SHAPES)
INDEX = {name: i for i, name in enumerate(NAMES)}

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]


def thumbnail(image: Image) -> Floats:
    """The image as ``[3, 64, 64]`` RGB in [0, 1]."""
    small = image.convert("RGB").resize((SIDE, SIDE), resample=2, reducing_gap=2.0)
    return np.ascontiguousarray(np.asarray(small, dtype=np.float32).transpose(2, 0, 1)) / np.float32(255.0)


def pixel_features(image: Image, things: Mask | None) -> NDArray[np.float32]:
    """All features of one image, ``[feature]`` in the order of ``NAMES``. Costs about 2 ms.

    Args:
        image: any mode and size.
        things: ``[64, 64]`` pixels of the annotated things; ``None`` when unknown (then the middle half stands for
            them, and the border for the background).
    """
    rgb = thumbnail(image)
    light = np.float32(0.299) * rgb[0] + np.float32(0.587) * rgb[1] + np.float32(0.114) * rgb[2]
    maps = np.concatenate([colour_maps(rgb), _texture_maps(rgb, light)]).reshape(-1, SIDE * SIDE)
    regions = _regions(things)
    share = regions / np.maximum(regions.sum(axis=1, keepdims=True), 1.0)
    means = maps @ share.T
    row = len(COLOURS)  # brightness; its spread inside a region is the contrast
    contrast = 2.0 * np.sqrt(np.maximum((maps[row] ** 2) @ share.T - means[row] ** 2, 0.0))
    shapes = [*_outline(regions[1].reshape(SIDE, SIDE) > 0), _regular(light)]
    everything = np.concatenate([means.ravel(), contrast, shapes])
    return np.clip(everything, 0.0, 1.0).astype(np.float32)


def _texture_maps(rgb: Floats, light: Floats) -> Floats:
    """``[texture, 64, 64]`` in the order of ``TEXTURES`` without contrast, each about 0 to 1."""
    high, low = np.maximum(np.maximum(rgb[0], rgb[1]), rgb[2]), np.minimum(np.minimum(rgb[0], rgb[1]), rgb[2])
    padded = np.pad(light, 1, mode="edge")
    dx, dy = padded[1:-1, 2:] - padded[1:-1, :-2], padded[2:, 1:-1] - padded[:-2, 1:-1]
    size = np.hypot(dx, dy)
    double = 2.0 * np.arctan2(dy, dx)  # orientation has period pi; a horizontal line has a vertical gradient
    tight = _blurred(light, 1)
    wide = _blurred(tight, 4)
    return np.stack(
        [
            light,
            high - low,
            np.clip(2.0 * size, 0, 1),
            np.clip(4.0 * size * np.maximum(-np.cos(double), 0.0), 0, 1),
            np.clip(4.0 * size * np.maximum(np.cos(double), 0.0), 0, 1),
            np.clip(4.0 * size * np.abs(np.sin(double)), 0, 1),
            np.clip(8.0 * np.abs(light - tight), 0, 1),
            np.clip(4.0 * np.abs(tight - wide), 0, 1),
            *_tone_maps(rgb),
        ]
    ).astype(np.float32)


def _tone_maps(rgb: Floats) -> list[Floats]:
    """How clearly a channel leads: 0 at 10 % above the next, 1 at 40 %; dark pixels have no tone."""
    r, g, b = rgb

    def leads(one: Floats, others: Floats) -> Floats:
        lead = np.clip((one / np.maximum(others, 0.02) - 1.1) / 0.3, 0.0, 1.0)
        return np.where(one > 0.22, lead, 0.0).astype(np.float32)

    return [
        leads(r, np.maximum(g, b)),
        leads(g, np.maximum(r, b)),
        leads(b, np.maximum(r, g)),
        leads(np.minimum(r, g), b),
    ]


def _blurred(light: Floats, radius: int) -> Floats:
    """Box mean over ``2 radius + 1`` pixels in both directions."""
    return cast(Floats, ndimage.uniform_filter(light, size=2 * radius + 1, mode="nearest"))


@lru_cache(maxsize=1)
def _fixed() -> Floats:
    """``[region, pixel]`` of the regions that do not depend on the image: top, bottom, left, right, centre, border."""
    y, x = np.mgrid[0:SIDE, 0:SIDE] / SIDE
    centre = (np.abs(x - 0.5) < 0.25) & (np.abs(y - 0.5) < 0.25)
    border = (np.abs(x - 0.5) > 0.36) | (np.abs(y - 0.5) > 0.36)
    rows = [y < 1 / 3, y >= 2 / 3, x < 1 / 3, x >= 2 / 3, centre, border]
    return np.stack(rows).reshape(len(rows), -1).astype(np.float32)


def _regions(things: Mask | None) -> Floats:
    """``[region, pixel]`` weights in the order of ``REGIONS``."""
    fixed = _fixed()
    inside, outside = fixed[4], fixed[5]
    if things is not None and 8 <= int(things.sum()) <= 0.97 * SIDE * SIDE:
        inside = things.reshape(-1).astype(np.float32)
        outside = 1.0 - inside
    return np.stack([np.ones(SIDE * SIDE, dtype=np.float32), inside, outside, *fixed[:5]])


def _outline(inside: Mask) -> tuple[float, float, float, float]:
    """Size, tall, wide and round of the things' pixels."""
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    if not len(rows):
        return 0.0, 0.0, 0.0, 0.0
    height, width = float(np.ptp(rows)) + 1, float(np.ptp(columns)) + 1
    ratio = float(np.log2(height / width)) / 2.0
    border = inside & ~(_shift(inside, 1, 0) & _shift(inside, -1, 0) & _shift(inside, 0, 1) & _shift(inside, 0, -1))
    area, rim = float(inside.sum()), float(border.sum())
    return area / inside.size, max(ratio, 0.0), max(-ratio, 0.0), min(4 * np.pi * area / max(rim * rim, 1.0), 1.0)


def _shift(mask: Mask, dy: int, dx: int) -> Mask:
    out = np.zeros_like(mask)
    out[max(dy, 0) : SIDE + min(dy, 0), max(dx, 0) : SIDE + min(dx, 0)] = mask[
        max(-dy, 0) : SIDE + min(-dy, 0), max(-dx, 0) : SIDE + min(-dx, 0)
    ]
    return out


def _regular(light: Floats) -> float:
    """Height of the largest side peak of the autocorrelation: 0 no repetition, 1 a perfect pattern."""
    centred = light - _blurred(light, 6)
    power = np.abs(np.fft.rfft2(centred)) ** 2
    auto = np.fft.irfft2(power, s=(SIDE, SIDE))
    if auto[0, 0] < 1e-6:
        return 0.0
    auto = np.fft.fftshift(auto / auto[0, 0])
    middle = SIDE // 2
    auto[middle - 5 : middle + 6, middle - 5 : middle + 6] = 0.0
    return float(np.clip(auto.max(), 0.0, 1.0))
