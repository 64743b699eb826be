"""A small byte-pair tokenizer for ASCII text: characters first, then the pairs that occur most often inside words.

The classical algorithm (Sennrich et al. 2016): count pairs of neighbouring pieces in a list of words, join the most frequent
one, and again. Ties go to the pair that is first in the alphabet, so the same text always gives the same tokens. Characters
outside ASCII become ``?``, which keeps offsets right.

What this module does not do: learn from much text fast; a few hundred kilobytes are plenty.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

#: a line break with its indent, a word with the space before it, a run of marks, other space
_PIECES = re.compile(r"\n *| ?\w+| ?[^\w\s]+|\s")
CHARACTERS = tuple(chr(n) for n in range(128))


@dataclass(frozen=True, slots=True, kw_only=True)
class Bpe:
    """A tokenizer.

    Attributes:
        words: the text of each token by id: 128 characters, then what was joined, in that order.
    """

    words: tuple[str, ...]
    ranks: dict[str, int] = field(repr=False)
    cache: dict[str, tuple[int, ...]] = field(default_factory=dict[str, "tuple[int, ...]"], repr=False)

    def ids(self, text: str) -> list[int]:
        """Token ids of a text; their texts joined give it back (with ``?`` for characters outside ASCII)."""
        found: list[int] = []
        for piece in _PIECES.findall(_ascii(text)):
            if piece not in self.cache:
                self.cache[piece] = self._joined(piece)
            found += self.cache[piece]
        return found

    def encode(self, text: str) -> list[tuple[int, int, int]]:
        """``(token id, start, end)`` of each token, offsets in characters."""
        found: list[tuple[int, int, int]] = []
        place = 0
        for token in self.ids(text):
            end = place + len(self.words[token])
            found.append((token, place, end))
            place = end
        return found

    def _joined(self, piece: str) -> tuple[int, ...]:
        parts = list(piece)
        while len(parts) > 1:
            best = min(range(len(parts) - 1), key=lambda n: self.ranks.get(parts[n] + parts[n + 1], len(self.ranks)))
            pair = parts[best] + parts[best + 1]
            if pair not in self.ranks:
                break
            parts[best : best + 2] = [pair]
        return tuple(self.ranks[p] for p in parts)


def learn(texts: Sequence[str], *, vocabulary: int) -> Bpe:
    """The tokenizer of some text with at most so many tokens, 128 characters included.

    A pair whose text is a token already (joined otherwise) is left out, so texts of tokens are all different.
    """
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(_PIECES.findall(_ascii(text)))
    spelt = {piece: list(piece) for piece in counts}
    pairs: Counter[tuple[str, str]] = Counter()
    for piece, parts in spelt.items():
        _count(pairs, parts, counts[piece])
    words, known = list(CHARACTERS), set(CHARACTERS)
    while len(words) < vocabulary:
        open_ = [p for p in pairs.items() if p[1] > 0 and p[0][0] + p[0][1] not in known]
        if not open_:
            break
        (left, right), _ = min(open_, key=lambda p: (-p[1], p[0]))
        words.append(left + right)
        known.add(left + right)
        for piece, parts in spelt.items():
            if left + right in piece:
                _count(pairs, parts, -counts[piece])
                spelt[piece] = _with(parts, left, right)
                _count(pairs, spelt[piece], counts[piece])
    return Bpe(words=tuple(words), ranks={w: n for n, w in enumerate(words)})


def _count(pairs: Counter[tuple[str, str]], parts: Sequence[str], times: int) -> None:
    for pair in zip(parts, parts[1:], strict=False):
        pairs[pair] += times


def _with(parts: Sequence[str], left: str, right: str) -> list[str]:
    found: list[str] = []
    n = 0
    while n < len(parts):
        if n + 1 < len(parts) and parts[n] == left and parts[n + 1] == right:
            found.append(left + right)
            n += 2
        else:
            found.append(parts[n])
            n += 1
    return found


def _ascii(text: str) -> str:
    return text if text.isascii() else "".join(c if ord(c) < 128 else "?" for c in text)
