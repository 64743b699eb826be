"""A transcript as the one text that a language model reads, and an answer's text as a message.

A tokenizer's chat template is used where it has one. Templates differ in what they show: one that never mentions tool
calls drops them silently, one that knows no role ``tool`` refuses it. So calls are then written into the message as
``<tool_call>{"name": …, "arguments": …}</tool_call>``, and results as a user's message. Without a template the transcript
is plain: a line ``User:``, ``Assistant:`` … before each message.

What this module does not do: tokenize, or run anything. A template may add words of its own (a default system message).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from maieutic.errors import UserError
from maieutic.forensics.action import Context, Message, ToolCall, plain

#: what stands before each message of a plain transcript
HEADERS: Mapping[str, str] = {"system": "System", "user": "User", "assistant": "Assistant", "tool": "Tool"}
_CALL = re.compile(r"<tool_call>\s*(\{.*?\})\s*</tool_call>", re.DOTALL)
_NEXT = re.compile(r"\n\n(?:System|User|Assistant|Tool):")


def call_text(call: ToolCall) -> str:
    """One call as text."""
    given = json.dumps({"name": call.name, "arguments": plain(call.arguments)}, ensure_ascii=False)
    return f"<tool_call>{given}</tool_call>"


def message_text(message: Message) -> str:
    """Content and calls of a message as one text: what patterns are looked for in."""
    return "\n".join([*([message.content] if message.content else []), *(call_text(c) for c in message.tool_calls)])


def parse_answer(text: str) -> Message:
    """The assistant's message of an answer's text. What looks like a call but is no JSON object stays text."""
    calls: list[ToolCall] = []

    def taken(match: re.Match[str]) -> str:
        try:
            found = json.loads(match.group(1))
        except ValueError:
            return match.group(0)
        name, arguments = found.get("name"), found.get("arguments", {})
        if not isinstance(name, str) or not isinstance(arguments, dict):
            return match.group(0)
        calls.append(ToolCall(id=f"call-{len(calls)}", name=name, arguments=arguments))
        return ""

    content = _CALL.sub(taken, text)
    return Message(role="assistant", content=content.strip() if calls else content, tool_calls=tuple(calls))


def plain_prompt(context: Context) -> str:
    """The transcript without a template, up to where the assistant goes on."""
    done, begun = _split(context)
    shown = "".join(f"{HEADERS[m.role]}: {message_text(m)}\n\n" for m in done)
    return f"{shown}{HEADERS['assistant']}:{begun and ' ' + begun}"


def plain_answer(text: str) -> str:
    """What the assistant says of a plain transcript, without the turns of others that a model goes on to write."""
    found = _NEXT.search(text)
    return text if found is None else text[: found.start()]


def template_prompt(tokenizer: Any, context: Context, *, tools: Sequence[Mapping[str, Any]] = ()) -> str:
    """The transcript in the tokenizer's chat template, up to where the assistant goes on.

    Raises:
        UserError: the template refuses the transcript.
    """
    done, begun = _split(context)
    template = str(tokenizer.chat_template)
    calls, results = "tool_calls" in template, "tool" in re.sub(r"tool_calls?|tools", "", template)
    # a template without a word on roles shows any role under its own name
    results = results or not re.search(r"role'?\]?\"?\s*==\s*['\"](user|assistant)", template)
    shown = [_shown(m, calls=calls, results=results) for m in done]
    given = [{"type": "function", "function": dict(t)} for t in tools] or None
    try:
        text = tokenizer.apply_chat_template(shown, tools=given, add_generation_prompt=True, tokenize=False)
    except Exception as error:  # jinja's errors, and whatever a template raises
        why = " ".join(str(error).split())[:120]
        raise UserError(f"the chat template refuses this transcript ({why}): use  plain=True") from error
    return str(text) + begun


def _split(context: Context) -> tuple[Context, str]:
    """Whole messages, and the beginning of the answer when the last message is the assistant's."""
    if context and context[-1].role == "assistant" and not context[-1].tool_calls:
        return context[:-1], context[-1].content
    return context, ""


def _shown(message: Message, *, calls: bool, results: bool) -> dict[str, Any]:
    """A message as templates take it."""
    if message.role == "tool":
        if not results:
            return {"role": "user", "content": f"Result of {message.name or 'the tool'}:\n{message.content}"}
        about = {"name": message.name, "tool_call_id": message.tool_call_id}
        return {"role": "tool", "content": message.content, **{k: v for k, v in about.items() if v}}
    if message.tool_calls and not calls:
        return {"role": message.role, "content": message_text(message)}
    shown: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        shown["tool_calls"] = [
            {"id": c.id, "type": "function", "function": {"name": c.name, "arguments": plain(c.arguments)}}
            for c in message.tool_calls
        ]
    return shown
