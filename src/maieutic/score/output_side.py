"""Is an output-side label right on fresh contexts, and does it agree with what the unit responds to?

``output``: the unit is changed on held-out contexts; in each, outputs are ranked by how their logits move, and the AUROC
with which outputs that fit the label come first is averaged over contexts (chance 0.5). ``output.ap``: average precision
likewise (chance: the share that fits, ``details["base_rate"]``). Beside it ``output.control.shuffled`` (labels of other units,
or as many outputs drawn at random) and ``output.control.random`` (the same label, random directions of the same length), with
paired differences ``output.vs_shuffled`` and ``output.vs_random``.

``agreement``: AUROC with which the *input* predicate, read on single outputs, ranks promoted outputs above others (chance
0.5): does the unit promote what it fires on? ``agreement.control.random``: the same for outputs that random directions
promote; ``agreement.control.shuffled``: input predicates of other units on this unit's promoted outputs.
``agreement.words``: cosine of the two labels' sentence embeddings, less its mean with other units' output labels.

Intervals: 95 %, groups of contexts (words, for agreement) drawn with replacement. What this does not show: effects on later
tokens, and agreement of labels that speak of context, which single outputs do not have.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from maieutic.explain.output.describing import promoted
from maieutic.explain.output.steering import Contexts, Steered
from maieutic.explain.output.vocabulary import Vocabulary
from maieutic.explain.predicates.base import Predicate
from maieutic.lab.halves import LEAST, grouped
from maieutic.readings import Estimate, FloatArray, Reading, cluster_weights, mean_estimate, mean_reading, ranking

if TYPE_CHECKING:
    from maieutic.score.judged.embedder import Embedder

HEADLINE, AGREEMENT = "output", "agreement"
#: draws of random outputs where no labels of other units are at hand
_DRAWS = 20
NAMES = tuple(HEADLINE + n for n in ("", ".ap", ".control.shuffled", ".control.random", ".vs_shuffled", ".vs_random"))


def output_readings(
    predicate: Predicate | None,
    steered: Steered,
    contexts: Contexts,
    vocabulary: Vocabulary,
    *,
    others: Sequence[Predicate] = (),
    reason: str | None = None,
    seed: int = 0,
) -> dict[str, Reading]:
    """Score an output-side label on held-out contexts.

    Args:
        predicate: over names of outputs; ``None`` when the unit is undescribed (``reason`` says why).
        steered: the unit changed on those contexts, with random directions in ``random_each``.
        contexts: the contexts. vocabulary: names of outputs.
        others: output-side predicates of other units, for the shuffled control.
        seed: of resamples and draws.

    Cost: no pass.
    """
    if predicate is None:
        return {n: Reading.unmeasured(n, f"undescribed: {reason}") for n in NAMES}
    inside = vocabulary.readable
    fits = vocabulary.holds(predicate)[inside] >= 0.5
    groups = len(set(contexts.groups.tolist()))
    if groups < LEAST or fits.all() or not fits.any():
        why = f"{groups} independent contexts are too few" if groups < LEAST else "the label fits all outputs or none"
        return {n: Reading.unmeasured(n, why) for n in NAMES}
    moved = steered.own[:, inside]
    own = grouped(auroc(moved, fits), contexts.groups, seed=seed)
    shuffled = mean_estimate(
        [
            grouped(auroc(moved, s), contexts.groups, seed=seed)
            for s in _shuffled(fits, others, vocabulary, predicate, seed)
        ]
    )
    details = {"base_rate": float(fits.mean()), "fits": int(fits.sum()), "groups": groups}
    n = len(contexts)
    found = {
        HEADLINE: own.reading(HEADLINE, n=n, details=details),
        f"{HEADLINE}.ap": grouped(average_precisions(moved, fits), contexts.groups, seed=seed).reading(
            f"{HEADLINE}.ap", n=n, details=details
        ),
        f"{HEADLINE}.control.shuffled": shuffled.reading(f"{HEADLINE}.control.shuffled", n=n),
        f"{HEADLINE}.vs_shuffled": (own - shuffled).reading(f"{HEADLINE}.vs_shuffled", n=n),
    }
    for name in (f"{HEADLINE}.control.random", f"{HEADLINE}.vs_random"):
        found[name] = Reading.unmeasured(name, "no random directions were taken on held-out contexts")
    if len(steered.random_each):
        random = mean_estimate(
            [grouped(auroc(r[:, inside], fits), contexts.groups, seed=seed) for r in steered.random_each]
        )
        found[f"{HEADLINE}.control.random"] = random.reading(f"{HEADLINE}.control.random", n=n)
        found[f"{HEADLINE}.vs_random"] = (own - random).reading(f"{HEADLINE}.vs_random", n=n)
    return found


def _shuffled(
    fits: NDArray[np.bool_], others: Sequence[Predicate], vocabulary: Vocabulary, own: Predicate, seed: int
) -> list[NDArray[np.bool_]]:
    """Sets of outputs that other labels fit, else drawn sets of the same size."""
    sets = [vocabulary.holds(p)[vocabulary.readable] >= 0.5 for p in others if p != own]
    sets = [s for s in sets if s.any() and not s.all()]
    if sets:
        return sets
    rng = np.random.default_rng([seed, 71])
    return [rng.permutation(fits) for _ in range(_DRAWS)]


def auroc(values: FloatArray, fits: NDArray[np.bool_]) -> FloatArray:
    """AUROC of ``fits`` by each row of values ``[context, output]``, ``[context]``; ties count half."""
    from scipy.stats import rankdata

    ranks = np.asarray(rankdata(values, axis=1), dtype=np.float64)
    n, rest = int(fits.sum()), int((~fits).sum())
    return (ranks[:, fits].mean(axis=1) - (n + 1) / 2) / rest


def average_precisions(values: FloatArray, fits: NDArray[np.bool_]) -> FloatArray:
    """Average precision of ``fits`` by each row of values ``[context, output]``, ``[context]``; equal values in their order."""
    order = np.argsort(-values, axis=1, kind="stable")
    hits = fits[order]
    precision = np.cumsum(hits, axis=1) / np.arange(1, values.shape[1] + 1)
    return (precision * hits).sum(axis=1) / fits.sum()


def agreement_readings(
    predicate: Predicate | None,
    z: FloatArray,
    null: FloatArray,
    vocabulary: Vocabulary,
    *,
    others: Sequence[Predicate] = (),
    reason: str = "the unit has no input-side explanation",
    seed: int = 0,
) -> dict[str, Reading]:
    """Does what a unit promotes look like what it responds to?

    Args:
        predicate: the input-side one; ``None`` where there is none.
        z: z-score of each output under the unit, ``[output]``. null: under random directions, ``[direction, output]``.
        vocabulary: names of outputs.
        others: input-side predicates of other units.
    """
    names = (AGREEMENT, f"{AGREEMENT}.control.random", f"{AGREEMENT}.control.shuffled")
    if predicate is None:
        return {n: Reading.unmeasured(n, reason) for n in names}
    says = vocabulary.holds(predicate)
    if not len(vocabulary.readable) or np.ptp(says[vocabulary.readable]) == 0:
        why = (
            "the input label says the same of every single output: it speaks of context, or of what outputs do not name"
        )
        return {n: Reading.unmeasured(n, why) for n in names}
    chosen = promoted(z, vocabulary)
    own = _agreeing(says, chosen, vocabulary, seed=seed)
    random = [_agreeing(says, promoted(row, vocabulary), vocabulary, seed=seed) for row in null]
    shuffled = [_agreeing(vocabulary.holds(p), chosen, vocabulary, seed=seed) for p in others if p != predicate]
    values = [r.value for r in random if r.value is not None]
    most = float(np.quantile(values, 0.95)) if values else None
    beats = None if own.low is None or most is None else own.low > most
    details = {**own.details, "random_most": most, "beats_random": beats}
    own = Reading(
        name=own.name, value=own.value, low=own.low, high=own.high, n=own.n, reason=own.reason, details=details
    )
    return {
        AGREEMENT: own,
        f"{AGREEMENT}.control.random": mean_reading(f"{AGREEMENT}.control.random", random, seed=seed),
        f"{AGREEMENT}.control.shuffled": mean_reading(f"{AGREEMENT}.control.shuffled", shuffled, seed=seed),
    }


def _agreeing(says: FloatArray, chosen: NDArray[np.int64], vocabulary: Vocabulary, *, seed: int) -> Reading:
    """AUROC of promoted outputs against the background by what a predicate says of them; forms of a word are one cluster."""
    rest = vocabulary.background[~np.isin(vocabulary.background, chosen)]
    keys = [vocabulary.names[int(i)].strip().lower() for i in (*chosen, *rest)]
    if len(set(keys[: len(chosen)])) < LEAST or len(rest) < LEAST:
        return Reading.unmeasured(AGREEMENT, f"{len(set(keys[: len(chosen)]))} different words are promoted: too few")
    known: dict[str, int] = {}
    clusters = np.array([known.setdefault(k, len(known)) for k in keys], dtype=np.int64)
    outputs = np.concatenate([chosen, rest])
    active = np.arange(len(outputs)) < len(chosen)
    weights = cluster_weights(len(known), seed=seed)
    found: Estimate = ranking(active, says[outputs], clusters=clusters, weights=weights).auroc
    return found.reading(AGREEMENT, n=len(chosen), details={"promoted": len(chosen)})


def words_reading(output: str, given: str, others: Sequence[str], embed: Embedder) -> Reading:
    """Cosine of the two labels' embeddings less the input label's mean cosine with other units' output labels."""
    name = f"{AGREEMENT}.words"
    if not output or not given or not others:
        return Reading.unmeasured(name, "both labels, and output labels of other units, are needed")
    vectors = embed([given, output, *others])
    cosines = vectors[1:] @ vectors[0]
    beside = cosines[1:]
    details = {"cosine": float(cosines[0]), "others": float(beside.mean()), "n_others": len(others)}
    draws = cluster_weights(len(beside)).astype(np.float64) @ beside / len(beside)
    return Estimate(value=float(cosines[0] - beside.mean()), replicates=cosines[0] - draws).reading(
        name, n=len(others), details=details
    )
