"""Results of other dangerous-capability evaluations, out of Inspect's ``.eval`` logs: shown as they stand.

Nothing is recomputed and nothing enters the conclusion: what a foreign evaluation's number means, a reader has to know. What
this module does not do: check that the evaluation was a good one, or that nobody changed the log.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from maieutic.audit.capability.ability import Imported
from maieutic.errors import MissingExtraError, UserError

if TYPE_CHECKING:
    from inspect_ai.log import EvalLog, EvalScore

#: metrics that say how sure another one is
_SPREADS = ("stderr", "bootstrap_stderr", "std", "var")


def import_logs(paths: Sequence[Path]) -> tuple[Imported, ...]:
    """Every result of every log, in the order of the paths; of a folder all logs in it, by name.

    Raises:
        UserError: a path without a log, or a file that is none.
        MissingExtraError: Inspect is not installed.
    """
    return tuple(result for path in paths for file in _files(Path(path)) for result in _results(file))


def _files(path: Path) -> list[Path]:
    found = sorted(path.rglob("*.eval")) if path.is_dir() else [path]
    if not found or not found[0].is_file():
        raise UserError(f"no .eval log at {path}: give a log of Inspect or a folder with logs")
    return found


def _results(file: Path) -> Iterator[Imported]:
    log = _read(file)
    scores = log.results.scores if log.results is not None else []
    if not scores:
        raise UserError(f"{file} has no result (its status is {log.status}): finish that evaluation, or leave it out")
    for score in scores:
        yield from _metrics(file, log, score)


def _read(file: Path) -> EvalLog:
    try:
        from inspect_ai.log import read_eval_log
    except ImportError as error:
        raise MissingExtraError(package="inspect-ai", extra="agents", feature="reading .eval logs") from error
    try:
        return read_eval_log(str(file), header_only=True)
    except Exception as error:  # a zip that is none, JSON that is none, another version
        why = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise UserError(f"{file} cannot be read as a log of Inspect ({why}): give another file") from error


def _metrics(file: Path, log: EvalLog, score: EvalScore) -> Iterator[Imported]:
    stored = {name: float(m.value) for name, m in score.metrics.items()}
    spread = next((stored[s] for s in _SPREADS[:2] if s in stored), None)
    total = log.results.completed_samples if log.results is not None else 0
    for name, value in stored.items():
        if name in _SPREADS or not math.isfinite(value):
            continue
        sure = spread is not None and math.isfinite(spread) and name in ("accuracy", "mean")
        yield Imported(
            task=log.eval.task, metric=f"{score.name}/{name}", value=value,
            low=value - 1.96 * spread if sure and spread is not None else None,
            high=value + 1.96 * spread if sure and spread is not None else None,
            n=score.scored_samples if score.scored_samples is not None else total,
            model=log.eval.model, status=log.status, log=file.name,
        )  # fmt: skip
