"""The table: the index against units read one by one, and every search, filter, order and page against plain Python."""

from __future__ import annotations

import math
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_stores import SITE, explained, make_store, write

from maieutic.errors import UsageError
from maieutic.report.columns import Columns
from maieutic.report.model import STATES
from maieutic.report.overview import Overview, coverage, headline
from maieutic.report.records import Records
from maieutic.store import Store, choices, harvests
from maieutic.view.index import Index, read_columns
from maieutic.view.meaning import Meaning
from maieutic.view.opening import Opened
from maieutic.view.querying import Query, Sorting, find
from maieutic.view.units import stub
from maieutic.view.working import ASKED, LATER, Worker

WORDS = ("years", "Rivers", "the word treaty", "ÄPFEL", "<b>", "years in brackets")


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Units in every state, by two explainers, some chosen."""
    folder = tmp_path_factory.mktemp("mixed") / "run"
    store = make_store(folder, units_of=13)
    explained(store, 1, "beats all", value=0.9, controls=(0.1, 0.2))
    explained(store, 2, "beats one alone", value=0.5, controls=(0.1, 0.5))
    explained(store, 3, "not scored")
    explained(store, 4, "", reason="nothing held")
    explained(store, 5, "", failed="it crashed")
    explained(store, 6, "of another", explainer="agent", value=0.7, controls=(0.1, 0.1))
    explained(store, 1, "of another too", explainer="agent", value=0.3, controls=(0.4, 0.4))
    explained(store, 7, "no controls", value=0.4)
    with store.transaction() as connection:
        rows = [
            {"unit": 1, "explainer": "agent", "standing": 0.3, "importance": 2.0, "why": "x"},
            {"unit": 2, "explainer": "search", "standing": None, "importance": None, "why": "y"},
        ]
        store.put(choices, rows, connection=connection)
    store.close()
    return folder


@pytest.mark.parametrize("explainer", ["search", "agent", "chosen", "nobody"])
def test_the_index_says_what_units_read_one_by_one_say(mixed: Path, explainer: str) -> None:
    with Store.open(mixed) as store:
        records = Records.of(store)
        one_by_one = Columns.of(records.shown(records.members(), explainer))
        at_once = read_columns(store, explainer)
    assert at_once.keys == one_by_one.keys
    assert at_once.labels == one_by_one.labels
    assert [STATES[i] for i in at_once.state] == [STATES[i] for i in one_by_one.state]
    whose = [at_once.explainer_names[i] for i in at_once.explainer]
    assert whose == [one_by_one.explainer_names[i] for i in one_by_one.explainer]
    for name in sorted({*at_once.numbers, *one_by_one.numbers} - {"standing"}):
        np.testing.assert_array_equal(at_once.column(name), one_by_one.column(name), err_msg=name)


def test_states_and_coverage_by_hand(mixed: Path) -> None:
    with Store.open(mixed) as store:
        columns = read_columns(store, "search")
        records = Records.of(store)
        told = Overview.of(columns, stub(records))
    states = [STATES[i] for i in columns.state]
    assert states[:7] == ["beats", "short", "unscored", "abstained", "failed", "waiting", "short"]
    # of 13: 1 beats, 2 short, 1 unscored, 1 abstained, 1 failed, 7 waiting
    assert [(c.state, c.count) for c in coverage(columns)] == [
        ("beats", 1), ("short", 2), ("unscored", 1), ("abstained", 1), ("failed", 1), ("waiting", 7),
    ]  # fmt: skip
    assert sum(c.width for c in coverage(columns)) == pytest.approx(100, abs=0.01)
    assert (
        told.headline
        == headline(columns)
        == (
            "1 of 13 units has an explanation that beats every control; 1 abstained; 1 failed; 7 not explained yet; "
            "1 was not scored."
        )
    )
    assert (told.sites[0].site, told.sites[0].units, told.sites[0].labelled, told.sites[0].score) == (SITE, 13, 4, 0.5)
    # the stair of the label: of 13 units 3 have a score of at least 0.4, 1 of at least 0.6
    stair = dict(tuple(map(float, p.split(","))) for p in told.curves[0].points.split())
    assert stair[40.0] == pytest.approx(100 - 100 * 3 / 13, abs=0.01)
    assert stair[60.0] == pytest.approx(100 - 100 * 1 / 13, abs=0.01)


def test_the_index_is_read_again_when_the_store_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("maieutic.view.index._LEAST_SECONDS", 0.0)
    monkeypatch.setattr("maieutic.view.index._MOST_SHARE", 1e9)
    store = make_store(tmp_path / "r", units_of=3)
    with Store.open(tmp_path / "r") as reader:
        index = Index(reader)
        before = index.of("search")
        assert index.of("search") is before, "nothing was written"
        explained(store, 2, "a new label", value=0.5)
        assert index.of("search").labels[1] == "a new label"
        assert before.labels[1] == "not explained yet", "what a page holds does not change under it"
    store.close()


def test_a_store_that_is_being_written_is_read_whole(tmp_path: Path) -> None:
    store = make_store(tmp_path / "r", units_of=300)
    stop = threading.Event()

    def campaign() -> None:
        for n in range(300):
            write(store, [(n + 1, f"label {n}", 0.5, None, n, None)], controls=(0.1, 0.1))
            if stop.is_set():
                return

    thread = threading.Thread(target=campaign)
    thread.start()
    try:
        with Store.open(tmp_path / "r") as reader:
            seen = 0
            while thread.is_alive():
                columns = read_columns(reader, "search")
                labelled = int(columns.labelled.sum())
                assert len(columns) == 300
                assert labelled >= seen
                seen = labelled
            assert int(read_columns(reader, "search").where("beats").sum()) == 300
    finally:
        stop.set()
        thread.join()
        store.close()


# --- questions against plain Python --------------------------------------------------------------------------------------

numbers = st.one_of(st.none(), st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]))
rows = st.lists(
    st.tuples(st.sampled_from(WORDS), st.integers(0, 5), numbers, st.sampled_from(["a", "b.c"]), st.integers(0, 30)),
    max_size=12,
)


def table_of(drawn: list[tuple[str, int, float | None, str, int]]) -> Columns:
    sites = ["a", "b.c"]
    state = [s for _, s, _, _, _ in drawn]
    ap = [v if v is not None and s < 2 else math.nan for _, s, v, _, _ in drawn]
    return Columns(
        ids=np.arange(len(drawn)), keys=tuple(f"{site}/{i}{'-' * (k % 2)}" for k, (_, _, _, site, i) in enumerate(drawn)),
        site_names=tuple(sites), site=np.array([sites.index(r[3]) for r in drawn], dtype=np.int64),
        labels=tuple(r[0] for r in drawn), state=np.array(state, dtype=np.int64), explainer_names=("search", "agent"),
        explainer=np.array([i % 2 for i in range(len(drawn))], dtype=np.int64), numbers={"ap": np.array(ap, dtype=float)},
    )  # fmt: skip


def plainly(columns: Columns, query: Query) -> list[int]:
    """The same question, a unit at a time."""
    out: list[int] = []
    for i, key in enumerate(columns.keys):
        ap = float(columns.numbers["ap"][i])
        fits = (
            query.words.lower() in f"{key} {columns.labels[i]}".lower()
            and (not query.site or key.rpartition("/")[0] == query.site)
            and (not query.state or STATES[columns.state[i]] == query.state)
            and (not query.made_by or ("search", "agent")[columns.explainer[i]] == query.made_by)
        )
        if query.least is not None:
            fits = fits and ap >= query.least
        if query.most is not None:
            fits = fits and ap <= query.most
        if fits:
            out.append(i)

    def natural(i: int) -> Any:
        site, _, index = columns.keys[i].rpartition("/")
        return (site, int(index.rstrip("-")), index.endswith("-"), i)

    out.sort(key=natural)
    if query.by == "key":
        return out[::-1] if query.down else out
    if query.by == "label":
        return sorted(out, key=lambda i: ((columns.labels[i].casefold(), i)), reverse=query.down)
    values = {i: float(columns.numbers["ap"][i]) for i in out}
    if query.by == "ap":
        sign = -1 if query.down else 1
        return sorted(out, key=lambda i: (math.isnan(values[i]), 0 if math.isnan(values[i]) else sign * values[i]))
    return sorted(
        out,
        key=lambda i: (columns.state[i] > 2, columns.state[i] != 0, 1.0 if math.isnan(values[i]) else -values[i]),
    )


@settings(max_examples=150, deadline=None)
@given(
    drawn=rows, words=st.sampled_from(["", "YEARS", "a/1", "äpfel", "<B>"]), site=st.sampled_from(["", "a", "b.c", "x"]),
    state=st.sampled_from(["", *STATES]), made_by=st.sampled_from(["", "search", "agent"]), least=numbers, most=numbers,
    by=st.sampled_from(["", "key", "label", "ap"]), down=st.booleans(),
)  # fmt: skip
def test_every_question_is_answered_as_plain_python_answers_it(drawn: Any, **asked: Any) -> None:
    columns = table_of(drawn)
    query = Query(**asked)
    assert find(columns, query).tolist() == plainly(columns, query)


@settings(max_examples=100, deadline=None)
@given(
    words=st.text(max_size=8), site=st.text(max_size=5), state=st.sampled_from(["", *STATES]), least=numbers,
    page=st.integers(1, 40), by=st.sampled_from(["", "key", "ap", "control:constant label"]), down=st.booleans(),
)  # fmt: skip
def test_an_address_says_the_whole_question(words: str, by: str, down: bool, **asked: Any) -> None:
    from urllib.parse import parse_qsl

    query = Query(words=words.strip(), by=by, down=down and bool(by), **asked)
    given_back = dict(parse_qsl(query.address().removeprefix("?"), keep_blank_values=True))
    assert Query.of(given_back) == query


@pytest.mark.parametrize("wrong", [{"by": "nonsense"}, {"state": "fine"}, {"least": "much"}, {"page": "nan"}])
def test_what_cannot_be_asked_is_refused_in_a_line(wrong: dict[str, str]) -> None:
    with pytest.raises(UsageError, match=":"):
        Query.of(wrong)


def test_headings_turn_the_order_round() -> None:
    fresh = Sorting(query=Query(page=3), to="/t")
    assert fresh.href("ap") == "/t?by=ap&down=1"
    assert fresh.href("label") == "/t?by=label"
    turned = Sorting(query=Query(by="ap", down=True), to="/t")
    assert turned.href("ap") == "/t?by=ap"


# --- meaning and the worker ----------------------------------------------------------------------------------------------


def by_letters(texts: Any) -> Any:
    """An encoder that counts letters: near means the same letters."""
    counts = np.array([[t.lower().count(chr(97 + i)) for i in range(26)] for t in texts], dtype=float) + 1e-9
    return counts / np.linalg.norm(counts, axis=1, keepdims=True)


def test_labels_are_found_by_meaning_and_vectors_are_kept(tmp_path: Path) -> None:
    columns = table_of(
        [("banana", 0, 0.5, "a", 1), ("zzz", 0, 0.9, "a", 2), ("", 3, None, "a", 3), ("nab", 1, 0.1, "a", 4)]
    )
    worker, calls = Worker(), list[str]()

    def load() -> Any:
        def encoder(texts: Any) -> Any:
            calls.extend(texts)
            return by_letters(texts)

        return encoder

    meaning = Meaning(worker, load=load, folder=tmp_path)
    meaning.nearness(columns, "abn", wait=20)
    worker.submit(lambda: None, priority=LATER).result(timeout=20)
    worker.submit(lambda: None, priority=LATER).result(timeout=20)
    near = meaning.nearness(columns, "abn", wait=20)
    assert near is not None
    assert meaning.progress(columns) == (3, 3)
    assert find(columns, Query(meaning="abn"), near).tolist() == [3, 0, 1], (
        "nab has the same letters; an abstention has none"
    )
    again = Meaning(worker, load=load, folder=tmp_path)
    calls.clear()
    assert again.nearness(columns, "abn", wait=20) is not None
    assert calls == ["abn"], "labels came from the cache"
    worker.close()


def test_without_an_encoder_the_reason_is_told(tmp_path: Path) -> None:
    def load() -> Any:
        raise UsageError("no encoder here: take another")

    worker = Worker()
    meaning = Meaning(worker, load=load, folder=tmp_path)
    assert meaning.nearness(table_of([("x", 0, 0.5, "a", 1)]), "y", wait=20) is None
    assert meaning.why == "no encoder here: take another"
    worker.close()


def test_what_is_asked_for_goes_before_what_prepares() -> None:
    worker, order, gate = Worker(), list[str](), threading.Event()
    worker.submit(gate.wait)
    last = worker.submit(lambda: order.append("later"), priority=LATER)
    worker.submit(lambda: order.append("asked"), priority=ASKED)
    gate.set()
    last.result(timeout=20)
    assert order == ["asked", "later"]
    worker.close()
    assert worker.submit(lambda: 1).cancelled()


def test_a_folder_that_is_no_run_and_a_model_that_is_not_there(mixed: Path) -> None:
    def opener(_: Path) -> Any:
        raise UsageError("the model is not here: fetch it")

    opened = Opened("x", mixed, opener)
    assert opened.run(wait=20) is None
    assert opened.why == "the model is not here: fetch it"
    opened.close()


def test_units_with_names_are_found_by_them(tmp_path: Path) -> None:
    store = make_store(tmp_path / "run", units_of=3)
    row = store.rows(harvests, name="main")[0]
    called = {SITE: {"called": ["tabby cat", " <b>lynx</b>"]}}  # a third unit has no name
    with store.transaction() as connection:
        store.put(harvests, [{**row, "settings": {**row["settings"], "units": called}}], connection=connection)
    explained(store, 2, "spots", value=0.5)
    store.close()
    with Store.open(tmp_path / "run") as store:
        records = Records.of(store)
        shown = records.shown(records.members(), "search")
        columns = read_columns(store, "search")
    assert [u.name for u in shown] == ["tabby cat", "<b>lynx</b>", ""]
    assert columns.names == Columns.of(shown).names == ("tabby cat", "<b>lynx</b>", "")
    assert find(columns, Query(words="LYNX")).tolist() == [1]
    assert find(columns, Query(words="spots")).tolist() == [1]
    assert records.called(f"{SITE}/0-") == "tabby cat"
    assert records.called("elsewhere/0") == ""
