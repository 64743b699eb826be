"""Bench ``planted``: can the explainer find a truth that is known exactly?

Two hundred planted units a modality and more (``maieutic.subjects.planted``), of every kind and family. An explanation
*recovers* its unit when its agreement is at least 0.95: the step-wise average precision of its predictions against the
truth (active: true activation of at least half), on held-out stimuli *and* on edits of them, whichever is lower. Units
whose truth has several strengths (graded, polysemantic) must also be predicted with a Pearson correlation of 0.9. AP,
since it falls both when a label misses and when it claims too much; edits, since on natural stimuli the constant
companion of a cause scores as well as the cause. An abstention recovers nothing, except on dead and noise units, where
it is the only right answer. *Wrong and confident*: confidence above 0.8 with agreement under 0.5, or on a unit that means
nothing.

Beside the search stand the look-up of top exemplars, the same search without experiments, and a constant, on the same
units under the same budget. What this does not show: how real units fail.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from maieutic.bench.figures import figures
from maieutic.bench.result import BenchResult
from maieutic.bench.tables import plots, tables
from maieutic.bench.trials import CONSTANT, Explain, Outcome, Settings, quick_each, try_units
from maieutic.errors import UsageError
from maieutic.progress import Report, silent
from maieutic.stimuli.base import Corpus
from maieutic.subjects.base import Modality

#: the one that is measured, then what it is measured against
EXPLAINERS = ("search", "lookup", "search-no-experiments", CONSTANT)
#: measurements for each unit
BUDGET = 200
_BOTH: tuple[Modality, ...] = ("text", "image")


def run_planted(
    *,
    seed: int = 0,
    modality: str | None = None,
    quick: bool = False,
    explainers: Sequence[str] = EXPLAINERS,
    explain: Explain | None = None,
    corpora: Mapping[str, Corpus] | None = None,
    each: Mapping[str, int] | None = None,
    budget: int = BUDGET,
    jobs: int = 1,
    report: Report = silent,
) -> BenchResult:
    """Explain planted units and compare with their truth.

    Args:
        seed: of units, edits and material.
        modality: ``text``, ``image``, or both.
        quick: about half of the material, two units of each kind.
        explainers: the first is under test, the others are baselines.
        explain: ``(lab, explainer) -> Explanation``; ``maieutic.explain.explain`` when not given.
        corpora: material by modality; packaged corpora otherwise.
        each: units of each kind; kinds not named get none.
        budget: measurements for each unit.
        jobs: worker processes. They import the program that calls this: a script needs ``if __name__ == "__main__":``.
            Outcomes do not depend on it. With ``explain`` or ``corpora`` everything runs in this process.
        report: called with progress.

    Raises:
        UsageError: unknown modality, or no explainer.
    """
    if modality not in (None, "text", "image"):
        raise UsageError(f"no modality {modality!r}: choose text or image, or leave it out for both")
    if not explainers:
        raise UsageError("no explainer to measure: name one")
    started, outcomes, seconds = time.perf_counter(), list[Outcome](), dict[str, float]()
    for which in _BOTH:
        if modality not in (None, which):
            continue
        chosen = each if each is not None else quick_each(which) if quick else None
        settings = Settings(
            modality=which, seed=seed, explainers=tuple(explainers), budget=budget, quick=quick,
            each=None if chosen is None else tuple(sorted(chosen.items())),
        )  # fmt: skip
        corpus = (corpora or {}).get(which)
        with report("planted", which) as step:
            outcomes += try_units(
                settings, jobs=jobs, corpus=corpus, explain=explain, step=step, seconds=seconds
            )  # fmt: skip
    result = BenchResult(
        bench="planted",
        seed=seed,
        seconds=time.perf_counter() - started,
        figures=figures(outcomes),
        rows=tuple(o.to_json() for o in outcomes),
    )
    return replace(result, tables=tables(outcomes, result.figures, seconds), plots=plots(outcomes))
