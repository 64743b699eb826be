"""What the loopback server says, as the JSON that OpenAI's chat completions have. Nothing here listens or sends.

Tokens are counted as characters / 4: a number that is the same everywhere, not a tokenizer's.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A tool call. Arguments given as text are sent as they are, broken or not."""

    name: str
    arguments: Mapping[str, Any] | str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the model says.

    Attributes:
        text: the message.
        calls: tool calls.
        refusal: a refusal instead of a message.
        finish: finish_reason; empty: what fits.
        logprobs: per token its alternatives, the likeliest of which was written.
        usage: tokens read and written, instead of characters / 4.
    """

    text: str = ""
    calls: tuple[Call, ...] = ()
    refusal: str | None = None
    finish: str = ""
    logprobs: tuple[Mapping[str, float], ...] = ()
    usage: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fail:
    """An error of the server."""

    status: int
    message: str = "no"
    code: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


def broken(reply: Reply, fault: str | None, tools: Collection[str]) -> Reply:
    """The reply with what the fault does to it; faults of tool calls leave a plain message alone."""
    match fault:
        case "refusal":
            return Reply(refusal="I cannot help with that.", finish="content_filter")
        case "empty":
            return Reply()
        case "broken-arguments" if reply.calls or tools:
            calls = reply.calls or (Call(name=sorted(tools)[0], arguments={"code": "1"}),)
            return replace(reply, calls=tuple(replace(c, arguments=_arguments(c)[:-2] or "{") for c in calls))
        case "unknown-tool" if reply.calls or tools:
            calls = reply.calls or (Call(name="", arguments={}),)
            return replace(reply, calls=tuple(replace(c, name="no_such_tool") for c in calls))
        case _:
            return reply


def completion(reply: Reply, body: Mapping[str, Any], *, number: int, without: Collection[str] = ()) -> dict[str, Any]:
    """The body of an answer that is not streamed."""
    choice: dict[str, Any] = {"index": 0, "message": _message(reply, number), "finish_reason": _finish(reply)}
    if body.get("logprobs") and reply.logprobs and "logprobs" not in without:
        choice["logprobs"] = {"content": [_token(t, int(body.get("top_logprobs") or 0)) for t in reply.logprobs]}
    return {**_head(body, number, "chat.completion"), "choices": [choice], "usage": _usage(reply, body)}


def chunks(reply: Reply, body: Mapping[str, Any], *, number: int) -> Iterator[dict[str, Any]]:
    """The same answer as the events of a stream, a few words each, usage last."""
    head = _head(body, number, "chat.completion.chunk")

    def chunk(delta: Mapping[str, Any], finish: str | None = None) -> dict[str, Any]:
        return {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}

    message = _message(reply, number)
    yield chunk({"role": "assistant", "content": ""})
    text = message["content"] or ""
    for start in range(0, len(text), 8):
        yield chunk({"content": text[start : start + 8]})
    if message.get("refusal"):
        yield chunk({"refusal": message["refusal"]})
    for i, call in enumerate(message.get("tool_calls") or ()):
        whole = call["function"]["arguments"]
        first = {"name": call["function"]["name"], "arguments": whole[:8]}
        yield chunk({"tool_calls": [{"index": i, "id": call["id"], "type": "function", "function": first}]})
        yield chunk({"tool_calls": [{"index": i, "function": {"arguments": whole[8:]}}]})
    yield chunk({}, _finish(reply))
    yield {**head, "choices": [], "usage": _usage(reply, body)}


def _head(body: Mapping[str, Any], number: int, kind: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{number}", "object": kind, "created": 0, "model": body.get("model", "")}


def _message(reply: Reply, number: int) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": reply.text or None, "refusal": reply.refusal}
    if reply.calls:
        message["tool_calls"] = [
            {"id": f"call_{number}_{i}", "type": "function", "function": {"name": c.name, "arguments": _arguments(c)}}
            for i, c in enumerate(reply.calls)
        ]
    return message


def _arguments(call: Call) -> str:
    return call.arguments if isinstance(call.arguments, str) else json.dumps(dict(call.arguments))


def _finish(reply: Reply) -> str:
    return reply.finish or ("tool_calls" if reply.calls else "stop")


def _token(alternatives: Mapping[str, float], top: int) -> dict[str, Any]:
    ranked = sorted(alternatives.items(), key=lambda t: (-t[1], t[0]))
    tops = [{"token": t, "logprob": p, "bytes": list(t.encode())} for t, p in ranked]
    return {**tops[0], "top_logprobs": tops[:top]}


def _usage(reply: Reply, body: Mapping[str, Any]) -> dict[str, int]:
    said = len(reply.text) + sum(len(_arguments(c)) for c in reply.calls)
    # a picture costs what its bytes would not tell: leave them out
    heard = sum(len(m["content"]) for m in body.get("messages", []) if isinstance(m.get("content"), str))
    read, written = reply.usage or (max(1, heard // 4), max(1, said // 4))
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
