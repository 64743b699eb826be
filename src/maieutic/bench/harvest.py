"""Bench ``harvest``: what a harvest costs beside the bare forward pass, and whether its memory stays flat.

*Ratio*: processor time of a harvest over that of the bare network on the same stimuli, shown one after another in the same way,
stopped by one hook that keeps nothing at the last site needed. One thread of arithmetic, as workers have. Within a round
each pass of the harvest stands beside a bare one, so that a busy machine slows both; the figure is the median of the rounds'
ratios with a bootstrap interval over rounds. Texts are tokenised in both. Pictures are decoded and resized in both; that
share is measured apart and taken out of both for the ratio.

*Memory*: peaks (resident set) of child processes, one for each length, of harvests that write a run folder and of bare
passes; the growth is that of the harvest's own peak, the bare pass at the same length taken off, over the whole peak at the
short length. *Time*: seconds a token at the long length over those at the short one.

The texts of the corpus are too few for the long length: they are repeated, each time with its words turned round by some
places, so that no stimulus occurs twice. What this does not show: speed on a GPU.
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from maieutic.bench.result import BenchResult, Figure, Table
from maieutic.errors import UserError
from maieutic.harvest import harvest
from maieutic.progress import Report, silent
from maieutic.readings import Reading
from maieutic.stimuli import Corpus, load_corpus
from maieutic.subjects import Subject, load_subject
from maieutic.subjects.base import Take

TEXT, IMAGE = "smollm2-135m", "efficientnet-lite0"
#: most that memory and time a token may grow from the short corpus to the long one
FLAT, LINEAR = 1.05, 1.10


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is harvested: a name, the subject, its sites in their order, how much of a corpus, how often, and the target."""

    name: str
    subject: str
    sites: Callable[[Subject], Sequence[str]]
    stimuli: int
    rounds: int = 5
    target: float | None = None


def _mlp(*layers: int) -> Callable[[Subject], Sequence[str]]:
    return lambda subject: [f"layers.{n}.mlp" for n in layers]


