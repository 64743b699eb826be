"""Edits of whole pictures, for scenes and for photos alike: grey, blur, hue, turn, crop, occlude.

Each is deterministic and takes milliseconds. What this module does not do: anything that needs to know what the
picture shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from maieutic.errors import UsageError
from maieutic.stimuli.base import Stimulus

if TYPE_CHECKING:
    from PIL.Image import Image

#: name and strength: ``grey`` 0, ``blur`` radius in pixels, ``hue`` degrees, ``turn`` degrees, ``mirror`` 0
Effect = tuple[Literal["grey", "blur", "hue", "turn", "mirror"], float]
Box = tuple[float, float, float, float]


def apply_effects(image: Image, effects: Sequence[Effect]) -> Image:
    """The RGB picture after all effects, in order."""
    from PIL import Image as Pictures
    from PIL import ImageFilter

    for name, strength in effects:
        if name == "grey":
            image = image.convert("L").convert("RGB")
        elif name == "blur":
            image = image.filter(ImageFilter.GaussianBlur(strength))
        elif name == "hue":
            image = hue_shifted(image, strength)
        elif name == "turn":
            image = image.rotate(strength, resample=Pictures.Resampling.BICUBIC)
        else:
            image = image.transpose(Pictures.Transpose.FLIP_LEFT_RIGHT)
    return image


def hue_shifted(image: Image, degrees: float) -> Image:
    """All hues turned by ``degrees``; brightness and saturation stay (to 8 bits)."""
    from PIL import Image as Pictures

    hsv = np.array(image.convert("RGB").convert("HSV"))
    hsv[..., 0] = (hsv[..., 0].astype(np.int32) + round(degrees * 256 / 360)) % 256
    return Pictures.fromarray(hsv, mode="HSV").convert("RGB")


def cropped(image: Image, box: Box) -> Image:
    """The part inside ``box`` (fractions of the picture), enlarged to the picture's size."""
    from PIL import Image as Pictures

    width, height = image.size
    edges = (box[0] * width, box[1] * height, box[2] * width, box[3] * height)
    if edges[2] - edges[0] < 1 or edges[3] - edges[1] < 1:
        raise UsageError(f"the box {box} is empty: give left, top, right, bottom as fractions with left < right")
    return image.resize(image.size, Pictures.Resampling.BICUBIC, box=edges)


def covered(image: Image, box: Box, colour: str = "#808080") -> Image:
    """The part inside ``box`` (fractions of the picture) covered by a rectangle."""
    width, height = image.size
    result = image.copy()
    edges = (round(box[0] * width), round(box[1] * height), round(box[2] * width), round(box[3] * height))
    result.paste(colour, edges)
    return result


def edited(stimulus: Stimulus, *effects: Effect, crop: Box | None = None, cover: Box | None = None) -> Stimulus:
    """A stimulus after a crop, a cover and effects, in that order: works for photos and scenes.

    Group and split stay; annotated things stay unless the picture was cropped, turned or mirrored (then their places
    would be wrong and they are dropped).
    """
    from maieutic.stimuli.scenes import image_id

    image: Image = stimulus.content
    image = image if crop is None else cropped(image, crop)
    image = image if cover is None else covered(image, cover)
    image = apply_effects(image, effects)
    moved = crop is not None or any(name in ("turn", "mirror") for name, _ in effects)
    return replace(
        stimulus, id=image_id(image), load=lambda: image, things=() if moved else stimulus.things, scene=None
    )
