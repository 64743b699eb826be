"""What a change of activations does to a network's outputs, and the steps of matched length that stand beside it.

An effect is KL(clean || changed) of the softmax of the outputs, in nats (one output: the absolute change). Random steps are
Gaussian in z-scored activation space (coordinates in proportion to their standard deviations), since a raw rotation would
mostly move coordinates that never move; unrelated ones are single other units of the site. Shared by the lab's
experiments and the interventional scorer.

`activation_mass` and `output_effect` say how much a unit matters, for those who must choose which of many units to look
at first. They are priorities, not evidence: neither has a null beside it, and `output_effect` sees a unit at its strongest
only. Nothing else here runs an intervention.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maieutic.harvest import Atlas
from maieutic.readings import FloatArray
from maieutic.subjects.base import Intervention, Subject, Unit, raw
from maieutic.subjects.reading import activation_maps

#: steps of each kind at a position; positions take turns over so many sets of directions, so that no draw decides alone
STEPS, SETS = 3, 4
#: discover correlation up to which another unit is unrelated
UNRELATED = 0.2
#: images whose maps tell how far ablation moves a channel
_MAPS = 16
#: outputs of unchanged passes kept for units that share an exemplar, in bytes
_CLEAN_BYTES = 1 << 28
#: units whose unchanged passes are made together
_TOGETHER = 16


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


def activation_mass(atlas: Atlas, units: Sequence[Unit]) -> NDArray[np.float64]:
    """How much each unit is active over the discover split: its root mean square, ``sqrt(mean^2 + std^2)``, ``[unit]``.

    In raw model units: comparable between units of one site. Both tails of a neuron have the same mass, and a large
    constant counts like firing. Neurons and channels: over all positions (exact moments of the harvest). Directions:
    over the uniform sample of positions. Cost: no pass.
    """
    return np.array([float(np.hypot(*_mean_std(atlas, u))) for u in units], dtype=np.float64)


def _mean_std(atlas: Atlas, unit: Unit) -> tuple[float, float]:
    if unit.index is not None:
        moments = atlas.moments(unit)
        return moments.mean, moments.std
    sample = np.asarray(atlas.sample(unit), dtype=np.float64)
    return float(sample.mean()), float(sample.std())


def output_effect(subject: Subject, atlas: Atlas, units: Sequence[Unit], *, exemplars: int = 4) -> NDArray[np.float64]:
    """What the network's outputs lose without each unit: mean `effect` of ablating it to its mean, ``[unit]``, nats.

    A unit is ablated where it is strongest: at the position of each of its top discover exemplars, which the text is cut
    after, so that the effect is on the next token; in images on the whole map. 0 for a unit that rests at its mean there.

    Args:
        subject, atlas: what is changed, and a harvest of it.
        units: of harvested sites.
        exemplars: places of each unit, the strongest of as many stimuli.

    Cost: ``exemplars`` full passes a unit with the change, and one without for each place (shared between units that
    have it in common). No measurements of a lab's budget.

    Raises:
        UserError: the subject is a black box that cannot be changed inside.
    """
    clean: dict[tuple[str, int], FloatArray] = {}
    found = np.zeros(len(units))
    for start in range(0, len(units), _TOGETHER):
        group = range(start, min(start + _TOGETHER, len(units)))
        places = {i: _places(subject, atlas, units[i], exemplars) for i in group}
        new = {key: shown for i in group for key, shown in places[i].items() if key not in clean}
        if new:
            if clean and (len(clean) + len(new)) * next(iter(clean.values())).nbytes > _CLEAN_BYTES:
                clean, new = {}, {key: shown for i in group for key, shown in places[i].items()}
            clean |= zip(new, subject.outputs(list(new.values())), strict=True)
        for i in group:
            found[i] = _ablated(subject, atlas, units[i], places[i], [clean[key] for key in places[i]])
    return found


def _places(subject: Subject, atlas: Atlas, unit: Unit, n: int) -> dict[tuple[str, int], Any]:
    """Where the unit is strongest: (stimulus id, position) to the image, or the text up to that position."""
    # of a direction only the uniform sample is known: its strongest rows, one a stimulus
    asked = n if unit.index is not None else len(atlas.sample(unit))
    places: dict[tuple[str, int], Any] = {}
    for e in atlas.exemplars(unit, asked):
        if len(places) < n and e.stimulus.id not in {stimulus for stimulus, _ in places}:
            shown = raw(e.stimulus)
            cut = shown[: subject.tokens(shown)[e.position].end] if isinstance(shown, str) else shown
            places[e.stimulus.id, e.position] = cut
    return places


def _ablated(
    subject: Subject, atlas: Atlas, unit: Unit, places: dict[tuple[str, int], Any], clean: Sequence[FloatArray]
) -> float:
    from maieutic.subjects.hooks import InterventionDidNothing

    at = -1 if subject.modality == "text" else None
    change = Intervention(unit=unit, kind="ablate_mean", value=_mean_std(atlas, unit)[0], at=at)
    try:
        changed = subject.outputs(list(places.values()), interventions=[change])
    except InterventionDidNothing:
        return 0.0
    return float(effect(np.asarray(clean, np.float64), np.asarray(changed, np.float64)).mean())
