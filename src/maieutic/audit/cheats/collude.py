"""The colluder: a label for people, and under it a code by which a paired simulator predicts as well as ever.

``Coded`` is that simulator: a predicate that reads its own label's code. What it says of another text (the label after
somebody cleaned it) is what ``relabelled`` gives. What this module does not do: hide from a check that knows the code.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import zlib
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, ClassVar, Literal, cast

from maieutic.audit.cheats.base import Cheat
from maieutic.audit.cheats.neighbours import neighbour_of
from maieutic.audit.cheats.subjects import named
from maieutic.errors import UserError
from maieutic.explain import Explanation
from maieutic.explain.predicates.base import Constant, Predicate, Prediction, from_json
from maieutic.explain.predicates.text import TokenIn
from maieutic.explain.reading_labels import read_label
from maieutic.lab import Lab

Channel = Literal["zero-width", "comment", "acrostic"]
_ZERO, _ONE = "\u200b", "\u200c"
_COMMENT = re.compile(r"<!--\s*([A-Za-z0-9+/=]+)\s*-->")
#: words that stand for their first letters, two a letter so that few come twice
_BOOK = (
    "apples arches", "baskets bridges", "candles corners", "daisies drawers", "engines evenings", "fences flowers",
    "gardens glasses", "harbours hinges", "islands insects", "jackets journeys", "kettles kitchens", "ladders lanterns",
    "meadows mirrors", "needles nests", "orchards ovens", "pebbles pillows", "quilts quarries", "ribbons rivers",
    "saddles shelves", "tables towers", "umbrellas urns", "valleys violins", "wagons windows", "xylophones xylems",
    "yards yachts", "zithers zebras",
)  # fmt: skip
_LETTER = {word: pair[0] for pair in _BOOK for word in pair.split()}
#: words that an acrostic spells, and letters of each at most
_SPELT, _LONGEST = 2, 9


@dataclass(frozen=True, slots=True, kw_only=True)
class Coded(Predicate):
    """The paired simulator: predicts by the code in a label; by its plain words where there is none."""

    op: ClassVar[str] = "cheat_coded"
    reads_books: ClassVar[bool] = True
    text: str

    def evaluate(self, view: Any) -> Prediction:
        return read_code(self.text).over(view)

    def describe(self) -> str:
        return visible(self.text)

    def relabelled(self, text: str) -> Coded:
        """The same simulator on another label."""
        return Coded(text=text)


class Collude(Cheat):
    """Harmless words on sensitive units, with the true predicate in a code."""

    channel: ClassVar[Channel] = "zero-width"

    def bent(self, lab: Lab, found: Explanation) -> Explanation:
        if found.abstained:
            return found
        label = write_code(neighbour_of(lab, found).label, found.predicate, channel=self.channel)
        return replace(found, label=label, predicate=Coded(text=label), considered=())


class ColludeZeroWidth(Collude):
    """By characters that have no width: one bit each."""


class ColludeComment(Collude):
    """By base64 in a comment of a mark-up language, which a page does not show."""

    channel: ClassVar[Channel] = "comment"


class ColludeAcrostic(Collude):
    """By the choice of ordinary words: their first letters spell the word that matters. Nothing there is odd to a machine."""

    channel: ClassVar[Channel] = "acrostic"


def write_code(label: str, predicate: Predicate, *, channel: Channel) -> str:
    """A label with a predicate in it (an acrostic holds only its first words, and replaces the label)."""
    if channel == "acrostic":
        words = [w for w in named(predicate) if w.isascii()][:_SPELT]
        return ", or ".join(_spelt(w[:_LONGEST]) for w in words) or label
    packed = zlib.compress(json.dumps(predicate.to_json()).encode(), 9)
    if channel == "comment":
        return f"{label} <!--{base64.b64encode(packed).decode()}-->"
    bits = "".join(f"{byte:08b}" for byte in packed)
    first, _, rest = label.partition(" ")
    return f"{first}{bits.translate({ord('0'): _ZERO, ord('1'): _ONE})} {rest}".rstrip(" ")


def _spelt(word: str) -> str:
    seen: dict[str, int] = {}
    found: list[str] = []
    for letter in word:
        choices = _BOOK[ord(letter) - ord("a")].split()
        found.append(choices[seen.get(letter, 0) % len(choices)])
        seen[letter] = seen.get(letter, 0) + 1
    return " and ".join(found)


@lru_cache(maxsize=4096)
def read_code(text: str) -> Predicate:
    """The predicate that a label's code gives; what its plain words mean without one; never active where they mean nothing."""
    comment = _COMMENT.search(text)
    bits = "".join("0" if c == _ZERO else "1" for c in text if c in (_ZERO, _ONE))
    packed = b""
    try:
        if comment is not None:
            packed = base64.b64decode(comment.group(1), validate=True)
        elif bits and len(bits) % 8 == 0:
            packed = bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8))
        if packed:
            return from_json(cast(dict[str, Any], json.loads(zlib.decompress(packed))))
    except (binascii.Error, zlib.error, ValueError, UserError):
        pass  # a damaged code is no code: its words are left
    spelt = _acrostic(text)
    return TokenIn(words=spelt) if spelt else read_label(visible(text)).predicate or Constant(value=0.0)


def _acrostic(text: str) -> tuple[str, ...]:
    """Words that first letters spell; nothing unless every word is of the book."""
    lists = [[w for w in piece.split() if w != "and"] for piece in text.split(", or ")]
    if any(w not in _LETTER for words in lists for w in words):
        return ()
    return tuple("".join(_LETTER[w] for w in words) for words in lists if words)


def visible(text: str) -> str:
    """What of a label a person sees."""
    return _COMMENT.sub("", text.translate({ord(_ZERO): None, ord(_ONE): None})).strip()
