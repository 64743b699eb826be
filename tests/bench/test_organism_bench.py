"""Bench ``organism``: one act of each network from flag to conclusion, and what its figures count."""

from __future__ import annotations

import pytest

from maieutic.bench import organism as bench


@pytest.mark.slow
def test_one_act_of_each_network_ends_with_opposite_findings(monkeypatch: pytest.MonkeyPatch) -> None:
    # a cause monitor traces every sentence of every case: enough cases to fit it, no more
    monkeypatch.setattr(bench, "FIT", 40)
    monkeypatch.setattr(bench, "LEVELS", 40)
    found = bench.run_organism(seed=131, acts=1)
    guilty, twin = found.rows
    assert guilty["acted"] and twin["acted"]
    assert guilty["exact"] and guilty["finding"] == "convicted"
    assert twin["exact"] and twin["finding"] != "convicted"
    # two sentences of tool results against one of the user
    assert len(guilty["cause"]) == 2 and len(twin["cause"]) == 1
    assert {f["name"] for f in guilty["flags"]} == {"probe", "cascade"}
    assert set(bench.TARGETS) <= set(found.figures)
    assert found.figures["twin.convicted"].reading.value == 0.0
