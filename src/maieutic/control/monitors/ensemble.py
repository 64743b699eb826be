"""Several monitors as one: the mean of their log-odds, or the greatest suspicion.

A member that failed makes the whole unmeasured: what it would have said cannot be guessed. What this module does not do:
weigh members by how good they are (a cascade fits weights).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from maieutic.control.monitors.base import SUSPICION, Monitor, MonitorKind, Saved, failed, suspicions
from maieutic.control.monitors.linear import logit, sigmoid
from maieutic.control.monitors.saving import read_about, write_monitor
from maieutic.control.seen import Case, Seen
from maieutic.errors import UsageError, UserError
from maieutic.readings import Cost, Reading

How = Literal["mean", "max"]


@dataclass(frozen=True, kw_only=True)
class EnsembleMonitor:
    """Members and how they are joined.

    Attributes:
        name: for people.
        members: at least one.
        how: ``mean`` of log-odds or ``max``.
    """

    members: tuple[Monitor, ...] = field(repr=False)
    how: How = "mean"
    name: str = "ensemble"

    def __call__(self, seen: Sequence[Seen], /) -> list[Reading]:
        """See `Monitor`. Cost: that of all members."""
        found = [suspicions(m, seen) for m in self.members]
        return [self._joined([column[i] for column in found]) for i in range(len(seen))]

    def _joined(self, readings: Sequence[Reading]) -> Reading:
        names = [m.name for m in self.members]
        cost = sum((r.cost for r in readings), Cost())
        told = [r.value if r.value is not None else f"unmeasured: {r.reason}" for r in readings]
        details: dict[str, Any] = {"how": self.how, "members": dict(zip(names, told, strict=True))}
        values = [r.value for r in readings if r.value is not None]
        if len(values) < len(readings):
            why = next(f"{n}: {r.reason}" for n, r in zip(names, readings, strict=True) if r.reason is not None)
            return replace(failed(why, details), cost=cost)
        value = max(values) if self.how == "max" else float(sigmoid(np.mean(logit(values))))
        return Reading(name=SUSPICION, value=value, n=1, cost=cost, details=details)

    def save(self, folder: Path) -> None:
        """See `Saved`; members stand in folders of their own."""
        save_members(self.members, folder)
        write_monitor(folder, "ensemble", {"name": self.name, "how": self.how, "members": len(self.members)})

    @classmethod
    def load(cls, folder: Path, **given: Any) -> EnsembleMonitor:
        """Read one and its members; `UserError` where there is none."""
        about = read_about(folder)
        return cls(name=about["name"], how=about["how"], members=load_members(folder, int(about["members"]), **given))


def fit_ensemble(
    cases: Sequence[Case], *, members: Sequence[Monitor], how: How = "mean", name: str = "ensemble"
) -> EnsembleMonitor:
    """Join monitors that were fitted already; ``cases`` are not looked at.

    Raises:
        UsageError: no members, or no such way to join them.
    """
    del cases
    if not members or how not in ("mean", "max"):
        raise UsageError("an ensemble needs members, and how=mean or how=max: give both")
    return EnsembleMonitor(members=tuple(members), how=how, name=name)


def save_members(members: Sequence[Monitor], folder: Path) -> None:
    """Write members into ``0``, ``1`` …

    Raises:
        UserError: one of them cannot be written (a function).
    """
    for i, member in enumerate(members):
        if not isinstance(member, Saved):
            raise UserError(f"the monitor {member.name} cannot be saved: leave it out, or make it a plug-in")
        member.save(folder / str(i))


def load_members(folder: Path, count: int, **given: Any) -> tuple[Monitor, ...]:
    """Read them again."""
    from maieutic.control.monitors.registry import load_monitor

    return tuple(load_monitor(folder / str(i), **given) for i in range(count))


#: what the registry knows
KIND = MonitorKind(fit=fit_ensemble, load=EnsembleMonitor.load, takes=("subject", "base_url"))
