"""How planted rules read texts: tokens and the structure around each, several texts as one long row.

Everything at a position follows from the text up to the end of that token, as for a causal language model. Texts are
read together because a rule over one row of 5,000 tokens costs as little as over one of 70; ``start`` keeps rules from
looking across the border of two texts. What this module does not do: know words, classes or units.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maieutic.subjects.base import TokenSpan

_TOKEN = re.compile(r"[A-Za-z]+|\d+|[^\sA-Za-z\d]")
_NUMBER = re.compile(r"(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?$")
_OPEN, _CLOSE = "([{", ")]}"
#: names of the columns of ``_structure``
COLUMNS = ("place", "sentence", "nth", "line", "indent", "(", "[", "{", '"', "#")


def tokens_of(text: str) -> list[TokenSpan]:
    """Runs of letters, runs of digits, and single marks, with their places."""
    return [TokenSpan(m.group(), m.start(), m.end()) for m in _TOKEN.finditer(text)]


def words_of(text: str) -> list[str]:
    """The same in lower case, without places."""
    return [m.group().lower() for m in _TOKEN.finditer(text)]


class TextView:
    """Texts as one row of tokens.

    Attributes:
        tokens: of all texts, one after another, as they are written.
        start: index of the first token of its text, for every token, ``[position]``.
        lengths: number of tokens of each text.
        codes: index into ``vocabulary`` of every token, ``[position]``.
        vocabulary: the distinct tokens, in order of appearance.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        spans = [list(_TOKEN.finditer(t)) for t in texts]
        self.tokens = [m.group() for row in spans for m in row]
        self.lengths = np.array([len(row) for row in spans], dtype=np.int64)
        ends = np.cumsum(self.lengths)
        self.start: NDArray[np.int64] = np.repeat(ends - self.lengths, self.lengths)
        known: dict[str, int] = {}
        self.codes = np.array([known.setdefault(t, len(known)) for t in self.tokens], dtype=np.int64)
        self.vocabulary = list(known)
        self._texts, self._spans = texts, spans

    def __len__(self) -> int:
        return len(self.tokens)

    def each(self, of: Callable[[str], float]) -> NDArray[np.float64]:
        """A function of the token as it is written, at every position; called once a distinct token."""
        table = np.array([of(t) for t in self.vocabulary], dtype=np.float64)
        return table[self.codes] if len(table) else np.zeros(0)

    def strengths(self, table: Sequence[tuple[str, float]]) -> NDArray[np.float64]:
        """What a table of lower-case tokens says of every position; 0 for tokens that it does not hold."""
        found = np.zeros(len(self.vocabulary))
        for word, strength in table:
            found[self._spellings.get(word, [])] = strength
        return found[self.codes]

    @cached_property
    def lower(self) -> NDArray[np.str_]:
        """The vocabulary in lower case."""
        return np.array([t.lower() for t in self.vocabulary], dtype=np.str_)

    @cached_property
    def letters(self) -> NDArray[np.bool_]:
        """Which tokens of the vocabulary are letters."""
        return np.array([t.isalpha() for t in self.vocabulary], dtype=np.bool_)

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        """Characters of the tokens of the vocabulary."""
        return np.array([len(t) for t in self.vocabulary], dtype=np.int64)

    @cached_property
    def _spellings(self) -> dict[str, list[int]]:
        """Lower-case token -> codes of its spellings."""
        out: dict[str, list[int]] = {}
        for code, token in enumerate(self.vocabulary):
            out.setdefault(token.lower(), []).append(code)
        return out

    def column(self, name: str) -> NDArray[np.int64]:
        """A structural quantity at every position.

        ``place``: tokens of the text before it. ``sentence``: tokens of the sentence before it. ``nth``: words of the
        sentence up to it (0 for a mark). ``line``: tokens of the line before it. ``indent``: columns of white space
        that the line begins with. A bracket: how many are open before it. A double quotation mark: whether an odd
        number stands before it on the line. ``#``: whether one stands before it on the line.
        """
        return self._columns[:, COLUMNS.index(name)]

    @cached_property
    def _columns(self) -> NDArray[np.int64]:
        rows = [_structure(t, s) for t, s in zip(self._texts, self._spans, strict=True)]
        return np.array([r for part in rows for r in part], dtype=np.int64).reshape(-1, len(COLUMNS))

    @cached_property
    def number(self) -> NDArray[np.float64]:
        """Value of the number that is written up to each token of digits (``1,234`` is one); NaN elsewhere."""
        values = [_number(text, m) for text, row in zip(self._texts, self._spans, strict=True) for m in row]
        return np.array(values, dtype=np.float64)

    def back(self, values: NDArray[np.float64], n: int) -> NDArray[np.float64]:
        """What stood ``n`` tokens earlier in the same text; 0 where there was none."""
        out = np.zeros_like(values)
        if n < len(values):
            out[n:] = np.where(np.arange(n, len(values)) - n >= self.start[n:], values[: len(values) - n], 0.0)
        return out

    def among(self, on: NDArray[np.bool_], n: int, *, itself: bool = False) -> NDArray[np.int64]:
        """How many of the ``n`` tokens before (``itself``: of the ``n`` up to here) are on."""
        total = np.concatenate([[0], np.cumsum(on)])
        end = np.arange(len(on)) + int(itself)
        return total[end] - total[np.maximum(end - n, self.start)]

    def since(self, on: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Tokens since the last one that was on, from 1 at the next; a large number where there was none."""
        at = np.arange(len(on))
        last = np.maximum.accumulate(np.where(on, at, -1)) if len(on) else at
        before = np.concatenate([[-1], last[:-1]]) if len(on) else at
        return np.where(before >= self.start, at - before, 1_000_000)

    def split(self, values: NDArray[Any]) -> list[NDArray[Any]]:
        """One array a text."""
        return np.split(values, np.cumsum(self.lengths)[:-1]) if len(self.lengths) else []


def _number(text: str, m: re.Match[str]) -> float:
    if not m.group().isdigit():
        return np.nan
    found = _NUMBER.search(text[max(0, m.end() - 20) : m.end()])
    return float(found.group().replace(",", "")) if found else np.nan


def _structure(text: str, spans: Sequence[re.Match[str]]) -> list[tuple[int, ...]]:
    """One row of ``COLUMNS`` a token."""
    out: list[tuple[int, ...]] = []
    depth = [0, 0, 0]
    sentence = nth = line = indent = quoted = comment = done = 0
    ended = False  # the last token ends a sentence if white space follows
    for place, m in enumerate(spans):
        token, gap = m.group(), text[done : m.start()]
        done = m.end()
        if ended and gap:
            sentence = nth = 0
        if place == 0 or "\n" in gap:
            line = quoted = comment = 0
            indent = len(gap.rpartition("\n")[2].expandtabs(4))
        letters = token.isalpha()
        nth += int(letters)
        out.append((place, sentence, nth if letters else 0, line, indent, *depth, quoted, comment))
        sentence, line = sentence + 1, line + 1
        if token in _OPEN:
            depth[_OPEN.index(token)] += 1
        elif token in _CLOSE:
            depth[_CLOSE.index(token)] = max(depth[_CLOSE.index(token)] - 1, 0)
        elif token == '"':
            quoted = 1 - quoted
        elif token == "#":
            comment = 1
        ended = token in ".!?" or (ended and not gap and token in "\"')]")
    return out
