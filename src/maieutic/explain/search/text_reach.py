"""How far back a context reaches, and in what way: windows, exact distances, counts, nearness, the line.

Options for one windowed condition of a clause (see ``text_options``). It measures nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from maieutic.explain.predicates.base import Predicate
from maieutic.explain.predicates.text import PreviousIs, TokenIn, TopicWords, WithinLast
from maieutic.explain.predicates.text_amounts import EarlierOnLine, HowMany, Nearness
from maieutic.explain.search.text_fit import REACHES, Clause, Fitter, Part
from maieutic.explain.search.text_matrix import FeatureMatrix
from maieutic.explain.search.text_options import Option, swapped, weighed
from maieutic.explain.search.text_setting import Setting

Array = NDArray[np.float64]
_WIDE = (5, 8, 10, 12, 15, 16, 20, 24, 30)


def windowed(part: Part) -> bool:
    """Whether how far a condition reaches is a question."""
    return isinstance(part.predicate, (WithinLast, PreviousIs, TopicWords, HowMany, Nearness, EarlierOnLine))


def inner_of(part: Part) -> Predicate:
    """What a windowed condition looks for."""
    p = part.predicate
    if isinstance(p, TopicWords):
        return TokenIn(words=p.words)
    assert isinstance(p, (WithinLast, PreviousIs, HowMany, Nearness, EarlierOnLine))
    return p.part


def by_reach(setting: Setting, fitter: Fitter, clause: Clause, k: int, residual: Array) -> list[Option]:
    """The clause with its ``k``-th condition looking back otherwise."""
    part, inner = clause.parts[k], inner_of(clause.parts[k])
    where = setting.data.where_now(inner)
    if where is None:
        return []
    options = [part, *(replace(part, predicate=p, column=c) for p, c in _ways(setting.data, part, inner, where))]
    if len(clause.parts) == 1:  # what grows by degrees stands alone
        options += [replace(part, predicate=p, column=c) for p, c in _degrees(setting.data, inner, where)]
    return weighed(fitter, [swapped(clause, k, p) for p in options], residual)


def _ways(
    data: FeatureMatrix, part: Part, inner: Predicate, where: NDArray[np.bool_]
) -> Iterator[tuple[Predicate, Array]]:
    for n in REACHES:
        yield WithinLast(part=inner, n=n), data.reached(where, n)
    for b in range(1, 9):
        yield PreviousIs(part=inner, back=b), data.back(where, b)
    gap = data.since(where)
    yield EarlierOnLine(part=inner), (gap < data.line).astype(np.float64)
    if isinstance(part.predicate, PreviousIs):
        return
    if isinstance(inner, TokenIn):
        for n in (4, 5, 6, 8, *_WIDE[2:]):
            count = data.among(where, n)
            for least in (1, 2, 3):
                yield TopicWords(words=inner.words, n=n, at_least=least), (count >= least).astype(np.float64)


def _degrees(data: FeatureMatrix, inner: Predicate, where: NDArray[np.bool_]) -> Iterator[tuple[Predicate, Array]]:
    for n in _WIDE:
        count = data.among(where, n)
        for low, high in ((0, 2), (0, 3), (0, 4), (0, 5), (1, 3), (1, 4)):
            yield HowMany(part=inner, n=n, low=low, high=high), np.clip((count - low) / (high - low), 0.0, 1.0)
    gap = data.since(where)
    for near in (0, 1):
        for far in range(near + 3, 21):
            values = np.clip((far - gap) / (far - near), 0.0, 1.0)
            yield Nearness(part=inner, near=near, far=far), values
