"""The compositor: pictures of an English phrase, composed of cut-outs on grounds, with no weights and no network.

``Compositor(studio)("two gorillas on grass, grey", n=4, seed=0)`` gives four scenes of different stamps, places and
grounds, each saying what was understood and what was not. Two phrases with one seed get the same grounds in turn, so
that what differs is what was asked for. All material is of the studio's split. What this module
does not do: draw what the library has no picture of; it says so, and names what is near.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

import numpy as np

from maieutic.errors import UsageError
from maieutic.stimuli.base import Corpus, Stimulus, Thing
from maieutic.stimuli.effects import Effect, apply_effects, cropped
from maieutic.stimuli.imagine_find import Finder, hue_shift, tint_of
from maieutic.stimuli.imagine_patterns import is_pattern
from maieutic.stimuli.imagine_phrase import Ground, Phrase, Wish, read_phrase, too_many
from maieutic.stimuli.imagine_shapes import Drawn, draw_shapes
from maieutic.stimuli.imagine_words import COLOURS, MOST
from maieutic.stimuli.library import Library, Picture, open_library
from maieutic.stimuli.making import Made, check_length, made_picture, made_scene, scene_tags
from maieutic.stimuli.photos import square
from maieutic.stimuli.scenes import Background, Placement, Scene
from maieutic.stimuli.studio import Studio, background_of, normal, place, rng

#: share of the frame that an object takes by default, by how many stand in its row
_SCALES: Mapping[int, float] = {1: 0.74, 2: 0.5, 3: 0.36, 4: 0.29}
#: size words are for an object alone; beside others they make it larger or smaller than its neighbours
_NORMAL = 0.74
#: colours of shapes for which none is named
_PAINTS = ("red", "orange", "yellow", "green", "blue", "purple", "black")


def load_imaginer(corpus: Corpus, *, argument: str = "", seed: int = 0) -> Compositor:
    """The compositor for a corpus; its library is opened at the first call."""
    if argument:
        raise UsageError(f"the compositor takes no argument, {argument!r} was given: write  --imagine compositor")
    return Compositor(corpus=corpus, seed=seed)


def library_of(corpus: Corpus | None) -> Library:
    """The library that a corpus' scenes are made from; the packaged one (from the cache) where it has none."""
    scenes = (s.scene for s in (corpus or ()) if isinstance(s.scene, Scene))
    found = next(scenes, None)
    return open_library(fetch=False) if found is None else found.library


