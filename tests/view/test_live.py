"""Progress read out of stores whose contents are known, of a run that is being written, and of one whose writer was killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from made_stores import SITE, explained, make_store, swept, write

from maieutic.store import FILE, Store
from maieutic.view import create_app
from maieutic.view.live import headline
from maieutic.view.watching import Standing, Watch, is_written, standing_of


def look(folder: Path, *, writing: bool | None = True) -> Standing:
    with Store.open(folder) as store:
        return standing_of(store, writing=writing)


def client(folder: Path) -> TestClient:
    return TestClient(create_app([folder]), base_url="http://127.0.0.1")


def old(folder: Path) -> None:
    """As if nothing had been written for an hour."""
    for name in (FILE, f"{FILE}-wal"):
        if (folder / name).exists():
            os.utime(folder / name, (time.time() - 3600,) * 2)


def test_what_is_done_failed_and_left_and_how_fast(tmp_path: Path) -> None:
    store = make_store(tmp_path / "r", units_of=20, nulls=2)
    # a unit every ten seconds: five labels, one failure; one control unit
    for n in range(5):
        explained(store, n + 1, f"label {n}", second=10 * n, spent=(7, 100, 0.25))
    explained(store, 6, "", second=50, failed="ValueError: no")
    explained(store, 21, "", second=60, reason="nothing")
    store.close()
    found = look(tmp_path / "r")
    (task,) = found.tasks
    assert (task.kind, task.explainer, task.done, task.failed, task.left, task.nulls) == (
        "explain",
        "search",
        5,
        1,
        14,
        1,
    )
    # seven ended in 60 seconds: six steps, 6 a minute; 14 left take 140 seconds
    assert found.rate.value == pytest.approx(6.0)
    assert found.left.value == pytest.approx(140.0)
    assert [(a.name, a.used) for a in found.spent] == [("measurements", 35), ("tokens", 500), ("dollars", 1.25)]
    latest = [(x.unit, x.label, x.role) for x in found.labels[:2]]
    assert latest == [(f"{SITE}/20", "", "direction"), (f"{SITE}/4", "label 4", "main")]
    assert [(x.unit, x.reason) for x in found.failures] == [(f"{SITE}/5", "ValueError: no")]
    assert found.state == "explaining"
    assert headline(found) == "6 of 20 units explained by search."


def test_a_sweep_counts_its_waves_and_limits(tmp_path: Path) -> None:
    store = make_store(tmp_path / "r", units_of=4)
    swept(store, ["quick", "search"], [(0, 1), (1, 1), (2, 1)], limit=90)
    for n in range(4):
        explained(store, n + 1, "l", explainer="quick", second=n)
    explained(store, 1, "l", explainer="search", second=9, spent=(8, 0, 0))
    store.close()
    found = look(tmp_path / "r")
    assert found.wave == (1, 1, 3)
    assert [(t.explainer, t.stage, t.done, t.left) for t in found.tasks] == [("quick", 1, 4, 0), ("search", 2, 1, 2)]
    assert (found.spent[0].used, found.spent[0].limit) == (8, 90)


def test_what_cannot_be_told_is_unmeasured(tmp_path: Path) -> None:
    make_store(tmp_path / "r").close()
    found = look(tmp_path / "r")
    assert "no unit has ended" in str(found.rate.reason) and not found.left.measured
    assert "nothing is explained" in headline(found)
    store = make_store(tmp_path / "two", units_of=3)
    write(store, [(n, "x", None, None, 0, None) for n in (1, 2)])  # both in the same second
    store.close()
    assert "too few" in str(look(tmp_path / "two").rate.reason)
    assert "nothing is running" not in str(look(tmp_path / "two").left.reason)
    stopped = look(tmp_path / "two", writing=False)
    assert stopped.state == "stopped" and "The same command goes on" in headline(stopped)


def test_a_harvest_that_runs_tells_its_shards(tmp_path: Path) -> None:
    make_store(tmp_path / "r", units_of=0, status="running").close()
    parts = tmp_path / "r" / "harvest" / "m" / "parts"
    for name, shards in (("000003", [3]), ("first-000002", [0, 1])):
        (parts / name).mkdir(parents=True)
        (parts / name / "part.json").write_text(json.dumps({"shards": shards}))
    (parts / "plan.json").write_text(json.dumps({"key": "k", "shards": 8}))
    found = look(tmp_path / "r")
    assert (found.state, found.shards) == ("harvesting", (3, 8))
    assert "3 of 8 shards" in headline(found)
    (parts / "plan.json").write_text("{")  # being written at this moment
    assert look(tmp_path / "r").shards is None or look(tmp_path / "r").shards == (3, 0)


def test_it_is_read_again_only_when_something_changed(tmp_path: Path) -> None:
    store = make_store(tmp_path / "r", units_of=3)
    with Store.open(tmp_path / "r") as reading:
        watch = Watch(reading)
        first = watch.look()
        assert watch.look() is first
        explained(store, 1, "new", second=5)
        watch._at = -1e9  # as if enough time had gone by
        assert watch.look().labels[0].label == "new"
    store.close()


def test_whether_somebody_writes(tmp_path: Path) -> None:
    folder = tmp_path / "r"
    store = make_store(folder)
    old(folder)
    assert is_written(folder) is True
    store.close()
    old(folder)
    assert is_written(folder) is False
    with Store.open(folder, write=True):  # looking has taken no lock away
        pass


WRITER = """
import sys, time
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from made_stores import make_store, explained
store = make_store(Path(sys.argv[1]), units_of=50)
for n in range(50):
    explained(store, n + 1, f"label {n}", second=n)
    print(n, flush=True)
    time.sleep(0.02)
"""


@pytest.mark.slow
def test_a_writer_that_is_killed_while_somebody_looks(tmp_path: Path) -> None:
    folder = tmp_path / "r"
    program = [sys.executable, "-c", WRITER, str(folder), str(Path(__file__).parent)]
    writer = subprocess.Popen(program, stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    while writer.stdout.readline().strip() != "5":
        pass
    with client(folder) as asked:
        running = asked.get("/runs/r/live.json").json()
        assert running["state"] == "explaining" and running["tasks"][0]["done"] >= 6
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait()
        old(folder)
        after = asked.get("/runs/r/live.json").json()
        for page in ("/runs/r/", "/runs/r/live", "/runs/r/units"):
            assert asked.get(page).status_code == 200
        assert asked.get("/runs/r/live").text.count("Nobody is working on this run") == 1
    assert after["state"] == "stopped" and after["writing"] is False
    assert after["tasks"][0]["done"] >= running["tasks"][0]["done"]


def test_the_page_says_it_and_its_pieces_come_alone(tmp_path: Path) -> None:
    store = make_store(tmp_path / "r", units_of=3)
    explained(store, 1, "<script>alert(1)</script>", second=5)
    with client(tmp_path / "r") as asked:
        page, pieces = asked.get("/runs/r/live"), asked.get("/runs/r/live/now")
        assert page.status_code == pieces.status_code == 200
        assert '<meta http-equiv="refresh"' in page.text  # without a script it is loaded anew
        assert "<html" not in pieces.text and pieces.text.count("data-piece=") >= 4
        for text in (page.text, pieces.text):
            assert "<script>alert" not in text and "&lt;script&gt;alert(1)" in text
        assert "1 of 3 units explained by search" in asked.get("/runs/r/").text  # the overview tells it too
    store.close()
