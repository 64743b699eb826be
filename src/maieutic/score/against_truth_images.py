"""Pictures that no explainer has seen and that tell causes from correlates: held-out ones, and edits of them.

In held-out pictures a label may be right for the wrong reason (the companion, the usual ground). The edits take apart
what a planted unit is about: its things are removed, replaced, moved, resized, recoloured, shown alone, put on another
ground or beside something else, until there are as many pictures on which it is truly active as on which it is not, as
far as edits can make them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from maieutic.stimuli.base import Stimulus
from maieutic.subjects.planted import PlantedUnit

if TYPE_CHECKING:
    from maieutic.stimuli.library import Picture
    from maieutic.stimuli.scenes import Background, Scene
    from maieutic.stimuli.studio import Studio

#: edited pictures a unit, and how many are made to choose them from
EDITED, _MADE = 60, 120


def fresh_images(
    unit: PlantedUnit, test: Sequence[Stimulus], *, seed: int = 0
) -> tuple[list[Stimulus], list[Stimulus]]:
    """Held-out pictures, and edits of those that are scenes (none when there are no scenes).

    Cost: a few milliseconds, and 3 ms for each edited picture that a rule or label has to look at.
    """
    natural = list(test)
    scenes = [s for s in natural if s.scene is not None and s.scene.placements]
    return natural, _edits(unit, scenes, seed) if scenes else []


def _edits(unit: PlantedUnit, scenes: Sequence[Stimulus], seed: int) -> list[Stimulus]:
    """Half of them truly active, half not; of each half first those whose truth the edit changed."""
    digest = hashlib.sha256(f"{seed}|{unit.name}|{unit.about}".encode()).digest()
    rng = np.random.default_rng(int.from_bytes(digest[:8], "big"))
    editor = _Editor(unit, scenes, rng)
    made = [editor.make() for _ in range(_MADE)]
    before = np.array([float(t[0]) for t in unit.truth([s for s, _ in made])]) >= 0.5
    after = np.array([float(t[0]) for t in unit.truth([s for _, s in made])]) >= 0.5
    chosen = list[int]()
    for side, room in ((after, EDITED // 2), (~after, EDITED)):
        # in the order they were made, changed ones first
        order = sorted(np.flatnonzero(side).tolist(), key=lambda i: before[i] == after[i])
        # some of each: what an edit left as it was must be predicted as well
        changed = [i for i in order if before[i] != after[i]][: 2 * EDITED // 5]
        chosen += [*changed, *(i for i in order if i not in changed)][: min(room, EDITED - len(chosen))]
    return [made[i][1] for i in sorted(chosen)]


class _Editor:
    """Makes edits of held-out scenes about the things, colours and grounds that a unit involves."""

    def __init__(self, unit: PlantedUnit, scenes: Sequence[Stimulus], rng: np.random.Generator) -> None:
        from maieutic.stimuli.studio import Studio

        self._rng, self._about = rng, set(unit.involved)
        first: Scene = scenes[0].scene
        self._studio: Studio = _studio_of(Studio(split=scenes[0].split, library=first.library))
        about = [s for s in scenes if any(self._is_about(t.name, t.concepts) for t in s.things)]
        active = [s for s, t in zip(scenes, unit.truth(scenes), strict=True) if t[0] >= 0.5]
        # pictures of what the unit is about, active or not, and a few of anything
        self._from = [p for p in (about, active, list(scenes)) if p]
        self._wanted = {c: mine for c in unit.involved if (mine := _stamps_of(self._studio, c))}
        self._grounds = [s.scene.background for s in scenes]

    def _is_about(self, name: str, concepts: Sequence[str]) -> bool:
        return not self._about.isdisjoint((name, *concepts))

    def make(self) -> tuple[Stimulus, Stimulus]:
        """A held-out scene, and the scene after one or two edits."""
        rng = self._rng
        source = self._from[min(int(rng.integers(5)) // 2, len(self._from) - 1)]
        original = source[int(rng.integers(len(source)))]
        scene: Scene = original.scene
        for _ in range(1 + int(rng.random() < 0.35)):
            scene = _EDITS[int(rng.integers(len(_EDITS)))](self, scene)
        return original, lazily(scene)

    # --- edits -----------------------------------------------------------------------------------------------------
    def remove(self, scene: Scene) -> Scene:
        return scene.without(self._one(scene)) if len(scene.placements) > 1 else scene

    def replace(self, scene: Scene) -> Scene:
        """Another thing in its place: of what the unit involves, or any."""
        from maieutic.stimuli.studio import place

        i = self._one(scene)
        old, new = scene.placements[i], self._stamp()
        return scene.without(i).plus(place(new, x=old.x, y=old.y, scale=max(old.scale, 0.25)))

    def move(self, scene: Scene) -> Scene:
        from maieutic.stimuli.studio import place

        i = self._one(scene)
        old = scene.placements[i]
        x, y = (float(v) for v in self._rng.uniform(0.15, 0.85, 2))
        new = place(scene.library.pictures[old.stamp], x=x, y=y, scale=old.scale, flip=old.flip)
        return scene.without(i).plus(new)

    def resize(self, scene: Scene) -> Scene:
        return scene.scaled(float(self._rng.choice((0.5, 0.7, 1.4, 1.8))), self._one(scene))

    def recolour(self, scene: Scene) -> Scene:
        return scene.recoloured(float(self._rng.uniform(60, 300)), self._one(scene))

    def reground(self, scene: Scene) -> Scene:
        return scene.on(self._ground())

    def add(self, scene: Scene) -> Scene:
        """One more thing."""
        from maieutic.stimuli.studio import place

        x, y = (float(v) for v in self._rng.uniform(0.15, 0.85, 2))
        return scene.plus(place(self._stamp(), x=x, y=y, scale=float(self._rng.uniform(0.25, 0.45))))

    def alone(self, scene: Scene) -> Scene:
        """One of its things by itself, where it stood."""
        from dataclasses import replace

        return replace(scene, placements=(scene.placements[self._one(scene)],))

    def _one(self, scene: Scene) -> int:
        """A thing that the unit is about, two times in three."""
        mine = [i for i, t in enumerate(scene.things()) if self._is_about(t.name, t.concepts)]
        choices = mine if mine and self._rng.random() < 0.67 else list(range(len(scene.placements)))
        return choices[int(self._rng.integers(len(choices)))]

    def _stamp(self) -> Picture:
        """A stamp of what the unit involves, three times in four."""
        names = list(self._wanted)
        if names and self._rng.random() < 0.75:
            stamps = self._wanted[names[int(self._rng.integers(len(names)))]]
        else:
            stamps = _stamps_of(self._studio, None)
        return stamps[int(self._rng.integers(len(stamps)))]

    def _ground(self) -> Background:
        """A ground of the held-out pictures, or of a colour: half the time what the unit involves."""
        from maieutic.stimuli.vivid import VIVID, vivid

        rng = self._rng
        colours = sorted(self._about & set(VIVID))
        kinds = [g for g in self._grounds if g.kind in self._about]
        if colours and rng.random() < 0.5:
            return vivid(colours[int(rng.integers(len(colours)))], rng)
        if kinds and rng.random() < 0.5:
            return kinds[int(rng.integers(len(kinds)))]
        if rng.random() < 0.4:
            return vivid(list(VIVID)[int(rng.integers(len(VIVID)))], rng)
        return self._grounds[int(rng.integers(len(self._grounds)))]


_EDITS: tuple[Callable[[_Editor, Scene], Scene], ...] = (
    _Editor.remove, _Editor.replace, _Editor.move, _Editor.reground, _Editor.add, _Editor.alone, _Editor.replace,
    _Editor.resize, _Editor.recolour, _Editor.move, _Editor.reground,
)  # fmt: skip


@dataclass(slots=True)
class _Render:
    """Renders a scene when somebody looks, once."""

    scene: Scene
    picture: object = None

    def __call__(self) -> object:
        if self.picture is None:
            self.picture = self.scene.render()
        return self.picture


def lazily(scene: Scene) -> Stimulus:
    """The scene as a stimulus that is rendered when its pixels are asked for; its id is of the recipe."""
    recipe = repr((scene.background, scene.placements, scene.effects, scene.covers, scene.size))
    first = scene.library.pictures[scene.placements[0].stamp]
    kind = "several" if len(scene.placements) > 1 else "scene"
    return Stimulus(
        id=hashlib.sha256(f"{scene.library.fingerprint}|{recipe}".encode()).hexdigest(),
        modality="image",
        load=_Render(scene),
        group=first.group,
        split=first.split,
        tags=(kind, f"background:{scene.background.kind}", f"background:{scene.background.name}"),
        things=scene.things(),
        scene=scene,
        source=first.source,
    )


@lru_cache(maxsize=4)
def _studio_of(studio: Studio) -> Studio:
    """The same studio for all units, so that what is looked up is kept."""
    return studio


@lru_cache(maxsize=4096)
def _stamps_of(studio: Studio, concept: str | None) -> list[Picture]:
    """Stamps of exactly this concept, or all."""
    return [s for s in studio.stamps() if concept is None or concept == s.name or concept in s.concepts]
