"""A transcript as parts: roles, messages (tool results, arguments of calls), paragraphs, sentences, tokens; each in the next.

Parts know their exact spans. At every level the parts, joined, are the transcript byte for byte: white space belongs to the
part before it. Only text is cut up: contents, and the strings among the arguments of tool calls. Names of tools, keys,
numbers and the order of messages are the frame in which the parts stand, and stay.

What this module does not do: change anything (``removal.py``), or know grammar: sentences end at a full stop, a question or
exclamation mark before white space, or at a line's end.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

from maieutic.errors import UsageError
from maieutic.forensics.action import Context, Message
from maieutic.subjects.base import TokenSpan

Level = Literal["role", "message", "paragraph", "sentence", "token"]
LEVELS: tuple[Level, ...] = ("role", "message", "paragraph", "sentence", "token")
Tokens = Callable[[str], Sequence[TokenSpan]]
#: where a text lies in a message: ``()`` the content, ``(call, key, ...)`` a string among a call's arguments
Field = tuple[int | str, ...]

_PARAGRAPH = re.compile(r"\n[^\S\n]*\n\s*")
_SENTENCE = re.compile(r"(?<=[.!?])[\"')\]]*\s+|\n\s*")
#: a full stop behind these ends no sentence
_SHORT = re.compile(r"(?:\b(?:e\.g|i\.e|etc|vs|cf|Dr|Mr|Mrs|Ms|St|No|approx)|\b[A-Z])\.\s*$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Where a text stands: message (counted from 0), field in it, characters ``start`` to ``end`` (exclusive)."""

    message: int
    field: Field = ()
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A piece of a transcript.

    Attributes:
        id: its path: ``user``, ``m1``, ``m2.cmd``, ``m1/p0``, ``m1/p0/s2``, ``m1/p0/s2/t3``.
        level: how fine it is.
        role: whose message it stands in.
        spans: where; a role may have several, every other part has one.
        text: its words.
        children: the parts it consists of, in order; none at the finest level asked for.
    """

    id: str
    level: Level
    role: str
    spans: tuple[Span, ...]
    text: str
    children: tuple[Part, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Without children; ``spans`` as ``[message, field, start, end]``."""
        spans = [[s.message, list(s.field), s.start, s.end] for s in self.spans]
        return {"id": self.id, "level": self.level, "role": self.role, "text": self.text, "spans": spans}


@dataclass(frozen=True)
class Partition:
    """A transcript and its parts as a tree.

    Attributes:
        context: the messages.
        roles: the coarsest parts, in the order in which they first speak.
    """

    context: Context
    roles: tuple[Part, ...]

    def at(self, level: Level) -> tuple[Part, ...]:
        """Parts of one level in the order of the transcript; a text that is one piece at that level stands for it.

        At the level of roles the order is that of first appearance: a role's messages need not be neighbours.
        """
        wanted = LEVELS.index(level)

        def down(part: Part) -> Iterator[Part]:
            # a text of one paragraph is not cut into paragraphs: it stands for its only one
            if not part.children or LEVELS.index(part.children[0].level) > wanted:
                yield part
            else:
                for child in part.children:
                    yield from down(child)

        # texts of one message come in their order already, and the sort keeps it
        found = [p for role in self.roles for p in down(role)]
        return tuple(found if wanted == 0 else sorted(found, key=lambda p: p.spans[0].message))

    @cached_property
    def leaves(self) -> tuple[Part, ...]:
        """The finest parts, in the order of the transcript."""
        return self.at("token")

    def part(self, id: str) -> Part:
        """The part of that id.

        Raises:
            UsageError: there is none.
        """
        todo = list(self.roles)
        while todo:
            one = todo.pop()
            if one.id == id:
                return one
            todo += one.children
        raise UsageError(f"no part {id!r}: the coarsest are {', '.join(r.id for r in self.roles)}")

    def leaves_of(self, part: Part) -> tuple[Part, ...]:
        """The finest parts inside one."""
        return tuple(leaf for c in part.children for leaf in self.leaves_of(c)) if part.children else (part,)


def partition(context: Context, *, level: Level = "sentence", tokens: Tokens | None = None) -> Partition:
    """Cut a transcript into parts down to a level.

    Args:
        context: messages.
        level: the finest.
        tokens: how a text is cut into tokens (``actor.tokens``); words otherwise.
    """
    messages: dict[str, list[Part]] = {}
    for n, message in enumerate(context):
        for field, text in texts(message):
            if text:
                span = Span(message=n, field=field, start=0, end=len(text))
                name = f"m{n}" + "".join(f".{f}" for f in (field[1:] if len(field) > 1 else field))
                whole = Part(id=_unique(name, messages), level="message", role=message.role, spans=(span,), text=text)
                messages.setdefault(message.role, []).append(_cut(whole, level, tokens or _words))
    roles = [
        Part(
            id=role, level="role", role=role, spans=tuple(s for p in parts for s in p.spans),
            text="".join(p.text for p in parts), children=() if level == "role" else tuple(parts),
        )
        for role, parts in messages.items()
    ]  # fmt: skip
    return Partition(context=context, roles=tuple(roles))


