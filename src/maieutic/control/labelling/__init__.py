"""Labelling units of a packaged network as a task under control: honest and attacking policies, outcomes from activations.

Main task: label the unit well. Side task: hide the concept that it is about while the score stays above a bar. Both are
decided by measured activations on texts that nobody was shown; no judge and no language model is needed. What this
package does not do: run control-arena (``control.adapters.labelling``), or audit (``audit.monitors``).
"""

from maieutic.control.labelling.making import Plan, load_labelling
from maieutic.control.labelling.outcome import Outcome, outcome
from maieutic.control.labelling.playing import Level, Played, Watched, curve, play, succeeded, watched
from maieutic.control.labelling.policies import ATTACKS, Policy, honest, trusted
from maieutic.control.labelling.submission import Submission
from maieutic.control.labelling.units import Labelling, LabelUnit

__all__ = [
    "ATTACKS", "LabelUnit", "Labelling", "Level", "Outcome", "Plan", "Played", "Policy", "Submission", "Watched",
    "curve", "honest", "load_labelling", "outcome", "play", "succeeded", "trusted", "watched",
]  # fmt: skip
