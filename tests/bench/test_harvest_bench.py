"""Figures of the bench ``harvest`` from seconds and peaks that are known."""

from __future__ import annotations

import pytest

from maieutic.bench.harvest import CASES, Peak, Round, _figures, _tables

MB = 2**20
#: ratios 1.1, 1.2 and 1.0 of each case; pictures took a fifth of the time
ROUNDS = {
    c.name: [Round(bare=b, harvest=h, preparing=h / 4 if c.name.startswith("image") else 0.0) for b, h in PAIRS]
    for PAIRS in (((10.0, 11.0), (10.0, 12.0), (20.0, 20.0)),)
    for c in CASES
}
PEAKS = {
    ("bare", 20_000): Peak(tokens=20_000, peak=700 * MB, seconds=90.0),
    ("harvest", 20_000): Peak(tokens=20_000, peak=800 * MB, seconds=100.0),
    ("bare", 200_000): Peak(tokens=200_000, peak=720 * MB, seconds=900.0),
    ("harvest", 200_000): Peak(tokens=200_000, peak=840 * MB, seconds=1050.0),
}


def test_ratios_and_growth_by_hand() -> None:
    found = _figures(ROUNDS, PEAKS, 0, targets=True)
    one = found["ratio.text.one-layer"]
    assert (one.reading.value, one.target) == (pytest.approx(1.1), 1.05)  # the median of 1.0, 1.1, 1.2
    assert one.reading.low == pytest.approx(1.0) and one.reading.high == pytest.approx(1.2)
    assert not one.met
    assert "preparing.text.one-layer" not in found
    assert found["preparing.image.one-site"].reading.value == pytest.approx(0.2)
    # its own peak grew from 800 - 700 to 840 - 720 MB: 20 MB of 800
    assert found["memory.growth"].reading.value == pytest.approx(1.025)
    assert found["memory.own-mb"].reading.value == pytest.approx(120)
    # 5.25 ms a token after 5 ms
    assert found["time.growth"].reading.value == pytest.approx(1.05)
    assert found["memory.growth"].met and found["time.growth"].met


def test_a_first_look_has_no_targets() -> None:
    assert all(f.target is None for f in _figures(ROUNDS, PEAKS, 0, targets=False).values())


def test_tables_hold_every_case_and_child() -> None:
    times, memory = _tables(ROUNDS, PEAKS, 0)
    assert [r[0] for r in times.rows] == [c.name for c in CASES]
    assert len(memory.rows) == len(PEAKS) and memory.rows[1] == ("harvest, 20,000 tokens", "800", "100.0", "200")
