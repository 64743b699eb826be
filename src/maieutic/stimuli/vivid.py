"""Plain grounds of vivid colours, for pictures that are composed to tell a thing from the ground it stands on.

What this module does not do: name the colour of a ground that somebody else made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from maieutic.stimuli.scenes import Background

#: vivid plain grounds, red, green, blue, ... of the same lightness as a person would name them
VIVID = {
    "red": (205, 38, 38), "orange": (236, 128, 24), "yellow": (236, 214, 40), "green": (58, 160, 62),
    "blue": (42, 84, 196), "purple": (140, 48, 190), "pink": (236, 72, 158),
}  # fmt: skip


def vivid(colour: str, draw: np.random.Generator) -> Background:
    """A plain ground of a vivid colour, a little different every time."""
    from maieutic.stimuli.scenes import Background

    values = [int(np.clip(v + draw.integers(-10, 11), 0, 255)) for v in VIVID[colour]]
    return Background(kind="plain", key="#{:02x}{:02x}{:02x}".format(*values), shade=0.12)
