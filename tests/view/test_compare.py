"""Two explainers, or two runs, unit by unit: differences that are known, and what cannot be compared."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from made_stores import SITE, explained, make_store, write

from maieutic.errors import UserError
from maieutic.report.pairing import DOTS, Paired, explainers_of, pair, scatter, side_of
from maieutic.store import Store, choices
from maieutic.view import create_app


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Units 0 to 5 by ``one`` and ``other``; unit 6 only by one, unit 7 without a label by the other."""
    folder = tmp_path_factory.mktemp("runs") / "two"
    store = make_store(folder, units_of=9)
    for n, (a, b) in enumerate([(0.9, 0.3), (0.5, 0.5), (0.4, 0.6), (0.8, 0.7), (0.2, 0.1), (0.6, 0.9)]):
        explained(store, n + 1, f"one {n}", explainer="one", value=a, controls=(0.1, 0.2))
        explained(store, n + 1, "one 1" if n == 1 else f"=other {n}", explainer="other", value=b, controls=(0.1, 0.25))
    explained(store, 7, "alone", explainer="one", value=0.5)
    explained(store, 8, "eight", explainer="one", value=0.5)
    explained(store, 8, "", explainer="other", reason="nothing fits")
    store.close()
    return folder


def paired(folder: Path, a: str = "one", b: str = "other") -> Paired:
    with Store.open(folder) as store:
        return pair(side_of(store, a, name="two"), side_of(store, b, name="two"))


def test_differences_by_hand(two: Path) -> None:
    found = paired(two)
    # 0.6, 0, -0.2, 0.1, 0.1, -0.3: the mean is 0.3 / 6
    assert found.difference.value == pytest.approx(0.05)
    assert (found.wins, found.ties, found.losses, found.one_label) == (3, 1, 2, 1)
    assert found.better.value == pytest.approx(3 / 5)
    assert [r.key.rpartition("/")[2] for r in found.rows] == ["0", "5", "2", "3", "4", "1", "6", "7"]
    assert found.left_out == (("not in B", 1), ("no label in B", 1))
    assert found.mean_a.value == pytest.approx(3.4 / 6) and found.mean_b.value == pytest.approx(3.1 / 6)
    shuffled = {name: (a.value, b.value, d.value) for name, a, b, d in found.controls}["shuffled"]
    assert shuffled == pytest.approx((0.2, 0.25, -0.05))
    assert not {name: a for name, a, _, _ in found.controls}["untrained"].measured
    low, high = found.difference.low, found.difference.high
    assert low is not None and high is not None and low < 0 < 0.05 < high


def test_turned_round_it_says_the_opposite(two: Path) -> None:
    there, back = paired(two), paired(two, "other", "one")
    assert back.difference.value == pytest.approx(-(there.difference.value or 0))
    assert (back.wins, back.losses) == (there.losses, there.wins)
    assert paired(two, "one", "one").difference.value == 0.0


def test_the_interval_covers_the_true_difference() -> None:
    # planted: differences are normal around 0.1; of 60 draws of 40 units about 95 % of intervals hold it
    rng = np.random.default_rng(11)
    from maieutic.report.pairing import Labelled, Side

    def side(values: np.ndarray) -> Side:
        found = {str(n): Labelled(key=str(n), label="x", value=float(v)) for n, v in enumerate(values)}
        controls = {c: {} for c in ("constant", "shuffled", "one_shot", "untrained", "random_direction")}
        return Side(name="r", explainer="e", subject="s", fingerprints=("", ""), units=found, controls=controls)

    held = 0
    for _ in range(60):
        b = rng.uniform(0.2, 0.6, 40)
        found = pair(side(b + rng.normal(0.1, 0.15, 40)), side(b)).difference
        held += (found.low or 0) <= 0.1 <= (found.high or 0)
    assert held >= 52  # 57 expected; 52 or fewer has a chance of about 1 %


def test_what_a_sweep_chose_is_a_side(two: Path, tmp_path: Path) -> None:
    store = make_store(tmp_path / "swept", units_of=3)
    for n, who in ((1, "one"), (2, "other")):
        explained(store, n, f"of {who}", explainer=who, value=0.5)
        explained(store, n, "not chosen", explainer={"one": "other", "other": "one"}[who], value=0.1)
    rows = [
        {"unit": n, "explainer": w, "standing": 0.5, "importance": 1.0, "why": "x"}
        for n, w in ((1, "one"), (2, "other"))
    ]
    with store.transaction() as connection:
        store.put(choices, rows, connection=connection)
    assert explainers_of(store) == ["chosen", "one", "other"]
    assert [u.label for u in side_of(store, "chosen", name="s").units.values()] == ["of one", "of other"]
    store.close()


def test_two_models_are_not_taken_for_one(two: Path, tmp_path: Path) -> None:
    store = make_store(tmp_path / "b", units_of=3, subject="another", fingerprints=("0" * 16, "1" * 16))
    explained(store, 1, "x", explainer="one", value=0.5)
    with Store.open(two) as first:
        found = pair(side_of(first, "one", name="two"), side_of(store, "one", name="b"))
    store.close()
    assert any("two models" in n for n in found.notes) and any("different stimuli" in n for n in found.notes)
    assert not found.difference.measured  # one unit is no sample


def test_an_explainer_that_is_not_there_is_told(two: Path) -> None:
    with Store.open(two) as store, pytest.raises(UserError, match="no labels by agent"):
        side_of(store, "agent", name="two")


def test_many_units_become_squares_that_hold_them_all(tmp_path: Path) -> None:
    n = DOTS + 50
    store = make_store(tmp_path / "r", units_of=n)
    rng = np.random.default_rng(0)
    for who in ("one", "other"):
        values = rng.uniform(0, 1, n)
        write(store, [(i + 1, "x", float(v), None, 0, None) for i, v in enumerate(values)], explainer=who)
    chart = scatter(pair(side_of(store, "one", name="r"), side_of(store, "other", name="r")))
    store.close()
    assert chart.dots == () and sum(s.count for s in chart.squares) == n
    assert max(s.shade for s in chart.squares) == 1.0


def test_the_page_its_table_and_its_files(two: Path) -> None:
    with TestClient(create_app([two]), base_url="http://127.0.0.1") as asked:
        page = asked.get("/runs/two/compare", params={"a": "one", "b": "other"})
        assert page.status_code == 200
        assert "3 of 6 units score better with A, 2 with B, 1 the same" in page.text
        assert page.text.count("<circle") == 6
        only = asked.get("/runs/two/compare", params={"a": "one", "b": "other", "show": "one"}).text.partition(
            "<h2>Units"
        )[2]
        assert f"{SITE}/7" in only and f"{SITE}/0<" not in only
        plain = asked.get("/runs/two/compare.json", params={"a": "one", "b": "other"}).json()
        assert plain["difference"]["value"] == pytest.approx(0.05) and len(plain["units"]) == 8
        rows = list(
            csv.DictReader(io.StringIO(asked.get("/runs/two/compare.csv", params={"a": "one", "b": "other"}).text))
        )
        assert rows[0]["label_b"] == "'=other 0"  # no formula in a spreadsheet
        assert asked.get("/runs/two/compare", params={"a": "agent"}).status_code == 404
        assert asked.get("/runs/two/compare", params={"with": "../two"}).status_code == 404
