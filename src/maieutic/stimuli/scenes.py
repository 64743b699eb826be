"""Scenes: pictures composed of stamps on a background, so that every part is known and can be edited exactly.

A ``Scene`` is a frozen recipe; ``render()`` makes the RGB image (a few milliseconds), ``mask()`` the exact pixels of
its objects, and each edit gives a new scene: remove, silhouette, background swap, isolate, move, scale, flip, grey,
blur, recolour, occlude, texture. What this module does not do: shadows, perspective, light; a composite is evidence
about composites.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from maieutic.errors import UsageError
from maieutic.stimuli.base import Stimulus, Thing
from maieutic.stimuli.effects import Effect, apply_effects, hue_shifted
from maieutic.stimuli.imagine_patterns import is_pattern, pattern_tile
from maieutic.stimuli.library import Library

if TYPE_CHECKING:
    from PIL.Image import Image

#: side of a rendered scene in pixels
SIZE = 256
Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Background:
    """What lies behind the objects.

    Attributes:
        kind: ``plain`` colour, tiled ``texture``, or a crop of a ``photo``.
        key: ``#rrggbb``, the key of a picture in the library, or (for a texture) of a drawn pattern.
        zoom: texture: side of a tile; photo: shortest side of the crop; as a fraction of the frame or photo, 0 to 1.
        x, y: where the tiling begins or the crop lies, 0 to 1.
        blur: radius in pixels (a photo out of focus keeps its own objects from being seen).
        shade: how much darker a plain ground is at the bottom than at the top, 0 to 1.
    """

    kind: Literal["plain", "texture", "photo"]
    key: str
    zoom: float = 0.5
    x: float = 0.0
    y: float = 0.0
    blur: float = 0.0
    shade: float = 0.0

    @property
    def name(self) -> str:
        return self.key if self.kind == "plain" else self.key.partition(":")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """A stamp in a scene.

    Attributes:
        stamp: key of the stamp in the library.
        x, y: its centre, fractions of the frame.
        scale: its longest side as a fraction of the frame.
        flip: mirrored left to right.
        fill: empty, ``#rrggbb`` (silhouette) or the key of a texture or drawn pattern that fills its shape.
        hue: hue shift in degrees.
        hidden: a part of the object, in fractions of its own box, that is cut away.
    """

    stamp: str
    x: float = 0.5
    y: float = 0.5
    scale: float = 0.7
    flip: bool = False
    fill: str = ""
    hue: float = 0.0
    hidden: Box | None = None


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A recipe: background, placements (later ones in front), and effects over the whole picture."""

    background: Background
    placements: tuple[Placement, ...] = ()
    effects: tuple[Effect, ...] = ()
    covers: tuple[tuple[Box, str], ...] = ()
    size: int = SIZE
    library: Library = field(repr=False, compare=False)

    # --- looking ---------------------------------------------------------------------------------------------------
    def render(self) -> Image:
        """The RGB picture."""
        picture = _background(self.background, self.size, self.library).copy()
        for placement in self.placements:
            cutout = _cutout(placement, self.size, self.library)
            left, top = self._corner(placement, cutout.size)
            picture.paste(cutout, (left, top), cutout)
        for box, colour in self.covers:
            left, top, right, bottom = (round(e * self.size) for e in box)
            if right > left and bottom > top:
                picture.paste(colour, (left, top, right, bottom))
        return apply_effects(picture, self.effects)

    def mask(self, i: int | None = None) -> NDArray[np.bool_]:
        """Pixels that show an object (any, or the ``i``-th where nothing covers it), ``[size, size]``."""
        owner = np.full((self.size, self.size), -1, dtype=np.int16)
        for number, placement in enumerate(self.placements):
            cutout = _cutout(placement, self.size, self.library)
            left, top = self._corner(placement, cutout.size)
            alpha = np.asarray(cutout.getchannel("A")) > 127
            rows = slice(max(top, 0), min(top + alpha.shape[0], self.size))
            columns = slice(max(left, 0), min(left + alpha.shape[1], self.size))
            seen = alpha[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
            owner[rows, columns][seen] = number
        return owner >= 0 if i is None else owner == i

    def things(self) -> tuple[Thing, ...]:
        """The objects with their concepts and boxes, in the order of the placements."""
        found: list[Thing] = []
        for placement in self.placements:
            picture = self.library.pictures[placement.stamp]
            width, height = _shape(placement, self.size, self.library)
            left, top = self._corner(placement, (width, height))
            edges = (left, top, left + width, top + height)
            box = tuple(min(1.0, max(0.0, e / self.size)) for e in edges)
            found.append(Thing(name=picture.name, concepts=picture.concepts, box=(box[0], box[1], box[2], box[3])))
        return tuple(found)

    def stimulus(self, *, tags: tuple[str, ...] = ()) -> Stimulus:
        """The scene as a stimulus with its own content id; group and split are those of its first stamp."""
        picture = self.render()
        first = self.library.pictures.get(self.placements[0].stamp) if self.placements else None
        group = first.group if first is not None else f"background {self.background.name}"
        sources = [self.library.pictures[p.stamp].source for p in self.placements]
        return Stimulus(
            id=image_id(picture),
            modality="image",
            load=lambda: picture,
            group=group,
            split=first.split if first is not None else "discover",
            tags=tags,
            things=self.things(),
            scene=self,
            source=sources[0] if sources else "",
        )

    # --- editing ---------------------------------------------------------------------------------------------------
    def without(self, i: int = 0) -> Scene:
        """The object removed: what was behind it shows."""
        self._check(i)
        return replace(self, placements=self.placements[:i] + self.placements[i + 1 :])

    def silhouette(self, i: int = 0, colour: str = "#000000") -> Scene:
        """The object as a flat shape of one colour."""
        return self._edited(i, fill=colour)

    def textured(self, texture: str, i: int = 0) -> Scene:
        """The object's shape filled with a texture (key or name)."""
        return self._edited(i, fill=find_texture(self.library, texture))

    def on(self, background: Background | str) -> Scene:
        """The same objects on another background (a ``Background``, or a colour ``#rrggbb``)."""
        if isinstance(background, str):
            background = Background(kind="plain", key=background)
        return replace(self, background=background)

    def only(self, i: int = 0, colour: str = "#808080") -> Scene:
        """The object alone on a plain ground."""
        self._check(i)
        plain = Background(kind="plain", key=colour)
        return replace(self, background=plain, placements=(self.placements[i],), covers=())

    def moved(self, x: float, y: float, i: int = 0) -> Scene:
        """The object's centre put at (x, y), fractions of the frame; near an edge the frame cuts it off."""
        return self._edited(i, x=x, y=y)

    def scaled(self, factor: float, i: int = 0) -> Scene:
        """The object made larger or smaller about its centre."""
        return self._edited(i, scale=self.placements[self._check(i)].scale * factor)

    def flipped(self, i: int = 0) -> Scene:
        """The object mirrored left to right."""
        return self._edited(i, flip=not self.placements[self._check(i)].flip)

    def recoloured(self, hue: float, i: int = 0) -> Scene:
        """The object's hues turned by ``hue`` degrees; greys stay."""
        return self._edited(i, hue=self.placements[self._check(i)].hue + hue)

    def occluded(self, box: Box = (0.0, 0.0, 1.0, 0.5), i: int = 0, *, colour: str | None = None) -> Scene:
        """A part of the object taken away (default: its top half), or covered by a rectangle of ``colour``.

        Args:
            box: left, top, right, bottom in fractions of the object's own box.
            i: which object.
            colour: cover with this colour; ``None`` cuts the part away so that the background shows.
        """
        self._check(i)
        if colour is None:
            return self._edited(i, hidden=box)
        x0, y0, x1, y1 = self.things()[i].box
        left, top, right, bottom = box
        cover = (x0 + left * (x1 - x0), y0 + top * (y1 - y0), x0 + right * (x1 - x0), y0 + bottom * (y1 - y0))
        return replace(self, covers=(*self.covers, (cover, colour)))

    def plus(self, placement: Placement) -> Scene:
        """One more object, in front."""
        return replace(self, placements=(*self.placements, placement))

    def grey(self) -> Scene:
        """The whole picture without colour."""
        return replace(self, effects=(*self.effects, ("grey", 0.0)))

    def blurred(self, radius: float = 4.0) -> Scene:
        """The whole picture out of focus (radius in pixels)."""
        return replace(self, effects=(*self.effects, ("blur", radius)))

    def upside_down(self) -> Scene:
        """The whole picture turned by 180 degrees."""
        return replace(self, effects=(*self.effects, ("turn", 180.0)))

    # --- as data ---------------------------------------------------------------------------------------------------
    def to_json(self) -> dict[str, Any]:
        """Plain values; the library is not part of them."""
        return {
            "background": asdict(self.background),
            "placements": [asdict(p) for p in self.placements],
            "effects": [list(e) for e in self.effects],
            "covers": [[list(box), colour] for box, colour in self.covers],
            "size": self.size,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any], library: Library) -> Scene:
        """The scene of ``to_json``; stamps are looked up in ``library``."""
        rows: list[dict[str, Any]] = [{**p, "hidden": _box(p["hidden"])} for p in data["placements"]]
        return cls(
            background=Background(**data["background"]),
            placements=tuple(Placement(**row) for row in rows),
            effects=tuple((str(e[0]), float(e[1])) for e in data["effects"]),  # pyright: ignore[reportArgumentType]
            covers=tuple((_box(c[0]) or (0.0, 0.0, 1.0, 1.0), c[1]) for c in data["covers"]),
            size=int(data["size"]),
            library=library,
        )

    # --- inside ----------------------------------------------------------------------------------------------------
    def _check(self, i: int) -> int:
        if not 0 <= i < len(self.placements):
            raise UsageError(f"the scene has {len(self.placements)} objects, no object {i}: choose a smaller number")
        return i

    def _edited(self, i: int, **changes: Any) -> Scene:
        edited = replace(self.placements[self._check(i)], **changes)
        return replace(self, placements=(*self.placements[:i], edited, *self.placements[i + 1 :]))

    def _corner(self, placement: Placement, shape: tuple[int, int]) -> tuple[int, int]:
        return (
            round(placement.x * self.size - shape[0] / 2),
            round(placement.y * self.size - shape[1] / 2),
        )


