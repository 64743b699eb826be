"""What a change of activations does to a network's outputs, and the steps of matched length that stand beside it.

An effect is KL(clean || changed) of the softmax of the outputs, in nats (one output: the absolute change). Random steps are
Gaussian in z-scored activation space (coordinates in proportion to their standard deviations), since a raw rotation would
mostly move coordinates that never move; unrelated ones are single other units of the site. Shared by the lab's
experiments and the interventional scorer. Nothing here runs an intervention.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maieutic.harvest import Atlas
from maieutic.readings import FloatArray
from maieutic.subjects.base import Subject, Unit
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
    length = float(np.sqrt(np.mean((chosen - mean) ** 2))) / norm(unit) if len(chosen) else 0.0
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


def norm(unit: Unit) -> float:
    """Length of the unit's direction in raw activation space (a neuron: 1)."""
    return 1.0 if unit.vector is None else max(float(np.linalg.norm(unit.vector)), 1e-30)
