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


#: place of raising the unit among a position's changes: behind none, ablation, and both kinds of steps
RAISED = 2 + 2 * STEPS


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

    Cost: 2 + 2 x 3 passes over all stimuli, and 1 + 3 over those where the label does not apply; of language models one
    pass over each text, and one token for each change of it (`Subject.outputs_each`).

    Raises:
        UserError: the subject cannot be intervened on, has no outputs, or an intervention changed nothing.
    """
    at = -1 if subject.modality == "text" else None
    random, unrelated = beside
    turns = np.zeros(len(on), dtype=np.int64)
    for side in (on, ~on):
        turns[side] = np.arange(int(side.sum())) % SETS

    def steps(sign: int, units: Sequence[Unit]) -> list[list[Intervention]]:
        """The steps of each set of directions."""
        made = [Intervention(unit=u, kind="add", value=sign * scale.delta, at=at) for u in units]
        return [made[turn * STEPS : (turn + 1) * STEPS] for turn in range(SETS)]

    ablated = _ablation(subject, unit, scale)
    raised = Intervention(unit=unit, kind="add", value=scale.delta / norm(unit), at=at)
    by_random, by_unrelated, upwards = steps(1, random), steps(-1, unrelated), steps(1, unrelated)
    changes: list[list[Intervention | None]] = [
        [None, ablated, *by_random[turn], *by_unrelated[turn], *(() if applies else (raised, *upwards[turn]))]
        for turn, applies in zip(turns.tolist(), on.tolist(), strict=True)
    ]
    rows = [np.asarray(said, dtype=np.float64) for said in subject.outputs_each(stimuli, changes)]
    clean = np.stack([row[0] for row in rows])
    toward = centred(clean[on]).mean(axis=0) - centred(clean[~on]).mean(axis=0)
    effects = np.stack([effect(np.broadcast_to(row[0], row[1:RAISED].shape), row[1:RAISED]) for row in rows])
    angles = [
        cosines(np.broadcast_to(row[0], row[1:].shape), row[1:], toward)
        for row, applies in zip(rows, on, strict=True)
        if not applies
    ]
    steered = np.stack(angles) if angles else np.zeros((0, RAISED + STEPS))
    return Effects(
        own=effects[:, 0],
        random=effects[:, 1 : 1 + STEPS],
        unrelated=effects[:, 1 + STEPS :],
        steered=steered[:, RAISED - 1],
        steered_random=steered[:, 1 : 1 + STEPS],
        steered_unrelated=steered[:, RAISED:],
    )


def cosines(clean: FloatArray, changed: FloatArray, toward: FloatArray) -> FloatArray:
    """Cosine of each row's change of (centred) logits with ``toward``; 0 where the outputs did not move.

    Changes below 1e-5 of the logits' own length are the rounding of float32, not movement.
    """
    moves = centred(changed) - centred(clean)
    lengths = np.linalg.norm(moves, axis=1)
    moved = (lengths > 1e-5 * (1.0 + np.linalg.norm(centred(clean), axis=1))) & (np.linalg.norm(toward) > 0)
    return np.divide(moves @ toward, lengths * np.linalg.norm(toward), out=np.zeros(len(moves)), where=moved)
