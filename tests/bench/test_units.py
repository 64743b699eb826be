"""Bench ``units``: shares and gains by hand, what it says without a run, and a whole run on a tiny real model."""

from __future__ import annotations

from pathlib import Path

import pytest

from maieutic.bench import run_bench
from maieutic.bench.units import EXPLAINERS, Standing, figures
from maieutic.campaign import RunPlan, create_run
from maieutic.errors import UsageError
from maieutic.readings import Reading
from maieutic.score import CONTROLS


def stands(explainer: str, unit: str, ap: float | None, *lost: str, open_: tuple[str, ...] = ()) -> Standing:
    beats: dict[str, bool | None] = {c: None if c in open_ else c not in lost for c in CONTROLS}
    return Standing(
        subject="m", explainer=explainer, unit=unit, label="x", abstained=None if ap is not None else "nothing beats",
        ap=Reading.unmeasured("ap", "abstained") if ap is None else Reading(name="ap", value=ap), beats=beats,
    )  # fmt: skip


def test_shares_and_gains_by_hand() -> None:
    rows = [
        stands("search", "a", 0.8), stands("search", "b", 0.6, "one_shot"), stands("search", "c", None),
        stands("search", "d", 0.2, open_=("untrained",)),
        stands("search-no-experiments", "a", 0.5), stands("search-no-experiments", "b", 0.5, "shuffled"),
        stands("search-no-experiments", "c", 0.5), stands("search-no-experiments", "d", None),
        *[stands("lookup", u, 0.1, "constant", open_=("one_shot",)) for u in "abc"],
        stands("lookup", "d", 0.4, open_=("one_shot",)),
    ]  # fmt: skip
    found = figures(rows, EXPLAINERS)

    def value(name: str) -> float | None:
        return found[f"m.{name}"].reading.value

    # only a beats all five; b loses to the one-shot label alone; c abstained; d has a control that was not measured
    assert value("search.beats_every_control") == pytest.approx(1 / 4)
    assert value("search.beats_every_other_control") == pytest.approx(2 / 4)
    assert value("search.labelled") == pytest.approx(3 / 4)
    assert value("search.ap") == pytest.approx((0.8 + 0.6 + 0.2) / 3)
    assert found["m.search.ap"].reading.details["unmeasured"] == {"abstained": 1}
    assert value("search-no-experiments.beats_every_control") == pytest.approx(2 / 4)
    # the look-up's own label is one of the controls
    assert found["m.lookup.beats_every_control"].reading.reason == "one control is its own label"
    assert value("lookup.beats_every_other_control") == pytest.approx(1 / 4)
    # unit by unit against the look-up: +1 (a), +1 (b), 0 (c), -1 (d); AP where both have one: 0.7, 0.5, -0.2
    assert value("search.gain_over.lookup") == pytest.approx(1 / 4)
    assert value("search.ap_gain_over.lookup") == pytest.approx((0.7 + 0.5 - 0.2) / 3)
    assert value("search.gain_over.search-no-experiments") == pytest.approx((0 + 1 - 1 + 0) / 4)


def test_without_a_run_it_says_what_to_do() -> None:
    with pytest.raises(UsageError, match="maieutic bench units --run FOLDER"):
        run_bench("units")


@pytest.mark.slow
def test_a_run_is_completed_and_compared(tmp_path: Path, model_folder: Path, jsonl: Path) -> None:
    plan = RunPlan(subject=f"hf:{model_folder}", corpus=str(jsonl), sites=("layers.1.mlp",), sample=3, nulls=2)
    create_run(tmp_path / "runs" / "one", plan).close()
    result = run_bench("units", runs=[tmp_path / "runs"], budget=10)
    subject = result.rows[0]["subject"]
    assert len(result.rows) == 9
    assert {f"{subject}.{e}.beats_every_other_control" for e in EXPLAINERS} < set(result.figures)
    assert result.figures[f"{subject}.search.labelled"].reading.n == 3
    assert result.met
    # everything is in the run now: again, nothing is explained or scored, and the figures are the same
    again = run_bench("units", runs=[tmp_path / "runs" / "one"], budget=99)
    assert again.figures == result.figures
    assert again.rows == result.rows
