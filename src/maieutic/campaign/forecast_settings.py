"""Which ways to run a campaign are forecast: every prefix of the cascade, with several `enough` and several limits."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from maieutic.campaign.cascade import Rules
from maieutic.campaign.forecast_read import Pilot
from maieutic.campaign.forecast_simulate import Setting, plain, reached
from maieutic.campaign.spend import Limits, Spend
from maieutic.errors import UsageError

_BUDGET = re.compile(r"(?P<dollar>\$?)(?P<number>\d+(\.\d+)?)(?P<kind>%|t|)")


def settings_for(
    pilot: Pilot,
    *,
    enough: Sequence[float] = (0.9,),
    least: float = 0.02,
    budgets: Sequence[str] = ("none",),
    units_total: int | None = None,
) -> list[Setting]:
    """Settings to forecast.

    Args:
        pilot: whose cascade it is.
        enough: of the rules; a cascade of one stage takes the first, since it decides nothing there.
        least: of the rules.
        budgets: ``none``; ``6000`` measurements; ``2000000t`` tokens; ``$20``; ``50%`` of the measurements that are expected
            without a limit.
        units_total: as in ``forecast``.

    Raises:
        UsageError: a budget that is none of these.
    """
    checked = [_checked(b.strip()) for b in budgets]
    totals = dict(pilot.widths) if units_total is None else {"": units_total}
    people, found = plain(pilot, totals), list[Setting]()
    for stages in range(1, len(pilot.stages) + 1):
        for value in dict.fromkeys(enough if stages > 1 else enough[:1]):
            free = Setting(stages=stages, rules=Rules(enough=value, least=least), limits=Limits())
            limits = [_limits(b, lambda free=free: _asked(pilot, people, free)) for b in checked]
            if not any(g != Spend() for g in pilot.grants[:stages]):
                limits = [Limits()]  # what can cost nothing is the same with every limit
            found += [Setting(stages=stages, rules=free.rules, limits=x) for x in dict.fromkeys(limits)]
    return found


def _checked(text: str) -> re.Match[str] | None:
    match = _BUDGET.fullmatch(text)
    if text != "none" and (match is None or (match["dollar"] and match["kind"])):
        raise UsageError(f"{text!r} is no budget: write none, 6000 (measurements), 2000000t (tokens), $20, or 50%")
    return match


def _limits(budget: re.Match[str] | None, asked: Any) -> Limits:
    if budget is None:
        return Limits()
    number = float(budget["number"])
    if budget["dollar"]:
        return Limits(dollars=number)
    if budget["kind"] == "t":
        return Limits(llm_tokens=int(number))
    return Limits(measurements=int(number if not budget["kind"] else asked() * number / 100))


def _asked(pilot: Pilot, people: Any, setting: Setting) -> float:
    """Measurements of the plain population without a limit."""
    units, found = (*pilot.main, *pilot.nulls), reached(pilot, people, setting)
    of, ends = people.of.tolist(), found.stages.tolist()
    spent = [sum(s.spend.measurements for s in units[u].stages[:n]) for u, n in zip(of, ends, strict=True)]
    return sum(spent[: people.main]) * people.times + sum(spent[people.main :])


def told(setting: Setting, stages: Sequence[Mapping[str, Any]]) -> str:
    """A setting in words, ``stages`` with ``explainer`` and ``budget``."""
    names = ",".join(
        f"{s['explainer']}:{s['budget']}" if s["budget"] else str(s["explainer"]) for s in stages[: setting.stages]
    )
    limit = setting.limits.told()
    rules = f"enough {setting.rules.enough:g}, " if setting.stages > 1 else ""
    return f"{names} ({rules}{f'at most {limit}' if limit else 'no limit'})"
