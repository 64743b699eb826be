"""Scoring: is a label true on evidence that no explainer has seen? Import everything public from here."""

from maieutic.score.controls import (
    CONTROLS,
    Controls,
    Judge,
    NullUnit,
    Verdict,
    beats_every_control,
    beside,
    null_unit,
    random_directions,
    shuffled,
    verdict,
)
from maieutic.score.evidence import Evidence, Predictions, Sample, Threshold, Trial, threshold, trial
from maieutic.score.registry import Request, Scorer, check_scorers, load_scorer, score, scorer_names
from maieutic.score.shared import Shared

__all__ = [
    "CONTROLS",
    "Controls",
    "Evidence",
    "Judge",
    "NullUnit",
    "Predictions",
    "Request",
    "Sample",
    "Scorer",
    "Shared",
    "Threshold",
    "Trial",
    "Verdict",
    "beats_every_control",
    "beside",
    "check_scorers",
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
