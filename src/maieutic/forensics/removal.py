"""Removing parts of a transcript: delete them, put neutral filler of equal length, or say them in other words.

Each way is off the model's usual path in another manner: deletion moves everything behind it, filler is odd text, a
paraphrase keeps the meaning and so removes the wording alone. Results name the way, and are to be had for each.

What this module does not do: decide what to remove, or drop messages (an emptied message stays in its place).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from maieutic.errors import UsageError, UserError, did_you_mean
from maieutic.forensics.action import Context
from maieutic.forensics.partition import Field, Part, Span, rewrite, texts

#: said over and over, cut to length. It asks for nothing and tells nothing.
FILLER = "This line was left blank here on purpose and says nothing more. "


class Removal(Protocol):
    """A way of removing."""

    @property
    def name(self) -> str:
        """``delete``, ``filler``, ``paraphrase``."""
        ...

    def __call__(self, text: str) -> str:
        """What stands in a part's place.

        Raises:
            NoRewriteError: a paraphrase that could not be made.
        """
        ...


class NoRewriteError(UserError):
    """A text could not be said in other words."""


@dataclass(frozen=True, slots=True)
class Delete:
    """Nothing stands there."""

    name: str = "delete"

    def __call__(self, text: str) -> str:
        return ""


@dataclass(frozen=True, slots=True)
class Filler:
    """Neutral words of the same number of characters; white space at both ends is kept, so paragraphs stay paragraphs."""

    name: str = "filler"

    def __call__(self, text: str) -> str:
        body = text.strip()
        if not body:
            return text
        words = (FILLER * (len(body) // len(FILLER) + 1))[: len(body)]
        # a space at the end would change what the next part begins with
        words = words[:-1] + "." if words.endswith(" ") else words
        return _placed(text, words)


@dataclass(frozen=True, slots=True)
class Paraphrase:
    """Other words for the same.

    Attributes:
        rewrite: ``text -> text``: ``rewriter.rewrite_by_rules``, or one that asks a language model.
    """

    rewrite: Callable[[str], str]
    name: str = "paraphrase"

    def __call__(self, text: str) -> str:
        body = text.strip()
        if not body:
            return text
        said = self.rewrite(body).strip()
        if said == body:
            raise NoRewriteError(f"no other words were found for {body[:60]!r}: give a language model as the writer")
        return _placed(text, said)


def removal(name: str, *, rewrite: Callable[[str], str] | None = None) -> Removal:
    """The way of that name; a paraphrase by rules unless a rewriter is given.

    Raises:
        UsageError: there is none.
    """
    from maieutic.forensics.removal_rewriting import rewrite_by_rules

    known: dict[str, Removal] = {
        "delete": Delete(), "filler": Filler(), "paraphrase": Paraphrase(rewrite or rewrite_by_rules),
    }  # fmt: skip
    if name not in known:
        raise UsageError(f"no way to remove called {name!r}{did_you_mean(name, known)}: choose from {', '.join(known)}")
    return known[name]


def replace_parts(context: Context, change: Mapping[Part, str] | Sequence[tuple[Part, str]]) -> Context:
    """The transcript with other words in the place of some parts, which must not overlap. A part here has one span.

    Raises:
        UsageError: parts overlap.
    """
    pairs = list(change.items()) if isinstance(change, Mapping) else list(change)
    spans = [(part.spans[0], text) for part, text in pairs if len(part.spans) == 1]
    assert len(spans) == len(pairs), "replace the messages of a role one by one"
    return _write(context, spans)


def remove_parts(context: Context, parts: Iterable[Part], how: Removal) -> Context:
    """The transcript with these parts removed; those that lie in others are removed with them.

    Raises:
        NoRewriteError: see `Removal`.
    """
    spans = sorted({s for p in parts for s in p.spans}, key=lambda s: (s.message, str(s.field), s.start, -s.end))
    outer: list[Span] = []
    for span in spans:
        last = outer[-1] if outer else None
        inside = last is not None and (last.message, last.field) == (span.message, span.field) and span.end <= last.end
        if not inside:
            outer.append(span)
    return _write(context, [(span, how(_text(context, span))) for span in outer])


class Masker:
    """Contexts of which only some parts are kept, made quickly: every part is removed once, then put together.

    Attributes:
        parts: what may be kept or removed; they do not overlap. What lies in none of them always stays.
    """

    def __init__(self, context: Context, parts: Sequence[Part], how: Removal) -> None:
        """Remove every part once. A paraphrase may fail here; see `Removal`."""
        self.context, self.parts, self.how = context, tuple(parts), how
        self._pieces: dict[tuple[int, Field], list[tuple[int | None, str, str]]] = {}
        by_field: dict[tuple[int, Field], list[tuple[Span, int]]] = {}
        for i, part in enumerate(self.parts):
            for span in part.spans:
                by_field.setdefault((span.message, span.field), []).append((span, i))
        for place, spans in by_field.items():
            text, at, pieces = _field_text(context, *place), 0, list[tuple[int | None, str, str]]()
            for span, i in sorted(spans, key=lambda s: s[0].start):
                if span.start < at:
                    raise UsageError("parts overlap: give parts of one level")
                if span.start > at:
                    pieces.append((None, text[at : span.start], ""))
                pieces.append((i, text[span.start : span.end], how(text[span.start : span.end])))
                at = span.end
            self._pieces[place] = [*pieces, (None, text[at:], "")]

    def __call__(self, kept: frozenset[int], put: Mapping[int, str] | None = None) -> Context:
        """The context in which the parts of these numbers are kept and all others removed.

        Args:
            kept: numbers of parts.
            put: number of a part to other words in its place; white space at its ends stays.
        """
        change: dict[tuple[int, Field], str] = {}
        for place, pieces in self._pieces.items():
            if all(i is None or i in kept for i, _, _ in pieces) and not (put and any(i in put for i, _, _ in pieces)):
                continue
            said = [text if i is None or i in kept else gone for i, text, gone in pieces]
            if put:
                said = [
                    _placed(text, put[i]) if i is not None and i in put else now
                    for (i, text, _), now in zip(pieces, said, strict=True)
                ]
            change[place] = "".join(said)
        return rewrite(self.context, change)


def _placed(text: str, instead: str) -> str:
    """Other words where a text stood, between the white space at its ends."""
    body = text.strip()
    if not body:
        return text
    start = text.index(body)
    return text[:start] + instead.strip() + text[start + len(body) :]


def _write(context: Context, spans: Sequence[tuple[Span, str]]) -> Context:
    by_field: dict[tuple[int, Field], list[tuple[Span, str]]] = {}
    for span, text in spans:
        by_field.setdefault((span.message, span.field), []).append((span, text))
    change: dict[tuple[int, Field], str] = {}
    for place, here in by_field.items():
        text, at, made = _field_text(context, *place), 0, list[str]()
        for span, instead in sorted(here, key=lambda s: s[0].start):
            if span.start < at:
                raise UsageError("parts overlap: give parts of one level")
            made += [text[at : span.start], instead]
            at = span.end
        change[place] = "".join([*made, text[at:]])
    return rewrite(context, change)


def _field_text(context: Context, message: int, field: Field) -> str:
    return dict(texts(context[message]))[field]


def _text(context: Context, span: Span) -> str:
    return _field_text(context, span.message, span.field)[span.start : span.end]
