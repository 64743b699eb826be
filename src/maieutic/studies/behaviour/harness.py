"""Tasks of EleutherAI's lm-eval over a subject that is loaded already (optional: ``pip install lm-eval``).

The model that is measured is the very one whose units are explained: weights and tokenizer are the subject's; the harness
decides what stands before a prompt, as in its published figures. Most of the
tasks there fetch their data from a hub; tasks of one's own (YAML) with local data need none.

What this module does not do: pin, patch or copy that package; its own standard errors are given as it computes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from maieutic.errors import MissingExtraError, UserError, did_you_mean
from maieutic.readings import Reading
from maieutic.subjects import LanguageSubject, Subject


def harness_readings(
    subject: Subject, tasks: Sequence[str], *, limit: int | None = None, include: Path | None = None, seed: int = 0
) -> tuple[Reading, ...]:
    """Every metric of every task, with an interval of 1.96 of the harness's standard errors.

    Args:
        subject: a causal language model of transformers.
        tasks: names as ``lm-eval --tasks`` takes them.
        limit: items of each task; all otherwise. include: a folder with further task files. seed: of few-shot draws.

    Raises:
        MissingExtraError: lm-eval is not installed. UserError: an unknown task, or data that cannot be had.
    """
    if not isinstance(subject, LanguageSubject):
        raise UserError(f"{subject.name} foretells no tokens: give a causal language model such as  smollm2-135m")
    try:
        harness: Any = import_module("lm_eval")
        models: Any = import_module("lm_eval.models.huggingface")
        known: Any = import_module("lm_eval.tasks").TaskManager(include_path=None if include is None else str(include))
    except ImportError as error:
        raise MissingExtraError(package="lm-eval", extra="evals", feature="--lm-eval") from error
    for task in tasks:
        if task not in known.all_tasks:
            raise UserError(f"lm-eval has no task {task!r}{did_you_mean(task, known.all_tasks)}: see  lm-eval ls tasks")
    model = models.HFLM(pretrained=subject.model, tokenizer=subject.tokenizer, batch_size=subject.per_pass)
    try:
        found = harness.simple_evaluate(
            model=model, tasks=list(tasks), limit=limit, task_manager=known, bootstrap_iters=1000, random_seed=seed,
            numpy_random_seed=seed, torch_random_seed=seed, fewshot_random_seed=seed, log_samples=False,
        )  # fmt: skip
    except (OSError, ConnectionError, ValueError, RuntimeError) as error:
        why = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise UserError(f"lm-eval could not run {', '.join(tasks)} ({why}): check the task and its data") from error
    counts: Mapping[str, Any] = found.get("n-samples", {})
    return tuple(
        _reading(task, metric, rows, int(counts.get(task, {}).get("effective", 0)))
        for task, rows in found["results"].items()
        for metric in rows
        if isinstance(rows[metric], (int, float)) and "_stderr" not in metric and metric != "sample_len"
    )


def _reading(task: str, metric: str, rows: Mapping[str, Any], n: int) -> Reading:
    name, _, which = metric.partition(",")
    error = rows.get(f"{name}_stderr,{which}")
    value = float(rows[metric])
    half = 1.96 * float(error) if isinstance(error, (int, float)) else None
    return Reading(
        name=f"lm-eval.{task}.{name}", value=value, low=None if half is None else value - half,
        high=None if half is None else value + half, n=n, details={"filter": which, "interval": "1.96 standard errors"},
    )  # fmt: skip
