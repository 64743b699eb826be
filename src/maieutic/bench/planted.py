"""Bench ``planted``: can the explainer find a truth that is known exactly?

Fifteen planted units a modality (``maieutic.subjects.planted``) over a real corpus. An explanation *recovers* its unit
when its agreement is at least 0.95: the step-wise average precision of its predictions against the truth (active: true
activation of at least half), on held-out stimuli *and* on edits of them, whichever is lower. AP, since it falls both
when a label misses and when it claims too much; edits, since on natural stimuli the constant companion of a cause
scores as well as the cause. An abstention recovers nothing, except on dead and noise units, where it is the only right
answer. *Wrong and confident*: confidence of at least 0.8 with agreement under 0.5, or on a unit that means nothing.

Beside the search stand the look-up of top exemplars, the same search without experiments, and a constant. What this
does not show: how real units fail; planted ones have one crisp cause each.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from maieutic.bench.fresh_images import fresh_images
from maieutic.bench.fresh_texts import fresh_texts
from maieutic.bench.material import material
from maieutic.bench.result import BenchResult, Figure
from maieutic.errors import UsageError
from maieutic.explain import Explanation
from maieutic.explain import explain as explain_by
from maieutic.explain.predicates.base import Constant
from maieutic.harvest import Atlas, harvest
from maieutic.lab import Budget, Lab
from maieutic.progress import Report, silent
from maieutic.readings import Reading, mean_reading, ranking, share_reading
from maieutic.stimuli.base import Corpus
from maieutic.subjects.base import Modality
from maieutic.subjects.planted import SITE, PlantedUnit, annotated, plant

#: the one that is measured, then what it is measured against
CONSTANT = "constant"
EXPLAINERS = ("search", "lookup", "search-no-experiments", CONSTANT)
RECOVERED, CONFIDENT, WRONG = 0.95, 0.8, 0.5
#: targets of the explainer under test
TARGETS: Mapping[str, tuple[float, bool]] = {
    "recovered": (0.7, True),
    "abstains_on_nothing": (1.0, True),
    "wrong_confident": (0.05, False),
    "failed": (0.0, False),
}
#: share of units recovered more than by each baseline; experiments must at least do no harm
GAINS: Mapping[str, float] = {"search-no-experiments": 0.0}
GAIN = 0.1
Explain = Callable[[Lab, str], Explanation]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What an explainer made of one planted unit.

    Attributes:
        agreement: 0 to 1, the lower of ``natural`` and ``edited``; ``None`` without a prediction.
        failed: the explainer or its label raised; neither an answer nor an abstention.
        why: reason of an abstention or failure.
        measurements: stimuli shown in experiments.
    """

    unit: PlantedUnit
    explainer: str
    label: str
    confidence: float
    abstained: bool
    measurements: int
    seconds: float
    natural: float | None = None
    edited: float | None = None
    failed: bool = False
    why: str | None = None

    @property
    def agreement(self) -> float | None:
        known = [a for a in (self.natural, self.edited) if a is not None]
        return min(known) if known else None

    @property
    def recovered(self) -> bool:
        return not self.abstained and not self.failed and self.agreement is not None and self.agreement >= RECOVERED

    @property
    def wrong_confident(self) -> bool:
        if self.abstained or self.failed or self.confidence < CONFIDENT:
            return False
        return not self.unit.explainable or self.agreement is None or self.agreement < WRONG

    def to_json(self) -> dict[str, Any]:
        kept = (
            "explainer",
            "label",
            "confidence",
            "abstained",
            "why",
            "natural",
            "edited",
            "recovered",
            "measurements",
        )
        about = {"unit": self.unit.name, "kind": self.unit.kind, "modality": self.unit.subject.modality}
        return {
            **about,
            "truth": self.unit.about,
            **{k: getattr(self, k) for k in kept},
            "seconds": round(self.seconds, 3),
        }


