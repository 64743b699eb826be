"""The report part of bench ``store``: pages of a made-up sweep of thousands of text units, their evidence made when asked."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from maieutic.readings import Reading
from maieutic.report import (
    ReportExemplar,
    ReportExperiment,
    ReportRun,
    ReportScores,
    ReportSection,
    ReportText,
    ReportUnit,
    write_report,
)

UNITS = 3000
#: as a search leaves them
EXEMPLARS, EXPERIMENTS, TOKENS = 16, 17, 60
SITES = ("layers.7.mlp", "layers.8.mlp")


def time_report(folder: Path, *, units: int, rng: np.random.Generator) -> dict[str, float]:
    """Write the report of so many units; seconds and bytes of it."""
    words = (" the", " treaty", " of", " 1856", " closed", " straits", " to", " warships", " in", " clause", " was")

    def text(values: bool) -> ReportText:
        tokens = tuple(words[i] for i in rng.integers(0, len(words), TOKENS))
        return ReportText(
            tokens=tokens, values=tuple(rng.gamma(0.4, 0.5, TOKENS).tolist()) if values else (), position=5
        )

    def full(shown: ReportUnit) -> ReportUnit:
        exemplars = tuple(
            ReportExemplar(shown=text(values=True), value=float(i), quantile=0.9, split="test" if i < 4 else "discover")
            for i in range(EXEMPLARS)
        )
        rows = tuple(
            ReportExperiment(
                id=f"{shown.key}#{i}", kind="substitute", hypothesis=f"hypothesis {i % 4}", shown=text(values=False),
                expect=0.5, scaled=0.5, value=1.0, fresh=i % 3 > 0,
            )
            for i in range(EXPERIMENTS)
        )  # fmt: skip
        return replace(shown, exemplars=exemplars, experiments=rows)

    section = ReportSection(
        subject="made-up", modality="text", corpus="made-up", sites=SITES, full=full,
        units=tuple(_unit(n, float(rng.random())) for n in range(units)),
    )  # fmt: skip
    begun = time.perf_counter()
    index = write_report(ReportRun(title="made-up sweep", sections=(section,)), folder / "report")
    seconds = time.perf_counter() - begun
    size = sum(p.stat().st_size for p in index.parent.rglob("*") if p.is_file())
    return {
        "report written, s": seconds,
        "report, ms a unit": 1e3 * seconds / units,
        "report, MB": size / 1e6,
        "first page of the report, kB": index.stat().st_size / 1e3,
    }


def _unit(number: int, value: float) -> ReportUnit:
    site = SITES[number % len(SITES)]
    primary = Reading(name="ap", value=value, low=value - 0.05, high=value + 0.05, n=400)
    return ReportUnit(
        key=f"{site}/{number}",
        site=site,
        label=f"the word “treaty” and its forms, in passages on foreign relations, kind {number}",
        explainer=("search", "agent")[number % 5 == 0],
        confidence=value,
        scores=ReportScores(primary=primary, pearson=primary),
        measurements=EXPERIMENTS,
        importance=1 / (1 + number),
        why="the search stands well enough",
        tally=(EXPERIMENTS, EXPERIMENTS),
    )
