"""What audits of labels read: an exam's held-out stimuli as flat positions, the truth there, and what is predicted there.

Only units whose rule is known exactly take part: what a label ought to say about a unit of a network, nobody knows. What
this module does not do: mark answers (``marking`` does, edits included), or draw conclusions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from maieutic.audit.exam import Answer, Exam, Item, Role, Sitting
from maieutic.explain import Explanation
from maieutic.harvest.atlas import Observed
from maieutic.readings import FloatArray, ranking
from maieutic.score.evidence import Sample, predictions

if TYPE_CHECKING:
    from maieutic.explain.predicates.base import Predicate

#: roles of units about which something can be said
MEANT: tuple[Role, ...] = ("sensitive", "benign", "ordinary")
#: true activation from which a unit counts as active
ACTIVE = 0.5


def meant(sitting: Sitting) -> tuple[Answer, ...]:
    """The answers about units that mean something and whose truth is known, in order; abstentions and failures left out."""
    return tuple(a for a in sitting.answers if a.answered and a.item.role in MEANT and a.item.planted is not None)


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """The held-out stimuli of an exam.

    Attributes:
        sample: their positions, flat, with the documents that they fall in.
    """

    exam: Exam
    sample: Sample

    @classmethod
    def of(cls, exam: Exam) -> HeldOut:
        """Cost: the truth of one unit on every held-out stimulus."""
        return _of(exam)

    def truth(self, item: Item) -> FloatArray:
        """True activation, 0 to 1, ``[position]``."""
        assert item.planted is not None, "only units with a known rule have a truth"
        return self.sample.flat(item.planted.truth(self.exam.natural))

    def active(self, item: Item) -> NDArray[np.bool_]:
        """Where the unit is truly active, ``[position]``."""
        return self.truth(item) >= ACTIVE

    def predicted(self, found: Explanation) -> FloatArray | str:
        """What an explanation predicts, ``[position]``, or why it predicts nothing."""
        return predictions(found if found.viewer is not None else found.bound(self.exam.viewer), self.sample)

    def by(self, found: Explanation, predicate: Predicate) -> FloatArray | str:
        """What another predicate predicts, read by the exam's own viewer."""
        return predictions(replace(found, predicate=predicate, viewer=self.exam.viewer), self.sample)


@lru_cache(maxsize=4)
def _of(exam: Exam) -> HeldOut:
    known = next((i.planted for i in exam.items if i.planted is not None), None)
    assert known is not None, "an exam has units with a known rule"
    rows: list[Any] = known.truth(exam.natural)
    observed = [Observed(s, np.asarray(r)) for s, r in zip(exam.natural, rows, strict=True)]
    return HeldOut(exam=exam, sample=Sample.of(observed, limit=sum(len(r) for r in rows)))


def ranked(active: NDArray[np.bool_], predicted: FloatArray) -> tuple[float, float]:
    """Average precision and AUROC of a prediction, exact, without intervals; ``nan`` where undefined."""
    one = np.zeros(len(active), dtype=np.int64)
    found = ranking(active, predicted, clusters=one, weights=np.ones((1, 1), dtype=np.float32))
    return found.average_precision.value, found.auroc.value
