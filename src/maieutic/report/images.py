"""Pictures of a report: small copies and heat overlays, stored by content, each written once."""

from __future__ import annotations

import hashlib
import io
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Images

from maieutic.report.model import ReportImage

if TYPE_CHECKING:
    from PIL.Image import Image

_SIDE = 288
#: overlays are smooth; the page stretches them
_HEAT_SIDE = 96
#: dark violet over orange to pale yellow: lightness rises throughout, so it reads without colour
_RAMP = np.array([(16, 14, 26), (120, 28, 109), (216, 79, 54), (251, 155, 40), (250, 235, 140)], dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture on a page; ``heat`` lies over it. Paths are relative to the folder of assets."""

    file: str
    width: int
    height: int
    alt: str
    heat: str | None = None


class Pictures(Protocol):
    """Where pages get their pictures from: files of a folder, or addresses of a server."""

    def picture(self, image: ReportImage, ceiling: float, /) -> Picture:
        """A picture with its overlay; ``ceiling``: raw activation shown at full heat, 0 for no heat."""
        ...

    def copy(self, file: Path, /) -> str:
        """A file beside the pictures, as ``Links.asset`` takes it."""
        ...


@dataclass(slots=True, kw_only=True)
class Assets:
    """The folder of pictures of one report."""

    folder: Path
    written: set[str] = field(default_factory=lambda: set[str]())
    known: dict[tuple[int, float], tuple[ReportImage, Picture]] = field(
        default_factory=lambda: dict[tuple[int, float], tuple[ReportImage, Picture]]()
    )

    bases: dict[str, tuple[str, int, int]] = field(default_factory=lambda: dict[str, tuple[str, int, int]]())

    def picture(self, image: ReportImage, ceiling: float) -> Picture:
        """Store a picture and its overlay.

        Args:
            image: what to store.
            ceiling: raw activation shown at full heat, shared by all pictures of a unit so that they compare.
        """
        kept = self.known.get((id(image), ceiling))
        if kept is None:
            kept = self.known[id(image), ceiling] = (image, self._make(image, ceiling))
        return kept[1]

    def _base(self, image: ReportImage) -> tuple[str, int, int]:
        """File, width and height of the picture itself."""
        known = self.bases.get(image.id) if image.id else None
        if known is None:
            small = shrunk(image.load())
            known = self._store(small, quality=82), small.width, small.height
            if image.id:
                self.bases[image.id] = known
        return known

    def forget(self) -> None:
        """Let go of the pictures of a page that is written; their files stay known."""
        self.known.clear()

    def copy(self, file: Path) -> str:
        """Copy a file in beside the pictures under its own name."""
        shutil.copyfile(file, self.folder / file.name)
        return file.name

    def _make(self, image: ReportImage, ceiling: float) -> Picture:
        file, width, height = self._base(image)
        heat = None
        if image.heat is not None and ceiling > 0:
            heat = self._store(overlay_of(image.heat, ceiling, width, height), quality=75)
        return Picture(file=file, width=width, height=height, alt=image.alt, heat=heat)

    def _store(self, picture: Image, *, quality: int) -> str:
        data = webp(picture, quality=quality)
        name = f"{hashlib.sha256(data).hexdigest()[:20]}.webp"
        if name not in self.written:
            (self.folder / name).write_bytes(data)
            self.written.add(name)
        return name


def shrunk(picture: Image) -> Image:
    """A small copy for pages."""
    small = picture.convert("RGB")
    small.thumbnail((_SIDE, _SIDE), Images.Resampling.LANCZOS)
    return small


def shrunk_size(width: int, height: int) -> tuple[int, int]:
    """About the size that a small copy of a picture has: within a pixel."""
    share = min(1.0, _SIDE / max(width, height, 1))
    return max(1, round(width * share)), max(1, round(height * share))


def webp(picture: Image, *, quality: int = 82) -> bytes:
    """A picture as bytes of a file."""
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=quality, method=1)
    return buffer.getvalue()


def overlay_of(heat: NDArray[np.floating], ceiling: float, width: int, height: int) -> Image:
    """The overlay of a map over a picture of some size; smooth, so smaller than the picture."""
    share = min(1.0, _HEAT_SIDE / max(width, height))
    return overlay(heat / ceiling, (max(1, round(width * share)), max(1, round(height * share))))


def overlay(heat: NDArray[np.floating], size: tuple[int, int]) -> Image:
    """A picture to lay over: rest is dimmed, activation glows.

    Args:
        heat: ``[height, width]``, 0 (rest) to 1; clipped.
        size: width and height of the picture in pixels.
    """
    levels = np.clip(np.nan_to_num(np.asarray(heat, dtype=np.float32)), 0.0, 1.0)
    grown = np.asarray(Images.fromarray(levels).resize(size, Images.Resampling.BICUBIC), dtype=np.float64)
    grown = np.clip(grown, 0.0, 1.0)
    place = grown * (len(_RAMP) - 1)
    low = np.clip(place.astype(int), 0, len(_RAMP) - 2)
    colour = _RAMP[low] + (place - low)[..., None] * (_RAMP[low + 1] - _RAMP[low])
    alpha = 255 * (0.42 + 0.1 * grown)
    return Images.fromarray(np.dstack([colour, alpha]).round().astype(np.uint8), "RGBA")


def ceiling(images: list[ReportImage]) -> float:
    """The largest activation of several maps; 0 when there is none."""
    return max((float(np.nanmax(i.heat)) for i in images if i.heat is not None and i.heat.size), default=0.0)
