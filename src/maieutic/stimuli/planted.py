"""Corpora for planted networks: texts of their language, and scenes of their drawn shapes with exact annotations.

The shapes stand in a small picture library of their own, so that scenes made of them are edited (removed, moved, pasted)
exactly as composed photographs are. Nothing is fetched and nothing is written to disk. What this module does not do: it
reads no network.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from maieutic.stimuli.base import Corpus, Stimulus
from maieutic.stimuli.library import Library, Picture
from maieutic.stimuli.scenes import Background, Placement, Scene
from maieutic.subjects.planted.network import PlantedNetwork
from maieutic.subjects.planted.network_language import Language
from maieutic.subjects.planted.network_pictures import Drawn, Gallery, draw
from maieutic.subjects.planted.network_pictures import Picture as DrawnPicture

if TYPE_CHECKING:
    from PIL.Image import Image

#: stimuli of a corpus when nothing else is asked for
SIZES = {"text": 600, "image": 900}
#: copies of each look, by which it is turned; each is in a group of its own, so that every split has some
_COPIES = 12
#: side of a rendered scene and of a stamp in pixels
_SCENE, _STAMP = 48, 48


def planted_corpus(network: PlantedNetwork, *, size: int | None = None, seed: int = 0) -> Corpus:
    """Stimuli on which every planted concept is about as frequent as "active" means: 1 % of words, 5 % of pictures.

    Args:
        network: whose language or gallery to draw from.
        size: texts of 28 words, or pictures; 600 and 900 otherwise.
        seed: of the draw; another seed gives fresh stimuli.
    """
    n = size or SIZES[network.modality]
    rng = np.random.default_rng([network.seed, seed, 23])
    name = f"{network.subject.name} {network.seed}.{seed}"
    if isinstance(network.material, Language):
        texts = network.material.texts(network.material.sample(n, rng))
        return Corpus.from_texts(texts, documents=[f"{seed}-{i}" for i in range(n)], name=name)
    return _pictures(network.material, n, rng, name)


def _pictures(material: Gallery, n: int, rng: np.random.Generator, name: str) -> Corpus:
    drawn = material.sample(n, rng)
    library = _library(tuple(sorted({(t.shape, t.colour, t.striped) for p in drawn for t in p.things})))
    stimuli = [_scene(p, int(c), library) for p, c in zip(drawn, rng.integers(_COPIES, size=n), strict=True)]
    return Corpus(name=name, modality="image", stimuli=tuple({s.id: s for s in stimuli}.values()))


def _scene(drawn: DrawnPicture, copy: int, library: Library) -> Stimulus:
    """The picture as a scene. Its stamps are all of the split of the first, so that nothing is shared across splits."""
    split = library.pictures[_key(drawn.things[0], copy)].split
    placements: list[Placement] = []
    for thing in drawn.things:
        keys = [_key(thing, (copy + i) % _COPIES) for i in range(_COPIES)]
        stamp = next((k for k in keys if library.pictures[k].split == split), keys[0])
        placements.append(Placement(stamp=stamp, x=thing.x, y=thing.y, scale=thing.scale))
    ground = "#" + "".join(f"{v:02x}" for v in drawn.ground)
    background = Background(kind="plain", key=ground, shade=drawn.shade)
    return Scene(background=background, placements=tuple(placements), size=_SCENE, library=library).stimulus()


def _key(thing: Drawn, copy: int) -> str:
    return f"stamp:{'striped' if thing.striped else 'plain'}/{thing.colour}/{thing.shape}/{copy}"


@dataclass(frozen=True, kw_only=True, eq=False)
class DrawnLibrary(Library):
    """A library whose stamps are drawn when asked for."""

    def image(self, key: str) -> Image:
        """The stamp, RGBA. Do not change it: it is shared."""
        return _drawn(key)


@lru_cache(maxsize=4096)
def _drawn(key: str) -> Image:
    texture, colour, shape, copy = key.partition(":")[2].split("/")
    turn = float(int(copy) - _COPIES // 2)
    return draw(Drawn(shape=shape, colour=colour, striped=texture == "striped", turn=turn), _STAMP)


@lru_cache(maxsize=4)
def _library(looks: tuple[tuple[str, str, bool], ...]) -> DrawnLibrary:
    pictures: dict[str, Picture] = {}
    for shape, colour, striped in looks:
        thing = Drawn(shape=shape, colour=colour, striped=striped)
        for copy in range(_COPIES):
            key = _key(thing, copy)
            pictures[key] = Picture(
                key=key, kind="stamp", name=thing.name, concepts=thing.concepts, folders=(), group=f"{thing.name} {copy}",
                source="", file="", size=(_STAMP, _STAMP), hash=hashlib.sha256(key.encode()).hexdigest(),
            )  # fmt: skip
    return DrawnLibrary(folder=Path("drawn"), pictures=pictures, fingerprint=repr(looks))
