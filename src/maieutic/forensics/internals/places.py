"""Where the parts of a transcript stand among the tokens that the model reads.

A prompt is written by a chat template, which may strip or change what it is given; a text that is not found in the prompt,
in the order of the messages, has no place, and says so.

What this module does not do: places of arguments of tool calls, which templates write as JSON.
"""

from __future__ import annotations

from collections.abc import Sequence

from maieutic.errors import UserError
from maieutic.forensics.action import Context
from maieutic.forensics.actor_subject import SubjectActor
from maieutic.forensics.internals.patching import Group
from maieutic.forensics.partition import Part, Span


class NoPlaceError(UserError):
    """A text of the transcript is not found in the prompt."""


def groups(actor: SubjectActor, context: Context, parts: Sequence[Part]) -> list[Group]:
    """Token positions of parts, in the prompt that ``actor.encode`` gives; parts in tool calls are left out.

    Raises:
        NoPlaceError: the chat template rewrites a message that holds a part.
    """
    prompt = actor.prompt(context)
    starts = _starts(context, prompt)
    encoded = actor.subject.tokenizer(prompt, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    shift = len(actor.encode(context)) - len(encoded["input_ids"])
    offsets: list[tuple[int, int]] = [(int(a), int(b)) for a, b in encoded["offset_mapping"]]
    found: list[Group] = []
    for part in parts:
        spans = [s for s in part.spans if not s.field]
        at = [i + shift for s in spans for i in _covered(offsets, s, starts)]
        if at:
            found.append(Group(name=part.id, at=tuple(at)))
    return found


def _starts(context: Context, prompt: str) -> dict[int, int]:
    """Where the content of each message begins in the prompt (less what was stripped from its front)."""
    starts: dict[int, int] = {}
    at = 0
    for n, message in enumerate(context):
        body = message.content.strip()
        if not body:
            continue
        here = prompt.find(body, at)
        if here < 0:
            raise NoPlaceError(f"the chat template rewrites message {n}, so its tokens have no place: use  plain=True")
        starts[n] = here - message.content.index(body)
        at = here + len(body)
    return starts


def _covered(offsets: Sequence[tuple[int, int]], span: Span, starts: dict[int, int]) -> list[int]:
    """Tokens that begin inside a span and are not white space alone."""
    if span.message not in starts:
        return []
    low, high = starts[span.message] + span.start, starts[span.message] + span.end
    return [i for i, (a, b) in enumerate(offsets) if b > a and low <= a < high]
