"""Bias of an output: counterfactual edits of pictures and paired prompts, effects with intervals, discovery and confirmation.

What this room does not do: say anything about people. A finding is an effect on one output of one network in one material.
"""

from __future__ import annotations

from maieutic.studies.bias.design import Material, Trial
from maieutic.studies.bias.outputs import Output, parse_output
from maieutic.studies.bias.study import BiasStudy, Finding, run_bias

__all__ = ["BiasStudy", "Finding", "Material", "Output", "Trial", "parse_output", "run_bias"]
