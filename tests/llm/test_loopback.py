"""The server that other tests trust: its wire format against OpenAI's own client, its faults against their rates."""

from __future__ import annotations

import asyncio
import math

import openai
import pytest

from maieutic.llm.loopback import FAULTS, Call, Fail, Faults, Loopback, Reply
from maieutic.llm.opening import open_model

TOOL = {
    "type": "function",
    "function": {"name": "python", "parameters": {"type": "object", "properties": {"code": {"type": "string"}}}},
}


def client(server) -> openai.OpenAI:
    return openai.OpenAI(base_url=server.url, api_key="k", max_retries=0, timeout=5)


def say(server, text="hi", **more):
    messages = [{"role": "user", "content": text}]
    return client(server).chat.completions.create(model="test", messages=messages, **more)


def test_openais_client_reads_a_whole_answer(loopback):
    reply = Reply(text="yes", calls=(Call(name="python", arguments={"code": "1+1"}),), usage=(7, 3))
    server = loopback(lambda _: reply, models=["a", "b"])
    done = say(server, tools=[TOOL], tool_choice="auto")
    message = done.choices[0].message
    assert (message.content, done.choices[0].finish_reason) == ("yes", "tool_calls")
    assert [(c.function.name, c.function.arguments) for c in message.tool_calls] == [("python", '{"code": "1+1"}')]
    assert (done.usage.prompt_tokens, done.usage.completion_tokens, done.usage.total_tokens) == (7, 3, 10)
    assert [m.id for m in client(server).models.list()] == ["a", "b"]
    assert server.requests[0].tools == ["python"] and server.requests[0].body["tool_choice"] == "auto"


def test_a_streamed_answer_is_the_same_answer(loopback):
    reply = Reply(
        text="a text of more than one chunk", calls=(Call(name="python", arguments={"code": "x" * 30}),), usage=(7, 3)
    )
    server = loopback(lambda _: reply)
    events = list(say(server, stream=True, stream_options={"include_usage": True}))
    deltas = [e.choices[0].delta for e in events if e.choices]
    assert len(events) > 5
    assert "".join(d.content or "" for d in deltas) == reply.text
    pieces = [c for d in deltas for c in d.tool_calls or ()]
    assert "".join(c.function.arguments for c in pieces) == '{"code": "' + "x" * 30 + '"}'
    assert events[-1].usage.total_tokens == 10
    assert [e.choices[0].finish_reason for e in events if e.choices][-1] == "tool_calls"


@pytest.mark.parametrize("stream", [False, True])
def test_a_cut_answer_is_a_lost_connection(loopback, stream):
    server = loopback(lambda _: "x" * 500, faults=Faults(at={0: "cut"}))
    with pytest.raises((openai.APIConnectionError, openai.APIError, Exception)) as raised:
        answer = say(server, stream=stream)
        assert stream, "half an answer was taken for a whole one"
        list(answer)
    assert "incomplete" in str(raised.value).lower() or "connection" in str(raised.value).lower()


def test_a_script_may_fail_as_it_likes(loopback):
    server = loopback(lambda _: Fail(status=418, message="teapot", headers={"X-Why": "tea"}))
    with pytest.raises(openai.APIStatusError, match="teapot") as raised:
        say(server)
    assert raised.value.status_code == 418 and raised.value.response.headers["x-why"] == "tea"


def test_a_strict_server_knows_its_models(loopback):
    with pytest.raises(openai.NotFoundError, match="`test` does not exist"):
        say(loopback(lambda _: "hi", models=["other"], strict=True))
    assert say(loopback(lambda _: "hi", models=["test"], strict=True)).choices[0].message.content == "hi"


def test_a_script_that_raises_is_heard_of():
    def script(_):
        raise KeyError("forgotten")

    server = Loopback(script)
    with pytest.raises(openai.InternalServerError, match="KeyError"):
        say(server)
    with pytest.raises(KeyError, match="forgotten"):
        server.close()
    server.close()  # once is enough


# --- faults of the model, as an agent meets them --------------------------------------------------------------------


def turn(server):
    """One turn of a model that has a tool, through Inspect."""
    from inspect_ai.tool import ToolInfo, ToolParam, ToolParams

    info = ToolInfo(
        name="python", description="runs code", parameters=ToolParams(properties={"code": ToolParam(type="string")})
    )
    model = open_model("openai-api/local/test", base_url=server.url, retries=0)
    return asyncio.run(model.generate("go", tools=[info]))


def test_a_tool_call_reaches_an_agent(loopback):
    server = loopback(lambda _: Reply(calls=(Call(name="python", arguments={"code": "1"}),)))
    call = turn(server).message.tool_calls[0]
    assert (call.function, call.arguments, call.parse_error) == ("python", {"code": "1"}, None)


def test_a_broken_call_reaches_an_agent_as_broken(loopback):
    script = lambda _: Reply(calls=(Call(name="python", arguments={"code": "1"}),))  # noqa: E731
    call = turn(loopback(script, faults=Faults(at={0: "broken-arguments"}))).message.tool_calls[0]
    assert call.parse_error is not None
    call = turn(loopback(script, faults=Faults(at={0: "unknown-tool"}))).message.tool_calls[0]
    assert call.function == "no_such_tool"
    # a model that only talked is made to call when it has tools
    assert turn(loopback(lambda _: "hm", faults=Faults(at={0: "broken-arguments"}))).message.tool_calls


# --- the draw -------------------------------------------------------------------------------------------------------


def test_faults_come_at_their_rates():
    rates = {"server-error": 0.2, "empty": 0.1}
    n = 4000
    drawn = [Faults(rates=rates, seed=3).of(i, str(i).encode(), 0) for i in range(n)]
    for name, rate in rates.items():
        assert abs(drawn.count(name) / n - rate) < 4 * math.sqrt(rate * (1 - rate) / n)  # four standard errors
    assert drawn.count(None) == n - drawn.count("server-error") - drawn.count("empty")


def test_the_draw_hangs_on_content_not_on_order():
    faults = Faults(rates={"server-error": 0.5}, seed=1)
    bodies = [str(i).encode() for i in range(50)]
    forwards = {b: faults.of(i, b, 0) for i, b in enumerate(bodies)}
    backwards = {b: faults.of(i, b, 0) for i, b in enumerate(reversed(bodies))}
    assert forwards == backwards
    assert forwards != {b: Faults(rates=faults.rates, seed=2).of(i, b, 0) for i, b in enumerate(bodies)}


def test_a_retry_is_a_new_draw_unless_faults_persist():
    again = [Faults(rates={"empty": 0.5}).of(0, b"body", seen) for seen in range(40)]
    assert {None, "empty"} == set(again)
    assert len({Faults(rates={"empty": 0.5}, persistent=True).of(0, b"body", seen) for seen in range(40)}) == 1


def test_faults_have_names():
    with pytest.raises(AssertionError, match="no such faults"):
        Faults(rates={"gremlins": 0.1})
    with pytest.raises(AssertionError, match="at most 1"):
        Faults(rates=dict.fromkeys(FAULTS, 0.5))


def test_faults_are_written_down(loopback):
    server = loopback(lambda _: "hi", faults=Faults(at={1: "server-error", 2: "rate-limit"}))
    say(server)
    for error in (openai.InternalServerError, openai.RateLimitError):
        with pytest.raises(error):
            say(server)
    assert dict(server.faulted()) == {"server-error": 1, "rate-limit": 1}
    assert [(r.number, r.seen, r.fault) for r in server.requests] == [
        (0, 0, None), (1, 1, "server-error"), (2, 2, "rate-limit"),
    ]  # fmt: skip
