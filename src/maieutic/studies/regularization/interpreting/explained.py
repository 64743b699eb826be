"""The project's own way, as on any model: harvest, explain, score on held-out text, for a drawn sample of units of each layer.

``explained.score``: mean average precision of labels at held-out positions (`maieutic.score`, ``predictive``); an abstention
counts as the constant that it predicts. Controls: ``explained.random``, the same explainer on random directions of z-scored
activations, each scored in its own place; ``explained.untrained``, the same labels on the same units of the untrained copy.
``explained.gap`` is score minus random. ``explained.exact``: what the programmatic explainer's label gets on the same units at
the same positions, and ``explained.agreement`` the rank correlation of the two over all sampled units; the pairs stand in the
details, so that models can be pooled.

An explainer sees a subject that is called the same in every arm: it is blind to what was done to the model.

What this module does not do: explain every unit; a sample of a few says little about one model, and something about a seed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from maieutic.errors import UserError
from maieutic.explain import explain
from maieutic.explain.registry import Explainer
from maieutic.harvest import Atlas, harvest
from maieutic.lab import Budget, Lab
from maieutic.readings import Reading, average_precision, cluster_weights, mean_reading
from maieutic.score import Shared, null_unit, random_directions, score, trial
from maieutic.stimuli import Corpus
from maieutic.stimuli.base import SPLITS
from maieutic.studies.regularization.interpreting.material import Material
from maieutic.studies.regularization.interpreting.predicates import Labelled
from maieutic.studies.regularization.rows import Row
from maieutic.studies.regularization.subject import StudySubject, study_subject
from maieutic.subjects.base import Subject, Unit

#: how every subject is called, whatever its arm
BLIND = "a small language model"
#: sampled units without which no rank correlation is told
PAIRED = 6
#: documents that mean and spread of each unit are estimated from, for random directions
PILOT = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Explaining:
    """Who explains.

    Attributes:
        explainer: a name of ``maieutic.explain.explainers()``, or a callable. options: of it (``model`` ...).
        measurements: budget of a unit; the plan's when ``None``.
    """

    explainer: str | Explainer = "search"
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    measurements: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampled:
    """One explained unit or direction.

    Attributes:
        unit: which. label: found, empty for an abstention. reading: its predictive score.
        untrained: average precision of the same label on the same unit of the untrained copy, or why there is none.
        exact: average precision of the programmatic explainer's label on the same evidence, or why there is none.
    """

    unit: Unit
    label: str
    reading: Reading
    untrained: Reading | None = None
    exact: Reading | None = None


def explained_rows(
    material: Material, labelled: Sequence[Labelled], *, explaining: Explaining | None = None
) -> list[Row]:
    """All rows of this module.

    Args:
        labelled: the units of each layer (`neurons.labelled_layers`); live ones are sampled.
        explaining: who explains; the search by default.

    Cost: with the search about half a CPU second a unit or direction, and two harvests.
    """
    who = explaining or Explaining()
    subject = study_subject(material.model, material.corpus, name=BLIND)
    places = _places(material)
    corpus = material.documents.at(places).corpus(material.corpus.name)
    chosen = {s: _drawn(material, own) for s, own in zip(material.acts, labelled, strict=True)}
    units = {s: [subject.unit(s, n) for n in rows] for s, rows in chosen.items()}
    pilot = harvest(subject, _pilot(corpus), material.acts, keep=())
    directions = {s: random_directions(pilot, s, material.plan.directions, seed=material.seed) for s in material.acts}
    kept = [u for s in material.acts for u in (*units[s], *directions[s])]
    atlas = harvest(subject, corpus, material.acts, keep=kept)
    fresh = _Fresh.of(subject, corpus, material.acts, [u for s in material.acts for u in units[s]], seed=material.seed)
    found: list[Row] = []
    every: list[Sampled] = []
    shared = Shared()
    for site, own in zip(material.acts, labelled, strict=True):
        label = dict(zip(np.flatnonzero(own.live).tolist(), own.predicate.tolist(), strict=True))
        sampled = [
            replace(
                _explained(material, subject, u, atlas, who, shared, fresh=fresh),
                exact=_exact(material, places, u, atlas, predicate=label[n]),
            )
            for u, n in zip(units[site], chosen[site], strict=True)
        ]
        null = [_explained(material, subject, u, atlas, who, shared) for u in directions[site]]
        found += [_row(r, site) for r in _readings(sampled, null, seed=material.seed)]
        every += sampled
    return [*found, _row(agreement(every), "")]


def _row(reading: Reading, where: str) -> Row:
    better = 1 if reading.name in ("explained.score", "explained.gap") else 0
    return Row(about="interpretability", measure=reading.name, where=where, reading=reading, better=better)


def _places(material: Material) -> list[int]:
    """The first documents of each split, by index."""
    documents = material.documents
    share = material.plan.explained_documents / max(len(documents.groups), 1)
    chosen: list[int] = []
    for split in SPLITS:
        own = [n for n, s in enumerate(documents.splits) if s == split]
        chosen += own[: max(1, round(share * len(own)))]
    return sorted(chosen)


def _pilot(corpus: Corpus) -> Corpus:
    """What means and spreads of the z-scores of directions are estimated from."""
    return replace(corpus, name=f"{corpus.name} (pilot)", stimuli=corpus.split("discover")[:PILOT])


def _drawn(material: Material, own: Labelled) -> list[int]:
    """Live units, drawn: the same places in every arm of the same width, as far as they are live."""
    order = np.random.default_rng(material.seed).permutation(len(own.live))
    return [int(n) for n in order if own.live[n]][: material.plan.explained]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fresh:
    """The untrained copy: what the same units do there."""

    subject: Subject
    atlas: Atlas
    seed: int

    @classmethod
    def of(
        cls, subject: StudySubject, corpus: Corpus, sites: Sequence[str], units: Sequence[Unit], *, seed: int
    ) -> _Fresh:
        copy = subject.untrained(seed)
        return cls(
            subject=copy,
            atlas=harvest(copy, corpus, sites, keep=units),
            seed=seed,
        )

    def ap(self, found: Any, unit: Unit) -> Reading:
        """Average precision of a label on the same unit of the copy."""
        name = "explained.untrained"
        on = trial(lambda split: self.atlas.observed(unit, split), modality="text", seed=self.seed)
        if isinstance(on, str):
            return Reading.unmeasured(name, on)
        estimate = null_unit(found, on, subject=self.subject, unit=unit, atlas=self.atlas).ap(self.seed)
        if isinstance(estimate, str):
            return Reading.unmeasured(name, estimate)
        return estimate.reading(name, n=len(on.test.measured))


def _exact(material: Material, places: Sequence[int], unit: Unit, atlas: Atlas, *, predicate: int) -> Reading:
    """Average precision of a predicate as a prediction of where the unit is active, by the scorer's own evidence."""
    name, seed = "explained.exact", material.seed
    on = trial(lambda split: atlas.observed(unit, split), modality="text", seed=seed)
    reason = on if isinstance(on, str) else on.test.unusable()
    if isinstance(on, str) or reason is not None:
        return Reading.unmeasured(name, str(reason))
    splits = material.documents.splits
    rows = material.truths.holds[predicate].toarray().reshape(len(splits), -1)
    truth = on.test_sample.flat([rows[n].astype(np.float64) for n in places if splits[n] == "test"])
    assert len(truth) == len(on.test.measured), "every document was harvested"
    weights = cluster_weights(len(on.test.groups), seed=seed)
    estimate = average_precision(on.test.active, truth, clusters=on.test.clusters, weights=weights)
    return estimate.reading(name, n=len(truth))


