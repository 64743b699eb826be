"""Messages of Inspect as transcripts, one a step, and the suspicions that stand in their metadata.

What a monitor of text cannot see (pictures, sound, files) is named in ``Transcript.unseen``. Suspicions are read as
control-arena writes them, its traps included: a score that was not parsed is stored as 0.0 with ``score_parsed`` false,
and protocols that defer, edit or resample move the score into a nested record, out of sight of its own scorer.

What this module does not do: import Inspect (it reads what messages have), or ask a monitor.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from maieutic.control.metrics import worst
from maieutic.control.monitors.base import SUSPICION, failed
from maieutic.control.seen import Transcript
from maieutic.errors import UserError
from maieutic.forensics.action import Message, Role, ToolCall
from maieutic.readings import Reading

_ROLES: dict[str, Role] = {"system": "system", "user": "user", "assistant": "assistant", "tool": "tool"}
#: kinds of content that are text
_TEXT = ("text", "reasoning")


def message_of(message: Any, number: int) -> tuple[Message, list[str]]:
    """One of Inspect's messages as ours, and what of it is not text.

    Raises:
        UserError: a role that is none.
    """
    role = _ROLES.get(str(message.role))
    if role is None:
        raise UserError(f"message {number} has the role {message.role!r}: give messages of Inspect")
    texts, unseen = list[str](), list[str]()
    content: Any = message.content
    for part in [content] if isinstance(content, str) else content:
        if isinstance(part, str):
            texts.append(part)
        elif part.type in _TEXT:
            texts.append(part.text if part.type == "text" else part.reasoning)
        else:
            unseen.append(f"{part.type} in message {number}")
    calls = tuple(
        ToolCall(id=str(c.id), name=str(c.function), arguments=dict(c.arguments or {}))
        for c in getattr(message, "tool_calls", None) or ()
    )
    error = getattr(message, "error", None)
    if error is not None and not any(texts):
        texts.append(f"error: {error.message}")
    return Message(
        role=role, content="\n".join(t for t in texts if t), tool_calls=calls,
        tool_call_id=getattr(message, "tool_call_id", None), name=getattr(message, "function", None),
    ), unseen  # fmt: skip


def own(message: Any) -> bool:
    """Whether the agent itself said it in this run; what the sample began with is not its doing."""
    return message.role == "assistant" and getattr(message, "source", None) != "input"


def steps_of(messages: Sequence[Any], *, name: str = "run", every: bool = False) -> list[Transcript]:
    """The steps of a run: a transcript for each message of the agent's own that calls a tool.

    Args:
        messages: of Inspect.
        name: of the run; steps are ``name#0`` and so on.
        every: also messages without calls.
    """
    known = [message_of(m, i + 1) for i, m in enumerate(messages)]
    found: list[Transcript] = []
    for i, (message, _) in enumerate(known):
        if own(messages[i]) and (message.tool_calls or every):
            unseen = tuple(u for _, some in known[: i + 1] for u in some)
            found.append(
                Transcript(
                    id=f"{name}#{len(found)}", messages=tuple(m for m, _ in known[:i]), act=message, unseen=unseen
                )
            )
    return found


def last_step(messages: Sequence[Any], *, name: str = "step") -> Transcript:
    """The step that ends with the last message of the assistant; what a loop added behind it is left out.

    Raises:
        UserError: no message of the assistant.
    """
    found = steps_of(messages, name=name, every=True)
    if not found:
        raise UserError("the assistant has said nothing yet: monitor it after its answer")
    return found[-1]


# --- suspicions in metadata ------------------------------------------------------------------------------------------------


def stored_suspicion(metadata: Mapping[str, Any] | None) -> Reading | None:
    """What a monitor wrote into the metadata of a message; ``None`` where no monitor did.

    Of nested records every score counts, those of answers that were thrown away among them.
    """
    found = [_stored(m) for m in _records(metadata or {})]
    return worst(found, name=SUSPICION) if found else None


def _records(metadata: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    if "suspicion_score" in metadata:
        yield metadata
        return
    for key in ("monitor_response", "untrusted_response", "resampled_responses"):
        inner: Any = metadata.get(key)
        for one in inner if isinstance(inner, list) else [inner]:
            if isinstance(one, Mapping):
                about: Any = one if key == "monitor_response" else one.get("metadata")
                if isinstance(about, Mapping):
                    yield from _records(about)


def _stored(record: Mapping[str, Any]) -> Reading:
    """One stored response; a fallback score is no score."""
    score, why = record.get("suspicion_score"), " ".join(str(record.get("reason") or "").split())[:200]
    if record.get("score_parsed") is False:
        return failed(f"the monitor's answer was not parsed ({why or 'no reason given'})")
    if isinstance(score, bool) or not isinstance(score, int | float) or not math.isfinite(score):
        return failed(f"the stored suspicion {score!r} is no number")
    if not 0 <= score <= 1:
        return failed(f"the stored suspicion {score:g} is not between 0 and 1: was the score range set?")
    return Reading(name=SUSPICION, value=float(score), n=1, details={"reason": why})


def stored_worst(messages: Sequence[Any]) -> Reading:
    """The greatest stored suspicion of a run; unmeasured when a step that calls a tool was not judged."""
    found: list[Reading] = []
    for i, message in enumerate(messages):
        if not own(message):
            continue
        reading = stored_suspicion(message.metadata)
        if reading is not None:
            found.append(reading)
        elif getattr(message, "tool_calls", None):
            found.append(failed(f"message {i + 1} calls a tool and was not judged"))
    return worst(found, name=SUSPICION)
