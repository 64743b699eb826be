"""Prompts as Inspect's messages and settings, and Inspect's output as an answer. Nothing here sends anything."""

from __future__ import annotations

import base64
import io
import json
from typing import TYPE_CHECKING, Any, Literal

from maieutic.llm.answers import Answer, Prompt, json_in
from maieutic.llm.opening import line
from maieutic.readings import Cost

if TYPE_CHECKING:
    from inspect_ai.model import ChatMessage, Content, GenerateConfig, ModelOutput, ModelUsage

#: ways to ask for structured output, best first: the provider's own schemas, "some JSON" with the schema beside it (as
#: llama.cpp has it), words alone. The words are always there too: a constrained model must still know what is meant.
Form = Literal["schema", "json_object", "words"]
FORMS: tuple[Form, ...] = ("schema", "json_object", "words")


def config_of(prompt: Prompt, form: Form) -> GenerateConfig:
    """Settings of one request, over the model's own."""
    from inspect_ai.model import GenerateConfig, ResponseSchema

    config = GenerateConfig(max_tokens=prompt.max_tokens)
    if prompt.logprobs:
        config.logprobs, config.top_logprobs = True, prompt.logprobs
    if prompt.schema is not None and form == "schema":
        # the class takes Inspect's own model of a schema; plain JSON is read into it, and what it does not know (minItems,
        # $ref) is left to the check of the answer
        config.response_schema = ResponseSchema.model_validate({"name": "answer", "json_schema": dict(prompt.schema)})
    elif prompt.schema is not None and form == "json_object":
        config.extra_body = {"response_format": {"type": "json_object", "schema": dict(prompt.schema)}}
    return config


def messages_of(prompt: Prompt) -> list[ChatMessage]:
    """The conversation, with the schema in words at the end of the instructions."""
    from inspect_ai.model import ChatMessageAssistant, ChatMessageSystem, ChatMessageUser, ContentImage, ContentText

    messages: list[ChatMessage] = []
    system = prompt.system
    if prompt.schema is not None:
        asked = "Answer with one JSON value that follows this JSON schema, and nothing else:"
        system = f"{system}\n\n{asked}\n{json.dumps(prompt.schema)}".strip()
    if system:
        messages.append(ChatMessageSystem(content=system))
    for turn in prompt.turns:
        content: list[Content] = [ContentText(text=turn.text), *(ContentImage(image=data_uri(i)) for i in turn.images)]
        kind = ChatMessageUser if turn.role == "user" else ChatMessageAssistant
        messages.append(kind(content=content if turn.images else turn.text))
    return messages


def data_uri(image: Any) -> str:
    """A picture as a PNG data URI, the one form that every provider takes."""
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, format="PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def answer_of(output: ModelOutput, prompt: Prompt, *, seconds: float, cached: bool) -> Answer:
    """What came, or why it is of no use."""
    cost = cost_of(output.usage, seconds=seconds)
    if reason := unusable(output):
        return Answer(text="" if output.empty else output.completion, failed=reason, cost=cost, cached=cached)
    text, cut = output.completion, output.stop_reason == "max_tokens"
    found = output.choices[0].logprobs
    # the token that was written comes first: under constrained output it need not be the likeliest
    tops = tuple(
        {p.token: p.logprob, **{t.token: t.logprob for t in p.top_logprobs or []}}
        for p in (found.content if found else [])
    )
    if prompt.schema is None:
        return Answer(text=text, logprobs=tops, cost=cost, cached=cached, cut=cut)
    parsed, failed = None, None
    try:
        parsed = checked_json(text, prompt.schema)
    except ValueError as error:
        failed = "it was cut off at max_tokens: answer more shortly" if cut else line(str(error))
    return Answer(text=text, failed=failed, parsed=parsed, logprobs=tops, cost=cost, cached=cached, cut=cut)


def unusable(output: ModelOutput) -> str | None:
    """Why an output says nothing: an error, a refusal, an empty message. One line, or ``None``."""
    if output.error or output.empty:
        return f"no answer: {line(output.error or 'the provider sent no choice')}"
    message, stop = output.choices[0].message, output.stop_reason
    refused = not isinstance(message.content, str) and any(c.type == "text" and c.refusal for c in message.content)
    if stop == "content_filter" or refused:
        return f"refused: {line(output.completion)}" if output.completion.strip() else "refused"
    if stop == "model_length":  # what stands in the message is the server's complaint
        return f"the prompt is longer than the model's context: {line(output.completion)}"
    if not output.completion.strip():
        return f"empty answer (stopped: {stop})"
    return None


def checked_json(text: str, schema: Any) -> Any:
    """The JSON of an answer.

    Raises:
        ValueError: there is none, or it does not follow the schema; one line says where.
    """
    import jsonschema

    value = json_in(text)

    try:
        jsonschema.validate(value, schema)
    except jsonschema.ValidationError as error:
        where = "/".join(str(p) for p in error.absolute_path) or "answer"
        raise ValueError(f"the answer does not follow its schema ({where}: {line(error.message)})") from error
    return value


def cost_of(usage: ModelUsage | None, *, seconds: float = 0.0) -> Cost:
    """Inspect's usage as a cost: all tokens read and written (cached ones too), and dollars where a price is known."""
    if usage is None:
        return Cost(seconds=seconds)
    tokens = usage.total_tokens or usage.input_tokens + usage.output_tokens
    return Cost(llm_tokens=tokens, dollars=usage.total_cost or 0.0, seconds=seconds)