def run_planted(
    *,
    seed: int = 0,
    modality: str | None = None,
    quick: bool = False,
    explainers: Sequence[str] = EXPLAINERS,
    explain: Explain | None = None,
    corpora: Mapping[str, Corpus] | None = None,
    budget: int = 200,
    report: Report = silent,
) -> BenchResult:
    """Explain planted units and compare with their truth.

    Args:
        seed: of units, edits and material.
        modality: ``text``, ``image``, or both.
        quick: a third of the material, and the first explainer only.
        explainers: the first is under test, the others are baselines.
        explain: ``(lab, explainer) -> Explanation``; ``maieutic.explain.explain`` when not given.
        corpora: material by modality; packaged corpora otherwise.
        budget: measurements for each unit.
        report: called with progress.

    Raises:
        UsageError: unknown modality.
    """
    if modality not in (None, "text", "image"):
        raise UsageError(f"no modality {modality!r}: choose text or image, or leave it out for both")
    started, outcomes = time.perf_counter(), list[Outcome]()
    both: tuple[Modality, ...] = ("text", "image")
    for which in both if modality is None else (modality,):
        corpus = (corpora or {}).get(which) or material(which, seed=seed, quick=quick)
        chosen = explainers[:1] if quick else explainers
        outcomes += try_units(corpus, chosen, explain or _explain, seed=seed, budget=budget, report=report)
    return BenchResult(
        bench="planted",
        seed=seed,
        seconds=time.perf_counter() - started,
        figures=figures(outcomes),
        rows=tuple(o.to_json() for o in outcomes),
    )


def _explain(lab: Lab, explainer: str) -> Explanation:
    return explain_by(lab, _constant if explainer == CONSTANT else explainer)


def _constant(lab: Lab) -> Explanation:
    """The same prediction everywhere: what costs nothing."""
    everywhere = Constant(value=1.0)
    return Explanation(unit=lab.unit.key, label="anything", predicate=everywhere, explainer=CONSTANT, confidence=0.0)


def try_units(
    corpus: Corpus,
    explainers: Sequence[str],
    explain: Explain,
    *,
    seed: int,
    budget: int,
    report: Report = silent,
) -> list[Outcome]:
    """Plant in the corpus, harvest once, and let every explainer try every unit."""
    if corpus.modality == "image":
        corpus = annotated(corpus)
    units = plant(corpus, seed=seed)
    atlas = harvest(units[0].subject, corpus, [SITE], keep=[u.unit for u in units])
    outcomes: list[Outcome] = []
    with report("planted", corpus.modality) as step:
        for explainer in explainers:
            for unit in units:
                outcomes.append(_try(unit, atlas, explainer, explain, seed=seed, budget=budget))
                step(len(outcomes), len(explainers) * len(units))
    return outcomes


def _try(unit: PlantedUnit, atlas: Atlas, explainer: str, explain: Explain, *, seed: int, budget: int) -> Outcome:
    lab = Lab(unit.subject, unit.unit, atlas, budget=Budget(measurements=budget), seed=seed)
    started = time.perf_counter()
    try:
        found, why = explain(lab, explainer), None
    except (
        Exception
    ) as error:  # explainers may be plug-ins: whatever one raises is counted as a failure, with its reason
        why = f"{type(error).__name__}: {error}"
        found = Explanation.unexplained(unit.unit.key, why, explainer=explainer)
    outcome = Outcome(
        unit=unit, explainer=explainer, label=found.label, confidence=found.confidence,
        abstained=found.abstained and why is None, failed=why is not None, why=why or found.reason,
        measurements=len(lab.ledger), seconds=time.perf_counter() - started,
    )  # fmt: skip
    if found.abstained or not unit.explainable:
        return outcome
    fresh = fresh_texts if unit.subject.modality == "text" else fresh_images
    natural, edited = fresh(unit, atlas.corpus.split("test"), seed=seed)
    try:
        return replace(outcome, natural=agreement(found, unit, natural), edited=agreement(found, unit, edited))
    except Exception as error:  # a label that cannot predict is not recovered, with its reason
        return replace(outcome, failed=True, why=f"the prediction failed: {type(error).__name__}: {error}")


