"""The training jobs of a study: which (arm, strength, size, seed) is trained, and for what.

What this module does not do: train (`train`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from maieutic.studies.regularization.arms import Arm, arm
from maieutic.studies.regularization.config import BASELINE, StudyConfig

Purpose = Literal["main", "sweep", "capacity", "gold", "null"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One model to train.

    Attributes:
        purpose: ``main`` (headline strength), ``sweep`` (another strength), ``capacity`` (other MLPs), ``gold`` (without the
            facts that are to be forgotten), ``null`` (the baseline at further seeds).
        arm: name. strength: ``None``: the arm's own. seed: replicate. d_mlp: of the dense model; ``None``: the shape's.
    """

    purpose: Purpose
    arm: str
    strength: float | None
    seed: int
    d_mlp: int | None = None

    @property
    def treatment(self) -> Arm:
        """The arm at its strength."""
        return arm(self.arm, self.strength)

    @property
    def group(self) -> str:
        """What its replicates share: ``main/solu@1``, ``capacity-32/gelu``."""
        size = "" if self.d_mlp is None else f"-{self.d_mlp}"
        return f"{self.purpose}{size}/{self.treatment.label}"

    @property
    def name(self) -> str:
        """Unique in a study and good as a folder's name: ``main/solu@1/seed-0``."""
        return f"{self.group}/seed-{self.seed}"


def variants_of(config: StudyConfig) -> tuple[Variant, ...]:
    """Every model of a study, headline arms first, seed by seed, so that a run that is stopped has whole replicates."""
    found: list[Variant] = []

    def headline(name: str) -> float | None:
        return config.strengths.get(name, arm(name).value)

    for seed in config.seeds:
        found += [Variant(purpose="main", arm=n, strength=headline(n), seed=seed) for n in config.arms]
    found += [
        Variant(purpose="gold", arm=n, strength=headline(n), seed=s)
        for s in config.gold_seeds
        for n in config.gold_arms
    ]
    found += [Variant(purpose="null", arm=BASELINE, strength=None, seed=s) for s in config.null_seeds]
    names = dict.fromkeys([*config.sweep_arms, *config.sweep_strengths])
    for seed in config.sweep_seeds:
        for name in names:
            values = config.sweep_strengths.get(name, arm(name).strengths)
            found += [Variant(purpose="sweep", arm=name, strength=v, seed=seed) for v in values if v != headline(name)]
    for seed in config.capacity_seeds:
        for size in config.capacity:
            found += [
                Variant(purpose="capacity", arm=n, strength=headline(n), seed=seed, d_mlp=size)
                for n in config.capacity_arms
            ]
    return tuple(found)
