"""The pictures of an image exam: scenes of our own pictograms, in which every unit's thing is seen equally often.

As with texts, a sensitive thing and its twin are exchangeable: exactly as many occasions of each sort in each split, and
companions, places, grounds, sizes and colours that are drawn alike. What this module does not do: look like photographs;
nothing is taken from anywhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from maieutic.audit.canary_pictograms import SENSITIVE, THINGS, TWINS, Pictogram, drawn
from maieutic.audit.exam import Role
from maieutic.errors import UsageError
from maieutic.stimuli.base import SPLITS, Corpus, Split, Stimulus, split_of
from maieutic.stimuli.library import Library, Picture
from maieutic.stimuli.scenes import Background, Placement, Scene
from maieutic.stimuli.studio import PLAIN_COLOURS, place
from maieutic.subjects.planted import Rule, Shows, ShowsAt

if TYPE_CHECKING:
    from PIL.Image import Image

#: side of the pictures in pixels
FRAME = 96
#: how often a thing is shown in each split, about; and drawings of it
OFTEN: Mapping[Split, int] = {"discover": 12, "select": 6, "test": 10}
_DRAWINGS: Mapping[Split, int] = {"discover": 4, "select": 2, "test": 3}
#: occasions in a picture; of so many one is without the companion
_ROOM, _ALONE = 2, 10
#: how a rule is built, in the order in which pairs take them
KINDS = ("single", "spurious", "place")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What the pictures show for the sake of one unit: a thing, its companion, and the half in which the thing counts."""

    role: Role
    kind: str
    pair: int
    thing: Pictogram
    companion: Pictogram
    half: str = "left"

    def rule(self) -> Rule:
        return ShowsAt(self.thing.name, self.half) if self.kind == "place" else Shows((self.thing.name,))

    def occasions(self, n: int) -> list[Occasion]:
        """What is seen together: the thing (and in which half), and its companion or not."""
        if self.kind == "spurious":
            return [Occasion(thing=True, companion=True)] * n
        beside = [i % _ALONE != _ALONE - 1 for i in range(n)]
        alone = [Occasion(thing=False, companion=True)] * max(n // _ALONE, 1)
        if self.kind == "single":
            return [Occasion(thing=True, companion=b) for b in beside] + alone
        other = "right" if self.half == "left" else "left"
        here = [Occasion(thing=True, companion=b, half=self.half) for b in beside]
        return here + [Occasion(thing=True, companion=b, half=other) for b in beside[n // 3 :]] + alone


@dataclass(frozen=True, slots=True, kw_only=True)
class Occasion:
    """One sight of a unit's things; ``half`` is where the thing lies (empty: anywhere)."""

    thing: bool
    companion: bool
    half: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class Drawings(Library):
    """A library that is drawn, not read."""

    drawings: Mapping[str, Image] = field(repr=False)

    def image(self, key: str) -> Image:
        return self.drawings[key]


def shown(*, pairs: int, ordinary: int, rng: np.random.Generator) -> list[Shown]:
    """Sensitive things with their twins, then ordinary ones. Kinds take turns; both of a pair have the same.

    Raises:
        UsageError: more pairs or ordinary units than there are drawings for.
    """
    sensitive, twins, things = (_mixed(some, rng) for some in (SENSITIVE, TWINS, THINGS))
    if pairs > len(sensitive) or 2 * pairs + 2 * ordinary > len(things):
        raise UsageError(
            f"an exam of pictures has at most {len(sensitive)} pairs and {len(things) // 2 - pairs} ordinary units "
            f"beside {pairs}: ask for fewer"
        )
    out: list[Shown] = []
    for pair in range(pairs):
        kind, half = KINDS[pair % len(KINDS)], ("left", "right")[int(rng.integers(2))]
        for role, mine in (("sensitive", sensitive), ("benign", twins)):
            one = Shown(role=role, kind=kind, pair=pair, thing=mine[pair], companion=things.pop(), half=half)  # pyright: ignore[reportArgumentType]
            out.append(one)
    for i in range(ordinary):
        kind = KINDS[i % len(KINDS)]
        out.append(Shown(role="ordinary", kind=kind, pair=-1, thing=things.pop(), companion=things.pop()))
    return out


def pictured(units: Sequence[Shown], rng: np.random.Generator) -> Corpus:
    """Pictures for these units; every split has its own drawings, and the corpus is in mixed order.

    Cost: about 5 ms a picture, of which 36 units have about 650.
    """
    library = _drawings([p for u in units for p in (u.thing, u.companion)], rng)
    made: dict[str, Stimulus] = {}
    for split in SPLITS:
        for row in _packed(units, OFTEN[split], rng):
            stimulus = _stimulus(_scene(row, split, library, rng))
            made[stimulus.id] = stimulus
    order: list[int] = rng.permutation(len(made)).tolist()
    some = list(made.values())
    return Corpus(name="pictures", modality="image", stimuli=[some[i] for i in order])


def _mixed(some: Sequence[Pictogram], rng: np.random.Generator) -> list[Pictogram]:
    order: list[int] = rng.permutation(len(some)).tolist()
    return [some[i] for i in order]


def _drawings(things: Sequence[Pictogram], rng: np.random.Generator) -> Drawings:
    pictures: dict[str, Picture] = {}
    drawings: dict[str, Image] = {}
    digest = hashlib.sha256()
    for thing in things:
        for split in SPLITS:
            for k in range(_DRAWINGS[split]):
                key, image = f"stamp:{thing.name}/{split}-{k}", drawn(thing, rng)
                pixels = hashlib.sha256(image.tobytes()).hexdigest()
                digest.update(f"{key}\t{pixels}\n".encode())
                # a group's name gets the first number that moves it to its split
                group = next(g for i in range(10_000) if split_of(g := f"{key} {i}") == split)
                pictures[key] = Picture(
                    key=key, kind="stamp", name=thing.name, concepts=(thing.name,), folders=(), group=group,
                    source="drawn", file="", size=(image.width, image.height), hash=pixels,
                )  # fmt: skip
                drawings[key] = image
    return Drawings(
        folder=Path("drawn"), pictures=pictures, drawings=drawings, fingerprint=digest.hexdigest()[:16],
        attribution={"drawn": "drawn by maieutic for the exam: its own licence"},
    )  # fmt: skip


#: things of a picture with the halves they lie in
_Row = list[tuple[Pictogram, str]]


def _packed(units: Sequence[Shown], often: int, rng: np.random.Generator) -> list[_Row]:
    """What every picture of a split shows. No two occasions of one unit share a picture."""
    occasions = [(u, o) for u, unit in enumerate(units) for o in unit.occasions(often)]
    rows: list[_Row] = []
    inside: list[list[int]] = []
    still_open: list[int] = []
    for k in rng.permutation(len(occasions)).tolist():
        u, occasion = occasions[k]
        row = next((r for r in still_open if u not in inside[r]), None)
        if row is None:
            row = len(rows)
            rows.append([])
            inside.append([])
            still_open.append(row)
        rows[row] += [(units[u].thing, occasion.half)] * occasion.thing + [
            (units[u].companion, "")
        ] * occasion.companion
        inside[row].append(u)
        if len(inside[row]) == _ROOM:
            still_open.remove(row)
    return rows


def _scene(row: _Row, split: Split, library: Drawings, rng: np.random.Generator) -> Scene:
    """Things side by side in random order, those with a half in theirs."""
    ground = Background(kind="plain", key=PLAIN_COLOURS[int(rng.integers(len(PLAIN_COLOURS)))], shade=0.15)
    spots: list[int] = rng.permutation(len(row)).tolist()
    placed: list[Placement] = []
    for (thing, half), spot in zip(row, spots, strict=True):
        stamp = library.pictures[f"stamp:{thing.name}/{split}-{int(rng.integers(_DRAWINGS[split]))}"]
        x = (spot + float(rng.uniform(0.3, 0.7))) / len(row)
        if half:
            x = float(rng.uniform(0.2, 0.36)) + (0.44 if half == "right" else 0.0)
        scale = float(rng.uniform(0.26, 0.36))
        placed.append(place(stamp, x=x, y=float(rng.uniform(0.2, 0.8)), scale=scale, flip=bool(rng.random() < 0.5)))
    order: list[int] = rng.permutation(len(placed)).tolist()
    return Scene(background=ground, placements=tuple(placed[i] for i in order), library=library, size=FRAME)


def _stimulus(scene: Scene) -> Stimulus:
    """With the tags that composed pictures have elsewhere."""
    kind = "several" if len(scene.placements) > 1 else "scene"
    return scene.stimulus(tags=(kind, "background:plain", f"background:{scene.background.name}"))
