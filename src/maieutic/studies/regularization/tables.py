"""The long table and the comparisons as files that other programs read: CSV and Parquet.

What this module does not do: format anything for people (`maieutic.report.study`).
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from maieutic.errors import StoreError
from maieutic.studies.regularization.headlines import Findings
from maieutic.studies.regularization.measured import Table

COMPARED = (
    "family", "arm", "baseline", "measure", "where", "matched", "difference", "low", "high", "seeds", "p", "corrected",
    "verdict", "reason",
)  # fmt: skip


def write_tables(table: Table, findings: Findings, folder: Path) -> None:
    """``measures.csv``, ``measures.parquet`` (a row for each number of each model) and ``comparisons.csv``.

    Raises:
        StoreError: they cannot be written.
    """
    rows = list(table.records())
    try:
        _csv(folder / "measures.csv", rows, list(rows[0]) if rows else [])
        _parquet(folder / "measures.parquet", rows)
        _csv(folder / "comparisons.csv", list(compared_rows(findings)), COMPARED)
    except OSError as error:
        raise StoreError(f"{folder} cannot be written ({error.strerror}): make room or choose another folder") from None


def compared_rows(findings: Findings) -> Iterable[dict[str, Any]]:
    """A flat mapping for each comparison."""
    for family, contrasts in findings.families.items():
        for c in contrasts:
            r = c.reading
            yield {
                "family": family, "arm": c.arm, "baseline": c.baseline, "measure": c.measure, "where": c.where,
                "matched": c.matched, "difference": r.value, "low": r.low, "high": r.high, "seeds": r.n, "p": c.p,
                "corrected": c.corrected, "verdict": c.verdict, "reason": r.reason,
            }  # fmt: skip


def _csv(path: Path, rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.part")
    with unfinished.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
    unfinished.replace(path)


def _parquet(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    numbers = {"strength", "loss", "recall", "value", "low", "high"}
    whole = {"seed", "d_mlp", "step", "better", "n"}
    columns = list(rows[0]) if rows else []
    kinds = {c: pa.float64() if c in numbers else pa.int64() if c in whole else pa.string() for c in columns}
    made = pa.table({c: pa.array([r[c] for r in rows], type=kinds[c]) for c in columns})
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.part")
    pq.write_table(made, unfinished)
    unfinished.replace(path)
