"""Planted subjects: units whose truth is known exactly, so that an explainer can be marked right or wrong.

A planted subject computes each unit from a rule over the words of a text, or over the annotations and pixels of an
image. It is read like any network (one site, one unit per rule), and every rule also gives its noiseless truth on any
stimulus, edited ones included. Which words and concepts the rules are about is chosen from a corpus by ``plant``. What
this room does not do: an easy planted unit says nothing about a hard real one.
"""

from maieutic.subjects.planted.draw import LEAST, SNR
from maieutic.subjects.planted.image_rules import Colour, Seen, Shows, ShowsAt, Size, annotated, colour_share, seen
from maieutic.subjects.planted.plant import plant
from maieutic.subjects.planted.plant_text import EACH
from maieutic.subjects.planted.rule import Nothing, Rule, Truth
from maieutic.subjects.planted.subject import SITE, Planted, PlantedSubject, PlantedUnit
from maieutic.subjects.planted.text_atoms import FAMILIES
from maieutic.subjects.planted.text_ground import LEAST_RARE
from maieutic.subjects.planted.text_rules import (
    After,
    All,
    At,
    Before,
    Either,
    Grade,
    Indented,
    Inside,
    NthWord,
    Number,
    OnLine,
    Passage,
    Spelled,
    TextRule,
    Without,
    Words,
    words,
)
from maieutic.subjects.planted.text_view import TextView, tokens_of, words_of

__all__ = [
    "EACH", "FAMILIES", "LEAST", "LEAST_RARE", "SITE", "SNR", "After", "All", "At", "Before", "Colour", "Either",
    "Grade", "Indented", "Inside", "Nothing", "NthWord", "Number", "OnLine", "Passage", "Planted", "PlantedSubject",
    "PlantedUnit", "Rule", "Seen", "Shows", "ShowsAt", "Size", "Spelled", "TextRule", "TextView", "Truth", "Without",
    "Words", "annotated", "colour_share", "plant", "seen", "tokens_of", "words", "words_of",
]  # fmt: skip
