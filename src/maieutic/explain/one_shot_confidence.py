"""How likely a label is to be right that no experiment tested: from how its executable form fits discover and select.

What a model says of its own confidence is not used: it is no measurement. The maps from fit to probability are those of the
search explainers, fitted to *their* labels with and without experiments; for labels of others they are an extrapolation. A
label of which nothing can be executed gets the least.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from maieutic.explain.explanation import Viewer
from maieutic.explain.predicates import Predicate
from maieutic.explain.search import image_confidence, text_confidence
from maieutic.explain.search.image_quality import average_precision, correlation
from maieutic.explain.search.text import longest_list
from maieutic.explain.search.text_setting import active_above
from maieutic.harvest.atlas import Observed
from maieutic.lab import Lab
from maieutic.readings import cluster_weights, pearson

Array = NDArray[np.float64]

#: what a label gets of which nothing can be executed
LEAST = 0.02
#: stimuli of either split that are looked at, at most
_STIMULI = 600
_QUANTILE = 0.95


def confidence_in(predicate: Predicate | None, lab: Lab, viewer: Viewer) -> float:
    """Probability that a label with this executable form is right, 0.02 to 0.98; without experiments about 0.8 at most."""
    if predicate is None or not len(lab.select) or not len(lab.discover):
        return LEAST
    if lab.subject.modality == "text":
        return text_confidence.confidence_of(_of_texts(predicate, lab, viewer))
    return image_confidence.confidence_of(_of_images(predicate, lab, viewer))


def _both(
    predicate: Predicate, observed: Sequence[Observed], lab: Lab, viewer: Viewer
) -> tuple[Array, Array, NDArray[np.int64]]:
    """Predictions, activations on the 0-1 scale and document numbers of all positions."""
    rows = observed[:: -(-len(observed) // _STIMULI)]  # spread evenly: a corpus may be in order of topic
    groups = {g: i for i, g in enumerate(sorted({o.stimulus.group or o.stimulus.id for o in rows}))}
    said = np.concatenate([predicate.evaluate(viewer(o.stimulus)) for o in rows])
    was = np.concatenate([np.atleast_1d(np.asarray(lab.scaled(o.values), dtype=np.float64)) for o in rows])
    number = [np.full(len(o.values), groups[o.stimulus.group or o.stimulus.id], dtype=np.int64) for o in rows]
    return said, was, np.concatenate(number)


def _of_texts(predicate: Predicate, lab: Lab, viewer: Viewer) -> text_confidence.Evidence:
    said, was, _ = _both(predicate, lab.discover, lab, viewer)
    values = np.concatenate([o.values for o in lab.discover]).astype(np.float64)
    zero, one = lab.scale
    # resting noise, from the middle half of the values; below 0 it is cut off, which leaves 0.341 of its variance
    low, high = np.quantile(values, (0.25, 0.75))
    noise = 0.341 * (float(high - low) / 1.349 / (one - zero) if one > zero else 0.0) ** 2
    spread = max(float(was.var()) - noise, 1e-12)
    left = float(((was - said) ** 2).mean())
    ceiling = float(np.sqrt(max(1.0 - noise / max(float(was.var()), 1e-12), 0.05)))
    foretold, measured, clusters = _both(predicate, lab.select, lab, viewer)
    r = pearson(
        foretold, measured, clusters=clusters, weights=cluster_weights(int(clusters.max()) + 1, seed=lab.seed)
    )  # fmt: skip
    sure = (r.interval() or (0.0, 0.0))[0]
    return text_confidence.Evidence(
        explained=float(np.clip(1.0 - max(left - noise, 0.0) / spread, 0.0, 1.0)),
        select=float(np.clip(np.nan_to_num(r.value) / ceiling, 0.0, 1.0)),
        surely=float(np.clip(np.nan_to_num(sure) / ceiling, 0.0, 1.0)),
        belief=None,
        foretold=None,
        table=False,
        listed=longest_list(predicate) > text_confidence.LONG,
    )


def _of_images(predicate: Predicate, lab: Lab, viewer: Viewer) -> image_confidence.Evidence:
    cut = active_above(_both(predicate, lab.discover, lab, viewer)[1], quantile=_QUANTILE)
    found: list[tuple[float, float]] = []
    strong = np.zeros(0, dtype=np.bool_)
    for observed in (lab.discover, lab.select):
        said, was, _ = _both(predicate, observed, lab, viewer)
        strong = cut(was)
        ap = average_precision(said, strong) if strong.any() else 0.0
        found.append((ap, max(correlation(said, was), 0.0)))
    # no rival was tested: nothing is believed beyond the fit
    return image_confidence.Evidence(
        fit=float(np.mean(found)), select=found[1][0], belief=0.0, foretold=None, support=int(strong.sum())
    )
