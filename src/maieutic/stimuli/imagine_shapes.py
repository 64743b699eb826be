"""Drawn shapes: circles, squares, triangles, stars and the like, flat and smooth-edged, on any ground.

For questions of form and colour that no photograph can ask alone. A drawn picture has annotations (its shapes with their
boxes) but no recipe, so it takes edits of the whole picture only. What this module does not do: read phrases.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from maieutic.stimuli.base import Thing
from maieutic.stimuli.imagine_patterns import pattern_tile
from maieutic.stimuli.scenes import SIZE

if TYPE_CHECKING:
    from PIL.Image import Image

#: words → the shape they mean
SHAPES: Mapping[str, str] = {
    "circle": "circle", "disc": "circle", "disk": "circle", "dot": "circle", "square": "square",
    "rectangle": "rectangle", "bar": "rectangle", "triangle": "triangle", "star": "star", "ring": "ring",
    "cross": "cross", "plus sign": "cross", "diamond": "diamond", "rhombus": "diamond", "ellipse": "ellipse",
    "oval": "ellipse", "line": "line", "pentagon": "pentagon", "hexagon": "hexagon", "octagon": "octagon",
}  # fmt: skip
#: drawn larger and shrunk, so that edges are smooth
_FINER = 4
_CORNERS = {"triangle": 3, "diamond": 4, "pentagon": 5, "hexagon": 6, "octagon": 8}
#: height as a share of the width
_HEIGHTS = {"rectangle": 0.5, "ellipse": 0.6, "line": 0.08}


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A shape: its centre and longest side in fractions of the frame, and a colour (``#rrggbb``) or a pattern's key."""

    shape: str
    x: float
    y: float
    scale: float
    paint: str

    @property
    def box(self) -> tuple[float, float, float, float]:
        width, height = self.scale, self.scale * _HEIGHTS.get(self.shape, 1.0)
        return (
            max(0.0, self.x - width / 2),
            max(0.0, self.y - height / 2),
            min(1.0, self.x + width / 2),
            min(1.0, self.y + height / 2),
        )

    @property
    def thing(self) -> Thing:
        return Thing(name=self.shape, concepts=(self.shape, "shape"), box=self.box)


def draw_shapes(ground: Image, shapes: Sequence[Drawn]) -> Image:
    """The ground with shapes on it, later ones in front."""
    from PIL import Image as Pictures

    picture = ground.copy()
    for shape in shapes:
        mask = _mask(shape, picture.size[0])
        picture.paste(_paint(shape.paint, picture.size), (0, 0), mask)
    assert picture.mode == "RGB" and isinstance(picture, Pictures.Image)
    return picture


def _paint(paint: str, size: tuple[int, int]) -> Image:
    from PIL import Image as Pictures

    if paint.startswith("#"):
        return Pictures.new("RGB", size, paint)
    tile = np.asarray(pattern_tile(paint).resize((SIZE // 6, SIZE // 6)))
    rows, columns = np.arange(size[1]) % tile.shape[0], np.arange(size[0]) % tile.shape[1]
    return Pictures.fromarray(np.ascontiguousarray(tile[rows][:, columns]))


def _mask(shape: Drawn, size: int) -> Image:
    """Cover of every pixel, 0 to 255."""
    from PIL import Image as Pictures
    from PIL import ImageDraw

    mask = Pictures.new("L", (size * _FINER, size * _FINER))
    pen = ImageDraw.Draw(mask)
    side = size * _FINER
    # pixels at the far edge are part of what Pillow fills
    box = [shape.box[0] * side, shape.box[1] * side, shape.box[2] * side - 1, shape.box[3] * side - 1]
    x, y, radius = shape.x * side, shape.y * side, shape.scale * side / 2
    if shape.shape in ("circle", "ellipse", "ring"):
        pen.ellipse(box, fill=255)
        if shape.shape == "ring":
            inner = 0.62 * radius
            pen.ellipse([x - inner, y - inner, x + inner, y + inner], fill=0)
    elif shape.shape in _CORNERS:
        pen.polygon(_points(x, y, radius, _CORNERS[shape.shape]), fill=255)
    elif shape.shape == "star":
        pen.polygon(_points(x, y, radius, 10, inner=0.4), fill=255)
    elif shape.shape == "cross":
        arm = radius / 3
        pen.rectangle([box[0], y - arm, box[2], y + arm - 1], fill=255)
        pen.rectangle([x - arm, box[1], x + arm - 1, box[3]], fill=255)
    else:
        pen.rectangle(box, fill=255)
    return mask.resize((size, size), Pictures.Resampling.BOX)


def _points(x: float, y: float, radius: float, n: int, *, inner: float = 1.0) -> list[tuple[float, float]]:
    """Corners on a circle, the first at the top; every second one at ``inner`` of the radius."""
    angles = [2 * np.pi * i / n - np.pi / 2 for i in range(n)]
    radii = [radius * (inner if i % 2 else 1.0) for i in range(n)]
    return [(float(x + r * np.cos(a)), float(y + r * np.sin(a))) for a, r in zip(angles, radii, strict=True)]
