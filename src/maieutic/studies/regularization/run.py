"""A whole run of the study: train, measure, compare, answer; taken up again where it stopped.

What this module does not do: draw anything (`maieutic.report.study`).
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from maieutic.errors import StoreError
from maieutic.executors import Executor
from maieutic.progress import Report, silent
from maieutic.studies.regularization.config import StudyConfig
from maieutic.studies.regularization.gathering import gather
from maieutic.studies.regularization.headlines import Findings, find
from maieutic.studies.regularization.hypotheses import Answer, answer_all
from maieutic.studies.regularization.keeping import Failed, Kept, all_kept, train_all, write_json
from maieutic.studies.regularization.measured import Table
from maieutic.studies.regularization.measuring import measure_all
from maieutic.studies.regularization.tables import write_tables

RESULTS, FAILED = "results.json", "failed.json"


@dataclass(frozen=True, kw_only=True)
class Study:
    """A study with everything that was found.

    Attributes:
        config: what was run. table: every model with its rows, and what is missing.
        findings: comparisons. answers: to the hypotheses, in their order.
        seconds: of this run, on the clock; what an earlier run did is not in it.
        machine: where it ran.
    """

    config: StudyConfig
    table: Table
    findings: Findings
    answers: tuple[Answer, ...]
    seconds: float
    machine: str

    @property
    def complete(self) -> bool:
        """Whether every model was trained and every part measured."""
        return not self.table.missing

    def to_json(self) -> dict[str, Any]:
        """Plain data: answers, comparisons, and what is missing; rows are in the tables."""
        return {
            "config": self.config.model_dump(mode="json"), "machine": self.machine, "seconds": self.seconds,
            "models": len(self.table.models), "missing": [list(m) for m in self.table.missing],
            "answers": [a.to_json() for a in self.answers], **self.findings.to_json(),
        }  # fmt: skip


def run_study(
    config: StudyConfig,
    folder: Path,
    executor: Executor,
    *,
    explainer: Mapping[str, Any] | None = None,
    report: Report = silent,
) -> Study:
    """Train and measure what is not there yet, and conclude.

    Args:
        config: what to run. folder: of the run; what it holds already is not done again.
        executor: who trains and measures.
        explainer: name and options of an explainer that labels a sample of units, arms hidden; ``None``: none does.
        report: called with progress.

    Returns:
        The study. ``results.json``, ``measures.csv`` and ``.parquet`` and ``comparisons.csv`` lie in the folder.

    Raises:
        StoreError: the folder holds another study, or cannot be written.
    """
    started = time.monotonic()
    models = train_all(config, folder, executor, report=report)
    write_json(folder / FAILED, {m.variant.name: m.reason for m in models if isinstance(m, Failed)})
    measure_all(config, [m for m in models if isinstance(m, Kept)], executor, options=explainer, report=report)
    study = conclude(config, folder, seconds=time.monotonic() - started)
    write_tables(study.table, study.findings, folder)
    write_json(folder / RESULTS, study.to_json())
    return study


def conclude(config: StudyConfig, folder: Path, *, seconds: float = 0.0) -> Study:
    """What a run folder says, as far as it went. Cost: seconds; nothing is trained or measured."""
    why = _failed(folder)
    models = [
        replace(m, reason=why.get(m.variant.name, m.reason)) if isinstance(m, Failed) else m
        for m in all_kept(config, folder)
    ]
    table = gather(config, models)
    findings = find(table, config)
    return Study(
        config=config, table=table, findings=findings, answers=answer_all(table, config), seconds=seconds,
        machine=f"{platform.system()} {platform.machine()}, {platform.processor() or 'CPU'}",
    )  # fmt: skip


def _failed(folder: Path) -> dict[str, str]:
    """Why models could not be trained, by name, as the last run kept it; empty when it was stopped before."""
    try:
        found: dict[str, str] = json.loads((folder / FAILED).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError):
        raise StoreError(f"{folder / FAILED} cannot be read: delete it and run the same command again") from None
    return found
