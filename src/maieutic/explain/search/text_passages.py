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
from maieutic.explain.search.text_matrix import FeatureMatrix

Array = NDArray[np.float64]
Gain = Callable[[Array], float]

#: words tried in pairs, and to be added at each step; window while they are sought, windows tried then
_PAIRED, _ADDED, _WINDOW, _WINDOWS = 14, 8, 20, (8, 10, 12, 15, 20, 24, 30)
#: a further word multiplies the gain by this at least; most words
_MORE, _MOST = 1.02, 12


def passage(data: FeatureMatrix, told: Callable[[Array], Array], gain: Gain) -> tuple[TopicWords, Array] | None:
    """The best passage and where it holds, or ``None`` when there are too few words.

    Args:
        data: the discover positions.
        told: how much each word of the topic columns (``data.lookback["topic"]``) tells of the positions of a gate.
        gain: of a condition's values. Cost: about 200 calls.
    """
    everywhere = told(np.ones(data.positions))
    words = _leading(data, everywhere, _PAIRED)
    if len(words) < 2:
        return None
    ids = data.words[0]
    known = data.known
    counts: dict[str, Array] = {}

    def count(word: str) -> Array:
        if word not in counts:
            counts[word] = data.among(ids == known[word], _WINDOW)
        return counts[word]

    pairs = [
        (gain(_two(count(a) + (count(b) if a != b else 0.0))), (a, b))
        for a, b in combinations_with_replacement(words, 2)
    ]
    best, pair = max(pairs, key=lambda p: p[0])
    kept = list(dict.fromkeys(pair))
    while len(kept) < _MOST:
        total = np.sum([count(w) for w in kept], axis=0)
        # where one of them stands, which other word goes with activity?
        tried = [w for w in _leading(data, told((total == 1).astype(np.float64)), _ADDED) if w not in kept]
        rest = [(gain(_two(total + count(w))), w) for w in tried]
        if not rest or best <= 0:
            break
        more, word = max(rest, key=lambda r: r[0])
        if more < _MORE * best:
            break
        best = more
        kept.append(word)
    kept = _needed(kept, count, gain)
    return _windowed(data, kept, [ids == known[w] for w in kept], gain)


def _leading(data: FeatureMatrix, told: Array, most: int) -> list[str]:
    """The words that tell most."""
    chosen = data.lookback["topic"].chosen
    return [
        data.features[int(chosen[int(i)])].value for i in np.argsort(-told, kind="stable")[:most] if told[int(i)] > 0
    ]


def _needed(words: Sequence[str], count: Callable[[str], Array], gain: Gain) -> list[str]:
    """The words without those that can be left out at no loss."""
    kept = list(words)
    for word in words:
        rest = [w for w in kept if w != word]
        if len(rest) >= 2:
            now = gain(_two(np.sum([count(w) for w in kept], axis=0)))
            if gain(_two(np.sum([count(w) for w in rest], axis=0))) >= 0.999 * now:
                kept = rest
    return kept


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
