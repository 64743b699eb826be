"""What a campaign would decide and come to, simulated: the sweep's own decisions on units drawn from a pilot.

A population is drawn: of a site that was sampled the sampled units stand for themselves, and the rest are drawn from
sampled units that were drawn with replacement first, so that the spread of the totals has both what the pilot leaves open
and the chance of the rest (a prediction interval; with every unit sampled nothing is left open). The code that decides in a
sweep (`order_of`, and what a wave may be granted) then sends each through stages until its rules or limits end it.

How much a unit matters is drawn near the sampled unit's own place among all (a smoothed bootstrap): copies of one unit
would otherwise stand next to each other in every wave.

What this does not do: simulate the explainers. A unit does what its sampled unit did.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maieutic.campaign.cascade import Rules, order_of
from maieutic.campaign.course import Course, Place
from maieutic.campaign.forecast_read import Pilot
from maieutic.campaign.spend import Limits, Spend
from maieutic.campaign.sweep import SweepPlan, _next_wave

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
#: most units that are simulated; a larger campaign is one of so many, times what it is larger, under limits as much smaller
MOST = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """How a campaign could be run: a prefix of the cascade, its rules, its limits."""

    stages: int
    rules: Rules
    limits: Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """A population.

    Attributes:
        of: for each unit the place of its sampled unit in ``Pilot.main``, null units after them.
        main: how many of these are main units; they come first.
        weights: how much each matters.
        times: the campaign is so many times as large.
    """

    of: Ints
    main: int
    weights: Floats
    times: float


def plain(pilot: Pilot, totals: Mapping[str, int]) -> People:
    """The population in which every sampled unit of a site stands for equally many: what the point forecast is of.

    Args:
        pilot: what is drawn from.
        totals: units of each site; of a site that was not sampled they are drawn from all that were.
    """
    sizes = _sizes(totals)
    of = np.concatenate([np.resize(_of_site(pilot, site), n) for site, n in sizes.items()])
    return _people(pilot, of, totals, np.random.default_rng(0))


def drawn(pilot: Pilot, totals: Mapping[str, int], rng: np.random.Generator) -> People:
    """A population as it might be (see the module)."""
    sizes, parts = _sizes(totals), list[Ints]()
    for site, n in sizes.items():
        own = _of_site(pilot, site)
        seen = rng.choice(own, size=len(own))
        # of a site that is simulated whole and was sampled, what was seen stays as it was seen
        known = own if totals[site] == n == pilot.widths.get(site) else own[:0]
        parts.append(np.concatenate([known, rng.choice(seen, size=n - len(known))]))
    return _people(pilot, np.concatenate(parts), totals, rng)


def _sizes(totals: Mapping[str, int]) -> dict[str, int]:
    whole = sum(totals.values())
    return {site: n if whole <= MOST else max(1, round(n * MOST / whole)) for site, n in totals.items()}


def _of_site(pilot: Pilot, site: str) -> Ints:
    own = [i for i, u in enumerate(pilot.main) if u.site == site]
    return np.array(own or range(len(pilot.main)), dtype=np.int64)


def _people(pilot: Pilot, of: Ints, totals: Mapping[str, int], rng: np.random.Generator) -> People:
    times = sum(totals.values()) / len(of)
    # null units are as many whatever the size: they are part of what is simulated whole, and count for nothing beyond
    nulls = len(pilot.main) + np.arange(len(pilot.nulls) if times == 1.0 else 0)
    weights = _weights(pilot, of, rng)
    middle = np.full(len(nulls), np.sort(weights)[len(weights) // 2])  # as a sweep does
    return People(of=np.concatenate([of, nulls]), main=len(of), weights=np.concatenate([weights, middle]), times=times)


def _weights(pilot: Pilot, of: Ints, rng: np.random.Generator) -> Floats:
    if pilot.first == "order":
        return np.ones(len(of))
    known = np.array([u.weight for u in pilot.main])
    n, (_, itself) = len(known), np.unique(of, return_index=True)
    rank = np.argsort(np.argsort(known, kind="stable"), kind="stable")
    # Silverman's width for a flat density of ranks; what falls off an end is reflected
    place = (rank[of] + 0.5) / n + 0.9 * (1 / 12) ** 0.5 * n**-0.2 * rng.standard_normal(len(of))
    place = np.abs(np.mod(place + 1.0, 2.0) - 1.0)
    weights = np.quantile(known, place)
    weights[itself] = known[of[itself]]  # the first of each is the sampled unit itself
    return weights


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """How far units came: stages of each, ``[unit]``; ``peak``: the most that was spent and granted at any time."""

    stages: Ints
    peak: Spend


def reached(pilot: Pilot, people: People, setting: Setting) -> Reached:
    """How many stages each unit goes through by the decisions of a sweep.

    Cost: about 5 microseconds a unit and wave.
    """
    units = (*pilot.main, *pilot.nulls)
    plan = SweepPlan(
        stages=pilot.stages[: setting.stages], limits=scaled(setting.limits, people.times), rules=setting.rules
    )
    places: list[Place] = [("main" if i < people.main else "direction", str(i)) for i in range(len(people.of))]
    course = Course(stages=plan.stages, grants=pilot.grants, records={p: [] for p in places})
    weights, main = dict(zip(places, people.weights.tolist(), strict=True)), places[: people.main]
    peak, order = Spend(), list[tuple[Place, int]]()
    while True:
        order = order or order_of(course.records, plan.stages, plan.rules, weights=weights, learn_from=main)
        wave = _next_wave(order, plan, course)
        if not wave:
            return Reached(stages=np.array([len(course.records[p]) for p in places], dtype=np.int64), peak=peak)
        peak = _larger(peak, sum((pilot.grants[g.stage] for g in wave), start=course.spent))
        for granted in wave:
            seen = units[people.of[int(granted.key)]].stages[granted.stage]
            course.records[granted.role, granted.key].append(seen.record)
            course.spent += seen.spend
        order = _unseen(order[len(wave) :], len(wave)) if len(wave) == _whole(order, len(wave)) else []


def _whole(order: Sequence[tuple[Place, int]], taken: int) -> int:
    """So many of the first ``taken`` were never seen: only then was the wave the head of the order for certain."""
    return sum(stage == 0 for _, stage in order[:taken])


def _unseen(order: list[tuple[Place, int]], size: int) -> list[tuple[Place, int]]:
    """The rest of an order while it fills a wave with units never seen: nothing that is learned changes these."""
    return order if len(order) >= size and order[size - 1][1] == 0 else []


def _larger(a: Spend, b: Spend) -> Spend:
    return Spend(
        measurements=max(a.measurements, b.measurements), llm_tokens=max(a.llm_tokens, b.llm_tokens),
        dollars=max(a.dollars, b.dollars),
    )  # fmt: skip


def scaled(limits: Limits, times: float) -> Limits:
    """Limits of a campaign that is so many times as small."""
    return Limits(
        measurements=None if limits.measurements is None else int(limits.measurements / times),
        llm_tokens=None if limits.llm_tokens is None else int(limits.llm_tokens / times),
        dollars=None if limits.dollars is None else limits.dollars / times,
    )
