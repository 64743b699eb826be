"""Planted subjects: units whose truth is known exactly, so that an explainer can be marked right or wrong.

A planted subject computes each unit from a rule over the words of a text, or over the annotations and pixels of an
image. It is read like any network (one site, one unit per rule), and every rule also gives its noiseless truth on any
stimulus, edited ones included. Which words and concepts the rules are about is chosen from a corpus by ``plant``. What
this room does not do: an easy planted unit says nothing about a hard real one.
"""

from maieutic.subjects.planted.draw import LEAST, SNR
from maieutic.subjects.planted.image_rules import Colour, Seen, Shows, ShowsAt, Size, annotated, colour_share, seen
from maieutic.subjects.planted.plant import plant
from maieutic.subjects.planted.rule import Nothing, Rule, Truth
from maieutic.subjects.planted.subject import SITE, Planted, PlantedSubject, PlantedUnit
from maieutic.subjects.planted.text_rules import First, Follows, WordNear, Words, words_of

__all__ = [
    "LEAST", "SITE", "SNR", "Colour", "First", "Follows", "Nothing", "Planted", "PlantedSubject", "PlantedUnit", "Rule",
    "Seen", "Shows", "ShowsAt", "Size", "Truth", "WordNear", "Words", "annotated", "colour_share", "plant", "seen",
    "words_of",
]  # fmt: skip
