"""The lab that models, MCP clients and people are given: looking, measuring, making stimuli, intervening, submitting."""

from maieutic.lab.workbench.desk import Shown
from maieutic.lab.workbench.fence import Fence
from maieutic.lab.workbench.record import Hypothesis, Submission
from maieutic.lab.workbench.workbench import Workbench

__all__ = ["Fence", "Hypothesis", "Shown", "Submission", "Workbench"]
