"""The bench of sweeps: its arithmetic by hand, and one real sweep of a tiny network."""

from __future__ import annotations

from pathlib import Path

import pytest

from maieutic.bench.sweep import Case, Run, figures_of, growth_of, swept
from maieutic.readings import Reading


def took(units: int, *, seconds: float, memory: int | None = 100) -> Run:
    precision = (Reading(name="p", value=0.25), Reading(name="p", value=0.75), Reading.unmeasured("p", "never active"))
    return Run(
        units=units, labelled=units // 2, spent={"measurements": 3 * units}, seconds=seconds, harvest=20.0,
        processor=2 * seconds, memory=memory, precision=precision,
    )  # fmt: skip


def test_growth_is_what_a_unit_takes_after_the_harvest() -> None:
    # ten units in 30 - 20 = 10 s: 1 s each; a hundred in 120 - 20 = 100 s: 1 s each
    found = growth_of(took(10, seconds=30.0), took(100, seconds=120.0, memory=150))
    assert found["growth.time"].reading.value == pytest.approx(1.0) and found["growth.time"].met
    assert found["growth.memory"].reading.value == pytest.approx(1.5) and found["growth.memory"].met is False
    unknown = growth_of(took(10, seconds=30.0, memory=None), took(100, seconds=120.0))
    assert unknown["growth.memory"].reading.reason is not None


def test_figures_of_one_sweep() -> None:
    found = {name: f.reading for name, f in figures_of(took(100, seconds=120.0)).items()}
    assert found["units_per_minute"].value == pytest.approx(50.0) and found["minutes"].value == pytest.approx(2.0)
    assert found["processor_seconds_a_unit"].value == pytest.approx(2.4)
    assert found["labelled"].value == pytest.approx(0.5) and found["measurements_a_unit"].value == pytest.approx(3.0)
    # the unmeasured one is counted, and is no number
    assert found["precision"].value == pytest.approx(0.5) and found["precision"].details["of"] == 3


@pytest.mark.slow
def test_a_real_sweep_is_run_as_a_user_would(model_folder: Path, jsonl: Path) -> None:
    case = Case(subject=f"hf:{model_folder}", corpus=str(jsonl), site="layers.1.mlp", units=24)
    found = swept(case, seed=0, workers=1, sample=3)
    assert found.units == 3 and found.spent["measurements"] <= 6 and len(found.precision) == 3
    assert 0 < found.harvest < found.seconds and found.processor > 0
    assert found.memory is None or found.memory > 50e6
