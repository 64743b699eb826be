"""A forecast beside what the campaign really came to: figure by figure, inside its interval or not.

What this does not do: forecast anew. A scenario that was not forecast is not compared, and a forecast that was written
after the campaign began is said to be none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from maieutic.campaign.forecast import FIGURES, Scenario
from maieutic.campaign.forecast_file import Forecast, read_forecast
from maieutic.campaign.forecast_read import HEADLINE
from maieutic.campaign.spend import Limits
from maieutic.errors import StoreError, UsageError
from maieutic.readings import Reading
from maieutic.store import Store, choices, experiments, explanations, harvests, jobs, scores, sweeps, units

#: a sweep whose start and end lie further apart than it took, by this share and seconds, was stopped between
_SLACK, _SECONDS = 0.05, 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One figure. ``inside``: whether what came lies in the forecast's interval; ``None``: one of them is unmeasured."""

    name: str
    forecast: Reading
    actual: Reading

    @property
    def inside(self) -> bool | None:
        f, value = self.forecast, self.actual.value
        if value is None or f.value is None or f.low is None or f.high is None:
            return None
        # counts that are certain have no width, and sums of floats no last bit
        slack = 1e-9 * max(abs(f.low), abs(f.high), 1.0)
        return f.low - slack <= value <= f.high + slack


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A campaign beside its forecast; ``notes``: what speaks against comparing them."""

    scenario: Scenario
    rows: tuple[Compared, ...]
    notes: tuple[str, ...]


def compare(pilot: Path, campaign: Path, *, workers: int | None = None) -> Comparison:
    """Compare a pilot's forecast with a campaign.

    Args:
        pilot: its run folder. campaign: run folder of a finished sweep.
        workers: the campaign had; ``None``: as many as the pilot.

    Raises:
        StoreError: no forecast, no finished sweep, or one of something else.
        UsageError: no such scenario was forecast.
    """
    made = read_forecast(pilot)
    with Store.open(campaign) as store:
        swept, harvested = store.rows(sweeps), store.rows(harvests)
        if not swept or swept[0]["status"] != "done":
            raise StoreError(f"{campaign} holds no finished sweep: run the same  maieutic sweep  again, it goes on")
        _same(made, harvested[0], swept[0], campaign)
        scenario = _scenario(made, swept[0]["settings"], store.count(units, role="main"), workers)
        wall = _wall(harvested[0], swept[0])
        actual = _actual(store, made, scenario, wall)
    rows = [
        Compared(name=name, forecast=reading, actual=actual[name])
        for name, reading in scenario.readings.items()
        if name in actual
    ]
    return Comparison(scenario=scenario, rows=tuple(rows), notes=tuple(_notes(made, swept[0], wall)))


def _same(made: Forecast, harvested: Mapping[str, Any], swept: Mapping[str, Any], campaign: Path) -> None:
    of = {
        "model": ("subject_fingerprint", harvested), "corpus": ("corpus_fingerprint", harvested),
        "hook points": ("sites", harvested), "seed": ("seed", swept["settings"]),
    }  # fmt: skip
    for what, (key, row) in of.items():
        if made.about[key] != row[key]:
            raise StoreError(f"the forecast is not of {campaign} (another {what}): give the pilot of this campaign")


def _scenario(made: Forecast, settings: Mapping[str, Any], count: int, workers: int | None) -> Scenario:
    stages = [{"explainer": s["explainer"], "budget": s["budget"]} for s in settings["stages"]]
    workers = workers or made.once["workers"]
    for scenario in made.read():
        rules = scenario.setting.rules
        if (
            made.stages[: scenario.setting.stages] == stages
            and (rules.enough, rules.least) == (settings["enough"], settings["least"])
            and scenario.setting.limits == Limits(**settings["limits"])
            and (made.first, scenario.units, scenario.workers) == (settings["first"], count, workers)
        ):
            return scenario
    cascade = ",".join(f"{s['explainer']}:{s['budget']}" if s["budget"] else s["explainer"] for s in stages)
    limit = Limits(**settings["limits"]).told() or "no limit"
    raise UsageError(
        f"no scenario of the forecast has this campaign's settings ({cascade}; enough {settings['enough']:g}; least "
        f"{settings['least']:g}; first {settings['first']}; {limit}; {count:,} units; {workers} workers): forecast it "
        "with --budgets, --enough, --for-workers before the campaign"
    )


def _wall(harvested: Mapping[str, Any], swept: Mapping[str, Any]) -> float | str:
    """Seconds of harvest and sweep, or why they are not known."""
    times = [datetime.fromisoformat(swept[name]) for name in ("started_at", "finished_at")]
    lasted, counted = (times[1] - times[0]).total_seconds(), float(swept["seconds"])
    if lasted > counted * (1 + _SLACK) + _SECONDS:
        return "the sweep was stopped and went on, or was run again: its time is not known"
    return float(harvested["seconds"] or 0.0) + counted


def _actual(store: Store, made: Forecast, scenario: Scenario, wall: float | str) -> dict[str, Reading]:
    names = [s["explainer"] for s in made.stages[: scenario.setting.stages]]
    main = {r["id"] for r in store.stream(units, role="main")}
    rows = {(r["unit"], r["explainer"]): r for r in store.stream(explanations) if r["explainer"] in names}
    picked = {r["unit"]: r for r in store.stream(choices) if r["unit"] in main}
    scored = {(r["unit"], r["explainer"]): r["value"] for r in store.stream(scores, name=HEADLINE)}
    ended = [(r["unit"], r["explainer"]) for r in store.stream(jobs, kind="explain") if r["explainer"] in names]
    values: dict[str, float | str] = {
        f"through.{name}": float(sum(unit in main and e == name for unit, e in ended)) for name in names
    }
    paid = sum(r["dollars"] for r in rows.values())
    tokens = sum(r["llm_tokens"] for r in rows.values())
    values |= {
        "labelled": float(sum(rows[u, r["explainer"]]["reason"] is None for u, r in picked.items())),
        "measurements": float(sum(store.count(experiments, explainer=name) for name in names)),
        "fresh": float(sum(store.count(experiments, explainer=name, fresh=1) for name in names)),
        "tokens": float(tokens), "explaining": sum(r["seconds"] for r in rows.values()), "wall": wall,
        "standing": _mean([r["standing"] for r in picked.values()]),
        "ap": _mean([scored.get((u, r["explainer"])) for u, r in picked.items()]),
    }  # fmt: skip
    machine = made.prices.machine
    hours = wall if isinstance(wall, str) else scenario.workers * wall / 3600
    values["core_hours"] = hours
    values["gpu_hours"] = hours if isinstance(hours, str) else hours * machine.gpus_per_worker
    price = machine.core_hour + machine.gpus_per_worker * machine.gpu_hour
    values["dollars"] = hours if isinstance(hours, str) else (paid or tokens * made.prices.tokens.one) + hours * price
    assert set(FIGURES) <= values.keys(), "a figure is forecast and not compared"
    return {
        name: Reading.unmeasured(name, v) if isinstance(v, str) else Reading(name=name, value=v)
        for name, v in values.items()
    }


def _mean(values: list[float | None]) -> float | str:
    known = [v for v in values if v is not None]
    return float(np.mean(known)) if known else "no unit has one"


def _notes(made: Forecast, swept: Mapping[str, Any], wall: float | str) -> list[str]:
    notes: list[str] = []
    if datetime.fromisoformat(made.written_at) > datetime.fromisoformat(swept["started_at"]):
        notes.append("the forecast was written after the campaign began: it foretold nothing")
    if made.about["code"] != swept["code"]:
        notes.append("the program changed between pilot and campaign")
    if made.once["resumed"]:
        notes.append("the pilot was stopped and went on: what is paid once was paid more often")
    return notes + ([wall] if isinstance(wall, str) else [])
