"""Scoring: is a label true on evidence that no explainer has seen? Import everything public from here."""

from maieutic.score.controls import (
    CONTROLS,
    Controls,
    NullUnit,
    Verdict,
    beats_every_control,
    null_unit,
    random_directions,
    shuffled,
    verdict,
)
from maieutic.score.evidence import Evidence, Predictions, Sample, Threshold, Trial, threshold, trial
from maieutic.score.registry import Request, Scorer, load_scorer, score, scorer_names

__all__ = [
    "CONTROLS",
    "Controls",
    "Evidence",
    "NullUnit",
    "Predictions",
    "Request",
    "Sample",
    "Scorer",
    "Threshold",
    "Trial",
    "Verdict",
    "beats_every_control",
    "load_scorer",
    "null_unit",
    "random_directions",
    "score",
    "scorer_names",
    "shuffled",
    "threshold",
    "trial",
    "verdict",
]
