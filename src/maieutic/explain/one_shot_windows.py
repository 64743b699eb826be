"""Windows of texts and marks on their tokens, as language models are shown them by explainers and judges.

Windows lie on a fixed grid, whatever a unit does there, so where an activation stands in its window tells nothing. Nothing
here measures.
"""

from __future__ import annotations

from collections.abc import Sequence

#: tokens of a window, as in delphi; a shorter rest of a text is kept from this many on
LENGTH, SHORTEST = 32, 8
#: pairs of marks; the first that stands in none of the texts is taken
PAIRS = (("<<", ">>"), ("⟪", "⟫"), ("[[", "]]"), ("{{", "}}"), ("«", "»"), ("<<|", "|>>"))

Span = tuple[int, int]


def grid(tokens: int) -> list[tuple[int, int]]:
    """First and last (exclusive) token of each window of a text."""
    starts = [i for i in range(0, tokens, LENGTH) if i == 0 or tokens - i >= SHORTEST]
    return [(i, min(i + LENGTH, tokens)) for i in starts]


def pair_for(texts: Sequence[str]) -> tuple[str, str]:
    """Marks that stand in none of the texts; where all do, the first with a number that does not."""
    for pair in PAIRS:
        if not any(mark in t for mark in pair for t in texts):
            return pair
    n = next(n for n in range(10**6) if not any(f"<{n}<" in t or f">{n}>" in t for t in texts))
    return f"<{n}<", f">{n}>"


def marked(text: str, spans: Sequence[Span], marks: Sequence[int], pair: tuple[str, str]) -> str:
    """The text with marks around runs of marked tokens, outside their leading and trailing spaces.

    Args:
        text: of the window.
        spans: of its tokens, in characters.
        marks: which tokens are marked.
        pair: what opens and closes a mark.
    """
    on, out, end, i = set(marks), list[str](), 0, 0
    while i < len(spans):
        if i not in on:
            i += 1
            continue
        last = i
        while last + 1 < len(spans) and last + 1 in on:
            last += 1
        start, stop = max(spans[i][0], end), max(spans[last][1], end)
        out += [text[end:start], _wrapped(text[start:stop], pair)]
        end, i = stop, last + 1
    return "".join([*out, text[end:]])


def _wrapped(body: str, pair: tuple[str, str]) -> str:
    core = body.strip()
    if not core:  # a token of white space alone is marked as it is
        return pair[0] + body + pair[1]
    lead = len(body) - len(body.lstrip())
    return body[:lead] + pair[0] + core + pair[1] + body[lead + len(core) :]