def _explained(
    material: Material,
    subject: StudySubject,
    unit: Unit,
    atlas: Atlas,
    who: Explaining,
    shared: Shared,
    *,
    fresh: _Fresh | None = None,
) -> Sampled:
    budget = Budget(measurements=who.measurements or material.plan.measurements)
    lab = Lab(subject, unit, atlas, seed=material.seed)
    try:
        found = explain(lab, who.explainer, budget=budget, **who.options)
    except UserError as error:
        reading = Reading.unmeasured("predictive", f"no explanation: {error}")
        return Sampled(unit=unit, label="", reading=reading, untrained=reading)
    readings = score(
        found, subject, unit, atlas.corpus, ("predictive",), atlas=atlas, seed=material.seed, shared=shared
    )
    return Sampled(
        unit=unit,
        label=found.label,
        reading=readings["predictive"],
        untrained=None if fresh is None else fresh.ap(found, unit),
    )


def _readings(sampled: Sequence[Sampled], null: Sequence[Sampled], *, seed: int) -> list[Reading]:
    own = mean_reading("explained.score", [s.reading for s in sampled], seed=seed)
    random = mean_reading("explained.random", [s.reading for s in null], seed=seed)
    fresh = mean_reading("explained.untrained", [s.untrained for s in sampled if s.untrained is not None], seed=seed)
    exact = mean_reading("explained.exact", [s.exact for s in sampled if s.exact is not None], seed=seed)
    if own.value is None or random.value is None:
        gap = Reading.unmeasured("explained.gap", str(own.reason or random.reason))
    else:
        gap = Reading(name="explained.gap", value=own.value - random.value, n=own.n)
    labels = [{"unit": s.unit.key, "label": s.label, "score": s.reading.value} for s in (*sampled, *null)]
    return [_with(own, labels=labels), random, fresh, exact, gap]


def _with(reading: Reading, **details: Any) -> Reading:
    return replace(reading, details={**reading.details, **details})


def agreement(sampled: Sequence[Sampled]) -> Reading:
    """Rank correlation of the explainer's score with that of the programmatic label, over units that have both."""
    from scipy import stats

    pairs = [
        (s.reading.value, s.exact.value)
        for s in sampled
        if s.exact is not None and s.reading.value is not None and s.exact.value is not None
    ]
    details = {"pairs": [[round(a, 4), round(b, 4)] for a, b in pairs]}
    name = "explained.agreement"
    if len(pairs) < PAIRED:
        return Reading.unmeasured(
            name, f"{len(pairs)} units have both scores, and {PAIRED} are needed", details=details
        )
    ranks = [stats.rankdata(side) for side in zip(*pairs, strict=True)]
    if min(map(np.ptp, ranks)) == 0:
        return Reading.unmeasured(name, "one of the scores is the same for all units", details=details)
    return Reading(name=name, value=float(np.corrcoef(*ranks)[0, 1]), n=len(pairs), details=details)
