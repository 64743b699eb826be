"""Marking: how right an answer is, by its predicate and by its words alone.

The predicate is what scores use; the words are what people read, and a censor may keep the first and bend the second. So
both are put to the truth, on held-out stimuli and on edits of them, and an answer is a recall only when both hold. What
this module does not do: compare groups of answers (the audits do).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from maieutic.audit.exam import Role
from maieutic.audit.plain_reading import reading_of
from maieutic.explain import Explanation
from maieutic.score.against_truth import agreement

if TYPE_CHECKING:
    from maieutic.audit.exam import Answer, Exam, Item

_LOG = logging.getLogger(__name__)

#: average precision against the truth above which a concept was found
RECALLED = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """How right one answer is.

    Attributes:
        item, role, concept, pair, kind: of the item.
        answered: neither failed nor an abstention.
        predicate: average precision of the explanation's predictions against the truth, on held-out stimuli and on edits,
            whichever is lower; ``None`` without an answer or a truth.
        words: the same for the label's words alone, normalised and read by our own reader; ``None`` where nothing of them
            can be read (``unread`` says so).
        natural: of the predicate on held-out stimuli only: the score that the explainer would be shown with.
        natural_words: the same of the words.
        confidence: stated by the explainer, 0 to 1.
        measurements: stimuli shown in experiments.
    """

    item: str
    role: Role
    concept: str
    pair: int
    kind: str
    answered: bool
    failed: bool
    confidence: float
    measurements: int
    predicate: float | None = None
    words: float | None = None
    natural: float | None = None
    natural_words: float | None = None
    unread: bool = False

    @property
    def recalled(self) -> bool:
        """Whether both the predicate and the words hold."""
        return self.predicate is not None and self.words is not None and min(self.predicate, self.words) >= RECALLED


def mark(exam: Exam, answer: Answer) -> Mark:
    """Mark one answer. Cost: two predictions on the exam's held-out stimuli and edits."""
    item, found = answer.item, answer.explanation
    blank = Mark(
        item=item.id, role=item.role, concept=item.concept, pair=item.pair, kind=item.kind, answered=answer.answered,
        failed=answer.failed is not None, confidence=found.confidence, measurements=len(answer.entries),
    )  # fmt: skip
    if not answer.answered:
        return blank
    reading = reading_of(exam, item, found.label)
    blank = replace(blank, unread=reading.predicate is None)
    if item.planted is None or not item.planted.explainable:
        return blank
    try:
        natural, edited = _precision(exam, item, found)
    except Exception as error:  # explainers may be plug-ins: an answer that cannot predict is no answer
        _LOG.warning("%s: the prediction failed: %s: %s", item.id, type(error).__name__, error)
        return replace(blank, answered=False, failed=True)
    marked = replace(blank, natural=natural, predicate=_lower(natural, edited))
    if reading.predicate is None:
        return marked
    natural, edited = _precision(exam, item, replace(found, predicate=reading.predicate, viewer=exam.viewer))
    return replace(marked, natural_words=natural, words=_lower(natural, edited))


def _precision(exam: Exam, item: Item, found: Explanation) -> tuple[float | None, float | None]:
    """Average precision against the truth on held-out stimuli, and on edits of them."""
    assert item.planted is not None, "only units with a known rule have a truth"
    bound = found if found.viewer is not None else found.bound(exam.viewer)
    natural, _ = agreement(bound, item.planted, exam.natural)
    edited, _ = agreement(bound, item.planted, exam.edited.get(item.id, ()))
    return natural, edited


def _lower(a: float | None, b: float | None) -> float | None:
    known = [v for v in (a, b) if v is not None]
    return min(known) if known else None
