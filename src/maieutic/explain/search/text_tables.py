"""Graded strengths of words and phrases: shrunken means, from general to specific (empirical Bayes back-off).

Each level explains what is left over by the levels before it; a key seen n times gets
``sum of residuals / (n + pseudo)``, so that rare phrases fall back on their word, and unseen words on the rules.
Nothing here sees the select or test split.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from maieutic.explain.predicates.text_rules import Phrases, Row, TokenStrengths
from maieutic.explain.search.text_matrix import FeatureMatrix
from maieutic.explain.views_text import LEVELS

Array = NDArray[np.float64]

#: a label with more rows is a list to look things up in, not an explanation; the one-shot control has as many
ROWS = 24
#: pseudo-counts of each level: how many positions it takes to believe half of what a key shows
PSEUDO: dict[str, float] = {"word": 4.0, "token": 4.0, "word pair": 2.0, "pair": 2.0, "triple": 2.0}


def phrases(data: FeatureMatrix, residual: Array, *, most: int = ROWS, smallest: float = 0.02) -> Phrases | None:
    """The table that explains a residual; ``None`` when no row is large enough.

    Args:
        data: keys of the discover positions.
        residual: what is left to explain, ``[position]``.
        most: number of rows kept, by how much squared error they account for.
        smallest: corrections below this are left out.
    """
    rows: list[tuple[float, Row]] = []
    left = residual.copy()
    for level in LEVELS:
        ids, names = data.levels[level]
        n = np.bincount(ids, minlength=len(names)).astype(np.float64)
        delta = np.bincount(ids, left, minlength=len(names)) / (n + PSEUDO[level])
        delta[np.abs(delta) < smallest] = 0.0
        left = left - delta[ids]
        told = n * delta**2
        found = np.flatnonzero(delta)
        for i in found[np.argsort(-told[found], kind="stable")][: 2 * most]:
            key = names[i] if isinstance(names[i], tuple) else (names[i],)
            rows.append((float(n[i] * delta[i] ** 2), (level, *key, round(float(delta[i]), 3))))
    if not rows:
        return None
    rows.sort(key=lambda r: (-r[0], r[1][:-1]))
    return Phrases(table=tuple(r for _, r in sorted(rows[:most], key=lambda r: (-r[1][-1], r[1][:-1]))))


def token_means(data: FeatureMatrix, target: Array, *, pseudo: float = 1.0, most: int = ROWS) -> tuple[Row, ...]:
    """``(raw token, shrunken mean)``: the ``most`` tokens above the mean that account for most of the activation.

    Kept by ``n * (mean - overall mean)^2``, told strongest first. ``most`` 0 keeps every token.
    """
    ids, names = data.levels["token"]
    n = np.bincount(ids, minlength=len(names)).astype(np.float64)
    gain = np.bincount(ids, target - target.mean(), minlength=len(names)) / (n + pseudo)
    names_ = np.array(names, dtype=object).astype(str)
    kept = np.lexsort((names_, -n * np.maximum(gain, 0.0) ** 2))[: most or None]
    order = sorted(kept.tolist(), key=lambda i: (-gain[i], names_[i]))
    return tuple((names[i], round(float(target.mean() + gain[i]), 4)) for i in order)


def lookup(data: FeatureMatrix, target: Array, *, pseudo: float = 1.0, most: int = ROWS) -> TokenStrengths:
    """Token -> its mean activation: what the unit responds to if context does not matter."""
    from maieutic.explain.predicates.base import Constant

    return TokenStrengths(
        table=token_means(data, target, pseudo=pseudo, most=most),
        otherwise=Constant(value=round(float(target.mean()), 4)),
    )
