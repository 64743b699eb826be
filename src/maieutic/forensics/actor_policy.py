"""A Python function as an actor: for planted policies, simulators, and agents of one's own.

The function sees the messages and a random generator and gives a message or its text. Where its rate is known, the rate
stands in for the probability of a fixed continuation, so that white-box methods can be tried on it. No tokenizer: tokens
are words, and their number is characters / 4.
"""

from __future__ import annotations

import hashlib
import math
import re
import time
from collections.abc import Callable, Sequence

import numpy as np

from maieutic.errors import UsageError
from maieutic.forensics.action import Context, Message, Sampling
from maieutic.forensics.actor import Sample, Spent
from maieutic.subjects.base import TokenSpan

Policy = Callable[[Context, np.random.Generator], "Message | str"]
#: context -> probability that the act follows, 0 to 1
Rate = Callable[[Context], float]
#: probabilities are kept this far from 0 and 1, so that logits stay finite
FLOOR = 1e-6


class PolicyActor:
    """A function that acts. See `Actor`."""

    def __init__(
        self, policy: Policy, *, rate: Rate | None = None, name: str = "", sampling: Sampling | None = None
    ) -> None:
        """Take a function.

        Args:
            policy: ``(messages, rng) -> message or text``. With temperature 0 it gets the same generator each time.
            rate: probability of the act, for ``logprobs``; without it the actor is a black box.
            name: what people call it; the function's own otherwise.
            sampling: settings, of which the temperature counts.
        """
        self.policy, self.rate = policy, rate
        self.name = name or getattr(policy, "__name__", type(policy).__name__)
        self.white_box = rate is not None
        self.sampling = sampling or Sampling()
        self.spent = Spent()

    def logprobs(self, contexts: Sequence[Context], continuation: str) -> list[float]:
        """Log of the rate, whatever the continuation. See `Actor.logprobs`."""
        if self.rate is None:
            raise UsageError(f"{self.name} is a black box: give  rate=  or ask for samples")
        self.spent += Spent(passes=len(contexts), tokens=sum(_tokens(c) for c in contexts))
        return [math.log(min(max(self.rate(c), FLOOR), 1 - FLOOR)) for c in contexts]

    def samples(
        self, contexts: Sequence[Context], *, n: int, seed: int, sampling: Sampling | None = None
    ) -> list[list[Sample]]:
        """See `Actor.samples`. A policy that raises gives a failed sample with what it said."""
        started = time.perf_counter()
        greedy = (sampling or self.sampling).temperature == 0
        found: list[list[Sample]] = []
        for context in contexts:
            drawn = 1 if greedy else n
            # one stream a context and seed, from which the answers draw in turn
            random = np.random.default_rng([0 if greedy else seed % 2**63, *_digest(context)])
            rows = [self._one(context, random) for _ in range(drawn)]
            found.append(rows * n if greedy else rows)
            self.spent += Spent(samples=drawn, tokens=drawn * _tokens(context))
        self.spent += Spent(seconds=time.perf_counter() - started)
        return found

    def tokens(self, text: str) -> list[TokenSpan]:
        """Words; white space belongs to the word before it."""
        return [TokenSpan(m.group(), m.start(), m.end()) for m in re.finditer(r"\s*\S+\s*|\s+", text)]

    def _one(self, context: Context, random: np.random.Generator) -> Sample:
        try:
            said = self.policy(context, random)
        except Exception as error:  # a user's function may raise anything; the sample says so
            return Sample(message=None, failed=f"{type(error).__name__}: {error}")
        return Sample(message=Message(role="assistant", content=said) if isinstance(said, str) else said)


def _tokens(context: Context) -> int:
    return sum(len(m.content) for m in context) // 4


def _digest(context: Context) -> list[int]:
    """Numbers that tell contexts apart."""
    told = hashlib.sha256()
    for m in context:
        told.update(f"{m.role}\0{m.content}\0{m.tool_calls or ''}\0".encode("utf-8", "surrogatepass"))
    return np.frombuffer(told.digest()[:16], dtype="<u4").tolist()
