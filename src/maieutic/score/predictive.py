"""Predictive scorer: does the label foretell the unit's activation at held-out positions?

Headline: step-wise average precision (AP) of predicted against active positions, over all positions of the test split
(or a seeded uniform subsample), never over chosen exemplars. Range 0 to 1; chance is the base rate (about 0.01 for
text, 0.05 for images), which is also what a constant gets. Beside it Pearson's r of predicted against measured
activation (-1 to 1, chance 0). Both fall when a label misses half of what the unit does *and* when it claims too much.

For comparison only, never alone, since they forgive one of those two: AUROC, F1 and balanced accuracy at the operating
point chosen on select, and the gap between mean activations where the label applies and where it does not (in standard
deviations of the measured values).

Intervals: 95 %, whole documents or image groups drawn with replacement. What this does not show: that the label's
cause is the unit's cause (correlates score as well as causes on natural stimuli), and anything off the corpus.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maieutic.explain.explanation import Explanation
from maieutic.harvest.atlas import Observed
from maieutic.readings import Cost, Estimate, FloatArray, Reading, cluster_weights, from_sums, pearson, ranking
from maieutic.score.controls import compared, without_controls
from maieutic.score.evidence import Evidence, Predictions, Trial, trial
from maieutic.score.loading import loadable, one_line
from maieutic.score.registry import Request
from maieutic.stimuli.base import Split, Stimulus
from maieutic.subjects.base import Subject, Unit

HEADLINE = "predictive"
#: readings beside the headline, in the order of tables
BESIDE = ("pearson", "auroc", "f1", "balanced_accuracy", "mean_gap")
#: the splits that a score is made of
_READ: tuple[Split, ...] = ("select", "test")


def predictive(
    evidence: Evidence,
    predicted: FloatArray | str,
    *,
    cut: float | str = "no operating point was chosen",
    seed: int = 0,
) -> dict[str, Reading]:
    """All metrics of one prediction on one unit's evidence.

    Args:
        evidence: measured values at test positions.
        predicted: predicted activation ``[position]``, or why there is none.
        cut: predictions at or above it count as "the label applies"; or why there is no such operating point.
        seed: of the resampled clusters.
    """
    names = [HEADLINE, *(f"{HEADLINE}.{m}" for m in BESIDE)]
    details = {**evidence.details(), "seed": seed}
    n = len(evidence.measured)
    reason = evidence.unusable() or (predicted if isinstance(predicted, str) else None)
    if reason is not None:
        return {name: Reading.unmeasured(name, reason, n=n, details=details) for name in names}
    assert not isinstance(predicted, str)
    weights = cluster_weights(len(evidence.groups), seed=seed)
    ranked = ranking(evidence.active, predicted, clusters=evidence.clusters, weights=weights)
    r = pearson(predicted, evidence.measured, clusters=evidence.clusters, weights=weights)
    found = {
        HEADLINE: ranked.average_precision.reading(HEADLINE, n=n, details=details),
        f"{HEADLINE}.pearson": r.reading(
            f"{HEADLINE}.pearson", n=n, undefined="the prediction never changes", details=details
        ),
        f"{HEADLINE}.auroc": ranked.auroc.reading(f"{HEADLINE}.auroc", n=n, details=details),
    }
    return found | _at_cut(evidence, predicted, cut, weights, details)


def _at_cut(
    evidence: Evidence, predicted: FloatArray, cut: float | str, weights: NDArray[np.float32], details: dict[str, Any]
) -> dict[str, Reading]:
    """F1, balanced accuracy and mean gap of the label taken as yes or no."""
    names = [f"{HEADLINE}.{m}" for m in ("f1", "balanced_accuracy", "mean_gap")]
    n = len(evidence.measured)
    if isinstance(cut, str):
        return {name: Reading.unmeasured(name, cut, n=n, details=details) for name in names}
    flagged, active = (predicted >= cut).astype(np.float64), evidence.active.astype(np.float64)
    details = {**details, "cut": cut}
    spread = float(evidence.measured.std())
    counts = np.stack([flagged * active, flagged * (1 - active), active, 1 - active]).T
    sides = np.stack([flagged, flagged * evidence.measured, 1 - flagged, (1 - flagged) * evidence.measured]).T
    estimates: Sequence[Estimate] = (
        from_sums(counts, _f1, clusters=evidence.clusters, weights=weights),
        from_sums(counts, _balanced_accuracy, clusters=evidence.clusters, weights=weights),
        from_sums(sides, lambda s: _gap(s) / spread, clusters=evidence.clusters, weights=weights),
    )
    why = "the label applies nowhere, or everywhere, on the test split"
    return {
        name: e.reading(name, n=n, undefined=why, details=details) for name, e in zip(names, estimates, strict=True)
    }


def _f1(sums: FloatArray) -> FloatArray:
    hit, false, active, _ = np.moveaxis(sums, -1, 0)
    return 2 * hit / (hit + false + active)


def _balanced_accuracy(sums: FloatArray) -> FloatArray:
    hit, false, active, inactive = np.moveaxis(sums, -1, 0)
    return 0.5 * (hit / active + 1 - false / inactive)


def _gap(sums: FloatArray) -> FloatArray:
    n_on, on, n_off, off = np.moveaxis(sums, -1, 0)
    return on / n_on - off / n_off


def operating_point(select: Evidence, predicted: FloatArray | str) -> float | str:
    """The prediction at or above which the label "applies": the best F1 on select, the highest such value on a tie.

    Returns the reason instead when select holds no active position or no prediction.
    """
    if isinstance(predicted, str):
        return predicted
    if not select.active.any():
        return "no active position on the select split to choose an operating point with"
    order = np.argsort(-predicted, kind="stable")
    hits, shown = np.cumsum(select.active[order]), np.arange(1, len(order) + 1)
    ends = np.append(np.flatnonzero(np.diff(predicted[order])), len(order) - 1)  # ties are taken together
    f1 = 2 * hits[ends] / (shown[ends] + select.active.sum())
    return float(predicted[order][ends[int(np.argmax(f1))]])


def scored(found: Explanation, on: Trial, *, seed: int = 0, cache: Predictions | None = None) -> dict[str, Reading]:
    """The metrics of an explanation on a unit's evidence, without controls. An abstention is unmeasured."""
    cache = cache or Predictions()
    if found.abstained:
        return predictive(on.test, f"abstained: {found.reason}", seed=seed)
    cut = operating_point(on.select, cache.of(found, on.select_sample))
    return predictive(on.test, cache.of(found, on.test_sample), cut=cut, seed=seed)


