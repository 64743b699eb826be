"""Deciding about rates with as few samples as the answer allows, and correcting for many decisions.

Two tests. Whether a rate is high or low (Wald's sequential probability ratio test between two rates; the likelihood ratio
is an e-value, so ``1 / ratio`` is a p-value at any stopping time, Ville 1939), and whether one condition has a higher rate
than another (Fisher's exact test at a few fixed looks, Bonferroni over the looks). Holm's correction over many claims.

What this module does not do: sample. It does not protect against answers that depend on each other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from maieutic.readings import wilson


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How often something happened among ``n`` tries."""

    happened: int = 0
    n: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(happened=self.happened + other.happened, n=self.n + other.n)

    @property
    def rate(self) -> float:
        """Share; ``nan`` when nothing was tried."""
        return self.happened / self.n if self.n else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """95 % Wilson interval."""
        return wilson(self.happened, self.n)


@dataclass(frozen=True, slots=True, kw_only=True)
class RateTest:
    """Is a rate at least ``high``, or at most ``low``?

    Attributes:
        low, high: what is told apart, 0 < low < high < 1; between them either answer may come.
        error: chance of a wrong answer, each way.
    """

    low: float
    high: float
    error: float = 0.001

    def __post_init__(self) -> None:
        assert 0 < self.low < self.high < 1 and 0 < self.error < 0.5, "two rates and a chance of error"

    def log_ratio(self, seen: Tally) -> float:
        """Log of how much likelier the tally is at ``high`` than at ``low``."""
        yes = math.log(self.high / self.low)
        no = math.log((1 - self.high) / (1 - self.low))
        return seen.happened * yes + (seen.n - seen.happened) * no

    @property
    def bound(self) -> float:
        """Where Wald's test stops, both ways."""
        return math.log((1 - self.error) / self.error)

    def decide(self, seen: Tally) -> bool | None:
        """High, low, or ``None``: sample more."""
        ratio = self.log_ratio(seen)
        return True if ratio >= self.bound else False if ratio <= -self.bound else None

    def more(self, seen: Tally) -> int:
        """Fewest further tries after which the test could stop: what may be drawn at once without waste."""
        ratio = self.log_ratio(seen)
        yes, no = math.log(self.high / self.low), math.log((1 - self.low) / (1 - self.high))
        nearest = min((self.bound - ratio) / yes, (self.bound + ratio) / no)
        return max(1, math.ceil(nearest - 1e-9))

    def p_value(self, seen: Tally, claim: bool) -> float:
        """Against "at most ``low``" (claim: high) or "at least ``high``" (claim: low); holds at any stopping time."""
        ratio = self.log_ratio(seen)
        return min(1.0, math.exp(-ratio if claim else ratio))


def rate_test(low: float, high: float, *, error: float, margin: float = 0.2) -> RateTest:
    """The test between two rates that were only estimated: each is moved ``margin`` of the gap towards the other.

    Args:
        low, high: estimates, low < high.
        error: see `RateTest`.
        margin: share of the gap, below 0.5.
    """
    low, high = max(low, 0.01), min(high, 0.99)
    gap = high - low
    return RateTest(low=low + margin * gap, high=high - margin * gap, error=error)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Whether the first condition has the higher rate.

    Attributes:
        higher: decided; ``False``: not shown within the samples.
        p: of Fisher's test, corrected for the looks.
        first, second: what was seen.
    """

    higher: bool
    p: float
    first: Tally
    second: Tally


def compare_rates(
    first: Callable[[int], Tally],
    second: Callable[[int], Tally],
    *,
    looks: Sequence[int] = (8, 16, 32, 64),
    error: float = 0.01,
    least: float = 0.0,
) -> Compared:
    """Is the first rate higher than the second? Stops at the first look that shows it, or that rules it out.

    Args:
        first, second: draw so many further samples of a condition.
        looks: samples of each condition at which to look.
        error: chance to say "higher" where it is not, over all looks together.
        least: a difference below which it is of no interest: stop when the interval lies under it. Stopping so can only
            lose a difference, never make one.
    """
    a, b, p = Tally(), Tally(), 1.0
    for look in looks:
        a, b = a + first(look - a.n), b + second(look - b.n)
        p = min(1.0, len(looks) * fisher(a, b))
        if p <= error:
            return Compared(higher=True, p=p, first=a, second=b)
        if difference_interval(a, b)[1] < least:
            break
    return Compared(higher=False, p=p, first=a, second=b)


def fisher(first: Tally, second: Tally) -> float:
    """One-sided p-value of Fisher's exact test: that the first rate is not higher than the second."""
    total, yes = first.n + second.n, first.happened + second.happened
    if not first.n or not second.n:
        return 1.0
    ways = math.comb(total, first.n)
    top = min(yes, first.n)
    tail = sum(math.comb(yes, k) * math.comb(total - yes, first.n - k) for k in range(first.happened, top + 1))
    return min(1.0, tail / ways)


def holm(p_values: Sequence[float], *, tests: int | None = None) -> list[float]:
    """Holm's adjusted p-values, in the order given (Holm 1979).

    Args:
        p_values: of the claims.
        tests: how many were looked at altogether, where the claims were chosen among more.
    """
    m = max(tests or 0, len(p_values))
    adjusted, worst = [1.0] * len(p_values), 0.0
    for rank, i in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        worst = max(worst, min(1.0, (m - rank) * p_values[i]))
        adjusted[i] = worst
    return adjusted


def difference_interval(first: Tally, second: Tally) -> tuple[float, float]:
    """95 % interval of ``first.rate - second.rate`` from the two Wilson intervals (Newcombe 1998, method 10)."""
    if not first.n or not second.n:
        return -1.0, 1.0
    (l1, u1), (l2, u2) = first.interval, second.interval
    gap = first.rate - second.rate
    low = gap - math.hypot(first.rate - l1, u2 - second.rate)
    return max(low, -1.0), min(gap + math.hypot(u1 - first.rate, second.rate - l2), 1.0)
