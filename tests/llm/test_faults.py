"""A server that fails in every way we know: what is tried again, what is given up, and what is said about it."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from email.message import Message
from types import SimpleNamespace

import pytest

from maieutic.errors import UsageError
from maieutic.llm import Prompt
from maieutic.llm.loopback import Fail, Faults, Reply
from maieutic.llm.opening import LONGEST_WAIT, _Wait

PASSING = ["rate-limit", "server-error", "cut", "garbage", "empty"]


@pytest.mark.parametrize("fault", PASSING)
def test_a_passing_fault_is_tried_again(loopback, of, fault):
    server = loopback(lambda _: "here", faults=Faults(at={0: fault}))
    answer = of(server).ask([Prompt.of("a")])[0]
    assert answer.text == "here" and answer.failed is None
    assert len(server.requests) == 2


@pytest.mark.slow
def test_a_stalled_request_is_given_up_and_tried_again(loopback, of):
    server = loopback(lambda _: "here", faults=Faults(at={0: "stall"}, stall=20))
    started = time.perf_counter()
    answer = of(server, timeout=1).ask([Prompt.of("a")])[0]
    assert answer.text == "here" and 1 <= time.perf_counter() - started < 5


@pytest.mark.parametrize(
    ("fault", "says", "tries"),
    [
        ("rate-limit", "429", 3),
        ("server-error", "500", 3),
        ("cut", "Connection error", 3),
        ("garbage", "bad gateway", 3),
        ("empty", "empty answer", 2),  # asked once more, not until retries run out: a model may mean it
        ("refusal", "refused: I cannot help with that.", 1),
    ],
)
def test_a_lasting_fault_is_a_failure_with_its_reason(loopback, of, fault, says, tries):
    server = loopback(lambda _: "here" * 50, faults=Faults(rates={fault: 1.0}))
    answer = of(server, retries=2).ask([Prompt.of("a")])[0]
    assert answer.failed is not None and says in answer.failed and "\n" not in answer.failed
    assert answer.parsed is None and len(server.requests) == tries


def test_one_failure_leaves_its_neighbours_alone(loopback, of):
    server = loopback(lambda r: Fail(status=400, message="no such thing") if r.last == "2" else f"answer {r.last}")
    answers = of(server).ask([Prompt.of(str(i)) for i in range(5)])
    assert [a.text for a in answers] == ["answer 0", "answer 1", "", "answer 3", "answer 4"]
    assert "no such thing" in answers[2].failed
    assert len(server.requests) == 5, "a request that is wrong is not tried again"


def test_failures_are_not_kept(loopback, of):
    """What failed, was refused or came empty in one run is asked again in the next; what came is not."""
    broken = {"b": "server-error", "c": "refusal", "d": "empty"}
    whole = [False]

    def script(request):
        if whole[0] or request.last not in broken:
            return f"answer {request.last}"
        kind = broken[request.last]
        if kind == "server-error":
            return Fail(status=500)
        return Reply(refusal="no", finish="content_filter") if kind == "refusal" else Reply()

    server = loopback(script)
    first = of(server, retries=0).ask([Prompt.of(t) for t in "abcd"])
    assert [a.failed is None for a in first] == [True, False, False, False]
    sent, whole[0] = len(server.requests), True
    again = of(server).ask([Prompt.of(t) for t in "abcd"])
    assert [a.text for a in again] == [f"answer {t}" for t in "abcd"]
    assert [r.last for r in server.requests[sent:]].count("a") == 0 and len(server.requests) == sent + 3


def test_an_empty_answer_is_paid_for(loopback, of):
    # asked twice, 10 + 0 tokens each time (an empty answer writes nothing): 20
    server = loopback(lambda _: Reply(usage=(10, 0)))
    model = of(server)
    assert model.ask([Prompt.of("a")])[0].cost.llm_tokens == 20 == model.spent.llm_tokens


def test_a_refusal_by_field_alone_is_a_refusal(loopback, of):
    server = loopback(lambda _: Reply(refusal="I will not.", finish="stop"))
    assert of(server).ask([Prompt.of("a")])[0].failed == "refused: I will not."


def test_a_prompt_that_is_too_long_is_no_answer(loopback, of):
    """Inspect gives the server's complaint as the model's message; taken for one, it would be scored as a label."""
    message = "This model's maximum context length is 10 tokens"
    server = loopback(lambda _: Fail(status=400, message=message, code="context_length_exceeded"))
    answer = of(server).ask([Prompt.of("a")])[0]
    assert "longer than the model's context" in answer.failed and answer.text != message or answer.failed
    assert answer.failed is not None and message in answer.failed


# --- waits -----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_server_may_say_when_to_come_back(loopback, of):
    server = loopback(lambda _: "here", faults=Faults(at={0: "rate-limit"}, retry_after=2.0))
    model, started = of(server, wait=0.0), time.perf_counter()
    assert model.ask([Prompt.of("a")])[0].text == "here"
    assert time.perf_counter() - started >= 2


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7.0), ("0.5", 0.5), ("-3", 0.0), ("3600", LONGEST_WAIT), ("Wed, 21 Oct 2026", None), (None, None)],
)
def test_what_a_server_asks_for_comes_before_doubling(header, seconds):
    headers = Message()  # looks names up in any case, as clients' headers do
    if header is not None:
        headers["Retry-After"] = header
    error = RuntimeError()
    error.response = SimpleNamespace(headers=headers)

    class State:
        attempt_number = 1

        class outcome:  # noqa: N801
            exception = staticmethod(lambda: error)

    got = _Wait(2.0)(State())
    assert got == seconds if seconds is not None else 2.0 <= got <= 2.5


def test_waits_double_and_are_bounded():
    class State:
        outcome = None
        attempt_number = 1

    wait, state = _Wait(2.0), State()
    seen = []
    for state.attempt_number in range(1, 9):
        seen.append(wait(state))
    # 2, 4, 8, 16, 32, then 60 (64 is over it); each up to a quarter more, never over 60
    for got, base in zip(seen, [2, 4, 8, 16, 32, 60, 60, 60], strict=True):
        assert base <= got <= min(base * 1.25, LONGEST_WAIT)


# --- what no retry can mend ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ("gpt-5", "write provider/model"),
        ("openai/", "write provider/model"),
        ("nosuch/model", "no provider 'nosuch'"),
        ("scripted/nosuch", "no script 'nosuch'"),
        ("openai-api/local", "cannot use the model"),
    ],
)
def test_wrong_names_say_what_to_do(model, says):
    from maieutic.llm import backbone

    with pytest.raises(UsageError, match=says) as raised:
        backbone(model, base_url="http://example.invalid/v1")
    assert "\n" not in str(raised.value)


def test_a_missing_key_says_which(monkeypatch):
    from maieutic.llm import backbone

    monkeypatch.delenv("ELSEWHERE_API_KEY", raising=False)
    with pytest.raises(UsageError, match="ELSEWHERE_API_KEY"):
        backbone("openai-api/elsewhere/x")


def test_no_server_is_said_at_once(loopback, of):
    server = loopback(lambda _: "here")
    server.close()
    started = time.perf_counter()
    with pytest.raises(UsageError, match=r"no server answers at http.*start it"):
        of(server)
    assert time.perf_counter() - started < 3


@pytest.mark.parametrize(
    ("status", "says"), [(401, "does not accept the key"), (404, "has no openai-api/local/test")]
)  # fmt: skip
def test_what_fails_every_prompt_stops_the_asking(loopback, of, status, says):
    server = loopback(lambda _: Fail(status=status, message="no"))
    with pytest.raises(UsageError, match=says):
        of(server, connections=1).ask([Prompt.of(str(i)) for i in range(50)])
    assert len(server.requests) < 5, "the other prompts were sent although none could succeed"


def test_a_local_server_needs_no_key_and_a_given_key_is_sent(loopback, of, monkeypatch):
    monkeypatch.delenv("LOCAL_API_KEY", raising=False)
    server = loopback(lambda _: "here")
    assert of(server).ask([Prompt.of("a")])[0].text == "here"
    monkeypatch.setenv("LOCAL_API_KEY", "secret")
    of(server).ask([Prompt.of("b")])
    assert [r.key for r in server.requests] == ["none", "secret"]


@pytest.mark.slow
@pytest.mark.parametrize("package", ["inspect_ai", "openai"])
def test_a_missing_package_names_the_extra(package):
    """A process in which the package cannot be imported: as a machine without it."""
    program = f"""
        import sys
        class Blocked:
            def find_spec(self, name, path=None, target=None):
                if name.split(".")[0] == {package!r}:
                    raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
        sys.meta_path.insert(0, Blocked())
        from maieutic.errors import MissingExtraError
        from maieutic.llm import backbone
        try:
            backbone("openai-api/local/x", base_url="http://example.invalid/v1")
        except MissingExtraError as error:
            print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=120,
        env=dict(os.environ),
    )
    assert "run  pip install 'maieutic[agents]'" in done.stdout, done.stderr
    assert package.replace("_", "-") in done.stdout


def test_importing_the_room_loads_no_provider():
    program = (
        "import sys, maieutic.llm, maieutic.llm.loopback, maieutic.llm.scripted;"
        "print([m for m in ('inspect_ai', 'openai', 'torch', 'jsonschema') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
