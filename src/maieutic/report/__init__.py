"""Static reports: `write_report` turns a `ReportRun` into pages that open from disk."""

from __future__ import annotations

from maieutic.report.model import (
    ReportControl,
    ReportExemplar,
    ReportExperiment,
    ReportImage,
    ReportRun,
    ReportScores,
    ReportSection,
    ReportTest,
    ReportText,
    ReportUnit,
)
from maieutic.report.write import write_report

__all__ = [
    "ReportControl",
    "ReportExemplar",
    "ReportExperiment",
    "ReportImage",
    "ReportRun",
    "ReportScores",
    "ReportSection",
    "ReportTest",
    "ReportText",
    "ReportUnit",
    "write_report",
]
