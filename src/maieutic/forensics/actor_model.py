"""Any Inspect model as an actor: a black box that is known by its answers alone.

Answers come through the language-model layer (`maieutic.llm`): many at once, retried, cached by seed, so a repeated
investigation sends nothing twice. A refusal, an error or an empty answer is a failed sample with its reason. Providers
refuse empty messages, so one that an experiment emptied is sent as ``(empty)``.

What this module does not do: log-probabilities of a fixed continuation (providers do not offer them).
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from maieutic.errors import UsageError
from maieutic.forensics.action import Context, Message, Sampling, ToolCall, plain
from maieutic.forensics.actor import Sample, Spent
from maieutic.llm import Backbone, backbone, background
from maieutic.llm.messages import cost_of, unusable
from maieutic.llm.opening import EmptyError, ModelError, policy
from maieutic.subjects.base import TokenSpan

if TYPE_CHECKING:
    from inspect_ai.model import ChatMessage, ModelOutput
    from inspect_ai.tool import ToolInfo

EMPTY = "(empty)"


class ModelActor:
    """Black box. See `Actor`."""

    white_box = False

    def __init__(
        self,
        model: str | Backbone,
        *,
        sampling: Sampling | None = None,
        tools: Sequence[Mapping[str, Any]] = (),
        **options: Any,
    ) -> None:
        """Open a model.

        Args:
            model: ``provider/model``, or a backbone that is open.
            sampling: settings of fresh samples.
            tools: definitions that the model is given: ``name``, ``description``, ``parameters`` (JSON schema).
            options: passed on to `maieutic.llm.backbone` (``base_url``, ``connections`` …).

        Raises:
            MissingExtraError: Inspect or the provider's package is not installed.
            UsageError: the name is no model of a known provider.
        """
        self.backbone = backbone(model, temperature=None, **options) if isinstance(model, str) else model
        self.name, self.sampling, self.tools = self.backbone.name, sampling or Sampling(), tuple(tools)
        self.spent = Spent()

    def logprobs(self, contexts: Sequence[Context], continuation: str) -> list[float]:
        """A black box has none.

        Raises:
            UsageError: always.
        """
        raise UsageError(f"{self.name} is a black box: ask about samples, as in  Act.regex(…)")

    def samples(
        self, contexts: Sequence[Context], *, n: int, seed: int, sampling: Sampling | None = None
    ) -> list[list[Sample]]:
        """See `Actor.samples`; the provider is given the seed and may ignore it.

        Raises:
            UsageError: the provider does not know the key or the model.
        """
        chosen, started = sampling or self.sampling, time.perf_counter()
        each = 1 if chosen.temperature == 0 else n

        async def every() -> list[Sample]:
            jobs = [self._one(c, chosen, seed + i) for c in contexts for i in range(each)]
            tasks = [asyncio.ensure_future(j) for j in jobs]
            try:
                return await asyncio.gather(*tasks)
            finally:  # one raised: the others would go on spending
                for task in tasks:
                    task.cancel()

        flat = background.wait(every())
        self.spent += Spent(samples=len(flat), seconds=time.perf_counter() - started)
        rows = [flat[i * each : (i + 1) * each] for i in range(len(contexts))]
        return [row * n if each < n else row for row in rows]

    def tokens(self, text: str) -> list[TokenSpan]:
        """Words: the provider's vocabulary is not known."""
        return [TokenSpan(m.group(), m.start(), m.end()) for m in re.finditer(r"\s*\S+\s*|\s+", text)]

    async def _one(self, context: Context, sampling: Sampling, seed: int) -> Sample:
        from inspect_ai.model import GenerateConfig

        config = GenerateConfig(
            temperature=sampling.temperature, top_p=sampling.top_p if sampling.top_p < 1 else None,
            max_tokens=sampling.max_tokens, seed=seed,
        )  # fmt: skip
        model = self.backbone.model
        try:
            output = await model.generate(
                chat_messages(context), tools=_tools(self.tools), config=config,
                cache=policy(model) if self.backbone.cache else False,
            )  # fmt: skip
        except (ModelError, EmptyError) as error:
            return Sample(message=None, failed=str(error))
        cost = cost_of(output.usage)
        self.spent += Spent(tokens=cost.llm_tokens, dollars=cost.dollars)
        return sample_of(output)


def sample_of(output: ModelOutput) -> Sample:
    """An output of Inspect as a sample; one that says nothing usable is a failed sample."""
    called = not output.empty and bool(output.choices[0].message.tool_calls)
    reason = None if called else unusable(output)
    if reason is not None:
        return Sample(message=None, failed=reason)
    return Sample(message=message_of(output.choices[0].message))


def message_of(message: ChatMessage) -> Message:
    """A message of Inspect as ours: text, and reasoning before it between ``<think>`` marks."""
    parts: list[str] = []
    content = [] if isinstance(message.content, str) else message.content
    for part in content:
        if part.type == "reasoning" and not part.redacted:
            parts.append(f"<think>{part.reasoning}</think>\n")
        elif part.type == "text":
            parts.append(part.text)
        else:
            parts.append(f"[{part.type} left out]")
    calls: list[ToolCall] = []
    if message.role == "assistant":
        calls = [ToolCall(id=c.id, name=c.function, arguments=c.arguments) for c in message.tool_calls or []]
    told = message if message.role == "tool" else None
    text = message.content if isinstance(message.content, str) else "".join(parts)
    if told is not None and told.error is not None and not text:
        text = f"Error: {told.error.message}"
    return Message(
        role=message.role, content=text, tool_calls=tuple(calls),
        tool_call_id=told.tool_call_id if told else None, name=told.function if told else None,
    )  # fmt: skip


def chat_messages(context: Context) -> list[ChatMessage]:
    """Ours as Inspect's. A last message of the assistant is sent as the beginning of its answer."""
    from inspect_ai.model import ChatMessageAssistant, ChatMessageSystem, ChatMessageTool, ChatMessageUser
    from inspect_ai.tool import ToolCall as Call

    found: list[ChatMessage] = []
    for m in context:
        text = m.content or ("" if m.tool_calls else EMPTY)
        if m.role == "assistant":
            calls = [Call(id=c.id, function=c.name, arguments=plain(c.arguments)) for c in m.tool_calls]
            found.append(ChatMessageAssistant(content=text, tool_calls=calls or None))
        elif m.role == "tool":
            found.append(ChatMessageTool(content=text, tool_call_id=m.tool_call_id, function=m.name))
        else:
            found.append(ChatMessageSystem(content=text) if m.role == "system" else ChatMessageUser(content=text))
    return found


def _tools(tools: Sequence[Mapping[str, Any]]) -> list[ToolInfo]:
    from inspect_ai.tool import ToolInfo

    return [
        ToolInfo.model_validate(
            {"name": t["name"], "description": t.get("description", ""), "parameters": t.get("parameters", {})}
        )
        for t in tools
    ]
