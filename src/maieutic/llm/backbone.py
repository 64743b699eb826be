"""Backbone: one model of one provider, asked from ordinary (not async) code; many prompts run at once.

Requests run on one background event loop that all backbones share, so clients live as long as the process. Answers are
cached by Inspect without expiry unless told otherwise, so a repeated run sends nothing twice and gives the same bytes.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import re
import threading
import time
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from maieutic.errors import MissingExtraError, UsageError
from maieutic.llm.answers import Answer, Prompt, json_in
from maieutic.readings import Cost

if TYPE_CHECKING:
    from inspect_ai.model import ChatMessage, GenerateConfig, Model, ModelOutput, ModelUsage

T = TypeVar("T")


@dataclass(kw_only=True)
class Backbone:
    """A model behind Inspect. Make one with ``backbone``.

    Attributes:
        name: ``provider/model`` as Inspect writes it.
        cache: whether answers are kept and reused for the same question.
        spent: everything asked so far.
    """

    name: str
    model: Model = field(repr=False)
    cache: bool = True
    spent: Cost = field(default_factory=Cost)
    #: how structured output is asked for: the provider's own schemas until one of them turned that down
    _form: str = "schema"

    def ask(self, prompts: Sequence[Prompt]) -> list[Answer]:
        """Answers in the order of the prompts. One that fails after all retries is an ``Answer`` with ``failed`` set."""

        async def every() -> list[Answer]:
            return list(await asyncio.gather(*(self.answer(p) for p in prompts)))

        answers = _wait(every())
        self.spent = sum((a.cost for a in answers), self.spent)
        return answers

    async def answer(self, prompt: Prompt) -> Answer:
        """One answer, for code that runs on an event loop of its own (an Inspect evaluation). Not counted in ``spent``."""
        started = time.perf_counter()
        try:
            output = await self._generate(prompt)
        except Exception as error:  # whatever a provider raises is this prompt's failure, reported with its reason
            return Answer(failed=_one_line(error), cost=Cost(seconds=time.perf_counter() - started))
        return _answer(output, prompt, time.perf_counter() - started)

    async def _generate(self, prompt: Prompt) -> ModelOutput:
        from inspect_ai.model import CachePolicy

        policy = CachePolicy(expiry=None) if self.cache else False
        messages = _messages(prompt)
        try:
            return await self.model.generate(messages, config=_config(prompt, self._form), cache=policy)
        except Exception as error:
            # servers without json_schema answer 400 or 500 about response_format; the older form says the same
            if prompt.schema is None or self._form != "schema" or "response_format" not in str(error):
                raise
            self._form = "json_object"
            return await self.model.generate(messages, config=_config(prompt, self._form), cache=policy)


def backbone(
    model: str,
    *,
    base_url: str | None = None,
    temperature: float | None = 0.0,
    max_tokens: int = 1024,
    seed: int | None = None,
    cache: bool = True,
    connections: int = 8,
    retries: int = 5,
    timeout: int = 120,
) -> Backbone:
    """A backbone of any Inspect provider.

    Args:
        model: ``provider/model`` (``anthropic/…``, ``openai/…``, ``google/…``, ``vllm/…``, ``ollama/…``,
            ``openai-api/<service>/<model>`` for any OpenAI-compatible server).
        base_url: of the server; ``None``: the provider's own, or its environment variable.
        temperature: ``None`` leaves it to the provider (some models accept no other).
        max_tokens: of an answer.
        seed: where the provider takes one.
        cache: keep answers without expiry.
        connections: requests at once.
        retries: of one request, with growing waits between them.
        timeout: seconds of one attempt.

    Raises:
        MissingExtraError: Inspect or the provider's package is not installed.
        UsageError: the name is no model of a known provider.
    """
    return Backbone(
        name=model,
        model=open_model(
            model, base_url=base_url, temperature=temperature, max_tokens=max_tokens, seed=seed,
            connections=connections, retries=retries, timeout=timeout,
        ),
        cache=cache,
    )  # fmt: skip


def open_model(
    model: str,
    *,
    base_url: str | None = None,
    temperature: float | None = 0.0,
    max_tokens: int = 1024,
    seed: int | None = None,
    connections: int = 8,
    retries: int = 5,
    timeout: int = 120,
) -> Model:
    """The Inspect model behind a backbone, for code that runs inside an Inspect evaluation. Not shared between loops."""
    if "/" not in model:
        raise UsageError(f"{model!r} is no model: write provider/model, as in  --model openai/gpt-5-mini")
    try:
        from inspect_ai.model import GenerateConfig, get_model
    except ImportError as error:
        raise MissingExtraError(package="inspect-ai", extra="agents", feature=f"the model {model}") from error
    from maieutic.llm import scripted

    scripted.register()
    config = GenerateConfig(
        temperature=temperature, max_tokens=max_tokens, seed=seed, max_connections=connections, max_retries=retries,
        attempt_timeout=timeout, timeout=timeout * (retries + 1),
    )  # fmt: skip
    # one loud line of httpx for every request would bury everything else
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        return get_model(model, config=config, base_url=base_url, memoize=False)
    except UsageError:
        raise
    except Exception as error:
        what = _one_line(error)
        raise UsageError(
            f"cannot use the model {model}: {what}: check its name, its key and its server (--base-url)"
        ) from error


def _config(prompt: Prompt, form: str) -> GenerateConfig:
    from inspect_ai.model import GenerateConfig, ResponseSchema

    config = GenerateConfig(max_tokens=prompt.max_tokens)
    if prompt.logprobs:
        config.logprobs, config.top_logprobs = True, prompt.logprobs
    if prompt.schema is not None and form == "schema":
        # the class takes Inspect's own model of a schema; plain JSON is read into it
        config.response_schema = ResponseSchema.model_validate({"name": "answer", "json_schema": dict(prompt.schema)})
    elif prompt.schema is not None:
        config.extra_body = {"response_format": {"type": "json_object", "schema": dict(prompt.schema)}}
    return config


def _messages(prompt: Prompt) -> list[ChatMessage]:
    from inspect_ai.model import ChatMessageAssistant, ChatMessageSystem, ChatMessageUser, ContentImage, ContentText

    messages: list[ChatMessage] = []
    if prompt.system:
        messages.append(ChatMessageSystem(content=prompt.system))
    for turn in prompt.turns:
        content = [ContentText(text=turn.text), *(ContentImage(image=data_uri(i)) for i in turn.images)]
        kind = ChatMessageUser if turn.role == "user" else ChatMessageAssistant
        messages.append(kind(content=content if turn.images else turn.text))
    return messages


def data_uri(image: Any) -> str:
    """A picture as a PNG data URI, the one form that every provider takes."""
    import base64
    import io

    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, format="PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def _answer(output: ModelOutput, prompt: Prompt, seconds: float) -> Answer:
    cost = cost_of(output.usage, seconds=seconds)
    text = output.completion
    if output.error or output.empty:
        return Answer(failed=f"no answer: {_line(output.error or 'the provider sent no choice')}", cost=cost)
    stop = output.stop_reason
    if stop == "content_filter":
        return Answer(text=text, failed="refused", cost=cost)
    if not text.strip():
        return Answer(failed=f"empty answer (stopped: {stop})", cost=cost)
    found = output.choices[0].logprobs
    tops = tuple({t.token: t.logprob for t in (p.top_logprobs or [])} for p in found.content) if found else ()
    if prompt.schema is None:
        return Answer(text=text, logprobs=tops, cost=cost)
    try:
        parsed = _checked(json_in(text), prompt.schema)
    except ValueError as error:
        short = " (cut off at max_tokens)" if stop == "max_tokens" else ""
        return Answer(text=text, failed=f"{_line(str(error))}{short}", logprobs=tops, cost=cost)
    return Answer(text=text, parsed=parsed, logprobs=tops, cost=cost)


def _checked(value: Any, schema: Any) -> Any:
    import jsonschema

    try:
        jsonschema.validate(value, schema)
    except jsonschema.ValidationError as error:
        where = "/".join(str(p) for p in error.absolute_path) or "answer"
        raise ValueError(f"the answer does not follow its schema ({where}: {_line(error.message)})") from error
    return value


def cost_of(usage: ModelUsage | None, *, seconds: float = 0.0) -> Cost:
    """Inspect's usage as a cost: all tokens read and written (cached ones too), and dollars where a price is known."""
    if usage is None:
        return Cost(seconds=seconds)
    tokens = usage.total_tokens or usage.input_tokens + usage.output_tokens
    return Cost(llm_tokens=tokens, dollars=usage.total_cost or 0.0, seconds=seconds)


def _one_line(error: BaseException) -> str:
    inner = error
    while type(inner).__name__ == "RetryError" and inner.__cause__ is not None:
        inner = inner.__cause__
    return f"{type(inner).__name__}: {_line(str(inner) or 'no message')}"


def _line(text: str) -> str:
    """One line of at most 200 characters, without the colour marks that Inspect writes."""
    first = " ".join(re.sub(r"\[/?(?:bold|blue|red|dim)[^\]]*\]", "", text).split())
    return first if len(first) <= 200 else first[:197] + "…"


# --- the background loop -----------------------------------------------------------------------------------------------

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None


def _wait(work: Coroutine[Any, Any, T]) -> T:
    """Run on the shared loop and wait; an interrupt here cancels what was asked."""
    future = asyncio.run_coroutine_threadsafe(work, _running())
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise


def _running() -> asyncio.AbstractEventLoop:
    global _loop
    with _lock:
        if _loop is None:
            _loop = asyncio.new_event_loop()
            threading.Thread(target=_loop.run_forever, name="maieutic-llm", daemon=True).start()
            atexit.register(_loop.call_soon_threadsafe, _loop.stop)
        return _loop
