"""What planted units are planted in: windows of English, and pictures composed afresh for every seed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from maieutic.bench.material_images import scenes
from maieutic.stimuli.base import Corpus
from maieutic.subjects.base import Modality


def material(modality: Modality, *, seed: int, quick: bool = False) -> Corpus:
    """A corpus to plant in: a seeded part of ``prose``, or ``scenes``. ``quick``: about half of it."""
    if modality == "image":
        return scenes(700 if quick else 1200, seed=seed)
    from maieutic.stimuli.corpora import load_corpus

    corpus = load_corpus("prose", size=2000)
    order: list[int] = np.random.default_rng(seed).permutation(len(corpus)).tolist()
    return replace(corpus, stimuli=[corpus[i] for i in sorted(order[: 800 if quick else 1500])])
