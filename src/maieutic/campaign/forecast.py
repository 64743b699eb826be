"""What a campaign over all units is going to cost and how well it is going to score, forecast from a pilot.

Every figure comes with a 95 % prediction interval: populations are drawn from the pilot (`forecast_simulate`), the sweep's
decisions are made on each, and the interval holds the middle of what they come to, widened for the size of the pilot
(expanded percentiles: Hesterberg 2015, "What teachers should know about the bootstrap", section 5). Units weigh equally.

Wall time = harvest + start of workers + what their first units take longer + work / (workers x efficiency) + the driver's
time between waves. Work of other machines than the pilot's is not known better than the price table's ``speed`` says it.

What the intervals do not hold: that the machine is busier or other than it was, beyond ``repeat`` of the table; that a
sample of one site says little about another; and a site's own change between pilot and campaign.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from scipy.stats import t as student

from maieutic.campaign.cascade import Rules
from maieutic.campaign.forecast_read import Pilot
from maieutic.campaign.forecast_simulate import People, Reached, Setting, drawn, plain, reached, scaled
from maieutic.campaign.forecast_totals import Sums, Table
from maieutic.campaign.prices import Prices
from maieutic.campaign.spend import Limits
from maieutic.campaign.sweep import WAVE, WAVES
from maieutic.progress import Report, silent
from maieutic.readings import Reading

#: populations behind every interval
RESAMPLES = 200
#: halves of the units behind the point forecast of what is shared beyond the sample
HALVES = 64
_DETAILS = {"interval": "prediction, 95 %"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A way to run the campaign, with what it is forecast to come to.

    Attributes:
        setting: prefix of the cascade, rules, limits. workers: at once. units: of all sites.
        readings: by name (see ``FIGURES``); the number of units through a stage is ``through.EXPLAINER``.
    """

    setting: Setting
    workers: int
    units: int
    readings: Mapping[str, Reading]


#: what is forecast, with its unit
FIGURES = {
    "labelled": "units", "measurements": "", "fresh": "measurements", "tokens": "", "explaining": "s", "wall": "s",
    "core_hours": "h", "gpu_hours": "h", "dollars": "$", "standing": "", "ap": "",
}  # fmt: skip


def forecast(
    pilot: Pilot,
    settings: Sequence[Setting],
    *,
    prices: Prices,
    workers: Sequence[int] = (),
    units_total: int | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
    report: Report = silent,
) -> list[Scenario]:
    """Forecasts of every setting with every number of workers.

    Args:
        pilot: read back.
        settings: what could be run.
        prices: and speeds.
        workers: numbers of workers; none: the pilot's.
        units_total: units of the campaign where they are not those of the sampled sites.
        resamples: populations drawn.
        seed: of the draws.
        report: called with progress.

    Cost: no measurement; about 10 milliseconds a population, setting and thousand units.
    """
    table, totals = Table.of(pilot), dict(pilot.widths) if units_total is None else {"": units_total}
    crowd = [plain(pilot, totals), *(drawn(pilot, totals, np.random.default_rng([seed, r])) for r in range(resamples))]
    noise = np.exp(prices.machine.repeat * np.random.default_rng([seed, resamples]).standard_normal(resamples))
    counts = tuple(workers) or (pilot.pace.workers,)
    values: dict[tuple[int, int], list[dict[str, float]]] = {(s, w): [] for s in range(len(settings)) for w in counts}
    with report("plan", str(pilot.about["subject"])) as step:
        for r, people in enumerate(crowd):
            slow = 1.0 if r == 0 else float(noise[r - 1])
            for s, sums in enumerate(_each(pilot, table, people, settings, seed=(seed, r))):
                for w in counts:
                    values[s, w].append(_figures(pilot, table, sums, prices, workers=w, slow=slow))
            step(r + 1, len(crowd))
    total = sum(totals.values())
    return [
        Scenario(setting=settings[s], workers=w, units=total, readings=_readings(rows, len(pilot.main)))
        for (s, w), rows in values.items()
    ]


