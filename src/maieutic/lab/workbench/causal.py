"""Ablating and steering: what changing the unit does to what the model says, beside steps of the same length elsewhere.

*Ablate*: the unit is set to its discover mean; of a text at one position, at which the text ends, so that the outputs are
the model's next token there. *Steer*: the unit is raised everywhere by a share of its own 0-1 scale. Beside each stand
three random directions at the same site, moved by exactly the length that the unit moved at that stimulus. An effect is
KL(clean || changed) of the outputs in nats; it stands out when it is larger than with every random direction. An
intervention after which the unit reads the same says nothing and never stands out.

Charged: two measurements a stimulus (before and after). Cost: 3 + 3 passes, and 1 more over maps. What this does not show:
effects on later positions, and effects that only several units together have.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from maieutic.errors import UserError
from maieutic.lab.effects import STEPS, directions, effect, log_softmax, norm
from maieutic.lab.lab import Question
from maieutic.lab.workbench.desk import Desk, Place
from maieutic.lab.workbench.outputs import output_name
from maieutic.lab.workbench.record import Record
from maieutic.readings import FloatArray
from maieutic.stimuli.base import Stimulus
from maieutic.subjects.base import Intervention, Unit
from maieutic.subjects.reading import activation_maps

#: stimuli of one call at most; outputs named on each side; steps of the 0-1 scale at most
MOST, NAMED, FURTHEST = 16, 5, 20.0
Kind = Literal["ablate", "steer"]


class Causal:
    """The calls that change the unit inside the model."""

    def __init__(self, desk: Desk, record: Record) -> None:
        self._desk, self._record = desk, record
        self._beside: dict[str, list[Unit]] = {}

    def ablate(
        self,
        stimuli: list[Any],
        *,
        expect: bool,
        because: str = "",
        hypothesis: str | None = None,
        at: int | None = None,
        unit: str | None = None,
    ) -> list[dict[str, Any]]:
        """Set the unit to its mean and see what the model says.

        Args:
            stimuli: texts or images.
            expect: whether the effect will stand out from random steps.
            because, hypothesis: as in ``measure``.
            at: texts: the token at which the unit is changed and the text ends; ``None``: where the unit is strongest.
            unit: the unit.

        Raises:
            UserError: the model cannot be changed inside, or nothing moved in any stimulus.
        """
        place = self._checked(stimuli, unit)
        shown = [self._cut(place, self._desk.take(s, place.modality), at) for s in stimuli]
        values = np.concatenate([o.values for o in place.lab.discover]).astype(np.float64)
        change = Intervention(
            unit=place.lab.unit, kind="ablate_mean", value=float(values.mean()),
            at=-1 if place.modality == "text" else None,
        )  # fmt: skip
        return self._changed("ablate", place, shown, change, expect, because, hypothesis)

    def steer(
        self,
        stimuli: list[Any],
        amount: float,
        *,
        expect: bool,
        because: str = "",
        hypothesis: str | None = None,
        unit: str | None = None,
    ) -> list[dict[str, Any]]:
        """Raise the unit everywhere by ``amount`` of its 0-1 scale (negative: lower it) and see what the model says.

        Raises:
            UserError: no or too large an amount, or the model cannot be changed inside.
        """
        place = self._checked(stimuli, unit)
        if not math.isfinite(amount) or not 0.0 < abs(amount) <= FURTHEST:
            raise UserError(f"steer by up to {FURTHEST:.0f} of the unit's scale and not by 0: {amount} is neither")
        zero, one = place.lab.scale
        if one <= zero:
            raise UserError(f"{place.name} is constant on discover, so its scale has no length: ablate another unit")
        raw = amount * (one - zero) / norm(place.lab.unit) ** 2
        change = Intervention(unit=place.lab.unit, kind="add", value=raw)
        shown = [self._desk.take(s, place.modality) for s in stimuli]
        return self._changed("steer", place, shown, change, expect, because, hypothesis, amount=amount)

    def _checked(self, stimuli: Sequence[Any], unit: str | None) -> Place:
        if not 1 <= len(stimuli) <= MOST:
            raise UserError(f"1 to {MOST} stimuli are changed in a call, not {len(stimuli)}: split them up")
        place = self._desk.place(unit)
        place.afford(2 * len(stimuli))
        return place

    def _cut(self, place: Place, stimulus: Stimulus, at: int | None) -> Stimulus:
        """The text up to the token where the unit is changed; an image as it is."""
        if place.modality == "image":
            if at is not None:
                raise UserError("pictures have no tokens: leave  at  out")
            return stimulus
        text, subject = str(stimulus.content), place.lab.subject
        spans = subject.tokens(text)
        if at is None:
            at = int(np.argmax(subject.measure([text], place.lab.unit)[0]))
        if not -len(spans) <= at < len(spans):
            raise UserError(f"the text has tokens 0 to {len(spans) - 1}, not {at}: tokens(text) lists them")
        ends = text[: spans[at].end]
        if ends == text:
            return stimulus
        cut = self._desk.take(ends, "text")
        self._desk.material.parent.setdefault(cut.id, stimulus.id)
        return cut

    def _changed(
        self,
        kind: Kind,
        place: Place,
        shown: Sequence[Stimulus],
        change: Intervention,
        expect: bool,
        because: str,
        hypothesis: str | None,
        **more: Any,
    ) -> list[dict[str, Any]]:
        """Before, after and beside; both readings go into the ledger, the second with what came of it."""
        lab, tested = place.lab, self._record.tested(hypothesis, because)
        given = {**self._desk.mark, **more, "because": because, "expect_effect": expect}
        given |= {"hypothesis": hypothesis} if hypothesis else {}
        came = self._outcomes(place, shown, change)
        positions = [_last(place, s) for s in shown]
        before = lab.measure(
            [
                Question(stimulus=s, hypothesis=tested, kind="look", position=p)
                for s, p in zip(shown, positions, strict=True)
            ]
        )
        asked = [
            Question(
                stimulus=s, hypothesis=tested, kind=kind, position=p, pair=b.id,
                detail={**given, "before": b.scaled, **outcome},
            )
            for s, p, b, outcome in zip(shown, positions, before, came, strict=True)
        ]  # fmt: skip
        after = lab.measure(asked, interventions=[change])
        return [
            {
                "entry": a.id, "unit": place.name, "before": place.unclipped(b.value),
                "after": place.unclipped(a.value), "expect": expect,
                **({"text": s.content} if place.modality == "text" else {"id": s.id}), **outcome,
            }
            for s, b, a, outcome in zip(shown, before, after, came, strict=True)
        ]  # fmt: skip

    def _outcomes(self, place: Place, shown: Sequence[Stimulus], change: Intervention) -> list[dict[str, Any]]:
        """What the outputs did at each stimulus, and with random steps of the same length.

        Raises:
            UserError: the site has no other directions, or the change moved nothing in any stimulus.
        """
        lengths, ways = _lengths(place, shown, change), self._ways(place)
        steps = _steps(lengths, ways, change.at)
        said = place.lab.subject.outputs_each([s.content for s in shown], [[None, change, *own] for own in steps])
        return [
            _outcome(place, np.asarray(rows, dtype=np.float64), float(length), len(ways))
            for rows, length in zip(said, lengths, strict=True)
        ]

    def _ways(self, place: Place) -> list[Unit]:
        """Random directions at the unit's site, the same in the whole session."""
        if place.name not in self._beside:
            found = directions(place.lab.unit, place.lab.atlas, seed=self._desk.seed)
            if isinstance(found, str):
                raise UserError(f"{found}: ablating and steering stand beside other directions, so measure instead")
            self._beside[place.name] = found[0][:STEPS]
        return self._beside[place.name]


