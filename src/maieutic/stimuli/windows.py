"""Cut documents into windows of a few hundred characters, never inside a word.

A cut is made at the best boundary near the wanted length: an empty line, then a line end, then a sentence end, then a
space. Windows do not overlap and together give the document back (but for the white space at cuts). What this module
does not do: tokenise, or balance windows against a model's context.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

#: characters per window, and how far from it a better boundary is looked for (fraction of it)
LENGTH, _SLACK = 480, 0.3
#: a last window shorter than this share of the length is joined to the one before
_TAIL = 0.35
_BOUNDARIES = (re.compile(r"\n\s*\n"), re.compile(r"\n"), re.compile(r"(?<=[.!?;:])[\"')\]]*\s"), re.compile(r"\s"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A piece of a document: its text and where it begins (character offset)."""

    text: str
    start: int


def windows(text: str, *, length: int = LENGTH) -> Iterator[Window]:
    """The windows of a document in order. A word longer than a whole window is the only thing ever cut."""
    position = 0
    while position < len(text):
        left = len(text) - position
        # what remains goes into one window, or into two when it would leave a crumb
        end = len(text) if left <= length * (1 + _TAIL) else _cut(text, position, length)
        piece = text[position:end]
        kept = piece.strip("\n").rstrip()
        if kept.strip():
            yield Window(text=kept, start=position + len(piece) - len(piece.lstrip("\n")))
        position = end


def _cut(text: str, start: int, length: int) -> int:
    """The end of a window: the strongest kind of boundary within the slack, of those the one nearest to ``length``."""
    low, high = start + round(length * (1 - _SLACK)), start + round(length * (1 + _SLACK))
    for boundary in _BOUNDARIES:
        ends = [m.end() for m in boundary.finditer(text, low, min(high, len(text)))]
        if ends:
            return min(ends, key=lambda e: (abs(e - start - length), e))
    following = re.compile(r"\s").search(text, high)
    # no white space for a long way (base64, a minified line): cut at the length
    return following.end() if following and following.start() - start < 4 * length else start + length
