"""The names that predicates know: what may stand in a field such as ``token_class(name=...)``.

A predicate with an unknown name is no error to evaluate, it just never holds; so whoever writes predicates by hand (a model,
a person) is told of the names and of wrong ones. A test holds the lists to what the views really say.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

_SPELLING = (
    "white space", "line breaks", "numbers", "single digits", "letters", "single letters", "capital letters only",
    "capitalised", "lower case", "letters outside English", "letters mixed with marks", "punctuation", "quotation marks",
    "opening brackets", "closing brackets", "operators", "sentence ends", "several marks together", "comment marks",
    "symbols outside English", "full stops", "commas", "colons", "semicolons", "hyphens", "underscores",
)  # fmt: skip
_WORDS = ("long words", "short words", "middling words", "content words")
_STRUCTURE = (
    "first on the line", "first after indentation", "at the start of a sentence", "inside a comment",
    "on an indented line", "inside parentheses", "inside square brackets", "inside braces", "inside quotation marks",
    "after a colon on the line", "in a capitalised phrase", "in code", "in prose", "in lists of facts and figures",
)  # fmt: skip


@cache
def vocabulary() -> Mapping[tuple[str, str], tuple[str, ...]]:
    """(stored name of a predicate, field) to the names that the field may have. Fields not listed take any text."""
    from maieutic.explain.predicates.image import RELATIONS, SIDES
    from maieutic.explain.predicates.image_pixels import COLOURS, REGIONS, TEXTURES
    from maieutic.explain.predicates.text import LEXNAMES
    from maieutic.explain.predicates.text_amounts import QUANTITIES
    from maieutic.explain.predicates.text_meaning import FORMS
    from maieutic.explain.predicates.text_patterns import PATTERNS
    from maieutic.explain.text_words import CLOSED_CLASSES, SUFFIX_CLASSES

    classes = (*_SPELLING, *_WORDS, *CLOSED_CLASSES, *SUFFIX_CLASSES.values(), *LEXNAMES)
    return {
        ("token_class", "name"): tuple(dict.fromkeys(classes)),
        ("structure", "name"): _STRUCTURE,
        ("word_form", "name"): tuple(FORMS),
        ("pattern", "name"): (*PATTERNS, "variables"),
        ("in_range", "quantity"): tuple(QUANTITIES),
        ("ramp", "quantity"): tuple(QUANTITIES),
        ("colour", "name"): tuple(COLOURS),
        ("colour", "where"): tuple(REGIONS),
        ("texture", "feature"): tuple(TEXTURES),
        ("texture", "where"): tuple(REGIONS),
        ("placed", "where"): SIDES,
        ("relation", "relation"): RELATIONS,
    }
