"""The words that labels of image units are written in: colours, textures, places, numbers and relations. Tables only."""

from __future__ import annotations

import re
from collections.abc import Mapping

from maieutic.explain.predicates.base import Predicate
from maieutic.explain.predicates.image import Texture
from maieutic.explain.predicates.image_pixels import COLOURS

LEAD = re.compile(
    r"^(?:(?:this|the)\s+)?(?:neuron|unit|feature|channel|it)?\s*(?:mostly |strongly )?"
    r"(?:fires|activates|responds|looks|is active|detects|represents|is selective)\s*(?:on|for|to|when|at|in|upon)?\s*[:,]?\s*",
    re.IGNORECASE,
)
#: says nothing about what is shown
EMPTY = re.compile(
    r"\b(?:(?:images?|pictures?|scenes?|close-?ups?|depictions?|presence|views?) (?:of|with|showing|that show|containing)|"
    r"mainly|mostly|usually|often|typically|especially|particularly|generally|various|different|any|all|certain|such as|"
    r"including|like|e\.g\.)(?![\w-])",
    re.IGNORECASE,
)
EXCEPT = re.compile(
    r"[,;]?\s*\b(?:except(?: for)?|excluding|but not|and not|not|without|other than|rather than)\b\s*", re.I
)
OR = re.compile(r"\s*(?:,\s*(?:and|or)\b|[,;/]|\b(?:and|or|as well as|and/or)\b)\s*", re.I)
#: what stands behind something else
BEFORE = re.compile(
    r"\b(?:on|against|in front of|before|over|in|upon|amid|among)\b\s*"
    r"(?=(?:an?|the)?\s*[\w\s:-]*\bbackgrounds?\b|[\w\s-]*\bgrounds?\b)",
    re.IGNORECASE,
)
#: relations between two things; those of no place mean that both are there
RELATIONS: tuple[tuple[str, str], ...] = (
    (r"(?:to |on )?(?:the )?left of", "left of"), (r"(?:to |on )?(?:the )?right of", "right of"),
    (r"above|on top of|over", "above"), (r"below|under|underneath|beneath", "below"),
    (r"overlapping|in front of|behind", "overlapping"),
    (r"with|beside|next to|near|alongside|together with|accompanied by|holding|wearing|on|in|at", ""),
)  # fmt: skip
RELATION = re.compile("|".join(rf"(?P<r{i}>\b(?:{words})\b)" for i, (words, _) in enumerate(RELATIONS)), re.I)
PLACES: Mapping[str, str] = {
    "top": "top", "upper": "top", "bottom": "bottom", "lower": "bottom", "left": "left", "right": "right",
    "centre": "centre", "center": "centre", "middle": "centre", "central": "centre",
}  # fmt: skip
PLACE = re.compile(
    rf"\b(?:(?:at|in|on|near|towards?) the (?P<a>{'|'.join(PLACES)})(?: (?:half|part|side|edge|of the (?:image|picture|frame)))*"
    rf"|(?P<b>centered|centred))\b",
    re.I,
)
GROUND = re.compile(r"\b(?:back)?grounds?\b", re.I)
MANY = re.compile(
    r"\b(?:many|several|groups? of|lots of|multiple|numerous|herds? of|flocks? of|two|three|four|more than one)\b", re.I
)
FORMS: Mapping[str, str] = {"tall": "tall", "upright": "tall", "vertical": "tall", "wide": "wide", "broad": "wide"}
COLOUR_WORDS: Mapping[str, str] = {
    **{c: c for c in COLOURS}, "gray": "grey", "violet": "purple", "lilac": "purple", "magenta": "pink", "gold": "yellow",
    "golden": "yellow", "silver": "grey", "navy": "blue", "turquoise": "blue", "crimson": "red", "scarlet": "red",
    "beige": "brown", "tan": "brown", "maroon": "red",
}  # fmt: skip


def texture(feature: str, low: float, high: float) -> Predicate:
    """A feature of the whole picture: 0 at ``low``, 1 at ``high``."""
    return Texture(feature=feature, low=low, high=high)


#: phrases of look, longest first; ranges are rough: what a plain photograph has is about the middle
LOOKS: tuple[tuple[str, Predicate], ...] = (
    (r"horizontal (?:lines?|stripes?|bars?|edges?)", texture("horizontal", 0.2, 0.7)),
    (r"vertical (?:lines?|stripes?|bars?|edges?)", texture("vertical", 0.2, 0.7)),
    (r"diagonal (?:lines?|stripes?|bars?|edges?)", texture("diagonal", 0.2, 0.7)),
    (r"(?:repeat(?:ing|ed)|regular|periodic|grid(?:-like)?) (?:patterns?|textures?|structures?)|grids?|stripes?|striped|stripy|"
     r"mesh(?:es)?|lattices?|checkered|chequered", texture("regular", 0.2, 0.8)),
    (r"fine (?:details?|textures?|patterns?)", texture("fine", 0.2, 0.7)),
    (r"coarse (?:details?|textures?|blobs?)", texture("coarse", 0.2, 0.7)),
    (r"(?:strong|sharp|many|high[- ]contrast) edges|edges|outlines|contours", texture("edges", 0.1, 0.5)),
    (r"(?:strong|high) contrasts?|contrasty", texture("contrast", 0.3, 0.8)),
    (r"(?:low|weak|little) contrasts?|uniform|smooth|plain|flat", texture("edges", 0.25, 0.02)),
    (r"bright(?:ness)?|light areas?|overexposed", texture("brightness", 0.4, 0.9)),
    (r"dark(?:ness)?|black backgrounds?|night|shadows?|underexposed", texture("brightness", 0.5, 0.1)),
    (r"vivid(?: colou?rs?)?|saturated|colou?rful|bright colou?rs?", texture("saturation", 0.3, 0.8)),
    (r"muted(?: colou?rs?)?|desaturated|colou?rless|gr[ae]yscale|black[- ]and[- ]white|monochrome",
     texture("saturation", 0.35, 0.05)),
    (r"reddish|warm (?:tones?|colou?rs?)", texture("reddish", 0.1, 0.5)),
    (r"greenish", texture("greenish", 0.1, 0.5)),
    (r"bluish|cold (?:tones?|colou?rs?)", texture("bluish", 0.1, 0.5)),
    (r"yellowish", texture("yellowish", 0.1, 0.5)),
    (r"round (?:shapes?|things?|objects?|outlines?)|circles?|circular", texture("round", 0.3, 0.8)),
    (r"large (?:things?|objects?)|close-?ups?", texture("size", 0.2, 0.7)),
    (r"small (?:things?|objects?)", texture("size", 0.4, 0.05)),
)  # fmt: skip
#: words that name nothing to be seen
_GENERAL = """
a an the of in on at to for with by from and or is are be being as its their this that these those some one thing
things object objects part parts image images picture pictures photo photos photograph photographs scene scenes area
areas region regions shape shapes color colors colour colours coloured colored pattern patterns texture textures kind
kinds type types example examples presence surface surfaces side sides half view visible shown showing seen which where
when against background backgrounds ground grounds front very large small big little whole only not no such like
containing contains contain having has have there it
"""
GENERAL = frozenset(_GENERAL.split())
