"""What a measure of one model gives: rows of one long table, the same for every measure.

What this module does not do: compare models (`comparing`), or keep rows on disk (`keeping`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from maieutic.readings import Reading
from maieutic.studies.regularization.documents import StudyCorpus
from maieutic.studies.regularization.model import Gpt

#: what a measure is about; frontier plots set one against another
About = Literal["performance", "sparsity", "interpretability", "hiding", "editability", "alignment"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One measured number of one model.

    Attributes:
        about: the part of the study.
        measure: short stable name, dotted (``neurons.f1``, ``rank-one.locality.near``); the same in every arm.
        where: hook point or layer (``blocks.1.mlp.act``); empty for the model as a whole.
        reading: value with interval and n, or unmeasured with the reason; a row is never left out.
        better: 1 where more is better, -1 where less is, 0 where neither.
    """

    about: About
    measure: str
    reading: Reading
    where: str = ""
    better: Literal[-1, 0, 1] = 1

    def to_json(self) -> dict[str, Any]:
        return {
            "about": self.about, "measure": self.measure, "where": self.where, "better": self.better,
            **self.reading.to_json(),
        }  # fmt: skip


class Measure(Protocol):
    """Measures one model on one corpus. It changes neither, and gives the same rows again for the same seed."""

    def __call__(self, model: Gpt, corpus: StudyCorpus, *, seed: int) -> Sequence[Row]: ...
