"""The corpus ``photos``: every stamp on several backgrounds, scenes of two or three objects, and whole photos.

Everything in an image belongs to one split: its stamps, and the texture, photo or colour behind them. Pictures are
rendered once into the cache (lossless, with a ``manifest``) and read when looked at. What this module does not do:
promise that a network recognises a composite; check that with a second network before trusting one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maieutic.errors import UserError
from maieutic.stimuli.base import SPLITS, Corpus, Split, Stimulus, Thing
from maieutic.stimuli.library import Library, Picture, open_library
from maieutic.stimuli.packages import Progress, cache_dir, writing_cache
from maieutic.stimuli.scenes import SIZE, Background, Scene, image_id
from maieutic.stimuli.studio import Studio, all_studios, place, rng

if TYPE_CHECKING:
    from PIL.Image import Image

#: raise when the recipes change
VERSION = 1
#: pictures of each stamp alone, and share of further scenes with several objects
_REPEATS, _SEVERAL = 3, 0.18
#: shares of grounds: texture, blurred photo, plain
_GROUNDS = (0.4, 0.45, 0.15)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Recipe:
    """One image of the corpus before it is rendered."""

    kind: str
    split: Split
    group: str
    scene: Scene | None
    photo: Picture | None

    def digest(self, library: Library) -> str:
        content = self.photo.hash if self.photo is not None else json.dumps(_scene(self).to_json(), sort_keys=True)
        hashes = [] if self.scene is None else [library.pictures[p.stamp].hash for p in self.scene.placements]
        return hashlib.sha256(f"v{VERSION}|{self.kind}|{content}|{hashes}".encode()).hexdigest()[:24]


def load_photos(
    *, size: int | None = None, seed: int = 0, fetch: bool = True, progress: Progress | None = None
) -> Corpus:
    """The corpus; about 1,450 images by default. Cost: 25 s the first time, then under a second.

    Args:
        size: number of images: a deterministic subset of the default ones, or more scenes of every stamp.
        seed: of places, scales and backgrounds.
        fetch: whether missing packages may be fetched.
        progress: called with short lines.
    """
    library = open_library(fetch=fetch, progress=progress)
    root = cache_dir() / f"photos-v{VERSION}-{library.fingerprint}"
    manifest = root / f"manifest-{seed}-{size or 'default'}.jsonl"
    if not manifest.is_file():
        with writing_cache(root.name):
            if not manifest.is_file():
                (root / "images").mkdir(parents=True, exist_ok=True)
                _build(library, root, manifest, size=size, seed=seed, progress=progress)
    try:
        stimuli = [_stimulus(json.loads(line), root, library) for line in manifest.read_text("utf-8").splitlines()]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{manifest} is damaged ({error}): delete it and run the command again") from error
    used = {"wordnet-base", *(source for s in stimuli for source in _sources(s, library))}
    attribution = {k: v for k, v in library.attribution.items() if k in used}
    return Corpus(name="photos", modality="image", stimuli=stimuli, attribution=attribution, notes=library.notes)


def _build(
    library: Library, root: Path, manifest: Path, *, size: int | None, seed: int, progress: Progress | None
) -> None:
    recipes = _plan(library, size=size, seed=seed)
    rows: list[str] = []
    seen: set[str] = set()
    for i, recipe in enumerate(recipes):
        if progress is not None and i % 200 == 0:
            progress(f"rendering photos: {i} of {len(recipes)}")
        row = _rendered(recipe, root, library)
        if row["id"] not in seen:  # a photo that two resources ship
            seen.add(row["id"])
            rows.append(json.dumps(row, sort_keys=True))
    partial = manifest.with_suffix(".partial")
    partial.write_text("\n".join(rows) + "\n", encoding="utf-8")
    partial.rename(manifest)


def _plan(library: Library, *, size: int | None, seed: int) -> list[_Recipe]:
    """All recipes in the order of their digest, so that any prefix is a fair sample."""
    repeats = _REPEATS
    if size is not None:
        stamps, photos = len(library.of("stamp")), len(library.of("photo"))
        while stamps and photos + stamps * repeats * (1 + _SEVERAL) < size:
            repeats += 1
    recipes = [
        recipe
        for studio in all_studios(library, seed=seed).values()
        for make in (_alone, _several, _whole)
        for recipe in make(studio, repeats)
    ]
    recipes.sort(key=lambda r: r.digest(library))
    return recipes if size is None else recipes[:size]


class _Grounds:
    """Backgrounds of a split, dealt so that every one comes up about equally often."""

    def __init__(self, studio: Studio) -> None:
        every = studio.backgrounds(seed=studio.seed)
        self.studio = studio
        self.kinds = {kind: [b for b in every if b.kind == kind] for kind in ("texture", "photo", "plain")}
        self.dealt = dict.fromkeys(self.kinds, 0)

    def deal(self, draw: Callable[[], float], tag: str) -> Background:
        share, kind = draw(), "plain"
        if share < _GROUNDS[0] and self.kinds["texture"]:
            kind = "texture"
        elif share < _GROUNDS[0] + _GROUNDS[1] and self.kinds["photo"]:
            kind = "photo"
        choices = self.kinds[kind] or [Background(kind="plain", key="#808080")]
        chosen = choices[self.dealt[kind] % len(choices)]
        self.dealt[kind] += 1
        if kind == "plain":
            return chosen
        from maieutic.stimuli.studio import background_of

        # a fresh crop each time, so that two scenes on one texture do not share pixels
        return background_of(self.studio.library.pictures[chosen.key], rng(self.studio.seed, chosen.key, tag))


def _alone(studio: Studio, repeats: int) -> Iterator[_Recipe]:
    grounds = _Grounds(studio)
    for k in range(repeats):
        for stamp in studio.stamps():
            draw = rng(studio.seed, "alone", stamp.key, str(k))
            ground = grounds.deal(draw.random, f"{stamp.key}{k}")
            placement = place(
                stamp,
                x=float(draw.uniform(0.2, 0.8)),
                y=float(draw.uniform(0.25, 0.8)),
                scale=float(draw.uniform(0.5, 0.9)),
                flip=bool(draw.random() < 0.5),
            )
            scene = Scene(background=ground, placements=(placement,), library=studio.library)
            yield _Recipe(kind="scene", split=stamp.split, group=stamp.group, scene=scene, photo=None)


def _several(studio: Studio, repeats: int) -> Iterator[_Recipe]:
    stamps, grounds = studio.stamps(), _Grounds(studio)
    if len(stamps) < 3:
        return
    for k in range(round(len(stamps) * repeats * _SEVERAL)):
        draw = rng(studio.seed, "several", str(studio.split), str(k))
        count = 2 if draw.random() < 0.75 else 3
        chosen = [stamps[int(i)] for i in draw.choice(len(stamps), size=count, replace=False)]
        # side by side in a random order, so that they overlap little and left and right can be told apart
        spots = draw.permutation(count)
        placements = tuple(
            place(
                stamp,
                x=(int(spot) + 0.5) / count + float(draw.uniform(-0.06, 0.06)),
                y=float(draw.uniform(0.35, 0.75)),
                scale=float(draw.uniform(0.8, 1.05)) * (0.5 if count == 2 else 0.38),
                flip=bool(draw.random() < 0.5),
            )
            for stamp, spot in zip(chosen, spots, strict=True)
        )
        ground = grounds.deal(draw.random, f"several{k}")
        scene = Scene(background=ground, placements=placements, library=studio.library)
        yield _Recipe(kind="several", split=chosen[0].split, group=chosen[0].group, scene=scene, photo=None)


def _whole(studio: Studio, _: int) -> Iterator[_Recipe]:
    for photo in studio.photos():
        yield _Recipe(kind="photo", split=photo.split, group=photo.group, scene=None, photo=photo)


def _scene(recipe: _Recipe) -> Scene:
    assert recipe.scene is not None
    return recipe.scene


def _rendered(recipe: _Recipe, root: Path, library: Library) -> dict[str, Any]:
    """Write the image (unless another size of the corpus did) and describe it."""
    file = root / "images" / f"{recipe.digest(library)}.webp"
    image = _kept(file)
    if image is None:
        image = square(library.image(recipe.photo.key)) if recipe.photo is not None else _scene(recipe).render()
        partial = file.with_suffix(".partial")
        # lossless WebP is a quarter smaller than PNG, and quicker both ways
        image.save(partial, format="WEBP", lossless=True, quality=0, method=0)
        partial.rename(file)
    scene = recipe.scene
    if recipe.photo is not None:
        things = (Thing(name=recipe.photo.name, concepts=recipe.photo.concepts),)
        tags, source = ("photo", *recipe.photo.folders), recipe.photo.source
    else:
        scene = _scene(recipe)
        things = scene.things()
        stamps = [library.pictures[p.stamp] for p in scene.placements]
        folders = dict.fromkeys(f for s in stamps for f in s.folders)
        tags = (recipe.kind, *folders, f"background:{scene.background.kind}", f"background:{scene.background.name}")
        source = stamps[0].source
    return {
        "id": image_id(image),
        "file": file.relative_to(root).as_posix(),
        "group": recipe.group,
        "split": recipe.split,
        "tags": list(tags),
        "things": [[t.name, list(t.concepts), [round(e, 4) for e in t.box]] for t in things],
        "scene": None if scene is None else scene.to_json(),
        "source": source,
    }


def _kept(file: Path) -> Image | None:
    """A picture that another size of the corpus rendered; ``None`` when it is not there or damaged."""
    try:
        return open_rgb(file)
    except UserError:
        return None


def square(photo: Image, size: int = SIZE) -> Image:
    """The middle of a photo as a square of ``size`` pixels, RGB."""
    from PIL import Image as Pictures

    side = min(photo.size)
    left, top = (photo.width - side) / 2, (photo.height - side) / 2
    return photo.convert("RGB").resize(
        (size, size), Pictures.Resampling.LANCZOS, box=(left, top, left + side, top + side)
    )


def _sources(stimulus: Stimulus, library: Library) -> Iterator[str]:
    """The sources of everything seen in an image: its stamps, and the picture behind them."""
    yield stimulus.source
    if isinstance(stimulus.scene, Scene):
        for key in (stimulus.scene.background.key, *(p.stamp for p in stimulus.scene.placements)):
            if key in library.pictures:
                yield library.pictures[key].source


def _stimulus(row: dict[str, Any], root: Path, library: Library) -> Stimulus:
    file = root / row["file"]
    assert row["split"] in SPLITS
    return Stimulus(
        id=row["id"],
        modality="image",
        load=lambda: open_rgb(file),
        group=row["group"],
        split=row["split"],
        tags=tuple(row["tags"]),
        things=tuple(
            Thing(name=t[0], concepts=tuple(t[1]), box=(t[2][0], t[2][1], t[2][2], t[2][3])) for t in row["things"]
        ),
        scene=None if row["scene"] is None else Scene.from_json(row["scene"], library),
        source=row["source"],
    )


def open_rgb(file: Path) -> Image:
    """Read a picture from the cache as RGB."""
    from PIL import Image as Pictures

    try:
        with Pictures.open(file) as image:
            return image.convert("RGB")
    except (OSError, SyntaxError) as error:
        raise UserError(
            f"{file.name} of the cache is gone or damaged: delete {file.parent.parent} and run the command again"
        ) from error
