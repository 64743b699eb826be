"""Pictures to plant in: scenes composed afresh for every seed, each made of one split's material."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from maieutic.stimuli.base import SPLITS, Corpus, Stimulus

if TYPE_CHECKING:
    from maieutic.stimuli.studio import Studio

#: share of each split in composed pictures, as elsewhere
_SHARES = {"discover": 0.5, "select": 0.2, "test": 0.3}


def scenes(n: int, *, seed: int) -> Corpus:
    """``n`` pictures of one to three things on textures, photos and plain grounds, each made of one split's material.

    Cost: about 10 ms and 150 kB of memory a picture.
    """
    from maieutic.stimuli.library import open_library
    from maieutic.stimuli.studio import all_studios

    library = open_library()
    studios = all_studios(library, seed=seed)
    made = {s.id: s for split in SPLITS for s in _composed(studios[split], round(n * _SHARES[split]), seed)}
    return Corpus(
        name="planted-scenes",
        modality="image",
        stimuli=list(made.values()),
        attribution=library.attribution,
        notes=library.notes,
    )


def _composed(studio: Studio, n: int, seed: int) -> Iterator[Stimulus]:
    from maieutic.stimuli.scenes import Scene
    from maieutic.stimuli.studio import place, rng

    stamps, grounds = studio.stamps(), studio.backgrounds(seed=seed)
    for k in range(n if stamps else 0):
        draw = rng(seed, "planted", str(studio.split), str(k))
        count = 1 + int(draw.choice(3, p=(0.3, 0.5, 0.2)))
        chosen = [stamps[int(i)] for i in draw.choice(len(stamps), size=min(count, len(stamps)), replace=False)]
        width = 1 / len(chosen)
        placements = tuple(
            place(
                stamp,
                # side by side, a single thing anywhere
                x=(spot + 0.5) * width + float(draw.uniform(-0.3, 0.3)) * width,
                y=float(draw.uniform(0.2, 0.8)),
                scale=float(draw.uniform(0.6, 1.1)) * (0.6 if count == 1 else 0.8 * width),
                flip=bool(draw.random() < 0.5),
            )
            for spot, stamp in enumerate(chosen)
        )
        ground = grounds[int(draw.integers(len(grounds)))]
        yield Scene(background=ground, placements=placements, library=studio.library).stimulus()
