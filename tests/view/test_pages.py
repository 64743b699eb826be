"""The pages: escaped, the same facts in the app and in a folder, and all there is where model or corpus are missing."""

from __future__ import annotations

import html
import json
import re
import time
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from made_stores import SITE, asked, explained, make_store

from maieutic.errors import StoreError, UsageError
from maieutic.report.gather import report_runs
from maieutic.store import Store
from maieutic.store import units as units_table
from maieutic.view import create_app

EVIL = "<script>document.title='hacked'</script>\"'><img src=x onerror=alert(1)>&amp;{{7*7}}‮ javascript:alert(1)"
EVIL_SITE = 'layers."><script>alert(2)</script>.mlp'


class Tags(HTMLParser):
    """Tags with their attributes, and the text between them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, {k: v or "" for k, v in attrs}))

    def handle_data(self, data: str) -> None:
        self.text += data


def client(*folders: Path, **more: Any) -> TestClient:
    return TestClient(create_app(list(folders), **more), base_url="http://localhost")


def lost(_: Path) -> Any:
    raise UsageError("the model is nowhere: bring it back")


def loaded(own: TestClient, url: str) -> str:
    """A page once its model is there and its evidence measured."""
    for _ in range(200):
        text = own.get(url).text
        if 'class="later"' not in text:
            return text
        time.sleep(0.1)
    raise AssertionError("the evidence did not come")


@pytest.fixture(scope="module")
def evil(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose every string tries to break its page."""
    folder = tmp_path_factory.mktemp("evil") / 'run "><b>'
    store = make_store(folder, units_of=4, subject=EVIL)
    explained(store, 1, EVIL, value=0.5, controls=(0.1, 0.9), explainer="search")
    explained(store, 1, EVIL, value=0.4, explainer=EVIL)
    explained(store, 2, "", reason=EVIL)
    explained(store, 3, "", failed=EVIL)
    asked(store, 1, EVIL)
    with store.transaction() as connection:
        row = {"id": 50, "harvest": "main", "key": f"{EVIL_SITE}/7", "role": "main"}
        store.put(units_table, [row], connection=connection)
    explained(store, 50, "at an evil site", value=0.3)
    store.close()
    name = re.sub(r"[^A-Za-z0-9.-]", "_", f"{SITE}/0") + ".search.json"
    (folder / "transcripts").mkdir()
    said = {"role": EVIL, "parts": [{"text": EVIL}, {"code": EVIL}, {"image": "../../store.sqlite"}]}
    sessions = {
        "model": EVIL,
        "runs": [{"name": EVIL, "outcome": EVIL, "messages": [said, {**said, "role": "system"}]}],
    }
    (folder / "transcripts" / name).write_text(json.dumps(sessions))
    return folder


def crawled(own: TestClient) -> dict[str, str]:
    """Every page that links lead to, and every page of parameters that are evil."""
    found: dict[str, str] = {}
    waiting = ["/", "/nope" + EVIL, "/?x=" + EVIL]
    while waiting and len(found) < 120:
        url = waiting.pop().partition("#")[0]
        if url in found or not url.startswith("/") or "/files/page/" in url:
            continue
        answer = own.get(url, headers={"accept": "text/html"})
        if "text/html" not in answer.headers["content-type"]:
            continue
        found[url] = answer.text
        waiting += [a["href"] for t, a in Tags(answer.text).tags if t == "a" and "href" in a]
    return found


def test_planted_scripts_are_text_on_every_page(evil: Path) -> None:
    own = client(evil, opener=lost)
    base = next(u for u in crawled(own) if u.startswith("/runs/")).split("/")[2]
    pages = crawled(own)
    for query in (f"q={EVIL}", f"site={EVIL}", f"made_by={EVIL}", f"whose={EVIL}"):
        pages[query] = own.get(f"/runs/{base}/units", params=dict([query.split("=", 1)])).text
    assert len(pages) > 12
    seen = 0
    for url, text in pages.items():
        tags = Tags(text)
        assert not [a for t, a in tags.tags if t == "script" and "src" not in a], url
        assert {a["src"].split("/")[1] for t, a in tags.tags if t == "script"} <= {"static"}, url
        for tag, attributes in tags.tags:
            assert not [n for n in attributes if n.startswith("on") or n == "style"], (url, tag)
            assert not attributes.get("href", "").lower().startswith("javascript"), url
            assert attributes.get("src", "/").startswith("/"), url
        assert "‮" not in text, url
        seen += "<script>document.title='hacked'</script>" in tags.text
    assert seen >= 5, "they are shown, as text"


