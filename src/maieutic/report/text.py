"""Texts for a page: characters nobody would see made visible, windows around a token, and edits marked.

Escaping for HTML is the template's task and is always on; this only decides which characters stand there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from functools import lru_cache
from itertools import groupby
from typing import Literal

from maieutic.report.model import ReportText, Shown

_BEFORE, _AFTER = 40, 16
_MIDDLE = 400
_CONTEXT = 10
#: control characters (not tab and newline), lone surrogates, and marks that reorder or hide what follows
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)
_WORD = re.compile(r"\s*\S+|\s+$")


def visible(text: str) -> str:
    """The text with invisible, reordering and unencodable characters written as ``‹U+202E›``."""
    return _UNSEEN.sub(lambda m: f"‹U+{ord(m.group()):04X}›", text.replace("\r\n", "\n"))


def shortened(text: str, limit: int) -> str:
    """At most ``limit`` characters, the last one an ellipsis when something is missing."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A run of text on a page.

    Attributes:
        text: what stands there.
        lead: spaces before it, kept out of its highlight.
        kind: ``same``, ``added``, ``removed`` or ``gap`` (left out).
        heat: activation, 0 to 1.
        value: raw activation for the tooltip, or ``None``.
        focus: whether it is the token the row is about.
    """

    text: str
    lead: str = ""
    kind: Literal["same", "added", "removed", "gap"] = "same"
    heat: float = 0.0
    value: float | None = None
    focus: bool = False


_GAP = Piece(text=" … ", kind="gap")


def token_text(token: str) -> str:
    """A token with its white space visible where it would otherwise vanish."""
    if token and not token.strip(" \t\n\r"):
        return token.replace("\r", "").replace(" ", "␣").replace("\t", "⇥").replace("\n", "↵\n")
    return re.sub(r"\n+", lambda m: "↵" * len(m.group()) + "\n", token)


def pieces(shown: Shown, scale: tuple[float, float], *, original: Shown | None = None) -> list[Piece]:
    """What a row shows of a text: a window around its token, or its edits against the original with their context."""
    assert isinstance(shown, (str, ReportText))
    after = _pieces_of(shown, scale)
    if isinstance(original, (str, ReportText)):
        return _edited(_pieces_of(original, (0.0, 0.0)), after)
    focus = next((i for i, p in enumerate(after) if p.focus), None)
    return _window(after, 0 if focus is None else focus)


def _pieces_of(shown: str | ReportText, scale: tuple[float, float]) -> list[Piece]:
    if isinstance(shown, str):
        return [_piece(m.group()) for m in _WORD.finditer(shown)]
    zero, one = scale
    focus, values = shown.focus, shown.values or (None,) * len(shown.tokens)
    return [
        _piece(token, heat=_scaled(value, zero, one), value=value, focus=i == focus)
        for i, (token, value) in enumerate(zip(shown.tokens, values, strict=True))
    ]


def _piece(token: str, *, heat: float = 0.0, value: float | None = None, focus: bool = False) -> Piece:
    text, lead = _split(token)
    return Piece(text=text, lead=lead, heat=heat, value=value, focus=focus)


@lru_cache(maxsize=1 << 16)
def _split(token: str) -> tuple[str, str]:
    """A token as shown, and the spaces before it."""
    shown = token_text(token)
    text = shown.lstrip(" ")
    return text, shown[: len(shown) - len(text)]


def _scaled(value: float | None, zero: float, one: float) -> float:
    if value is None or one <= zero:
        return 0.0
    return round(min(max((value - zero) / (one - zero), 0.0), 1.0), 2)


def _window(row: Sequence[Piece], focus: int) -> list[Piece]:
    start, end = max(0, focus - _BEFORE), min(len(row), max(focus, _BEFORE) + 1 + _AFTER)
    return [*([_GAP] if start else []), *row[start:end], *([_GAP] if end < len(row) else [])]


def _edited(before: list[Piece], after: list[Piece]) -> list[Piece]:
    """The edited text with what was put in and what was taken out, and a little context."""
    old, new = [p.lead + p.text for p in before], [p.lead + p.text for p in after]
    head = _common(old, new)
    tail = _common(old[head:][::-1], new[head:][::-1])
    old_middle, new_middle = old[head : len(old) - tail], new[head : len(new) - tail]
    middle: list[Piece] = []
    for op, a, b, c, d in _operations(old_middle, new_middle):
        if op == "equal":
            middle += after[head + c : head + d]
        else:
            middle += [replace(p, kind="removed", value=None, focus=False) for p in before[head + a : head + b]]
            middle += [replace(p, kind="added") for p in after[head + c : head + d]]
    row = [*after[:head], *middle, *after[len(after) - tail :]]
    return _collapsed(row)


def _operations(old: Sequence[str], new: Sequence[str]) -> Iterable[tuple[str, int, int, int, int]]:
    if len(old) > _MIDDLE or len(new) > _MIDDLE:
        return [("replace", 0, len(old), 0, len(new))]
    return SequenceMatcher(None, old, new, autojunk=False).get_opcodes()


def _common(a: Sequence[str], b: Sequence[str]) -> int:
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def _collapsed(row: list[Piece]) -> list[Piece]:
    """Unchanged runs shortened to their ends; changed runs to a window, so that one row stays one row."""
    runs = [(kind, list(group)) for kind, group in groupby(row, key=lambda p: p.kind)]
    out: list[Piece] = []
    for i, (kind, run) in enumerate(runs):
        keep = _CONTEXT if kind == "same" else 3 * _CONTEXT
        left = keep if i or kind != "same" else 0
        right = keep if i < len(runs) - 1 or kind != "same" else 0
        if not left and not right:
            left = _BEFORE  # the same text twice
        if len(run) > left + right + 1:
            out += [*run[:left], _GAP, *(run[len(run) - right :] if right else [])]
        else:
            out += run
    return out
