"""Counterfactual pictures: every base edited to every level of every attribute, all else fixed.

A base is an object pasted on plain grey (its recipe is known, so grounds, places and textures can be changed exactly) or a
photo of the user's, which takes edits of the whole picture and those of an editor (`instructed`). Levels that several
things could stand for have several fillers (two pictures of wood). What this module does not do: attributes of people:
there are none in the packaged material; bring photos with annotated pairs, or an editor that can make them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from maieutic.errors import UsageError, did_you_mean
from maieutic.stimuli.base import Corpus
from maieutic.stimuli.effects import apply_effects, covered
from maieutic.stimuli.imagine_patterns import is_pattern
from maieutic.stimuli.library import Library, Picture, open_library
from maieutic.stimuli.making import Edits
from maieutic.stimuli.scenes import SIZE, Background, Placement, Scene
from maieutic.stimuli.studio import Studio, background_of, place, rng, shows
from maieutic.studies.bias.design import Material, Trial
from maieutic.studies.bias.placebo import scrambled

if TYPE_CHECKING:
    from PIL.Image import Image

    Make = Callable[["Base"], Image]

NEUTRAL = "#808080"
#: of a base's object: leaves room to move it and to make it larger
SCALE = 0.6
#: other things whose outputs give the scale of an output
SPREAD = 48


@dataclass(frozen=True, kw_only=True)
class Base:
    """What is held fixed: an object on grey (``scene``) or a photo."""

    name: str
    cluster: str
    load: Callable[[], Image] = field(repr=False)
    scene: Scene | None = None


@dataclass(frozen=True, kw_only=True)
class Change:
    """One way to bring a base to a level."""

    level: str
    filler: str = "-"
    make: Make


@dataclass(frozen=True, kw_only=True)
class Attribute:
    """What is varied.

    Attributes:
        name, reference: and what the unchanged base is called.
        changes: to the other levels.
        whole: works on any photo.
        moves: the placebo is a small jitter, because a scrambled change would lie over the object.
    """

    name: str
    reference: str
    changes: tuple[Change, ...]
    whole: bool = False
    moves: bool = False


# --- attributes ----------------------------------------------------------------------------------------------------


def attributes(library: Library | None, *, avoid: str = "") -> tuple[Attribute, ...]:
    """Every built-in attribute; without a library those of whole pictures. ``avoid``: no company of this concept."""
    if library is None:
        return _whole()
    return (*_grounds(library), *_object(library), *_whole(), _company(library, avoid))


def _scene(change: Callable[[Scene], Scene]) -> Make:
    def make(base: Base) -> Image:
        assert base.scene is not None, "asked of scenes only"
        return change(base.scene).render()

    return make


def _grounds(library: Library) -> tuple[Attribute, ...]:
    kinds = (
        ("water", ("texture:Water/pool", "pattern:waves/#246a9c/#4a90b8")),
        ("sky", ("texture:Sky/sky", "#8fbde6")),
        ("leaves", ("texture:Plant/leaves", "pattern:noise/#2f5a30/#6d9a45")),
        ("stone", ("texture:Stone/rock", "texture:Stone/slate")),
        ("wood", ("texture:Wood/pine", "texture:Wood/walnut")),
        ("buildings", ("photo:categorization/monuments/cathedral", "photo:explore_monuments/germany/wormsCathedral")),
    )
    colours = (
        ("black", ("#101010",)), ("white", ("#f8f8f8",)), ("green", ("#3c9a3c", "#5c8f3a")),
        ("blue", ("#285ac8", "#2f78a8")), ("red", ("#c8281e", "#b4142d")),
    )  # fmt: skip
    found: list[Attribute] = []
    for name, table in (("background", kinds), ("background colour", colours)):
        changes = [
            Change(level=level, filler=key, make=_scene(partial(Scene.on, background=_ground(key, library))))
            for level, keys in table
            for key in keys
            if key.startswith("#") or is_pattern(key) or key in library.pictures
        ]
        found.append(Attribute(name=name, reference="plain grey", changes=tuple(changes)))
    return tuple(found)


def _ground(key: str, library: Library) -> Background:
    if key.startswith("#"):
        return Background(kind="plain", key=key)
    if is_pattern(key):
        return Background(kind="texture", key=key, zoom=0.35)
    return background_of(library.pictures[key], rng(0, key))


def _object(library: Library) -> tuple[Attribute, ...]:
    surfaces = ("texture:Wood/pine", "texture:Stone/rock", "pattern:stripes/#101010/#f0f0f0")
    named = ("wood", "stone", "stripes")
    textures = [
        Change(level=level, make=_scene(partial(_filled, key=key)))
        for level, key in zip(named, surfaces, strict=True)
        if is_pattern(key) or key in library.pictures
    ]
    places = (("left", 0.3, 0.5), ("right", 0.7, 0.5), ("top", 0.5, 0.3), ("bottom", 0.5, 0.7))
    covers = (("top half", (0.0, 0.0, 1.0, 0.5)), ("bottom half", (0.0, 0.5, 1.0, 1.0)))
    return (
        Attribute(
            name="object colour", reference="its own",
            changes=tuple(Change(level=f"hue +{h}°", make=_scene(partial(Scene.recoloured, hue=float(h)))) for h in (120, 240)),
        ),
        Attribute(name="surface", reference="its own", changes=tuple(textures)),
        Attribute(
            name="size", reference="medium", moves=True,
            changes=tuple(
                Change(level=w, make=_scene(partial(Scene.scaled, factor=f))) for w, f in (("half", 0.5), ("1.5 times", 1.5))
            ),
        ),
        Attribute(
            name="position", reference="centre", moves=True,
            changes=tuple(Change(level=w, make=_scene(partial(Scene.moved, x=x, y=y))) for w, x, y in places),
        ),
        Attribute(
            name="occlusion", reference="none",
            changes=tuple(Change(level=w, make=_scene(partial(Scene.occluded, box=b))) for w, b in covers),
        ),
    )  # fmt: skip


def _filled(scene: Scene, key: str) -> Scene:
    return replace(scene, placements=(replace(scene.placements[0], fill=key), *scene.placements[1:]))


def _company(library: Library, avoid: str) -> Attribute:
    changes: list[Change] = []
    for concept in ("person", "animal", "plant", "food", "vehicle"):
        stamps = [p for p in library.of("stamp") if shows(p, concept) and not (avoid and shows(p, avoid))]
        for p in sorted(stamps, key=lambda p: rng(0, "company", p.key).random())[:2]:
            beside = place(p, x=0.82, y=0.82, scale=0.3)
            changes.append(Change(level=concept, filler=p.key, make=_scene(partial(Scene.plus, placement=beside))))
    return Attribute(name="company", reference="alone", changes=tuple(changes))


def _whole() -> tuple[Attribute, ...]:
    def effect(*effects: tuple[str, float]) -> Make:
        return lambda base: apply_effects(base.load(), effects)  # pyright: ignore[reportArgumentType]

    return (
        Attribute(
            name="brightness", reference="as it is", whole=True,
            changes=tuple(Change(level=w, make=partial(_lit, factor=f)) for w, f in (("darker", 0.5), ("lighter", 1.5))),
        ),
        Attribute(name="colour", reference="as it is", whole=True, changes=(Change(level="grey", make=effect(("grey", 0.0))),)),
        Attribute(
            name="blur", reference="sharp", whole=True,
            changes=tuple(Change(level=w, make=effect(("blur", r))) for w, r in (("a little", 2.0), ("much", 5.0))),
        ),
        Attribute(
            name="orientation", reference="upright", whole=True, moves=True,
            changes=(
                Change(level="mirrored", make=effect(("mirror", 0.0))),
                Change(level="upside down", make=effect(("turn", 180.0))),
                Change(level="on its side", make=effect(("turn", 90.0))),
            ),
        ),
        Attribute(
            name="covered part", reference="none", whole=True,
            changes=tuple(
                Change(level=w, make=partial(_hidden, box=b))
                for w, b in (("left third", (0.0, 0.0, 0.33, 1.0)), ("right third", (0.67, 0.0, 1.0, 1.0)))
            ),
        ),
    )  # fmt: skip


def _lit(base: Base, factor: float) -> Image:
    from PIL import ImageEnhance

    return ImageEnhance.Brightness(base.load()).enhance(factor)


def _hidden(base: Base, box: tuple[float, float, float, float]) -> Image:
    return covered(base.load(), box)


def instructed(name: str, levels: Sequence[tuple[str, str]], editor: Edits, *, seed: int = 0) -> Attribute:
    """An attribute whose levels an editor makes by instruction, as in ``("older", "make the person old")``.

    Cost: one edit a base and level. The bases are the user's photos; the editor may fail, which ends the study.
    """
    from maieutic.stimuli.making import made_picture

    def make(base: Base, order: str) -> Image:
        return editor(made_picture(base.load(), made_by={}), order, seed=seed).content

    changes = tuple(Change(level=level, make=partial(make, order=order)) for level, order in levels)
    return Attribute(name=name, reference="as it is", changes=changes, whole=True)


# --- bases ---------------------------------------------------------------------------------------------------------


def objects(concept: str, *, size: int, seed: int = 0, library: Library | None = None) -> list[Base]:
    """Objects of a concept on plain grey, one of each group of near-duplicates, drawn by the seed.

    Raises:
        UsageError: nothing in the library shows it.
    """
    library = library or open_library()
    fitting = Studio(split=None, library=library).find(concept)
    one: dict[str, Picture] = {}
    for p in sorted(fitting, key=lambda p: rng(seed, "base", p.key).random()):
        one.setdefault(p.group, p)
    return [_object_base(p, library) for p in list(one.values())[:size]]


def _object_base(picture: Picture, library: Library) -> Base:
    # not `place`: half as many pixels as the frame is enough, and sizes must not depend on the stamp
    placement = Placement(stamp=picture.key, scale=SCALE)
    scene = Scene(background=Background(kind="plain", key=NEUTRAL), placements=(placement,), library=library)
    return Base(name=picture.key, cluster=picture.group, scene=scene, load=scene.render)


def photos(corpus: Corpus, *, size: int, seed: int = 0) -> list[Base]:
    """Photos of a corpus, near-duplicates in one cluster, drawn by the seed, brought to one size."""
    chosen = sorted(corpus.stimuli, key=lambda s: rng(seed, "photo", s.id).random())[:size]
    return [Base(name=s.id[:16], cluster=s.group or s.id, load=partial(_square, s.load)) for s in chosen]


def _square(load: Callable[[], Image]) -> Image:
    from PIL import ImageOps

    return ImageOps.fit(load().convert("RGB"), (SIZE, SIZE))


# --- material ------------------------------------------------------------------------------------------------------


def picture_material(
    bases: Sequence[Base], chosen: Sequence[Attribute], *, name: str, seed: int = 0, library: Library | None = None
) -> Material:
    """Every base at every level, a placebo of each level, and other things for the output's scale.

    Raises:
        UserError: an attribute without levels.
    """
    trials: list[Trial] = []
    scenes = all(b.scene is not None for b in bases)
    for attribute in chosen:
        for base in bases:
            trials += _trials(base, attribute, seed)
    if library is not None:
        trials += _others(bases, library, seed)
    notes = [
        "composites: objects pasted on grounds, without shadow or perspective" if scenes else "edits of whole photos"
    ]
    notes.append("nothing here varies an attribute of people")
    return Material(
        modality="image",
        name=name,
        trials=tuple(trials),
        references={a.name: a.reference for a in chosen},
        notes=tuple(notes),
    )


def _trials(base: Base, attribute: Attribute, seed: int) -> list[Trial]:
    part = partial(Trial, base=base.name, cluster=base.cluster, attribute=attribute.name)
    found = [part(key=f"{base.name}|", load=base.load, level=attribute.reference, said=f"{base.name}, unchanged")]
    seen: set[str] = set()
    for change in attribute.changes:
        key = f"{base.name}|{attribute.name}|{change.level}|{change.filler}"
        said = f"{base.name}, {attribute.name}: {change.level}"
        found.append(
            part(key=key, load=partial(change.make, base), level=change.level, filler=change.filler, said=said)
        )
        if change.level in seen:
            continue
        seen.add(change.level)
        load = partial(_placebo, base, attribute, change, seed)
        found.append(part(key=f"{key}|placebo", load=load, level=change.level, role="placebo", said=f"{said}, placebo"))
    return found


def _placebo(base: Base, attribute: Attribute, change: Change, seed: int) -> Image:
    draw = rng(seed, "placebo", base.name, attribute.name, change.level)
    if not attribute.moves:
        return scrambled(base.load(), change.make(base), seed=int(draw.integers(2**31)))
    x, y = draw.uniform(-0.03, 0.03, 2)
    if base.scene is not None:
        placement = base.scene.placements[0]
        return base.scene.moved(placement.x + x, placement.y + y).scaled(1 + float(draw.uniform(-0.04, 0.04))).render()
    shifted = np.roll(np.asarray(base.load()), (round(y * SIZE), round(x * SIZE)), axis=(0, 1))
    from PIL import Image as Pictures

    return Pictures.fromarray(shifted)


def _others(bases: Sequence[Base], library: Library, seed: int) -> list[Trial]:
    """Objects of other kinds, unchanged: what an output says of different things."""
    own = {b.cluster for b in bases}
    one: dict[str, Picture] = {}
    for p in sorted(library.of("stamp"), key=lambda p: rng(seed, "other", p.key).random()):
        if p.group not in own:
            one.setdefault(p.group, p)
    made = [_object_base(p, library) for p in list(one.values())[:SPREAD]]
    return [
        Trial(key=f"{b.name}|", load=b.load, base=b.name, cluster=b.cluster, attribute="", level="", role="spread")
        for b in made
    ]


def select(every: Sequence[Attribute], wanted: Sequence[str]) -> list[Attribute]:
    """Attributes by name.

    Raises:
        UsageError: an unknown one.
    """
    known = {a.name: a for a in every}
    for name in wanted:
        if name not in known:
            raise UsageError(f"no attribute {name!r}{did_you_mean(name, known)}: choose from {', '.join(known)}")
    return [known[n] for n in dict.fromkeys(wanted)] if wanted else list(every)


def digest_of(material: Material) -> str:
    """A name for what was shown: the same keys give the same digest."""
    keys = json.dumps(sorted(material.stimuli()), ensure_ascii=True)
    return hashlib.sha256(keys.encode()).hexdigest()[:16]


def folder_corpus(folder: Path) -> Corpus:
    """A folder of photos as bases."""
    from maieutic.stimuli.user import images_from_folder

    return images_from_folder(folder)