def agreement(found: Explanation, unit: PlantedUnit, stimuli: Sequence[Any]) -> float | None:
    """AP of the predictions against the truth, 0 to 1; ``None`` when the truth is never active there."""
    if not stimuli:
        return None
    truth = np.concatenate(unit.truth(stimuli))
    predicted = np.concatenate([np.atleast_1d(np.asarray(p, dtype=np.float64)) for p in found.predict(stimuli)])
    if len(predicted) != len(truth):
        raise ValueError(f"predicted {len(predicted)} positions where there are {len(truth)}")
    active = truth >= 0.5
    if not active.any():
        return None
    one = np.zeros(len(truth), dtype=np.int64)
    return ranking(active, predicted, clusters=one, weights=np.ones((1, 1), dtype=np.float32)).average_precision.value


# --- figures -------------------------------------------------------------------------------------------------------


def figures(outcomes: Sequence[Outcome]) -> dict[str, Figure]:
    """Figures of each modality, ``<modality>.<explainer>.<what>``; targets belong to the first explainer."""
    found: dict[str, Figure] = {}
    tested = outcomes[0].explainer if outcomes else ""
    for modality in dict.fromkeys(o.unit.subject.modality for o in outcomes):
        here = [o for o in outcomes if o.unit.subject.modality == modality]
        for explainer in dict.fromkeys(o.explainer for o in here):
            rows = [o for o in here if o.explainer == explainer]
            found |= _of_explainer(f"{modality}.{explainer}", rows, under_test=explainer == tested)
        found |= _gains(modality, here, tested)
    return found


def _of_explainer(name: str, rows: Sequence[Outcome], *, under_test: bool) -> dict[str, Figure]:
    meaning = [o for o in rows if o.unit.explainable]
    empty = [o for o in rows if not o.unit.explainable]
    readings = {
        "recovered": share_reading("recovered", [o.recovered for o in meaning]),
        "agreement": mean_reading("agreement", [_agreement(o) for o in meaning]),
        "measurements": mean_reading("measurements", [Reading(name="m", value=float(o.measurements)) for o in rows]),
        "abstains_on_nothing": share_reading("abstains", [o.abstained for o in empty]),
        "wrong_confident": share_reading("wrong_confident", [o.wrong_confident for o in rows]),
        "failed": share_reading("failed", [o.failed for o in rows]),
    }
    found: dict[str, Figure] = {}
    if all(o.explainer == CONSTANT for o in rows):  # it asks and doubts nothing
        readings = {what: readings[what] for what in ("recovered", "agreement")}
    for what, reading in readings.items():
        target, at_least = TARGETS[what] if under_test and what in TARGETS else (None, True)
        found[f"{name}.{what}"] = Figure(reading=reading, target=target, at_least=at_least)
    if under_test:
        for kind in dict.fromkeys(o.unit.kind for o in meaning):
            of_kind = [o.recovered for o in meaning if o.unit.kind == kind]
            found[f"{name}.recovered.{kind}"] = Figure(reading=share_reading(kind, of_kind))
    return found


def _agreement(o: Outcome) -> Reading:
    if o.agreement is None:
        return Reading.unmeasured(
            "agreement", "abstained" if o.abstained else o.why or "the truth is never active there"
        )
    return Reading(name="agreement", value=o.agreement)


def _gains(modality: str, rows: Sequence[Outcome], tested: str) -> dict[str, Figure]:
    """Share recovered by the explainer under test minus that of each baseline, on the same units."""
    by_unit = {(o.explainer, o.unit.name): o for o in rows if o.unit.explainable}
    found: dict[str, Figure] = {}
    for baseline in dict.fromkeys(o.explainer for o in rows if o.explainer != tested):
        pairs = [
            float(o.recovered) - float(by_unit[baseline, name].recovered)
            for (explainer, name), o in by_unit.items()
            if explainer == tested
        ]
        reading = mean_reading("gain", [Reading(name="gain", value=p) for p in pairs])
        found[f"{modality}.{tested}.gain_over.{baseline}"] = Figure(reading=reading, target=GAINS.get(baseline, GAIN))
    return found
