"""Exemplars of an image unit for a vision model: discover pictures over the whole range, the firing region left bright."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Images
from PIL.Image import Image

from maieutic.explain.search.text_setting import active_above
from maieutic.lab import Lab
from maieutic.stimuli.base import Stimulus
from maieutic.subjects.reading import activation_maps

#: share of discover pictures below the "active" threshold, as scores have it
QUANTILE = 0.95
BINS = 5
#: longest side in pixels; share of the map's range from which a region counts; light of the rest
SIDE, REGION, DIM = 224, 0.4, 0.35


@dataclass(frozen=True, eq=False, kw_only=True)
class Picture:
    """A discover picture.

    Attributes:
        stimulus: the picture.
        scaled: activation on the lab's 0-1 scale.
        image: as it is shown.
    """

    stimulus: Stimulus
    scaled: float
    image: Image


def pictures(lab: Lab, *, firing: int, resting: int) -> tuple[list[Picture], list[Picture]]:
    """Firing pictures from equal-count bins by activation, strongest first, and resting ones at random.

    Cost: one forward pass over the firing pictures, for where the unit fires in each.
    """
    rng = np.random.default_rng([lab.seed, 2])
    values = np.array([float(np.asarray(o.values).max()) for o in lab.discover])
    active = active_above(values, quantile=QUANTILE)(values)
    order = sorted(np.flatnonzero(active).tolist(), key=lambda i: (-values[i], lab.discover[i].stimulus.id))
    bins = [b[rng.permutation(len(b))].tolist() for b in np.array_split(np.arange(len(order)), BINS)]
    taken: list[int] = []
    while len(taken) < min(firing, len(order)):
        for left in bins:
            if left and len(taken) < firing:
                taken.append(left.pop())
    strong = [order[i] for i in sorted(taken)]
    calm = np.flatnonzero(~active)
    quiet = np.sort(calm[rng.permutation(len(calm))[:resting]]).tolist()
    maps = activation_maps(lab.subject, [lab.discover[i].stimulus for i in strong], lab.unit) if strong else []
    scale: NDArray[Any] = np.atleast_1d(lab.scaled(values))
    shown = [
        Picture(stimulus=s, scaled=float(scale[i]), image=lit(s.content, m, rest=lab.scale[0]))
        for i, m in zip(strong, maps, strict=True)
        for s in [lab.discover[i].stimulus]
    ]
    return shown, [
        Picture(stimulus=s, scaled=float(scale[i]), image=small(s.content))
        for i in quiet
        for s in [lab.discover[i].stimulus]
    ]


def lit(image: Image, where: NDArray[np.float32], *, rest: float) -> Image:
    """The picture with everything dimmed but the region where the unit fires; whole where there is no map.

    Args:
        image: any size.
        where: activation map ``[height, width]`` at the unit's own resolution.
        rest: activation that counts as none.
    """
    shown = small(image)
    if where.size < 2 or float(where.max()) <= max(rest, float(where.min())):
        return shown
    low = max(rest, float(where.min()))
    share = np.clip((where - low) / (float(where.max()) - low), 0.0, 1.0).astype(np.float32)
    grown = np.asarray(Images.fromarray(share).resize(shown.size, Images.Resampling.BILINEAR))
    light = np.where(grown >= REGION, 1.0, DIM)[..., None]
    return Images.fromarray((np.asarray(shown, dtype=np.float32) * light).round().astype(np.uint8))


def small(image: Image) -> Image:
    """A picture with no side over ``SIDE`` pixels."""
    copy = image.convert("RGB")
    copy.thumbnail((SIDE, SIDE))
    return copy


def captions(firing: Sequence[Picture], resting: Sequence[Picture]) -> str:
    """What the pictures are, in the order in which they follow."""
    rows = [f"picture {i}: activation {round(10 * p.scaled)} of 10" for i, p in enumerate(firing, start=1)]
    rows += [f"picture {i}: not active, shown whole" for i, _ in enumerate(resting, start=len(firing) + 1)]
    return "\n".join(rows)