def image_id(image: Image) -> str:
    """Content digest of an RGB picture: its size and its pixels."""
    return hashlib.sha256(repr(image.size).encode() + image.convert("RGB").tobytes()).hexdigest()


def find_texture(library: Library, name: str) -> str:
    """The key of a texture by key or name; ``UsageError`` with what there is otherwise."""
    textures = library.of("texture")
    for texture in textures:
        if name in (texture.key, texture.name, texture.key.partition("/")[2]):
            return texture.key
    known = ", ".join(sorted({t.name for t in textures})) or "none: run  maieutic fetch"
    raise UsageError(f"no texture {name!r}: choose one of {known}")


def _box(values: Any) -> Box | None:
    return None if values is None else (float(values[0]), float(values[1]), float(values[2]), float(values[3]))


def _shape(placement: Placement, size: int, library: Library) -> tuple[int, int]:
    width, height = library.pictures[placement.stamp].size
    factor = placement.scale * size / max(width, height)
    return max(1, round(width * factor)), max(1, round(height * factor))


@lru_cache(maxsize=256)
def _cutout(placement: Placement, size: int, library: Library) -> Image:
    """The placed object as RGBA at its size in the frame."""
    from PIL import Image as Pictures

    stamp = library.image(placement.stamp)
    if placement.flip:
        stamp = stamp.transpose(Pictures.Transpose.FLIP_LEFT_RIGHT)
    # Pillow resamples RGBA premultiplied, so transparent pixels lend no colour to the edge
    cutout = stamp.resize(_shape(placement, size, library), Pictures.Resampling.BICUBIC)
    alpha = cutout.getchannel("A")
    if placement.hue:
        cutout = hue_shifted(cutout.convert("RGB"), placement.hue).convert("RGBA")
    if placement.fill.startswith("#"):
        cutout = Pictures.new("RGBA", cutout.size, placement.fill)
    elif placement.fill:
        cutout = _tiled(_tile(placement.fill, library), cutout.size, round(0.4 * size), 0, 0).convert("RGBA")
    if placement.hidden is not None:
        left, top, right, bottom = placement.hidden
        width, height = cutout.size
        alpha = alpha.copy()
        alpha.paste(0, (round(left * width), round(top * height), round(right * width), round(bottom * height)))
    cutout.putalpha(alpha)
    return cutout


