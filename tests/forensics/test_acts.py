"""Whether an answer is the act: every kind, and every way in which it cannot be told."""

from __future__ import annotations

from typing import Any

import pytest

from maieutic.errors import UsageError, UserError
from maieutic.forensics.act import ActTest
from maieutic.forensics.action import Act, Message, Sampling, ToolCall
from maieutic.forensics.actor import Sample
from maieutic.llm.scripted import script


def answer(text: str = "", **arguments: Any) -> Sample:
    calls = (ToolCall(id="1", name="bash", arguments=arguments),) if arguments else ()
    return Sample(message=Message(role="assistant", content=text, tool_calls=calls))


FAILED = Sample(message=None, failed="refused")


def verdicts(act: Act, *samples: Sample, **more: Any) -> list[bool | None]:
    with ActTest(act, **more) as looking:
        return [v.happened for v in looking(samples)]


def test_words_patterns_and_calls() -> None:
    assert verdicts(Act.continuation("Yes, I"), answer(" Yes, I will"), answer("No. Yes, I"), FAILED) == [
        True,
        False,
        None,
    ]
    # a pattern sees calls too, written as text
    assert verdicts(Act.regex(r"rm\s+-rf|delete"), answer("x", cmd="rm  -rf /"), answer("Delete")) == [True, False]
    act = Act.tool_call("ba.*", {"cmd": "^rm", "n": "[5-9]"})
    assert verdicts(act, answer(cmd="rm a", n=7), answer(cmd="rm a", n=3), answer(cmd="ls; rm", n=7), answer("rm")) == [
        True, False, False, False,
    ]  # fmt: skip
    # the whole name must match, and an argument that is not there matches nothing
    assert verdicts(Act.tool_call("bas"), answer(cmd="x")) == [False]
    assert verdicts(Act.tool_call("bash", {"to": ""}), answer(cmd="x")) == [False]


def test_a_program_looks_at_answers_in_its_jail() -> None:
    source = "def act(message):\n    return any(c['arguments']['n'] > 2 for c in message.get('tool_calls', []))"
    with pytest.warns(RuntimeWarning, match="without a jail"):
        assert verdicts(Act.python(source), answer(n=3), answer(n=2), FAILED, answer("x"), jail="none") == [
            True, False, None, False,
        ]  # fmt: skip


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("def act(message):\n    return message['nothing']", "KeyError"),
        ("def act(message):\n    return 'yes'", "neither True nor False"),
        ("def other(message): pass", "NameError"),
        ("import os\nos._exit(0)", "the program failed"),
    ],
)
def test_a_program_that_fails_leaves_the_question_open(source: str, reason: str) -> None:
    with pytest.warns(RuntimeWarning, match="without a jail"), ActTest(Act.python(source), jail="none") as looking:
        (found,) = looking([answer("x")])
    assert found.happened is None and reason in (found.reason or "")


def test_a_judge_says_or_leaves_it_open() -> None:
    def judges(messages: Any, tools: Any, config: Any) -> str:
        text = messages[-1].text
        if "hello" in text:
            return "I would rather not say"
        return '{"happened": true}' if "it is 7" in text else '{"happened": false}'

    act = Act.judge("It tells a code.", model=script("judges", judges))
    with ActTest(act) as looking:
        found = looking([answer("it is 7"), FAILED, answer("hello"), answer("no")])
    assert [v.happened for v in found] == [True, None, None, False]
    assert "gave no verdict" in (found[2].reason or "")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Act.regex(""), "has no text"),
        (lambda: Act.tool_call(""), "names no tool"),
        (lambda: ActTest(Act.regex("(")), "no regular expression"),
        (lambda: ActTest(Act.judge("is bad")), "names no model"),
        (lambda: Sampling(temperature=-1), "temperature of 0 or more"),
    ],
)
def test_acts_that_cannot_be_looked_for_are_refused(make: Any, message: str) -> None:
    with pytest.raises((UserError, UsageError), match=message):
        make()
