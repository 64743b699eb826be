"""A jailed worker: Python that a model wrote, in a process that owns nothing and reaches the lab by checked calls."""

from maieutic.lab.worker.limits import Laid, Limits, Ran
from maieutic.lab.worker.worker import Worker, backends, start_worker

__all__ = ["Laid", "Limits", "Ran", "Worker", "backends", "start_worker"]