@lru_cache(maxsize=256)
def _background(background: Background, size: int, library: Library) -> Image:
    from PIL import Image as Pictures
    from PIL import ImageFilter

    if background.kind == "plain":
        picture = Pictures.new("RGB", (size, size), background.key)
        if background.shade:
            light = np.linspace(1.0, 1.0 - background.shade, size)[:, None, None]
            picture = Pictures.fromarray((np.asarray(picture) * light).astype(np.uint8))
    elif background.kind == "texture":
        tile = _tile(background.key, library)
        picture = _tiled(tile, (size, size), round(background.zoom * size), background.x, background.y)
    else:
        photo = library.image(background.key)
        side = max(8.0, background.zoom * min(photo.size))
        left, top = background.x * (photo.width - side), background.y * (photo.height - side)
        picture = photo.resize(
            (size, size), Pictures.Resampling.BICUBIC, box=(left, top, left + side, top + side)
        ).convert("RGB")
    return picture.filter(ImageFilter.GaussianBlur(background.blur)) if background.blur else picture


def _tile(key: str, library: Library) -> Image:
    return pattern_tile(key) if is_pattern(key) else library.image(key)


def _tiled(tile: Image, shape: tuple[int, int], side: int, x: float, y: float) -> Image:
    """A tile, its longest side scaled to ``side`` pixels, repeated over ``shape`` from a relative offset."""
    from PIL import Image as Pictures

    factor = side / max(tile.size)
    width, height = max(2, round(tile.width * factor)), max(2, round(tile.height * factor))
    scaled = np.asarray(tile.convert("RGB").resize((width, height), Pictures.Resampling.BICUBIC))
    rows = (np.arange(shape[1]) + round(y * height)) % height
    columns = (np.arange(shape[0]) + round(x * width)) % width
    return Pictures.fromarray(np.ascontiguousarray(scaled[rows][:, columns]))
