"""Pictures to plant in: scenes composed afresh for every seed, each made of one split's material.

Stamps are dealt to the splits anew for every seed (near-duplicates stay together), such that every kind of thing with
three groups has one in each. A few kinds are *bound* in what explainers see: they come only with a certain companion,
on a ground of one colour, or in one half of the picture, so that looking cannot tell which of the two a unit is about.
In the test split half of these bonds are broken. Which kinds are bound is nowhere written down; `plant` finds them as
anybody could, by looking at annotations.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from maieutic.stimuli.base import SPLITS, Corpus, Split, Stimulus, split_of
from maieutic.stimuli.vivid import vivid

if TYPE_CHECKING:
    from maieutic.stimuli.library import Library, Picture
    from maieutic.stimuli.scenes import Background, Placement, Scene
    from maieutic.stimuli.studio import Studio

#: side of the pictures in pixels: planted rules read a copy of 64 pixels anyway
SIDE = 128
#: share of each split in composed pictures, as elsewhere
_SHARES: dict[Split, float] = {"discover": 0.5, "select": 0.2, "test": 0.3}
#: colours of which some are kept for bound grounds; the others are anybody's
_RARE_COLOURS = ("red", "orange", "yellow", "purple", "pink")
_COMPANIONS, _GROUNDS, _PLACES, _RARE = 6, 4, 4, 14
#: pictures of each bond or pair, share of a split; and of each rare kind, a split
_BOND, _PAIR = 0.025, 0.025
_PAIRS = 12
_SCARCE: dict[Split, int] = {"discover": 5, "select": 3, "test": 4}


@dataclass(frozen=True, kw_only=True)
class Bonds:
    """What goes with what. Kinds are sets of stamp keys.

    Attributes:
        companions: two kinds that are shown together.
        grounds: a kind, and the vivid colour that only it stands on.
        places: a kind, and the half it stays in.
        rare: kinds of which there are only a few pictures.
        pairs: free kinds that meet often.
        colours: vivid grounds for everybody.
    """

    companions: tuple[tuple[frozenset[str], frozenset[str]], ...]
    grounds: tuple[tuple[frozenset[str], str], ...]
    places: tuple[tuple[frozenset[str], str], ...]
    rare: tuple[frozenset[str], ...]
    pairs: tuple[tuple[frozenset[str], frozenset[str]], ...]
    colours: tuple[str, ...]

    @property
    def taken(self) -> frozenset[str]:
        """Stamps that are not free."""
        kinds = [k for pair in self.companions for k in pair]
        kinds += [k for k, _ in (*self.grounds, *self.places)] + list(self.rare)
        return frozenset(s for kind in kinds for s in kind)


def scenes(n: int, *, seed: int) -> Corpus:
    """About ``n`` pictures of one to four things on textures, photos and plain grounds.

    Cost: about 4 ms and 60 kB of memory a picture.
    """
    from maieutic.stimuli.library import open_library
    from maieutic.stimuli.studio import Studio

    library = dealt(open_library(), seed)
    bonds = _bonds(library, seed)
    made: dict[str, Stimulus] = {}
    for split in SPLITS:
        composer = _Composer(Studio(split=split, library=library, seed=seed), bonds, seed)
        made |= {s.id: s for s in composer.all(round(n * _SHARES[split]))}
    return Corpus(
        name="planted-scenes",
        modality="image",
        stimuli=list(made.values()),
        attribution=library.attribution,
        notes=library.notes,
    )


# --- who is in which split ---------------------------------------------------------------------------------------------


def kinds_of(library: Library) -> list[frozenset[str]]:
    """Sets of stamps that fall under one concept and make three groups or more, the smallest first."""
    found = (k for k in set(_under(library)) if len(_groups(library, k)) >= 3)
    return sorted(found, key=lambda k: (len(k), sorted(k)))


def _under(library: Library) -> list[frozenset[str]]:
    """For every concept the stamps that fall under it."""
    under: dict[str, set[str]] = defaultdict(set)
    for stamp in library.of("stamp"):
        for concept in (stamp.name, *stamp.concepts):
            under[concept].add(stamp.key)
    return [frozenset(keys) for keys in under.values()]


def _groups(library: Library, kind: frozenset[str]) -> list[str]:
    return sorted({library.pictures[key].group for key in kind})


def dealt(library: Library, seed: int) -> Library:
    """The library with its stamps dealt to the splits, such that every kind with three groups is in all of them.

    A group's name gets the first number that moves it to its split, so that the split is still a matter of its name.
    """
    from maieutic.stimuli.studio import rng

    draw, side = rng(seed, "deal"), dict[str, Split]()
    for kind in kinds_of(library):
        groups = _groups(library, kind)
        free = [g for g in groups if g not in side]
        for i in draw.permutation(len(free)).tolist():
            have = [side[g] for g in groups if g in side]
            missing: list[Split] = [s for s in SPLITS if s not in have]
            # the split furthest behind its share
            behind = max(SPLITS, key=lambda s: _SHARES[s] * (len(have) + 1) - have.count(s))
            side[free[i]] = missing[int(draw.integers(len(missing)))] if missing else behind
    renamed = {g: next(name for k in range(10_000) if split_of(name := f"{g} {k}") == s) for g, s in side.items()}
    pictures = {
        key: replace(p, group=renamed.get(p.group, p.group)) if p.kind == "stamp" else p
        for key, p in library.pictures.items()
    }
    return replace(library, pictures=pictures, fingerprint=f"{library.fingerprint} dealt {seed}")


# --- what is bound to what ---------------------------------------------------------------------------------------------


def _bonds(library: Library, seed: int) -> Bonds:
    from maieutic.stimuli.studio import rng

    draw = rng(seed, "bonds")
    kinds = [k for k in kinds_of(library) if {library.pictures[key].split for key in k} == set(SPLITS)]
    every, used = set(_under(library)), set[str]()
    shown = frozenset(key for key, p in library.pictures.items() if p.split != "test")

    def take(n: int) -> list[frozenset[str]]:
        """Small kinds without a stamp of any taken before; in what explainers see, no other kind is the same stamps."""
        out: list[frozenset[str]] = []
        order: list[int] = draw.permutation(len(kinds)).tolist()
        for i in order:
            kind = kinds[i]
            twins = [k for k in every if k != kind and k & shown == kind & shown]
            if len(out) < n and len(kind) <= 7 and not kind & used and not twins:
                out.append(kind)
                used.update(kind)
        return out

    both = take(2 * _COMPANIONS)
    halves = ("left", "right", "top", "bottom")
    colours = [_RARE_COLOURS[i] for i in draw.permutation(len(_RARE_COLOURS)).tolist()]
    companions = tuple(zip(both[::2], both[1::2], strict=False))
    grounds = tuple(zip(take(_GROUNDS), colours, strict=False))
    places = tuple((k, halves[int(draw.integers(4))]) for k in take(_PLACES))
    rare = tuple(take(_RARE))
    free = [k for k in kinds if len(k - used) >= 3 and len(k) <= 30 and all(_left(library, k, used))]
    return Bonds(
        companions=companions, grounds=grounds, places=places, rare=rare, pairs=tuple(_pairs(free, draw)),
        colours=("green", "blue", *colours[_GROUNDS:]),
    )  # fmt: skip


def _left(library: Library, kind: frozenset[str], used: set[str]) -> list[bool]:
    """For each split, whether a stamp of the kind is still free there."""
    free = {library.pictures[key].split for key in kind - used}
    return [s in free for s in SPLITS]


def _pairs(
    kinds: Sequence[frozenset[str]], draw: np.random.Generator
) -> Iterator[tuple[frozenset[str], frozenset[str]]]:
    """Pairs of kinds that share no stamp; every kind about equally often."""
    rounds = -(-4 * _PAIRS // max(len(kinds), 1))
    order = [kinds[i] for _ in range(rounds) for i in draw.permutation(len(kinds)).tolist()]
    made: set[frozenset[frozenset[str]]] = set()
    while len(order) > 1 and len(made) < _PAIRS:
        a = order.pop(0)
        at = next((i for i, b in enumerate(order) if not a & b and frozenset((a, b)) not in made), None)
        if at is not None:
            b = order.pop(at)
            made.add(frozenset((a, b)))
            yield a, b


# --- composing ---------------------------------------------------------------------------------------------------------


class _Composer:
    """Composes the pictures of one split."""

    def __init__(self, studio: Studio, bonds: Bonds, seed: int) -> None:
        self._studio, self._bonds, self._seed = studio, bonds, seed
        self._stamps = studio.stamps()
        self._free = [s for s in self._stamps if s.key not in bonds.taken]
        kept = [colour for _, colour in bonds.grounds]
        grounds = [b for b in studio.backgrounds(seed=seed) if not any(_coloured(b, c, studio.library) for c in kept)]
        self._grounds = {kind: [b for b in grounds if b.kind == kind] for kind in ("plain", "texture", "photo")}
        self._broken = studio.split == "test"

    def all(self, n: int) -> Iterator[Stimulus]:
        """``n`` pictures: those of bonds, pairs and rare kinds first, then free ones."""
        from maieutic.stimuli.studio import rng

        split = self._studio.split or "discover"
        plans = [(self._bound, i) for i in range(self._count()) for _ in range(max(round(n * _BOND), 4))]
        plans += [(self._met, i) for i in range(len(self._bonds.pairs)) for _ in range(max(round(n * _PAIR), 3))]
        plans += [(self._scarce, i) for i in range(len(self._bonds.rare)) for _ in range(_SCARCE[split])]
        plans += [(self._anything, 0)] * max(n - len(plans), 0)
        for k, (make, i) in enumerate(plans):
            yield _stimulus(make(i, rng(self._seed, "planted", split, str(k))))

    def _count(self) -> int:
        return len(self._bonds.companions) + len(self._bonds.grounds) + len(self._bonds.places)

    def _of(self, kind: frozenset[str], draw: np.random.Generator) -> Picture:
        mine = [s for s in self._stamps if s.key in kind]
        return mine[int(draw.integers(len(mine)))]

    def _others(self, n: int, draw: np.random.Generator) -> list[Picture]:
        return [self._free[int(i)] for i in draw.choice(len(self._free), size=min(n, len(self._free)), replace=False)]

    def _bound(self, i: int, draw: np.random.Generator) -> Scene:
        """A picture of a bond; of a broken one every other time in the test split."""
        bonds, broken = self._bonds, self._broken and draw.random() < 0.5
        more = self._others(int(draw.integers(3)), draw)
        if i < len(bonds.companions):
            pair = [self._of(kind, draw) for kind in bonds.companions[i]]
            return self._scene([*(pair[:1] if broken and draw.random() < 0.5 else pair[broken:]), *more], draw)
        i -= len(bonds.companions)
        if i < len(bonds.grounds):
            kind, colour = bonds.grounds[i]
            if broken and draw.random() < 0.5:
                return self._scene(self._others(1 + int(draw.integers(3)), draw), draw, colour=colour)
            return self._scene([self._of(kind, draw), *more], draw, colour=None if broken else colour)
        kind, half = bonds.places[i - len(bonds.grounds)]
        first = self._of(kind, draw)
        return self._scene([first, *more], draw, half=None if broken else half)

    def _met(self, i: int, draw: np.random.Generator) -> Scene:
        """Two kinds that often meet."""
        found = [self._of(kind - self._bonds.taken, draw) for kind in self._bonds.pairs[i]]
        return self._scene([*found, *self._others(int(draw.integers(2)), draw)], draw)

    def _scarce(self, i: int, draw: np.random.Generator) -> Scene:
        """A kind of which there is little."""
        return self._scene([self._of(self._bonds.rare[i], draw), *self._others(int(draw.integers(3)), draw)], draw)

    def _anything(self, _: int, draw: np.random.Generator) -> Scene:
        return self._scene(self._others(1 + int(draw.choice(4, p=(0.25, 0.35, 0.25, 0.15))), draw), draw)

    def _scene(
        self,
        stamps: Sequence[Picture],
        draw: np.random.Generator,
        *,
        colour: str | None = None,
        half: str | None = None,
    ) -> Scene:
        """Things in a row in random order, at random heights; the first of them in ``half`` when given."""
        from maieutic.stimuli.scenes import Scene

        count = len(stamps)
        spots: list[int] = draw.permutation(count).tolist()
        placed = [_placed(s, spot, count, draw) for s, spot in zip(stamps, spots, strict=True)]
        if half is not None:
            placed[0] = _kept_in(placed[0], half, self._studio.library)
        ground = self._ground(draw) if colour is None else vivid(colour, draw)
        order: list[int] = draw.permutation(count).tolist()  # who stands in front
        return Scene(
            background=ground, placements=tuple(placed[i] for i in order), library=self._studio.library, size=SIDE
        )  # fmt: skip

    def _ground(self, draw: np.random.Generator) -> Background:
        share = draw.random()
        if share < 0.3:
            return vivid(self._bonds.colours[int(draw.integers(len(self._bonds.colours)))], draw)
        kind = "plain" if share < 0.42 else "texture" if share < 0.74 else "photo"
        choices = self._grounds[kind] or self._grounds["plain"]
        return choices[int(draw.integers(len(choices)))]


def _placed(stamp: Picture, spot: int, count: int, draw: np.random.Generator) -> Placement:
    from maieutic.stimuli.studio import place

    width = 1 / count
    return place(
        stamp,
        x=(spot + 0.5) * width + float(draw.uniform(-0.45, 0.45)) * width,
        y=float(draw.uniform(0.15, 0.85)),
        scale=float(draw.uniform(0.5, 1.1)) * (0.6 if count == 1 else 0.7 * width**0.5),
        flip=bool(draw.random() < 0.5),
    )


def _kept_in(placement: Placement, half: str, library: Library) -> Placement:
    """Small enough for its half, and mirrored into it."""
    from maieutic.stimuli.studio import place

    x, y = placement.x, placement.y
    if half in ("left", "right"):
        x = min(x, 1 - x, 0.42) if half == "left" else max(x, 1 - x, 0.58)
    else:
        y = min(y, 1 - y, 0.42) if half == "top" else max(y, 1 - y, 0.58)
    return place(library.pictures[placement.stamp], x=x, y=y, scale=min(placement.scale, 0.5), flip=placement.flip)


def _coloured(ground: Background, colour: str, library: Library) -> bool:
    """Whether a ground could pass for one of the colour."""
    from maieutic.stimuli.scenes import Scene
    from maieutic.subjects.planted import seen
    from maieutic.subjects.planted.image_rules import tinted

    return tinted(seen(Scene(background=ground, library=library, size=64).stimulus()), colour, "whole") > 0.2


def _stimulus(scene: Scene) -> Stimulus:
    """With the tags that composed pictures have elsewhere."""
    kind = "several" if len(scene.placements) > 1 else "scene"
    return scene.stimulus(tags=(kind, f"background:{scene.background.kind}", f"background:{scene.background.name}"))
