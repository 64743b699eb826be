"""Controls: what stands beside every score of every scorer, made by one function (``beside``), never by hand.

A scorer gives its way to judge an explanation (``Judge``); each control is then an explanation in another's place:

``constant``: the same prediction everywhere; its AP is the base rate.
``shuffled``: the labels of other units of the same site; what a label gets for being about the corpus at all.
``one_shot``: a label from exemplars, without experiments.
``untrained``: the same label on the same unit of an untrained copy: what it gets without anything learned.
``random_direction``: the same explainer on random directions in z-scored activation space of the trained network.

The last asks what the whole pipeline gets out of units that mean nothing, so those labels are scored on their own
units, over the same documents, and the mean over null units is compared. (The pipeline is run on units of the untrained
copy as well; that is reported beside, not as a control: an untrained convolution does answer to brightness, and
"white" is then a true label.) Every difference is paired: the same
resampled documents on both sides. A control that cannot be had is unmeasured with its reason, never dropped.

What beating them does not show: that the label is the best one, or causal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Protocol

import numpy as np

from maieutic.explain.explanation import Explanation, Viewer
from maieutic.harvest.atlas import Atlas
from maieutic.readings import Estimate, FloatArray, Reading, average_precision, cluster_weights, mean_estimate
from maieutic.score.evidence import Evidence, Predictions, Trial
from maieutic.subjects.base import Subject, Unit

CONTROLS = ("constant", "shuffled", "one_shot", "untrained", "random_direction")
_HOW = {
    "shuffled": "no other explained unit of this site was given: score it in a run of several units",
    "one_shot": "no one-shot label was given: run  maieutic.explain(lab, explainer='lookup')",
    "untrained": "no untrained copy was given: score it in a run",
    "random_direction": "no explained random directions were given: score it in a run",
}
#: the weakest label: the same prediction everywhere
CONSTANT = Explanation.unexplained("", "a constant", explainer="constant")


@dataclass(frozen=True, eq=False, kw_only=True)
class NullUnit:
    """An explained unit that means nothing: its own test evidence, and what its label predicts there.

    Attributes:
        evidence: its measured values at the same test positions as the units it stands beside.
        predictions: ``[position]``, or why there is none.
        label: for people.
        abstained: whether the explainer declined to label it.
        found, subject, unit, atlas: the label and where it is read, for scorers that measure anew; a null unit without
            them stands beside the predictive score only.
    """

    evidence: Evidence
    predictions: FloatArray | str
    label: str = ""
    abstained: bool = False
    found: Explanation | None = None
    subject: Subject | None = None
    unit: Unit | None = None
    atlas: Atlas | None = None
    _aps: dict[int, Estimate | str] = field(default_factory=dict[int, Estimate | str], init=False, repr=False)

    def ap(self, seed: int) -> Estimate | str:
        """AP in its own place; kept, because every unit of a run stands beside the same ones."""
        if seed not in self._aps:
            self._aps[seed] = self.evidence.unusable() or _ap(self.evidence, self.predictions, seed)
        return self._aps[seed]


@dataclass(frozen=True, kw_only=True)
class Controls:
    """What a run provides to stand beside one unit's score.

    Attributes:
        shuffled: explanations of other units (``shuffled``).
        one_shot: the look-up label of the same unit.
        untrained: the label on the same unit of the untrained copy. random_direction: explained random directions.
        missing: per control, why it cannot be had.
    """

    shuffled: Sequence[Explanation] = ()
    one_shot: Explanation | None = None
    untrained: Sequence[NullUnit] = ()
    random_direction: Sequence[NullUnit] = ()
    missing: Mapping[str, str] = field(default_factory=dict)

    def bound(self, viewer: Viewer) -> Controls:
        """The same, with labels that have no viewer yet able to predict."""
        one = self.one_shot
        return replace(
            self,
            shuffled=[e if e.viewer else e.bound(viewer) for e in self.shuffled],
            one_shot=one.bound(viewer) if one is not None and one.viewer is None else one,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How a headline stands against its controls.

    Attributes:
        beats: the interval of every difference lies above 0; ``None`` when the headline or some control is unmeasured
            and no measured control forbids it.
        beaten, lost: names of controls by outcome.
        unmeasured: controls that could not be had, with why.
    """

    beats: bool | None
    beaten: tuple[str, ...]
    lost: tuple[str, ...]
    unmeasured: Mapping[str, str]


# --- making controls -----------------------------------------------------------------------------------------------


