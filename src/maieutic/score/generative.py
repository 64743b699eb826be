"""Generative scorer: made from the label alone, does what it claims drive the unit, and what just misses it not?

From the label's predicate, without a judge, about 50 stimuli are made out of held-out material (``make_texts``,
``make_images``): positives (the label claims something), near misses (one edit of a positive after which it claims
nothing: another word in the same context, the right word without its context, the thing taken out, a sibling in its
place, the same thing on the other side), and neutrals. They are shown to the unit and ranked by measured activation.

``generative``: average precision of positives among all of them, 0 to 1; chance (a unit that means something else, a
null unit) is the share of positives, about 0.3, in ``details["base_rate"]``. ``generative.hard``: the same against near
misses only. ``generative.effect``: Cliff's delta of positives against near misses, P(a > b) - P(a < b), -1 to 1,
chance 0. ``generative.mean_gap``: mean activation of positives minus that of neutrals in raw units, MAIA's score; for
comparison only, never alone.

The interval: 95 %, test documents (images: groups of stamps) drawn with replacement. Cost: one pass over at most 60
stimuli a label. A label that claims too much, or for the wrong reason, falls; **one that leaves out half of what the
unit does does not**: only the predictive score sees that, which is why this one never stands alone.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maieutic.explain.explanation import Explanation
from maieutic.readings import (
    Cost,
    Estimate,
    FloatArray,
    Ranking,
    Reading,
    cluster_weights,
    from_sums,
    ranking,
)
from maieutic.score.controls import NullUnit, beside, without_controls
from maieutic.score.loading import one_line
from maieutic.score.made import LEAST, Made, MadeSet
from maieutic.score.registry import Request
from maieutic.score.shared import label_key
from maieutic.score.text_sources import positions
from maieutic.subjects.base import Subject, Unit

HEADLINE = "generative"
BESIDE = ("hard", "effect", "mean_gap")
#: stimuli of each sort written out in the details
_EXAMPLES = 2


@dataclass(frozen=True, eq=False, kw_only=True)
class Shown:
    """Generated stimuli and what the unit did.

    Attributes:
        items: those with a finite value.
        values: raw model units, ``[stimulus]``.
        clusters: number of the document or stamp group of each, in ``groups`` of the whole test split.
        groups: how many there are.
        made: all that was made.
    """

    items: tuple[Made, ...]
    values: FloatArray
    clusters: NDArray[np.int64]
    groups: int
    made: MadeSet

    def among(self, *others: str) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which stimuli are compared, and which of those are positives."""
        sorts = np.array([m.sort for m in self.items])
        kept = np.isin(sorts, ["positive", *others])
        return kept, sorts[kept] == "positive"

    def ranked(self, *others: str, seed: int, flat: bool = False) -> Ranking:
        """Positives among others by measured activation; ``flat``: by nothing, which is chance."""
        kept, positive = self.among(*others)
        values = np.zeros(int(kept.sum())) if flat else self.values[kept]
        weights = cluster_weights(self.groups, seed=seed)
        return ranking(positive, values, clusters=self.clusters[kept], weights=weights)


def generative_scorer(request: Request) -> dict[str, Reading]:
    """Headline, columns beside it, every control and every paired difference."""
    if request.found.abstained:
        reason = f"abstained: {request.found.reason}"
        return _unmeasured(reason) | without_controls(HEADLINE, reason)
    started = time.perf_counter()
    shown = shown_to(request, request.found, request.subject, request.unit)
    if isinstance(shown, str):
        return _unmeasured(shown) | without_controls(HEADLINE, shown)
    seconds = time.perf_counter() - started
    readings = _readings(shown, seed=request.seed)
    details, n = readings[HEADLINE].details, len(shown.items)
    cost = _cost(request, shown, seconds)
    told = {**details, "edits": shown.made.kinds(), "examples": _examples(shown)}
    readings[HEADLINE] = replace(readings[HEADLINE], cost=cost, details=told)
    judge = partial(_judged, request)
    # every control makes sense here: the constant is chance on the very same stimuli
    return readings | beside(HEADLINE, judge(request.found), judge, request.controls, n=n, details=details)


def _unmeasured(reason: str) -> dict[str, Reading]:
    names = [HEADLINE, *(f"{HEADLINE}.{m}" for m in BESIDE)]
    return {name: Reading.unmeasured(name, reason) for name in names}


