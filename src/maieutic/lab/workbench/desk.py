"""What the parts of a workbench share: the units on it, the stimuli shown, the fence, and what was put on show.

Units are named by their keys; where two subjects have a unit of the same key, all by ``subject:key``. What this does not do:
experiments (see the parts), or isolation of whoever asks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maieutic.errors import BudgetExhaustedError, UsageError, UserError, did_you_mean
from maieutic.lab.lab import Lab
from maieutic.lab.ledger import Ledger
from maieutic.lab.workbench.fence import Fence
from maieutic.lab.workbench.material import Material
from maieutic.stimuli.base import Stimulus
from maieutic.stimuli.making import Tools
from maieutic.subjects.base import Modality, Values


@dataclass(kw_only=True, eq=False)
class Place:
    """One unit on the workbench.

    Attributes:
        name: what callers call it.
        lab: its lab.
        latest: id of the newest plain measurement of each stimulus, by content id.
    """

    name: str
    lab: Lab
    latest: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def modality(self) -> Modality:
        return self.lab.subject.modality

    @cached_property
    def _ranked(self) -> NDArray[np.float32]:
        return np.sort(self.lab.atlas.sample(self.lab.unit))

    @cached_property
    def harvested(self) -> Mapping[str, Values]:
        """Raw values of every discover stimulus, by content id."""
        return {o.stimulus.id: o.values for o in self.lab.discover}

    def unclipped(self, raw: float) -> float:
        """A raw value on the 0-1 scale, beyond it where it lies beyond (interventions go there)."""
        zero, one = self.lab.scale
        return round((raw - zero) / (one - zero), 4) if one > zero else 0.0

    def quantile(self, raw: float) -> float:
        """Share of discover positions with a smaller value, 0 to 1."""
        return float(np.searchsorted(self._ranked, raw, side="left") / max(len(self._ranked), 1))

    def afford(self, measurements: int) -> None:
        """Raise ``BudgetExhaustedError`` unless so many measurements are left."""
        left, all_of_it = self.lab.remaining, self.lab.budget.measurements
        if measurements > left:
            raise BudgetExhaustedError(
                f"{measurements} measurements of {self.name} asked, {left} left of {all_of_it}: ask fewer, or submit"
            )

    def seen(self, stimulus: Stimulus, values: Values, *, raw: float) -> dict[str, Any]:
        """A stimulus with what the unit did, as plain data. Values on the unit's 0-1 scale, tokens as (text, value)."""
        tokens: list[list[Any]] = []
        if self.modality == "text":
            spans = self.lab.subject.tokens(str(stimulus.content))
            scaled = self.lab.scaled(values)
            tokens = [[span.text, round(float(v), 4)] for span, v in zip(spans, scaled, strict=True)]
        return {
            "id": stimulus.id, "unit": self.name, "value": round(float(self.lab.scaled(raw)), 4), "raw": float(raw),
            "quantile": round(self.quantile(raw), 4), "tokens": tokens,
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """Something put into the conversation: a text (stimulus text inside it is fenced), or a picture with its caption."""

    text: str
    image: Any = None


@dataclass(kw_only=True, eq=False)
class Desk:
    """The shared state of one session.

    Attributes:
        places: the units, by name, in the order given.
        tools: what makes stimuli.
        material: what was shown so far.
        fence: delimiters of stimulus text.
        seed: of every draw.
        mark: plain JSON kept with every experiment (the jail's backend, say).
        shown: what was put on show and not taken yet.
    """

    places: Mapping[str, Place]
    tools: Tools
    material: Material
    fence: Fence
    seed: int = 0
    mark: dict[str, Any] = field(default_factory=dict[str, Any])
    shown: list[Shown] = field(default_factory=list[Shown])
    _drawn: int = 0

    @classmethod
    def of(cls, labs: Sequence[Lab], *, tools: Tools, seed: int, nonce: str) -> Desk:
        """A desk with these labs.

        Raises:
            UsageError: no labs, or the same unit twice.
        """
        if not labs:
            raise UsageError("a workbench needs a unit: give at least one lab")
        names = [lab.unit.key for lab in labs]
        if len(set(names)) < len(names):
            names = [f"{lab.subject.name}:{lab.unit.key}" for lab in labs]
        twice = next((n for n in names if names.count(n) > 1), None)
        if twice is not None:
            raise UsageError(f"{twice} is on the workbench twice: give each unit once")
        for name, lab in zip(names, labs, strict=True):
            if not lab.ledger.entries:
                lab.ledger = Ledger(unit=name)  # so that ids of measurements differ where keys do not
        corpora = list({id(lab.corpus): lab.corpus for lab in labs}.values())
        return cls(
            places={n: Place(name=n, lab=lab) for n, lab in zip(names, labs, strict=True)},
            tools=tools,
            material=Material(corpora=corpora),
            fence=Fence.of(str(seed), nonce, *(c.fingerprint for c in corpora)),
            seed=seed,
        )

    def place(self, unit: str | None = None) -> Place:
        """The unit of that name; the first one when none is named.

        Raises:
            UserError: there is no such unit.
        """
        if unit is None:
            return next(iter(self.places.values()))
        if unit not in self.places:
            near = did_you_mean(unit, self.places)
            raise UserError(f"no unit {unit!r} on the workbench{near}: units() lists them")
        return self.places[unit]

    def chosen(self, unit: str | Sequence[str] | None) -> list[Place]:
        """The named units, each once, all of one kind of stimulus."""
        names = [unit] if unit is None or isinstance(unit, str) else list(unit)
        places = list(dict.fromkeys(self.place(n) for n in names))
        if len({p.modality for p in places}) != 1:
            raise UserError("one call shows texts or pictures, not both: name units of one kind, and at least one")
        return places

    def draw(self) -> int:
        """A fresh seed: no two draws of a session are the same, two sessions with one seed are."""
        self._drawn += 1
        return int.from_bytes(hashlib.sha256(f"{self.seed}:{self._drawn}".encode()).digest()[:4], "big")

    def take(self, content: Any, modality: Modality) -> Stimulus:
        """The stimulus of a content given by value (see `Material.take`)."""
        return self.material.take(content, modality)
