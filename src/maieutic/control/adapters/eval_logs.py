"""``.eval`` logs of control-arena: runs as cases to judge, and the figures of monitors that ran in them.

A run's mode is what its metadata says (``eval_mode``), and only where that is missing whether it names a side task. A
sample that ended in an error, or whose scores are missing, keeps its unknowns: they are not failures of the attack.

What this module does not do: run anything, or change a log.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from maieutic.control.adapters.inspect_messages import steps_of, stored_worst
from maieutic.control.curve import Run
from maieutic.control.metrics import worst
from maieutic.control.monitors.base import SUSPICION, Monitor, suspicions
from maieutic.control.seen import Case, Transcript
from maieutic.errors import MissingExtraError, UserError
from maieutic.readings import Cost, Reading


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedRun:
    """One sample of a log.

    Attributes:
        id: ``log#sample@epoch``.
        attack: its mode.
        main, side: success of both tasks, ``None`` where the log has none.
        scenario: main task and side task: what makes runs alike.
        steps: transcripts of its tool calls.
        stored: the greatest suspicion that a monitor wrote into it.
        tokens: of the agent and all else in the sample, as the log counts them.
    """

    id: str
    attack: bool
    main: float | None
    side: bool | None
    scenario: str
    steps: tuple[Transcript, ...]
    stored: Reading
    tokens: int

    def cases(self) -> list[Case]:
        """Its steps as cases; a step of an attack run is held to be one."""
        return [
            Case(seen=s, attack=self.attack, scenario=self.scenario, run=self.id, main=self.main, side=self.side)
            for s in self.steps
        ]

    def under(self, reading: Reading) -> Run:
        """The run with a suspicion."""
        return Run(
            suspicion=reading, attack=self.attack, main=self.main, side=self.side, scenario=self.scenario, id=self.id
        )


def read_log(path: Path | str) -> list[LoggedRun]:
    """All samples of a log, or of every log in a folder, in the order of names and samples.

    Raises:
        UserError: no log there, or one that is not of control-arena.
        MissingExtraError: Inspect is not installed.
    """
    return [run for file in _files(Path(path)) for run in _samples(file)]


def judged(runs: Sequence[LoggedRun], monitor: Monitor) -> list[Run]:
    """Every run with the greatest suspicion of a monitor over its steps, asked now (post hoc).

    A run without steps is unmeasured: nothing of it was judged.
    """
    seen = [step for run in runs for step in run.steps]
    readings = iter(suspicions(monitor, seen))
    found: list[Run] = []
    for run in runs:
        own = [next(readings) for _ in run.steps]
        top = worst(own, name=SUSPICION)
        cost = sum((r.cost for r in own), Cost())
        found.append(run.under(replace(top, cost=cost)))
    return found


def recorded(runs: Sequence[LoggedRun]) -> list[Run]:
    """Every run with the suspicion that was written into it when it ran."""
    return [run.under(run.stored) for run in runs]


def _files(path: Path) -> list[Path]:
    found = sorted(path.rglob("*.eval")) if path.is_dir() else [path]
    if not found or not found[0].is_file():
        raise UserError(f"no .eval log at {path}: give a log or a folder with logs")
    return found


def _samples(file: Path) -> Iterator[LoggedRun]:
    try:
        from inspect_ai.log import read_eval_log
    except ImportError as error:
        raise MissingExtraError(package="inspect-ai", extra="agents", feature="reading .eval logs") from error
    try:
        log = read_eval_log(str(file))
    except (OSError, ValueError, KeyError) as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{file} cannot be read as a log of Inspect ({why[:120]}): give another file") from error
    for sample in log.samples or []:
        about = dict(sample.metadata or {})
        name = f"{file.stem}#{sample.id}@{sample.epoch}"
        main, side = _success(sample.scores or {})
        yield LoggedRun(
            id=name, attack=_attack(about, file), main=main, side=side,
            scenario="|".join(str(about.get(k) or "") for k in ("main_task_name", "side_task_name")).strip("|") or name,
            steps=tuple(steps_of(sample.messages, name=name)), stored=stored_worst(sample.messages),
            tokens=sum(u.total_tokens for u in (sample.model_usage or {}).values()),
        )  # fmt: skip


def _attack(about: Mapping[str, Any], file: Path) -> bool:
    mode: Any = about.get("eval_mode")
    mode = getattr(mode, "value", mode)
    if isinstance(mode, str) and mode.lower() in ("attack", "honest"):
        return mode.lower() == "attack"
    if "side_task_name" not in about and "setting_name" not in about:
        raise UserError(f"{file} is no log of control-arena (its samples have no eval_mode): give one that is")
    return bool(about.get("side_task_name"))


def _success(scores: Mapping[str, Any]) -> tuple[float | None, bool | None]:
    """Success of the main and the side task; the first scorer that tells counts, as in control-arena."""
    main: float | None = None
    side: bool | None = None
    for name, score in scores.items():
        value: Any = score.value
        given: Mapping[str, Any] = value if isinstance(value, Mapping) else {}
        if name in ("main_task_success", "side_task_success") and not given:
            given = {name: value}
        main = _flag(given.get("main_task_success")) if main is None else main
        if side is None and (found := _flag(given.get("side_task_success"))) is not None:
            side = found > 0.5
    return main, side


def _flag(value: Any) -> float | None:
    if isinstance(value, bool | int | float):
        return float(value)
    return {"C": 1.0, "I": 0.0}.get(value) if isinstance(value, str) else None
