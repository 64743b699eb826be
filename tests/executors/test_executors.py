"""What every executor does alike. With Ray these are slow, because a cluster has to start."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from executor_loads import noted
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from maieutic.errors import MissingExtraError, StoreError, UsageError, UserError
from maieutic.executors import Broken, Done, Executor, Work, open_executor

Pool = Callable[..., Executor]
Load = Callable[..., Work]
LOCAL: list[dict[str, Any]] = [
    {"engine": "in-process"},
    {"engine": "in-process", "threads": 3},
    {"engine": "processes", "workers": 2},
    {"engine": "processes", "workers": 1, "threads": 3},
]


RAY: list[dict[str, Any]] = [{"engine": "ray", "workers": 2}, {"engine": "ray", "workers": 1, "threads": 3}]


@pytest.fixture(
    params=[*LOCAL, *(pytest.param(o, marks=pytest.mark.slow) for o in RAY)],
    ids=lambda o: "-".join(str(v) for v in o.values()),
)
def any_pool(request: pytest.FixtureRequest, pool: Pool) -> Executor:
    if request.param["engine"] == "ray":
        request.getfixturevalue("on_cluster")
    return pool(**request.param)


def results(found: list[Done | Broken]) -> dict[int, Any]:
    """Place to result, or to the reason; every place once."""
    assert len({e.index for e in found}) == len(found)
    return {e.index: e.result if isinstance(e, Done) else e.reason for e in found}


def test_every_job_is_done_once_and_its_result_stands_at_its_place(any_pool: Executor, load: Load) -> None:
    found = list(any_pool.run(load("times", factor=3), range(20)))
    assert results(found) == {i: 3 * i for i in range(20)}
    here = any(isinstance(e, Done) and e.worker.endswith(f":{os.getpid()}") for e in found)
    assert here == (any_pool.name == "in-process")


def test_no_jobs_start_nothing(any_pool: Executor, load: Load, tmp_path: Path) -> None:
    assert list(any_pool.run(load("times", factor=3, folder=str(tmp_path)), [])) == []
    assert noted(tmp_path, "prepared") == []


def test_exceptions_of_jobs_are_one_line_each_and_the_others_go_on(any_pool: Executor, load: Load) -> None:
    jobs = ["a", "value", "user", "exit", "b"]
    found = results(list(any_pool.run(load("fails", factor=1), jobs)))
    assert found == {0: "a", 1: "ValueError: two lines", 2: "no unit 7: choose another", 3: "SystemExit: 3", 4: "b"}
    assert any_pool.lost == 0


def test_an_error_of_the_store_ends_the_run(any_pool: Executor, load: Load) -> None:
    with pytest.raises(StoreError, match="the store is locked"):
        list(any_pool.run(load("fails", factor=1), ["store"]))
    assert results(list(any_pool.run(load("fails", factor=1), ["a"]))) == {0: "a"}


@pytest.mark.parametrize(
    ("kind", "error", "words"),
    [
        ("user", UserError, "no corpus at x: give another"),
        ("store", StoreError, "the run folder is newer"),
        ("other", UserError, "could not be prepared: KeyError: 'other'"),
    ],
)
def test_a_preparation_that_fails_says_why(any_pool: Executor, load: Load, kind: str, error: type, words: str) -> None:
    with pytest.raises(error, match=words) as caught:
        list(any_pool.run(load("times", "no_state", kind=kind), range(4)))
    assert type(caught.value) is error
    assert results(list(any_pool.run(load("times", factor=2), [4]))) == {0: 8}


def test_a_state_is_made_once_a_worker_and_kept_until_another_is_wanted(
    any_pool: Executor, load: Load, tmp_path: Path
) -> None:
    processes = 2 if any_pool.name != "in-process" and any_pool.workers == 2 else 1
    for _ in range(3):
        found = list(any_pool.run(load("times", factor=3, folder=str(tmp_path)), range(12)))
        assert results(found) == {i: 3 * i for i in range(12)}
    assert 1 <= len(noted(tmp_path, "prepared")) <= processes  # one may have done all before the other was ready
    assert results(list(any_pool.run(load("times", factor=5), range(3)))) == {0: 0, 1: 5, 2: 10}


def test_jobs_share_the_state_of_their_worker(pool: Pool, load: Load) -> None:
    for engine in ("in-process", "processes"):
        found = list(pool(engine, workers=1).run(load("seen", factor=1), [4, 5, 6]))
        assert [e.result for e in found] == [[4], [4, 5], [4, 5, 6]]  # type: ignore[union-attr]


def test_closing_early_leaves_the_rest_undone_and_the_executor_usable(
    any_pool: Executor, load: Load, tmp_path: Path
) -> None:
    work = load("noted_sleep", factor=1, folder=str(tmp_path))
    run = any_pool.run(work, [0.02] * 50)
    next(run)
    run.close()  # type: ignore[attr-defined]
    # Every place may have ended one job and begun another, which is not taken back.
    found = list(any_pool.run(load("times", factor=7, folder=str(tmp_path)), [1, 2]))
    assert results(found) == {0: 7, 1: 14}
    assert 1 <= len(noted(tmp_path, "sleeping")) <= 2 * any_pool.workers


@pytest.mark.parametrize("engine", ["processes", pytest.param("ray", marks=pytest.mark.slow)])
def test_a_preparation_under_way_when_its_run_is_closed_does_not_disturb_the_next(
    engine: str, request: pytest.FixtureRequest, pool: Pool, load: Load, tmp_path: Path
) -> None:
    if engine == "ray":
        request.getfixturevalue("on_cluster")
    opened = pool(engine, workers=2, threads=2)
    # The first worker is ready at once; the other one's preparation fails, but only when other work has begun.
    run = opened.run(load("once_prepared", "fails_late", folder=str(tmp_path)), [2] * 20)
    assert isinstance(next(run), Done)
    run.close()  # type: ignore[attr-defined]
    found = list(opened.run(load("where", factor=2), [0.05] * 40))
    assert sorted(e.index for e in found if isinstance(e, Done)) == list(range(40))


def test_jobs_go_out_as_workers_are_free(any_pool: Executor, load: Load, tmp_path: Path) -> None:
    run = any_pool.run(load("noted_sleep", factor=1, folder=str(tmp_path)), [0.0] * 50)
    next(run)
    time.sleep(0.1)
    assert len(noted(tmp_path, "sleeping")) <= 2 * any_pool.workers
    assert len(list(run)) == 49


def test_results_come_as_they_finish(pool: Pool, load: Load) -> None:
    for options in ({"engine": "in-process", "threads": 2}, {"engine": "processes", "threads": 2, "workers": 1}):
        found = [e.index for e in pool(**options).run(load("where", factor=1), [0.5, 0.0, 0.0])]
        assert found[-1] == 0


def test_the_same_bits_from_every_engine_on_one_thread(any_pool: Executor, load: Load) -> None:
    work = load("forward", "network", seed=1)
    found = results(list(any_pool.run(work, range(6))))
    with open_executor() as here:
        assert found == results(list(here.run(work, range(6))))
    assert {(threads, variable) for _, threads, variable in found.values()} == {(1, "1")}


def test_a_state_made_already_is_used_here_and_refused_elsewhere(pool: Pool) -> None:
    work = Work(prepare="", perform="executor_loads:times", state={"factor": 9})
    assert results(list(pool("in-process").run(work, [1, 2]))) == {0: 9, 1: 18}
    with pytest.raises(AssertionError, match="cannot travel"):
        next(pool(workers=1).run(work, [1]))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["a", "b", "value", "user", "exit"]), max_size=12))
def test_engines_agree_on_any_mixture(shared_pool: Executor, jobs: list[str]) -> None:
    work = Work(prepare="executor_loads:factor", perform="executor_loads:fails", arguments={"factor": 1})
    with open_executor() as here:
        assert results(list(shared_pool.run(work, jobs))) == results(list(here.run(work, jobs)))


@pytest.fixture(scope="module")
def shared_pool() -> Any:
    with open_executor("processes", workers=2, threads=2) as opened:
        yield opened


def test_workers_are_as_many_as_run_at_once(pool: Pool) -> None:
    assert pool("in-process").workers == 1
    assert pool("in-process", threads=4).workers == 4
    assert pool("processes", workers=3, threads=2).workers == 6
    assert pool("processes").workers == len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"engine": "proceses"}, "did you mean 'processes'"),
        ({"engine": "processes", "workers": 0}, "at least 1"),
        ({"engine": "in-process", "threads": 0}, "at least 1"),
        ({"engine": "in-process", "workers": 2}, "--engine processes"),
        ({"engine": "processes", "address": "auto"}, "--engine ray"),
        ({"engine": "in-process", "gpus": 1}, "--engine ray"),
    ],
)
def test_wrong_options_say_what_to_do(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        open_executor(**options)


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"maieutic\[scale\]"):
        open_executor("ray")
