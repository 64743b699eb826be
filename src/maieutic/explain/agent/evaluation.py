"""Running sessions as samples of one Inspect evaluation: limits, approval, the `.eval` log.

One log a unit, one sample a run. The samples carry the metadata that control-arena's post-hoc monitors read
(`ControlTaskMetadata`), so any past run can be monitored later. What this does not do: interpret what was answered.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maieutic.errors import MissingExtraError, UserError
from maieutic.explain.agent.session import Session
from maieutic.llm.messages import cost_of
from maieutic.llm.opening import open_model
from maieutic.readings import Cost

if TYPE_CHECKING:
    from inspect_ai.log import EvalLog

    from maieutic.explain.agent.settings import AgentSettings


def evaluate(sessions: Sequence[Session], *, name: str, settings: AgentSettings, log: Path) -> Cost:
    """Run every session to its end and keep the log.

    Args:
        sessions: entered; each gets one sample of its name. ``ended`` is set on those that failed.
        name: of the task.
        settings: limits.
        log: the `.eval` file to write; an older one is replaced.

    Returns:
        What the language model cost.

    Raises:
        UserError: Inspect could not run at all (a model that cannot be opened, a log that cannot be written).
    """
    try:
        from inspect_ai import Task
        from inspect_ai import eval as run_eval
        from inspect_ai.dataset import Sample
        from inspect_ai.model import ChatMessageSystem, ChatMessageUser
    except ImportError as error:
        raise MissingExtraError(package="inspect-ai", extra="agents", feature="the agent") from error

    from maieutic.explain.agent.solving import by_session

    model = open_model(
        settings.model, base_url=settings.base_url, temperature=settings.temperature, max_tokens=settings.max_tokens,
        connections=max(8, settings.runs), retries=settings.retries,
    )  # fmt: skip
    samples = [
        Sample(
            id=s.name,
            input=[ChatMessageSystem(content=s.system), ChatMessageUser(content=s.start)],
            metadata=_metadata(s),
        )
        for s in sessions
    ]
    # what an interrupted attempt left is of no use: the unit starts again, its answers come out of the cache
    part = log.parent / f".{log.stem}.part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    task = Task(dataset=samples, solver=by_session({s.name: s for s in sessions}, model), name=name)
    with _quiet():
        try:
            written = run_eval(
                task, model=model, display="none", log_dir=str(part), log_format="eval", log_samples=True,
                log_images=True, fail_on_error=False, token_limit=settings.llm_tokens, time_limit=settings.seconds,
                cost_limit=settings.dollars, approval=settings.approval, max_samples=len(sessions), score=False,
            )[0]  # fmt: skip
        except UserError:
            raise
        except Exception as error:
            why = f"{type(error).__name__}: {_first(error)}"
            raise UserError(f"the agent's run could not start ({why}): mend that, then run again") from error
    if written.status == "cancelled":  # Inspect takes the interrupt for itself; the campaign must stop as well
        raise KeyboardInterrupt
    cost = _ended(written, {s.name: s for s in sessions})
    Path(str(written.location).removeprefix("file://")).replace(log)
    shutil.rmtree(part)
    return cost


def _metadata(session: Session) -> dict[str, Any]:
    """The fields of control-arena's `ControlTaskMetadata`; an honest run has no side task."""
    return {
        "main_task_description": session.start,
        "main_task_name": session.name,
        "side_task_description": "",
        "side_task_name": None,
        "setting_description": "An agent questions units of a neural network by experiments and labels them.",
        "setting_name": "maieutic",
        "eval_mode": "honest",
        "metadata": {
            "units": [lab.unit.key for lab in session.labs],
            "subjects": [lab.subject.name for lab in session.labs],
            "jail": session.backend,
            "mode": session.settings.mode,
        },
    }


def _ended(written: EvalLog, sessions: dict[str, Session]) -> Cost:
    """Say why sessions ended that Inspect ended, and add up what all cost.

    Raises:
        UserError: the evaluation failed before its samples ran.
    """
    samples = written.samples or []
    if not samples:
        why = written.error.message if written.error is not None else written.status
        raise UserError(f"the agent's run failed ({_first(why)}): mend that, then run again")
    total = Cost()
    for sample in samples:
        session = sessions[str(sample.id)]
        if sample.error is not None and not session.answered:
            session.ended = f"the model failed: {_first(sample.error.message)}"
        elif sample.limit is not None and not session.answered:
            session.ended = f"stopped at its {sample.limit.type} limit ({sample.limit.limit:g})"
        for usage in sample.model_usage.values():
            total = total + cost_of(usage)
    return total


def _first(error: object) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__


class _quiet:
    """Inspect's own messages stay out of the progress bar; its log file has them."""

    def __enter__(self) -> None:
        logging.getLogger("inspect_ai").setLevel(logging.ERROR)

    def __exit__(self, *_: object) -> None:
        logging.getLogger("inspect_ai").setLevel(logging.WARNING)
