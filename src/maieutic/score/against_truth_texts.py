"""Texts that no explainer has seen and that tell causes from correlates: held-out ones, and edits of them.

On natural stimuli a label may be right for the wrong reason (the word that always comes before). The edits take what a
unit is about apart: words put where they are not expected, taken away, exchanged for their like, moved nearer or
farther, texts cut at the front. They know the rule only through the unit's truth and the tokens it involves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from maieutic.stimuli.base import Stimulus
from maieutic.subjects.planted import PlantedUnit, tokens_of

#: held-out texts (half of them with the unit active, where there are so many), and edits
NATURAL, EDITED = 80, 40
#: a longer text is cut to a window of so many tokens; edits are made of shorter ones
WINDOW, SHORT = 120, 50
#: share of edits that start where the unit is active
_FROM_ACTIVE = 0.75
#: how far before a position edits go
_REACH = 14


def fresh_texts(unit: PlantedUnit, test: Sequence[Stimulus], *, seed: int = 0) -> tuple[list[str], list[str]]:
    """Held-out texts, up to half of them such that the unit is truly active, and edits of them.

    Cost: about 0.05 s a unit.
    """
    rng = np.random.default_rng([seed, 11])
    texts = [str(s.content) for s in test]
    truth = unit.truth(texts)  # the view of the whole split is shared by all units
    order = [int(i) for i in rng.permutation(len(texts))]
    active = [i for i in order if truth[i].max(initial=0.0) >= 0.5]
    chosen = [*dict.fromkeys([*active[: NATURAL // 2], *order])][:NATURAL]
    natural = [_window(texts[i], truth[i] >= 0.5, WINDOW, rng) for i in chosen]
    some = active[:12]
    sources = [_window(texts[i], truth[i] >= 0.5, SHORT, rng) for i in [*some, *order[: max(4, len(some) // 3)]]]
    # what was active by its place in the text may no longer be after a cut: then the text stays whole
    for k, cut in enumerate(unit.truth(sources)[: len(some)]):
        sources[k] = sources[k] if cut.max(initial=0.0) >= 0.5 else texts[some[k]]
    vocabulary = [t.text for text in sources + natural[:20] for t in tokens_of(text) if t.text.isalpha()]
    if not vocabulary:
        return natural, []
    return natural, _edits(unit, sources, len(some), vocabulary, rng)


def _window(text: str, on: np.ndarray, size: int, rng: np.random.Generator) -> str:
    """A long text cut: from its beginning if the unit is active there, else around a place where it is."""
    tokens = tokens_of(text)
    if len(tokens) <= size:
        return text
    hits = np.flatnonzero(on)
    middle = int(hits[int(rng.integers(len(hits)))]) if len(hits) else int(rng.integers(len(tokens)))
    first = 0 if middle < size - 5 else min(max(middle - size // 2, 0), len(tokens) - size)
    return text[tokens[first].start : tokens[first + size - 1].end]


def _edits(
    unit: PlantedUnit, sources: Sequence[str], active: int, vocabulary: Sequence[str], rng: np.random.Generator
) -> list[str]:
    """One change or two to each text; two rounds, the second of texts that the first left active."""
    truth = unit.truth(sources)
    out: list[str] = []
    for i in range(EDITED):
        from_active = active > 0 and i < _FROM_ACTIVE * EDITED
        k = int(rng.integers(active)) if from_active else int(rng.integers(len(sources)))
        hits = np.flatnonzero(truth[k] >= 0.5)
        at = int(hits[int(rng.integers(len(hits)))]) if len(hits) else -1
        change = _CHANGES[i % len(_CHANGES)]
        out.append(change(_Text(sources[k], at), unit.involved, vocabulary, rng))
    return list(dict.fromkeys(t for t in out if t.strip()))


class _Text:
    """A text as tokens that can be changed, and the position that the change is about (-1: none)."""

    def __init__(self, text: str, at: int) -> None:
        spans = tokens_of(text)
        ends = [0, *(t.end for t in spans)]
        self.gaps = [text[end : t.start] for end, t in zip(ends, spans, strict=False)]
        self.tokens = [t.text for t in spans]
        self.tail = text[ends[-1] :]
        self.at = at

    def put(self, i: int, word: str) -> None:
        """A word put before token ``i``, with spaces around it."""
        gap = self.gaps[i] if i < len(self.gaps) else " "
        self.gaps.insert(i, gap if i else "")
        self.tokens.insert(i, word)
        if i + 1 < len(self.gaps):
            self.gaps[i + 1] = " "

    def drop(self, i: int) -> None:
        del self.tokens[i], self.gaps[i]

    def near(self, rng: np.random.Generator) -> int:
        """A place a few tokens before the position, or anywhere."""
        n = len(self.tokens)
        if self.at < 0:
            return int(rng.integers(n)) if n else 0
        return int(np.clip(self.at - int(rng.integers(1, _REACH)), 0, max(n - 1, 0)))

    def __str__(self) -> str:
        pairs = zip(self.gaps, self.tokens, strict=True)
        return "".join([*(gap + token for gap, token in pairs), self.tail])


_Change = Callable[[_Text, Sequence[str], Sequence[str], np.random.Generator], str]


def _any(some: Sequence[str], rng: np.random.Generator) -> str:
    return some[int(rng.integers(len(some)))]


def _removed(text: _Text, involved: Sequence[str], vocabulary: Sequence[str], rng: np.random.Generator) -> str:
    """Every involved token in the reach before the position exchanged for an ordinary word."""
    about, end = set(involved), text.at if text.at >= 0 else len(text.tokens)
    for i in range(max(end - _REACH, 0), end):
        if text.tokens[i].lower() in about:
            text.tokens[i] = _any(vocabulary, rng)
    return str(text)


def _exchanged(text: _Text, involved: Sequence[str], vocabulary: Sequence[str], rng: np.random.Generator) -> str:
    """The token at the position exchanged for an ordinary word, its context kept."""
    if text.tokens:
        text.tokens[text.at if text.at >= 0 else int(rng.integers(len(text.tokens)))] = _any(vocabulary, rng)
    return str(text)


def _swapped(text: _Text, involved: Sequence[str], vocabulary: Sequence[str], rng: np.random.Generator) -> str:
    """The token at the position exchanged for another that the unit involves: its like, or its companion."""
    if text.tokens and involved:
        text.tokens[text.at if text.at >= 0 else int(rng.integers(len(text.tokens)))] = _any(involved, rng)
    return str(text)


def _put(text: _Text, involved: Sequence[str], vocabulary: Sequence[str], rng: np.random.Generator) -> str:
    """Involved tokens put a little before the position and at two places more."""
    for _ in range(3):
        text.put(text.near(rng), _any(involved or vocabulary, rng))
        text.at = int(rng.integers(len(text.tokens)))
    return str(text)


def _moved(text: _Text, involved: Sequence[str], vocabulary: Sequence[str], rng: np.random.Generator) -> str:
    """Ordinary words put between the position and what stands before it, so that distances grow."""
    place = text.near(rng)
    for _ in range(int(rng.integers(1, 7))):
        text.put(place, _any(vocabulary, rng))
    return str(text)


def _nearer(text: _Text, involved: Sequence[str], vocabulary: Sequence[str], rng: np.random.Generator) -> str:
    """Tokens that are not involved taken out before the position, so that distances shrink."""
    about, end = set(involved), max(text.at, 0)
    for i in range(end - 1, max(end - _REACH, 0), -1):
        if text.tokens[i].lower() not in about and text.tokens[i].isalpha() and rng.random() < 0.5:
            text.drop(i)
    return str(text)


def _cut(text: _Text, involved: Sequence[str], vocabulary: Sequence[str], rng: np.random.Generator) -> str:
    """The beginning cut off, up to a little before the position or at any token."""
    upto = text.near(rng)
    for _ in range(min(upto, len(text.tokens) - 1)):
        text.drop(0)
    return str(text)


def _pair(text: _Text, involved: Sequence[str], vocabulary: Sequence[str], rng: np.random.Generator) -> str:
    """Two involved tokens put a few tokens from one another somewhere."""
    some = involved or vocabulary
    first = int(rng.integers(len(text.tokens) + 1))
    text.put(min(first, len(text.tokens)), some[int(rng.integers(min(len(some), 2)))])
    text.put(min(first + int(rng.integers(1, 9)), len(text.tokens)), _any(some, rng))
    return str(text)


_CHANGES: tuple[_Change, ...] = (_removed, _swapped, _put, _exchanged, _moved, _pair, _nearer, _cut)
