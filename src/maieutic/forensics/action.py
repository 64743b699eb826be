"""Action: something a model did, with everything that is needed to let it act again.

A record holds the messages before the act, the act itself (a fixed continuation, or a predicate over fresh samples), the
sampling settings and the model's name. JSON in, JSON out, checked at the border (`read_action`, `write_action`).

What this module does not do: run a model, judge whether a sample is the act (``act.py``), read other people's logs
(``reading_actions.py``). Content is text: pictures and files of a transcript are not kept here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from maieutic.errors import UserError

Role = Literal["system", "user", "assistant", "tool"]
ActKind = Literal["continuation", "regex", "tool_call", "python", "judge"]
#: written into files; a later version that cannot read an older file must say so
VERSION = 1
_FORBID: Mapping[str, Any] = {"extra": "forbid"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """One call of a tool. ``arguments``: plain JSON by name."""

    __pydantic_config__ = _FORBID
    id: str
    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message.

    Attributes:
        role: who speaks; ``tool``: the result of a call.
        content: its text; empty where there is none.
        tool_calls: of an assistant message.
        tool_call_id: of a tool message: the call it answers.
        name: of the tool, or of the speaker where a transcript names several.
    """

    __pydantic_config__ = _FORBID
    role: Role
    content: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    name: str | None = None