def _judged(request: Request, found: Explanation, null: NullUnit | None = None, /) -> Estimate | str:
    """AP of a label's stimuli on this unit, or of a null unit's on itself. A constant: chance on the label's own."""
    subject, unit = (request.subject, request.unit) if null is None else (null.subject, null.unit)
    if subject is None or unit is None:
        return "the null unit came as evidence only: give its subject and unit too"
    flat = found.abstained
    shown = shown_to(request, request.found if flat else found, subject, unit)
    if isinstance(shown, str):
        return shown
    key = ("generative ap", label_key(found), flat, id(shown), request.seed)
    return request.shared.once(
        key,
        lambda: shown.ranked("near miss", "neutral", seed=request.seed, flat=flat).average_precision,
        holding=(shown, found),
    )


# --- making and showing --------------------------------------------------------------------------------------------


def shown_to(request: Request, found: Explanation, subject: Subject, unit: Unit) -> Shown | str:
    """A label's stimuli with the values of a unit, or why there are none. Made and measured once a run."""
    key = ("shown", label_key(found), id(subject), unit.key, id(request.corpus), request.seed)
    return request.shared.once(
        key, lambda: _shown(request, found, subject, unit), holding=(found, subject, request.corpus)
    )


def _shown(request: Request, found: Explanation, subject: Subject, unit: Unit) -> Shown | str:
    key = ("made", label_key(found), id(request.corpus), request.seed)
    made = request.shared.once(key, lambda: _made(request, found), holding=(found, request.corpus))
    if isinstance(made, str):
        return made
    reason = made.unusable()
    if reason is not None:
        return reason
    try:
        rows = request.shared.values(subject, unit, [m.stimulus for m in made.items])
        values = np.array([_value(subject, m, row) for m, row in zip(made.items, rows, strict=True)])
    except Exception as error:  # subjects may be anyone's function: what one raises on new stimuli is the reason
        return f"the subject failed on generated stimuli: {one_line(error)}"
    finite = np.isfinite(values)
    items = tuple(m for m, good in zip(made.items, finite, strict=True) if good)
    again = replace(made, items=items).unusable()
    if again is not None:
        return f"{int((~finite).sum())} generated stimuli gave values that are not finite; {again}"
    groups = _groups(request)
    clusters = np.array([groups[m.stimulus.group or m.stimulus.id] for m in items], dtype=np.int64)
    return Shown(items=items, values=values[finite], clusters=clusters, groups=len(groups), made=made)


def _made(request: Request, found: Explanation) -> MadeSet | str:
    """The label's stimuli; whatever a plug-in predicate raises is the reason why there are none."""
    try:
        if request.subject.modality == "image":
            from maieutic.score.image_sources import pictures
            from maieutic.score.make_images import make_images

            gallery = request.shared.once(
                ("gallery", id(request.corpus), request.seed),
                lambda: pictures(request.corpus, seed=request.seed),
                holding=request.corpus,
            )
            return gallery if isinstance(gallery, str) else make_images(found, gallery, seed=request.seed)
        return _made_texts(request, found)
    except Exception as error:
        return f"the prediction failed: {one_line(error)}"


def _made_texts(request: Request, found: Explanation) -> MadeSet | str:
    from maieutic.score.make_texts import make_texts
    from maieutic.score.text_sources import gathered

    # as predicates are read: one value a text where no site of the subject has positions
    whole = all(s.positions == "none" for s in request.subject.sites())
    material = request.shared.once(
        ("texts", id(request.corpus), id(request.subject), request.seed),
        lambda: gathered(request.corpus.split("test"), request.subject, whole=whole, seed=request.seed),
        holding=(request.corpus, request.subject),
    )
    return make_texts(found, request.subject, material, seed=request.seed)


def _value(subject: Subject, made: Made, row: Any) -> float:
    """The largest value over the tokens in question; the only value of a picture or a text with one."""
    if made.span is None:
        return float(row[0]) if len(row) else np.nan
    text = str(made.stimulus.content)
    tokens = subject.tokens(text)
    where = positions(tokens, text, made.span)
    return float(np.max(row[where])) if where and len(row) == len(tokens) else np.nan


