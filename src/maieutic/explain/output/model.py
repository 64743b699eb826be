"""What was found about a unit's effects on the outputs, as plain data: stored as JSON, shown on pages.

What this module does not do: measure, or render.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from maieutic.explain.predicates.base import Predicate, from_json
from maieutic.readings import Cost, Reading

#: rises when stored effects change their meaning
FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputShift:
    """One output that the unit raises or lowers.

    Chosen on some contexts, measured on others.

    Attributes:
        output, name: which.
        change, low, high: change of its logit less the mean logit, mean over held-out contexts with its 95 % interval;
            ``low`` and ``high`` are ``None`` where there are too few groups.
        before, after: its probability without and with the change, mean over contexts.
        beside: the largest change in the same sense by any random or unrelated direction of the same length.
        stands_out: the whole interval lies beyond ``beside``.
        attributed: z-score of logit attribution; ``None`` where there is none.
        fits: the output-side label holds for it.
    """

    output: int
    name: str
    change: float
    low: float | None
    high: float | None
    before: float
    after: float
    beside: float
    stands_out: bool
    attributed: float | None = None
    fits: bool = False


@dataclass(frozen=True, kw_only=True)
class OutputEffects:
    """What a unit does to the outputs.

    Attributes:
        unit, subject, modality: of what.
        how: ``raise`` or ``ablate``. length: how far, in raw activation space.
        contexts, held_out: contexts that outputs and label were chosen on, and those that everything is measured on.
        directions: random directions beside it.
        rises, falls: outputs, the most certain first.
        attributed_up, attributed_down: names of outputs by logit attribution, with z-scores.
        attribution_peak, null_peak: the largest z-score, and that of 95 % of random directions; ``None`` without attribution.
        attribution_note: why there is no attribution; empty otherwise.
        label: what rising outputs have in common; empty when ``reason`` says why there is none.
        predicate: the label's executable form over names of outputs.
        bits, null_bits: what the label is worth, and the best label of any random direction.
        input_label: what the unit responds to, as far as that was explained.
        readings: by name: ``output...`` (is the label right on held-out contexts) and ``agreement...`` (with the input side).
        settings: what it was made with.
        cost: what it took.
    """

    unit: str
    subject: str
    modality: str
    how: str
    length: float
    contexts: int
    held_out: int
    directions: int
    rises: tuple[OutputShift, ...]
    falls: tuple[OutputShift, ...]
    attributed_up: tuple[tuple[str, float], ...] = ()
    attributed_down: tuple[tuple[str, float], ...] = ()
    attribution_peak: float | None = None
    null_peak: float | None = None
    attribution_note: str = ""
    label: str = ""
    predicate: Predicate | None = None
    reason: str | None = None
    bits: float = 0.0
    null_bits: float = 0.0
    input_label: str = ""
    readings: Mapping[str, Reading] = field(default_factory=dict[str, Reading])
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    cost: Cost = field(default_factory=Cost)

    @property
    def described(self) -> bool:
        return self.predicate is not None

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        data = {k: getattr(self, k) for k in self.__dataclass_fields__}
        return {
            **data,
            "format": FORMAT,
            "rises": [asdict(s) for s in self.rises],
            "falls": [asdict(s) for s in self.falls],
            "attributed_up": [list(pair) for pair in self.attributed_up],
            "attributed_down": [list(pair) for pair in self.attributed_down],
            "predicate": None if self.predicate is None else self.predicate.to_json(),
            "readings": {n: r.to_json() for n, r in self.readings.items()},
            "settings": dict(self.settings),
            "cost": asdict(self.cost),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> OutputEffects:
        """Back from plain data; ``TypeError`` or ``KeyError`` when it is not of this shape."""
        stored = {k: v for k, v in data.items() if k != "format"}
        pairs = {k: tuple((str(n), float(z)) for n, z in stored[k]) for k in ("attributed_up", "attributed_down")}
        values: dict[str, Any] = {
            **stored,
            **pairs,
            "rises": tuple(OutputShift(**s) for s in stored["rises"]),
            "falls": tuple(OutputShift(**s) for s in stored["falls"]),
            "predicate": None if stored["predicate"] is None else from_json(stored["predicate"]),
            "readings": {n: Reading.from_json(r) for n, r in stored["readings"].items()},
            "cost": Cost(**stored["cost"]),
        }
        return cls(**values)