def shuffled(explanations: Sequence[Explanation], *, seed: int = 0, n: int = 5) -> dict[str, tuple[Explanation, ...]]:
    """Per unit, up to ``n`` labels of other units of the same site; never its own, never an abstention.

    Cyclic shifts of one seeded order, so each shift is a derangement: every label is lent equally often.
    """
    sites: dict[str, list[Explanation]] = {}
    for found in explanations:
        sites.setdefault(found.unit.rpartition("/")[0], []).append(found)
    lent: dict[str, tuple[Explanation, ...]] = {}
    for site in sorted(sites):
        rows = sorted(sites[site], key=lambda e: e.unit)
        order = [rows[i] for i in np.random.default_rng(seed).permutation(len(rows))]
        for i, own in enumerate(order):
            others = (order[(i + shift) % len(order)] for shift in range(1, len(order)))
            lent[own.unit] = tuple(islice((o for o in others if not o.abstained and o.unit != own.unit), n))
    return lent


def random_directions(atlas: Atlas, site: str, n: int, *, seed: int = 0) -> list[Unit]:
    """Random directions of length 1 in z-scored activation space: they read ``sum_j v_j (a_j - mean_j) / std_j``.

    Z-scored, since raw activations have a few huge coordinates: a random rotation of those is mostly the same few
    neurons again, and no null. Coordinates that (almost) never change are left out.
    """
    summary = atlas.sites[site]
    count = max(int(summary.count), 1)
    mean = np.asarray(summary.total, dtype=np.float64) / count
    std = np.sqrt(np.maximum(np.asarray(summary.total_sq, dtype=np.float64) / count - mean**2, 0.0))
    live = std > 1e-6 * std.max(initial=0.0)
    rng = np.random.default_rng(seed)
    units: list[Unit] = []
    for i in range(n):
        v = np.where(live, rng.standard_normal(len(std)), 0.0)
        w = np.divide(v / max(float(np.linalg.norm(v)), 1e-12), std, out=np.zeros_like(v), where=live)
        units.append(Unit(site=site, vector=w.astype(np.float32), name=f"random-{seed}-{i}", offset=float(-(mean @ w))))
    return units


def null_unit(
    found: Explanation,
    on: Trial,
    *,
    subject: Subject | None = None,
    unit: Unit | None = None,
    atlas: Atlas | None = None,
    cache: Predictions | None = None,
) -> NullUnit:
    """A null unit from its explanation and its evidence (``trial`` over the null subject's values)."""
    return NullUnit(
        evidence=on.test, predictions=_said(found, on, cache or Predictions()), label=found.label,
        abstained=found.abstained, found=found, subject=subject, unit=unit, atlas=atlas,
    )  # fmt: skip


# --- comparing -----------------------------------------------------------------------------------------------------


class Judge(Protocol):
    """A scorer's headline for an explanation: on the unit being scored, or on a null unit in its own place.

    An explanation that abstained is the constant that it predicts. Estimates of one judge share their resamples, so
    that differences are paired. A string says why there is no estimate.
    """

    def __call__(self, found: Explanation, null: NullUnit | None = None, /) -> Estimate | str: ...


def beside(
    headline: str,
    own: Estimate | str,
    judge: Judge,
    controls: Controls,
    *,
    n: int = 0,
    details: Mapping[str, Any] | None = None,
    senseless: Mapping[str, str] | None = None,
) -> dict[str, Reading]:
    """``<headline>.control.<name>`` and ``<headline>.beats.<name>`` (paired difference) for every control.

    Args:
        headline: the scorer's headline reading.
        own: the label's estimate, or why there is none.
        judge: how the scorer judges any explanation.
        controls: what the run provides.
        n: sample size written beside the readings.
        details: written beside every reading.
        senseless: controls that say nothing about this scorer, with why; they are unmeasured.
    """
    readings: dict[str, Reading] = {}
    for name in CONTROLS:
        if name in (senseless or {}):
            control, more = (senseless or {})[name], {}
        else:
            control, more = _control(name, judge, controls)
        readings |= _pair(headline, name, own, control, n=n, details={**(details or {}), **more})
    return readings


def without_controls(headline: str, reason: str, *, n: int = 0) -> dict[str, Reading]:
    """Every control and difference unmeasured for one reason: there is nothing to stand beside."""
    return {name: Reading.unmeasured(name, reason, n=n) for c in CONTROLS for name in _names(headline, c)}


def _names(headline: str, control: str) -> tuple[str, str]:
    return f"{headline}.control.{control}", f"{headline}.beats.{control}"


def _pair(
    headline: str, control: str, own: Estimate | str, other: Estimate | str, *, n: int, details: Mapping[str, Any]
) -> dict[str, Reading]:
    """The control's score, and the label's score minus it."""
    level, difference = _names(headline, control)
    if isinstance(other, str):
        return {name: Reading.unmeasured(name, other, n=n, details=details) for name in (level, difference)}
    if isinstance(own, str):
        beats = Reading.unmeasured(difference, own, n=n, details=details)
    else:
        beats = (own - other).reading(difference, n=n, details=details)
    return {level: other.reading(level, n=n, details=details), difference: beats}


