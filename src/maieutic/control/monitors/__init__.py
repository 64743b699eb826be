"""Monitors: what is shown goes in, a suspicion comes out, with its evidence; see ``base.Monitor``."""

from maieutic.control.monitors.along import Along
from maieutic.control.monitors.base import FunctionMonitor, Monitor, MonitorKind, Saved, suspicions
from maieutic.control.monitors.registry import fit_monitor, load_monitor, monitor_kind, monitor_names

__all__ = [
    "Along", "FunctionMonitor", "Monitor", "MonitorKind", "Saved", "fit_monitor", "load_monitor", "monitor_kind",
    "monitor_names", "suspicions",
]  # fmt: skip
