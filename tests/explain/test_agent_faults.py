"""Campaigns of the agent over a failing server: every unit ends or says why, nothing is lost, nothing is done twice.

The units fire on one invented word each, and a script plays an interpreter that reads the word off the exemplars, tests
it and submits it; what is tried is everything in between. Bench `faults` does the same with 200 units.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from maieutic.bench.faults import RATES, campaign_with_faults, interpreter, unit_of
from maieutic.bench.faults_campaign import campaign, vocabulary
from maieutic.lab.worker import backends
from maieutic.llm.loopback import Fail, Faults, Reply
from maieutic.store import Store, experiments, explanations, jobs
from maieutic.store.check import problems

MODEL = "openai-api/local/test"


def jail() -> str:
    """A jail that this machine has; the faults are the same in any."""
    return next(name for name, why in backends().items() if not why and name != "none")


def explain(folder: Path, server, mode="structured", *, n=2, **more):
    options = {"jail": jail()} if mode == "code" else {}
    return campaign(folder, model=MODEL, base_url=server.url, mode=mode, first=0, last=n, seed=0, **options, **more)


def labels(folder: Path) -> list[str]:
    with Store.open(folder) as store:
        return [r["label"] for r in store.rows(explanations)]


def right(n: int) -> list[str]:
    return [f'the word "{w}"' for w in vocabulary()[:n]]


@pytest.mark.slow
def test_twelve_units_over_a_server_that_fails_a_fifth_of_its_calls(loopback, tmp_path):
    server = loopback(interpreter, faults=Faults(rates=RATES["structured"], seed=1, stall=0.2))
    failed = explain(tmp_path / "run", server, n=12)
    # every fault is one that a retry, or a second form, gets over
    assert not failed and labels(tmp_path / "run") == right(12)
    assert sum(server.faulted().values()) >= 3 and len(server.faulted()) >= 2
    assert not problems(tmp_path / "run")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mode", "fault", "says"),
    [
        ("structured", "cut", "Connection error"),
        ("structured", "rate-limit", "429"),
        ("code", "server-error", "500"),
        ("code", "refusal", "refused"),
    ],
)
def test_a_unit_that_cannot_be_had_says_why_and_is_had_later(loopback, tmp_path, mode, fault, says):
    folder = tmp_path / "run"
    server = loopback(interpreter, faults=Faults(rates={fault: 1.0}))
    failed = explain(folder, server, mode, n=1, retries=1)
    assert says in failed["planted/0"] and "0x" not in failed["planted/0"], "no addresses, no requests"
    with Store.open(folder) as store:
        assert [(r["status"], r["error"]) for r in store.rows(jobs)] == [("failed", failed["planted/0"])]
        assert not store.rows(explanations)
    # the server recovers: the same command goes on
    server.faults = Faults()
    assert not explain(folder, server, mode, n=1, retries=1)
    assert labels(folder) == right(1) and not problems(folder)


def test_one_unit_that_fails_leaves_the_others_alone(loopback, tmp_path):
    def script(request):
        return Fail(status=400, message="no") if unit_of(request) == "planted/1" else interpreter(request)

    server = loopback(script)
    failed = explain(tmp_path / "run", server, n=3)
    assert list(failed) == ["planted/1"] and "no" in failed["planted/1"]
    assert labels(tmp_path / "run") == [right(3)[0], right(3)[2]]
    # a second run asks for the failed unit alone
    sent = len(server.requests)
    explain(tmp_path / "run", server, n=3)
    assert {unit_of(r) for r in server.requests[sent:]} == {"planted/1"}


@pytest.mark.parametrize("fault", ["broken-arguments", "unknown-tool", "empty"])
def test_a_program_that_came_broken_is_told_so_and_written_again(loopback, tmp_path, fault):
    server = loopback(interpreter, faults=Faults(at={0: fault}))
    assert not explain(tmp_path / "run", server, "code", n=1)
    assert labels(tmp_path / "run") == right(1)
    if fault != "empty":  # an empty answer is asked for again before anyone sees it
        said = [m["content"] for m in server.requests[1].messages if m["role"] == "tool"]
        assert len(said) == 1 and said[0], "the model was not told what was wrong with its call"


def test_forms_that_are_none_are_told_so(loopback, tmp_path):
    said = iter(["I think it is a word.", '{"hypothesis": "x", "action": "dance"}'])
    server = loopback(lambda r: next(said, None) or interpreter(r))
    assert not explain(tmp_path / "run", server, n=1)
    assert labels(tmp_path / "run") == right(1)
    assert "That was no form: no JSON in the answer" in server.requests[1].last
    assert "That was no form" in server.requests[2].last and "That was no form" not in server.requests[3].last


def test_what_a_model_does_wrong_in_the_lab_is_no_failure_of_the_unit(loopback, tmp_path):
    programs = iter(["1/0", "lab.measure(['a'])", "import socket; socket.create_connection(('127.0.0.1', 9))"])

    def script(request):
        from maieutic.llm.loopback import Call

        code = next(programs, None)
        return Reply(calls=(Call(name="python", arguments={"code": code}),)) if code else interpreter(request)

    server = loopback(script)
    assert not explain(tmp_path / "run", server, "code", n=1)
    told = [m["content"] for m in server.requests[-1].messages if m["role"] == "tool"]
    assert "ZeroDivisionError" in told[0] and "expect" in told[1] and "rror" in told[2]


@pytest.mark.slow
def test_a_killed_campaign_goes_on_where_it_was(tmp_path):
    """SIGKILL while a request about the third of five units is out, over the same failing server; then the same command."""
    ended = campaign_with_faults(tmp_path / "run", mode="code", first=0, last=5, seed=2)
    assert 1 <= len(ended.before) <= 2, f"it was not killed in the middle:\n{ended.output}"
    assert ended.repeated == 0
    assert not ended.torn
    assert {k: ended.after[k] for k in ended.before} == ended.before, "what was finished changed"
    assert set(ended.after) | set(ended.failed) == set(ended.keys)
    assert all(ended.failed.values())
    assert sum(ended.faults.values()) > 0
    with Store.open(tmp_path / "run") as store:
        measured = store.rows(experiments)
    per_unit = {r["unit"] for r in measured}
    assert len(per_unit) >= len(ended.after), "a unit is explained without its experiments"
