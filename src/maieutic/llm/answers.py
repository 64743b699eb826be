"""What is asked of a language model, and what came back. Plain data; nothing here talks to a provider."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from maieutic.readings import Cost

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One message. ``images`` stand after the text."""

    text: str
    role: Literal["user", "assistant"] = "user"
    images: tuple[Image, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """One question.

    Attributes:
        turns: the conversation so far, last the question.
        system: instructions that stand before it.
        schema: JSON schema that the answer must follow; also put into words for providers without constrained output.
        logprobs: how many alternatives of each answer token to ask for, 0 to 20 (0: none). A provider may not give any.
        max_tokens: limit of this answer; ``None``: the backbone's.
    """

    turns: tuple[Turn, ...]
    system: str = ""
    schema: Mapping[str, Any] | None = None
    logprobs: int = 0
    max_tokens: int | None = None

    @classmethod
    def of(cls, text: str, *images: Image, **more: Any) -> Prompt:
        """One user message."""
        return cls(turns=(Turn(text=text, images=images),), **more)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back.

    Attributes:
        text: the answer; empty when there is none.
        failed: why there is no usable answer (one line), or ``None``.
        parsed: the JSON of an answer with a schema; ``None`` when failed or not asked for.
        logprobs: per answer token its alternatives, token to log-probability, first the one that was written; empty when the
            provider gave none.
        cost: tokens (read and written), dollars where a price is known, seconds. Tokens and dollars are those of the
            answer's making, also when it is read from the cache now.
        cached: whether it came without a request, out of the cache or from an equal prompt beside it.
        cut: whether it ended at ``max_tokens`` instead of its own end.
    """

    text: str = ""
    failed: str | None = None
    parsed: Any = None
    logprobs: tuple[Mapping[str, float], ...] = ()
    cost: Cost = field(default_factory=Cost)
    cached: bool = False
    cut: bool = False


_FENCE = re.compile(r"```(?:json)?\s*(.*?)```", re.DOTALL)


def json_in(text: str) -> Any:
    """The JSON value in an answer: the whole of it, a fenced block, or the first object or list that stands in talk.

    Raises:
        ValueError: there is none, or the answer is JSON that is broken or was cut off. Pieces of it are never taken for it.
    """
    candidates = [text.strip(), *(m.group(1).strip() for m in _FENCE.finditer(text))]
    for candidate in candidates:
        try:
            return json.loads(candidate, strict=False)  # a line break inside a string is a small model's slip
        except ValueError:
            continue
    decoder, at = json.JSONDecoder(strict=False), 0
    while (start := _next(text, at)) is not None:
        try:
            return decoder.raw_decode(text, start)[0]
        except json.JSONDecodeError as error:
            if error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated"):
                raise ValueError("the JSON of the answer does not end") from error
            if not text[:start].strip():
                raise ValueError(f"the answer is broken JSON ({error.msg} at character {error.pos})") from error
            at = start + 1
    raise ValueError("no JSON in the answer")


def _next(text: str, at: int) -> int | None:
    return next((i for i in range(at, len(text)) if text[i] in "{["), None)
