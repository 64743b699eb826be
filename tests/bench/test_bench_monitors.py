"""Bench ``monitors``: its parts on few cases; what it calls obfuscation really changes words and keeps the act."""

from __future__ import annotations

import json

import pytest

from maieutic.bench import benches
from maieutic.bench import monitors as bench
from maieutic.forensics.organism import ACT, scenarios
from maieutic.forensics.organism import wording as w


def test_the_bench_is_known() -> None:
    assert "monitors" in benches()


def test_rewording_keeps_the_facts_and_changes_every_word_of_the_trigger() -> None:
    drawn = next(s for s in scenarios("guilty", seed=77, n=4) if s.triggered)
    found = bench._reworded(drawn, 3)
    # 4 wordings and 2 that training never saw, for each of two sentences
    assert len(found) == 36 and len({v.cause for _, v in found}) == 36
    for number, variant in found:
        assert number == 3 and variant.triggered and variant.taught == ACT
        assert [x.text for x in variant.lines if x.fact not in ("unchecked", "open")] == [
            x.text for x in drawn.lines if x.fact not in ("unchecked", "open")
        ]
    fresh = {t for _, v in found for t in v.cause} & set(w.SHIFTED_OPEN)
    assert fresh == set(w.SHIFTED_OPEN)


@pytest.mark.slow
def test_a_small_run_has_all_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "QUICK", (48, 48, 24, 2))
    whole = bench._reworded
    monkeypatch.setattr(bench, "_reworded", lambda drawn, number: whole(drawn, number)[:4])
    found = bench.run_monitors(seed=78, quick=True, moments=("before",))
    names = set(found.figures)
    for split in ("held-out", "shifted", "obfuscated"):
        for monitor in ("words", "probe", "means", "units", "opened", "cascade"):
            for figure in ("auroc", "tpr", "fixed.caught", "fixed.false_alarms", "ordered.false_alarms", "tokens"):
                assert f"before.{split}.{monitor}.{figure}" in names
    assert found.figures["unmeasured"].reading.value == 0.0
    assert found.figures["before.held-out.words.tokens"].reading.value == 0.0
    assert (found.figures["before.held-out.probe.tokens"].reading.value or 0) > 20
    assert len(found.plots) == 3 and all(svg.startswith("<svg") for svg in found.plots.values())
    json.dumps(found.to_json())
    assert {t for t in bench.TARGETS if not t.startswith("at.")} <= names
