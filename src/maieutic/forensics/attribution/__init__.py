"""Which parts of a context made a model act: from leaving one out to the exact set of causes, each with its cost.

Nothing here speaks of motives, looks inside the model, or turns "not told apart" into "no cause".
"""

from maieutic.forensics.attribution.cause import Cause, Claim, Move
from maieutic.forensics.attribution.edits import SentenceEffect, Substitution, resample_sentences, substitute
from maieutic.forensics.attribution.find import Settings, find_cause
from maieutic.forensics.attribution.scores import Attribution, interactions, leave_one_out, shapley
from maieutic.forensics.attribution.surrogate import surrogate
from maieutic.forensics.attribution.trials import Trials, UnmeasuredError

__all__ = [
    "Attribution",
    "Cause",
    "Claim",
    "Move",
    "SentenceEffect",
    "Settings",
    "Substitution",
    "Trials",
    "UnmeasuredError",
    "find_cause",
    "interactions",
    "leave_one_out",
    "resample_sentences",
    "shapley",
    "substitute",
    "surrogate",
]
