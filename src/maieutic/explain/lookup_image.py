"""The look-up baseline for image units: the tag most over-represented among the strongest images.

What a person gets by reading the names of the top exemplars: one look, no experiment, no negative evidence. The search
explainer has to beat it on held-out images.
"""

from __future__ import annotations

import math
import time
from collections import Counter, OrderedDict

from maieutic.explain.explanation import Explanation
from maieutic.explain.predicates.image import Shows
from maieutic.explain.views_image import shared_viewer, shares_of
from maieutic.lab.lab import Lab
from maieutic.readings import Cost
from maieutic.stimuli.base import Stimulus

NAME = "lookup"
_TOP = 20


def lookup_image(lab: Lab) -> Explanation:
    """The concept or tag with the largest log-odds-weighted share among the 20 strongest discover images.

    Score of a concept: ``share in top x log(share in top / share overall)``. Abstains when no top image has a tag.
    """
    start = time.perf_counter()
    viewer = shared_viewer(lab.subject, lab.corpus)
    everything = _frequencies([o.stimulus for o in lab.discover])
    top = [shares_of(e.stimulus) for e in lab.exemplars(_TOP)]
    counts = Counter(c for shares in top for c in shares)
    if not counts:
        reason = "none of the strongest images has a tag: give the corpus tags, or use explainer='search'"
        return Explanation.unexplained(lab.unit.key, reason, explainer=NAME).bound(viewer)
    n, total = len(top), max(len(lab.discover), 1)

    def weight(concept: str) -> float:
        share, base = counts[concept] / n, (everything[concept] + 0.5) / total
        return share * math.log(share / base)

    best = max(sorted(counts), key=weight)
    predicate = Shows(concept=best)
    return Explanation(
        unit=lab.unit.key,
        label=predicate.describe(),
        predicate=predicate,
        explainer=NAME,
        confidence=round(counts[best] / n, 3),
        considered=tuple(
            (c, f"{counts[c]} of the {n} strongest images") for c in sorted(counts, key=weight, reverse=True)[1:4]
        ),
        cost=Cost(seconds=time.perf_counter() - start),
    ).bound(viewer)


_counted: OrderedDict[tuple[int, ...], tuple[list[Stimulus], Counter[str]]] = OrderedDict()


def _frequencies(stimuli: list[Stimulus]) -> Counter[str]:
    """How many images show each concept or have each tag; kept for the last two lists, since units share them."""
    key = tuple(map(id, stimuli))
    if key not in _counted:  # the images too, so that their ids stay their own
        _counted[key] = stimuli, Counter(c for s in stimuli for c in shares_of(s))
        while len(_counted) > 2:
            _counted.popitem(last=False)
    return _counted[key][1]
