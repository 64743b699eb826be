"""Trials: what the model does when only some parts of its context are kept, each answer remembered, all of it counted.

Three kinds of answer, by what there is to measure. *Score*: the log-odds of a fixed continuation (white box), one forward
pass. *Once*: whether the act happens under greedy sampling, one sample. *Rate*: how often it happens among fresh samples.

What this module does not do: choose what to try. A sample that failed is left out of a rate and counted; a condition of
which every sample failed is `UnmeasuredError`, never a rate of 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from maieutic.errors import UserError
from maieutic.forensics.act import ActTest
from maieutic.forensics.action import Action, Context
from maieutic.forensics.actor import Actor, Spent
from maieutic.forensics.partition import Part
from maieutic.forensics.removal import Masker, Removal
from maieutic.forensics.sequential import Tally

Mode = Literal["score", "once", "rate"]
_Key = tuple[tuple[str, str, str], ...]
#: log-odds are kept within this, nats: beyond it a probability is 0 or 1 for every purpose here
LARGEST = 700.0


class UnmeasuredError(UserError):
    """A condition gave no usable answer at all."""


class Trials:
    """Experiments on one action with one way of removing parts.

    Attributes:
        action, actor, parts, how: what is tried.
        masker: makes contexts of which some parts are kept.
        mode: what is measured.
        failed: samples so far that gave no answer, by reason.
    """

    def __init__(
        self,
        action: Action,
        actor: Actor,
        parts: Sequence[Part],
        how: Removal,
        *,
        test: ActTest | None = None,
        seed: int | None = None,
        mode: Mode | None = None,
    ) -> None:
        """Make ready.

        Args:
            action: its messages are what parts are removed from.
            actor: who acts again.
            parts: of one partition, without overlap.
            how: the way of removing.
            test: looks at samples; made from the act otherwise.
            seed: of fresh samples; the action's own otherwise.
            mode: what to measure; by default the score of a continuation where the actor is a white box, one sample
                where it is greedy, rates otherwise.

        Raises:
            NoRewriteError: a paraphrase of some part could not be made.
        """
        self.action, self.actor, self.parts, self.how = action, actor, tuple(parts), how
        self.seed = action.sampling.seed if seed is None else seed
        scored = action.act.kind == "continuation" and actor.white_box
        self.mode: Mode = mode or ("score" if scored else "once" if action.sampling.temperature == 0 else "rate")
        self._test = test or ActTest(action.act)
        self.masker = Masker(action.messages, self.parts, how)
        self._tallies: dict[_Key, Tally] = {}
        self._drawn: dict[_Key, int] = {}
        self._scores: dict[_Key, float] = {}
        self.failed: dict[str, int] = {}

    @property
    def everything(self) -> frozenset[int]:
        """Numbers of all parts."""
        return frozenset(range(len(self.parts)))

    @property
    def spent(self) -> Spent:
        """All that the actor was asked, by whomever."""
        return self.actor.spent

    def context(self, kept: frozenset[int]) -> Context:
        """What is shown when these parts are kept."""
        return self.masker(kept)

    # --- scores --------------------------------------------------------------------------------------------------
    def scores(self, kept: Sequence[frozenset[int]]) -> list[float]:
        """Log-odds of the continuation, ``log p - log(1 - p)``, for each set. Cost: a forward pass each, once.

        Raises:
            TooLongError: a context does not fit.
        """
        return self.scores_of([self.context(k) for k in kept])

    def scores_of(self, contexts: Sequence[Context]) -> list[float]:
        """The same for any contexts."""
        keyed = {self._key(c): c for c in contexts}
        new = {k: c for k, c in keyed.items() if k not in self._scores}
        if new:
            logprobs = self.actor.logprobs(list(new.values()), self.action.act.text)
            self._scores |= {k: log_odds(p) for k, p in zip(new, logprobs, strict=True)}
        return [self._scores[self._key(c)] for c in contexts]

    # --- rates ---------------------------------------------------------------------------------------------------
    def tally(self, kept: frozenset[int], n: int) -> Tally:
        """At least ``n`` tries with these parts kept, those before included (greedy: one).

        Raises:
            UnmeasuredError: no try gave an answer.
        """
        return self.tally_of(self.context(kept), n)

    def tally_of(self, context: Context, n: int) -> Tally:
        """The same for any context."""
        key = self._key(context)
        n = 1 if self.mode == "once" else n
        have = self._tallies.get(key, Tally())
        if have.n < n:
            have = have + self._draw(key, context, n - have.n)
            self._tallies[key] = have
        if have.n == 0:
            reasons = "; ".join(f"{why} ({count})" for why, count in self.failed.items())
            raise UnmeasuredError(f"no sample of a condition could be used: {reasons}: see to that first")
        return have

    def fresh(self, kept: frozenset[int], n: int) -> Tally:
        """``n`` further tries alone; they count for later questions too.

        Raises:
            UnmeasuredError: no try so far gave an answer.
        """
        context = self.context(kept)
        before = self.known(context)
        after = self.tally_of(context, before.n + n)
        return Tally(happened=after.happened - before.happened, n=after.n - before.n)

    def known(self, context: Context) -> Tally:
        """What was seen of a context so far, without trying."""
        return self._tallies.get(self._key(context), Tally())

    def _key(self, context: Context) -> _Key:
        """The same for equal contexts of this action. Arguments of calls have no hash; untouched ones need none."""
        given = self.action.messages
        return tuple(
            (m.role, m.content, "" if i < len(given) and m.tool_calls is given[i].tool_calls else repr(m.tool_calls))
            for i, m in enumerate(context)
        )

    def _draw(self, key: _Key, context: Context, n: int) -> Tally:
        """Further samples; seeds go on where the last ones of this context ended."""
        done = self._drawn.get(key, 0)
        (samples,) = self.actor.samples([context], n=n, seed=self.seed + done, sampling=self.action.sampling)
        self._drawn[key] = done + n
        verdicts = self._test(samples)
        for verdict in verdicts:
            if verdict.reason is not None:
                self.failed[verdict.reason] = self.failed.get(verdict.reason, 0) + 1
        usable = [v.happened for v in verdicts if v.happened is not None]
        return Tally(happened=sum(usable), n=len(usable))


def log_odds(logprob: float) -> float:
    """``log p - log(1 - p)`` of a natural log-probability, exact near both ends."""
    if logprob >= 0:
        return LARGEST
    rest = math.log(-math.expm1(logprob))
    return max(-LARGEST, min(LARGEST, logprob - rest))
