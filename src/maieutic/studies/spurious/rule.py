"""The decision: which units are kept, by the rule of the configuration, from their own trials alone.

Every number it reads is a measured or foretold activation on edits of discover and select pictures. What this module does
not do: see a label, a group, or a test picture.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maieutic.readings import Reading
from maieutic.studies.spurious.config import Rule
from maieutic.studies.spurious.trials import Trials

Floats = NDArray[np.float64]
_Z = 1.959964


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Why a unit is kept or dropped.

    Attributes:
        kept: whether. reasons: what spoke against it, empty when kept.
        claim: share of the predictions' variance that follows the object, 0 to 1.
        survival: share of the activation's variance between objects and between backgrounds that follows the object.
        others, removed: how much more claimed objects move the unit than other objects, and than no object, on the same
            backgrounds, in standard deviations of the unit over the crossed pictures; unmeasured where nothing is claimed.
    """

    kept: bool
    reasons: tuple[str, ...]
    claim: Reading
    survival: Reading
    others: Reading
    removed: Reading

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "kept": self.kept, "reasons": list(self.reasons),
            **{n: getattr(self, n).to_json() for n in ("claim", "survival", "others", "removed")},
        }  # fmt: skip

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Decision:
        """What ``to_json`` gave."""
        readings = {n: Reading.from_json(data[n]) for n in ("claim", "survival", "others", "removed")}
        return cls(kept=data["kept"], reasons=tuple(data["reasons"]), **readings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Variance components of a table of objects by backgrounds, each at least 0."""

    objects: float
    backgrounds: float
    rest: float


def decide(trials: Trials, rule: Rule, *, abstained: str | None) -> Decision:
    """The rule applied to one unit.

    Args:
        trials: what it did. rule: of the configuration. abstained: why the explainer gave it no meaning, or ``None``.
    """
    claim = _claim(trials)
    survival = survival_of(trials)
    others, removed = _effects(trials)
    against: list[str] = []
    if abstained is not None:
        against.append(f"unexplained: {abstained}")
    else:
        against += _against(rule, claim=claim, others=others, removed=removed)
    if survival.value is None:
        against.append(f"its activation cannot be split: {survival.reason}")
    elif survival.value < rule.survival:
        against.append(f"only {survival.value:.0%} of its activation follows the object, the rest the background")
    return Decision(
        kept=not against, reasons=tuple(against), claim=claim, survival=survival, others=others, removed=removed
    )


def _against(rule: Rule, *, claim: Reading, others: Reading, removed: Reading) -> list[str]:
    found: list[str] = []
    if claim.value is None:
        found.append(f"its predicate says the same of all crossed pictures ({claim.reason})")
    elif claim.value < rule.claim:
        found.append(
            f"its predicate speaks of the background: {claim.value:.0%} of what it foretells follows the object"
        )
    for reading, what in ((others, "other objects do"), (removed, "no object does")):
        if reading.value is None:
            found.append(f"not shown that claimed objects move it more than {what} ({reading.reason})")
        elif reading.low is None or reading.low <= 0:
            found.append(f"not shown that claimed objects move it more than {what} (by {reading.value:.2f} SD)")
    return found


def parts_of(table: Floats) -> Parts:
    """Variance components of ``[object, background]`` by two-way analysis of variance with one value a cell.

    Mean squares: between objects B x var(row means), between backgrounds K x var(column means), rest; a component is
    (mean square - rest) / number of values behind each mean, at least 0 (Searle 1971, "Linear models", ch. 11).
    """
    k, b = table.shape
    rows, columns, mean = table.mean(axis=1), table.mean(axis=0), table.mean()
    rest = float(((table - rows[:, None] - columns[None] + mean) ** 2).sum() / ((k - 1) * (b - 1)))
    of_rows = b * float(rows.var(ddof=1))
    of_columns = k * float(columns.var(ddof=1))
    return Parts(objects=max((of_rows - rest) / b, 0.0), backgrounds=max((of_columns - rest) / k, 0.0), rest=rest)


def survival_of(trials: Trials) -> Reading:
    """Share of the activation's variance that follows the object rather than the background, with a jackknife interval."""
    return _jackknifed("survival", trials.measured, _object_share)


def _object_share(table: Floats) -> float:
    found = parts_of(table)
    total = found.objects + found.backgrounds
    return found.objects / total if total > 1e-12 else float("nan")


def _claim(trials: Trials) -> Reading:
    """Share of the predictions' variance that follows the object; they are exact, so there is no interval."""
    found = parts_of(trials.foretold)
    total = found.objects + found.backgrounds + found.rest
    if total <= 1e-12:
        return Reading.unmeasured("claim", "they do not differ", n=trials.foretold.size)
    return Reading(name="claim", value=found.objects / total, n=trials.foretold.size)


def _effects(trials: Trials) -> tuple[Reading, Reading]:
    """Claimed objects against others, and against empty backgrounds: differences in standard deviations, over objects."""
    spread = float(trials.measured.std())
    said = trials.foretold.mean(axis=1)
    if np.ptp(said) <= 1e-9 or spread <= 1e-12:
        why = "no object is claimed more than another" if spread > 1e-12 else "the unit does not move"
        return Reading.unmeasured("others", why), Reading.unmeasured("removed", why)
    claimed = said >= (said.max() + said.min()) / 2
    rows = trials.measured.mean(axis=1) / spread
    return (
        _difference("others", rows[claimed], rows[~claimed]),
        _difference("removed", rows[claimed], np.array([trials.bare.mean() / spread])),
    )


def _difference(name: str, a: Floats, b: Floats) -> Reading:
    """Difference of means with a 95 % interval over objects (Welch); one value of ``b`` is taken as exact."""
    if len(a) < 3:
        return Reading.unmeasured(name, f"only {len(a)} objects are claimed", n=len(a))
    value = float(a.mean() - b.mean())
    error = float(np.sqrt(a.var(ddof=1) / len(a) + (b.var(ddof=1) / len(b) if len(b) > 1 else 0.0)))
    return Reading(name=name, value=value, low=value - _Z * error, high=value + _Z * error, n=len(a) + len(b))


def _jackknifed(name: str, table: Floats, statistic: Callable[[Floats], float]) -> Reading:
    """A statistic with an interval from leaving out each object and each background in turn."""
    value = statistic(table)
    if not np.isfinite(value):
        return Reading.unmeasured(name, "the same activation on all crossed pictures", n=table.size)
    variance = 0.0
    for axis in (0, 1):
        n = table.shape[axis]
        left = np.array([statistic(np.delete(table, i, axis=axis)) for i in range(n)])
        variance += float((n - 1) / n * ((left - left.mean()) ** 2).sum()) if np.isfinite(left).all() else float("inf")
    half = _Z * np.sqrt(variance)
    low, high = max(value - half, 0.0), min(value + half, 1.0)
    return Reading(name=name, value=value, low=low, high=high, n=table.size)


def plain(rule: Rule) -> dict[str, Any]:
    """The rule as plain values with its words."""
    return {**rule.model_dump(), "words": list(rule.lines())}
