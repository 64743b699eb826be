"""Pictures that no explainer has seen and that tell causes from correlates: held-out ones, and edits of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from maieutic.stimuli.base import Stimulus
from maieutic.subjects.planted import PlantedUnit

#: edited pictures a unit
EDITED = 60


def fresh_images(unit: PlantedUnit, test: Sequence[Stimulus], *, seed: int = 0) -> tuple[list[Any], list[Any]]:
    """Held-out pictures, and edits of those that are scenes (none when there are no scenes)."""
    rng = np.random.default_rng(seed)
    natural = [test[int(i)] for i in rng.permutation(len(test))]
    about = set(unit.involved)
    scenes = [s for s in natural if s.scene is not None and s.scene.placements]
    # those with the unit's things first: an edit of another picture seldom changes the truth
    scenes.sort(key=lambda s: not any(about & {t.name, *t.concepts} for t in s.things))
    edited = [_redrawn(s.scene, scenes, rng) for s in scenes[:EDITED]]
    return natural, edited


def _redrawn(scene: Any, scenes: Sequence[Stimulus], rng: np.random.Generator) -> Any:
    """One edit of a scene: a thing removed, moved, recoloured, joined by another, or put on another ground."""
    other = scenes[int(rng.integers(len(scenes)))].scene
    kind = int(rng.integers(5))
    if kind == 0:
        changed = scene.without(0)
    elif kind == 1:
        changed = scene.moved(float(rng.uniform(0.2, 0.8)), float(rng.uniform(0.2, 0.8)))
    elif kind == 2:
        changed = scene.recoloured(float(rng.uniform(60, 300)))
    elif kind == 3:
        changed = scene.plus(other.placements[0])
    else:
        changed = scene.on(other.background)
    return changed.stimulus()
