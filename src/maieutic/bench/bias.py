"""Bench ``bias``: are planted biases found, with the right size, and is nothing found where there is none?

Each seed makes a classifier of pictures and a model of words with three biases each of known size, and their null twins with
the same accidents (slopes of single objects, names and templates) and no bias. The study is run on all four as on any model.
``recall``: planted biases that were called a bias, with the right sign. ``coverage``: of these planted effects, whether the
95 % interval holds the true one, found or not. ``false``: null twins in which anything at all was called a bias. ``naive``
is for comparison: null twins in which a paired t-test over single pictures or prompts, adjusted by Holm as well, finds
something: what comes of treating near-duplicates, names and templates as independent.

What this does not show: biases smaller than these, or of kinds that the accidents do not resemble.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from maieutic.bench.bias_models import PLANTED, Planted
from maieutic.bench.result import BenchResult, Figure, Table
from maieutic.errors import UsageError
from maieutic.progress import Report, silent
from maieutic.readings import share_reading
from maieutic.studies.bias.design import cells_of
from maieutic.studies.bias.outputs import Read, parse_output
from maieutic.studies.bias.paired import adjusted
from maieutic.studies.bias.study import BiasStudy, Finding, read_all, run_bias

SEEDS, QUICK = 20, 3
#: set before the first run
TARGETS: Mapping[str, tuple[float, bool]] = {"recall": (0.95, True), "coverage": (0.9, True), "false": (0.05, False)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One planted bias of one seed: what it is, and what the study made of it."""

    modality: str
    seed: int
    name: str
    truth: float
    finding: Finding

    @property
    def found(self) -> bool:
        return self.finding.is_bias and (self.finding.effect.value or 0.0) * self.truth > 0

    @property
    def covered(self) -> bool:
        low, high = self.finding.effect.low, self.finding.effect.high
        return low is not None and high is not None and low <= self.truth <= high

    def to_json(self) -> dict[str, Any]:
        e = self.finding.effect
        return {
            "modality": self.modality, "seed": self.seed, "bias": self.name, "truth": self.truth, "effect": e.value,
            "low": e.low, "high": e.high, "verdict": self.finding.verdict, "why": self.finding.why,
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Twin:
    """One null twin: contrasts tried, what was called a bias in it, and what a test that ignores clusters finds."""

    modality: str
    seed: int
    contrasts: int
    biases: tuple[str, ...]
    naive: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "modality": self.modality, "seed": self.seed, "twin": True, "contrasts": self.contrasts,
            "biases": list(self.biases), "naive": list(self.naive),
        }  # fmt: skip


def run_bias_bench(
    *, seed: int = 0, modality: str | None = None, quick: bool = False, seeds: int = SEEDS, report: Report = silent
) -> BenchResult:
    """Plant biases, study the models and their twins.

    Args:
        seed: another seed, other objects, names and accidents; replicate ``k`` takes ``1000 * seed + k``.
        modality: ``text`` or ``image``; both otherwise.
        quick: `QUICK` replicates.
        seeds: replicates.
        report: called with progress.

    Cost: about 10 s a replicate of both modalities.

    Raises:
        UsageError: no such modality, or no replicate.
    """
    if modality is not None and modality not in PLANTED:
        raise UsageError(f"modality is {' or '.join(PLANTED)}, not {modality!r}: choose one of those")
    if seeds < 1:
        raise UsageError(f"{seeds} replicates are none: give -o seeds=1 or more")
    started, count = time.perf_counter(), QUICK if quick else seeds
    tried: list[Tried] = []
    twins: list[Twin] = []
    kinds = list(PLANTED) if modality is None else [modality]
    with report("study", "planted biases") as step:
        for i, (kind, k) in enumerate((kind, k) for kind in kinds for k in range(count)):
            step(i, len(kinds) * count)
            tried += planted_biases(kind, 1000 * seed + k)
            twins.append(null_twin(kind, 1000 * seed + k))
        step(len(kinds) * count, len(kinds) * count)
    figures = {f"{kind}.{n}": f for kind in kinds for n, f in figures_of(kind, tried, twins).items()}
    return BenchResult(
        bench="bias", seed=seed, seconds=time.perf_counter() - started, figures=figures,
        tables=tuple(tables_of(kinds, tried, figures)), rows=(*(t.to_json() for t in tried), *(t.to_json() for t in twins)),
    )  # fmt: skip


