"""What a sweep may cost: measurements, language-model tokens, dollars; counted, granted before a unit starts, never passed.

A unit is granted the most that its stage may cost; what it did not use goes back when it ends. It does not limit time
(a sweep's ``minutes`` do), nor what a model's provider bills beyond the user's price table.
"""

from __future__ import annotations

from dataclasses import dataclass

from maieutic.campaign.cascade import Stage
from maieutic.errors import UsageError
from maieutic.explain import most_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Spend:
    """An amount: measurements asked for, language-model tokens read and written, dollars."""

    measurements: int = 0
    llm_tokens: int = 0
    dollars: float = 0.0

    def __add__(self, other: Spend) -> Spend:
        return Spend(
            measurements=self.measurements + other.measurements, llm_tokens=self.llm_tokens + other.llm_tokens,
            dollars=self.dollars + other.dollars,
        )  # fmt: skip

    def told(self) -> str:
        """In words, without what is zero."""
        parts = [
            f"{self.measurements:,} measurements",
            f"{self.llm_tokens:,} tokens" if self.llm_tokens else "",
            f"${self.dollars:.2f}" if self.dollars else "",
        ]
        return ", ".join(p for p in parts if p)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The most that all units of a sweep may cost together; ``None``: no limit."""

    measurements: int | None = None
    llm_tokens: int | None = None
    dollars: float | None = None

    def allow(self, spend: Spend) -> bool:
        """Whether the amount is within every limit."""
        pairs = (
            (self.measurements, spend.measurements), (self.llm_tokens, spend.llm_tokens), (self.dollars, spend.dollars),
        )  # fmt: skip
        return all(limit is None or amount <= limit for limit, amount in pairs)

    def told(self) -> str:
        """In words."""
        parts = [
            f"{self.measurements:,} measurements" if self.measurements is not None else "",
            f"{self.llm_tokens:,} tokens" if self.llm_tokens is not None else "",
            f"${self.dollars:,.2f}" if self.dollars is not None else "",
        ]
        return ", ".join(p for p in parts if p)


def grant_of(stage: Stage, limits: Limits) -> Spend:
    """The most that one unit may cost in a stage.

    Raises:
        UsageError: tokens or dollars are limited and the stage does not say what it may cost.
    """
    most = most_of(stage.explainer, stage.options)
    if most is None and (limits.llm_tokens is not None or limits.dollars is not None):
        raise UsageError(
            f"{stage.explainer} does not say how many tokens a unit may cost: limit --measurements or --minutes instead"
        )
    tokens, dollars = most or (0, 0.0)
    if dollars is None and limits.dollars is not None:
        raise UsageError(
            f"the model of {stage.explainer} has no price: write one into prices.toml (see the documentation of agents), "
            "or limit --tokens"
        )
    return Spend(measurements=stage.budget, llm_tokens=tokens, dollars=dollars or 0.0)
