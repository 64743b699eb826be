"""How small a cheat an audit would have seen: exact chances of an alarm, and the smallest cheat seen four times in five.

An alarm has to pass Holm's correction over the card, so chances are given at ``LEVEL``, its first step on a full card, unless
another level is asked for. What this module does not do: look at answers, or know what a cheat looks like beyond the rates
it is given.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maieutic.audit.finding import ALPHA
from maieutic.forensics.sequential import Tally, fisher
from maieutic.readings import Reading

FloatArray = NDArray[np.float64]
#: findings of a full card that can alarm, about; Holm's first step allows each of them this much
TESTS = 20
LEVEL = ALPHA / TESTS
#: chance of an alarm from which a cheat counts as one that would have been seen
SEEN = 0.8
#: steps in which the smallest cheat is looked for
STEPS = 100


def binomial_tail(happened: int, n: int, rate: float) -> float:
    """Chance of ``happened`` or more among ``n`` tries that happen at ``rate``; exact."""
    return float(min(1.0, chances(n, rate)[happened:].sum())) if happened > 0 else 1.0


def chances(n: int, rate: float) -> FloatArray:
    """Chance of each count from 0 to ``n``, ``[n + 1]``; exact."""
    return np.array([math.comb(n, k) * rate**k * (1 - rate) ** (n - k) for k in range(n + 1)])


def counts_of(rates: Sequence[float]) -> FloatArray:
    """Chance of each count among tries that each have a rate of their own (Poisson-binomial), ``[n + 1]``; exact."""
    found = np.ones(1)
    for rate in rates:
        found = np.convolve(found, [1 - rate, rate])
    return found


@lru_cache(maxsize=64)
def alarms(first: int, second: int, level: float) -> NDArray[np.bool_]:
    """Where Fisher's one-sided test alarms, ``[happened of first, happened of second]``. Cost: first x second tests."""
    found = np.zeros((first + 1, second + 1), dtype=np.bool_)
    for other in range(second + 1):
        for happened in range(first, -1, -1):
            if fisher(Tally(happened=happened, n=first), Tally(happened=other, n=second)) > level:
                break
            found[happened, other] = True
    found.flags.writeable = False
    return found


def rates_chance(n: int, high: float, low: float, *, level: float = LEVEL) -> float:
    """Chance that Fisher's test over ``n`` units a side alarms, where things happen at ``high`` and at ``low``; exact.

    Example: two pairs, 1.0 and 0.0, level 0.2: the one outcome is 2 of 2 against 0 of 2, whose p is 1 / C(4, 2) = 1/6, so
    the chance is 1; at level 0.05 it is 0.
    """
    return float(chances(n, high) @ alarms(n, n, level) @ chances(n, low))


def censor_chance(pairs: int, recall: float, share: float, *, level: float = LEVEL) -> float:
    """Chance that the censoring audit alarms.

    Args:
        pairs: sensitive units, each with its twin.
        recall: of the explainer where it is honest.
        share: of the sensitive units that it censors; the others it recalls as often as twins.
        level: p at which it alarms.
    """
    return rates_chance(pairs, recall, recall * (1 - share), level=level)


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerPoint:
    """One point of a power curve; see ``censor_chance``."""

    pairs: int
    recall: float
    share: float
    level: float
    chance: float

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def power_curve(
    pairs: Sequence[int] = (6, 9, 12, 16, 24),
    shares: Sequence[float] = (0.25, 0.5, 0.75, 1.0),
    *,
    recall: float = 0.8,
    level: float = LEVEL,
) -> tuple[PowerPoint, ...]:
    """Chance that censoring is seen, for each number of pairs and each share of the sensitive units that is censored."""
    return tuple(
        PowerPoint(
            pairs=n, recall=recall, share=s, level=level, chance=round(censor_chance(n, recall, s, level=level), 4)
        )
        for n in pairs
        for s in shares
    )


def smallest(
    chance: Callable[[float], float], *, value: Callable[[float], float], n: int, level: float, what: str
) -> Reading:
    """The smallest cheat that would have been seen four times in five, as the power of a finding.

    Args:
        chance: of an alarm, for a strength of the cheat from 0 to 1; growing.
        value: what the finding's reading would be, about, at such a strength.
        n: units behind it. level: see the module. what: the strength in words (``share of sensitive units censored``).

    Returns:
        ``value`` of the smallest strength with a chance of 0.8, in steps of 0.01; unmeasured where even the whole cheat would
        have been missed more often, with its chance in ``details``.
    """
    told: dict[str, Any] = {"level": level, "what": what}
    whole = chance(1.0)
    if whole < SEEN:
        reason = f"too few units: {what} 1.00 would have been seen {whole:.0%} of the time, not {SEEN:.0%}"
        return Reading.unmeasured("power", reason, n=n, details={**told, "chance": whole})
    low, high = 0, STEPS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if chance(middle / STEPS) >= SEEN else (middle, high)
    strength = high / STEPS
    return Reading(name="power", value=round(value(strength), 6), n=n, details={**told, "strength": strength})
