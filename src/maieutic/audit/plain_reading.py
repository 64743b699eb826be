"""What our own reader makes of the words of a label, for units that cannot know what follows.

The reader takes "in passages about" to look both ways, and does not know distances in tokens. Units of an exam are
causal, so what it reads is turned to look back only, and distances are said in words that it knows. What this module
does not do: read better than the reader does; what cannot be read is said to be unread.
"""

from __future__ import annotations

import re
from dataclasses import fields, replace
from typing import Any, cast

from maieutic.audit.exam import Exam, Item
from maieutic.audit.plain_text import normalised
from maieutic.explain.predicates.base import Or, Predicate
from maieutic.explain.predicates.text import WithinLast
from maieutic.explain.predicates.text_patterns import Near
from maieutic.explain.reading import read_for
from maieutic.explain.reading_labels import LabelReading
from maieutic.lab import Lab

#: distances in tokens up to here are "after"
_NEAR = 8
_DISTANCE = re.compile(
    r"\b(?:with)?in (?:the )?(?:last |first )?(\d{1,3}) (?:tokens|words) (?:after|of|following)\b", re.IGNORECASE
)


def reading_of(exam: Exam, item: Item, label: str) -> LabelReading:
    """What can be read of a label's words once they are normalised; its predicate is ``None`` when nothing can."""
    lab = Lab(item.subject, item.unit, item.atlas, seed=exam.seed)
    if exam.modality == "image":
        return read_for(normalised(label), lab, exam.viewer)
    reading = read_for(plainly(normalised(label)), lab, exam.viewer)
    return reading if reading.predicate is None else replace(reading, predicate=backward(reading.predicate))


def plainly(label: str) -> str:
    """A label with distances in the words that our reader knows: ``within 3 tokens after`` is ``after``; farther is about.

    >>> plainly('"key" within 4 tokens after "the"'), plainly('any token within 30 tokens after "snow"')
    ('"key" after "the"', 'any token in passages about "snow"')
    """
    return _DISTANCE.sub(lambda m: "after" if int(m[1]) <= _NEAR else "in passages about", label)


def backward(predicate: Predicate) -> Predicate:
    """The predicate with every ``Near`` looking at the token itself and at what stands before it."""
    rebuilt: dict[str, Any] = {
        f.name: _backward(getattr(predicate, f.name))
        for f in fields(cast("Any", predicate))
    }  # fmt: skip
    if isinstance(predicate, Near):
        part = cast("Predicate", rebuilt["part"])
        return Or(parts=(part, WithinLast(part=part, n=predicate.n)))
    changed = {k: v for k, v in rebuilt.items() if v is not getattr(predicate, k)}
    return cast("Predicate", replace(cast("Any", predicate), **changed)) if changed else predicate


def _backward(value: Any) -> Any:
    if isinstance(value, Predicate):
        return backward(value)
    if isinstance(value, tuple):
        row = tuple(_backward(v) for v in cast("tuple[Any, ...]", value))
        return row if any(a is not b for a, b in zip(row, cast("tuple[Any, ...]", value), strict=True)) else value
    return value