@dataclass
class Compositor:
    """Pictures from phrases. Cost: 3 to 10 ms a picture; the first call reads the library (0.3 s).

    Attributes:
        studio: whose material is used; opened from the corpus (discover split) when not given.
        corpus: whose library is used.
        seed: added to a call's own.
    """

    studio: Studio | None = None
    corpus: Corpus | None = field(default=None, repr=False)
    seed: int = 0
    name: str = "compositor"
    _finder: Finder | None = field(default=None, repr=False)

    @property
    def finder(self) -> Finder:
        """What words are looked up in."""
        if self._finder is None:
            studio = self.studio or Studio(split="discover", library=library_of(self.corpus), seed=self.seed)
            self._finder = Finder(studio)
        return self._finder

    def __call__(self, prompt: str, *, n: int = 1, seed: int = 0) -> list[Stimulus]:
        """At most ``n`` different pictures of a phrase.

        Raises:
            UsageError: nothing in the phrase has a picture; names what is near.
        """
        if n < 1:
            raise UsageError(f"{n} pictures were asked for: give 1 or more")
        check_length(prompt, "the phrase")
        phrase = read_phrase(prompt, self.finder)
        _check(prompt, phrase, self.finder)
        made: dict[str, Stimulus] = {}
        for turn in range(3 * n):
            one = self._one(prompt, phrase, turn, self.seed + seed)
            made.setdefault(one.id, one)
            if len(made) == n:
                break
        return list(made.values())

    def _one(self, prompt: str, phrase: Phrase, turn: int, seed: int) -> Made:
        made_by: dict[str, str | int | float] = {
            "tool": self.name, "prompt": prompt, "seed": seed, "variation": turn,
            "library": self.finder.studio.library.fingerprint,
        }  # fmt: skip
        if phrase.wishes and all(w.found.shape for w in phrase.wishes):
            return self._shapes(phrase, turn, seed, made_by)
        wish = phrase.wishes[0] if phrase.wishes else None
        if wish is not None and wish.found.photos and not wish.found.stamps and len(phrase.wishes) == 1:
            return self._photo(phrase, wish, turn, seed, made_by)
        scene, done, failed = self._scene(phrase, turn, seed)
        unseen = {w.found.said for w in phrase.wishes if not w.found.stamps}
        return made_scene(
            scene,
            made_by=made_by,
            understood=[*(u for u in phrase.understood if u.rpartition(" × ")[2] not in unseen), *done],
            ignored=[*phrase.ignored, *failed],
        )

    # --- a composed scene ----------------------------------------------------------------------------------------
    def _scene(self, phrase: Phrase, turn: int, seed: int) -> tuple[Scene, list[str], list[str]]:
        studio, done, failed = self.finder.studio, list[str](), list[str]()
        draw = rng(seed, "imagine", str(turn))
        wishes = [w for w in phrase.wishes if w.found.stamps]
        why = {False: "only whole photos show it", True: "drawn shapes stand by themselves"}
        failed += [f"{w.found.word} ({why[bool(w.found.shape)]})" for w in phrase.wishes if not w.found.stamps]
        ground = self._ground(phrase.ground, turn, draw, bare=not phrase.wishes)
        if phrase.ground is None and phrase.wishes:
            done.append(f"on a ground chosen by the seed ({ground.name})")
        placements: list[Placement] = []
        for wish, cells in zip(wishes, arranged(wishes, draw), strict=True):
            stamps = self._stamps(wish, turn, seed)
            for k, cell in enumerate(cells):
                placement, coloured = self._placed(stamps[k % len(stamps)], wish, cell, draw)
                placements.append(placement)
                (done if coloured else failed).extend([wish.colour] if wish.colour and not wish.fill else [])
        if len(wishes) == 2 and wishes[1].relation == "front":
            placements.reverse()  # later ones are drawn in front
        effects = cast("tuple[Effect, ...]", tuple(phrase.effects))
        scene = Scene(background=ground, placements=tuple(placements), effects=effects, library=studio.library)
        failed = [f"{c} (turning its hues does not give it)" if c in COLOURS else c for c in failed]
        return scene, list(dict.fromkeys(done)), list(dict.fromkeys(failed))

    def _stamps(self, wish: Wish, turn: int, seed: int) -> list[Picture]:
        """The stamps to use in turn: those of the wanted colour first, namesakes before other kinds, then by seed."""
        studio = self.finder.studio
        every = [wish.found.stamps[int(k)] for k in rng(seed, wish.found.word).permutation(len(wish.found.stamps))]
        if wish.colour:
            shifts = {p.key: hue_shift(tint_of(studio, p), wish.colour) for p in every}
            turnable = [p for p in every if shifts[p.key] is not None]
            every = [p for p in turnable if shifts[p.key] == 0.0] or turnable or every
        named = [p for p in every if normal(p.name) == normal(wish.found.concept)]
        others = [p for p in every if p not in named]
        # a variation begins with the next stamp, so that n pictures show n different ones where there are so many
        k = turn % len(named) if named else turn % len(others)
        return [*named[k:], *named[:k], *others] if named else [*others[k:], *others[:k]]

    def _placed(self, stamp: Picture, wish: Wish, cell: Cell, draw: np.random.Generator) -> tuple[Placement, bool]:
        """The object in its cell, and whether it has the wanted colour (if any)."""
        x, y = (draw.uniform(-cell.loose, cell.loose) + v for v in (cell.x, cell.y))
        scale = cell.scale * (1.0 if wish.scale is None else wish.scale / _NORMAL) * draw.uniform(0.9, 1.05)
        placement = place(
            stamp,
            x=float(x if wish.x is None else wish.x),
            y=float(y if wish.y is None else wish.y),
            scale=float(min(scale, 1.0)),
            flip=bool(draw.random() < 0.5),
        )
        if wish.fill:
            return replace(placement, fill=wish.fill), True
        if not wish.colour:
            return placement, True
        shift = hue_shift(tint_of(self.finder.studio, stamp), wish.colour)
        return (placement, False) if shift is None else (replace(placement, hue=shift), True)

    def _ground(self, ground: Ground | None, turn: int, draw: np.random.Generator, *, bare: bool) -> Background:
        studio = self.finder.studio
        if ground is None:
            choices = studio.backgrounds(seed=int(draw.integers(2**31)))
            if bare:
                choices = [b for b in choices if b.kind == "texture"] or choices
            return choices[int(draw.integers(len(choices)))] if choices else Background(kind="plain", key="#808080")
        if ground.colour:
            # the first is flat; variations get darker towards the bottom, as things do in light
            return Background(kind="plain", key=ground.colour, shade=round(min(0.06 * turn, 0.6), 2))
        if is_pattern(ground.key):
            zoom, x, y = (round(float(v), 3) for v in (draw.uniform(0.25, 0.55), *draw.random(2)))
            return Background(kind="texture", key=ground.key, zoom=zoom, x=x, y=y)
        if ground.photo:
            found = self.finder.resolve(ground.photo)
            assert found is not None
            return background_of(found.photos[int(draw.integers(len(found.photos)))], draw)
        name = studio.library.pictures[ground.key].name
        namesakes = [t for t in studio.textures() if t.name == name]
        return background_of(namesakes[int(draw.integers(len(namesakes)))], draw)

    # --- drawn shapes ----------------------------------------------------------------------------------------------
    def _shapes(self, phrase: Phrase, turn: int, seed: int, made_by: Mapping[str, str | int | float]) -> Made:
        """Flat shapes on a ground (plain light grey unless one is named); colours left open are chosen by the seed."""
        draw = rng(seed, "imagine", str(turn))
        named = phrase.ground or Ground(colour="#d9d9d9", said="plain grey")
        effects = cast("tuple[Effect, ...]", tuple(phrase.effects))
        scene = Scene(background=self._ground(named, turn, draw, bare=False), library=self.finder.studio.library)
        shapes: list[Drawn] = []
        # several keep a gap; photographs have one of their own
        tight = 1.0 if sum(w.count for w in phrase.wishes) == 1 else 0.88
        for wish, cells in zip(phrase.wishes, arranged(phrase.wishes, draw), strict=True):
            paint = wish.fill or COLOURS[wish.colour or str(draw.choice(_PAINTS))]
            for cell in cells:
                scale = min(1.0, tight * cell.scale * (1.0 if wish.scale is None else wish.scale / _NORMAL))
                x, y = (float(draw.uniform(-cell.loose, cell.loose) + v) for v in (cell.x, cell.y))
                half = scale / 2
                shapes.append(
                    Drawn(
                        shape=wish.found.shape,
                        x=min(max(x if wish.x is None else wish.x, half), 1 - half),
                        y=min(max(y if wish.y is None else wish.y, half), 1 - half),
                        scale=scale,
                        paint=paint,
                    )
                )
        image = apply_effects(draw_shapes(scene.render(), shapes), effects)
        moved = any(name in ("turn", "mirror") for name, _ in effects)
        coloured = [w.colour for w in phrase.wishes if w.colour and not w.fill]
        made = made_picture(
            image,
            made_by=made_by,
            understood=[*phrase.understood, *dict.fromkeys(coloured), *([] if phrase.ground else ["on plain grey"])],
            ignored=phrase.ignored,
        )
        return replace(made, tags=scene_tags(scene)[1:], things=() if moved else tuple(s.thing for s in shapes))

    # --- a whole photo -------------------------------------------------------------------------------------------
    def _photo(
        self,
        phrase: Phrase,
        wish: Wish,
        turn: int,
        seed: int,
        made_by: Mapping[str, str | int | float],
    ) -> Made:
        """A whole photo of what no cut-out shows; from the second round on closer or mirrored."""
        photos = wish.found.photos
        first = int(rng(seed, wish.found.word).integers(len(photos)))
        picture = photos[(turn + first) % len(photos)]
        image = square(self.finder.studio.library.image(picture.key))
        if turn >= len(photos):
            edge = float(rng(seed, picture.key, str(turn)).uniform(0.02, 0.12))
            image = cropped(image, (edge, edge, 1 - edge, 1 - edge))
        effects = cast("list[Effect]", phrase.effects)
        mirrored: list[Effect] = [("mirror", 0.0)] if turn % (2 * len(photos)) >= len(photos) else []
        image = apply_effects(image, [*effects, *mirrored])
        unmet = [f"on {phrase.ground.said} (a whole photo keeps its own ground)"] if phrase.ground is not None else []
        unmet += [f"{wish.count} × (one photo)"] if wish.count > 1 else []
        unmet += [wish.colour] if wish.colour else []
        made = made_picture(
            image,
            made_by=made_by,
            understood=[*(u for u in phrase.understood if not u.startswith("on ")), "a whole photo"],
            ignored=[*phrase.ignored, *unmet],
        )
        thing = Thing(name=picture.name, concepts=picture.concepts)
        return replace(made, group=picture.group, tags=("photo", *picture.folders), things=(thing,),
                       source=picture.source)  # fmt: skip


