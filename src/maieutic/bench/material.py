"""What planted units are planted in: windows of English and of Python, and pictures composed afresh for every seed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from maieutic.bench.bindings import bound
from maieutic.bench.material_images import scenes
from maieutic.stimuli.base import Corpus
from maieutic.subjects.base import Modality

#: windows of prose and of code; about 75,000 tokens in all
PROSE, CODE = 620, 230
#: word pairs bound to one another, for spurious units
BINDINGS = 26


def material(modality: Modality, *, seed: int, quick: bool = False) -> Corpus:
    """A corpus to plant in: a seeded part of ``prose`` and ``python``, or ``scenes``. ``quick``: about half of it."""
    if modality == "image":
        return scenes(700 if quick else 1200, seed=seed)
    from maieutic.stimuli.corpora import load_corpus

    rng = np.random.default_rng(seed)
    share = 0.5 if quick else 1.0
    parts: list[Corpus] = []
    for name, n in (("prose", PROSE), ("python", CODE)):
        corpus = load_corpus(name, size=2000)
        order: list[int] = rng.permutation(len(corpus)).tolist()
        parts.append(replace(corpus, stimuli=[corpus[i] for i in sorted(order[: round(n * share)])]))
    prose = bound(parts[0], BINDINGS, seed=seed, beside=parts[1])
    return Corpus(
        name="planted-texts",
        modality="text",
        stimuli=[*prose.stimuli, *parts[1].stimuli],
        attribution={**parts[0].attribution, **parts[1].attribution},
        notes=(*prose.notes, *parts[1].notes),
    )
