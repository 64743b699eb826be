"""What planted units are planted in: windows of English, and pictures composed afresh for every seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from maieutic.stimuli.base import SPLITS, Corpus, Stimulus
from maieutic.subjects.base import Modality

if TYPE_CHECKING:
    from maieutic.stimuli.studio import Studio

#: share of each split in composed pictures, as elsewhere
_SHARES = {"discover": 0.5, "select": 0.2, "test": 0.3}


def material(modality: Modality, *, seed: int, quick: bool = False) -> Corpus:
    """A corpus to plant in: a seeded part of ``prose``, or ``scenes``. ``quick``: about half of it."""
    if modality == "image":
        return scenes(700 if quick else 1200, seed=seed)
    from maieutic.stimuli.corpora import load_corpus

    corpus = load_corpus("prose", size=2000)
    order: list[int] = np.random.default_rng(seed).permutation(len(corpus)).tolist()
    return replace(corpus, stimuli=[corpus[i] for i in sorted(order[: 800 if quick else 1500])])


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
