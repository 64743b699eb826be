"""Forecasts of campaigns: sharing and times by hand, decisions as a real sweep's, intervals that hold what comes."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from maieutic.campaign.cascade import Record, Rules, Stage
from maieutic.campaign.forecast import forecast
from maieutic.campaign.forecast_pilot import Recorder, noted, timings
from maieutic.campaign.forecast_read import Pace, Pilot, Sampled, Seen, _pace, _usual
from maieutic.campaign.forecast_settings import settings_for, told
from maieutic.campaign.forecast_sharing import Sharing
from maieutic.campaign.forecast_simulate import Setting, drawn, plain, reached
from maieutic.campaign.prices import Prices, load_prices
from maieutic.campaign.spend import Limits, Spend
from maieutic.errors import StoreError, UsageError
from maieutic.executors import Done, Work
from maieutic.executors.in_process import InProcess

STAGES = (Stage(explainer="cheap"), Stage(explainer="dear", budget=20))
PACE = Pace(
    harvest=100.0, harvest_work=80.0, start=3.0, first=2.0, first_explaining=1.5, between=0.5, efficiency=0.8,
    workers=2, engine="processes", resumed=False, load=0.5,
)  # fmt: skip


def seen(standing: float, asked: int = 0, *, score: float | None = None, seconds: float = 1.0, shown: Any = ()) -> Seen:
    return Seen(
        record=Record(standing=standing, measurements=asked), spend=Spend(measurements=asked), labelled=standing > 0,
        seconds=seconds, explaining=seconds, measuring=0.0, fresh=asked, shown=tuple(shown),
        score=standing if score is None else score, scoring=0.1,
    )  # fmt: skip


def pilot_of(units: list[tuple[Seen, ...]], *, width: int, pace: Pace = PACE) -> Pilot:
    main = tuple(Sampled(role="main", key=f"s/{i}", site="s", weight=1.0, stages=u) for i, u in enumerate(units))
    return Pilot(
        stages=STAGES[: len(units[0])], grants=tuple(Spend(measurements=s.budget) for s in STAGES), first="mass", main=main,
        nulls=(), widths={"s": width}, pace=pace, about={"subject": "planted"},
    )  # fmt: skip


def planted(rng: np.random.Generator, n: int) -> list[tuple[Seen, ...]]:
    """Units whose second stage asks 5 to 20 and gains up to a half of what is missing."""
    units: list[tuple[Seen, ...]] = []
    for i in range(n):
        before, gain = rng.random(), rng.random() / 2
        asked = int(rng.integers(5, 21))
        after = seen(before + gain * (1 - before), asked, shown=[f"{i}.{j}" for j in range(asked)])
        units.append((seen(before), after))
    return units


def quiet() -> Prices:
    """The packaged table without the noise of machines."""
    prices = load_prices()
    return prices.model_copy(update={"machine": prices.machine.model_copy(update={"repeat": 0.0})})


FREE = Setting(stages=2, rules=Rules(), limits=Limits())


# --- sharing -------------------------------------------------------------------------------------------------------


def sharing(*units: str) -> Sharing:
    names = sorted(set("".join(units)))
    shown = np.array([[n in u for n in names] for u in units])
    asked = np.array([len(u) for u in units], dtype=np.float64)
    return Sharing.of(shown, asked, np.random.default_rng(0), halves=20)


def test_different_stimuli_are_counted_as_by_hand() -> None:
    # a, b and c of two units: one unit shows 2, both 3
    two = sharing("ab", "bc")
    assert two.different(1) == pytest.approx(2) and two.different(2) == pytest.approx(3)
    assert two.different(0.5) == pytest.approx(1)
    # of three units any two: ab+bc = 3, ab+ad = 3, bc+ad = 4, the mean 10/3
    three = sharing("ab", "bc", "ad")
    assert three.different(2) == pytest.approx(10 / 3) and three.different(3) == pytest.approx(4)
    # 3 of the 4 that two units ask for are new; with a bank each all are
    assert two.fresh(2, banks=1) == pytest.approx(0.75) and two.fresh(2, banks=2) == pytest.approx(1.0)


def test_beyond_the_sample_nothing_shared_grows_and_all_shared_does_not() -> None:
    apart, same = sharing("ab", "cd", "ef", "gh"), sharing("ab", "ab", "ab", "ab")
    assert apart.different(400) == pytest.approx(800) and apart.fresh(400, banks=2) == pytest.approx(1.0)
    assert same.different(400) == pytest.approx(2) and same.fresh(400, banks=1) == pytest.approx(2 / 800)
    # repeats within a unit are not new: one stimulus asked for twice by each
    twice = Sharing.of(np.eye(4, dtype=bool), np.full(4, 2.0), np.random.default_rng(0))
    assert twice.fresh(4, banks=1) == pytest.approx(0.5)


# --- decisions -----------------------------------------------------------------------------------------------------


def test_a_limit_is_never_passed_and_one_that_is_large_changes_nothing() -> None:
    pilot = pilot_of(planted(np.random.default_rng(3), 24), width=200)
    people = drawn(pilot, pilot.widths, np.random.default_rng(1))
    free = reached(pilot, people, FREE)

    def spent(stages: np.ndarray) -> int:
        return sum(pilot.main[u].stages[1].spend.measurements for u, n in zip(people.of, stages, strict=True) if n == 2)

    assert set(free.stages.tolist()) == {1, 2}  # those that stand above 0.9 rest
    for limit in (0, 19, 20, 333, 1000):
        found = reached(pilot, people, Setting(stages=2, rules=Rules(), limits=Limits(measurements=limit)))
        assert spent(found.stages) <= limit
        # a unit is granted 20 and left out only when no 20 are left
        assert spent(found.stages) > limit - 20
    large = reached(pilot, people, Setting(stages=2, rules=Rules(), limits=Limits(measurements=free.peak.measurements)))
    assert (large.stages == free.stages).all()


def test_what_gains_nothing_is_tried_on_one_wave_only() -> None:
    # 64 of 200 units end the first wave of the second stage; its gain of 0 is less than the least then:
    # (0 + 4 * 0.2 * 0.5) / (64 + 4) = 0.006 < 0.02
    pilot = pilot_of([(seen(0.5), seen(0.5, 10))] * 8, width=192)
    found = reached(pilot, plain(pilot, pilot.widths), FREE)
    assert int((found.stages == 2).sum()) == 64


def test_a_larger_campaign_is_as_many_times_one_that_is_simulated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("maieutic.campaign.forecast_simulate.MOST", 128)
    pilot = pilot_of(planted(np.random.default_rng(5), 16), width=128_000)
    people = plain(pilot, pilot.widths)
    assert people.main == 128 and people.times == 1000.0
    limited = Setting(stages=2, rules=Rules(), limits=Limits(measurements=500_000))
    (all_of_it, half) = forecast(pilot, [FREE, limited], prices=quiet(), resamples=40)
    asked = half.readings["measurements"].value
    # of 500 that a thousandth of it may ask, a unit's grant of 20 at most is left over
    assert asked is not None and 480_000 < asked <= 500_000
    assert all_of_it.readings["through.cheap"].value == 128_000


# --- figures -------------------------------------------------------------------------------------------------------


def test_wall_time_and_money_by_hand() -> None:
    # 10 units of one stage, 4 s each and 0.1 s of scoring, nothing measured, for 4 workers
    pilot = pilot_of([(seen(0.5, seconds=4.0),)] * 10, width=10)
    (made,) = forecast(
        pilot, [Setting(stages=1, rules=Rules(), limits=Limits())], prices=quiet(), workers=[4], resamples=40
    )
    # harvest 100 - 80 / 2 + 80 / 4 = 80; start 3; first 2; work 10 * 4.1 / (4 * 0.8) = 12.8125; one wave 0.5
    wall = 80 + 3 + 2 + 12.8125 + 0.5
    assert made.readings["wall"].value == pytest.approx(wall)
    assert made.readings["core_hours"].value == pytest.approx(4 * wall / 3600)
    assert made.readings["dollars"].value == pytest.approx(4 * wall / 3600 * quiet().machine.core_hour)
    # 10 units of 4 s, and for each of 4 workers what its first took longer
    assert made.readings["explaining"].value == pytest.approx(10 * 4 + 4 * 1.5)
    assert made.readings["labelled"].value == 10 and made.readings["ap"].value == pytest.approx(0.5)


def test_tokens_without_a_price_cost_what_the_table_says() -> None:
    units = [(seen(0.5),) for _ in range(8)]
    told = [(Seen(**{n: getattr(u, n) for n in Seen.__slots__} | {"spend": Spend(llm_tokens=1000)}),) for (u,) in units]
    (made,) = forecast(
        pilot_of(told, width=8), [Setting(stages=1, rules=Rules(), limits=Limits())], prices=quiet(), resamples=40
    )
    hours = made.readings["core_hours"].value
    # 8,000 tokens, nine in ten of them read: 8000 * (0.9 * 0.25 + 0.1 * 2) / 1e6 = 0.0034
    assert hours is not None
    assert made.readings["dollars"].value == pytest.approx(0.0034 + hours * 0.05)


def test_every_unit_sampled_leaves_nothing_open() -> None:
    pilot = pilot_of(planted(np.random.default_rng(7), 30), width=30)
    (made,) = forecast(pilot, [FREE], prices=quiet(), resamples=40)
    for name in ("through.dear", "measurements", "labelled", "standing", "ap"):
        r = made.readings[name]
        assert r.low == pytest.approx(r.value) and r.high == pytest.approx(r.value)
    pairs = [(u.stages[0].record.standing or 0.0, u.stages[1].record.standing or 0.0) for u in pilot.main]
    # the second stage is never worse here, and tried on all that stand below 0.9
    best = np.mean([first if first >= 0.9 else second for first, second in pairs])
    assert made.readings["standing"].value == pytest.approx(best)


def test_a_figure_that_no_unit_has_stays_unmeasured() -> None:
    units = [(Seen(**{n: getattr(seen(0.5), n) for n in Seen.__slots__} | {"score": None}),) for _ in range(8)]
    (made,) = forecast(
        pilot_of(units, width=80), [Setting(stages=1, rules=Rules(), limits=Limits())], prices=quiet(), resamples=40
    )
    assert made.readings["ap"].value is None and "no unit" in str(made.readings["ap"].reason)


@pytest.mark.slow
def test_intervals_hold_what_comes() -> None:
    # campaigns of 70 units of which 14 are seen first; the truth is the same decisions on all 70
    held = {name: 0 for name in ("measurements", "standing", "ap", "labelled", "through.dear")}
    trials = 20
    for trial in range(trials):
        units = planted(np.random.default_rng([11, trial]), 70)
        whole, part = pilot_of(units, width=70), pilot_of(units[:14], width=70)
        (truth,), (made,) = (forecast(p, [FREE], prices=quiet(), resamples=40, seed=trial) for p in (whole, part))
        for name in held:
            r, value = made.readings[name], truth.readings[name].value
            assert r.low is not None and r.high is not None and value is not None
            held[name] += r.low - 1e-9 <= value <= r.high + 1e-9
    # 95 of 100 are meant to: fewer than 15 of 20 would come about less often than once in a thousand
    assert min(held.values()) >= 15, held


# --- what is read back ---------------------------------------------------------------------------------------------


def line(
    at: float, seconds: float, worker: str, *, run: int = 0, key: str = "s/0", explainer: str = "cheap"
) -> dict[str, Any]:
    return {
        "session": "1", "run": run, "kind": "explaining", "role": "main", "key": key, "explainer": explainer,
        "worker": worker, "seconds": seconds, "at": at,
    }  # fmt: skip


def test_what_is_paid_once_is_told_from_what_units_cost() -> None:
    # two workers are ready after 4 s; their first unit takes 3 s longer than the 1 s of the others
    rows = [
        line(8.0, 4.0, "a", key="s/0"), line(8.0, 4.0, "b", key="s/1"), line(9.0, 1.0, "a", key="s/2"),
        line(9.0, 1.0, "b", key="s/3"),
        {"session": "1", "run": 0, "kind": "explaining", "jobs": 4, "span": 9.0, "gap": None, "workers": 2,
         "engine": "processes", "load": 1.0},
        line(1.0, 1.0, "a", run=1, key="s/4"),
        {"session": "1", "run": 1, "kind": "explaining", "jobs": 1, "span": 1.0, "gap": 0.25, "workers": 2,
         "engine": "processes", "load": 2.0},
    ]  # fmt: skip
    pace = _pace(rows, 50.0, ["cheap"])
    assert (pace.start, pace.first, pace.between, pace.workers, pace.load) == (4.0, 3.0, 0.25, 2, 1.5)
    assert pace.first_explaining == 3.0 and _pace(rows, 50.0, ["dear"]).first_explaining == 0.0
    # busy 4 + 4 + 1 + 1 + 1 = 11 s of 2 * (9 + 1 - 4) = 12
    assert pace.efficiency == pytest.approx(11 / 12) and not pace.resumed
    usual = _usual(rows)
    assert usual["explaining", "main", "s/0", "cheap"] == 1.0 and usual["explaining", "main", "s/4", "cheap"] == 1.0


def double(state: Any, job: int) -> int:
    return 2 * job


def test_a_recorder_changes_nothing_and_outlives_a_cut_line(tmp_path: Path) -> None:
    file = tmp_path / "plan" / "timings.jsonl"
    work = Work(prepare="", perform=f"{__name__}:double", state=object())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("maieutic.executors.in_process.perform", _performed)
        with InProcess() as inner:
            ended = list(Recorder(inner, file).run(work, [1, 2, 3]))
    assert [e.result for e in ended if isinstance(e, Done)] == [2, 4, 6]
    with file.open("a") as handle:
        handle.write('{"session": "1", "run"')
    rows = timings(tmp_path)
    assert len(rows) == 4 and rows[-1]["jobs"] == 3


def _performed(function: str, state: Any, job: int) -> Any:
    from maieutic.executors.inside import Outcome

    return Outcome(result=double(state, job), seconds=0.5)


def test_a_folder_without_a_pilot_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="maieutic plan MODEL"):
        noted(tmp_path)


def test_settings_are_every_prefix_with_every_budget() -> None:
    pilot = pilot_of([(seen(0.5), seen(0.75, 10))] * 8, width=80)
    found = settings_for(pilot, enough=(0.9, 0.6), budgets=("none", "300", "50%", "$4"))
    # the first stage can cost nothing: one setting; the second with each of two rules and four limits
    assert [s.stages for s in found] == [1] + [2] * 8
    # with 0.6 and 0.9 alike all 80 units of standing 0.5 are tried, 10 measurements each
    assert [s.limits.measurements for s in found[1:5]] == [None, 300, 400, None]
    assert found[4].limits.dollars == 4.0
    told_of = [{"explainer": s.explainer, "budget": s.budget} for s in STAGES]
    assert told(found[2], told_of) == "cheap,dear:20 (enough 0.9, at most 300 measurements)"
    for wrong in ("many", "$5%", "-3"):
        with pytest.raises(UsageError, match="no budget"):
            settings_for(pilot, budgets=(wrong,))


def test_a_table_of_prices_is_checked(tmp_path: Path) -> None:
    file = tmp_path / "prices.toml"
    file.write_text("[machine]\ncore_hour = -1\n")
    with pytest.raises(UsageError, match="prices.toml"):
        load_prices(file)
    with pytest.raises(UsageError, match="cannot read"):
        load_prices(tmp_path / "none.toml")
    assert math.isclose(load_prices().tokens.one, (0.25 * 0.9 + 2.0 * 0.1) / 1e6)


# --- against a real sweep ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory, model_folder: Path, jsonl: Path) -> Iterator[tuple[Path, Path]]:
    """A pilot of all 24 units of a tiny network with its forecast, and a sweep of the same units after it."""
    from maieutic.campaign import RunPlan, SweepPlan, create_run, parse_stages, sweep
    from maieutic.campaign.forecast_file import write_forecast
    from maieutic.campaign.forecast_pilot import run_pilot
    from maieutic.campaign.forecast_read import read_pilot
    from maieutic.executors import open_executor

    folder = tmp_path_factory.mktemp("plans")
    stages = parse_stages("search-no-experiments,search:10")
    given: dict[str, Any] = {
        "subject": f"hf:{model_folder}",
        "corpus": str(jsonl),
        "sites": ("layers.1.mlp",),
        "nulls": 2,
    }
    patch = pytest.MonkeyPatch()
    patch.setattr(sys.modules["maieutic.campaign.sweep"], "WAVE", 4)  # `maieutic.campaign.sweep` names the function
    run_pilot(folder / "pilot", RunPlan(**given, sample=24), stages)
    pilot = read_pilot(folder / "pilot")
    settings = settings_for(pilot, budgets=("none", "55"))
    write_forecast(
        folder / "pilot", pilot, forecast(pilot, settings, prices=load_prices(), resamples=40), load_prices()
    )
    with create_run(folder / "run", RunPlan(**given, units=("all",))) as run, open_executor() as executor:
        sweep(run, SweepPlan(stages=stages, limits=Limits(measurements=55)), executor=executor)
    yield folder / "pilot", folder / "run"
    patch.undo()


@pytest.mark.slow
def test_a_pilot_of_all_units_foretells_a_sweep_exactly(campaign: tuple[Path, Path]) -> None:
    from maieutic.campaign.forecast_compare import compare

    found = compare(*campaign)
    rows = {r.name: r for r in found.rows}
    assert rows["measurements"].actual.value is not None and 30 < rows["measurements"].actual.value <= 55
    for name in ("through.search-no-experiments", "through.search", "labelled", "measurements", "standing", "ap"):
        if rows[name].actual.value is None:
            assert rows[name].forecast.value is None
            continue
        assert rows[name].forecast.value == pytest.approx(rows[name].actual.value), name
        assert rows[name].inside, name
    assert not [n for n in found.notes if "foretold" in n or "program changed" in n]


@pytest.mark.slow
def test_only_what_was_forecast_is_compared(campaign: tuple[Path, Path]) -> None:
    from maieutic.campaign.forecast_compare import compare

    pilot, run = campaign
    with pytest.raises(UsageError, match="7 workers"):
        compare(pilot, run, workers=7)
    with pytest.raises(StoreError, match="holds no forecast"):
        compare(run, run)
    file = pilot / "plan" / "forecast.json"
    kept = file.read_text()
    try:
        file.write_text(
            json.dumps(json.loads(kept) | {"about": json.loads(kept)["about"] | {"corpus_fingerprint": "x"}})
        )
        with pytest.raises(StoreError, match="another corpus"):
            compare(pilot, run)
        file.write_text(json.dumps(json.loads(kept) | {"written_at": "2999-01-01T00:00:00+00:00"}))
        assert any("foretold nothing" in n for n in compare(pilot, run).notes)
        file.write_text(kept[: len(kept) // 2])
        with pytest.raises(StoreError, match="make it again"):
            compare(pilot, run)
    finally:
        file.write_text(kept)
