"""From a person's word to pictures of the library: exact names, synonyms, wider kinds, and colours of stamps.

``Finder(studio).resolve("automobile")`` finds the cars, ``resolve("poodle")`` the dogs and says so. Without WordNet
only names and concepts of the library itself are known. What this module does not do: compose anything.
"""

from __future__ import annotations

import colorsys
import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from maieutic.stimuli.imagine_shapes import SHAPES
from maieutic.stimuli.library import Picture
from maieutic.stimuli.studio import Studio, normal
from maieutic.stimuli.wordnet import Synset, Wordnet, open_wordnet, spoken

#: categories of things that can be seen
_VISIBLE = frozenset((
    "noun.animal", "noun.artifact", "noun.food", "noun.plant", "noun.object", "noun.person", "noun.body",
    "noun.phenomenon", "noun.substance", "noun.Tops",
))  # fmt: skip
#: kinds too wide to stand for one of their own: a unicorn is not shown as any animal
_WIDEST = frozenset((
    "animal", "mammal", "plant", "food", "bird", "person", "vehicle", "container", "tool", "invertebrate", "produce",
    "aquatic vertebrate", "ungulate", "flowering plant", "celestial body", "utensil", "machine", "vessel", "craft",
    "instrument", "wheeled vehicle", "arthropod", "fruit", "vegetable", "building material", "carnivore", "shape",
))  # fmt: skip
#: folders of textures whose name says what the textures are of (not so "sky", which holds lightning)
_MATERIALS = frozenset(("wood", "stone", "fabric", "marble", "paper", "leather"))
#: meanings of a word, the most frequent first, whose other words count as the same (the fifth of grass is "pot")
_SENSES = 2
#: steps up from a word to a kind that may stand for it
_UP = 3
#: hue angles (degrees) of colour words that a hue shift can reach
_HUES = {"red": 4, "orange": 28, "yellow": 54, "green": 120, "blue": 220, "purple": 275, "violet": 275, "pink": 335,
         "cyan": 180, "turquoise": 172, "teal": 180, "magenta": 312, "lime": 84, "gold": 46, "golden": 46,
         "crimson": 350}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a word stands for in the library.

    Attributes:
        word: as it was asked for, in its dictionary form.
        concept: name or concept of the library that was taken.
        exact: whether it is the word or a synonym of it; otherwise a wider kind stands for it.
        stamps: cut-outs under the concept, namesakes first.
        photos: whole photos under it.
        shape: the drawn shape that it is, where the library has no picture of that name.
    """

    word: str
    concept: str
    exact: bool
    stamps: tuple[Picture, ...] = ()
    photos: tuple[Picture, ...] = ()
    shape: str = ""

    @property
    def said(self) -> str:
        """The concept, with the word it stands for."""
        return self.concept if normal(self.concept) == self.word else f"{self.word} as {self.concept}"


@dataclass
class Finder:
    """Looks words up among the pictures of one studio (and in WordNet, if given). Remembers what it resolved."""

    studio: Studio
    words: Wordnet | None = field(default_factory=open_wordnet, repr=False)
    _found: dict[str, Found | None] = field(default_factory=dict[str, "Found | None"], repr=False)

    @cached_property
    def _stamps(self) -> dict[str, list[Picture]]:
        return _by_concept(self.studio.stamps())

    @cached_property
    def _photos(self) -> dict[str, list[Picture]]:
        return _by_concept(self.studio.photos())

    @cached_property
    def _textures(self) -> dict[str, str]:
        """Texture name → the key of the first so called; materials also by folder (wood, stone), namesakes first."""
        keys: dict[str, str] = {}
        every = self.studio.textures()
        for texture in every:
            keys.setdefault(normal(texture.name), texture.key)
        for texture in every:
            for name in _MATERIALS & {f.lower() for f in texture.folders}:
                keys.setdefault(name, texture.key)
        return keys

    def concepts(self) -> list[str]:
        """Everything an object may be called, in alphabetical order."""
        return sorted({*self._stamps, *self._photos})

    def resolve(self, word: str) -> Found | None:
        """Pictures of what a word (or phrase) names; ``None`` when nothing is near enough."""
        wanted = normal(word)
        if wanted not in self._found:
            self._found[wanted] = self._resolve(wanted)
        return self._found[wanted]

    def texture(self, word: str) -> str | None:
        """The key of a texture by name or folder (``wood``); ``None`` when there is none."""
        return self._textures.get(normal(word))

    def texture_names(self) -> list[str]:
        return sorted(self._textures)

    def near(self, word: str, most: int = 5) -> list[str]:
        """Concepts that a word may have meant: of its kind by WordNet, else spelt alike."""
        by_kind: list[str] = []
        for sense in self._senses(word)[:_SENSES]:
            assert self.words is not None
            kinds = [normal(spoken(h.lemmas[0])) for h in self.words.hypernyms(sense)[:6]]
            # what the dictionary says of it: a bus is "a vehicle carrying many passengers"
            kinds += [normal(w) for w in re.findall(r"[a-z]+", sense.gloss.partition(";")[0])]
            for kind in dict.fromkeys(kinds):
                by_kind += sorted({p.name for p in self._stamps.get(kind, ())})[:most]
        spelt = difflib.get_close_matches(word, self.concepts(), n=1, cutoff=0.82)
        return list(dict.fromkeys([*spelt, *by_kind]))[:most]

    # --- inside --------------------------------------------------------------------------------------------------
    def _resolve(self, wanted: str) -> Found | None:
        if wanted in SHAPES and not self._pictures(wanted, wanted, exact=True):
            return Found(word=wanted, concept=SHAPES[wanted], exact=True, shape=SHAPES[wanted])
        for name in self._names(wanted):
            if found := self._pictures(wanted, name, exact=True):
                return found
        for sense in self._senses(wanted)[:1]:
            assert self.words is not None
            for hypernym in self.words.hypernyms(sense)[:_UP]:
                for lemma in hypernym.lemmas[:2]:
                    kind = normal(spoken(lemma))
                    if kind not in _WIDEST and (found := self._pictures(wanted, kind, exact=False)):
                        return found
        return None

    def _names(self, wanted: str) -> list[str]:
        """The word, its dictionary form, and the words of the same visible meanings."""
        names = [wanted]
        if self.words is not None and (base := self.words.base(wanted)) is not None:
            names.append(normal(base))
            names += [normal(spoken(lemma)) for sense in self._senses(wanted)[:_SENSES] for lemma in sense.lemmas]
        return list(dict.fromkeys(names))

    def _senses(self, word: str) -> list[Synset]:
        if self.words is None:
            return []
        return [s for s in self.words.senses(word) if s.lexname in _VISIBLE]

    def _pictures(self, wanted: str, concept: str, *, exact: bool) -> Found | None:
        stamps, photos = self._stamps.get(concept, []), self._photos.get(concept, [])
        if not stamps and not photos:
            return None
        named = sorted(stamps, key=lambda p: (normal(p.name) != concept, p.key))
        return Found(word=wanted, concept=concept, exact=exact, stamps=tuple(named), photos=tuple(photos))


def _by_concept(pictures: Sequence[Picture]) -> dict[str, list[Picture]]:
    found: dict[str, list[Picture]] = {}
    for picture in pictures:
        for name in dict.fromkeys(normal(c) for c in (picture.name, *picture.concepts)):
            found.setdefault(name, []).append(picture)
    return found


# --- colours of stamps -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Tint:
    """The colour of a stamp: hue angle in degrees, saturation and light (0 to 1) of its opaque pixels."""

    hue: float
    saturation: float
    light: float


def tint_of(studio: Studio, picture: Picture) -> Tint:
    """Measured on a 32 px thumbnail; the hue is the mean direction, weighted by how coloured a pixel is."""
    small = np.asarray(studio.library.image(picture.key).resize((32, 32)), dtype=np.float64)
    pixels = small[small[..., 3] > 127][:, :3] / 255.0
    if not len(pixels):
        return Tint(hue=0.0, saturation=0.0, light=0.5)
    high, low = pixels.max(axis=1), pixels.min(axis=1)
    chroma = high - low
    angle = np.array([colorsys.rgb_to_hsv(*p)[0] for p in pixels]) * 2 * np.pi
    hue = np.degrees(np.arctan2((chroma * np.sin(angle)).sum(), (chroma * np.cos(angle)).sum())) % 360
    return Tint(hue=float(hue), saturation=float(chroma.mean()), light=float(pixels.mean()))


def hue_shift(tint: Tint, colour: str) -> float | None:
    """Degrees that turn a stamp into a colour: 0 when it has it, ``None`` when turning hues cannot give it."""
    if colour in ("grey", "silver", "black", "white"):
        light = {"black": (0.0, 0.3), "white": (0.72, 1.0)}.get(colour, (0.2, 0.85))
        return 0.0 if tint.saturation < 0.12 and light[0] <= tint.light <= light[1] else None
    if colour in ("brown", "tan", "beige", "maroon", "cream", "navy"):
        near = abs((tint.hue - 28 + 180) % 360 - 180) < 20
        return 0.0 if colour in ("brown", "tan", "beige") and near and 0.08 < tint.saturation < 0.5 else None
    if colour not in _HUES or tint.saturation < 0.12:
        return None
    turn = (_HUES[colour] - tint.hue + 180) % 360 - 180
    return 0.0 if abs(turn) <= 18 else round(turn, 1)
