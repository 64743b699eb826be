"""Where work runs: in this process, in a pool of processes, or on a Ray cluster, behind one interface."""

from maieutic.executors.base import Broken, Done, Executor, Work

__all__ = ["Broken", "Done", "Executor", "Work"]
