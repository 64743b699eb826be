"""Executable labels. Importing this registers every built-in predicate, so that stored ones can be read back."""

from maieutic.explain.predicates import (
    image,
    image_pixels,
    text,
    text_amounts,
    text_meaning,
    text_patterns,
    text_rules,
)
from maieutic.explain.predicates.base import And, Constant, Not, Or, Predicate, Scaled, from_json

__all__ = [
    "And",
    "Constant",
    "Not",
    "Or",
    "Predicate",
    "Scaled",
    "from_json",
    "image",
    "image_pixels",
    "text",
    "text_amounts",
    "text_meaning",
    "text_patterns",
    "text_rules",
]
