"""Labels: a hypothesis about a language unit in the words of a person.

A clause is said as: what the token is, where it stands, and the exceptions. Graded words are in ``text_leads``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from maieutic.explain.predicates.base import And, Not, Predicate
from maieutic.explain.predicates.text import (
    Position,
    PreviousIs,
    Structure,
    TokenIn,
    TopicWords,
    WithinLast,
    quoted,
)
from maieutic.explain.predicates.text_amounts import EarlierOnLine, HowMany, InRange, Nearness, Ramp
from maieutic.explain.predicates.text_rules import Anywhere

#: what grows along each quantity of a place
_FURTHER = {
    "place": "further into the text",
    "word of the sentence": "further into the sentence",
    "token of the sentence": "further into the sentence",
    "token of the line": "further into the line",
    "indentation": "on lines indented further",
    "open brackets": "inside more brackets",
}


def clause_label(predicate: Predicate) -> str:
    """One clause: what the token is, then where, then exceptions."""
    parts = predicate.parts if isinstance(predicate, And) else (predicate,)
    heads = [p for p in parts if not isinstance(p, Not) and not _is_context(p)]
    places = [p for p in parts if not isinstance(p, Not) and _is_context(p)]
    less = [p.part for p in parts if isinstance(p, Not)]
    if parts and isinstance(parts[0], Anywhere):
        return _text_label(parts)
    head = " that are ".join(_head(p) for p in heads) if heads else "any token"
    words = [head, *(place(p) for p in places)]
    if less:
        words.append("but not " + " or ".join(place(p) if _is_context(p) else _head(p) for p in less))
    return " ".join(words)


def _text_label(parts: Sequence[Predicate]) -> str:
    having = [clause_label(p.part) for p in parts if isinstance(p, Anywhere)]
    less = [clause_label(p.part.part) for p in parts if isinstance(p, Not) and isinstance(p.part, Anywhere)]
    return "texts with " + " and ".join(having) + (" but without " + " or ".join(less) if less else "")


def _is_context(part: Predicate) -> bool:
    if isinstance(part, (InRange, Ramp)):
        return part.quantity not in ("number", "digits", "letters")
    places = (PreviousIs, WithinLast, TopicWords, Structure, Position, EarlierOnLine, Nearness, HowMany)
    return isinstance(part, places)


def _head(part: Predicate) -> str:
    if isinstance(part, TokenIn):
        noun = "the word" if len(part.words) == 1 and part.words[0].isalpha() else ""
        noun = noun or ("the words" if all(w.isalpha() for w in part.words) else "the token")
        return f"{noun} {quoted(part.words, 4)}"
    return part.describe()


def _bare(part: Predicate) -> str:
    return re.sub("^the (?:words?|token) ", "", _head(part))


def place(part: Predicate) -> str:
    """A condition on context as the end of a phrase: ``right after the``."""
    if isinstance(part, PreviousIs):
        where = "right after" if part.back == 1 else f"{part.back} tokens after"
        return f"{where} {_bare(part.part)}"
    if isinstance(part, WithinLast):
        return f"within {part.n} tokens after {_bare(part.part)}"
    if isinstance(part, EarlierOnLine):
        return f"after {_bare(part.part)} on the line"
    if isinstance(part, Nearness):
        return f"the nearer after {_bare(part.part)} the stronger"
    if isinstance(part, HowMany):
        return f"the stronger, the more of the last {part.n} tokens are {_bare(part.part)}"
    if isinstance(part, Ramp):
        return f"{'more' if part.high > part.low else 'less'} strongly {_FURTHER[part.quantity]}"
    if isinstance(part, InRange) and not part.describe().startswith(("on ", "inside ")):
        return f"as {part.describe()}"
    return part.describe()
