"""Candidate pictures that could tell rival rules apart: things pasted, taken out, moved, joined, put on other grounds.

Everything here is a recipe (a ``Scene``): what rules say of it is known from its things and places, and it is rendered
when a rule asks for its colours or when it is chosen to be shown. Choosing is `inquiry`'s work.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from maieutic.explain.predicates.base import And, Not, Or, Predicate
from maieutic.explain.predicates.image import Colour, Texture
from maieutic.explain.predicates.image_pixels import pixel_features
from maieutic.explain.search.image_rivals import Rival
from maieutic.explain.search.image_stage import Stage, staged, tags_of
from maieutic.explain.search.image_words import concepts_in
from maieutic.explain.views_image import KINDS, ImageView, mask_at, shares_of
from maieutic.stimuli.base import Stimulus
from maieutic.stimuli.scenes import Background, Scene
from maieutic.stimuli.studio import place

Floats = NDArray[np.float64]
_TOPICS, _SCENES = 6, 4
#: clear of every boundary between places
_CORNERS = ((0.27, 0.27), (0.73, 0.73), (0.73, 0.27), (0.27, 0.73), (0.44, 0.56))
#: recipes whose colours are worth rendering for
_RENDERED = 72


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A scene that could be shown, and what was done to make it."""

    scene: Scene
    kind: str
    made: list[Stimulus] = field(default_factory=list[Stimulus], compare=False)
    seen: list[ImageView] = field(default_factory=list[ImageView], compare=False)
    looks: list[NDArray[np.float32]] = field(default_factory=list[NDArray[np.float32]], compare=False)

    def stimulus(self) -> Stimulus:
        """The picture, rendered once."""
        if not self.made:
            self.made.append(staged(self.scene))
        return self.made[0]

    def view(self) -> ImageView:
        """What predicates see, worked out once; pixels only when asked for."""
        if not self.seen:
            things = self.scene.things()
            bare = Stimulus(id="", modality="image", load=lambda: None, tags=tags_of(self.scene), things=things)
            self.seen.append(ImageView(shares=shares_of(bare), things=things, pixels=self._pixels))
        return self.seen[0]

    def _pixels(self) -> NDArray[np.float32]:
        if not self.looks:
            self.looks.append(pixel_features(self.stimulus().content, mask_at(self.scene.mask())))
        return self.looks[0]


def recipes(
    stage: Stage, rivals: Sequence[Rival], strong: Sequence[Stimulus], weak: Sequence[Stimulus]
) -> list[Recipe]:
    """Candidates about everything that the rivals differ in; fewer when their colours matter, as that takes time."""
    if stage.studio is None:
        return []
    atoms = [a for r in rivals for c in r.rule.clauses for a in atoms_of(c.predicate)]
    topics = list(dict.fromkeys(c for a in atoms for c in concepts_in(a) if c not in KINDS))[:_TOPICS]
    grounds = any(isinstance(a, Colour | Texture) or set(concepts_in(a)) & KINDS for a in atoms)
    sources = (
        _things(stage, topics, strong, weak),
        _pairs(stage, topics),
        _grounds(stage, strong, weak, many=grounds),
        _whole(strong) if grounds else iter(()),
    )
    made = _dealt([list(s) for s in sources])
    unique = list({(r.scene.background, r.scene.placements, r.scene.effects): r for r in made}.values())
    pixels = any(isinstance(a, Colour | Texture) for a in atoms)
    return unique[:_RENDERED] if pixels else unique


def atoms_of(predicate: Predicate) -> Iterator[Predicate]:
    """The elementary conditions of a clause."""
    if isinstance(predicate, And | Or):
        for part in predicate.parts:
            yield from atoms_of(part)
    elif isinstance(predicate, Not):
        yield from atoms_of(predicate.part)
    else:
        yield predicate


def _dealt(sources: Sequence[list[Recipe]]) -> list[Recipe]:
    """One of each source in turn."""
    out: list[Recipe] = []
    for i in range(max((len(s) for s in sources), default=0)):
        out += [s[i] for s in sources if i < len(s)]
    return out


def _things(
    stage: Stage, topics: Sequence[str], strong: Sequence[Stimulus], weak: Sequence[Stimulus]
) -> Iterator[Recipe]:
    """Each thing alone, in every corner, large and small; taken out of strong scenes, put into weak ones."""
    columns = [list(_one_thing(stage, c, strong, weak)) for c in topics]
    yield from _dealt(columns)


