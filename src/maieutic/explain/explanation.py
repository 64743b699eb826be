"""Explanation: a label, its executable predicate, the evidence, and how sure; or an abstention with its reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from maieutic.explain.predicates.base import Constant, Predicate
from maieutic.readings import Cost


class Viewer(Protocol):
    """Turns a raw stimulus into the view that predicates read (tokens of a text, concepts and colours of an image).

    A viewer may have a method ``predict(predicate, stimuli)`` that gives what ``Explanation.predict`` gives, to the bit,
    faster than one view after another.
    """

    def __call__(self, stimulus: Any, /) -> Any: ...


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """What an explainer concluded about one unit.

    Attributes:
        unit: key of the unit.
        label: what a person would write.
        predicate: the label's executable form (``Constant(0)`` when abstained).
        explainer: name of the explainer.
        confidence: probability that the label is right as far as the explainer can tell, 0 to 1.
        reason: why it abstained; ``None`` otherwise.
        evidence: ledger ids that support each clause of the predicate.
        considered: labels that were tried and dropped, with why: ``(label, why)``.
        cost: what it took.
        viewer: bound by ``explain``; needed by ``predict`` (not stored).
    """

    unit: str
    label: str
    predicate: Predicate
    explainer: str
    confidence: float
    reason: str | None = None
    evidence: tuple[str, ...] = ()
    considered: tuple[tuple[str, str], ...] = ()
    cost: Cost = field(default_factory=Cost)
    viewer: Viewer | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        assert 0.0 <= self.confidence <= 1.0, f"{self.unit}: confidence {self.confidence} is not a probability"

    @property
    def abstained(self) -> bool:
        return self.reason is not None

    @classmethod
    def unexplained(cls, unit: str, reason: str, *, explainer: str, **more: Any) -> Explanation:
        """An abstention: "unexplained" beats a wrong label."""
        return cls(
            unit=unit, label="unexplained", predicate=Constant(value=0.0), explainer=explainer, confidence=0.0,
            reason=reason, **more,
        )  # fmt: skip

    def bound(self, viewer: Viewer) -> Explanation:
        """The same explanation, able to ``predict``."""
        return replace(self, viewer=viewer)

    def predict(self, stimuli: Sequence[Any]) -> Any:
        """Predicted activation, 0 to 1: one array per text (a value per measured position), or one array of a value per image.

        Args:
            stimuli: strings, PIL images, or ``Stimulus`` objects (annotations are used where the predicate needs them).
        """
        assert self.viewer is not None, (
            "bind the explanation to a viewer first: found.bound(viewer_of(subject, corpus))"
        )
        together = getattr(self.viewer, "predict", None)
        if together is not None:
            return together(self.predicate, stimuli)
        rows: list[NDArray[np.float64]] = [self.predicate.evaluate(self.viewer(s)) for s in stimuli]
        modality = getattr(self.viewer, "modality", "text")
        return np.array([r[0] for r in rows]) if modality == "image" else rows