def test_answers_carry_what_keeps_a_page_safe(evil: Path) -> None:
    answer = client(evil, opener=lost).get("/runs/run-b/")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "script-src 'self'" in policy and "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "referrer-policy" in answer.headers
    foreign = TestClient(create_app([evil], opener=lost), base_url="http://evil.example")
    assert foreign.get("/").status_code == 421


def test_files_outside_the_run_are_not_served(evil: Path) -> None:
    own = client(evil, opener=lost)
    for id in ("../store.sqlite", "kept ../../store", "seen ../x.png", "/etc/passwd", "kept " + "a" * 64, EVIL):
        assert own.get("/runs/run-b/picture", params={"id": id}).status_code == 404
    assert own.get("/runs/run-b/log", params={"file": "../store.sqlite"}).status_code == 404
    assert own.get("/static/../app.py").status_code == 404


def test_without_model_and_corpus_all_that_is_stored_is_shown(evil: Path) -> None:
    own = client(evil, opener=lost)
    loaded(own, f"/runs/run-b/unit/{SITE}/0")
    text = Tags(loaded(own, f"/runs/run-b/unit/{SITE}/0")).text
    assert "the model is nowhere: bring it back" in text
    for there in ("What each explainer says", "Scores beside controls", "Experiments", "Transcript", "Does not beat"):
        assert there in text
    assert "the model is nowhere" in Tags(own.get("/runs/run-b/").text).text
    assert own.get(f"/runs/run-b/confusion/{SITE}/0").status_code == 404


def test_a_run_in_which_nothing_was_harvested_says_so(tmp_path: Path) -> None:
    Store.open(tmp_path / "new", create=True).close()
    own = client(tmp_path / "new", opener=lost)
    assert "Nothing was harvested in this run so far." in own.get("/").text
    assert "No unit is like that." in own.get("/runs/new/units").text
    with pytest.raises(StoreError, match="nothing was harvested"):
        report_runs([tmp_path / "new"], tmp_path / "out")


def test_a_folder_that_is_no_run_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is not a maieutic run"):
        create_app([tmp_path])


def test_what_is_not_there_is_a_page_that_says_so(evil: Path) -> None:
    own = client(evil, opener=lost)
    for url in ("/runs/other/", "/runs/run-b/unit/layers.1.mlp/999", "/nothing"):
        answer = own.get(url)
        assert answer.status_code == 404 and "Not here" in answer.text
    answer = own.get("/runs/run-b/units?by=nonsense")
    assert answer.status_code == 400 and "no column" in answer.text


def test_pages_of_the_table_hold_every_unit_once_in_order(tmp_path: Path) -> None:
    store = make_store(tmp_path / "r", units_of=23)
    for n in range(23):
        explained(store, n + 1, f"label {n}", value=n / 23)
    store.close()
    own, keys = client(tmp_path / "r", opener=lost), list[str]()
    for page in (1, 2, 3):
        text = own.get("/runs/r/units", params={"by": "ap", "down": "1", "size": 10, "page": page}).text
        keys += re.findall(r'<th scope="row" class="key"><a [^>]*>([^<]+)<', text)
    assert keys == [f"{SITE}/{n}" for n in reversed(range(23))]
    last = own.get("/runs/r/units", params={"size": 10, "page": 99}).text
    assert "page 3 of 3" in last
    # a unit's page leads on in the order that it was come from
    tags = Tags(own.get(f"/runs/r/unit/{SITE}/5", params={"by": "ap", "down": "1"}).text).tags
    steps = {a["rel"]: a["href"] for t, a in tags if t == "a" and a.get("rel") in ("prev", "next")}
    assert steps == {"prev": f"/runs/r/unit/{SITE}/6?by=ap&down=1", "next": f"/runs/r/unit/{SITE}/4?by=ap&down=1"}


# --- a real run ----------------------------------------------------------------------------------------------------------


_STIMULUS = re.compile(r'<p class="stimulus"[^>]*>(.*?)</p>', re.DOTALL)
#: parts of a page that a folder does not have
APP_ALONE = ("Nearest labels in meaning", "What people say")


