"""Mark answers after edits, and turn marks into readings: the replicate is the edited fact.

*Right* is that the most likely next token is the answer (the issue with pairwise preference is that it is lenient: "The mirage
of model editing", Yang et al. 2025); *preferred* is the published pairwise measure, that the answer is likelier than its rival.

What this module does not do: run models.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from maieutic.readings import Estimate, FloatArray, Reading, cluster_weights, wilson
from maieutic.studies.regularization.editing.cases import Question

#: at this efficacy locality is compared
EFFICACY = 0.95


def mark_right(logits: Tensor, questions: Sequence[Question]) -> FloatArray:
    """1 where the answer is the most likely token (or among the ``within`` most likely ones), else 0, ``[question]``."""
    answers = torch.tensor([q.prompt.answer for q in questions], dtype=torch.long)
    within = torch.tensor([q.within for q in questions])
    above = (logits > logits.gather(1, answers[:, None])).sum(dim=1)
    return (above < within).double().numpy()


def mark_preferred(logits: Tensor, questions: Sequence[Question]) -> FloatArray:
    """1 where the answer is likelier than its rival, 0 where it is not, ``nan`` where it has none, ``[question]``."""
    answers = torch.tensor([q.prompt.answer for q in questions], dtype=torch.long)
    rivals = torch.tensor([q.prompt.wrong for q in questions], dtype=torch.long)
    won = logits.gather(1, answers[:, None]) > logits.gather(1, rivals.clamp_min(0)[:, None])
    return torch.where(rivals >= 0, won[:, 0].double(), torch.nan).numpy()


def by_case(marks: FloatArray, questions: Sequence[Question], group: str, *, cases: int) -> FloatArray:
    """The mean of a group's marks in each case, ``[..., case]``; ``nan`` for a case in which nothing of it was asked.

    Args:
        marks: ``[..., question]``.
    """
    at = [n for n, q in enumerate(questions) if q.group == group]
    owner = np.array([questions[n].case for n in at], dtype=np.int64)
    chosen = marks[..., at]
    asked = np.isfinite(chosen)
    spread = (owner[:, None] == np.arange(cases)).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        return (np.where(asked, chosen, 0.0) @ spread) / (asked @ spread)


def _means(values: FloatArray, *, seed: int) -> FloatArray:
    """Means over cases, of the whole sample first and then of each resample, ``[1 + resample, ...]`` of ``[..., case]``."""
    cases = values.shape[-1]
    weights = np.concatenate([np.ones((1, cases)), cluster_weights(cases, seed=seed)])
    asked = np.isfinite(values)
    with np.errstate(divide="ignore", invalid="ignore"):
        sums = np.tensordot(weights, np.where(asked, values, 0.0), axes=(1, -1))
        return sums / np.tensordot(weights, asked.astype(np.float64), axes=(1, -1))


def mean_over_cases(values: FloatArray, *, seed: int = 0) -> Estimate:
    """The mean over cases in which it was asked, ``values [case]``."""
    if not len(values):
        return Estimate(value=float("nan"), replicates=np.full(1, np.nan))
    means = _means(values, seed=seed)
    return Estimate(value=float(means[0]), replicates=means[1:])


def at_efficacy(efficacy: FloatArray, other: FloatArray, *, at: float = EFFICACY, seed: int = 0) -> Estimate:
    """What another measure is at the strength at which edits first reach an efficacy, interpolated along the sweep.

    Args:
        efficacy, other: ``[strength, case]``, strengths ascending from 0.
        at: the mean efficacy; resamples that never reach it are undefined.
    """
    if not efficacy.shape[-1]:
        return Estimate(value=float("nan"), replicates=np.full(1, np.nan))
    reached, wanted = _means(efficacy, seed=seed), _means(other, seed=seed)
    above = reached >= at
    rows, first = np.arange(len(reached)), above.argmax(axis=1)
    before = np.maximum(first - 1, 0)
    low, high = reached[rows, before], reached[rows, first]
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(first > before, (at - low) / (high - low), 0.0)
    found = wanted[rows, before] + share * (wanted[rows, first] - wanted[rows, before])
    found = np.where(above.any(axis=1), found, np.nan)
    return Estimate(value=float(found[0]), replicates=found[1:])


def case_reading(
    name: str,
    values: FloatArray,
    *,
    seed: int = 0,
    share: bool = False,
    none: str = "nothing of it could be asked",
    **details: Any,
) -> Reading:
    """The mean over cases as a reading; unmeasured with the reason ``none`` when there is no case.

    ``share``: the values are shares of right answers. Where all are 0, or all 1, resampling cannot say how sure that is, and
    the interval is Wilson's, over cases.
    """
    asked = values[np.isfinite(values)]
    reading = mean_over_cases(values, seed=seed).reading(name, n=len(asked), undefined=none, details=details)
    if share and len(asked) and asked.min() == asked.max() and asked[0] in (0.0, 1.0):
        low, high = wilson(int(asked.sum()), len(asked))
        return replace(reading, low=low, high=high)
    return reading