def texts(message: Message) -> list[tuple[Field, str]]:
    """All texts of a message that can be cut up, in order."""
    found: list[tuple[Field, str]] = [((), message.content)]
    for i, call in enumerate(message.tool_calls):
        found += [((i, *path), text) for path, text in _strings(call.arguments)]
    return found


def transcript_text(context: Context) -> str:
    """All texts of a transcript, one behind the other: what the parts of any level but roles join to."""
    return "".join(text for message in context for _, text in texts(message))


def rewrite(context: Context, change: Mapping[tuple[int, Field], str]) -> Context:
    """The messages with some of their texts replaced; nothing else changes."""
    found, by_message = list(context), dict[int, dict[Field, str]]()
    for (n, field), text in change.items():
        by_message.setdefault(n, {})[field] = text
    for n, here in by_message.items():
        m, calls = found[n], found[n].tool_calls
        for i in {int(f[0]) for f in here if f}:
            inside = {f[1:]: t for f, t in here.items() if f and f[0] == i}
            call = replace(calls[i], arguments=_put(calls[i].arguments, inside))
            calls = (*calls[:i], call, *calls[i + 1 :])
        # written out, because this is what every experiment does and ``replace`` is ten times as slow
        found[n] = Message(
            role=m.role, content=here.get((), m.content), tool_calls=calls, tool_call_id=m.tool_call_id, name=m.name
        )
    return tuple(found)


# --- cutting -----------------------------------------------------------------------------------------------------


def _cut(part: Part, level: Level, tokens: Tokens) -> Part:
    """The part with its children, down to the level. A level at which a text is one piece is skipped."""
    finer = LEVELS[LEVELS.index(part.level) + 1 : LEVELS.index(level) + 1]
    for next_level in finer:
        pieces = _pieces(part.text, next_level, tokens)
        if len(pieces) > 1:
            (span,) = part.spans
            letter = {"paragraph": "p", "sentence": "s", "token": "t"}[next_level]
            children: list[Part] = []
            for i, (start, end) in enumerate(pieces):
                there = replace(span, start=span.start + start, end=span.start + end)
                child = Part(
                    id=f"{part.id}/{letter}{i}", level=next_level, role=part.role, spans=(there,),
                    text=part.text[start:end],
                )  # fmt: skip
                children.append(_cut(child, level, tokens))
            return replace(part, children=tuple(children))
    return part


def _pieces(text: str, level: Level, tokens: Tokens) -> list[tuple[int, int]]:
    """Spans that cover the text without gaps; none holds white space alone, unless the text does."""
    if level == "paragraph":
        cuts = [m.end() for m in _PARAGRAPH.finditer(text)]
    elif level == "sentence":
        cuts = [m.end() for m in _SENTENCE.finditer(text) if not _SHORT.search(text[: m.end()])]
    else:
        cuts = [t.start for t in tokens(text)][1:]
    edges = sorted({0, *(c for c in cuts if 0 < c < len(text)), len(text)})
    found: list[tuple[int, int]] = []
    for start, end in zip(edges, edges[1:], strict=False):
        if found and not (text[start:end].strip() and text[found[-1][0] : found[-1][1]].strip()):
            found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
    return found


def _words(text: str) -> list[TokenSpan]:
    return [TokenSpan(m.group(), m.start(), m.end()) for m in re.finditer(r"\s*\S+", text)]


def _strings(value: Any, path: Field = ()) -> Iterator[tuple[Field, str]]:
    """Strings of a JSON value, with where they stand."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key in value:
            yield from _strings(value[key], (*path, str(key)))
    elif isinstance(value, (list, tuple)):
        for i, one in enumerate(value):
            yield from _strings(one, (*path, i))


def _put(value: Any, change: Mapping[Field, str], path: Field = ()) -> Any:
    """A JSON value with some of its strings replaced."""
    if path in change:
        return change[path]
    if isinstance(value, Mapping):
        return {key: _put(one, change, (*path, str(key))) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_put(one, change, (*path, i)) for i, one in enumerate(value)]
    return value


def _unique(name: str, messages: Mapping[str, Sequence[Part]]) -> str:
    """The name, counted where two calls of a message have an argument of the same name."""
    taken = {p.id for parts in messages.values() for p in parts}
    return name if name not in taken else next(n for i in range(2, 10**6) if (n := f"{name}~{i}") not in taken)