def facts(text: str) -> dict[str, Any]:
    """What a unit's page says, whoever serves it."""
    main = text[text.index("<header") : text.index("<footer")]
    body = Tags(main).text
    return {
        "label": re.findall(r'<h1 class="label[^"]*">(.*?)</h1>', main, re.DOTALL),
        "values": re.findall(r'data-name="value">([^<]*)<', main),
        "predicted": re.findall(r'data-name="predicted">([^<]*)<', main),
        "measured": re.findall(r'data-name="measured"[^>]*>([^<]*)<', main),
        "exemplars": re.findall(r'<strong title="raw activation">([^<]*)<', main),
        "texts": [html.unescape(re.sub("<[^>]*>", "", t)) for t in _STIMULUS.findall(main)],
        "near": re.findall(r'data-name="correlation">([^<]*)<', main),
        "headings": [h for h in re.findall(r"<h2>([^<]*)</h2>", main) if h not in APP_ALONE],
        "scale": re.findall(r"0 is [^,]*, 1 is [0-9.−]*", body),
    }  # fmt: skip


def test_the_app_and_the_folder_show_the_same_facts(small_run: Path, tmp_path: Path) -> None:
    folder = report_runs([small_run], tmp_path / "out", explainer="search").parent
    told = json.loads((folder / "report.json").read_text(encoding="utf-8"))["units"]
    own = client(small_run)
    with Store.open(small_run) as store:
        keys = [k for (k,) in store.columns(units_table, ("key",), role="main")]
    assert {u["unit"] for u in told} == set(keys)
    compared = 0
    for unit in told[:3]:
        served = facts(loaded(own, f"/runs/small/unit/{unit['unit']}?whose=search"))
        static = facts((folder / unit["page"]).read_text(encoding="utf-8"))
        if unit["abstained"] is None:  # the app offers to run the predicate; a folder shows what was run
            served["headings"] = [h for h in served["headings"] if h != "Predicted against measured"]
        assert served == static
        assert served["exemplars"] and served["near"]
        compared += bool(served["measured"])
    assert compared, "some had experiments"
    overview, index = (Tags(t).text for t in (own.get("/runs/small/").text, (folder / "index.html").read_text()))
    for fact in re.findall(r"\d+ of \d+ units [^.]*\.", index):
        assert fact in overview


def test_a_predicate_is_run_when_somebody_asks_and_kept(
    small_run: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MAIEUTIC_CACHE", str(tmp_path / "cache"))
    own = client(small_run)
    with Store.open(small_run) as store:
        from maieutic.report.records import Records

        records = Records.of(store)
        shown = records.shown(records.members(), "search")
    labelled = [u for u in shown if u.abstained is None]
    if not labelled:
        pytest.skip("the search labelled no unit of the random model")
    url = f"/runs/small/unit/{labelled[0].key}?whose=search"
    assert "Run the predicate" in loaded(own, url)
    made = own.get(f"/runs/small/confusion/{labelled[0].key}?whose=search")
    assert made.status_code == 200
    if "It cannot be compared" not in made.text:
        assert "Run the predicate" not in loaded(own, url), "it is kept and shown at once"


def test_the_confusion_is_counted_by_hand() -> None:
    import numpy as np

    from maieutic.report.confusion import Confusion, compare

    predicted = np.array([0.9, 0.95, 0.1, 0.2, 1.0])
    measured = np.array([1.0, 0.0, 0.9, 0.05, 0.55])
    active = np.array([True, False, True, False, True])
    found = compare(predicted, measured, active, 0.5, lambda i: (f"text {i}", f"id {i}"))
    assert (found.hits, found.misses, found.false_alarms, found.rests) == (2, 1, 1, 1)
    assert (found.precision, found.recall) == (2 / 3, 2 / 3)
    assert found.grid[9][9] == 1 and found.grid[0][9] == 1 and found.grid[5][9] == 1  # 1.0 counts in the last bin
    assert found.grid[9][1] == 1 and found.grid[0][2] == 1 and sum(map(sum, found.grid)) == 5
    assert found.means[9] == pytest.approx((1.0 + 0.0 + 0.55) / 3) and found.means[5] is None
    assert [w.text for w in found.missed] == ["text 2"] and [w.text for w in found.alarmed] == ["text 1"]
    assert Confusion.from_json(json.loads(json.dumps(found.to_json()))) == found
