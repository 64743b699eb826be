"""The monitoring tax: what a protocol takes on top of the work itself, and what usefulness it loses.

Per action: extra forward passes and answers, tokens, seconds, dollars, each beside the agent's own; per 1,000 actions:
minutes of people for honest acts that were shown to them. Only honest actions count towards the tax: attacks are rare,
and their review is no waste.

What this module does not do: guess prices (dollars are what the providers' prices say) or the minutes of a review.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from maieutic.control.protocols import Decision
from maieutic.readings import Cost, Estimate, FloatArray, Reading, cluster_weights, from_sums


@dataclass(frozen=True, slots=True, kw_only=True)
class Handled:
    """One action that went through a protocol.

    Attributes:
        decision: what was done.
        monitor: what the monitor took for it.
        extra: what else the protocol took: further samples, the trusted model.
        own: what the agent itself took; ``None``: not known.
        attack: whether it was one.
        before, after: success of the task without and with the protocol, 0 to 1; ``None``: not known.
        scenario: of the bootstrap.
    """

    decision: Decision
    monitor: Cost = field(default_factory=Cost)
    extra: Cost = field(default_factory=Cost)
    own: Cost | None = None
    attack: bool = False
    before: float | None = None
    after: float | None = None
    scenario: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tax:
    """A row of the tax table; every entry a reading over honest actions.

    Attributes:
        protocol, monitor: names.
        passes, tokens, seconds, dollars: extra, an action.
        ratio: extra tokens divided by the agent's own.
        minutes: of people, for 1,000 honest actions.
        lost: usefulness without the protocol minus with it.
        escalated: share of honest actions that were escalated because something was not measured.
        acts: what was done, counted.
    """

    protocol: str
    monitor: str
    passes: Reading
    tokens: Reading
    seconds: Reading
    dollars: Reading
    ratio: Reading
    minutes: Reading
    lost: Reading
    escalated: Reading
    acts: dict[str, int]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        names = ("passes", "tokens", "seconds", "dollars", "ratio", "minutes", "lost", "escalated")
        figures = {n: getattr(self, n).to_json() for n in names}
        return {"protocol": self.protocol, "monitor": self.monitor, **figures, "acts": self.acts}


#: minutes of a person for one act, unless told otherwise
MINUTES = 10.0


def tax(
    protocol: str,
    monitor: str,
    handled: Sequence[Handled],
    *,
    minutes: float = MINUTES,
    priced: bool = True,
    seed: int = 0,
) -> Tax:
    """The tax of a protocol on the actions that went through it.

    Args:
        protocol, monitor: names for the table.
        handled: actions; attacks among them are left out.
        minutes: of a person for one act.
        priced: whether prices are known; else dollars are unmeasured rather than 0.
        seed: of the bootstrap over scenarios.
    """
    honest = [h for h in handled if not h.attack]
    table = _Table.of(honest, seed=seed)

    def each(name: str, value: Callable[[Handled], float]) -> Reading:
        return table.mean(name, [value(h) for h in honest])

    def spent(name: str, part: Callable[[Cost], float]) -> Reading:
        return each(name, lambda h: part(h.monitor) + part(h.extra))

    acts: dict[str, int] = {}
    for h in handled:
        acts[h.decision.do] = acts.get(h.decision.do, 0) + 1
    acts["audit"] = sum(h.decision.audit for h in handled)
    return Tax(
        protocol=protocol, monitor=monitor,
        passes=spent("passes", lambda c: float(c.measurements)),
        tokens=spent("tokens", _tokens),
        seconds=spent("seconds", lambda c: c.seconds),
        dollars=spent("dollars", lambda c: c.dollars) if priced else Reading.unmeasured("dollars", "no price is known"),
        ratio=_ratio(table, honest),
        minutes=each("minutes", lambda h: 1000 * minutes * h.decision.audit),
        lost=_lost(table, honest),
        escalated=each("escalated", lambda h: float(h.decision.escalated)),
        acts=acts,
    )  # fmt: skip


def _tokens(cost: Cost) -> float:
    return float(cost.tokens + cost.llm_tokens)


@dataclass(frozen=True, slots=True)
class _Table:
    """Scenarios of actions, drawn together."""

    clusters: Any
    weights: Any

    @classmethod
    def of(cls, handled: Sequence[Handled], *, seed: int) -> _Table:
        names: dict[str, int] = {}
        for i, h in enumerate(handled):
            names.setdefault(h.scenario or f"#{i}", len(names))
        clusters = np.array([names[h.scenario or f"#{i}"] for i, h in enumerate(handled)], np.int64)
        return cls(clusters, cluster_weights(max(len(names), 1), seed=seed))

    def sums(self, columns: FloatArray, statistic: Callable[[FloatArray], FloatArray]) -> Estimate:
        return from_sums(columns, statistic, clusters=self.clusters, weights=self.weights)

    def mean(self, name: str, values: Sequence[float]) -> Reading:
        if not values:
            return Reading.unmeasured(name, "there is no honest action")
        columns = np.stack([np.ones(len(values)), np.array(values, np.float64)], axis=1)
        return self.sums(columns, lambda s: s[..., 1] / s[..., 0]).reading(name, n=len(values))


def _ratio(table: _Table, honest: Sequence[Handled]) -> Reading:
    own = [_tokens(h.own) for h in honest if h.own is not None]
    if len(own) < len(honest) or not honest or sum(own) <= 0:
        return Reading.unmeasured("ratio", "what the agent itself took is not known")
    columns = np.array([[o, _tokens(h.monitor) + _tokens(h.extra)] for o, h in zip(own, honest, strict=True)])
    return table.sums(columns, lambda s: s[..., 1] / s[..., 0]).reading("ratio", n=len(honest))


def _lost(table: _Table, honest: Sequence[Handled]) -> Reading:
    values = [h.before - h.after for h in honest if h.before is not None and h.after is not None]
    if len(values) < len(honest) or not honest:
        missing = len(honest) - len(values)
        why = f"success is not known of {missing} honest actions" if honest else "there is no honest action"
        return Reading.unmeasured("lost", why)
    return table.mean("lost", values)
