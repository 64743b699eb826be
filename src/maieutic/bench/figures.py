"""Figures of the planted bench: ``<modality>.<explainer>.<what>``, with targets for the explainer under test.

Shares have Wilson intervals, means and quantiles bootstrap intervals over units, gains are paired by unit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from maieutic.bench.calibration import calibration_error
from maieutic.bench.result import Figure
from maieutic.bench.trials import CONSTANT, Outcome
from maieutic.readings import Estimate, FloatArray, Reading, cluster_weights, mean_reading, share_reading

#: what -> (target, whether it is a lower bound)
TARGETS: Mapping[str, tuple[float, bool]] = {
    "recovered": (0.9, True),
    "recovered.and_not": (0.75, True),
    "recovered.context": (0.75, True),
    "recovered.spurious": (0.75, True),
    "abstains_on_nothing": (0.95, True),
    "wrong_confident": (0.02, False),
    "failed": (0.0, False),
}
#: baseline -> share of spurious units that experiments are to recover beyond it
SPURIOUS_GAINS: Mapping[str, float] = {"search-no-experiments": 0.3}


def figures(outcomes: Sequence[Outcome]) -> dict[str, Figure]:
    """All figures; the first explainer is the one under test, the others are baselines."""
    found: dict[str, Figure] = {}
    tested = outcomes[0].explainer if outcomes else ""
    for modality in dict.fromkeys(o.modality for o in outcomes):
        here = [o for o in outcomes if o.modality == modality]
        for explainer in dict.fromkeys(o.explainer for o in here):
            rows = [o for o in here if o.explainer == explainer]
            readings = _readings(rows)
            for what, reading in readings.items():
                target, at_least = TARGETS.get(what, (None, True)) if explainer == tested else (None, True)
                found[f"{modality}.{explainer}.{what}"] = Figure(reading=reading, target=target, at_least=at_least)
        found |= _gains(modality, here, tested)
    return found


def _readings(rows: Sequence[Outcome]) -> dict[str, Reading]:
    meaning = [o for o in rows if o.explainable]
    out = {
        "recovered": share_reading("recovered", [o.recovered for o in meaning]),
        "agreement": mean_reading("agreement", [_agreement(o) for o in meaning]),
    }
    if any(o.explainer != CONSTANT for o in rows):  # a constant asks, doubts and tells nothing apart
        out |= _asking(rows) | _abstaining(rows)
    for kind in dict.fromkeys(o.kind for o in meaning):
        out[f"recovered.{kind}"] = share_reading(kind, [o.recovered for o in meaning if o.kind == kind])
    for family in sorted({o.family for o in meaning if o.family}):
        name = family.replace(" ", "_")
        out[f"recovered.family.{name}"] = share_reading(name, [o.recovered for o in meaning if o.family == family])
    return out


def _asking(rows: Sequence[Outcome]) -> dict[str, Reading]:
    """What the answers cost, and how sure they are."""
    asked = [float(o.measurements) for o in rows]
    answers = [o for o in rows if o.answered]
    return {
        "measurements": mean_reading("measurements", [Reading(name="m", value=m) for m in asked]),
        "measurements.median": _quantile("measurements.median", asked, 0.5),
        "measurements.p90": _quantile("measurements.p90", asked, 0.9),
        "seconds": mean_reading("seconds", [Reading(name="s", value=o.seconds) for o in rows]),
        "ece": calibration_error("ece", [o.confidence for o in answers], [o.recovered for o in answers]),
        "wrong_confident": share_reading("wrong_confident", [o.wrong_confident for o in rows]),
        "failed": share_reading("failed", [o.failed for o in rows]),
    }


def _abstaining(rows: Sequence[Outcome]) -> dict[str, Reading]:
    """``abstains_on_nothing`` is the recall of "unexplained" on units that mean nothing; beside it the precision."""
    empty = [o for o in rows if not o.explainable]
    out = {
        "abstains_on_nothing": share_reading("abstains_on_nothing", [o.abstained for o in empty]),
        "abstention.precision": share_reading("abstention.precision", [not o.explainable for o in rows if o.abstained]),
    }
    for kind in dict.fromkeys(o.kind for o in empty):
        out[f"abstains_on_nothing.{kind}"] = share_reading(kind, [o.abstained for o in empty if o.kind == kind])
    return out


def _agreement(o: Outcome) -> Reading:
    if o.agreement is None:
        why = "abstained" if o.abstained else o.why or "the truth is never active there"
        return Reading.unmeasured("agreement", why)
    return Reading(name="agreement", value=o.agreement)


def _quantile(name: str, values: Sequence[float], q: float) -> Reading:
    """A quantile (the smallest value that a share ``q`` does not exceed) with its bootstrap interval."""
    if not values:
        return Reading.unmeasured(name, "no units")
    ranked = np.sort(np.asarray(values, dtype=np.float64))
    reached = np.cumsum(cluster_weights(len(ranked)), axis=1) >= q * len(ranked) - 1e-6
    replicates: FloatArray = ranked[np.argmax(reached, axis=1)]
    value = float(np.quantile(ranked, q, method="inverted_cdf"))
    return Estimate(value=value, replicates=replicates).reading(name, n=len(ranked))


def _gains(modality: str, rows: Sequence[Outcome], tested: str) -> dict[str, Figure]:
    """Share recovered by the explainer under test minus that of each baseline, on the same units."""
    found: dict[str, Figure] = {}
    for baseline in dict.fromkeys(o.explainer for o in rows if o.explainer != tested):
        found[f"{modality}.{tested}.gain_over.{baseline}"] = Figure(
            reading=_gain(rows, tested, baseline, lambda o: o.explainable)
        )
        if any(o.kind == "spurious" for o in rows):
            found[f"{modality}.{tested}.gain_on_spurious.{baseline}"] = Figure(
                reading=_gain(rows, tested, baseline, lambda o: o.kind == "spurious"),
                target=SPURIOUS_GAINS.get(baseline),
            )
    return found


def _gain(rows: Sequence[Outcome], tested: str, baseline: str, on: Callable[[Outcome], bool]) -> Reading:
    by = {(o.explainer, o.unit): float(o.recovered) for o in rows if on(o)}
    pairs = [value - by[baseline, unit] for (explainer, unit), value in by.items() if explainer == tested]
    return mean_reading("gain", [Reading(name="gain", value=p) for p in pairs])
