"""Which of the units on the bench drive an output: each is ablated on the same stimuli, beside steps of the same length.

Every unit is set to its discover mean at every position of each stimulus. Its effect is what the output loses: its logit less
the mean logit. Beside it stand three random directions at its site, moved as far as ablation moves the unit. A unit drives
the output where the whole interval of its effect lies above what any random step does.

Charged: two measurements a stimulus and unit (before and after), both in the ledger. Cost: 3 + 3 passes a unit. What this
does not do: look at units that are not on the bench (`maieutic drivers`), or at units that matter only together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from maieutic.errors import UserError
from maieutic.lab.effects import STEPS, directions, norm
from maieutic.lab.halves import group_numbers, grouped_reading
from maieutic.lab.lab import Question
from maieutic.lab.outputs import Target, find_target, output_names
from maieutic.lab.workbench.desk import Desk, Place
from maieutic.lab.workbench.record import Record
from maieutic.readings import FloatArray
from maieutic.stimuli.base import Stimulus
from maieutic.subjects.base import Intervention
from maieutic.subjects.reading import activation_maps

#: stimuli of one call at most
MOST = 32


class Driving:
    """The call that asks which units drive an output."""

    def __init__(self, desk: Desk, record: Record) -> None:
        self._desk, self._record = desk, record

    def drives(
        self,
        output: str,
        stimuli: list[Any],
        *,
        expect: list[str],
        because: str = "",
        hypothesis: str | None = None,
        units: list[str] | None = None,
    ) -> list[dict[str, Any]]:
        """Ablate each unit and see what an output loses.

        Args:
            output: ``class:NAME``, ``class:NUMBER`` or ``token:TEXT``.
            stimuli: texts that the token follows, or images.
            expect: names of the units that will drive it.
            because, hypothesis: as in ``measure``.
            units: names; ``None``: all of the first unit's model.

        Raises:
            UserError: no such output, too little budget, or a model that cannot be changed inside.
        """
        if not 1 <= len(stimuli) <= MOST:
            raise UserError(f"1 to {MOST} stimuli are shown in a call, not {len(stimuli)}: split them up")
        places = self._places(units)
        for name in expect:
            self._desk.place(name)
        subject, corpus = places[0].lab.subject, places[0].lab.corpus
        for place in places:
            place.afford(2 * len(stimuli))
        target = find_target(subject, output, names=output_names(subject), corpus=corpus)
        shown = [self._desk.take(s, places[0].modality) for s in stimuli]
        clean = target.value(subject.outputs([s.content for s in shown]))
        tested = self._record.tested(hypothesis, because)
        rows = [
            self._row(place, shown, target, clean, expected=place.name in expect, because=because, tested=tested)
            for place in places
        ]
        return sorted(rows, key=lambda r: -r["effect"])

    def _places(self, units: Sequence[str] | None) -> list[Place]:
        first = self._desk.place(units[0] if units else None)
        if units:
            places = [self._desk.place(u) for u in dict.fromkeys(units)]
        else:
            places = [p for p in self._desk.places.values() if p.lab.subject is first.lab.subject]
        other = next((p for p in places if p.lab.subject is not first.lab.subject), None)
        if other is not None:
            raise UserError(f"{other.name} is a unit of another model: ask about one model at a time")
        return places

    def _row(
        self,
        place: Place,
        shown: Sequence[Stimulus],
        target: Target,
        clean: FloatArray,
        *,
        expected: bool,
        because: str,
        tested: str,
    ) -> dict[str, Any]:
        lab = place.lab
        contents = [s.content for s in shown]
        values = np.concatenate([o.values for o in lab.discover]).astype(np.float64)
        mean = float(values.mean())
        change = Intervention(unit=lab.unit, kind="ablate_mean", value=mean)
        lost = clean - target.value(lab.subject.outputs(contents, interventions=[change]))
        random = self._stepped(place, contents, target, clean, _length(place, shown, mean))
        found = grouped_reading("effect", lost, group_numbers(shown))
        positions = [len(lab.subject.tokens(str(c))) - 1 if place.modality == "text" else -1 for c in contents]
        before = lab.measure(
            [
                Question(stimulus=s, hypothesis=tested, kind="look", position=p)
                for s, p in zip(shown, positions, strict=True)
            ]
        )
        asked = [
            Question(
                stimulus=s, hypothesis=tested, kind="ablate", position=p, pair=b.id,
                detail={**self._desk.mark, "because": because, "expect_effect": expected, "output": target.name,
                        "lost": float(one), "before": b.scaled},
            )
            for s, p, b, one in zip(shown, positions, before, lost, strict=True)
        ]  # fmt: skip
        after = lab.measure(asked, interventions=[change])
        most = max(abs(r) for r in random)
        drives = found.low is not None and found.low > most
        return {
            "unit": place.name, "output": target.name, "effect": float(lost.mean()), "low": found.low, "high": found.high,
            "random": random, "drives": drives, "expect": expected, "n": len(shown), "entry": after[0].id,
            "entries": [a.id for a in after], "note": target.note,
        }  # fmt: skip

    def _stepped(
        self, place: Place, contents: Sequence[Any], target: Target, clean: FloatArray, length: float
    ) -> list[float]:
        """Mean effect of a step of that length along each random direction."""
        lab = place.lab
        ways = directions(lab.unit, lab.atlas, seed=self._desk.seed)
        if isinstance(ways, str):
            raise UserError(f"{ways}: effects stand beside other directions, so measure instead")
        if not length > 0:
            return [0.0] * STEPS
        found: list[float] = []
        for way in ways[0][:STEPS]:
            step = Intervention(unit=way, kind="add", value=length)
            found.append(float((clean - target.value(lab.subject.outputs(contents, interventions=[step]))).mean()))
        return found


def _length(place: Place, shown: Sequence[Stimulus], mean: float) -> float:
    """How far ablation moves the unit on the stimuli: root mean square over positions or cells, in raw activation space."""
    lab = place.lab
    if place.modality == "text":
        values = np.concatenate(lab.subject.measure(list(shown), lab.unit)).astype(np.float64)
    elif lab.subject.site(lab.unit.site).positions == "spatial":
        values = np.concatenate([m.ravel() for m in activation_maps(lab.subject, shown, lab.unit)]).astype(np.float64)
    else:
        values = np.asarray(lab.subject.measure(list(shown), lab.unit), dtype=np.float64)
    return float(np.sqrt(np.mean((values - mean) ** 2))) / norm(lab.unit)