def _last(place: Place, stimulus: Stimulus) -> int:
    """Position that readings beside an intervention are taken at: a text's last token (images: the whole)."""
    return len(place.lab.subject.tokens(str(stimulus.content))) - 1 if place.modality == "text" else -1


def _lengths(place: Place, shown: Sequence[Stimulus], change: Intervention) -> FloatArray:
    """How far the change moves each stimulus' activation in raw space: root mean square over the cells of a map."""
    unit, length = place.lab.unit, norm(place.lab.unit)
    if change.kind == "add":
        return np.full(len(shown), abs(change.value) * length)
    if place.modality == "text":
        last = np.array([v[-1] for v in place.lab.subject.measure(list(shown), unit)], dtype=np.float64)
        return np.abs(last - change.value) / length
    cells = [m.astype(np.float64) for m in activation_maps(place.lab.subject, shown, unit)]
    return np.array([np.sqrt(np.mean((c - change.value) ** 2)) for c in cells]) / length


def _steps(lengths: FloatArray, ways: Sequence[Unit], at: int | None) -> list[list[Intervention]]:
    """A step along each direction for each stimulus, as long as the change is there; none where it moves nothing."""
    made = {
        float(length): [Intervention(unit=way, kind="add", value=float(length), at=at) for way in ways]
        for length in lengths
        if length > 0
    }
    return [made.get(float(length), []) for length in lengths]


def _outcome(place: Place, said: FloatArray, length: float, ways: int) -> dict[str, Any]:
    """From outputs unchanged, changed, and after each step ``[2 + step, output]``; without steps their effects are 0."""
    effects = effect(np.broadcast_to(said[0], said[1:].shape), said[1:])
    random = effects[1:] if len(effects) > 1 else np.zeros(ways)
    return {
        "length": length, "effect": float(effects[0]), "random": [float(e) for e in random],
        "stands_out": bool(length > 0 and effects[0] > random.max()), **_moved(place, said[0], said[1]),
    }  # fmt: skip


def _moved(place: Place, clean: FloatArray, changed: FloatArray) -> dict[str, list[list[Any]]]:
    """The outputs whose probability rose and fell most: (name, before, after). A single output: its values."""
    if len(clean) == 1:
        pair = [["output", round(float(clean[0]), 4), round(float(changed[0]), 4)]]
        return {"rose": pair if changed[0] > clean[0] else [], "fell": pair if changed[0] < clean[0] else []}
    p, q = (np.exp(log_softmax(x[None])[0]) for x in (clean, changed))
    order = np.argsort(q - p, kind="stable")

    def named(rows: Sequence[int]) -> list[list[Any]]:
        return [[output_name(place.lab.subject, i), round(float(p[i]), 4), round(float(q[i]), 4)] for i in rows]

    rose = [int(i) for i in order[::-1][:NAMED] if q[i] > p[i]]
    return {"rose": named(rose), "fell": named([int(i) for i in order[:NAMED] if q[i] < p[i]])}