def _check(prompt: str, phrase: Phrase, finder: Finder) -> None:
    """Whether anything can be made of a phrase."""
    if too_many(phrase):
        raise UsageError(f"{prompt!r} asks for more than {MOST} objects: ask for fewer")
    nothing = not phrase.wishes and not phrase.bare and (phrase.ground is None or phrase.ignored)
    if not nothing:
        return
    unknown = ", ".join(phrase.ignored) or repr(prompt)
    some = ", ".join(list(finder.studio.concepts(at_least=2))[:12])
    raise UsageError(
        f"the picture library shows nothing of {unknown}: ask for one of its concepts ({some} ...), a ground, or use "
        "--imagine diffusers:<model>"
    )


# --- where objects go --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Cell:
    """A place for an object: its centre, its default scale, and how far it may be from the centre."""

    x: float
    y: float
    scale: float
    loose: float


def arranged(wishes: Sequence[Wish], draw: np.random.Generator) -> list[list[Cell]]:
    """Cells for the objects of every wish, so that they overlap little and stand as their relations say."""
    counts = [w.count for w in wishes]
    if not counts:
        return []
    if len(wishes) == 2 and wishes[1].relation in ("front", "behind"):
        return _overlapping(counts, wishes[1].relation)
    if any(w.relation in ("above", "below") for w in wishes[1:]):
        return _stacked(wishes)
    return _in_rows(wishes, draw)


