"""What changing a unit does to a network's outputs, beside random and unrelated directions of the same length.

At a test position the unit is *ablated*: set to its discover mean there and nowhere else. Beside it stand steps of one
length ``delta`` along other directions of the same site, ``delta`` being how far ablation moves the unit where it is
active on discover (root mean square, per position of a map):

- random: Gaussian in z-scored activation space (coordinates in proportion to their standard deviations), since a raw
  rotation would mostly move coordinates that never move;
- unrelated: single other units of the site whose discover correlation with the unit is small, moved downwards, as
  ablation moves an active unit.

An effect is KL(clean || changed) of the output distribution at that position, in nats (for a network with one output:
the absolute change), as in the intervention score of Paulo et al. (arXiv 2410.13928). *Steering* adds ``delta`` along
the unit's reading where the label does not apply. Nothing here knows of readings; see `interventional`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maieutic.lab.effects import SETS, STEPS, Scale, centred, directions, effect, log_softmax, norm, scale_of
from maieutic.readings import FloatArray
from maieutic.subjects.base import Intervention, Subject, Unit

__all__ = [
    "SETS", "STEPS", "Effects", "Scale", "centred", "cosines", "directions", "effect", "log_softmax", "measure",
    "scale_of", "seen_to_act",
]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Effects:
    """Outcomes at each position of an experiment.

    Attributes:
        own: effect of ablating the unit, ``[position]``.
        random, unrelated: effects of steps of the matched length, ``[position, direction]``.
        steered, steered_random, steered_unrelated: cosine of the logit change with the mean difference of clean logits
            between positions where the label applies and where it does not; ``[position]`` and
            ``[position, direction]`` over the positions where it does not. 0 where the outputs did not move.
    """

    own: FloatArray
    random: FloatArray
    unrelated: FloatArray
    steered: FloatArray
    steered_random: FloatArray
    steered_unrelated: FloatArray


def seen_to_act(subject: Subject, unit: Unit, stimulus: Any, scale: Scale) -> tuple[float, float]:
    """The unit's reading at the last position of a stimulus, without and with ablation.

    Raises:
        UserError: the subject cannot be intervened on, or the activation did not change.
    """
    before = subject.read([stimulus], [unit])[0]
    after = subject.read([stimulus], [unit], interventions=[_ablation(subject, unit, scale)])[0]
    return float(before[-1, 0]), float(after[-1, 0])


def _ablation(subject: Subject, unit: Unit, scale: Scale) -> Intervention:
    return Intervention(unit=unit, kind="ablate_mean", value=scale.mean, at=-1 if subject.modality == "text" else None)


def measure(
    subject: Subject,
    unit: Unit,
    stimuli: Sequence[Any],
    on: NDArray[np.bool_],
    scale: Scale,
    beside: tuple[Sequence[Unit], Sequence[Unit]],
) -> Effects:
    """Ablate and steer at every position of an experiment.

    Args:
        subject, unit: what is changed.
        stimuli: one a position: texts that end with it, or images.
        on: where the label applies, ``[position]``.
        scale: from ``scale_of``.
        beside: random and unrelated directions.

    Cost: 2 + 2 x 3 passes over all stimuli, and 1 + 3 over those where the label does not apply.

    Raises:
        UserError: the subject cannot be intervened on, has no outputs, or an intervention changed nothing.
    """
    at = -1 if subject.modality == "text" else None
    random, unrelated = beside
    turns = np.zeros(len(on), dtype=np.int64)
    for side in (on, ~on):
        turns[side] = np.arange(int(side.sum())) % SETS

    def run(rows: NDArray[np.int64], change: Intervention | None = None) -> FloatArray:
        shown = [stimuli[int(i)] for i in rows]
        return np.asarray(subject.outputs(shown, interventions=[change] if change else []), dtype=np.float64)

    def stepped(rows: NDArray[np.int64], units: Sequence[Unit], length: float) -> list[FloatArray]:
        """Outputs ``[row, output]`` after the first to the last step of each row's own set."""
        found: list[FloatArray] = []
        for step in range(STEPS):
            out = np.zeros((len(rows), clean.shape[1]))
            for turn in sorted(set(turns[rows].tolist())):
                mine = turns[rows] == turn
                way = Intervention(unit=units[turn * STEPS + step], kind="add", value=length, at=at)
                out[mine] = run(rows[mine], way)
            found.append(out)
        return found

    every, off = np.arange(len(on)), np.flatnonzero(~on)
    clean = run(every)
    toward = centred(clean[on]).mean(axis=0) - centred(clean[~on]).mean(axis=0)
    by_random, by_unrelated = stepped(every, random, scale.delta), stepped(every, unrelated, -scale.delta)
    raised = Intervention(unit=unit, kind="add", value=scale.delta / norm(unit), at=at)
    return Effects(
        own=effect(clean, run(every, _ablation(subject, unit, scale))),
        random=np.stack([effect(clean, c) for c in by_random], axis=1),
        unrelated=np.stack([effect(clean, c) for c in by_unrelated], axis=1),
        steered=cosines(clean[off], run(off, raised), toward),
        steered_random=np.stack([cosines(clean[off], c[off], toward) for c in by_random], axis=1),
        steered_unrelated=np.stack(
            [cosines(clean[off], c, toward) for c in stepped(off, unrelated, scale.delta)], axis=1
        ),
    )


def cosines(clean: FloatArray, changed: FloatArray, toward: FloatArray) -> FloatArray:
    """Cosine of each row's change of (centred) logits with ``toward``; 0 where the outputs did not move.

    Changes below 1e-5 of the logits' own length are the rounding of float32, not movement.
    """
    moves = centred(changed) - centred(clean)
    lengths = np.linalg.norm(moves, axis=1)
    moved = (lengths > 1e-5 * (1.0 + np.linalg.norm(centred(clean), axis=1))) & (np.linalg.norm(toward) > 0)
    return np.divide(moves @ toward, lengths * np.linalg.norm(toward), out=np.zeros(len(moves)), where=moved)
