"""``plant``: units with known truth over a corpus."""

from __future__ import annotations

from typing import Any

import numpy as np

from maieutic.subjects.base import Modality
from maieutic.subjects.planted.plant_images import image_units
from maieutic.subjects.planted.plant_text import text_units
from maieutic.subjects.planted.subject import PlantedSubject, PlantedUnit


def plant(corpus: Any, *, modality: Modality | None = None, seed: int = 0) -> tuple[PlantedUnit, ...]:
    """Fifteen units about what a corpus holds, with their exact truth.

    Raises:
        UserError: the corpus is too small or too uniform to plant in.
    """
    which: Modality = modality or corpus.modality
    rng = np.random.default_rng([seed, 0 if which == "text" else 1])
    rules = text_units(corpus, rng) if which == "text" else image_units(corpus, rng)
    return PlantedSubject(rules, modality=which, seed=seed).units()