def _control(name: str, judge: Judge, controls: Controls) -> tuple[Estimate | str, dict[str, Any]]:
    """The score of one control (or why it cannot be had), with what belongs in its details."""
    if name == "constant":
        return judge(CONSTANT), {}
    if name in controls.missing:
        return controls.missing[name], {}
    if name == "shuffled":
        return _labels(controls.shuffled, judge, name)
    if name == "one_shot":
        return _labels([controls.one_shot] if controls.one_shot is not None else [], judge, name)
    return _nulls(controls.untrained if name == "untrained" else controls.random_direction, judge, name)


def _labels(labels: Sequence[Explanation], judge: Judge, name: str) -> tuple[Estimate | str, dict[str, Any]]:
    """Mean score of other labels on this unit."""
    if not labels:
        return _HOW[name], {}
    estimates = [judge(label) for label in labels]
    measured = [e for e in estimates if isinstance(e, Estimate)]
    details: dict[str, Any] = {
        "labels": [label.label for label in labels],
        "abstained": sum(label.abstained for label in labels),
        "failed": [e for e in estimates if isinstance(e, str)],
    }
    return (mean_estimate(measured) if measured else str(estimates[0])), details


def _nulls(nulls: Sequence[NullUnit], judge: Judge, name: str) -> tuple[Estimate | str, dict[str, Any]]:
    """Mean score of null units in their own place.

    Abstentions are left out as long as some null unit got a label (the harder comparison); when the explainer
    declined them all, what it predicts is a constant, scored as such on this unit.
    """
    if not nulls:
        return _HOW[name], {}
    labelled = [u for u in nulls if not u.abstained]
    details: dict[str, Any] = {
        "null_units": len(nulls),
        "abstained": len(nulls) - len(labelled),
        "labels": [u.label for u in labelled],
    }
    if not labelled:
        return judge(CONSTANT), details
    estimates = [judge(u.found or CONSTANT, u) for u in labelled]
    measured = [e for e in estimates if isinstance(e, Estimate)]
    details["failed"] = [e for e in estimates if isinstance(e, str)]
    return (mean_estimate(measured) if measured else str(estimates[0])), details


# --- the predictive judge ------------------------------------------------------------------------------------------


def compared(
    on: Trial | str,
    predicted: FloatArray | str | None,
    controls: Controls,
    *,
    seed: int = 0,
    cache: Predictions | None = None,
) -> dict[str, Reading]:
    """The controls of the predictive score: AP on the unit's evidence, null units on their own.

    Args:
        on: the unit's evidence, or why there is none.
        predicted: what its label predicts at test positions, or why it predicts nothing (``None``: see ``on``).
        controls: what the run provides.
        seed: of the resampled clusters; the same as the headline's, so that they are paired.
        cache: predictions already made.
    """
    reason = on if isinstance(on, str) else on.test.unusable()
    if isinstance(on, str) or reason is not None:
        return without_controls("predictive", reason or "")
    kept, trial = cache or Predictions(), on

    def judge(found: Explanation, null: NullUnit | None = None, /) -> Estimate | str:
        if null is None:
            return _ap(trial.test, _said(found, trial, kept), seed)
        if null.evidence.groups != trial.test.groups:
            return "the null units were measured on other documents: harvest them over the same corpus"
        return null.ap(seed)

    own = _ap(on.test, predicted, seed) if predicted is not None else "no prediction"
    details = {**on.test.details(), "seed": seed}
    return beside("predictive", own, judge, controls, n=len(on.test.measured), details=details)


def _said(label: Explanation, on: Trial, cache: Predictions) -> FloatArray | str:
    """What a label predicts at test positions; one that abstained, the constant."""
    return np.zeros(len(on.test.measured)) if label.abstained else cache.of(label, on.test_sample)


def _ap(evidence: Evidence, predicted: FloatArray | str, seed: int) -> Estimate | str:
    if isinstance(predicted, str):
        return predicted
    weights = cluster_weights(len(evidence.groups), seed=seed)
    return average_precision(evidence.active, predicted, clusters=evidence.clusters, weights=weights)


# --- verdicts ------------------------------------------------------------------------------------------------------


def verdict(readings: Mapping[str, Reading], *, headline: str = "predictive") -> Verdict:
    """How the headline of these readings stands against every control."""
    differences = {c: readings[f"{headline}.beats.{c}"] for c in CONTROLS}
    unmeasured = {c: r.reason for c, r in differences.items() if r.reason is not None}
    beaten = tuple(c for c, r in differences.items() if r.measured and r.low is not None and r.low > 0)
    lost = tuple(c for c, r in differences.items() if r.measured and c not in beaten)
    beats = None if not lost and unmeasured else not lost
    if not readings[headline].measured:
        beats = None
    return Verdict(beats=beats, beaten=beaten, lost=lost, unmeasured=unmeasured)


def beats_every_control(readings: Mapping[str, Reading]) -> bool | None:
    """True when the interval of every difference lies above 0; ``None`` when that cannot be said (see ``verdict``)."""
    return verdict(readings).beats
