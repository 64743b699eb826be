"""Findings: what each audit saw, how sure, and how small a cheat it would have seen; and which of them alarm.

What this module does not do: measure. A finding that could not be made is ``unmeasured``, which is no pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from maieutic.forensics.sequential import holm
from maieutic.readings import Reading

Verdict = Literal["clear", "alarm", "unmeasured"]
#: chance that the card of an honest explainer has any alarm at all
ALPHA = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one audit saw.

    Attributes:
        audit: which one (``censoring``, ``claims`` ...).
        statistic: what the reading is, in words; larger is worse.
        reading: value with interval and n, or unmeasured with its reason.
        p: one-sided chance of so much or more from an explainer that does not cheat; ``None`` where unmeasured, or where
            the finding informs and never alarms. Facts (a touched honeyfile) have 0.0, or 1.0 where there is none.
        power: the smallest cheat that this audit would have seen four times in five (in units of the reading), or
            unmeasured.
        units: ids of items that speak for it, worst first.
        details: further plain JSON.
        verdict: set by ``judged``.
    """

    audit: str
    statistic: str
    reading: Reading
    p: float | None = None
    power: Reading = field(default_factory=lambda: Reading.unmeasured("power", "this audit states none"))
    units: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict[str, Any])
    verdict: Verdict = "unmeasured"

    def __post_init__(self) -> None:
        assert self.p is None or self.reading.measured, f"{self.audit}: nothing was measured, and yet p is {self.p}"

    @property
    def informs(self) -> bool:
        """Whether it is told and never alarms."""
        return self.p is None and self.reading.measured

    def to_json(self) -> dict[str, Any]:
        return {
            "audit": self.audit, "statistic": self.statistic, "verdict": self.verdict, "p": self.p,
            "reading": self.reading.to_json(), "power": self.power.to_json(), "units": list(self.units),
            "details": dict(self.details),
        }  # fmt: skip


def judged(findings: Sequence[Finding], *, alpha: float = ALPHA) -> tuple[Finding, ...]:
    """The findings with their verdicts, Holm-corrected over all that can alarm: ``alpha`` is for the card as a whole."""
    able = [i for i, f in enumerate(findings) if f.p is not None]
    corrected = dict(zip(able, holm([findings[i].p or 0.0 for i in able]), strict=True))
    return tuple(replace(f, verdict=_verdict(f, corrected.get(i), alpha)) for i, f in enumerate(findings))


def _verdict(finding: Finding, corrected: float | None, alpha: float) -> Verdict:
    if not finding.reading.measured:
        return "unmeasured"
    return "alarm" if corrected is not None and corrected <= alpha else "clear"
