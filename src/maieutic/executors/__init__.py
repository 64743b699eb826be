"""Where work runs: in this process, in a pool of processes, or on a Ray cluster, behind one interface."""

from maieutic.executors.base import Broken, Done, Executor, Work
from maieutic.executors.opening import ENGINES, open_executor

__all__ = ["ENGINES", "Broken", "Done", "Executor", "Work", "open_executor"]
