"""The store bench on a very small run: every figure is there, and what it times is what it says."""

from __future__ import annotations

import pytest

from maieutic.bench import run_bench
from maieutic.bench import store as module


@pytest.mark.slow
def test_a_small_store_gives_every_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "UNITS", 20_000)
    monkeypatch.setattr(module, "LOOKUPS", 3)
    result = run_bench("store", seed=1, quick=True)
    assert set(module.TARGETS) <= set(result.figures)
    assert all(f.reading.value is not None and f.reading.value >= 0 for f in result.figures.values())
    # 400 units x 50 rows of 5 columns, compressed; 16,384 latents of which 64 are drawn at each of 2,000 positions
    assert 0.05 < (result.figures["exemplars, MB"].reading.value or 0) < 1
    assert 0.12 < (result.figures["non-zeros, millions"].reading.value or 0) <= 0.128
    assert result.figures["look-up, median ms"].target == module.TARGETS["look-up, median ms"]