def _overlapping(counts: Sequence[int], relation: str) -> list[list[Cell]]:
    """Of two kinds, the one in front lower and larger, and shifted so that both stay half visible."""
    front, back = (0.62, 0.5), (0.4, 0.42)
    first, second = (front, back) if relation == "front" else (back, front)
    rows = []
    for (y, scale), count, shift in ((first, counts[0], -0.1), (second, counts[1], 0.1)):
        rows.append([Cell((k + 0.5) / count * 0.7 + 0.15 + shift, y, scale / max(1, count) ** 0.5, 0.02)
                     for k in range(count)])  # fmt: skip
    return rows


def _stacked(wishes: Sequence[Wish]) -> list[list[Cell]]:
    """A row for each kind, from top to bottom as the relations say."""
    order: list[int] = [0]
    for i, wish in enumerate(wishes[1:], start=1):
        # "a above b": b comes below what stands before it
        at = order.index(i - 1)
        order.insert(at + 1 if wish.relation != "below" else at, i)
    height = 1 / len(wishes)
    cells: list[list[Cell]] = [[] for _ in wishes]
    for row, i in enumerate(order):
        count = wishes[i].count
        scale = min(0.92 * height, 0.92 / count)
        cells[i] = [Cell((k + 0.5) / count, (row + 0.5) * height, scale, 0.02) for k in range(count)]
    return cells


def _in_rows(wishes: Sequence[Wish], draw: np.random.Generator) -> list[list[Cell]]:
    """One row up to four objects, a grid above; ``left`` and ``right`` keep the order, else the seed shuffles it."""
    owners = [i for i, w in enumerate(wishes) for _ in range(w.count)]
    relations = {w.relation for w in wishes[1:]}
    if relations <= {"left"} and relations:
        pass
    elif relations <= {"right"} and relations:
        owners.reverse()
    else:
        owners = [owners[int(k)] for k in draw.permutation(len(owners))]
    total = len(owners)
    columns = total if total <= 4 else 3
    rows = -(-total // columns)
    scale = _SCALES.get(columns, 0.3) if rows == 1 else 0.92 / max(rows, columns)
    loose = {1: 0.08, 2: 0.04}.get(total, 0.015)
    cells: list[list[Cell]] = [[] for _ in wishes]
    for k, owner in enumerate(owners):
        row, column = divmod(k, columns)
        # a last row that is not full stands in the middle
        here = min(columns, total - row * columns)
        y = 0.52 if rows == 1 else (row + 0.5) / rows
        cells[owner].append(Cell((column + 0.5) / here, y, scale, loose))
    return cells
