"""What was measured of every model of a study, as one table that comparisons read.

What this module does not do: measure, or compare (`comparing`, `matching`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from maieutic.studies.regularization.config import BASELINE
from maieutic.studies.regularization.rows import Row
from maieutic.studies.regularization.variants import Purpose, Variant


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One model with its rows.

    Attributes:
        variant: which model. step: of a checkpoint on its way; ``None``: the finished model.
        loss: validation loss, nats per token. recall: share of the facts that it knows, ``None`` without facts.
        rows: everything that was measured of it.
    """

    variant: Variant
    loss: float
    rows: tuple[Row, ...]
    recall: float | None = None
    step: int | None = None

    @cached_property
    def _values(self) -> dict[tuple[str, str], float | None]:
        return {(r.measure, r.where): r.reading.value for r in self.rows}

    def value(self, measure: str, where: str | None = None) -> float | None:
        """A number of this model; without ``where`` the mean over every place where it is measured.

        ``None`` when it is unmeasured there, or at any of the places: a mean over what happened to work is of other places
        in other arms.
        """
        if where is not None:
            return self._values.get((measure, where))
        found = [v for (name, _), v in self._values.items() if name == measure]
        known = [v for v in found if v is not None]
        return sum(known) / len(known) if known and len(known) == len(found) else None

    def reason(self, measure: str, where: str | None = None) -> str:
        """Why `value` gives none."""
        own = [r for r in self.rows if r.measure == measure and where in (None, r.where)]
        return (
            next((r.reading.reason for r in own if r.reading.reason), "it was not measured")
            if own
            else "it was not measured"
        )


@dataclass(frozen=True, kw_only=True)
class Table:
    """All models of a study that were measured, and those that were not.

    Attributes:
        models: finished ones and checkpoints. missing: (name of the variant, why).
    """

    models: tuple[Measured, ...]
    missing: tuple[tuple[str, str], ...] = ()

    def of(self, arm: str, *, purpose: Purpose = "main", d_mlp: int | None = None) -> dict[int, Measured]:
        """Finished models of an arm at its headline strength, by seed."""
        return {
            m.variant.seed: m for m in self.models
            if m.variant.arm == arm and m.variant.purpose == purpose and m.variant.d_mlp == d_mlp and m.step is None
        }  # fmt: skip

    def swept(self, arm: str) -> dict[int, list[Measured]]:
        """Finished models of an arm at every strength, the headline one among them, by seed."""
        found: dict[int, list[Measured]] = {}
        for m in self.models:
            if m.variant.arm == arm and m.variant.purpose in ("main", "sweep") and m.step is None:
                found.setdefault(m.variant.seed, []).append(m)
        return found

    def on_the_way(self, arm: str = BASELINE) -> dict[int, list[Measured]]:
        """Models of an arm at its checkpoints and at the end, by seed."""
        found: dict[int, list[Measured]] = {}
        for m in self.models:
            if m.variant.arm == arm and m.variant.purpose == "main":
                found.setdefault(m.variant.seed, []).append(m)
        return found

    @property
    def arms(self) -> tuple[str, ...]:
        """Arms with a model at its headline strength, in the order of the study."""
        return tuple(dict.fromkeys(m.variant.arm for m in self.models if m.variant.purpose == "main"))

    def measures(self) -> tuple[tuple[str, str], ...]:
        """Every (measure, where) there is, in order of appearance."""
        return tuple(dict.fromkeys((r.measure, r.where) for m in self.models for r in m.rows))

    def better(self, measure: str) -> int:
        """1 where more is better, -1 where less is, 0 where neither."""
        return next((r.better for m in self.models for r in m.rows if r.measure == measure), 0)

    def records(self) -> Iterator[dict[str, Any]]:
        """One flat mapping for each row of each model: the long table of the CSV and Parquet files."""
        for m in self.models:
            v = m.variant
            about = {
                "model": v.name, "purpose": v.purpose, "arm": v.arm, "strength": v.treatment.value, "seed": v.seed,
                "d_mlp": v.d_mlp, "step": m.step, "loss": m.loss, "recall": m.recall,
            }  # fmt: skip
            for row in m.rows:
                r = row.reading
                yield {
                    **about, "about": row.about, "measure": row.measure, "where": row.where, "better": row.better,
                    "value": r.value, "low": r.low, "high": r.high, "n": r.n, "reason": r.reason,
                }  # fmt: skip
