"""Accuracy by group, the worst of them, and margins between heads with paired intervals.

Test objects (stamps) are drawn with replacement within their class, the same draws for every head and every seed, and
seeds are drawn too where there are several: what is paired stays paired. What this module does not do: choose anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maieutic.readings import RESAMPLES, Estimate, Reading, cluster_weights, mean_estimate

Floats = NDArray[np.float64]
Correct = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Table:
    """The test pictures as cells (class and group) and clusters (object instances), with weights of resamples.

    Attributes:
        cells: ``[picture]``; of how many: ``count``. names: of the cells, as (class, group).
        clusters: ``[picture]``. weights: how often each cluster is drawn, ``[resample, cluster]``.
    """

    cells: NDArray[np.int64]
    names: tuple[tuple[str, str], ...]
    clusters: NDArray[np.int64]
    weights: Floats

    @classmethod
    def of(
        cls,
        labels: NDArray[np.int64],
        groups: NDArray[np.int64],
        instances: Sequence[str],
        *,
        classes: Sequence[str],
        kinds: Sequence[str],
        seed: int = 0,
    ) -> Table:
        """Cells that occur; objects are resampled within their class, so that no class ever vanishes."""
        pairs = sorted(set(zip(labels.tolist(), groups.tolist(), strict=True)))
        number = {p: i for i, p in enumerate(pairs)}
        known = {name: i for i, name in enumerate(dict.fromkeys(instances))}
        clusters = np.array([known[i] for i in instances], dtype=np.int64)
        weights = np.zeros((RESAMPLES, len(known)))
        label_of = dict(zip(clusters.tolist(), labels.tolist(), strict=True))
        for label in sorted(set(label_of.values())):
            members = [c for c, at in label_of.items() if at == label]
            weights[:, members] = cluster_weights(len(members), seed=seed * 1009 + label)
        return cls(
            cells=np.array([number[p] for p in zip(labels.tolist(), groups.tolist(), strict=True)], dtype=np.int64),
            names=tuple((str(classes[c]), str(kinds[g])) for c, g in pairs),
            clusters=clusters,
            weights=weights,
        )

    def accuracies(self, correct: Correct) -> Floats:
        """Accuracy of each cell, ``[cell]``."""
        n = len(self.names)
        return np.bincount(self.cells, weights=correct, minlength=n) / np.bincount(self.cells, minlength=n)

    def resampled(self, correct: Correct) -> Floats:
        """Accuracy of each cell on each resample, ``[resample, cell]``; ``nan`` where none of its pictures was drawn."""
        shape = (self.weights.shape[1], len(self.names))
        hits, seen = np.zeros(shape), np.zeros(shape)
        np.add.at(hits, (self.clusters, self.cells), correct)
        np.add.at(seen, (self.clusters, self.cells), 1.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            return (self.weights @ hits) / (self.weights @ seen)

    def worst(self, correct: Correct) -> Estimate:
        """Accuracy of the worst cell."""
        return Estimate(value=float(self.accuracies(correct).min()), replicates=_least(self.resampled(correct)))

    def balanced(self, correct: Correct) -> Estimate:
        """Mean accuracy over cells: every class on every background counts the same."""
        return Estimate(
            value=float(self.accuracies(correct).mean()), replicates=np.asarray(self.resampled(correct).mean(axis=1))
        )


def _least(rows: Floats) -> Floats:
    """The smallest of each row; a row with a gap stays a gap."""
    return np.where(np.isnan(rows).any(axis=1), np.nan, np.nan_to_num(rows, nan=np.inf).min(axis=1))


def over_seeds(estimates: Sequence[Estimate], *, seed: int = 0) -> Estimate:
    """The mean over seeds; resamples draw seeds too, and test objects the same way in all of them."""
    rows = np.stack([e.replicates for e in estimates], axis=1)
    n = len(estimates)
    drawn = cluster_weights(n, resamples=len(rows), seed=seed + 7919).astype(np.float64) / n
    return Estimate(value=float(np.mean([e.value for e in estimates])), replicates=(rows * drawn).sum(axis=1))


def readings_of(name: str, by_seed: Sequence[tuple[Table, Correct]]) -> dict[str, Reading]:
    """Worst-group and balanced accuracy of a head over seeds."""
    n = sum(len(c) for _, c in by_seed)
    details = {"seeds": len(by_seed)}
    return {
        "worst": over_seeds([t.worst(c) for t, c in by_seed]).reading(f"{name}.worst", n=n, details=details),
        "balanced": over_seeds([t.balanced(c) for t, c in by_seed]).reading(f"{name}.balanced", n=n, details=details),
    }


def margins(
    kept: Sequence[tuple[Table, Correct]], other: Sequence[tuple[Table, Sequence[Correct]]], name: str
) -> dict[str, Reading]:
    """Kept minus another head, paired by test object and seed; several correctness rows (random draws) are averaged."""
    found: dict[str, Reading] = {}
    for what in ("worst", "balanced"):
        differences: list[Estimate] = []
        for (table, mine), (_, theirs) in zip(kept, other, strict=True):
            own: Estimate = getattr(table, what)(mine)
            rows: list[Estimate] = [getattr(table, what)(row) for row in theirs]
            differences.append(own - mean_estimate(rows))
        n = sum(len(c) for _, c in kept)
        details = {"by_seed": [round(d.value, 6) for d in differences]}
        found[what] = over_seeds(differences).reading(f"kept-minus-{name}.{what}", n=n, details=details)
    return found


def met(margin: Mapping[str, Reading]) -> bool:
    """Whether the worst-group margin's whole interval lies above 0."""
    low = margin["worst"].low
    return low is not None and low > 0
