"""Counterfactual pictures: the same object on another background, and the background without its object.

Scenes and masks are edited exactly; where neither is known, an ellipse in the middle is taken for the object, which readers
are told. Emptied pictures are filled from around the hole, coarse to fine. What this module does not do: make edits look
natural; a cut edge is the same whichever background lies behind it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from maieutic.explain.search.image_stage import staged
from maieutic.stimuli.base import Stimulus
from maieutic.stimuli.scenes import Scene, image_id
from maieutic.studies.spurious.material import Example, Mask, Material

if TYPE_CHECKING:
    from PIL.Image import Image

Pixels = NDArray[np.float64]
#: half-axes of the ellipse that is taken for the object where no mask is known, as shares of the picture
_REACH = 0.36


def swapped(example: Example, donor: Example, material: Material) -> Stimulus:
    """The example's object, at its place, on the donor's background."""
    scene, other = example.stimulus.scene, donor.stimulus.scene
    if isinstance(scene, Scene) and isinstance(other, Scene):
        return replace(staged(scene.on(other.background)), split=example.stimulus.split)
    kept = mask_of(example)
    ground = _emptied(donor)
    pixels = np.where(kept[:, :, None], _pixels(example), ground)
    return _made(pixels, tags=(material.classes[example.label], material.groups[donor.group]), like=example.stimulus)


def emptied(donor: Example, material: Material) -> Stimulus:
    """The donor's background without its object."""
    scene = donor.stimulus.scene
    if isinstance(scene, Scene):
        return replace(staged(replace(scene, placements=())), split=donor.stimulus.split, group=donor.stimulus.group)
    return _made(_emptied(donor), tags=(material.groups[donor.group],), like=donor.stimulus)


def mask_of(example: Example) -> Mask:
    """The object's pixels, ``[side, side]``: from the scene, the user's mask, or the ellipse in the middle."""
    scene = example.stimulus.scene
    if isinstance(scene, Scene):
        return scene.mask()
    if example.mask is not None:
        return example.mask()
    side = example.stimulus.content.size[0]
    y, x = (np.mgrid[0:side, 0:side] + 0.5) / side - 0.5
    return (x / _REACH) ** 2 + (y / _REACH) ** 2 <= 1.0


def filled(pixels: Pixels, hole: Mask) -> Pixels:
    """The picture with its hole filled from around it: means of what is known, from the finest level that has any.

    Args:
        pixels: ``[height, width, 3]``. hole: ``[height, width]``.
    """
    if not hole.any():
        return pixels
    if hole.all():
        return np.full_like(pixels, 127.5)
    known = (~hole).astype(np.float64)
    small, weight = _halved(pixels * known[:, :, None]), _halved(known[:, :, None])[:, :, 0]
    means = np.where(weight[:, :, None] > 0, small / np.maximum(weight, 1e-12)[:, :, None], 0.0)
    coarse = filled(means, weight <= 0)
    height, width = hole.shape
    wide = coarse.repeat(2, axis=0).repeat(2, axis=1)[:height, :width]
    return np.where(hole[:, :, None], wide, pixels)


def _halved(values: Pixels) -> Pixels:
    """Sums of blocks of two by two."""
    height, width, depth = values.shape
    padded = np.zeros((height + height % 2, width + width % 2, depth))
    padded[:height, :width] = values
    return padded.reshape(padded.shape[0] // 2, 2, padded.shape[1] // 2, 2, depth).sum(axis=(1, 3))


def _emptied(donor: Example) -> Pixels:
    return filled(_pixels(donor), mask_of(donor))


def _pixels(example: Example) -> Pixels:
    return np.asarray(cast("Image", example.stimulus.content).convert("RGB"), dtype=np.float64)


def _made(pixels: Pixels, *, tags: tuple[str, ...], like: Stimulus) -> Stimulus:
    from PIL import Image as Pictures

    image = Pictures.fromarray(pixels.round().clip(0, 255).astype(np.uint8))
    return Stimulus(
        id=image_id(image), modality="image", load=lambda: image, group=like.group, split=like.split, tags=tags,
        source=like.source,
    )  # fmt: skip
