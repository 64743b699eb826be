"""Passages about something: at least two of the last tokens are among some words.

One such word says little and the greedy search would see only the strongest; so pairs of the words that each tell a little
are tried together, and the best pair is grown. Reads discover positions only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import NDArray

from maieutic.explain.predicates.text import TopicWords
from maieutic.explain.search.text_features import FeatureMatrix

Array = NDArray[np.float64]
Gain = Callable[[Array], float]

#: words tried, window while they are sought, windows tried then
_CANDIDATES, _WINDOW, _WINDOWS = 14, 20, (8, 10, 12, 15, 20, 24, 30)
#: a further word multiplies the gain by this at least
_MORE = 1.03


def passage(data: FeatureMatrix, single: Array, gain: Gain) -> tuple[TopicWords, Array] | None:
    """The best passage and where it holds, or ``None`` when there are too few words.

    Args:
        data: the discover positions.
        single: how much each word of the topic columns tells by itself (``data.lookback["topic"]``).
        gain: of a condition's values. Cost: about 200 calls.
    """
    chosen = data.lookback["topic"][1]
    order = np.argsort(-single, kind="stable")[:_CANDIDATES]
    words = [data.features[int(chosen[int(i)])].value for i in order if single[int(i)] > 0]
    if len(words) < 2:
        return None
    ids, names = data.words
    known = {name: i for i, name in enumerate(names)}
    here = {w: ids == known[w] for w in words if w in known}
    counts = {w: data.among(v, _WINDOW) for w, v in here.items()}
    pairs = [
        (gain(_two(counts[a] + (counts[b] if a != b else 0.0))), (a, b))
        for a, b in combinations_with_replacement(counts, 2)
    ]
    best, pair = max(pairs, key=lambda p: p[0])
    kept = list(dict.fromkeys(pair))
    total = np.sum([counts[w] for w in kept], axis=0)
    while len(kept) < len(counts):
        rest = [(gain(_two(total + counts[w])), w) for w in counts if w not in kept]
        more, word = max(rest, key=lambda r: r[0])
        if more < _MORE * best:
            break
        best, total = more, total + counts[word]
        kept.append(word)
    return _windowed(data, kept, [here[w] for w in kept], gain)


def _windowed(
    data: FeatureMatrix, words: Sequence[str], here: Sequence[NDArray[np.bool_]], gain: Gain
) -> tuple[TopicWords, Array]:
    """The words with the window that gains most."""
    any_of = np.any(np.stack(here), axis=0)
    tried = [(n, _two(data.among(any_of, n))) for n in _WINDOWS]
    n, values = max(tried, key=lambda t: gain(t[1]))
    return TopicWords(words=tuple(words), n=n, at_least=2), values


def _two(count: Array) -> Array:
    return (count >= 2).astype(np.float64)
