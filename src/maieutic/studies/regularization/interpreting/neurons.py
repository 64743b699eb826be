"""Units of the MLPs against predicates, beside every control: how much of an activation basis says one thing.

`neuron_rows` gives, for each ``blocks.N.mlp.act``: ``neurons.score`` (mean held-out F1 of live units), ``.all`` (dead ones count
0), ``.above.*`` (share of live units above; the whole curve is in the details of ``neurons.score``), ``neurons.distinct``,
``neurons.precision`` (average precision), ``neurons.lexical`` (share that only says which word stands there), ``neurons.live``,
``neurons.constant`` (what the same predicates give to a prediction that is the same everywhere), and ``rotated.score``,
``shuffled.score``, ``pca.score``, and ``sae.*`` of the first layers of the plan. The headline is ``neurons.gap``: neurons minus
rotated. A random direction whose largest loading is on a clean unit scores as well where that unit fires, so the rotated score is
far from 0 and says what the features allow in any basis.

``contextual.*`` is the same against predicates that the word alone does not decide. Units of an untrained model are functions of
the word, and score as high as any against words: what was learnt shows in context.

What this module does not do: look at weak and strong firings apart (`bands`), or at other locations (`probing`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from maieutic.readings import Reading
from maieutic.studies.regularization.interpreting.bases import components, moved, rotated, sae_features
from maieutic.studies.regularization.interpreting.material import Material, mean_of, over_units
from maieutic.studies.regularization.interpreting.predicates import Floats, Labelled, label_directions
from maieutic.studies.regularization.rows import Row

#: thresholds of the curve
CURVE = tuple(round(0.05 * n, 2) for n in range(20))
#: a predicate counts as covered from this F1 on
COVERED = 0.5
ABOVE = (0.5, 0.7)


def neuron_rows(material: Material, labelled: Sequence[Labelled] | None = None) -> list[Row]:
    """All rows of this module, layer by layer.

    Args:
        labelled: of each layer (`labelled_layers`), when they are at hand.

    Cost: about 1 CPU second for each layer of 256 units over 900 documents, and that of the autoencoders.
    """
    found: list[Row] = []
    for layer, (site, own) in enumerate(zip(material.acts, labelled or labelled_layers(material), strict=True)):
        values = material.values[site]
        random = rotated(values, material.truths, seed=material.seed)
        turned = label_directions(random, material.truths)
        found += [_row(r, site) for r in _own(material, own)]
        found += [_row(r, site) for r in _beside(material, own, turned, values)]
        found += [_row(r, site) for r in _contextual(material, values, random)]
        if layer < material.plan.sae_layers:
            found += [_row(r, site) for r in _sae(material, layer)]
    return found


def labelled_layers(material: Material) -> list[Labelled]:
    """The units of each layer with their predicates."""
    return [label_directions(material.values[s], material.truths, ranked=True) for s in material.acts]


_BETTER = dict.fromkeys(
    ("neurons.lexical", "neurons.constant", "sae.live", "contextual.rotated", "contextual.constant"), 0
)
_CONTROLS = ("rotated.", "shuffled.", "pca.")


def _row(reading: Reading, where: str) -> Row:
    neither = reading.name in _BETTER or reading.name.startswith(_CONTROLS)
    return Row(about="interpretability", measure=reading.name, where=where, reading=reading, better=0 if neither else 1)


def curve(scores: Any) -> list[float]:
    """Share of units above each threshold of ``CURVE``."""
    return [round(float(np.mean(scores > t)), 4) if len(scores) else 0.0 for t in CURVE]


def distinct(labelled: Labelled) -> int:
    """How many predicates are covered by some direction."""
    return len(set(labelled.predicate[labelled.f1 >= COVERED].tolist()))


def _own(material: Material, own: Labelled) -> list[Reading]:
    seed, units = material.seed, len(own.live)
    every = np.zeros(units)
    every[own.live] = own.f1
    lexical = material.truths.lexical[own.predicate].astype(np.float64)
    found = [
        over_units("neurons.score", own.f1, seed=seed, keep=True, curve=curve(own.f1), thresholds=CURVE, of=units),
        over_units("neurons.score.all", every, seed=seed, curve=curve(every), thresholds=CURVE),
        over_units("neurons.precision", own.average_precision, seed=seed),
        over_units("neurons.lexical", lexical, seed=seed),
        over_units("neurons.constant", own.constant, seed=seed),
        Reading(
            name="neurons.distinct",
            value=float(distinct(own)),
            n=len(own.f1),
            details={"of": len(material.truths.names)},
        ),
        Reading(name="neurons.live", value=float(own.live.mean()), n=units),
    ]
    return found + [over_units(f"neurons.above.{t}", (own.f1 > t).astype(np.float64), seed=seed) for t in ABOVE]


def _beside(material: Material, own: Labelled, turned: Labelled, values: Floats) -> list[Reading]:
    seed, truths = material.seed, material.truths
    mixed = label_directions(values[moved(truths, len(values), seed=seed)], truths)
    basis = label_directions(components(values, truths), truths)
    gap = mean_of(own.f1, seed=seed) - mean_of(turned.f1, seed=seed) if len(own.f1) else None
    return [
        over_units("rotated.score", turned.f1, seed=seed, keep=True, curve=curve(turned.f1), thresholds=CURVE),
        Reading(name="rotated.distinct", value=float(distinct(turned)), n=len(turned.f1)),
        over_units("shuffled.score", mixed.f1, seed=seed, curve=curve(mixed.f1), thresholds=CURVE),
        over_units("pca.score", basis.f1, seed=seed, curve=curve(basis.f1), thresholds=CURVE),
        Reading.unmeasured("neurons.gap", "no unit is live")
        if gap is None
        else gap.reading(
            "neurons.gap", n=len(own.f1), details={"curve": _differences(own, turned), "thresholds": CURVE}
        ),
    ]


def _differences(own: Labelled, turned: Labelled) -> list[float]:
    return [round(a - b, 4) for a, b in zip(curve(own.f1), curve(turned.f1), strict=True)]


def _contextual(material: Material, values: Floats, random: Floats) -> list[Reading]:
    """The same against predicates that the word alone does not decide."""
    seed, truths = material.seed, material.truths.contextual()
    own, turned = label_directions(values, truths), label_directions(random, truths)
    name = "contextual.gap"
    if not len(own.f1):
        gap = Reading.unmeasured(name, "no unit is live")
    else:
        gap = (mean_of(own.f1, seed=seed) - mean_of(turned.f1, seed=seed)).reading(name, n=len(own.f1))
    return [
        over_units("contextual.score", own.f1, seed=seed, keep=True, curve=curve(own.f1), thresholds=CURVE),
        over_units("contextual.rotated", turned.f1, seed=seed, curve=curve(turned.f1), thresholds=CURVE),
        over_units("contextual.constant", own.constant, seed=seed),
        Reading(
            name="contextual.distinct", value=float(distinct(own)), n=len(own.f1), details={"of": len(truths.names)}
        ),
        gap,
    ]


def _sae(material: Material, layer: int) -> list[Reading]:
    """A dictionary of as many features as units: what a basis that was looked for gives."""
    values = material.values[material.acts[layer]]
    features = sae_features(values, material.truths, seed=material.seed, steps=material.plan.sae_steps)
    scored = label_directions(features.values, material.truths)
    return [
        over_units("sae.score", scored.f1, seed=material.seed, undefined="no feature is live", curve=curve(scored.f1),
                   thresholds=CURVE),
        Reading(name="sae.live", value=float(scored.live.mean()), n=len(scored.live)),
        Reading(name="sae.explained", value=features.explained, n=len(material.truths.places["test"])),
    ]  # fmt: skip