def _groups(request: Request) -> dict[str, int]:
    """Numbers of everything that a generated stimulus may come from: the same for all labels, so pairs are paired."""

    def numbered() -> dict[str, int]:
        names = {s.group or s.id for s in request.corpus.split("test")}
        if request.subject.modality == "image":
            from maieutic.score.image_sources import held_out_groups

            names |= held_out_groups(request.corpus)
        return {name: i for i, name in enumerate(sorted(names))}

    return request.shared.once(("groups", id(request.corpus)), numbered, holding=request.corpus)


# --- readings ------------------------------------------------------------------------------------------------------


def _readings(shown: Shown, *, seed: int) -> dict[str, Reading]:
    """The headline and what stands beside it, without controls."""
    made, n = shown.made, len(shown.items)
    details: dict[str, Any] = {
        "split": "test",
        "positives": sum(m.sort == "positive" for m in shown.items),
        "near_misses": sum(m.sort == "near miss" for m in shown.items),
        "neutrals": sum(m.sort == "neutral" for m in shown.items),
        "base_rate": sum(m.sort == "positive" for m in shown.items) / n,
        "claimed_from": made.levels.high,
        "denied_to": made.levels.low,
        "clusters": len(np.unique(shown.clusters)),
        "not_finite": len(made.items) - n,
        "failed_to_load": len(made.failed),
        "seed": seed,
    }
    every = shown.ranked("near miss", "neutral", seed=seed)
    found = {HEADLINE: every.average_precision.reading(HEADLINE, n=n, details=details)}
    if details["near_misses"] < LEAST:
        few = f"only {details['near_misses']} near misses could be made: no single edit undoes what the label claims"
        found |= {f"{HEADLINE}.{m}": Reading.unmeasured(f"{HEADLINE}.{m}", few) for m in ("hard", "effect")}
    else:
        against = shown.ranked("near miss", seed=seed)
        compared = details["positives"] + details["near_misses"]
        base = {**details, "base_rate": details["positives"] / compared}
        # AUROC = P(a > b) + P(a = b) / 2, so Cliff's delta = P(a > b) - P(a < b) = 2 AUROC - 1
        delta = Estimate(value=2 * against.auroc.value - 1, replicates=2 * against.auroc.replicates - 1)
        found[f"{HEADLINE}.hard"] = against.average_precision.reading(f"{HEADLINE}.hard", n=compared, details=base)
        found[f"{HEADLINE}.effect"] = delta.reading(f"{HEADLINE}.effect", n=compared, details=details)
    return found | {f"{HEADLINE}.mean_gap": _mean_gap(shown, details, seed=seed)}


def _mean_gap(shown: Shown, details: Mapping[str, Any], *, seed: int) -> Reading:
    name = f"{HEADLINE}.mean_gap"
    kept, positive = shown.among("neutral")
    on, values = positive.astype(np.float64), shown.values[kept]
    columns = np.stack([on, on * values, 1 - on, (1 - on) * values], axis=1)
    gap = from_sums(
        columns, _difference, clusters=shown.clusters[kept], weights=cluster_weights(shown.groups, seed=seed)
    )
    told = {**details, "comparison_only": True, "unit": "raw activation"}
    return gap.reading(name, n=int(kept.sum()), undefined="there are no neutrals", details=told)


def _difference(sums: FloatArray) -> FloatArray:
    n_on, on, n_off, off = np.moveaxis(sums, -1, 0)
    return on / n_on - off / n_off


def _cost(request: Request, shown: Shown, seconds: float) -> Cost:
    text, n = request.subject.modality == "text", len(shown.made.items)
    tokens = sum(len(request.subject.tokens(str(m.stimulus.content))) for m in shown.made.items) if text else 0
    return Cost(measurements=n, tokens=tokens, images=0 if text else n, seconds=seconds)


def _examples(shown: Shown) -> list[dict[str, Any]]:
    """The first of each sort, for people."""
    rows: list[dict[str, Any]] = []
    for sort in ("positive", "near miss", "neutral"):
        of_sort = [(m, float(v)) for m, v in zip(shown.items, shown.values, strict=True) if m.sort == sort]
        for made, value in of_sort[:_EXAMPLES]:
            rows.append({"sort": sort, "kind": made.kind, "edit": made.what, "shown": _words(made), "value": value})
    return rows


def _words(made: Made) -> str:
    """A text around the place in question, or the things in a picture."""
    if made.stimulus.modality == "image":
        return ", ".join(t.name for t in made.stimulus.things) or "no thing"
    text = str(made.stimulus.content)
    start, end = made.span or (0, 0)
    return text[max(0, start - 80) : end + 20]
