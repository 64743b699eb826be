"""Many units: harvest into a run folder, explain and score its units, resumably."""

from maieutic.campaign.cascade import Rules, Stage, parse_stages
from maieutic.campaign.explaining import Failure, explain_units, stored_explanation
from maieutic.campaign.run import Role, Run, RunPlan, create_run, open_run
from maieutic.campaign.scoring import ONE_SHOT, null_results, score_units, stored_readings
from maieutic.campaign.spend import Limits, Spend
from maieutic.campaign.sweep import SweepPlan, Swept, sweep
from maieutic.progress import Report, Step, silent

__all__ = [
    "ONE_SHOT",
    "Failure",
    "Limits",
    "Report",
    "Role",
    "Rules",
    "Run",
    "RunPlan",
    "Spend",
    "Stage",
    "Step",
    "SweepPlan",
    "Swept",
    "create_run",
    "explain_units",
    "null_results",
    "open_run",
    "parse_stages",
    "score_units",
    "silent",
    "stored_explanation",
    "stored_readings",
    "sweep",
]