def _one_thing(stage: Stage, concept: str, strong: Sequence[Stimulus], weak: Sequence[Stimulus]) -> Iterator[Recipe]:
    stamps, grounds = stage.stamps(concept), stage.neutral
    having = [s.scene for s in strong if _numbers(s.scene, concept)]
    lacking = [s.scene for s in (*strong, *weak) if not _numbers(s.scene, concept)]
    if not stamps:
        return
    for k, (x, y) in enumerate(_CORNERS):
        stamp = stamps[k % len(stamps)]
        alone = place(stamp, x=x, y=y, scale=0.4)
        yield Recipe(scene=stage.scene(grounds[k % len(grounds)], alone), kind="paste")
        if k < len(having):
            scene = having[k]
            i = _numbers(scene, concept)[0]
            yield Recipe(scene=without(scene, concept), kind="remove")
            yield Recipe(scene=replace(scene, placements=(scene.placements[i],)), kind="isolate")
            old = scene.placements[i]
            moved = place(stage.picture(old.stamp), x=1 - old.x, y=1 - old.y, scale=old.scale, flip=old.flip)
            yield Recipe(scene=scene.without(i).plus(moved), kind="move")
            for miss in stage.others(concept)[k : k + 1]:
                new = place(miss, x=old.x, y=old.y, scale=old.scale)
                yield Recipe(scene=without(scene, concept).plus(new), kind="replace")
        if k < len(lacking):
            yield Recipe(scene=lacking[k].plus(place(stamp, x=1 - x, y=y, scale=0.35)), kind="add")
        if k < 2:
            yield Recipe(scene=stage.scene(grounds[0], place(stamp, x=0.44, y=0.56, scale=(0.2, 0.85)[k])), kind="size")
    for miss in stage.others(concept)[:3]:
        yield Recipe(scene=stage.scene(grounds[0], place(miss, x=0.44, y=0.56, scale=0.5)), kind="near miss")


def without(scene: Scene, concept: str) -> Scene:
    """Everything of the concept taken out."""
    for i in reversed(_numbers(scene, concept)):
        scene = scene.without(i)
    return scene


def _numbers(scene: Scene, concept: str) -> list[int]:
    return [i for i, t in enumerate(scene.things()) if concept == t.name or concept in t.concepts]


def _pairs(stage: Stage, topics: Sequence[str]) -> Iterator[Recipe]:
    """Two things of different topics beside, above and on one another."""
    spots = (
        ((0.27, 0.5), (0.73, 0.5)),
        ((0.73, 0.5), (0.27, 0.5)),
        ((0.5, 0.27), (0.5, 0.73)),
        ((0.5, 0.73), (0.5, 0.27)),
    )
    pairs = [(a, b) for i, a in enumerate(topics) for b in topics[i + 1 :]]
    for k, (at, by) in enumerate((*spots, ((0.44, 0.44), (0.5, 0.55)))):
        for a, b in pairs[:6]:
            mine, other = stage.stamps(a), stage.stamps(b)
            if mine and other and mine[k % len(mine)].key != other[k % len(other)].key:
                ground = stage.neutral[k % len(stage.neutral)]
                two = (
                    place(mine[k % len(mine)], x=at[0], y=at[1], scale=0.35),
                    place(other[k % len(other)], x=by[0], y=by[1], scale=0.35),
                )
                yield Recipe(scene=stage.scene(ground, *two), kind="pair")


def _grounds(stage: Stage, strong: Sequence[Stimulus], weak: Sequence[Stimulus], *, many: bool) -> Iterator[Recipe]:
    """Strong scenes on other grounds, other things on the grounds of strong scenes, and the grounds alone."""
    others: list[Background] = [*stage.neutral, *stage.plain]
    n = _SCENES if many else 2
    for k, s in enumerate(strong[:n]):
        for ground in others[k % 2 :: 2] if many else others[k : k + 1]:
            yield Recipe(scene=s.scene.on(ground), kind="background")
        if k < len(weak):
            yield Recipe(scene=weak[k].scene.on(s.scene.background), kind="background")
        if many:
            yield Recipe(scene=replace(s.scene, placements=()), kind="empty")


def _whole(strong: Sequence[Stimulus]) -> Iterator[Recipe]:
    """Strong scenes in other colours."""
    for s in strong[:_SCENES]:
        yield Recipe(scene=s.scene.grey(), kind="grey")
        scene: Scene = s.scene
        for i in range(len(scene.placements)):
            scene = scene.recoloured(150.0, i)
        yield Recipe(scene=scene, kind="recolour")
