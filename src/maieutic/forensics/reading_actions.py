"""Actions out of other people's records: OpenAI-style and Anthropic-style message lists, and Inspect's ``.eval`` logs.

A record says what happened, not what is suspicious: which message is the act is given as ``at`` (by default the last of the
assistant), and what counts as doing it again as ``act`` (by default: a call of the same tool, or the same words). Pictures,
files and signed or hidden reasoning are left out, and ``metadata["left_out"]`` says so; nothing disappears silently.

What this module does not do: write such records, or run anything.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, cast

from maieutic.errors import MissingExtraError, UsageError, UserError
from maieutic.forensics.action import Act, Action, Message, Role, Sampling, ToolCall, action_from_json, read_json

Form = Literal["maieutic", "openai", "anthropic", "eval"]
_ROLES: Mapping[str, Role] = {
    "system": "system", "developer": "system", "user": "user", "assistant": "assistant", "tool": "tool", "function": "tool",
}  # fmt: skip


def load_action(
    path: Path | str, *, at: int | None = None, act: Act | None = None, sample: str | None = None, model: str = ""
) -> Action:
    """The action of a file in any form that is read here; the form is told by its contents.

    Args:
        path: JSON, or an Inspect log (``.eval``, ``.json``).
        at: number of the message that is the act, as in the record, negative from the end; else the assistant's last.
        act: what counts as doing it again; else the same call or the same words.
        sample: id of the sample of a log with several.
        model: who acted, where the record does not say.

    Raises:
        UserError: the file cannot be read, is in no known form, or has no such message or sample.
        MissingExtraError: Inspect is not installed and the file is a log.
    """
    path = Path(path)
    if path.suffix == ".eval":
        return from_eval(path, at=at, act=act, sample=sample)
    data = read_json(path)
    form = form_of(data)
    if form == "maieutic":
        return action_from_json(data, where=str(path))
    if form == "eval":
        return from_eval(path, at=at, act=act, sample=sample)
    if form is None:
        raise UserError(f"{path} is no transcript: give messages with role and content, or an Inspect log")
    read = from_openai if form == "openai" else from_anthropic
    return read(data, at=at, act=act, id=path.stem, model=model)


def form_of(data: Any) -> Form | None:
    """In which form a JSON value is, or ``None``."""
    if isinstance(data, Mapping):
        if "maieutic_action" in data:
            return "maieutic"
        if "eval" in data and "status" in data:
            return "eval"
    rows = _rows(data)
    if not rows or not all(isinstance(r, Mapping) and "role" in r for r in rows):
        return None
    kinds = {
        b.get("type")
        for r in rows
        if isinstance(r.get("content"), list)
        for b in r["content"]
        if isinstance(b, Mapping)
    }
    system = isinstance(data, Mapping) and "system" in data
    return "anthropic" if system or kinds & {"tool_use", "tool_result", "thinking", "redacted_thinking"} else "openai"


def from_openai(
    data: Any, *, at: int | None = None, act: Act | None = None, id: str = "action", model: str = ""
) -> Action:
    """Chat-completions messages: a list, or a request with ``messages``, ``tools``, ``model``, ``temperature`` …

    Raises:
        UserError: a message is none, or there is no such act.
    """
    rows, left = _rows(data), list[str]()
    messages = [_openai(row, n, left) for n, row in enumerate(rows)]
    request = cast("Mapping[str, Any]", data) if isinstance(data, Mapping) else {}
    tools = [t.get("function", t) for t in request.get("tools") or [] if isinstance(t, Mapping)]
    return _action(messages, at=at, act=act, id=id, model=model or str(request.get("model") or ""), tools=tools,
                   sampling=_sampling(request), left=left)  # fmt: skip


def from_anthropic(
    data: Any, *, at: int | None = None, act: Act | None = None, id: str = "action", model: str = ""
) -> Action:
    """Messages-API messages: a list, or a request with ``system``, ``messages``, ``tools``, ``model`` …

    A user's message with results of tools becomes one message a result, and one for its text; ``at`` counts messages as
    they stand in the record.

    Raises:
        UserError: a message is none, or there is no such act.
    """
    rows, left = _rows(data), list[str]()
    request = cast("Mapping[str, Any]", data) if isinstance(data, Mapping) else {}
    names: dict[str, str] = {}
    messages: list[Message] = []
    last: list[int] = []  # number in the record -> of its last message here
    if request.get("system"):
        messages.append(Message(role="system", content=_text(request["system"], "system", left)))
    for n, row in enumerate(rows):
        messages += _anthropic(row, n, names, left)
        last.append(len(messages) - 1)
    where = None if at is None else _place(at, len(rows), last)
    tools = [
        {"name": t.get("name"), "description": t.get("description", ""), "parameters": t.get("input_schema", {})}
        for t in request.get("tools") or []
        if isinstance(t, Mapping)
    ]
    return _action(messages, at=where, act=act, id=id, model=model or str(request.get("model") or ""), tools=tools,
                   sampling=_sampling(request), left=left)  # fmt: skip


def from_eval(
    path: Path | str, *, at: int | None = None, act: Act | None = None, sample: str | None = None, epoch: int = 1
) -> Action:
    """A sample of an Inspect log (also logs of control-arena and Petri, which are Inspect's).

    Raises:
        MissingExtraError: Inspect is not installed.
        UserError: no log, no such sample, or a sample that ended in an error.
    """
    try:
        from inspect_ai.log import read_eval_log
    except ImportError as error:
        raise MissingExtraError(package="inspect-ai", extra="agents", feature=f"reading {path}") from error
    from maieutic.forensics.actor_model import message_of

    if not Path(path).exists():
        raise UserError(f"cannot read {path} (no such file): give a log that exists")
    try:
        log = read_eval_log(str(path))
    except Exception as error:  # a zip or JSON that is damaged; Inspect raises many kinds
        raise UserError(
            f"{path} is no Inspect log ({' '.join(str(error).split())[:120]}): give an .eval file"
        ) from error
    rows = [s for s in log.samples or [] if (sample is None or str(s.id) == sample) and s.epoch == epoch]
    if not rows or (sample is None and len(rows) > 1):
        known = ", ".join(str(s.id) for s in (log.samples or [])[:8])
        raise UsageError(f"{path} has {len(log.samples or [])} samples ({known}): choose one with  sample=")
    chosen = rows[0]
    left: list[str] = []
    messages: list[Message] = []
    for n, one in enumerate(chosen.messages):
        message = message_of(one)
        left += [f"message {n}: {kind}" for kind in re.findall(r"\[(\w+) left out\]", message.content)]
        messages.append(message)
    config = log.eval.model_generate_config
    sampling = {
        "temperature": config.temperature,
        "top_p": config.top_p,
        "max_tokens": config.max_tokens,
        "seed": config.seed,
    }
    ended = {"error": str(chosen.error.message)} if chosen.error else {}
    return _action(messages, at=at, act=act, id=f"{log.eval.task}-{chosen.id}".replace("/", "-"), model=log.eval.model,
                   tools=[], sampling=_sampling(sampling), left=left, metadata={"log": Path(path).name, **ended})  # fmt: skip


# --- the act in a transcript -------------------------------------------------------------------------------------


def act_of(message: Message) -> Act:
    """Doing the same again: a call of the first tool that was called, or the same words."""
    if message.tool_calls:
        return Act.tool_call(re.escape(message.tool_calls[0].name))
    if not message.content.strip():
        raise UserError("the message says nothing and calls nothing: say with  at=  which message is the act")
    return Act.continuation(message.content)


def _action(
    messages: Sequence[Message], *, at: int | None, act: Act | None, id: str, model: str,
    tools: Sequence[Mapping[str, Any]], sampling: Sampling, left: Sequence[str], metadata: Mapping[str, Any] | None = None,
) -> Action:  # fmt: skip
    said = [n for n, m in enumerate(messages) if m.role == "assistant"]
    if at is None and not said:
        raise UserError("the transcript has no message of an assistant: nothing in it can be the act")
    where = said[-1] if at is None else _place(at, len(messages))
    observed = messages[where]
    if observed.role != "assistant":
        raise UserError(f"message {where} is of role {observed.role}: the act is a message of the assistant")
    return Action(
        id=id, messages=tuple(messages[:where]), act=act or act_of(observed), sampling=sampling, model=model,
        observed=observed, tools=tuple(tools), metadata={**(metadata or {}), **({"left_out": list(left)} if left else {})},
    )  # fmt: skip


def _place(at: int, count: int, last: Sequence[int] | None = None) -> int:
    where = at + count if at < 0 else at
    if not 0 <= where < count:
        raise UsageError(f"there is no message {at}: the transcript has {count}, counted from 0")
    return where if last is None else last[where]


def _sampling(request: Mapping[str, Any]) -> Sampling:
    """Settings of a request; a provider's defaults where it names none."""
    limit = request.get("max_completion_tokens") or request.get("max_tokens")
    found = {"temperature": request.get("temperature"), "top_p": request.get("top_p"), "seed": request.get("seed")}
    return Sampling(**{k: v for k, v in {**found, "max_tokens": limit}.items() if v is not None})


# --- messages ----------------------------------------------------------------------------------------------------


def _rows(data: Any) -> list[Any]:
    rows = data.get("messages") if isinstance(data, Mapping) else data
    return rows if isinstance(rows, list) else []


def _openai(row: Any, n: int, left: list[str]) -> Message:
    role = _role(row, n)
    calls: list[ToolCall] = []
    for i, call in enumerate(row.get("tool_calls") or []):
        function = call.get("function", {})
        calls.append(
            ToolCall(id=str(call.get("id") or f"call-{n}-{i}"), name=str(function.get("name", "")),
                     arguments=_arguments(function.get("arguments"), n))
        )  # fmt: skip
    name = row.get("name")
    return Message(
        role=role, content=_text(row.get("content"), f"message {n}", left), tool_calls=tuple(calls),
        tool_call_id=row.get("tool_call_id"), name=str(name) if name else None,
    )  # fmt: skip


def _anthropic(row: Any, n: int, names: dict[str, str], left: list[str]) -> list[Message]:
    """The messages of one: results first, as they must stand there."""
    role, content = _role(row, n), row.get("content")
    blocks = [b for b in content if isinstance(b, Mapping)] if isinstance(content, list) else []
    results = [b for b in blocks if b.get("type") == "tool_result"]
    calls = [b for b in blocks if b.get("type") == "tool_use"]
    names |= {str(c.get("id")): str(c.get("name")) for c in calls}
    found = [
        Message(
            role="tool", content=_text(r.get("content"), f"message {n}", left), tool_call_id=str(r.get("tool_use_id")),
            name=names.get(str(r.get("tool_use_id"))),
        )
        for r in results
    ]  # fmt: skip
    rest = content if not isinstance(content, list) else [b for b in blocks if b not in results and b not in calls]
    text = _text(rest, f"message {n}", left)
    if text or calls or not found:
        made = tuple(
            ToolCall(id=str(c["id"]), name=str(c["name"]), arguments=_arguments(c.get("input"), n)) for c in calls
        )
        found.append(Message(role=role, content=text, tool_calls=made))
    return found


def _role(row: Any, n: int) -> Role:
    role = _ROLES.get(str(row.get("role"))) if isinstance(row, Mapping) else None
    if role is None:
        raise UserError(f"message {n} has no role that is known here: use system, user, assistant or tool")
    return role


def _arguments(value: Any, n: int) -> Mapping[str, Any]:
    """Arguments of a call: an object, or its JSON."""
    try:
        found = json.loads(value) if isinstance(value, str) and value.strip() else value or {}
    except ValueError as error:
        raise UserError(f"the arguments of a call in message {n} are no JSON ({error}): correct the record") from error
    if not isinstance(found, dict):
        raise UserError(f"the arguments of a call in message {n} are no object: correct the record")
    return cast("Mapping[str, Any]", found)


def _text(content: Any, where: str, left: list[str]) -> str:
    """The text of a message's content; what is no text is named in its place and in ``left``."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    found: list[str] = []
    for block in content if isinstance(content, list) else [content]:
        kind = block.get("type") if isinstance(block, Mapping) else None
        if isinstance(block, str):
            found.append(block)
        elif kind in ("text", "input_text", "output_text"):
            found.append(str(block.get("text", "")))
        elif kind == "thinking":
            found.append(f"<think>{block.get('thinking', '')}</think>\n")
        elif kind == "refusal":
            found.append(str(block.get("refusal", "")))
        else:
            left.append(f"{where}: {kind or type(block).__name__}")
            found.append(f"[{kind or type(block).__name__} left out]")
    return "".join(found)