def _each(
    pilot: Pilot, table: Table, people: People, settings: Sequence[Setting], *, seed: tuple[int, int]
) -> list[Sums]:
    """Sums over a population by each setting. A limit that would never have bound decides nothing."""
    free: dict[tuple[int, Rules], Reached] = {}
    out: list[Sums] = []
    for setting in settings:
        known = setting.stages, setting.rules
        if known not in free:
            free[known] = reached(pilot, people, Setting(stages=known[0], rules=known[1], limits=Limits()))
        found = free[known]
        if not scaled(setting.limits, people.times).allow(found.peak):
            found = reached(pilot, people, setting)
        out.append(table.sums(people, found.stages, np.random.default_rng(seed), halves=1 if seed[1] else HALVES))
    return out


def _figures(pilot: Pilot, table: Table, sums: Sums, prices: Prices, *, workers: int, slow: float) -> dict[str, float]:
    """Every figure of one population.

    Args:
        pilot, table, sums, prices: what it is made of.
        workers: at once.
        slow: how much longer than usual everything takes.
    """
    pace, machine = pilot.pace, prices.machine
    # workers in one process have one bank; each process has its own
    banks = 1 if pace.engine == "in-process" else workers
    fresh = np.array([
        asked * sharing.fresh(through, banks=banks) if asked else 0.0
        for asked, sharing, through in zip(sums.asked, sums.sharing, sums.through, strict=True)
    ])  # fmt: skip
    work = slow * (float(sums.work.sum() + (fresh * table.measuring).sum()) + sums.scoring) / machine.speed
    units = float(sums.through.max(initial=0.0)) + len(pilot.nulls)
    waves = math.ceil(sums.runs / max(WAVE, math.ceil(units / WAVES)))
    wall = (
        slow * (pace.harvest - pace.harvest_work / pace.workers + pace.harvest_work / (workers * machine.speed))
        + pace.start + slow * pace.first / machine.speed
        + work / (workers * pace.efficiency) + waves * pace.between
    )  # fmt: skip
    # a model without a price of its own costs what the table says
    paid = sums.dollars or sums.tokens * prices.tokens.one
    gpus = machine.gpus_per_worker
    hours = workers * wall / 3600
    explaining = slow * (float(sums.explaining.sum()) + workers * pace.first_explaining) / machine.speed
    found = {
        "labelled": sums.labelled, "measurements": float(sums.asked.sum()), "fresh": float(fresh.sum()),
        "tokens": sums.tokens, "explaining": explaining, "wall": wall, "core_hours": hours, "gpu_hours": hours * gpus,
        "dollars": paid + hours * (machine.core_hour + gpus * machine.gpu_hour),
        "standing": sums.standing, "ap": sums.ap,
    }  # fmt: skip
    through = {f"through.{s.explainer}": float(n) for s, n in zip(pilot.stages, sums.through, strict=True)}
    return {**through, **found}


def _readings(rows: Sequence[Mapping[str, float]], sampled: int) -> dict[str, Reading]:
    """Figures with their intervals; the first row is the point forecast, the others are of drawn populations."""
    # Hesterberg's expansion: a percentile interval of n units is too narrow by about sqrt((n - 1) / n) and z over t
    tail = NormalDist().cdf(-math.sqrt(sampled / (sampled - 1)) * float(student.ppf(0.975, sampled - 1)))
    out: dict[str, Reading] = {}
    for name, value in rows[0].items():
        drawn_values = np.array([r[name] for r in rows[1:]])
        known = drawn_values[np.isfinite(drawn_values)]
        if not math.isfinite(value) or 2 * len(known) < len(drawn_values) or not len(known):
            out[name] = Reading.unmeasured(name, "no unit of the pilot has one", n=sampled)
            continue
        low, high = np.quantile(known, [tail, 1 - tail]).tolist()
        out[name] = Reading(name=name, value=value, low=low, high=high, n=sampled, details=_DETAILS)
    return out
