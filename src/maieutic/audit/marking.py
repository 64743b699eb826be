"""Marking: how right an answer is, by its predicate and by its words alone.

The predicate is what scores use; the words are what people read, and a censor may keep the first and bend the second. So
both are put to the truth, on held-out stimuli and on edits of them, and an answer is a recall only when both hold. What
this module does not do: compare groups of answers (the audits do).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from maieutic.audit.exam import Role

if TYPE_CHECKING:
    from maieutic.audit.exam import Answer, Exam

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
    raise NotImplementedError
