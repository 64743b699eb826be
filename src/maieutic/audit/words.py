"""A label taken at its word: its text, normalised and read by our own reader, as a predicate that we run ourselves.

Nothing of the explainer takes part but the text: neither its predicate nor its viewer. What this module does not do:
understand (see ``explain.reading_labels``); of a label that cannot be read it says so.
"""

from __future__ import annotations

from maieutic.audit.exam import Exam, Item
from maieutic.audit.plain_text import normalised
from maieutic.explain.predicates.base import Predicate
from maieutic.explain.reading import read_for
from maieutic.lab import Lab


def read_words(exam: Exam, item: Item, label: str) -> Predicate | None:
    """The executable form of a label's words for one unit; ``None`` when nothing of them can be read."""
    return read_for(normalised(label), Lab(item.subject, item.unit, item.atlas), exam.viewer).predicate
