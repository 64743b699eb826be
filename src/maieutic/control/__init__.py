"""Monitors, what protocols do with their suspicion, and what both cost.

A monitor that failed is not a monitor that saw nothing: every failure is an unmeasured reading, which protocols escalate.
"""

from maieutic.control.curve import Run
from maieutic.control.metrics import (
    auroc,
    brier,
    calibration_error,
    partial_auroc,
    recall_at_budget,
    safety,
    safety_upfront,
    scaled_usefulness,
    share,
    tpr_at_fpr,
    usefulness,
    usefulness_upfront,
    worst,
)
from maieutic.control.monitors import (
    FunctionMonitor,
    Monitor,
    MonitorKind,
    fit_monitor,
    load_monitor,
    monitor_names,
    suspicions,
)
from maieutic.control.protocols import (
    Decision,
    DeferToResample,
    DeferToTrusted,
    TrustedEditing,
    TrustedMonitoring,
    UntrustedMonitoring,
    UpfrontAudit,
)
from maieutic.control.seen import Activations, Case, Seen, Transcript
from maieutic.control.tax import Handled, Tax, tax

__all__ = [
    "Activations", "Case", "Decision", "DeferToResample", "DeferToTrusted", "FunctionMonitor", "Handled", "Monitor",
    "MonitorKind", "Run", "Seen", "Tax", "Transcript", "TrustedEditing", "TrustedMonitoring", "UntrustedMonitoring",
    "UpfrontAudit", "auroc", "brier", "calibration_error", "fit_monitor", "load_monitor", "monitor_names",
    "partial_auroc", "recall_at_budget", "safety", "safety_upfront", "scaled_usefulness", "share", "suspicions", "tax",
    "tpr_at_fpr", "usefulness", "usefulness_upfront", "worst",
]  # fmt: skip
