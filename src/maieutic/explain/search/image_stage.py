"""Where the pictures of experiments are made: edited scenes, fresh pastes, near misses, neutral backgrounds.

A composed scene is edited exactly, by its masks. A plain photo has no mask: then only whole-picture edits are made
(grey, one half hidden). Pasted stamps come from the discover split, those not among the unit's strongest images first.
Neutral backgrounds are textures that the unit was seen to rest on; a blank page is not neutral for a network
trained on photos. It neither measures nor predicts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from maieutic.explain.search.image_edits import Edit
from maieutic.explain.search.image_table import ImageTable
from maieutic.stimuli.base import Stimulus
from maieutic.stimuli.scenes import SIZE, Background, Placement, Scene, image_id
from maieutic.stimuli.studio import Studio, background_of, place, rng

if TYPE_CHECKING:
    from PIL.Image import Image

    from maieutic.stimuli.library import Picture

_NEUTRAL = 4
_SHADES = ("#101010", "#efefef")


class Stage:
    """Makes the pictures of one unit's experiments.

    Args:
        table: the discover images.
        y: the unit's scaled activation on them, ``[image]``.
        seed: fixes every choice.
    """

    def __init__(self, table: ImageTable, y: NDArray[np.float64], *, seed: int = 0) -> None:
        self._seed = seed
        order = np.argsort(-y, kind="stable")
        self._ranked = [table.stimuli[int(i)] for i in order]
        self._values: list[float] = y[order].tolist()
        self._found: dict[tuple[str, str], list[Picture]] = {}
        self._strong = {s.group for s in self._ranked[: max(20, len(y) // 20)]}
        scene = next((s.scene for s in self._ranked if isinstance(s.scene, Scene)), None)
        self.studio = None if scene is None else Studio(split="discover", library=scene.library, seed=seed)
        self._side = SIZE if scene is None else scene.size
        self.neutral = self._neutral()

    def _neutral(self) -> list[Background]:
        """Grounds of scenes on which the unit was weak: textures first, one of each, seeded crops."""
        if self.studio is None:
            return []
        weak = [s.scene for s in self._ranked[len(self._ranked) // 2 :] if isinstance(s.scene, Scene)]
        keys = dict.fromkeys(s.background.key for s in weak if s.background.kind == "texture")
        known = {p.key: p for p in self.studio.textures()}
        chosen = [background_of(known[k], rng(self._seed, "neutral", k)) for k in keys if k in known][:_NEUTRAL]
        plain = [s.background for s in weak if s.background.kind == "plain"]
        return [*chosen, *plain][:_NEUTRAL] or [Background(kind="plain", key="#8a8a8a", shade=0.2)]

    @cached_property
    def plain(self) -> list[Background]:
        """Plain and blurred grounds on which the unit was weak, of different kinds."""
        weak = [s.scene.background for s in self.scenes(strong=False, n=40)]
        kinds = {kind: [b for b in weak if b.kind == kind][:2] for kind in ("plain", "photo")}
        return [b for some in kinds.values() for b in some]

    def scenes(self, *, strong: bool, n: int, least: float = 0.15) -> list[Stimulus]:
        """Scenes on which the unit was strongest (above ``least``), or weak ones; one a group before a second of any."""
        if strong:
            some = [s for s, v in zip(self._ranked, self._values, strict=True) if v >= least]
        else:
            some = [s for s, v in zip(self._ranked, self._values, strict=True) if v < least]
            some = [some[i] for i in rng(self._seed, "weak").permutation(len(some)).tolist()]
        seen: Counter[str] = Counter()
        ranked: list[tuple[int, int, Stimulus]] = []
        for at, s in enumerate(some):
            if isinstance(s.scene, Scene) and s.scene.placements:
                ranked.append((seen[s.group], at, s))
                seen[s.group] += 1
        return [s for _, _, s in sorted(ranked, key=lambda r: r[:2])[:n]]

    def scene(self, ground: Background, *placements: Placement) -> Scene:
        """A new scene of the size that the corpus has."""
        assert self.studio is not None
        return Scene(background=ground, placements=placements, size=self._side, library=self.studio.library)

    def picture(self, key: str) -> Picture:
        """The stamp of that key."""
        assert self.studio is not None
        return self.studio.library.pictures[key]

    # --- scenes ----------------------------------------------------------------------------------------------------
    def can_edit(self, stimulus: Stimulus, concept: str | None) -> bool:
        """Whether experiments can be made of it: a scene showing the concept; any picture when there are no scenes."""
        if self.studio is None:
            return True
        return isinstance(stimulus.scene, Scene) and bool(_shown(stimulus, concept))

    @staticmethod
    def can_edit_whole(stimulus: Stimulus) -> bool:
        """Whether it is a photo, of which only whole-picture edits can be made."""
        return not isinstance(stimulus.scene, Scene)

    def edit(self, stimulus: Stimulus, edit: Edit, concept: str | None, *, number: int = 0) -> Stimulus | None:
        """The edited picture, or ``None`` when this edit cannot be made of this picture.

        Args:
            stimulus: a scene, or a photo for whole-picture edits.
            edit: what to do.
            concept: to which things; ``None``: to all of them.
            number: which neutral background or near miss to use, modulo how many there are.
        """
        scene = stimulus.scene
        if not isinstance(scene, Scene):
            maker = _WHOLE.get(edit.kind)
            return None if maker is None else _redone(stimulus, maker)
        which = _shown(stimulus, concept)
        if not which:
            return None
        if edit.kind == "remove":
            for i in reversed(which):
                scene = scene.without(i)
        elif edit.kind == "background":
            scene = scene.on(self.neutral[number % len(self.neutral)])
        elif edit.kind == "replace":
            changed = self._replaced(scene, which, concept, number)
            if changed is None:
                return None
            scene = changed
        elif edit.kind == "grey":
            scene = scene.grey()
        else:
            for i in which:
                scene = _ON_THING[edit.kind](scene, i, stimulus)
        return staged(scene)

    def _replaced(self, scene: Scene, which: Sequence[int], concept: str | None, number: int) -> Scene | None:
        others = self.others(concept) if concept else []
        if not others:
            return None
        for i in reversed(which):
            old, new = scene.placements[i], others[number % len(others)]
            scene = scene.without(i).plus(place(new, x=old.x, y=old.y, scale=old.scale))
        return scene

    # --- fresh pictures --------------------------------------------------------------------------------------------
    def paste(self, concept: str, n: int) -> list[Stimulus]:
        """Stamps of the concept on neutral backgrounds, one a picture; stamps not seen to be strong come first."""
        return self._pasted(self.stamps(concept), n)

    def near_misses(self, concept: str, n: int) -> list[Stimulus]:
        """Siblings of the concept on the same backgrounds: stamps that share its hypernyms but not the concept."""
        return self._pasted(self.others(concept), n)

    def empty(self) -> list[Stimulus]:
        """The neutral backgrounds without anything."""
        return [] if self.studio is None else [staged(self.studio.empty(b)) for b in self.neutral]

    def stamps(self, concept: str) -> list[Picture]:
        """Stamps under the concept, one a group before a second of any, those of strong images last."""
        if self.studio is None:
            return []
        key = ("stamps", concept)
        if key not in self._found:
            every = [p for p in _all_stamps(self.studio) if concept in p.concepts or concept == p.name]
            self._found[key] = self._dealt(every, f"paste {concept}")
        return self._found[key]

    def parts_named(self, concept: str) -> str | None:
        """A thing whose name is the stem of a word of the concept ("wheel" of "wheeled vehicle")."""
        if self.studio is None:
            return None
        words = concept.split()
        for other in self.studio.concepts():
            stem = len(other) >= 4 and any(w != other and w.startswith(other) for w in words)
            if stem and not any(concept in p.concepts for p in self.stamps(other)):
                return other
        return None

    def others(self, concept: str) -> list[Picture]:
        """Stamps without the concept, those with most of its hypernyms first."""
        if self.studio is None:
            return []
        key = ("others", concept)
        if key not in self._found:
            every = _all_stamps(self.studio)
            members = [p.concepts for p in every if concept in p.concepts or concept == p.name]
            above = {c for chain in members if concept in chain for c in chain[chain.index(concept) + 1 :]}
            rest = [p for p in every if concept not in p.concepts and concept != p.name]
            rest = self._dealt(rest, f"near {concept}")
            self._found[key] = sorted(rest, key=lambda p: -len(above & set(p.concepts)))
        return self._found[key]

    def _dealt(self, pictures: Sequence[Picture], purpose: str) -> list[Picture]:
        """A seeded order: unseen groups before strong ones, one a group before a second of any."""
        order = rng(self._seed, purpose).permutation(len(pictures))
        seen: dict[str, int] = {}
        ranked: list[tuple[int, bool, int]] = []
        for at, j in enumerate(order.tolist()):
            group = pictures[j].group
            seen[group] = seen.get(group, -1) + 1
            ranked.append((seen[group], group in self._strong, at))
        return [pictures[int(order[at])] for _, _, at in sorted(ranked)]

    def _pasted(self, pictures: Sequence[Picture], n: int) -> list[Stimulus]:
        if self.studio is None:
            return []
        return [
            staged(self.scene(self.neutral[k % len(self.neutral)], place(p, x=0.5, y=0.5, scale=0.75)))
            for k, p in enumerate(pictures[:n])
        ]


@lru_cache(maxsize=8)
def _all_stamps(studio: Studio) -> list[Picture]:
    """Every stamp of a studio: what each belongs to is looked up once."""
    return studio.stamps()


def tags_of(scene: Scene) -> tuple[str, ...]:
    """The tags that the photo corpus gives to composed pictures."""
    kind = "several" if len(scene.placements) > 1 else "scene"
    return (kind, f"background:{scene.background.kind}", f"background:{scene.background.name}")


def staged(scene: Scene) -> Stimulus:
    """A scene as a stimulus with its tags."""
    return scene.stimulus(tags=tags_of(scene))


def _shown(stimulus: Stimulus, concept: str | None) -> list[int]:
    """Numbers of the placements that show the concept (all when ``None``)."""
    return [i for i, t in enumerate(stimulus.things) if concept is None or concept in t.concepts or concept == t.name]


def _silhouette(scene: Scene, i: int, stimulus: Stimulus) -> Scene:
    """Dark on a light scene, light on a dark one: a silhouette must be seen."""
    small = np.asarray(stimulus.content.convert("L").resize((8, 8)), dtype=np.float64)
    return scene.silhouette(i, _SHADES[int(small.mean() < 90)])


@dataclass(frozen=True, slots=True)
class _Cut:
    """Takes a part of the thing away, in fractions of its own box."""

    box: tuple[float, float, float, float]

    def __call__(self, scene: Scene, i: int, _: Stimulus) -> Scene:
        return scene.occluded(self.box, i)


_ON_THING: dict[str, Callable[[Scene, int, Stimulus], Scene]] = {
    "silhouette": _silhouette,
    "upper hidden": _Cut((0.0, 0.0, 1.0, 0.5)),
    "lower hidden": _Cut((0.0, 0.5, 1.0, 1.0)),
}


# --- whole pictures, for photos without masks ----------------------------------------------------------------------
def _redone(stimulus: Stimulus, make: Callable[[Image], Image]) -> Stimulus:
    """The picture after a whole-picture edit; its annotations stay."""
    image = make(stimulus.content.convert("RGB"))
    return replace(stimulus, id=image_id(image), load=lambda: image, scene=None)


def _grey(image: Image) -> Image:
    return image.convert("L").convert("RGB")


def _hidden(image: Image, *, upper: bool) -> Image:
    """One half under noise about the picture's own mean colour: a plain patch would be a strong edge of its own."""
    from PIL import Image as Pictures

    pixels = np.asarray(image).astype(np.float64)
    half = pixels.shape[0] // 2
    rows = slice(0, half) if upper else slice(half, None)
    noise = np.random.default_rng(half).normal(0.0, 12.0, size=(*pixels[rows].shape[:2], 1))
    pixels[rows] = pixels.mean(axis=(0, 1)) + noise
    return Pictures.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


_WHOLE: dict[str, Callable[[Image], Image]] = {
    "grey": _grey,
    "upper hidden": lambda image: _hidden(image, upper=True),
    "lower hidden": lambda image: _hidden(image, upper=False),
}
