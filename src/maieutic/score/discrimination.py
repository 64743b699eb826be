"""Discrimination scorer: does the label pick its unit out of its ten nearest neighbours?

Labels of neighbouring units often read alike, and a label that fits all of them equally says little of any. The label's
predictions at test positions are compared with the unit and with each of up to ten neighbours (``neighbours``: the
units of the site whose activations correlate most with its own on discover): average precision above chance,
(AP - b) / (1 - b) with b the share of active positions, since units are active at different rates.

``discrimination``: the share of neighbours for which the label scores less than for its own unit, ties (within 0.01) counting half;
0 to 1, chance 0.5, which is what a constant gets exactly and a null unit on average. ``discrimination.rank``: the
unit's place among them, 1 to 11. ``discrimination.top1``: 1 when it is first, else 0.

The interval: 95 %, the same resampled documents for the unit and its neighbours. Cost: one pass over at most 400 test
stimuli (20,000 tokens) for all units scored together. What it does not show: that the label is any good; a poor label
may still fit its own unit best.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from maieutic.explain.explanation import Explanation
from maieutic.harvest import Atlas
from maieutic.readings import Cost, Estimate, FloatArray, Reading, cluster_weights, from_sums, ranking
from maieutic.score.controls import NullUnit, beside, without_controls
from maieutic.score.evidence import Evidence
from maieutic.score.loading import one_line
from maieutic.score.neighbours import Company, company
from maieutic.score.registry import Request
from maieutic.score.shared import label_key
from maieutic.subjects.base import Subject, Unit

HEADLINE = "discrimination"
BESIDE = ("rank", "top1")
#: prediction levels behind an interval; many rankings are compared, and the point values stay exact
_LEVELS = 64
#: scores as near as this are a tie: below it the rates at which units are active would decide
_TIE = 0.01


def discrimination_scorer(request: Request) -> dict[str, Reading]:
    """Headline, rank, first or not, every control and every paired difference."""
    names = [HEADLINE, *(f"{HEADLINE}.{m}" for m in BESIDE)]
    started = time.perf_counter()
    reason = f"abstained: {request.found.reason}" if request.found.abstained else None
    scores = reason or fits(request, request.found, request.subject, request.unit, request.atlas)
    if isinstance(scores, str):
        own = {name: Reading.unmeasured(name, scores) for name in names}
        return own | without_controls(HEADLINE, scores)
    among = _company(request, request.subject, request.unit, request.atlas)
    assert not isinstance(among, str), "fits() needs it too"
    details = _details(among, scores, seed=request.seed)
    n = len(among.sample.clusters)
    judge = partial(_judged, request)
    rank, first = _rank(scores), _first(scores)
    headline = share_beaten(scores)
    found = {
        HEADLINE: headline.reading(HEADLINE, n=n, details=details),
        f"{HEADLINE}.rank": rank.reading(f"{HEADLINE}.rank", n=n, details=details),
        f"{HEADLINE}.top1": first.reading(f"{HEADLINE}.top1", n=n, details=details),
    }
    cost = _cost(request, among, time.perf_counter() - started)
    found[HEADLINE] = replace(found[HEADLINE], cost=cost)
    beside_it = {k: v for k, v in details.items() if k != "neighbours"}
    return found | beside(HEADLINE, headline, judge, request.controls, n=n, details=beside_it)


def _judged(request: Request, found: Explanation, null: NullUnit | None = None, /) -> Estimate | str:
    """Share of neighbours beaten by a label on this unit, or by a null unit's among its own neighbours."""
    if null is None:
        scores = fits(request, found, request.subject, request.unit, request.atlas)
    elif null.subject is None or null.unit is None:
        return "the null unit came as evidence only: give its subject, unit and atlas too"
    else:
        scores = fits(request, found, null.subject, null.unit, null.atlas)
    return scores if isinstance(scores, str) else share_beaten(scores)


def fits(
    request: Request, found: Explanation, subject: Subject, unit: Unit, atlas: Atlas | None
) -> tuple[Estimate, ...] | str:
    """AP above chance of a label on the unit and then on each neighbour, or why there is none."""
    key = ("fits", label_key(found), found.abstained, id(subject), unit.key, id(request.corpus), request.seed)
    return request.shared.once(
        key, lambda: _fits(request, found, subject, unit, atlas), holding=(found, subject, request.corpus)
    )