CASES = (
    Case(name="text.one-layer", subject=TEXT, sites=_mlp(7), stimuli=96, target=1.05),
    Case(name="text.four-layers", subject=TEXT, sites=_mlp(1, 3, 5, 7), stimuli=96, rounds=4),
    Case(name="text.all-layers", subject=TEXT, sites=_mlp(*range(30)), stimuli=128, rounds=3, target=1.10),
    Case(name="image.one-site", subject=IMAGE, sites=lambda subject: ["blocks.14.expand"], stimuli=128, rounds=4),
    Case(
        name="image.all-sites",
        subject=IMAGE,
        sites=lambda subject: [s.name for s in subject.sites()],
        stimuli=128,
        rounds=4,
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """Processor seconds of one round.

    Attributes:
        bare: the network alone. harvest: without preparing. preparing: pictures decoded and resized; texts: 0.
    """

    bare: float
    harvest: float
    preparing: float

    @property
    def ratio(self) -> float:
        return self.harvest / self.bare


@dataclass(frozen=True, slots=True, kw_only=True)
class Peak:
    """A child process: tokens it read, its peak in bytes, its processor seconds without loading."""

    tokens: int
    peak: int
    seconds: float


def run_harvest(*, seed: int = 0, quick: bool = False, report: Report = silent) -> BenchResult:
    """Time harvests beside bare passes, then watch the memory of growing ones.

    Args:
        seed: which stimuli are drawn.
        quick: a sixth of the stimuli, two rounds, shorter corpora for memory and no bare passes beside them; no targets.
        report: called with progress.

    Cost: about 12 minutes on one core that is not busy; quick: about one.
    """
    started = time.perf_counter()
    rounds: dict[str, list[Round]] = {}
    with _one_thread():
        for case in CASES:
            with report("time", case.name) as step:
                rounds[case.name] = _timed(case, seed=seed, quick=quick, step=step)
    with report("memory", TEXT) as step:
        peaks = _peaks(quick=quick, step=step)
    return BenchResult(
        bench="harvest",
        seed=seed,
        seconds=time.perf_counter() - started,
        figures=_figures(rounds, peaks, seed, targets=not quick),
        rows=tuple(
            {"case": name, "bare": r.bare, "harvest": r.harvest, "preparing": r.preparing}
            for name, found in rounds.items()
            for r in found
        ),
        tables=_tables(rounds, peaks, seed),
    )


class _one_thread:  # noqa: N801 (used like a function)
    """One thread of arithmetic inside."""

    def __enter__(self) -> None:
        import torch

        self._before = torch.get_num_threads()
        torch.set_num_threads(1)

    def __exit__(self, *_: object) -> None:
        import torch

        torch.set_num_threads(self._before)


def _timed(case: Case, *, seed: int, quick: bool, step: Callable[[int, int], None]) -> list[Round]:
    subject = load_subject(case.subject)
    sites = list(case.sites(subject))
    corpus = _drawn(subject, max(case.stimuli // (6 if quick else 1), 8), seed)
    rounds, out = (2 if quick else case.rounds), list[Round]()
    _round(subject, replace(corpus, stimuli=corpus.stimuli[:4]), sites)  # warms caches
    for n in range(rounds):
        out.append(_round(subject, corpus, sites))
        step(n + 1, rounds)
    del subject
    gc.collect()
    return out


def _drawn(subject: Subject, stimuli: int, seed: int) -> Corpus:
    """So many discover stimuli of the packaged corpus, in memory and shortest first, as a harvest reads them."""
    whole = load_corpus("text" if subject.modality == "text" else "photos")
    found = whole.split("discover")
    places = np.sort(np.random.default_rng([seed, 5]).choice(len(found), size=min(stimuli, len(found)), replace=False))
    chosen = [found[int(i)] for i in places]
    return replace(
        whole, stimuli=sorted(chosen, key=lambda s: len(s.content)) if subject.modality == "text" else chosen
    )


def _round(subject: Subject, corpus: Corpus, sites: Sequence[str]) -> Round:
    last = [s.name for s in subject.sites() if s.name in sites][-1:]
    preparing, passes, turn = 0.0, 0.0, 0
    stream = subject.stream

    def bare(stimuli: Sequence[Any]) -> None:
        nonlocal preparing, passes
        if subject.modality == "image":
            preparing += _seconds(lambda: subject.pixels(stimuli))  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownLambdaType]
        passes += _seconds(lambda: stream(stimuli, last, lambda *_: None))

    def beside(stimuli: Sequence[Any], sites: Sequence[str], take: Take) -> None:
        """A bare pass before or after each pass of the harvest, in turn; after it for pictures, which decode when first used."""
        nonlocal turn
        turn += 1
        first = subject.modality == "text" and turn % 2 == 1
        if first:
            bare(stimuli)
        stream(stimuli, sites, take)
        if not first:
            bare(stimuli)

    loading = _seconds(lambda: [s.content.load() for s in corpus]) if subject.modality == "image" else 0.0
    subject.stream = beside
    try:
        whole = _seconds(lambda: harvest(subject, corpus, sites, keep=()))
    finally:
        del subject.stream
    own = whole - passes - preparing  # of the harvest alone
    prepared = loading + preparing
    return Round(bare=passes - preparing, harvest=own - prepared, preparing=prepared)


def _seconds(work: Callable[[], Any]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


def _peaks(*, quick: bool, step: Callable[[int, int], None]) -> dict[tuple[str, int], Peak]:
    """Peaks by what the child did and by length."""
    lengths, layers = ((1_000, 4_000), 1) if quick else ((20_000, 200_000), 2)
    jobs = [(what, tokens) for tokens in lengths for what in (("harvest",) if quick else ("bare", "harvest"))]
    out: dict[tuple[str, int], Peak] = {}
    for n, (what, tokens) in enumerate(jobs):
        with tempfile.TemporaryDirectory() as folder:
            out[what, tokens] = _child(what, tokens, layers, Path(folder))
        step(n + 1, len(jobs))
    return out


def _child(what: str, tokens: int, layers: int, folder: Path) -> Peak:
    command = [sys.executable, "-m", "maieutic.bench.harvest_memory", what, str(tokens), str(layers), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["no message"]
        raise UserError(f"a child process of the bench failed ({last[0]}): run it with  {' '.join(command[1:])}")
    return Peak(**json.loads(done.stdout.splitlines()[-1]))


def _median(name: str, values: Sequence[float], seed: int) -> Reading:
    draws = np.random.default_rng([seed, 7]).choice(values, size=(2000, len(values)))
    low, high = np.quantile(np.median(draws, axis=1), [0.025, 0.975])
    return Reading(name=name, value=float(np.median(values)), low=float(low), high=float(high), n=len(values))


def _figures(
    rounds: dict[str, list[Round]], peaks: dict[tuple[str, int], Peak], seed: int, *, targets: bool
) -> dict[str, Figure]:
    out: dict[str, Figure] = {}
    for case in CASES:
        found = rounds[case.name]
        name = f"ratio.{case.name}"
        out[name] = Figure(reading=_median(name, [r.ratio for r in found], seed), target=case.target, at_least=False)
        if any(r.preparing for r in found):
            name = f"preparing.{case.name}"
            shares = [r.preparing / (r.preparing + r.harvest) for r in found]
            out[name] = Figure(reading=_median(name, shares, seed))
    short, long = sorted({tokens for _, tokens in peaks})
    bare = {t: peaks["bare", t].peak if ("bare", t) in peaks else 0 for t in (short, long)}
    own = {t: peaks["harvest", t].peak - bare[t] for t in (short, long)}
    growth = 1 + (own[long] - own[short]) / peaks["harvest", short].peak
    pace = [peaks["harvest", t].seconds / peaks["harvest", t].tokens for t in (short, long)]
    out["memory.growth"] = Figure(reading=_one("memory.growth", growth), target=FLAT, at_least=False)
    if bare[long]:
        out["memory.own-mb"] = Figure(reading=_one("memory.own-mb", own[long] / 2**20))
    out["time.growth"] = Figure(reading=_one("time.growth", pace[1] / pace[0]), target=LINEAR, at_least=False)
    # a short harvest is mostly the fixed costs of its one shard: a first look has no targets
    return out if targets else {name: replace(figure, target=None) for name, figure in out.items()}


def _one(name: str, value: float) -> Reading:
    return Reading(name=name, value=value, low=None, high=None, n=1)


def _tables(rounds: dict[str, list[Round]], peaks: dict[tuple[str, int], Peak], seed: int) -> tuple[Table, ...]:
    def row(case: Case) -> tuple[str, ...]:
        found = rounds[case.name]
        ratio = _median(case.name, [r.ratio for r in found], seed)
        share = float(np.median([r.preparing / (r.preparing + r.harvest) for r in found]))
        return (
            case.name,
            f"{np.median([r.bare for r in found]):.2f}",
            f"{np.median([r.harvest for r in found]):.2f}",
            f"{ratio.value:.3f}",
            f"{ratio.low:.3f} to {ratio.high:.3f}",
            "" if case.target is None else f"≤ {case.target:g}",
            f"{share:.0%}" if share else "",
        )

    columns = ("harvest of", "bare s", "harvest s", "ratio", "95 % interval", "target", "preparing pictures")
    memory = tuple(
        (f"{what}, {p.tokens:,} tokens", f"{p.peak / 2**20:.0f}", f"{p.seconds:.1f}", f"{p.tokens / p.seconds:.0f}")
        for (what, _), p in peaks.items()
    )
    return (
        Table(
            title="Harvest beside the bare pass (processor time, one thread)",
            columns=columns,
            rows=tuple(map(row, CASES)),
        ),
        Table(title="Memory and pace of child processes", columns=("child", "peak MB", "s", "tokens a s"), rows=memory),
    )