def _studied(planted: Planted, seed: int) -> tuple[BiasStudy, list[Read]]:
    outputs = [parse_output(planted.subject, o) for o in planted.outputs]
    read = read_all(planted.subject, planted.material, outputs)
    return run_bias(planted.subject, planted.material, outputs, untrained=False, seed=seed, read=read), read


def planted_biases(modality: str, seed: int) -> list[Tried]:
    """The planted biases of one seed beside what the study says of them."""
    planted = PLANTED[modality](seed)
    study, _ = _studied(planted, seed)
    by = {(f.output, f.attribute, f.level): f for f in study.findings}
    return [
        Tried(modality=modality, seed=seed, name=", ".join(key), truth=truth, finding=by[key])
        for key, truth in planted.truth.items()
    ]


def null_twin(modality: str, seed: int) -> Twin:
    """What the study, and a test that knows no clusters, find where nothing is."""
    planted = PLANTED[modality](seed, null=True)
    study, read = _studied(planted, seed)
    return Twin(
        modality=modality,
        seed=seed,
        contrasts=len(study.findings),
        biases=tuple(f"{f.output}, {f.attribute}: {f.level}" for f in study.biases),
        naive=tuple(naive_findings(planted, read)),
    )


def naive_findings(planted: Planted, read: Sequence[Read], *, alpha: float = 0.05) -> list[str]:
    """Contrasts that a t-test over single stimuli finds, Holm over all of them: no clusters, no fillers, no second half."""
    found: list[tuple[str, float]] = []
    for output, values in zip(planted.outputs, read, strict=True):
        for attribute, level in planted.material.contrasts():
            cells = cells_of(planted.material, values.values, attribute, level)
            assert cells is not None, "every base has both sides"
            each = (cells.level - np.nanmean(cells.reference, axis=1, keepdims=True)).ravel()
            p = float(stats.ttest_1samp(each[np.isfinite(each)], 0.0).pvalue)  # pyright: ignore[reportAttributeAccessIssue]
            found.append((f"{output}, {attribute}: {level}", p))
    return [name for (name, _), p in zip(found, adjusted([p for _, p in found]), strict=True) if p <= alpha]


def figures_of(modality: str, tried: Sequence[Tried], twins: Sequence[Twin]) -> dict[str, Figure]:
    """Shares with Wilson intervals."""
    own = [t for t in tried if t.modality == modality]
    null = [t for t in twins if t.modality == modality]
    outcomes = {
        "recall": [t.found for t in own],
        "coverage": [t.covered for t in own],
        "false": [bool(t.biases) for t in null],
        "naive": [bool(t.naive) for t in null],
    }
    figures: dict[str, Figure] = {}
    for name, values in outcomes.items():
        target, at_least = TARGETS.get(name, (None, True))
        figures[name] = Figure(reading=share_reading(f"{modality}.{name}", values), target=target, at_least=at_least)
    return figures


def tables_of(kinds: Sequence[str], tried: Sequence[Tried], figures: Mapping[str, Figure]) -> list[Table]:
    """The figures, and each planted bias over the seeds."""
    rows = tuple(
        (name, str(f.reading), "" if f.target is None else f"{'≥' if f.at_least else '≤'} {f.target:g}")
        for name, f in figures.items()
    )
    by: dict[tuple[str, str], list[Tried]] = {}
    for t in tried:
        by.setdefault((t.modality, t.name), []).append(t)
    each = tuple(
        (
            f"{kind}: {name}", f"{own[0].truth:+.2f}", f"{np.mean([t.finding.effect.value or 0.0 for t in own]):+.2f}",
            f"{sum(t.found for t in own)}/{len(own)}", f"{sum(t.covered for t in own)}/{len(own)}",
        )
        for (kind, name), own in by.items() if kind in kinds
    )  # fmt: skip
    return [
        Table(title="planted biases and null twins", columns=("figure", "value", "target"), rows=rows),
        Table(title="each planted bias", columns=("bias", "truth", "mean effect", "found", "in interval"), rows=each),
    ]
