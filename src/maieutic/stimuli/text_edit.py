"""Text edits: exact changes at character spans, each giving a new text stimulus.

Spans are (start, end) offsets into the string, as the subject's tokens have them. Every edit says where the watched
span lies afterwards, so that the same token can be measured before and after. What this module does not do: keep
grammar right, or tokenise: a changed text may be tokenised differently even far from the change.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from maieutic.errors import UsageError
from maieutic.stimuli.base import Stimulus
from maieutic.stimuli.texts import text_stimulus

Span = tuple[int, int]
_WORD = re.compile(r"\w+(?:['’]\w+)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """An edited text.

    Attributes:
        text: the new text.
        watched: where the watched span lies now; ``None`` when the edit removed or changed it.
        what: the edit in words.
    """

    text: str
    watched: Span | None
    what: str

    def stimulus(self, like: Stimulus) -> Stimulus:
        """The new text with the group, split and tags of the stimulus it came from, and its own content id."""
        return text_stimulus(self.text, like=like)


def words(text: str) -> list[Span]:
    """Spans of the words, in order (letters, digits and underscores, inner apostrophes included)."""
    return [m.span() for m in _WORD.finditer(text)]


def substitute(text: str, span: Span, instead: str, *, watched: Span | None = None) -> Edit:
    """The span replaced by another string. A watched span moves along; when it is the span itself, it is the new text.

    >>> substitute("the cat sat", (4, 7), "horse", watched=(8, 11))
    Edit(text='the horse sat', watched=(10, 13), what="'cat' → 'horse'")
    """
    start, end = _checked(text, span)
    shift = len(instead) - (end - start)
    what = f"{text[start:end]!r} → {instead!r}"
    return Edit(
        text=text[:start] + instead + text[end:], watched=_moved(watched, (start, end), shift, len(instead)), what=what
    )


def delete(text: str, span: Span, *, watched: Span | None = None, tidy: bool = True) -> Edit:
    """The span removed; with ``tidy`` one of the two spaces that would then meet goes too."""
    start, end = _checked(text, span)
    removed = text[start:end]
    if tidy and end < len(text) and text[end] == " " and (start == 0 or text[start - 1].isspace()):
        end += 1
    elif tidy and start > 0 and text[start - 1] == " " and end == len(text):
        start -= 1
    return Edit(
        text=text[:start] + text[end:],
        watched=_moved(watched, (start, end), start - end, 0),
        what=f"{removed!r} deleted",
    )


def insert(text: str, at: int, what: str, *, watched: Span | None = None) -> Edit:
    """A string inserted before the character at ``at`` (nothing is added around it)."""
    _checked(text, (at, at))
    inside = watched is not None and watched[0] < at < watched[1]
    moved = None if inside else _moved(watched, (at, at), len(what), 0)
    return Edit(text=text[:at] + what + text[at:], watched=moved, what=f"{what!r} inserted")


def keep_from(text: str, start: int, *, watched: Span | None = None) -> Edit:
    """Everything before ``start`` removed: does the unit need that context?"""
    _checked(text, (0, start))
    return Edit(
        text=text[start:],
        watched=_moved(watched, (0, start), -start, 0),
        what=f"the first {start} characters deleted",
    )


def keep_until(text: str, end: int, *, watched: Span | None = None) -> Edit:
    """Everything from ``end`` on removed."""
    _checked(text, (end, len(text)))
    kept = watched if watched is not None and watched[1] <= end else None
    return Edit(text=text[:end], watched=kept, what=f"everything after character {end} deleted")


def swap_before(text: str, span: Span, instead: Sequence[str]) -> Edit:
    """The words just before the span replaced, nearest last: ``["a", "red"]`` replaces the two words before it.

    Raises:
        UsageError: there are fewer words before the span.
    """
    start, _ = _checked(text, span)
    before = [w for w in words(text) if w[1] <= start]
    if len(before) < len(instead):
        raise UsageError(f"only {len(before)} words stand before the span, {len(instead)} were given: give fewer")
    edit = Edit(text=text, watched=span, what="")
    for place, new in zip(before[len(before) - len(instead) :][::-1], list(instead)[::-1], strict=True):
        edit = substitute(edit.text, place, new, watched=edit.watched)
    old = " ".join(text[a:b] for a, b in before[len(before) - len(instead) :])
    return Edit(text=edit.text, watched=edit.watched, what=f"{old!r} before it → {' '.join(instead)!r}")


def move(text: str, span: Span, to: int) -> Edit:
    """The span taken out and put before the character at ``to`` (an offset of the original text), with a space."""
    start, end = _checked(text, span)
    _checked(text, (to, to))
    if start < to < end:
        raise UsageError(f"character {to} lies inside the span {span}: move it elsewhere")
    piece = text[start:end]
    taken = delete(text, (start, end))
    at = to if to <= start else to - (len(text) - len(taken.text))
    at = max(0, min(at, len(taken.text)))
    left = " " if at > 0 and not taken.text[at - 1].isspace() else ""
    right = " " if at < len(taken.text) and not taken.text[at].isspace() else ""
    new = taken.text[:at] + left + piece + right + taken.text[at:]
    position = at + len(left)
    return Edit(text=new, watched=(position, position + len(piece)), what=f"{piece!r} moved to character {position}")


def each_word_deleted(text: str, *, watched: Span, reach: int = 12) -> Iterator[Edit]:
    """One edit for each of the ``reach`` words before the watched span and the few after it: which context matters?"""
    before = [w for w in words(text) if w[1] <= watched[0]][-reach:]
    after = [w for w in words(text) if w[0] >= watched[1]][:2]
    for span in (*before, *after):
        yield delete(text, span, watched=watched)


def _checked(text: str, span: Span) -> Span:
    start, end = span
    if not 0 <= start <= end <= len(text):
        raise UsageError(f"the span {span} lies outside the text of {len(text)} characters: give offsets inside it")
    return start, end


def _moved(watched: Span | None, changed: Span, shift: int, length: int) -> Span | None:
    """Where a watched span lies after a change that made ``changed`` into ``length`` characters."""
    if watched is None:
        return None
    if watched == changed and length:
        return (changed[0], changed[0] + length)
    if watched[1] <= changed[0]:
        return watched
    if watched[0] >= changed[1]:
        return (watched[0] + shift, watched[1] + shift)
    return None
