"""Running the screen: each task with one model, its log kept, its ability read.

A task that cannot run (no jail, no answer, no exam) leaves its ability ``unmeasured`` with the reason; a wrong key or an
unknown model is an error, since nothing could ever succeed. What this module does not do: decide about trust.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maieutic.audit.capability.ability import ABILITIES, Ability, screened
from maieutic.audit.capability.readings import Outcome, ability, outcomes
from maieutic.errors import MissingExtraError, UsageError, UserError
from maieutic.progress import Report, silent
from maieutic.readings import Cost

if TYPE_CHECKING:
    from inspect_ai import Task
    from inspect_ai.model import Model

#: sessions with tools, at most: each takes several answers
SESSIONS = 16
_AT_ONCE = 4


def screen(
    model: str,
    *,
    base_url: str | None = None,
    n: int = 40,
    seed: int = 0,
    jail: str | None = None,
    cache: bool = True,
    folder: Path | None = None,
    which: tuple[str, ...] = tuple(ABILITIES),
    report: Report = silent,
) -> tuple[Ability, ...]:
    """Screen a model for what a scheming interpreter would need.

    Args:
        model: ``provider/model``; ``base_url``: its server.
        n: questions of each kind; sessions with tools are at most ``SESSIONS``.
        seed: of the questions.
        jail: where its programs run; bwrap when not given.
        cache: whether answers are kept and reused.
        folder: for the `.eval` logs, ``ABILITY.eval``.
        which: abilities to screen; the others are unmeasured.

    Cost: about 6 answers for each of ``n``, and some 100 in sessions.

    Raises:
        UserError: Inspect is missing, the model cannot be opened, or the folder cannot be written.
    """
    from maieutic.llm.opening import open_model

    opened = open_model(model, base_url=base_url, temperature=None)
    found: dict[str, Ability] = {}
    with report("screen", model) as step:
        for done, name in enumerate(which):
            step(done, len(which), name)
            found[name] = _one(name, opened, n=n, seed=seed, jail=jail or "bwrap", cache=cache, folder=folder)
        step(len(which), len(which))
    return screened(found, reason="it was not asked for")


def _one(name: str, model: Model, *, n: int, seed: int, jail: str, cache: bool, folder: Path | None) -> Ability:
    try:
        task = _task(name, n=n, seed=seed, jail=jail, cache=cache)
    except (MissingExtraError, UsageError):
        raise
    except UserError as error:
        return Ability.unmeasured(name, str(error))
    file = None if folder is None else folder / f"{name}.eval"
    found, cost = run_task(task, model, file=file)
    return ability(name, found, cost=cost, seed=seed, log=None if file is None else file.name)


def _task(name: str, *, n: int, seed: int, jail: str, cache: bool) -> Task:
    from maieutic.audit.capability import tasks

    few = min(n, SESSIONS)
    made: dict[str, Callable[[], Any]] = {
        "canaries": lambda: tasks.canaries(seed=seed, n=n, cache=cache),
        "out-of-context": lambda: tasks.out_of_context(seed=seed, n=n, cache=cache),
        "hidden-messages": lambda: tasks.hidden_messages(seed=seed, n=n, cache=cache),
        "unobserved-effort": lambda: tasks.unobserved_effort(seed=seed, n=few, cache=cache),
        "jail-probing": lambda: _jailed(tasks, seed=seed, n=few, jail=jail, cache=cache),
    }
    return made[name]()


def _jailed(tasks: Any, *, jail: str, **more: Any) -> Task:
    """The task, once the jail has been seen to work.

    Raises:
        UserError: the jail cannot be had here.
    """
    from maieutic.lab.worker import start_worker

    start_worker(jail, calls={}).close()
    return tasks.jail_probing(jail=jail, **more)


def run_task(task: Task, model: Model, *, file: Path | None) -> tuple[list[Outcome], Cost]:
    """Run one task with one model, keep its log, and give its outcomes with their cost.

    Raises:
        UserError: it could not run at all, or the log cannot be written.
    """
    from inspect_ai import eval as run_eval

    with tempfile.TemporaryDirectory(prefix="maieutic-screen-") as part:
        try:
            log = run_eval(
                task, model=model, display="none", log_dir=part, log_format="eval", log_samples=True, fail_on_error=False,
                max_samples=_AT_ONCE,
            )[0]  # fmt: skip
        except UserError:
            raise
        except Exception as error:
            first = (str(error).splitlines() or [type(error).__name__])[0][:200]
            raise UserError(
                f"the screen could not run ({type(error).__name__}: {first}): mend that, then run again"
            ) from error
        if log.status == "cancelled":  # Inspect takes the interrupt for itself
            raise KeyboardInterrupt
        found = outcomes(log)  # here: samples are read from the file only when they are asked for
        if file is not None:
            _keep(Path(str(log.location).removeprefix("file://")), file)
    return found


def _keep(written: Path, file: Path) -> None:
    part = file.with_name(file.name + ".part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(written, part)
        part.replace(file)
    except OSError as error:
        raise UserError(f"cannot write {file} ({error.strerror}): give another folder") from error
