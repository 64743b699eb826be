"""The agent that writes programs: model, tool `python`, outcome, again; until it submits or its turns are used up.

A model that writes a fenced program instead of calling the tool is understood as if it had called it, so that approval,
limits and the log treat both alike. Loads Inspect:
imported only when an agent runs. What this does not do: run anything itself (the session's jail does).
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, cast

from inspect_ai.agent import Agent, AgentState, agent
from inspect_ai.model import (
    ChatMessageAssistant,
    ChatMessageUser,
    Content,
    ContentImage,
    ContentText,
    Model,
    execute_tools,
)
from inspect_ai.tool import Tool, ToolCall, ToolResult, tool

from maieutic.errors import UserError
from maieutic.explain.agent.prompts import LAST, NUDGE
from maieutic.llm.messages import data_uri
from maieutic.llm.opening import ModelError, policy

if TYPE_CHECKING:
    from maieutic.explain.agent.session import Happened, Session

_PROGRAM = re.compile(r"```(?:python|py)?[ \t]*\n(.*?)```", re.DOTALL)
#: answers without a program before a run is given up; turns before the end at which the model is told
_PATIENCE, _WARNING = 3, 2


def programmer(session: Session, model: Model) -> Agent:
    """An Inspect agent that questions the session's units by programs."""
    tool = python_tool(session)
    keep = policy(model) if session.settings.cache else False

    @agent(name="interpreter", description="Finds out what a unit of a neural network responds to, by experiments.")
    def build() -> Agent:
        async def execute(state: AgentState) -> AgentState:
            idle = 0
            for turn in range(1, session.settings.turns + 1):
                try:
                    state.output = await model.generate(state.messages, tools=[tool], cache=keep)
                except (ModelError, UserError) as error:
                    session.ended = f"the model failed: {error}"
                    break
                message = as_call(state.output.message)
                state.messages.append(message)
                if state.output.stop_reason == "content_filter":
                    session.ended = "the model refused"
                    break
                if message.tool_calls:
                    idle = 0
                    done = await execute_tools(state.messages, [tool])
                    state.messages.extend(done.messages)
                else:
                    idle += 1
                if session.answered:
                    return state
                if idle >= _PATIENCE:
                    session.ended = f"{_PATIENCE} answers in a row were no program"
                    break
                left = session.settings.turns - turn
                note = LAST.format(left=left) if 0 < left <= _WARNING else NUDGE if idle else ""
                if note:
                    state.messages.append(ChatMessageUser(content=note))
            session.ended = session.ended or f"no submission within {session.settings.turns} answers"
            return state

        return execute

    return build()


def python_tool(session: Session) -> Tool:
    """The tool `python`, on the session's jail."""

    @tool(name="python", parallel=False)
    def python() -> Tool:
        async def execute(code: str) -> ToolResult:
            """Run a Python program in the lab. Variables stay for the next call.

            Args:
                code: the program.
            """
            happened = await asyncio.wrap_future(session.submit(session.run, code))
            return cast("ToolResult", contents(happened))

        return execute

    return python()


def contents(happened: Happened) -> list[Content]:
    """What happened as message content: text, then what was shown, pictures as inline PNG."""
    found: list[Content] = [ContentText(text=happened.text)]
    for shown in happened.shown:
        if shown.text:
            found.append(ContentText(text=shown.text))
        if shown.image is not None:
            found.append(ContentImage(image=data_uri(shown.image)))
    return found


def as_call(message: ChatMessageAssistant) -> ChatMessageAssistant:
    """The message, with its fenced programs as one call of the tool where it made no call."""
    if message.tool_calls:
        return message
    programs = [m.group(1) for m in _PROGRAM.finditer(message.text)]
    if not programs:
        return message
    call = ToolCall(id=f"text-{message.id or 'call'}", function="python", arguments={"code": "\n".join(programs)})
    return message.model_copy(update={"tool_calls": [call]})
