"""Trying explainers on planted units: one unit after another, or on worker processes, always with the same outcome.

A worker makes its own copy of the material, the units and the atlas from the seed, so nothing large travels and the
number of workers changes nothing but the time. A unit whose explainer raises is an outcome like any other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from maieutic.bench.lexicon import kinds
from maieutic.bench.material import material
from maieutic.errors import UserError
from maieutic.explain import Explanation
from maieutic.explain import explain as explain_by
from maieutic.explain.explanation import Viewer
from maieutic.explain.predicates.base import Constant
from maieutic.explain.registry import viewer_of
from maieutic.harvest import Atlas, harvest
from maieutic.lab import Budget, Lab
from maieutic.progress import Step, nothing
from maieutic.score.against_truth import agreement
from maieutic.score.against_truth_images import fresh_images
from maieutic.score.against_truth_texts import fresh_texts
from maieutic.stimuli.base import Corpus, Stimulus
from maieutic.subjects.base import Modality
from maieutic.subjects.planted import SITE, PlantedUnit, annotated, plant

if TYPE_CHECKING:
    from concurrent.futures import ProcessPoolExecutor

Explain = Callable[[Lab, str], Explanation]
#: what costs nothing and says nothing
CONSTANT = "constant"
RECOVERED, CORRELATED, CONFIDENT, WRONG = 0.95, 0.9, 0.8, 0.5
#: kinds whose strengths have to be right too
GRADED = frozenset({"graded", "polysemantic"})
NOTHING = frozenset({"dead", "noise"})
#: units of each kind in a quick run
QUICK_EACH = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What decides the outcomes of one modality."""

    modality: Modality
    seed: int
    explainers: tuple[str, ...]
    budget: int
    quick: bool = False
    each: tuple[tuple[str, int], ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What an explainer made of one planted unit: plain data.

    Attributes:
        truth: the rule in words.
        abstained, failed: said "unexplained"; raised (the explainer or its label), which is neither an answer nor an
            abstention. ``why`` is the reason of either.
        measurements: stimuli shown in experiments.
        natural, edited: step-wise average precision of the predictions against the truth (active: 0.5 or more) on
            held-out stimuli and on edits of them; ``None`` without a prediction, or where the truth is never active.
        natural_r, edited_r: Pearson correlation with the truth; ``None`` as above, and where either never changes.
    """

    modality: Modality
    unit: str
    kind: str
    family: str
    truth: str
    explainer: str
    label: str
    confidence: float
    abstained: bool
    measurements: int
    seconds: float
    natural: float | None = None
    edited: float | None = None
    natural_r: float | None = None
    edited_r: float | None = None
    failed: bool = False
    why: str | None = None

    @property
    def explainable(self) -> bool:
        return self.kind not in NOTHING

    @property
    def answered(self) -> bool:
        return not self.abstained and not self.failed

    @property
    def agreement(self) -> float | None:
        """The lower of the two, 0 to 1."""
        return _lower(self.natural, self.edited)

    @property
    def correlation(self) -> float | None:
        return _lower(self.natural_r, self.edited_r)

    @property
    def recovered(self) -> bool:
        """Whether the rule was found: agreement, and of graded units the correlation too, high enough."""
        if not self.answered or not self.explainable or self.agreement is None or self.agreement < RECOVERED:
            return False
        return self.kind not in GRADED or (self.correlation is not None and self.correlation >= CORRELATED)

    @property
    def wrong_confident(self) -> bool:
        """Confidence above 0.8 in a label that agrees less than half, or on a unit that means nothing."""
        if not self.answered or self.confidence <= CONFIDENT:
            return False
        return not self.explainable or self.agreement is None or self.agreement < WRONG

    def to_json(self) -> dict[str, Any]:
        more = {"agreement": self.agreement, "correlation": self.correlation, "recovered": self.recovered}
        return {**asdict(self), **more, "seconds": round(self.seconds, 3)}


def _lower(a: float | None, b: float | None) -> float | None:
    known = [v for v in (a, b) if v is not None]
    return min(known) if known else None


# --- one modality --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Everything that the units of one modality share."""

    settings: Settings
    units: tuple[PlantedUnit, ...]
    atlas: Atlas
    test: Sequence[Stimulus]
    viewer: Viewer
    explain: Explain

    def outcomes(self, i: int) -> list[Outcome]:
        """Every explainer on one unit."""
        unit = self.units[i]
        tries = [self._explained(unit, name) for name in self.settings.explainers]
        fresh: tuple[Sequence[Any], Sequence[Any]] | None = None
        out: list[Outcome] = []
        for outcome, found in tries:
            if found is not None and unit.explainable:
                if fresh is None:
                    make = fresh_texts if self.settings.modality == "text" else fresh_images
                    fresh = make(unit, self.test, seed=self.settings.seed)
                outcome = self._scored(outcome, found, unit, *fresh)
            out.append(outcome)
        return out

    def _explained(self, unit: PlantedUnit, explainer: str) -> tuple[Outcome, Explanation | None]:
        s = self.settings
        lab = Lab(unit.subject, unit.unit, self.atlas, budget=Budget(measurements=s.budget), seed=s.seed)
        started = time.perf_counter()
        try:
            found, why = self.explain(lab, explainer), None
        except Exception as error:  # explainers may be plug-ins: whatever one raises is counted, with its reason
            why = f"{type(error).__name__}: {error}"
            found = Explanation.unexplained(unit.unit.key, why, explainer=explainer)
        outcome = Outcome(
            modality=s.modality, unit=unit.name, kind=unit.kind, family=unit.family, truth=unit.about,
            explainer=explainer, label=found.label, confidence=found.confidence,
            abstained=found.abstained and why is None, failed=why is not None, why=why or found.reason,
            measurements=len(lab.ledger), seconds=time.perf_counter() - started,
        )  # fmt: skip
        return outcome, None if found.abstained else found

    def _scored(
        self, outcome: Outcome, found: Explanation, unit: PlantedUnit, natural: Sequence[Any], edited: Sequence[Any]
    ) -> Outcome:
        bound = found if found.viewer is not None else found.bound(self.viewer)
        try:
            (ap, r), (edited_ap, edited_r) = (agreement(bound, unit, some) for some in (natural, edited))
        except Exception as error:  # a label that cannot predict is not recovered, with its reason
            return replace(outcome, failed=True, why=f"the prediction failed: {type(error).__name__}: {error}")
        return replace(outcome, natural=ap, edited=edited_ap, natural_r=r, edited_r=edited_r)


def stage(settings: Settings, *, corpus: Corpus | None = None, explain: Explain | None = None) -> Stage:
    """Plant in the corpus and harvest once.

    Args:
        settings: see ``Settings``.
        corpus: to plant in; packaged material of the seed otherwise.
        explain: ``(lab, explainer) -> Explanation``; the registered explainers otherwise.

    Cost: about 15 s with packaged material.
    """
    s = settings
    plain = material(s.modality, seed=s.seed, quick=s.quick) if corpus is None else corpus
    shown: Corpus = annotated(plain) if s.modality == "image" else plain
    each = None if s.each is None else dict(s.each)
    units = plant(shown, seed=s.seed, each=each, lexicon=kinds if s.modality == "text" else None)
    subject = units[0].subject
    return Stage(
        settings=s,
        units=units,
        atlas=harvest(subject, shown, [SITE], keep=[u.unit for u in units]),
        test=shown.split("test"),
        viewer=viewer_of(subject, shown),
        explain=explain or _explain,
    )


def _explain(lab: Lab, explainer: str) -> Explanation:
    return _constant(lab) if explainer == CONSTANT else explain_by(lab, explainer)


def _constant(lab: Lab) -> Explanation:
    """The same prediction everywhere: what costs nothing."""
    everywhere = Constant(value=1.0)
    return Explanation(unit=lab.unit.key, label="anything", predicate=everywhere, explainer=CONSTANT, confidence=0.0)


# --- many units ----------------------------------------------------------------------------------------------------


def try_units(
    settings: Settings,
    *,
    jobs: int = 1,
    corpus: Corpus | None = None,
    explain: Explain | None = None,
    step: Step = nothing,
    seconds: dict[str, float] | None = None,
) -> list[Outcome]:
    """Every explainer on every unit, in the order of the units.

    Args:
        settings: see ``Settings``.
        jobs: worker processes; 1 works here. A corpus or explainer given as an object cannot travel: it works here too.
        corpus, explain: as for ``stage``.
        step: called with units done and units in all.
        seconds: where the time that each part took is put.
    """
    started = time.perf_counter()
    rows: list[list[Outcome]] = []
    with _tries(settings, jobs if corpus is None and explain is None else 1, corpus, explain) as (n, tries):
        ready = time.perf_counter()
        step(0, n)
        for row in tries:
            rows.append(row)
            step(len(rows), n)
    if seconds is not None:
        seconds[f"{settings.modality}: material, units, harvest"] = ready - started
        seconds[f"{settings.modality}: explaining and marking"] = time.perf_counter() - ready
    return [o for row in rows for o in row]


@contextmanager
def _tries(
    settings: Settings, jobs: int, corpus: Corpus | None, explain: Explain | None
) -> Generator[tuple[int, Iterator[list[Outcome]]]]:
    """How many units there are, and their outcomes in order."""
    if jobs <= 1:
        here = stage(settings, corpus=corpus, explain=explain)
        yield len(here.units), (here.outcomes(i) for i in range(len(here.units)))
        return
    with workers(jobs) as pool:
        # as many questions as workers, so that all of them make their material at the same time
        n = [f.result() for f in [pool.submit(_units, settings) for _ in range(jobs)]][0]
        futures = [pool.submit(_outcomes, settings, i) for i in range(n)]
        yield n, (f.result() for f in futures)


@contextmanager
def workers(jobs: int) -> Generator[ProcessPoolExecutor]:
    """Worker processes of one thread each, ended with what they are at when the work is interrupted.

    Raises:
        UserError: the system killed one of them.
    """
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import active_children

    others = set(active_children())
    pool = _pool(jobs)
    try:
        yield pool
    except BrokenProcessPool as error:
        raise UserError("a worker process was killed, perhaps for want of memory: use --jobs 1") from error
    except BaseException:  # interrupted: what workers are at is of no use any more
        for worker in set(active_children()) - others:
            worker.terminate()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _pool(jobs: int) -> ProcessPoolExecutor:
    """Fresh processes: a forked one would inherit locks of torch's threads."""
    import os
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    for library in ("OMP", "OPENBLAS", "MKL"):
        # read when numpy is loaded; workers that each use every core for small products are three times slower
        os.environ.setdefault(f"{library}_NUM_THREADS", "1")
    return ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_quietly)


def _quietly() -> None:
    """A worker: one thread; who started it decides what an interruption from the keyboard means."""
    import signal

    import torch

    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


#: the stage of a worker process; one at a time, since each takes a few hundred megabytes
_STAGES: dict[Settings, Stage] = {}


def _stage_of(settings: Settings) -> Stage:
    if settings not in _STAGES:
        _STAGES.clear()
        _STAGES[settings] = stage(settings)
    return _STAGES[settings]


def _units(settings: Settings) -> int:
    return len(_stage_of(settings).units)


def _outcomes(settings: Settings, i: int) -> list[Outcome]:
    return _stage_of(settings).outcomes(i)


def quick_each(modality: Modality) -> Mapping[str, int]:
    """Units of each kind in a quick run."""
    from maieutic.subjects.planted.plant_images import EACH as IMAGES
    from maieutic.subjects.planted.plant_text import EACH as TEXTS

    return dict.fromkeys(TEXTS if modality == "text" else IMAGES, QUICK_EACH)
