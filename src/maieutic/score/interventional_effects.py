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

from maieutic.harvest import Atlas
from maieutic.readings import FloatArray
from maieutic.subjects.base import Intervention, Subject, Unit
from maieutic.subjects.reading import activation_maps

#: steps of each kind at a position; positions take turns over so many sets of directions, so that no draw decides alone
STEPS, SETS = 3, 4
#: discover correlation up to which another unit is unrelated
UNRELATED = 0.2
#: images whose maps tell how far ablation moves a channel
_MAPS = 16


@dataclass(frozen=True, kw_only=True)
class Scale:
    """The unit on discover: its mean, and how far ablation moves it where it is active (length in raw model units)."""

    mean: float
    delta: float


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


def scale_of(subject: Subject, unit: Unit, atlas: Atlas, active: NDArray[np.bool_]) -> Scale | str:
    """The unit's scale from discover.

    Args:
        subject, unit, atlas: what is read, and a harvest of it.
        active: which discover positions count as active, in the order of ``atlas.observed(unit, "discover")``.
    """
    observed = atlas.observed(unit, "discover")
    values = np.concatenate([o.values for o in observed]).astype(np.float64)
    mean, chosen = float(values.mean()), values[active]
    if subject.site(unit.site).positions == "spatial" and subject.modality == "image":
        shown = [o.stimulus for o, on in zip(observed, active, strict=True) if on][:_MAPS]
        chosen = np.concatenate([m.ravel() for m in activation_maps(subject, shown, unit)]).astype(np.float64)
    length = float(np.sqrt(np.mean((chosen - mean) ** 2))) / _norm(unit) if len(chosen) else 0.0
    if not length > 0:
        return "the unit does not move where it is active: there is nothing to ablate"
    return Scale(mean=mean, delta=length)


def directions(unit: Unit, atlas: Atlas, *, seed: int = 0) -> tuple[list[Unit], list[Unit]] | str:
    """Random and unrelated directions at the unit's site, ``STEPS * SETS`` each, of length 1; or why there are none."""
    summary = atlas.sites[unit.site]
    rows = np.asarray(summary.sample_values, dtype=np.float64)
    spread = rows.std(axis=0)
    live = spread > 1e-6 * spread.max(initial=0.0)
    rng = np.random.default_rng([seed, 31])
    random: list[Unit] = []
    for i in range(STEPS * SETS):
        v = np.where(live, spread * rng.standard_normal(len(spread)), 0.0)
        v = (v / max(float(np.linalg.norm(v)), 1e-30)).astype(np.float32)
        random.append(Unit(site=unit.site, vector=v, name=f"random-{seed}-{i}"))
    own = np.asarray(atlas.sample(unit), dtype=np.float64)
    centred = rows - rows.mean(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        r = (own - own.mean()) @ centred / (len(own) * own.std() * spread)
    others = [i for i in np.flatnonzero(live & (np.abs(r) < UNRELATED)).tolist() if i != unit.index]
    if not others:
        return f"{unit.site} has no unit unrelated to this one to compare with"
    order: list[int] = rng.permutation(others).tolist()
    return random, [Unit(site=unit.site, index=order[i % len(order)]) for i in range(STEPS * SETS)]


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
    raised = Intervention(unit=unit, kind="add", value=scale.delta / _norm(unit), at=at)
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


def effect(clean: FloatArray, changed: FloatArray) -> FloatArray:
    """KL(clean || changed) of the softmax of logits ``[position, output]``, in nats; with one output ``|change|``."""
    if clean.shape[1] == 1:
        return np.abs(changed - clean)[:, 0]
    p, q = log_softmax(clean), log_softmax(changed)
    return np.maximum((np.exp(p) * (p - q)).sum(axis=1), 0.0)


def log_softmax(logits: FloatArray) -> FloatArray:
    """Log probabilities ``[position, output]``."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def centred(logits: FloatArray) -> FloatArray:
    """Logits less their mean over outputs, which the softmax does not see (one output: as it is)."""
    return logits if logits.shape[1] == 1 else logits - logits.mean(axis=1, keepdims=True)


def cosines(clean: FloatArray, changed: FloatArray, toward: FloatArray) -> FloatArray:
    """Cosine of each row's change of (centred) logits with ``toward``; 0 where the outputs did not move.

    Changes below 1e-5 of the logits' own length are the rounding of float32, not movement.
    """
    moves = centred(changed) - centred(clean)
    lengths = np.linalg.norm(moves, axis=1)
    moved = (lengths > 1e-5 * (1.0 + np.linalg.norm(centred(clean), axis=1))) & (np.linalg.norm(toward) > 0)
    return np.divide(moves @ toward, lengths * np.linalg.norm(toward), out=np.zeros(len(moves)), where=moved)


def _norm(unit: Unit) -> float:
    return 1.0 if unit.vector is None else max(float(np.linalg.norm(unit.vector)), 1e-30)
