"""Embedding: are held-out windows in which the unit is active nearer in meaning to the label than others?

A sentence encoder gives the label and each window a vector; windows are ranked by cosine. The windows are those of the
detection scorer (50 active over the whole range, 50 inactive). No language model is asked, so it costs next to nothing,
and knows only what a text is about as a whole.

``embedding``: AUROC, 0 to 1, chance 0.5, which is what a constant gets exactly. ``embedding.average_precision``: chance is
the share of active windows, about 0.5. Intervals: 95 %, whole test documents drawn with replacement.

What it does not show: which token fires, or any label about form, place or order ("the second word of a line"): such labels
score at chance however true they are.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from maieutic.explain.explanation import Explanation
from maieutic.harvest import Atlas
from maieutic.readings import Cost, Estimate, FloatArray, Ranking, Reading, cluster_weights, ranking
from maieutic.score.controls import NullUnit, beside, without_controls
from maieutic.score.judged.detection import Detection
from maieutic.score.judged.embedder import Embedder, known, load_embedder, unknown
from maieutic.score.judged.material import material_of
from maieutic.score.judged.sampling import Item
from maieutic.score.judged.scoring import fewer
from maieutic.score.judged.yes_no import reading
from maieutic.score.registry import Request
from maieutic.subjects.base import Subject, Unit

HEADLINE, BESIDE = "embedding", "embedding.average_precision"
_HOW = "no sentence encoder was named: give  --embedder minilm  (84 MB, once), or  --embedder hf:FOLDER"


@dataclass(frozen=True, kw_only=True)
class EmbeddingScorer:
    """``Request -> readings``; without an encoder everything is unmeasured, with what to do."""

    options: tuple[str, ...] = ("embedder",)

    def check(self, **options: Any) -> None:
        """``UserError`` for a name that is no encoder."""
        named = options.get("embedder")
        if isinstance(named, str) and not known(named):
            raise unknown(named)

    def __call__(self, request: Request, /) -> dict[str, Reading]:
        """Headline, average precision, every control and every paired difference."""
        started, named = time.perf_counter(), request.options.get("embedder")
        why = f"abstained: {request.found.reason}" if request.found.abstained else None
        if request.subject.modality == "image":
            why = why or "sentence encoders read texts, and these stimuli are pictures: use detection"
        own = why or (
            _HOW if named is None else _ranked(request, request.found, request.subject, request.unit, request.atlas)
        )
        details: dict[str, Any] = {
            "split": "test",
            "comparison_only": True,
            "embedder": _name(named),
            "seed": request.seed,
        }
        if isinstance(own, str):
            found = {n: Reading.unmeasured(n, own, details=details) for n in (HEADLINE, BESIDE)}
            return found | without_controls(HEADLINE, own)

        def judge(found: Explanation, null: NullUnit | None = None, /) -> Estimate | str:
            if null is not None and (null.subject is None or null.unit is None):
                return "the null unit came as evidence only: give its subject and unit too"
            place = (request.subject, request.unit, request.atlas)
            if null is not None and null.subject is not None and null.unit is not None:
                place = (null.subject, null.unit, null.atlas)
            got = _ranked(request, found, *place)
            return got if isinstance(got, str) else got.ranked.auroc

        details |= {"active": own.active, "asked": own.n}
        found = {
            HEADLINE: reading(HEADLINE, own.ranked.auroc, n=own.n, details={**details, "chance": 0.5}),
            BESIDE: reading(
                BESIDE, own.ranked.average_precision, n=own.n, details={**details, "chance": own.active / own.n}
            ),
        }
        found[HEADLINE] = replace(found[HEADLINE], cost=Cost(seconds=time.perf_counter() - started))
        return found | beside(HEADLINE, own.ranked.auroc, judge, fewer(request.controls), n=own.n, details=details)


def _name(embedder: Any) -> str:
    """What the encoder is called in the details."""
    return str(
        embedder if isinstance(embedder, str) else getattr(embedder, "__qualname__", type(embedder).__qualname__)
    )


@dataclass(frozen=True, eq=False, kw_only=True)
class _Ranked:
    """A label's ranking of ``n`` windows, ``active`` of them active."""

    ranked: Ranking
    n: int
    active: int


def _ranked(request: Request, found: Explanation, subject: Subject, unit: Unit, atlas: Atlas | None) -> _Ranked | str:
    """Windows ranked by their cosine with the label; a constant ranks by nothing."""
    material = material_of(request, subject, unit, atlas)
    if isinstance(material, str):
        return material
    items = Detection().items(material, seed=request.seed)
    if isinstance(items, str):
        return items
    items = [i for i in items if i.kind != "hard"]
    label = "" if found.abstained else found.label
    near = np.zeros(len(items)) if not label else _cosines(request, label, items)
    truth = np.array([i.truth for i in items])
    clusters = np.array([i.window.cluster for i in items], dtype=np.int64)
    weights = cluster_weights(material.groups, seed=request.seed)
    return _Ranked(
        ranked=ranking(truth, near, clusters=clusters, weights=weights), n=len(items), active=int(truth.sum())
    )  # fmt: skip


def _cosines(request: Request, label: str, items: Sequence[Item]) -> FloatArray:
    """Cosine of the label with each window, -1 to 1. Vectors are kept for the run."""
    named = request.options["embedder"]
    key = named if isinstance(named, str) else id(named)
    embedder: Embedder = request.shared.once(
        ("embedder", key), lambda: load_embedder(named) if isinstance(named, str) else named, holding=named
    )
    kept = request.shared.once(("embedded", key), dict[str, FloatArray], holding=named)
    missing = sorted({label, *(i.window.text for i in items)} - kept.keys())
    if missing:
        kept.update(zip(missing, embedder(missing), strict=True))
    return np.stack([kept[i.window.text] for i in items]) @ kept[label]


embedding = EmbeddingScorer()
