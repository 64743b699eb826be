"""Held-out texts as material for generated stimuli: their pieces, which token belongs to which, and stand-in words.

Label-independent, so it is made once for all units of a run. A piece is a word, a number, a mark or a run of white space.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maieutic.score.loading import loadable
from maieutic.score.made import Span
from maieutic.stimuli.base import Stimulus
from maieutic.stimuli.wordnet import first_lexname
from maieutic.subjects.base import Subject, TokenSpan

_PIECE = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]|\n+|\s{2,}")
#: words that may stand in for others, the most frequent first
_VOCABULARY = 3000
#: sources: more test texts than this are sampled
_TEXTS = 400


def pieces(text: str) -> list[Span]:
    """Spans of words, numbers, marks, line breaks and runs of spaces, in order."""
    return [m.span() for m in _PIECE.finditer(text)]


def bare(text: str, token: TokenSpan) -> Span:
    """The token's span without its outer white space; a token of white space only is itself."""
    body = text[token.start : token.end]
    if not body.strip():
        return token.start, token.end
    return token.start + len(body) - len(body.lstrip()), token.start + len(body.rstrip())


def positions(tokens: Sequence[TokenSpan], text: str, span: Span) -> list[int]:
    """Tokens that overlap a span."""
    spans = (bare(text, t) for t in tokens)
    return [i for i, (start, end) in enumerate(spans) if start < span[1] and end > span[0]]


@dataclass(frozen=True, kw_only=True)
class Source:
    """A held-out text.

    Attributes:
        pieces: spans.
        owner: the piece of each token, -1 for none; empty where the subject has one value a text.
    """

    stimulus: Stimulus
    text: str
    pieces: list[Span]
    owner: NDArray[np.int64]

    @property
    def group(self) -> str:
        return self.stimulus.group or self.stimulus.id

    def piece(self, i: int) -> str:
        start, end = self.pieces[i]
        return self.text[start:end]


@dataclass(frozen=True, kw_only=True)
class Material:
    """Everything that texts are made from.

    Attributes:
        whole: the subject has one value a text.
        words: frequent words of the texts, lower case; by topic class and by ending in the tables.
        marks: frequent marks.
        failed: stimuli that could not be loaded.
    """

    sources: list[Source]
    whole: bool
    words: list[str]
    by_class: dict[str, list[str]]
    by_ending: dict[str, list[str]]
    marks: list[str]
    failed: dict[str, str]


def gathered(stimuli: Sequence[Stimulus], subject: Subject, *, whole: bool, seed: int) -> Material:
    """The material of a split. Cost: one tokenisation of at most 400 texts."""
    kept, failed = loadable(stimuli)
    if len(kept) > _TEXTS:
        chosen = np.sort(np.random.default_rng(seed).choice(len(kept), size=_TEXTS, replace=False))
        kept = [kept[int(i)] for i in chosen]
    sources = [_source(s, subject, whole) for s in kept]
    counts = Counter(s.piece(i).lower() for s in sources for i in range(len(s.pieces)))
    frequent = [w for w, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]
    words = [w for w in frequent if w.isalpha()][:_VOCABULARY]
    by_class: dict[str, list[str]] = {}
    by_ending: dict[str, list[str]] = {}
    for word in words:
        name = first_lexname(word) if len(word) > 2 else None
        if name:
            by_class.setdefault(name, []).append(word)
        by_ending.setdefault(word[-2:], []).append(word)
    marks = [w for w in frequent if not w.isalnum() and w.strip()][:40]
    return Material(
        sources=[s for s in sources if s.pieces], whole=whole, words=words, by_class=by_class, by_ending=by_ending,
        marks=marks, failed=failed,
    )  # fmt: skip


def _source(stimulus: Stimulus, subject: Subject, whole: bool) -> Source:
    text = str(stimulus.content)
    spans = pieces(text)
    tokens: Sequence[Any] = [] if whole else subject.tokens(text)
    starts = np.array([a for a, _ in spans], dtype=np.int64)
    owner = np.full(len(tokens), -1, dtype=np.int64)
    for t, token in enumerate(tokens):
        start, end = bare(text, token)
        # the last piece that begins before the token ends: the piece that the token is in, or continues
        i = int(np.searchsorted(starts, end, side="left")) - 1
        if i >= 0 and spans[i][1] > start:
            owner[t] = i
    return Source(stimulus=stimulus, text=text, pieces=spans, owner=owner)


def stand_ins(material: Material, word: str, draw: np.random.Generator, n: int = 6) -> list[str]:
    """Other words for a place: of the same topic class, with the same ending, any; written like the word there."""
    lower = word.lower()
    if word.isdigit():
        value = int(word)
        wide = {value * 10, value // 10, value + 1, value + 100, max(value - 100, 0), int(draw.integers(1, 10_000))}
        return [str(v) for v in sorted(wide) if v != value][:n]
    if not word[:1].isalpha():
        others = [m for m in material.marks if m != word]
        return [others[int(i)] for i in draw.permutation(len(others))[:n]]
    name = first_lexname(lower) if len(lower) > 2 else None
    pools = (material.by_class.get(name or "", []), material.by_ending.get(lower[-2:], []), material.words)
    found: list[str] = []
    for pool, share in zip(pools, (2, 2, n), strict=True):
        found += [pool[int(i)] for i in draw.permutation(len(pool))[:share]]
    unlike = [w for w in dict.fromkeys(found) if w != lower][:n]
    return [w.capitalize() if word[:1].isupper() else w for w in unlike]
