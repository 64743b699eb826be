"""``plant``: units with known truth over a corpus."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from maieutic.subjects.base import Modality
from maieutic.subjects.planted.plant_images import image_units
from maieutic.subjects.planted.plant_text import text_units
from maieutic.subjects.planted.subject import PlantedSubject, PlantedUnit


def plant(
    corpus: Any,
    *,
    modality: Modality | None = None,
    seed: int = 0,
    each: Mapping[str, int] | None = None,
    lexicon: Callable[[str], Sequence[str]] | None = None,
) -> tuple[PlantedUnit, ...]:
    """Units about what a corpus holds, with their exact truth; at least 200 over the material of the bench.

    Args:
        corpus: stimuli with splits; of texts, or of pictures with annotations.
        modality: that of the corpus when not given.
        seed: another seed, other units.
        each: units of each kind; kinds not named get none. All kinds at full size when not given.
        lexicon: word -> kinds of thing it names, specific to general; adds word classes to text units.

    Raises:
        UserError: unknown kind, or the corpus is too small or too uniform to plant in.
    """
    which: Modality = modality or corpus.modality
    rng = np.random.default_rng([seed, 0 if which == "text" else 1])
    rules = text_units(corpus, rng, each, lexicon=lexicon) if which == "text" else image_units(corpus, rng, each)
    return PlantedSubject(rules, modality=which, seed=seed).units()
