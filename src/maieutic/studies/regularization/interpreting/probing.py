"""Every location beside the MLPs' units: how spread out known labels are, how directions interfere, how heavy the tails are.

For a fixed set of labels that depends on the corpus alone: ``probe.one``, F1 of the best single unit; ``probe.dense``, F1 of a
logistic probe over all units; ``probe.gap``, dense minus one: how spread out what the location knows is (Gurnee et al. 2023).
``coherence``: root mean square cosine between the mean directions of labels that have next to nothing to do with each other.
``kurtosis``: excess, mean over live units. Names without an ending are of ``mlp.act``; the others end in ``.embed``, ``.attn``,
``.norm``, ``.resid``. If the MLPs get cleaner and another location worse, superposition has moved.

What this module does not do: probe for what no label says.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from maieutic.readings import Reading
from maieutic.studies.regularization.interpreting.bases import z_scored
from maieutic.studies.regularization.interpreting.material import Material, mean_of, over_units
from maieutic.studies.regularization.interpreting.predicates import Floats, best_thresholds, correlations, f1_scores
from maieutic.studies.regularization.interpreting.truths import Truths
from maieutic.studies.regularization.model import site_names
from maieutic.studies.regularization.rows import About, Row

LOCATIONS = ("act", "embed", "attn", "norm", "resid")
#: labels that probes look for hold at this share of the tokens of discover at least
RARE = 0.005
#: of the penalty on a probe's weights, for z-scored units
PENALTY = 1e-3
_ITERATIONS = 20
#: labels whose correlation is smaller have next to nothing to do with each other
APART = 0.05
#: tokens behind a mean direction at least
MEANT = 50
_BETTER = {"probe.one": 1, "probe.dense": 1, "probe.gap": -1, "coherence": -1, "kurtosis": 0}


def location_rows(material: Material) -> list[Row]:
    """The rows of this module for every hook point; those of a LayerNorm that is not there are unmeasured.

    Cost: about 0.3 CPU seconds for a location of 64 units and 1 for one of 256, on a busy machine.
    """
    sites = site_names(material.model.config)
    labels = probed_labels(material.truths, count=material.plan.probed)
    found: list[Row] = []
    for location in LOCATIONS:
        for where in sites.get(location, []):
            found += [_row(r, location, where) for r in _readings(material, labels, where)]
        if location not in sites:
            reasons = [Reading.unmeasured(n, "this arm has no LayerNorm behind its activation") for n in _BETTER]
            found += [_row(r, location, a.replace(".act", ".norm")) for a in material.acts for r in reasons]
    return found


def _row(reading: Reading, location: str, where: str) -> Row:
    name = reading.name if location == "act" else f"{reading.name}.{location}"
    about: About = "interpretability" if location == "act" else "hiding"
    better = _BETTER[reading.name]
    assert better in (-1, 0, 1)
    return Row(about=about, measure=name, where=where, reading=reading, better=better)


def _readings(material: Material, labels: NDArray[np.int64], where: str) -> list[Reading]:
    seed, truths, values = material.seed, material.truths, material.values[where]
    names = [" = ".join(truths.names[n]) for n in labels]
    z = z_scored(values, truths)
    if not z.shape[1]:
        return [Reading.unmeasured(n, "no unit is live") for n in _BETTER]
    one = single_probe(z, truths, labels)
    dense = dense_probe(z, truths, labels, tokens=material.plan.probe_tokens, seed=seed)
    gap = mean_of(dense, seed=seed) - mean_of(one, seed=seed)
    return [
        over_units("probe.one", one, seed=seed, keep=True, labels=names),
        over_units("probe.dense", dense, seed=seed, keep=True, labels=names),
        gap.reading("probe.gap", n=len(one)),
        coherence(z, truths),
        over_units("kurtosis", excess_kurtosis(z[truths.places["discover"]]), seed=seed),
    ]


def probed_labels(truths: Truths, *, count: int) -> NDArray[np.int64]:
    """What probes look for: of each label in turn its most frequent value left, without those that the word decides.

    Labels of words alone serve where a corpus has no others. Depends on the corpus alone, so it is the same in every arm.
    """
    holds = truths.of("discover")
    share = np.asarray(holds.mean(axis=1)).reshape(-1)
    lexical = truths.lexical
    able = (share >= RARE) & (~lexical if (~lexical).any() else lexical)
    by_label: dict[str, list[int]] = {}
    for n in sorted(np.flatnonzero(able), key=lambda n: (-share[n], n)):
        by_label.setdefault(truths.names[n][0], []).append(int(n))
    turns = zip_longest(*(by_label[k] for k in sorted(by_label)))
    return np.array([n for turn in turns for n in turn if n is not None][:count], np.int64)


def single_probe(z: Floats, truths: Truths, labels: Sequence[int] | NDArray[np.int64]) -> NDArray[np.float64]:
    """Held-out F1 of the best single unit of each label, of either sign; chosen on discover, threshold on select."""
    found = correlations(z[truths.places["discover"]], truths.of("discover")[labels])
    unit = np.abs(found).argmax(axis=1)
    sign = np.where(found[np.arange(len(unit)), unit] < 0, np.float32(-1), np.float32(1))
    return _tested(z[:, unit] * sign, truths, labels)


def dense_probe(
    z: Floats, truths: Truths, labels: Sequence[int] | NDArray[np.int64], *, tokens: int, seed: int
) -> NDArray[np.float64]:
    """Held-out F1 of a logistic probe over all units for each label; learnt on discover, threshold on select.

    Args:
        tokens: of discover that it learns from, drawn by the seed.
    """
    places = truths.places["discover"]
    if len(places) > tokens:
        places = np.sort(np.random.default_rng(seed).permutation(places)[:tokens])
    x = torch.from_numpy(np.ascontiguousarray(z[places]))
    y = torch.from_numpy(truths.holds[labels][:, places].toarray().T > 0).float()
    weight = torch.zeros(z.shape[1], y.shape[1], requires_grad=True)
    bias = torch.logit(y.mean(dim=0).clamp(1e-4, 1 - 1e-4)).requires_grad_()
    optimiser = torch.optim.LBFGS([weight, bias], max_iter=_ITERATIONS, history_size=8, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        # mean over tokens, sum over labels: each label is a problem of its own
        loss = F.binary_cross_entropy_with_logits(x @ weight + bias, y) * y.shape[1] + PENALTY * weight.square().sum()
        loss.backward()  # pyright: ignore[reportUnknownMemberType]
        return loss

    with torch.enable_grad():
        optimiser.step(closure)  # pyright: ignore[reportUnknownMemberType, reportArgumentType]
    return _tested(z @ weight.detach().numpy(), truths, labels)


def _tested(scores: Floats, truths: Truths, labels: Sequence[int] | NDArray[np.int64]) -> NDArray[np.float64]:
    """F1 on test of scores ``[token, label]`` with thresholds from select."""
    chosen = np.asarray(labels, np.int64)
    select = np.ascontiguousarray(scores[truths.places["select"]].T)
    threshold = best_thresholds(select, truths.at(chosen, "select"))
    test = scores[truths.places["test"]].T
    return f1_scores(test >= threshold[:, None], truths.at(chosen, "test"))


def coherence(z: Floats, truths: Truths) -> Reading:
    """Root mean square cosine between mean directions of labels that are next to uncorrelated, on discover.

    The direction of a label is the mean of z-scored activations where it holds. Random directions have ``1 / sqrt(units)``,
    which stands in the details.
    """
    holds = truths.of("discover")
    counts = np.asarray(holds.sum(axis=1)).reshape(-1)
    chosen = np.flatnonzero(counts >= MEANT)
    holds, counts, n = holds[chosen], counts[chosen], holds.shape[1]
    means = np.asarray(holds @ np.ascontiguousarray(z[truths.places["discover"]]), np.float64) / counts[:, None]
    unit = means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
    share = counts / n
    together = (holds @ holds.T).toarray() / n - np.outer(share, share)
    spread = np.sqrt(share * (1 - share))
    pairs = np.triu(np.abs(together) < APART * np.outer(spread, spread), k=1)
    if not pairs.any():
        return Reading.unmeasured("coherence", "no two labels are next to uncorrelated")
    value = float(np.sqrt(np.square((unit @ unit.T)[pairs]).mean()))
    details = {"random": z.shape[1] ** -0.5, "labels": len(chosen)}
    return Reading(name="coherence", value=value, n=int(pairs.sum()), details=details)


def excess_kurtosis(values: Floats) -> NDArray[np.float64]:
    """Fourth moment over the squared second, minus 3, of each column; 0 for a normal distribution, -2 at least."""
    centred = values.astype(np.float64) - values.mean(axis=0, dtype=np.float64)
    second, fourth = np.square(centred).mean(axis=0), np.square(np.square(centred)).mean(axis=0)
    return fourth / np.maximum(np.square(second), 1e-24) - 3
