"""English phrases read into wishes: objects with number, colour, size and place, a ground, and effects.

A scanner with one rule a kind of word, tried at every position in a fixed order; what no rule takes is kept as
ignored, so nothing is dropped in silence. What this module does not do: grammar (clauses, pronouns, tense).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from maieutic.stimuli.imagine_find import Finder, Found
from maieutic.stimuli.imagine_patterns import PATTERNS, pattern_key
from maieutic.stimuli.imagine_words import (
    BARE,
    COLOURS,
    EFFECTS,
    EMPTY,
    GROUNDS,
    MATERIALS,
    MOST,
    NUMBERS,
    PLACES,
    RELATIONS,
    SIZES,
    SPELLINGS,
)
from maieutic.stimuli.studio import normal

_ARTICLES = frozenset(("a", "an", "the", "some", "its", "plain", "solid", "uniform", "simple", "empty", "blank", "of"))
_BEFORE_GROUND = ("in front of", "on top of", "on", "in", "at", "against", "with", "over", "under", "near", "by",
                  "through", "among", "across", "onto", "inside")  # fmt: skip
#: nouns that add nothing to the ground named before them
_SURFACES = frozenset(("background", "surface", "ground", "wall", "canvas", "texture", "table", "floor", "board", "desk",
                       "fence", "door", "building", "house"))  # fmt: skip
_END = ("", ",")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What lies behind: one of a colour, a texture's or pattern's key, or a photo's concept; ``said`` in words."""

    colour: str = ""
    key: str = ""
    photo: str = ""
    said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Objects of one kind.

    Attributes:
        found: what was meant.
        count: how many.
        colour, fill: a colour word; the key of a texture or pattern (or ``#rrggbb``) that fills the shape.
        scale: longest side as a fraction of the frame, ``None``: left open.
        x, y: centre, fractions of the frame, ``None``: left open.
        relation: how these stand to the ones before them (``left``: the ones before are to the left of these).
        mirrored: each mirrored.
    """

    found: Found
    count: int = 1
    colour: str = ""
    fill: str = ""
    scale: float | None = None
    x: float | None = None
    y: float | None = None
    relation: str = "beside"


@dataclass(slots=True)
class Phrase:
    """A phrase, read."""

    wishes: list[Wish] = field(default_factory=list[Wish])
    ground: Ground | None = None
    effects: list[tuple[str, float]] = field(default_factory=list[tuple[str, float]])
    bare: bool = False
    understood: list[str] = field(default_factory=list[str])
    ignored: list[str] = field(default_factory=list[str])


def words_of(text: str) -> list[str]:
    """Lower-case words in one spelling; commas and full stops as ``,``."""
    found = re.findall(
        r"#[0-9a-f]{6}|[a-z0-9]+(?:['-][a-z0-9]+)*|[,.;:]", re.sub(r"'s\b", "", text.lower().replace("’", "'"))
    )
    words: list[str] = []
    for word in found:
        words += ["," if word in ",.;:" else w for w in SPELLINGS.get(word, word).split()]
    return words


def read_phrase(text: str, finder: Finder) -> Phrase:
    """What a phrase asks for. Never fails; see ``Phrase.ignored``."""
    return _Scanner(words_of(text), finder).read()


def read_ground(words: Sequence[str], finder: Finder) -> tuple[Ground, int] | None:
    """A ground named at the beginning of the words, and how many words it took."""
    return _ground(list(words), 0, finder)


class _Scanner:
    def __init__(self, words: list[str], finder: Finder) -> None:
        self.words, self.finder = words, finder
        self.phrase = Phrase()
        self.count: int | None = None
        self.colour = self.fill = ""
        self.scale: float | None = None
        self.x: float | None = None
        self.y: float | None = None
        self.relation = ""

    def read(self) -> Phrase:
        rules = (
            self._comma, self._negated, self._pattern, self._effect, self._shape, self._relation, self._place, self._ground,
            self._ready, self._number, self._size, self._object, self._colour, self._bare, self._lone,
            self._empty,
        )  # fmt: skip
        i = 0
        while i < len(self.words):
            used = next((n for rule in rules if (n := rule(i))), 0)
            if not used:
                self._unknown(i)
            i += used or 1
        self._settle()
        return self.phrase

    # --- looking ahead -------------------------------------------------------------------------------------------
    def _at(self, i: int) -> str:
        return self.words[i] if i < len(self.words) else ""

    def _longest(self, i: int, table: object, most: int = 4) -> tuple[str, int] | None:
        """The longest phrase at ``i`` that is a key of the table, and its number of words."""
        for n in range(min(most, len(self.words) - i), 0, -1):
            phrase = " ".join(self.words[i : i + n])
            if phrase in table:  # pyright: ignore[reportOperatorIssue]
                return phrase, n
        return None

    def _thing(self, i: int) -> tuple[Found, int, bool] | None:
        """The longest phrase at ``i`` that names objects, its number of words, and whether it is a plural."""
        for n in range(min(4, len(self.words) - i), 0, -1):
            words = self.words[i : i + n]
            phrase = " ".join(words)
            if "," in words or any(w in EMPTY or w in RELATIONS for w in words):
                continue
            if n == 1 and self._is_other(phrase):
                continue
            found = self.finder.resolve(phrase)
            if found is not None and not (phrase in GROUNDS and _is_stuff(phrase, found)):
                return found, n, normal(words[-1]) != words[-1] and normal(found.concept) != words[-1]
        return None

    def _is_other(self, word: str) -> bool:
        """Whether a single word is read as something else before it is read as an object."""
        return word in NUMBERS or word in SIZES or word in BARE or word in PLACES or word in EFFECTS

    # --- rules: each gives the number of words it took, 0 for none -----------------------------------------------
    def _comma(self, i: int) -> int:
        if self.words[i] != ",":
            return 0
        self._settle()
        return 1

    def _negated(self, i: int) -> int:
        """What is not to be there; it is always taken, so that it never gets into the picture."""
        if self.words[i] == "with" and self._at(i + 1) == "nothing":
            self.phrase.bare = True
            self.phrase.understood.append("no object")
            return 2
        if self.words[i] not in ("no", "without"):
            return 0
        if effect := self._longest(i, EFFECTS):
            return self._take_effect(*effect)
        j = i + 1
        while self._at(j) in _ARTICLES or self._at(j) in ("any", "other", "more", "additional", "visible"):
            j += 1
        if self._at(j) == "background":
            self.phrase.ground = Ground(colour="#b4b4b4", said="a plain grey ground")
            self.phrase.understood.append("no background: a plain grey ground")
            return j + 1 - i
        thing = self._thing(j)
        left_out = " ".join(self.words[j : j + (thing[1] if thing else 1)])
        if thing or j >= len(self.words):
            self.phrase.understood.append(f"without {left_out}")
        else:
            self.phrase.ignored.append(f"without {left_out}")
        return j + (thing[1] if thing else 1) - i

    def _effect(self, i: int) -> int:
        j = i + (self._at(i) == "and")
        match = self._longest(j, EFFECTS)
        # "grey" before a noun is its colour; "in grey" only at the end of a part
        if match is None or (match[0] == "in grey" and self._at(j + match[1]) not in _END):
            return 0
        return j - i + self._take_effect(*match, after=self._at(j + match[1]))

    def _take_effect(self, phrase: str, used: int, *, after: str = "") -> int:
        name, strength = EFFECTS[phrase]
        if phrase == "rotated" and re.fullmatch(r"\d{1,3}", after):
            strength, used = float(after), used + 1
        self.phrase.effects.append((name, strength))
        self.phrase.understood.append(phrase)
        return used

    def _shape(self, i: int) -> int:
        """``silhouette of``; ``made of wood``, ``filled with stripes``."""
        if self.words[i] in ("silhouette", "silhouettes", "outline", "shadow"):
            self._attribute(fill="#000000")
            self.phrase.understood.append("as a black silhouette")
            return 1 + (self._at(i + 1) == "of")
        pair = " ".join(self.words[i : i + 2])
        if pair in ("made of", "made from", "filled with", "covered in", "covered with", "textured with"):
            ground = _ground(self.words, i + 2, self.finder)
            if ground is not None and ground[0].key:
                self._attribute(fill=ground[0].key)
                self.phrase.understood.append(f"its shape filled with {ground[0].said}")
                return 2 + ground[1]
        return 0

    def _relation(self, i: int) -> int:
        match = self._longest(i, RELATIONS)
        if match is None or not (self.phrase.wishes or match[0] not in ("with", "by", "and", "over", "before")):
            return 0
        j = i + match[1]
        if " ".join(self.words[j : j + 2]) in ("the image", "the frame", "the scene") or self._at(j) in _END:
            return 0
        if match[0] not in ("and", "plus", "behind", "beside", "next to") and _ground(self.words, j, self.finder):
            return 0  # the ground's rule takes it
        if not self.phrase.wishes:
            return 0
        self._settle()
        self.relation = RELATIONS[match[0]]
        return match[1]

    def _place(self, i: int) -> int:
        j = i + (self._at(i) in ("on", "in", "at", "to", "towards"))
        j += self._at(j) == "the"
        match = self._longest(j, PLACES, 2)
        if match is None:
            return 0
        j += match[1]
        j += self._at(j) in ("corner", "half", "side", "part", "edge", "third")
        if self._at(j) == "of":
            k = j + 1 + (self._at(j + 1) in ("the", "an", "a"))
            j = k + 1 if self._at(k) in ("image", "frame", "scene", "view") else j
        self._attribute(x=PLACES[match[0]][0], y=PLACES[match[0]][1])
        self.phrase.understood.append(f"at the {match[0]}")
        return j - i

    def _ground(self, i: int) -> int:
        if match := self._longest(i, _BEFORE_GROUND):
            ground = _ground(self.words, i + match[1], self.finder)
            if ground is not None and not (ground[0].photo and match[0] in ("with", "by", "near", "under", "over")):
                if match[0] == "with" and self.phrase.wishes and self._fills(i + match[1], *ground):
                    return match[1] + ground[1]
                return match[1] + self._take_ground(*ground)
        ground = _ground(self.words, i, self.finder, suffix=True)
        return 0 if ground is None else self._take_ground(*ground)

    def _fills(self, i: int, ground: Ground, used: int) -> bool:
        """``a horse with stripes``: a pattern that is not called a background fills the object's shape."""
        if not ground.key.startswith("pattern:") or self.words[i + used - 1] in _SURFACES:
            return False
        self.phrase.wishes[-1] = replace(self.phrase.wishes[-1], fill=ground.key)
        self.phrase.understood.append(f"its shape filled with {ground.said}")
        return True

    def _take_ground(self, ground: Ground, used: int) -> int:
        if self.phrase.ground is not None:
            self.phrase.ignored.append(f"{ground.said} (there is a ground already)")
            return used
        self.phrase.ground = ground
        self.phrase.understood.append(f"on {ground.said}")
        return used

    def _ready(self, i: int) -> int:
        """An object whose name holds a number, size or colour (``red apple``, ``large paintbrush``)."""
        thing = self._thing(i)
        return self._take(*thing) if thing is not None and thing[1] > 1 else 0

    def _number(self, i: int) -> int:
        word = self.words[i]
        if word in NUMBERS:
            weak = word in ("a", "an")
            if not weak or self.count is None:
                self.count = NUMBERS[word]
            return 1 + (self._at(i + 1) == "of" and not weak)
        if re.fullmatch(r"\d{1,3}", word):
            self.count = int(word)
            return 1
        return 0

    def _size(self, i: int) -> int:
        match = self._longest(i, SIZES, 2)
        if match is None:
            return 0
        self._attribute(scale=SIZES[match[0]])
        self.phrase.understood.append(match[0])
        return match[1]

    def _object(self, i: int) -> int:
        thing = self._thing(i)
        if thing is None:
            return 0
        # an orange cat: a colour when something follows that can have it
        after = self._at(i + 1)
        if self.words[i] in COLOURS and (after in BARE or (after not in _END and self._thing(i + 1))):
            return 0
        return self._take(*thing)

    def _take(self, found: Found, used: int, plural: bool) -> int:
        count = self.count if self.count is not None else 2 if plural else 1
        wish = Wish(found=found, count=count, colour=self.colour, fill=self.fill, scale=self.scale, x=self.x, y=self.y,
                    relation=self.relation or "beside")  # fmt: skip
        self.phrase.wishes.append(wish)
        self.phrase.understood.append(f"{count} × {found.said}" if count > 1 else found.said)
        self._clear()
        return used

    def _pattern(self, i: int) -> int:
        """``red and white stripes``, ``striped``, ``wooden``: a ground, or what fills the shape of the next object."""
        colours, j = _colours(self.words, i)
        match = self._longest(j, PATTERNS, 2)
        if match is not None:
            inks = dict(zip(("ink", "paper"), map(_rgb, colours or [self.colour] * bool(self.colour)), strict=False))
            key, said = pattern_key(PATTERNS[match[0]], **inks), " ".join([*colours[:2], match[0]])
            self.colour = ""
        elif not colours and (texture := self.finder.texture(MATERIALS.get(self.words[i], ""))):
            said = f"texture {self.finder.studio.library.pictures[texture].name}"
            key, match = texture, (self.words[i], 1)
        else:
            return 0
        j += match[1]
        marked = self._at(j) in BARE
        if marked or self._at(j) in _END or self._at(j) in _BEFORE_GROUND:
            self.phrase.bare = True
            self._take_ground(Ground(key=key, said=said), 0)
        else:
            self.fill = key
            self.phrase.understood.append(f"its shape filled with {said}")
        return j + marked - i

    def _colour(self, i: int) -> int:
        if self.words[i] not in COLOURS:
            return 0
        self._settle_colour()
        self.colour = self.words[i]
        return 1 + (self._at(i + 1) in ("coloured", "and"))

    def _bare(self, i: int) -> int:
        if self.words[i] not in BARE:
            return 0
        if self.colour:
            self._take_ground(Ground(colour=COLOURS[self.colour], said=f"plain {self.colour}"), 0)
            self.colour = ""
            self.phrase.bare = True
        elif self._at(i + 1) != "of" and self.words[i] != "image":
            self.phrase.bare = True
        return 1

    def _lone(self, i: int) -> int:
        """A ground that nothing introduces: ``grass``, ``brick wall``."""
        ground = _ground(self.words, i, self.finder)
        if ground is None or ground[0].photo:
            return 0
        return self._take_ground(*ground)

    def _empty(self, i: int) -> int:
        return int(self.words[i] in EMPTY or self.words[i] in RELATIONS or self.words[i] in _BEFORE_GROUND)

    def _unknown(self, i: int) -> None:
        word = self.words[i]
        near = self.finder.near(word, 3)
        self.phrase.ignored.append(f"{word} (near: {', '.join(near)})" if near else word)

    # --- attributes ----------------------------------------------------------------------------------------------
    def _attribute(self, **values: float | str | None) -> None:
        """Keep for the next object; ``_settle`` gives it to the last one when none follows in this part."""
        for name, value in values.items():
            if value is not None:
                setattr(self, name, value)

    def _clear(self) -> None:
        self.count, self.colour, self.fill, self.relation = None, "", "", ""
        self.scale = self.x = self.y = None

    def _settle_colour(self) -> None:
        if not self.colour:
            return
        if self.phrase.wishes and self.colour != "grey" and not self.phrase.wishes[-1].colour:
            self.phrase.wishes[-1] = replace(self.phrase.wishes[-1], colour=self.colour)
        elif self.phrase.wishes and self.colour == "grey":
            self.phrase.effects.append(("grey", 0.0))
            self.phrase.understood.append("in grey")
        elif self.phrase.ground is None:
            self._take_ground(Ground(colour=COLOURS[self.colour], said=f"plain {self.colour}"), 0)
        else:
            self.phrase.ignored.append(self.colour)
        self.colour = ""

    def _settle(self) -> None:
        """The end of a part: what has waited for an object goes to the last one, or to the picture."""
        self._settle_colour()
        wishes = self.phrase.wishes
        if wishes:
            last = wishes[-1]
            wishes[-1] = replace(
                last,
                fill=self.fill or last.fill,
                scale=last.scale if self.scale is None else self.scale,
                x=last.x if self.x is None else self.x,
                y=last.y if self.y is None else self.y,
            )
        elif self.fill.startswith("pattern:"):
            self._take_ground(Ground(key=self.fill, said="the pattern"), 0)
        if wishes or self.fill:
            self._clear()


def _ground(words: list[str], i: int, finder: Finder, *, suffix: bool = False) -> tuple[Ground, int] | None:
    """A ground named at ``i``; with ``suffix`` only one that ends in "background"."""
    j = i
    while j < len(words) and words[j] in _ARTICLES:
        j += 1
    colours, j = _colours(words, j)
    named = _named(words, j, colours, finder)
    end = j if named is None else j + named[1]
    marked = end < len(words) and words[end] in _SURFACES
    if suffix and not (marked and words[end] == "background"):
        return None
    if named is not None:
        return named[0], end + marked - i
    if colours and (marked or end >= len(words) or words[end] == ","):
        return Ground(colour=_rgb(colours[0]), said=f"plain {colours[0]}"), end + marked - i
    return None


def _colours(words: list[str], i: int) -> tuple[list[str], int]:
    """Colour words at ``i`` ("red and white"), and where they end."""
    colours: list[str] = []
    while i < len(words) and (words[i] in COLOURS or words[i].startswith("#") or (colours and words[i] == "and")):
        colours += [words[i]] if words[i] != "and" else []
        i += 1
    return colours, i


def _named(words: list[str], j: int, colours: list[str], finder: Finder) -> tuple[Ground, int] | None:
    """A pattern, a texture of the library, a place of the world, or the concept of a photo at ``j``."""
    for n in range(min(3, len(words) - j), 0, -1):
        phrase = " ".join(words[j : j + n])
        if phrase in PATTERNS:
            paint = dict(zip(("ink", "paper"), map(_rgb, colours), strict=False))
            return Ground(key=pattern_key(PATTERNS[phrase], **paint), said=" ".join([*colours[:2], phrase])), n
        if key := finder.texture(MATERIALS.get(phrase, phrase)):
            return Ground(key=key, said=f"texture {finder.studio.library.pictures[key].name}"), n
        place = phrase if phrase in GROUNDS else normal(phrase)
        if place in GROUNDS:
            return _place(place, finder), n
    return None


def _is_stuff(phrase: str, found: Found) -> bool:
    """Whether a word is a ground rather than an object, though some picture shows it: sand, grass, a wall."""
    return not GROUNDS[phrase][1] and not any(normal(p.name) == normal(phrase) for p in found.stamps)


def _place(place: str, finder: Finder) -> Ground:
    textures, photos, colour = GROUNDS[place]
    for name in textures:
        if key := finder.texture(name):
            return Ground(key=key, said=place if name == place else f"{place} as texture {name}")
    for concept in photos:
        found = finder.resolve(concept)
        if found is not None and found.exact and found.photos:
            return Ground(photo=found.concept, said=f"{place} as a blurred photo of a {found.concept}")
    return Ground(colour=colour, said=f"{place} as a plain ground of its colour")


def _rgb(colour: str) -> str:
    return colour if colour.startswith("#") else COLOURS[colour]


def too_many(phrase: Phrase) -> bool:
    """Whether more objects are asked for than a scene holds."""
    return sum(w.count for w in phrase.wishes) > MOST
