"""One yes-or-no question for every mode: does the act happen here, as it does with everything kept?

*Rate*: the rate of fresh samples is near that with everything kept, or near that with everything removed; Wald's test
between the two, whose rates are estimated from all conditions that were decided so far. *Once*: the one greedy sample.
*Score*: the log-odds of the continuation lie in the upper part of the gap between the two.

What this module does not do: say that the two ends differ; ``cause.py`` asks that first.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from maieutic.errors import BudgetExhaustedError
from maieutic.forensics.action import Context
from maieutic.forensics.attribution.trials import Trials
from maieutic.forensics.sequential import RateTest, Tally, rate_test
from maieutic.readings import Reading


@dataclass
class Question:
    """Whether the act happens in a context.

    Attributes:
        trials: where answers come from.
        full, empty: rates (tallies) with everything kept and removed; of mode ``rate``.
        scores: log-odds of the two; of mode ``score``.
        error: chance of a wrong answer, of mode ``rate``.
        share: of the gap of scores that counts as "it happens".
        cap: samples of one condition after which the nearer rate is taken; counted in ``capped``.
        budget: calls of the actor, from ``start`` on.
        pool: what was seen of conditions by what was decided about them.
    """

    trials: Trials
    full: Tally = field(default_factory=Tally)
    empty: Tally = field(default_factory=Tally)
    scores: tuple[float, float] = (0.0, 0.0)
    error: float = 0.0005
    share: float = 0.5
    cap: int = 200
    budget: int = 20_000
    start: int = 0
    capped: int = 0
    pool: dict[bool, Tally] = field(default_factory=dict[bool, Tally])

    def __call__(self, context: Context) -> bool:
        """The answer.

        Raises:
            BudgetExhaustedError: the actor was asked more often than allowed.
            UnmeasuredError: no sample could be used.
        """
        if self.trials.actor.spent.calls - self.start > self.budget:
            raise BudgetExhaustedError(
                f"more than {self.budget} samples or passes are needed: allow more with  budget="
            )
        if self.trials.mode == "score":
            (score,) = self.trials.scores_of([context])
            full, empty = self.scores
            return score >= empty + self.share * (full - empty)
        if self.trials.mode == "once":
            return self.trials.tally_of(context, 1).happened > 0
        return self._by_rate(context)

    def test(self) -> RateTest:
        """The two rates as they are known now."""
        high = self.full + self.pool.get(True, Tally())
        low = self.empty + self.pool.get(False, Tally())
        return rate_test(_shrunk(low), _shrunk(high), error=self.error)

    def claim(self, context: Context, happens: bool) -> float:
        """p-value of a claim about a context by what was seen of it; 0 where one sample or pass tells all."""
        if self.trials.mode != "rate":
            return 0.0
        return self.test().p_value(self.trials.known(context), happens)

    def more(self, context: Context) -> None:
        """Draw further samples of a context, as many as could decide it again."""
        seen = self.trials.known(context)
        self.trials.tally_of(context, seen.n + max(4, seen.n // 4))

    def reading(self, name: str, context: Context) -> Reading:
        """What was seen of a context: a rate with its Wilson interval, or a score."""
        if self.trials.mode == "score":
            (score,) = self.trials.scores_of([context])
            return Reading(name=name, value=score, n=1, details={"unit": "log-odds of the continuation"})
        seen = self.trials.tally_of(context, 1)
        low, high = seen.interval if self.trials.mode == "rate" else (None, None)
        greedy = {"greedy": True} if self.trials.mode == "once" else {}
        return Reading(name=name, value=seen.rate, low=low, high=high, n=seen.n, details={"unit": "rate", **greedy})

    def _by_rate(self, context: Context) -> bool:
        test, before = self.test(), self.trials.known(context)
        seen, tried = before, 0
        while (answer := test.decide(seen)) is None and tried < self.cap:
            # failed samples count towards the cap too, so that a model that always refuses ends this
            wanted = min(test.more(seen), self.cap - tried)
            seen = self.trials.tally_of(context, seen.n + wanted)
            tried += wanted
        if answer is None:
            self.capped += 1
            answer = test.log_ratio(seen) > 0
        fresh = Tally(happened=seen.happened - before.happened, n=seen.n - before.n)
        self.pool[answer] = self.pool.get(answer, Tally()) + fresh
        return answer


def _shrunk(tally: Tally) -> float:
    """A rate away from 0 and 1 by half a try (Krichevsky and Trofimov 1981)."""
    return (tally.happened + 0.5) / (tally.n + 1)