def trial_of(request: Request, *, without: frozenset[str] = frozenset()) -> Trial | str:
    """The unit's evidence from the atlas, or by measuring the corpus now (one forward pass over it).

    Args:
        request: what is scored.
        without: ids of stimuli to leave out.
    """

    def observe(split: Split) -> list[Observed]:
        found = request.atlas.observed(request.unit, split) if request.atlas is not None else _now(request, split)
        return [o for o in found if o.stimulus.id not in without]

    try:
        return trial(observe, modality=request.subject.modality, seed=request.seed)
    except Exception as error:  # subjects may be anyone's function: what one raises is the reason, not a crash
        return f"the subject failed: {one_line(error)}"


def _now(request: Request, split: Split) -> list[Observed]:
    stimuli, _ = loadable(request.corpus.split(split))
    return measured_now(request.subject, request.unit, stimuli)


def measured_now(subject: Subject, unit: Unit, stimuli: Sequence[Stimulus]) -> list[Observed]:
    """The unit's values over stimuli, measured by a forward pass."""
    rows = subject.read(stimuli, [unit]) if stimuli else []
    return [Observed(s, v[:, 0]) for s, v in zip(stimuli, rows, strict=True)]


def predictive_scorer(request: Request) -> dict[str, Reading]:
    """Headline, comparison columns, every control and every paired difference.

    Stimuli that fail to load are left out of the test; ``details["failed_to_load"]`` says how many and why the first
    did.
    """
    on, cache = trial_of(request), request.shared.predictions
    lost = _lost(request, on, cache)
    if lost and request.atlas is not None:
        on = trial_of(request, without=frozenset(lost))
    if isinstance(on, str):
        names = [HEADLINE, *(f"{HEADLINE}.{m}" for m in BESIDE)]
        own = {name: Reading.unmeasured(name, on) for name in names}
        return own | without_controls(HEADLINE, on)
    own = scored(request.found, on, seed=request.seed, cache=cache)
    shown, text = len(on.test_sample.stimuli), request.subject.modality == "text"
    positions = sum(on.test_sample.lengths)
    cost = Cost(measurements=shown, tokens=positions if text else 0, images=0 if text else positions)
    own[HEADLINE] = replace(own[HEADLINE], cost=cost)
    if lost:
        told = {"failed_to_load": len(lost), "failed_first": next(iter(lost.values()))}
        own = {name: replace(r, details={**r.details, **told}) for name, r in own.items()}
    reason = own[HEADLINE].reason
    predicted = reason if reason is not None else cache.of(request.found, on.test_sample)
    return own | compared(on, predicted, request.controls, seed=request.seed, cache=cache)


def _lost(request: Request, on: Trial | str, cache: Predictions) -> dict[str, str]:
    """Select and test stimuli that cannot be loaded, with why. Looked for only where something went wrong."""
    if isinstance(on, str):
        return {}
    samples = (on.test_sample, on.select_sample)
    every = [s for split in _READ for s in request.corpus.split(split)]
    left_out = {} if request.atlas is None else request.atlas.failed
    known = {s.id: left_out[s.id] for s in every if s.id in left_out}
    every = [s for s in every if s.id not in known]
    silent = request.found.abstained or not any(isinstance(cache.of(request.found, s), str) for s in samples)
    if silent:  # then only what was not measured at all can be missing
        seen = {s.id for sample in samples for s in sample.stimuli}
        every = [s for s in every if s.id not in seen]
    return known | loadable(every)[1]
