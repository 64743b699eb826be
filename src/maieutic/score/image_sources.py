"""Held-out pictures as material for generated stimuli: composed scenes, and the stamps that new ones are made of.

Label-independent, so it is gathered once for all units of a run. What it does not do: edit photographs; a corpus
without composed scenes gives no material.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from maieutic.score.loading import loadable
from maieutic.stimuli.base import Corpus, Stimulus
from maieutic.stimuli.library import Library, Picture
from maieutic.stimuli.scenes import Background, Placement, Scene
from maieutic.stimuli.studio import Studio

T = TypeVar("T")

#: scenes of the corpus and scenes newly pasted that labels are tried on, at most
_SCENES, _PASTED = 200, 150


@dataclass(frozen=True, kw_only=True)
class Gallery:
    """Everything that pictures are made from.

    Attributes:
        scenes: composed pictures of the test split, those of the corpus and one of every stamp newly pasted.
        stamps, grounds: of the test split.
        failed: stimuli that could not be loaded.
    """

    scenes: list[Stimulus]
    stamps: list[Picture]
    grounds: list[Background]
    library: Library = field(repr=False)
    failed: dict[str, str]


def pictures(corpus: Corpus, *, seed: int) -> Gallery | str:
    """The material of a corpus' test split, or why there is none. Cost: about 10 ms for each of at most 150 pastes."""
    composed = [s for s in corpus.split("test") if s.scene is not None and s.scene.placements]
    if not composed:
        return f"the corpus {corpus.name} has no composed scenes in its test split: pictures cannot be edited exactly"
    kept, failed = loadable(_some(composed, _SCENES, seed))
    studio = _studio(corpus, seed)
    assert studio is not None
    grounds = studio.backgrounds(seed=seed)
    pasted: list[Stimulus] = []
    for n, stamp in enumerate(_some(studio.stamps(), _PASTED, seed)):
        ground = grounds[n % len(grounds)] if grounds else Background(kind="plain", key="#808080")
        pasted.append(as_stimulus(studio.paste(stamp, ground)))
    return Gallery(
        scenes=[*kept, *pasted], stamps=studio.stamps(), grounds=grounds, library=studio.library, failed=failed
    )


def held_out_groups(corpus: Corpus) -> set[str]:
    """Groups of every stamp that a generated picture may begin with."""
    studio = _studio(corpus, 0)
    if studio is None:
        return set()
    return {p.group for p in studio.stamps()}


def _studio(corpus: Corpus, seed: int) -> Studio | None:
    scene = next((s.scene for s in corpus.split("test") if s.scene is not None), None)
    return None if scene is None else Studio(split="test", library=scene.library, seed=seed)


def _some(items: Sequence[T], n: int, seed: int) -> list[T]:
    if len(items) <= n:
        return list(items)
    chosen = np.sort(np.random.default_rng(seed).choice(len(items), size=n, replace=False))
    return [items[int(i)] for i in chosen]


def tags_of(scene: Scene) -> tuple[str, ...]:
    """How the picture was made, as the packaged corpora tag it."""
    several = ("several",) if len(scene.placements) > 1 else ("alone",)
    return (*several, f"background:{scene.background.kind}", f"background:{scene.background.name}")


def as_stimulus(scene: Scene) -> Stimulus:
    """The scene as a stimulus, rendered and tagged."""
    return scene.stimulus(tags=tags_of(scene))


def siblings(gallery: Gallery, placement: Placement, n: int, draw: np.random.Generator) -> list[Placement]:
    """Other stamps in the same place, those first that share most concepts with the one there."""
    own = gallery.library.pictures[placement.stamp]
    concepts = set(own.concepts)
    others = [p for p in gallery.stamps if p.name != own.name]
    order: list[int] = draw.permutation(len(others)).tolist()
    ranked = sorted((others[i] for i in order), key=lambda p: -len(concepts & set(p.concepts)))
    # near ones, and a few of any kind: a wide label holds of every near one
    chosen = [*ranked[: n - n // 3], *[others[i] for i in order[: n // 3]]]
    return [
        Placement(stamp=p.key, x=placement.x, y=placement.y, scale=placement.scale, flip=placement.flip) for p in chosen
    ]
