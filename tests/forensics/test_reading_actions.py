"""Actions read from records of others: the same conversation in three forms is the same action."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from maieutic.errors import UsageError, UserError
from maieutic.forensics.action import (
    Act,
    Action,
    Message,
    Sampling,
    ToolCall,
    action_from_json,
    read_action,
    write_action,
)
from maieutic.forensics.reading_actions import form_of, from_anthropic, from_eval, from_openai, load_action

CALL = ToolCall(id="c1", name="bash", arguments={"cmd": "ls"})
ACT = ToolCall(id="c2", name="wire", arguments={"to": "7", "amount": 5})
BEFORE = (
    Message(role="system", content="Be good."),
    Message(role="user", content="List the files."),
    Message(role="assistant", content="Sure.", tool_calls=(CALL,)),
    Message(role="tool", content="a.txt", tool_call_id="c1", name="bash"),
)
OBSERVED = Message(role="assistant", content="Now.", tool_calls=(ACT,))

OPENAI: dict[str, Any] = {
    "model": "m", "temperature": 0.5, "max_completion_tokens": 99, "seed": 4,
    "tools": [{"type": "function", "function": {"name": "bash", "parameters": {"type": "object"}}}],
    "messages": [
        {"role": "system", "content": "Be good."},
        {"role": "user", "content": [{"type": "text", "text": "List the files."}]},
        {"role": "assistant", "content": "Sure.", "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "bash", "arguments": "{\"cmd\": \"ls\"}"}}]},
        {"role": "tool", "tool_call_id": "c1", "name": "bash", "content": "a.txt"},
        {"role": "assistant", "content": "Now.", "tool_calls": [
            {"id": "c2", "type": "function", "function": {"name": "wire", "arguments": "{\"to\": \"7\", \"amount\": 5}"}}]},
    ],
}  # fmt: skip
ANTHROPIC: dict[str, Any] = {
    "model": "m", "temperature": 0.5, "max_tokens": 99, "system": [{"type": "text", "text": "Be good."}],
    "tools": [{"name": "bash", "input_schema": {"type": "object"}}],
    "messages": [
        {"role": "user", "content": "List the files."},
        {"role": "assistant", "content": [
            {"type": "text", "text": "Sure."}, {"type": "tool_use", "id": "c1", "name": "bash", "input": {"cmd": "ls"}}]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "c1", "content": [{"type": "text", "text": "a.txt"}]}]},
        {"role": "assistant", "content": [
            {"type": "text", "text": "Now."},
            {"type": "tool_use", "id": "c2", "name": "wire", "input": {"to": "7", "amount": 5}}]},
    ],
}  # fmt: skip


def test_our_own_form_comes_back_whole(tmp_path: Path) -> None:
    action = Action(
        id="x", messages=BEFORE, act=Act.regex("wire"), sampling=Sampling(temperature=0.3, seed=2), observed=OBSERVED,
        tools=({"name": "bash", "parameters": {"a": [1, None]}},), metadata={"left_out": ["message 1: image"]},
    )  # fmt: skip
    write_action(action, tmp_path / "a.json")
    assert read_action(tmp_path / "a.json") == action == load_action(tmp_path / "a.json")
    assert action_from_json(json.loads(json.dumps(action.to_json()))) == action


def test_two_providers_forms_give_the_same_action(tmp_path: Path) -> None:
    first, second = from_openai(OPENAI), from_anthropic(ANTHROPIC)
    assert first.messages == second.messages == BEFORE
    assert first.observed == second.observed == OBSERVED
    assert first.act == second.act == Act.tool_call("wire")
    assert first.sampling == Sampling(temperature=0.5, max_tokens=99, seed=4)
    assert second.sampling == Sampling(temperature=0.5, max_tokens=99)
    assert [t["name"] for t in first.tools] == [t["name"] for t in second.tools] == ["bash"]
    for name, data in (("a", OPENAI), ("b", ANTHROPIC), ("c", OPENAI["messages"])):
        (tmp_path / f"{name}.json").write_text(json.dumps(data))
        assert load_action(tmp_path / f"{name}.json").messages == BEFORE


def test_an_earlier_message_may_be_the_act() -> None:
    for read, data, at in ((from_openai, OPENAI, 2), (from_anthropic, ANTHROPIC, 1), (from_openai, OPENAI, -3)):
        found = read(data, at=at, act=Act.tool_call("bash"))
        assert found.messages == BEFORE[:2] and found.observed == BEFORE[2]
    with pytest.raises(UserError, match="role user: the act is a message of the assistant"):
        from_openai(OPENAI, at=1)
    with pytest.raises(UsageError, match="no message 9: the transcript has 5"):
        from_openai(OPENAI, at=9)
    with pytest.raises(UserError, match="no message of an assistant"):
        from_openai([{"role": "user", "content": "x"}])


def test_what_is_left_out_is_named() -> None:
    rows = [
        {
            "role": "user",
            "content": [{"type": "text", "text": "See "}, {"type": "image_url", "image_url": {"url": "x"}}],
        },
        {"role": "assistant", "content": "ok"},
    ]
    found = from_openai(rows)
    assert found.messages[0].content == "See [image_url left out]"
    assert found.metadata["left_out"] == ["message 0: image_url"]
    assert found.act == Act.continuation("ok")
    thought = [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm"}]},
    ]
    assert form_of(thought) == "anthropic"
    assert from_anthropic(thought, act=Act.regex("hm")).observed == Message(
        role="assistant", content="<think>hm</think>\n"
    )


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"maieutic_action": 2}, "has version 2"),
        ({"maieutic_action": 1, "id": "x"}, "messages"),
        (
            {"maieutic_action": 1, "id": "x", "messages": [{"role": "boss"}], "act": {"kind": "regex", "text": "a"}},
            "role",
        ),
        ({"maieutic_action": 1, "id": "x", "messages": [], "act": {"kind": "regex", "text": " "}}, "has no text"),
        ([{"role": "alien", "content": "x"}], "no role that is known"),
        ([{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{"}}]}], "no JSON"),
        ({"hello": 1}, "no transcript"),
        ([1, 2], "no transcript"),
    ],
)
def test_what_is_no_record_is_refused_in_one_line(data: Any, message: str, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(json.dumps(data))
    with pytest.raises(UserError, match=message) as caught:
        load_action(tmp_path / "x.json")
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="give a file that exists"):
        load_action(tmp_path / "none.json")
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(UserError, match="is not JSON"):
        load_action(tmp_path / "x.json")
    (tmp_path / "x.eval").write_bytes(b"no zip")
    with pytest.raises(UserError, match="is no Inspect log"):
        load_action(tmp_path / "x.eval")


def test_an_inspect_log_is_an_action(tmp_path: Path) -> None:
    from inspect_ai import Task
    from inspect_ai import eval as evaluate
    from inspect_ai.agent import react
    from inspect_ai.dataset import Sample
    from inspect_ai.tool import tool

    from maieutic.llm.opening import open_model
    from maieutic.llm.scripted import Said, script

    @tool
    def look():  # type: ignore[no-untyped-def]
        async def execute(where: str) -> str:
            """Look.

            Args:
                where: Place.
            """
            return f"nothing in {where}"

        return execute

    def says(messages: Any, tools: Any, config: Any) -> Said:
        if len(messages) < 4:
            return Said(text="I look.", tool="look", arguments={"where": "box"})
        return Said(text="Done.", tool="submit", arguments={"answer": "42"})

    model = open_model(script("log", says), temperature=0.7)
    task = Task(
        name="t",
        dataset=[Sample(id="s1", input="Look around."), Sample(id="s2", input="Wait.")],
        solver=react(tools=[look()]),
    )
    (log,) = evaluate(task, model=model, log_dir=str(tmp_path), display="none")
    found = from_eval(log.location, sample="s1")
    # Inspect writes the answer that was submitted behind the text of the message that calls submit
    assert found.observed is not None and found.observed.content.startswith("Done.")
    assert found.messages[-1] == Message(
        role="tool", content="nothing in box", tool_call_id=found.messages[-2].tool_calls[0].id, name="look"
    )
    assert found.sampling.temperature == 0.7 and found.model == "scripted/log"
    again = load_action(log.location, sample="s1", at=-3, act=Act.tool_call("look"))
    assert [m.role for m in again.messages] == [m.role for m in found.messages[:-2]]
    with pytest.raises(UsageError, match="2 samples .s1, s2.: choose one"):
        from_eval(log.location)