def _fits(
    request: Request, found: Explanation, subject: Subject, unit: Unit, atlas: Atlas | None
) -> tuple[Estimate, ...] | str:
    try:
        among = _company(request, subject, unit, atlas)
    except Exception as error:  # subjects may be anyone's function
        return f"the neighbours could not be measured: {one_line(error)}"
    if isinstance(among, str):
        return among
    flat = np.zeros(len(among.sample.clusters))
    predicted = flat if found.abstained else request.shared.predictions.of(found, among.sample)
    if isinstance(predicted, str):
        return predicted
    return tuple(above_chance(e, predicted, seed=request.seed) for e in among.evidence)


def _company(request: Request, subject: Subject, unit: Unit, atlas: Atlas | None) -> Company | str:
    key = ("company", id(subject), unit.key, id(request.corpus), request.seed)
    return request.shared.once(
        key,
        lambda: company(subject, unit, atlas, request.corpus, request.shared, seed=request.seed),
        holding=(subject, request.corpus),
    )


# --- arithmetic ----------------------------------------------------------------------------------------------------


def above_chance(evidence: Evidence, predicted: FloatArray, *, seed: int = 0) -> Estimate:
    """(AP - b) / (1 - b), b the share of active positions: 1 for a perfect ranking, 0 for a constant."""
    weights = cluster_weights(len(evidence.groups), seed=seed)
    ap = ranking(
        evidence.active, predicted, clusters=evidence.clusters, weights=weights, max_levels=_LEVELS
    ).average_precision
    columns = np.stack([evidence.active.astype(np.float64), np.ones(len(evidence.active))], axis=1)
    base = from_sums(columns, lambda s: s[..., 0] / s[..., 1], clusters=evidence.clusters, weights=weights)
    with np.errstate(divide="ignore", invalid="ignore"):
        replicates = (ap.replicates - base.replicates) / (1 - base.replicates)
    return Estimate(value=(ap.value - base.value) / (1 - base.value), replicates=replicates)


def _wins(scores: tuple[Estimate, ...]) -> tuple[FloatArray, FloatArray]:
    """Per neighbour 1 where the unit's own score is higher, 1/2 on a tie: ``[neighbour]``, ``[neighbour, resample]``."""
    own, others = scores[0], scores[1:]

    def win(a: FloatArray, b: FloatArray) -> FloatArray:
        tie = np.abs(a - b) < _TIE
        return np.where(np.isfinite(a) & np.isfinite(b), np.where(tie, 0.5, (a > b).astype(np.float64)), np.nan)

    values = np.array([win(np.array(own.value), np.array(o.value)) for o in others], dtype=np.float64)
    return values, np.array([win(own.replicates, o.replicates) for o in others], dtype=np.float64)


def share_beaten(scores: tuple[Estimate, ...]) -> Estimate:
    """Share of neighbours that the unit's own score beats, ties counting half; chance 0.5."""
    values, replicates = _wins(scores)
    return Estimate(value=float(values.mean()), replicates=replicates.mean(axis=0))


def _rank(scores: tuple[Estimate, ...]) -> Estimate:
    values, replicates = _wins(scores)
    return Estimate(value=1 + float((1 - values).sum()), replicates=1 + (1 - replicates).sum(axis=0))


def _first(scores: tuple[Estimate, ...]) -> Estimate:
    values, replicates = _wins(scores)
    lost = np.isnan(replicates).any(axis=0)
    firsts = np.where(lost, np.nan, (replicates == 1).all(axis=0).astype(np.float64))
    return Estimate(value=float((values == 1).all()), replicates=firsts)


def _details(among: Company, scores: tuple[Estimate, ...], *, seed: int) -> dict[str, Any]:
    rows: list[Mapping[str, Any]] = [
        {"unit": k.unit.key, "correlation": k.r, "above_chance": s.value}
        for k, s in zip(among.neighbours, scores[1:], strict=True)
    ]
    return {
        "split": "test", "neighbours": rows, "neighbour_count": len(rows), "above_chance": scores[0].value,
        "chance": 0.5, "clusters": len(among.sample.groups), "active": int(among.evidence[0].active.sum()), "seed": seed,
    }  # fmt: skip


def _cost(request: Request, among: Company, seconds: float) -> Cost:
    shown, positions = len(among.sample.stimuli), len(among.sample.clusters)
    text = request.subject.modality == "text"
    return Cost(
        measurements=shown, tokens=positions if text else 0, images=0 if text else shown, seconds=seconds
    )  # fmt: skip
