"""Patterns drawn here: stripes, checks, dots, grids, waves, rings and noise in two colours, as tileable squares.

A pattern goes by a key, ``pattern:stripes/#000000/#ffffff``, wherever the key of a texture may stand, so scenes on it
are recipes like all others. What this module does not do: anything photographic.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from maieutic.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from PIL.Image import Image

#: side of a drawn tile in pixels
TILE = 96
_PREFIX = "pattern:"
#: words → the pattern they mean
PATTERNS: Mapping[str, str] = {
    "stripes": "stripes",
    "stripe": "stripes",
    "striped": "stripes",
    "vertical stripes": "stripes",
    "lines": "stripes",
    "horizontal stripes": "bands",
    "bands": "bands",
    "banded": "bands",
    "horizontal lines": "bands",
    "diagonal stripes": "diagonals",
    "diagonal lines": "diagonals",
    "diagonals": "diagonals",
    "checks": "checks",
    "checked": "checks",
    "checkered": "checks",
    "chequered": "checks",
    "checkerboard": "checks",
    "chessboard": "checks",
    "dots": "dots",
    "dotted": "dots",
    "spots": "dots",
    "spotted": "dots",
    "polka dots": "dots",
    "polka dot": "dots",
    "grid": "grid",
    "mesh": "grid",
    "net": "grid",
    "waves": "waves",
    "wavy": "waves",
    "zigzag": "zigzag",
    "zigzags": "zigzag",
    "rings": "rings",
    "circles": "rings",
    "concentric circles": "rings",
    "noise": "noise",
    "noisy": "noise",
    "speckles": "noise",
    "speckled": "noise",
    "static": "noise",
}


def pattern_key(pattern: str, *, ink: str = "#101010", paper: str = "#f4f4f4") -> str:
    """The key of a pattern in two colours (``#rrggbb``)."""
    if pattern not in _DRAWN:
        raise UsageError(f"no pattern {pattern!r}{did_you_mean(pattern, _DRAWN)}: choose from {', '.join(_DRAWN)}")
    return f"{_PREFIX}{pattern}/{ink}/{paper}"


def is_pattern(key: str) -> bool:
    return key.startswith(_PREFIX)


def pattern_name(key: str) -> str:
    """The pattern without its colours."""
    return key.removeprefix(_PREFIX).partition("/")[0]


@lru_cache(maxsize=64)
def pattern_tile(key: str) -> Image:
    """The square that is repeated, RGB, 96 px."""
    from PIL import Image as Pictures
    from PIL import ImageColor

    name, ink, paper = key.removeprefix(_PREFIX).split("/")
    inked = _DRAWN[name]()[..., None]
    colours = [np.array(ImageColor.getrgb(colour)[:3], dtype=np.float64) for colour in (ink, paper)]
    return Pictures.fromarray(np.round(inked * colours[0] + (1 - inked) * colours[1]).astype(np.uint8))


def _axes() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rows and columns of the tile, 0 to 1, ``[96, 1]`` and ``[1, 96]``."""
    along = (np.arange(TILE) + 0.5) / TILE
    return along[:, None], along[None, :]


def _whole(inked: NDArray[np.bool_]) -> NDArray[np.float64]:
    return np.broadcast_to(inked, (TILE, TILE)).astype(np.float64)


def _stripes() -> NDArray[np.float64]:
    return _whole(_axes()[1] * 2 % 1 < 0.5)


def _bands() -> NDArray[np.float64]:
    return _whole(_axes()[0] * 2 % 1 < 0.5)


def _diagonals() -> NDArray[np.float64]:
    y, x = _axes()
    return _whole((x + y) * 2 % 1 < 0.5)


def _checks() -> NDArray[np.float64]:
    y, x = _axes()
    return _whole((x * 4 % 2 < 1) ^ (y * 4 % 2 < 1))


def _dots() -> NDArray[np.float64]:
    y, x = _axes()
    return _whole(np.hypot(x * 2 % 1 - 0.5, y * 2 % 1 - 0.5) < 0.28)


def _grid() -> NDArray[np.float64]:
    y, x = _axes()
    return _whole((x * 3 % 1 < 0.16) | (y * 3 % 1 < 0.16))


def _waves() -> NDArray[np.float64]:
    y, x = _axes()
    return _whole((y * 3 + 0.25 * np.sin(4 * np.pi * x)) % 1 < 0.5)


def _zigzag() -> NDArray[np.float64]:
    y, x = _axes()
    return _whole((y * 3 + np.abs(x * 3 % 1 - 0.5)) % 1 < 0.5)


def _rings() -> NDArray[np.float64]:
    y, x = _axes()
    return _whole(np.hypot(x - 0.5, y - 0.5) * 8 % 1 < 0.5)


def _noise() -> NDArray[np.float64]:
    # one fixed draw: a pattern is the same in every process
    return np.random.default_rng(7).random((TILE, TILE))


_DRAWN = {
    "stripes": _stripes,
    "bands": _bands,
    "diagonals": _diagonals,
    "checks": _checks,
    "dots": _dots,
    "grid": _grid,
    "waves": _waves,
    "zigzag": _zigzag,
    "rings": _rings,
    "noise": _noise,
}