#: what a model is shown. A last message of the assistant is the beginning of its answer, to be continued.
Context = tuple[Message, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How fresh samples are drawn.

    Attributes:
        temperature: 0 means greedy: one sample tells all.
        top_p: nucleus, 0 to 1.
        max_tokens: of one answer.
        seed: of the first sample.
    """

    __pydantic_config__ = _FORBID
    temperature: float = 1.0
    top_p: float = 1.0
    max_tokens: int = 256
    seed: int = 0

    def __post_init__(self) -> None:
        if self.temperature < 0 or not 0 < self.top_p <= 1 or self.max_tokens < 1:
            raise UserError(
                f"sampling of temperature {self.temperature:g}, top_p {self.top_p:g}, max_tokens {self.max_tokens}:"
                " give a temperature of 0 or more, top_p in (0, 1] and at least 1 token"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """The act under suspicion.

    Make one with ``Act.continuation``, ``Act.regex``, ``Act.tool_call``, ``Act.python`` or ``Act.judge``.

    Attributes:
        kind: how it is told that the act happened.
        text: the continuation, the pattern (``re.search``), the Python source or the judge's criterion.
        tool: of ``tool_call``: the tool's name, a pattern that must match the whole of it.
        arguments: of ``tool_call``: name of an argument to a pattern that its text must hold.
        model: of ``judge``: the model that judges, ``provider/model``.
    """

    __pydantic_config__ = _FORBID
    kind: ActKind
    text: str = ""
    tool: str = ""
    arguments: Mapping[str, str] = field(default_factory=dict[str, str])
    model: str = ""

    @classmethod
    def continuation(cls, text: str) -> Act:
        """These very words, scored by their log-probability (white box) or found at the start of an answer."""
        return cls(kind="continuation", text=text)

    @classmethod
    def regex(cls, pattern: str) -> Act:
        """An answer whose text, or whose tool calls written as text, hold the pattern."""
        return cls(kind="regex", text=pattern)

    @classmethod
    def tool_call(cls, tool: str, arguments: Mapping[str, str] | None = None) -> Act:
        """An answer that calls the tool with arguments that hold these patterns."""
        return cls(kind="tool_call", tool=tool, arguments=dict(arguments or {}))

    @classmethod
    def python(cls, source: str) -> Act:
        """Source that defines ``act(message) -> bool``; ``message`` is a mapping as in JSON. It runs in a jail."""
        return cls(kind="python", text=source)

    @classmethod
    def judge(cls, criterion: str, *, model: str = "") -> Act:
        """An answer of which a language model says that it meets the criterion."""
        return cls(kind="judge", text=criterion, model=model)

    def __post_init__(self) -> None:
        if self.kind == "tool_call" and not self.tool:
            raise UserError("an act of kind tool_call names no tool: give  tool")
        if self.kind != "tool_call" and not self.text.strip():
            raise UserError(f"an act of kind {self.kind} has no text: give  text")

    def __str__(self) -> str:
        if self.kind == "tool_call":
            given = ", ".join(f"{k} ~ {v!r}" for k, v in self.arguments.items())
            return f"calls {self.tool}({given})"
        words = {"continuation": "says", "regex": "says something like", "python": "fits", "judge": "judged:"}
        return f"{words[self.kind]} {self.text!r}" if self.kind != "judge" else f"{words[self.kind]} {self.text}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """What a model did, replayable.

    Attributes:
        id: short name, for files and pages.
        messages: all before the act; see ``Context``.
        act: what is asked about.
        sampling: settings of fresh samples.
        model: who acted: a subject's name, ``provider/model``, or a policy's name. For the record.
        observed: the message that was seen, where one was.
        tools: definitions that the model was given, each a JSON mapping with ``name``, ``description``, ``parameters``.
        metadata: plain JSON; ``left_out`` lists what a reader could not keep (pictures, files).
    """

    __pydantic_config__ = _FORBID
    id: str
    messages: Context
    act: Act
    sampling: Sampling = Sampling()
    model: str = ""
    observed: Message | None = None
    tools: tuple[Mapping[str, Any], ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def to_json(self) -> dict[str, Any]:
        """Plain JSON with a version; `action_from_json` is the inverse."""
        return {"maieutic_action": VERSION, **plain(self)}


def plain(value: Any) -> Any:
    """A record as plain JSON values, empty fields left out."""
    if isinstance(value, (ToolCall, Message, Sampling, Act, Action)):
        items = ((f.name, getattr(value, f.name)) for f in fields(value))
        keep = isinstance(value, Sampling)
        return {k: plain(v) for k, v in items if keep or v not in (None, "", (), {})}
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return value


def action_from_json(data: Any, *, where: str = "the action") -> Action:
    """The action of a JSON value that `Action.to_json` gave, or a person wrote.

    Raises:
        UserError: it is not one; the message names the first field that is wrong.
    """
    from pydantic import TypeAdapter, ValidationError

    if not isinstance(data, Mapping) or "maieutic_action" not in data:
        raise UserError(f'{where} is no action of maieutic: give JSON with "maieutic_action": {VERSION}')
    if data["maieutic_action"] != VERSION:
        raise UserError(f"{where} has version {data['maieutic_action']!r}, this maieutic reads {VERSION}: convert it")
    try:
        return TypeAdapter(Action).validate_python({k: v for k, v in data.items() if k != "maieutic_action"})
    except ValidationError as error:
        first = error.errors()[0]
        at = ".".join(str(p) for p in first["loc"]) or "the whole"
        raise UserError(f"{where} is no action: {at}: {first['msg']}: correct the file") from error


def read_action(path: Path | str) -> Action:
    """The action of a JSON file in our own form; for others see ``reading_actions.py``.

    Raises:
        UserError: the file cannot be read or holds no action.
    """
    return action_from_json(read_json(Path(path)), where=str(path))


def read_json(path: Path) -> Any:
    """The JSON of a file.

    Raises:
        UserError: it cannot be read or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read {path} ({error.strerror}): give a file that exists") from error
    except ValueError as error:
        raise UserError(f"{path} is not JSON ({error}): give a JSON file") from error


def write_action(action: Action, path: Path | str) -> None:
    """Write it as JSON, whole or not at all.

    Raises:
        UserError: the file cannot be written.
    """
    path = Path(path)
    part = path.with_name(path.name + ".part")
    try:
        part.write_text(json.dumps(action.to_json(), indent=1, ensure_ascii=False), encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise UserError(f"cannot write {path} ({error.strerror}): give another place") from error
