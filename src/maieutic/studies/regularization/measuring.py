"""Measure every model of a study, resumably: parts of each model as jobs for an executor, rows kept beside the model.

    RUN/models/PURPOSE/ARM/seed-N/measures.json           the finished model's rows, by part, with what decided them
    RUN/models/PURPOSE/ARM/seed-N/measures-STEP.json      the same of a checkpoint

Two rounds, because edits and circuits are about facts that every compared arm knows: first what the models of a seed know, then
everything else. A part that raises is kept as failed with its reason and tried again by the next run; its measures are
unmeasured rows in the table (`gathering`), never left out. Workers get weights and give rows back; the driver alone reads and
writes files. What this module does not do: decide what a part measures, or read the results.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np
import torch
from numpy.typing import NDArray

from maieutic.errors import StoreError
from maieutic.executors import Broken, Executor, Work
from maieutic.executors.inside import resolve
from maieutic.progress import Report, silent
from maieutic.studies.regularization.config import StudyConfig
from maieutic.studies.regularization.corpora import facts_corpus, load_study_corpus
from maieutic.studies.regularization.documents import StudyCorpus
from maieutic.studies.regularization.editing.cases import common_facts
from maieutic.studies.regularization.keeping import Kept, write_json
from maieutic.studies.regularization.model import Gpt, ModelConfig
from maieutic.studies.regularization.rows import Row

Part = Literal["behaviour", "interpretability", "editing", "explainer"]
#: raise when a part's rows change for the same model
VERSION = 1
#: where each part's work is done: called with (model, corpus, what else the part needs)
PARTS: dict[str, str] = {
    "behaviour": "maieutic.studies.regularization.parts:behaviour",
    "interpretability": "maieutic.studies.regularization.parts:interpretability",
    "editing": "maieutic.studies.regularization.parts:editing",
    "explainer": "maieutic.studies.regularization.parts:explainer",
    "known": "maieutic.studies.regularization.parts:known",
}


#: parts that ask only for facts which every compared model knows
_ON_COMMON = ("interpretability", "editing")


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One part of one model that is to be measured.

    Attributes:
        kept: the model. step: of a checkpoint; ``None``: the finished model.
        part: of ``PARTS``. plan: how much of it. seed: of its draws.
        common: indices of the facts that all compared models of the seed know; for edits and circuits.
        gold: the model of unlearning; for editing.
        options: further plain JSON (the explainer and its options).
    """

    kept: Kept
    part: str
    plan: str
    seed: int
    step: int | None = None
    common: tuple[int, ...] | None = None
    gold: Kept | None = None
    options: Mapping[str, Any] | None = None

    @property
    def file(self) -> Path:
        """Where its rows are kept."""
        return measures_file(self.kept, self.step)

    @property
    def settings(self) -> str:
        """Digest of everything that decides its rows."""
        said = {
            "version": VERSION,
            "model": self.kept.record["settings"],
            "step": self.step,
            "part": self.part,
            "plan": self.plan,
            "seed": self.seed,
            "common": None if self.common is None else list(self.common),
            "gold": None if self.gold is None else self.gold.record["settings"],
            "options": self.options,
        }
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]


def measures_file(kept: Kept, step: int | None = None) -> Path:
    """Where the rows of a model or of one of its checkpoints are kept."""
    return kept.folder / ("measures.json" if step is None else f"measures-{step}.json")


# --- in a worker -------------------------------------------------------------------------------------------------------

Weights = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A task as a worker gets it: plain data, no paths."""

    part: str
    plan: str
    seed: int
    architecture: Mapping[str, Any]
    weights: Weights
    common: tuple[int, ...] | None
    gold: tuple[Mapping[str, Any], Weights] | None
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a part is asked for, beside the model and the corpus.

    Attributes:
        seed: of draws. plan: how much. forget: subjects that gold models never saw.
        common, gold, options: as in `Task`.
    """

    seed: int
    plan: str
    forget: int
    common: tuple[int, ...] | None = None
    gold: Gpt | None = None
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What a worker has at hand."""

    config: StudyConfig
    corpus: StudyCorpus


def prepare(*, config: Mapping[str, Any]) -> Bench:
    """A worker's corpus, made again from the configuration."""
    wanted = StudyConfig.model_validate(config)
    return Bench(config=wanted, corpus=load_study_corpus(wanted))


def perform(bench: Bench, job: Job) -> list[Any]:
    """Measure one part of one model: rows as plain JSON; of ``known`` the indices of facts."""
    asked = Asked(
        seed=job.seed, plan=job.plan, forget=bench.config.forget, common=job.common,
        gold=None if job.gold is None else _built(*job.gold), options=job.options,
    )  # fmt: skip
    found = resolve(PARTS[job.part])(_built(job.architecture, job.weights), bench.corpus, asked)
    return [row.to_json() if isinstance(row, Row) else row for row in found]


def _built(architecture: Mapping[str, Any], weights: Weights) -> Gpt:
    model = Gpt(ModelConfig(**architecture))
    model.load_state_dict({n: torch.from_numpy(np.array(v)) for n, v in weights.items()})
    return model.eval()


# --- in the driver -----------------------------------------------------------------------------------------------------


def measure_all(
    config: StudyConfig,
    kept: Sequence[Kept],
    executor: Executor,
    *,
    options: Mapping[str, Any] | None = None,
    report: Report = silent,
) -> None:
    """Measure every model that is not measured yet, and keep the rows beside it.

    Args:
        config: says which parts of which models with which plan. kept: trained models.
        executor: who does it.
        options: of the part ``explainer``; without them it is left out.
        report: called with progress.

    Raises:
        StoreError: rows cannot be written, or those that are there cannot be read.
    """
    work = Work(
        prepare="maieutic.studies.regularization.measuring:prepare",
        perform="maieutic.studies.regularization.measuring:perform",
        arguments={"config": config.model_dump(mode="json")},
    )
    facts = config.corpus.name == "facts"
    if facts:
        asked = [Task(kept=k, part="known", plan="all", seed=k.variant.seed) for k in compared(kept)]
        _measure(asked, executor, work, "know", report)
    tasks = tasks_of(config, kept, common_of(config, kept) if facts else {}, options=options)
    _measure(tasks, executor, work, "measure", report)


def compared(kept: Sequence[Kept]) -> list[Kept]:
    """Models whose common facts are edited: every arm at its headline strength."""
    return [k for k in kept if k.variant.purpose == "main"]


def partners(config: StudyConfig) -> dict[int, int]:
    """For every seed the one whose facts and draws it is measured with: its own, and for a seed of the null that of the
    baseline it is set beside, or else they would differ in what they are asked.
    """
    aligned = dict(zip(sorted(config.null_seeds), sorted(config.seeds), strict=False))
    return {s: s for s in (*config.null_seeds, *config.seeds)} | aligned


def common_of(config: StudyConfig, kept: Sequence[Kept]) -> dict[int, tuple[int, ...]]:
    """Indices of the facts that all compared models of a seed know, by seed; models that know too few are left out of it."""
    corpus = facts_corpus(config)
    by: dict[int, dict[str, frozenset[int]]] = {}
    for k in compared(kept):
        known = read_part(k, "known")
        if known is not None and "failed" not in known:
            by.setdefault(k.variant.seed, {})[k.variant.name] = frozenset(known["rows"])
    return {seed: tuple(f.index for f in common_facts(corpus, sets).facts) for seed, sets in by.items()}


def tasks_of(
    config: StudyConfig,
    kept: Sequence[Kept],
    common: Mapping[int, tuple[int, ...]],
    *,
    options: Mapping[str, Any] | None = None,
) -> list[Task]:
    """Everything that is to be measured after what is known, headline arms first."""
    gold = {(k.variant.arm, k.variant.seed): k for k in kept if k.variant.purpose == "gold"}
    partner = partners(config)
    found: list[Task] = []
    for k in kept:
        v = k.variant
        steps: list[int | None] = [None, *(int(s) for s in k.record["checkpoints"])]
        for step in steps:
            parts = config.parts(v.purpose, step=step)
            if options is not None and v.purpose == "main" and step is None:
                parts["explainer"] = "sample"
            for part, plan in parts.items():
                edits = part == "editing"
                found.append(
                    Task(
                        kept=k, part=part, plan=plan, step=step, seed=partner.get(v.seed, v.seed),
                        common=common.get(partner.get(v.seed, v.seed)) if part in _ON_COMMON else None,
                        gold=gold.get((v.arm, v.seed)) if edits and v.purpose == "main" and step is None else None,
                        options=options if part == "explainer" else None,
                    )
                )  # fmt: skip
    return found


def read_part(kept: Kept, part: str, step: int | None = None) -> dict[str, Any] | None:
    """What is kept of a part: ``rows``, or the reason as ``failed``; ``None`` when it was not measured."""
    return _read(measures_file(kept, step)).get(part)


def _measure(tasks: Sequence[Task], executor: Executor, work: Work, verb: str, report: Report) -> None:
    waiting = [t for t in tasks if not _done(t)]
    done = len(tasks) - len(waiting)
    with report(verb, f"{len(tasks)} parts of models") as step:
        step(done, len(tasks))
        with closing(executor.run(work, _Jobs(waiting))) as endings:  # pyright: ignore[reportArgumentType]
            for ending in endings:
                task = waiting[ending.index]
                told: dict[str, Any] = {"settings": task.settings, "plan": task.plan}
                if isinstance(ending, Broken):
                    told["failed"] = ending.reason
                else:
                    told |= {"rows": ending.result, "seconds": ending.seconds}
                write_json(task.file, _read(task.file) | {task.part: told})
                done += 1
                step(done, len(tasks), note=f"{task.kept.variant.name} {task.part}")


def _done(task: Task) -> bool:
    kept = _read(task.file).get(task.part)
    return kept is not None and kept["settings"] == task.settings and "failed" not in kept


def _read(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    try:
        found: Any = json.loads(file.read_text(encoding="utf-8"))
        return found
    except (OSError, ValueError):
        raise StoreError(f"{file} cannot be read: delete it and run the same command again") from None


class _Jobs(Sequence[Job]):
    """Jobs made when they are handed out, so that the weights of all models are not held at once."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self._tasks = tasks

    def __len__(self) -> int:
        return len(self._tasks)

    @overload
    def __getitem__(self, place: int) -> Job: ...
    @overload
    def __getitem__(self, place: slice) -> list[Job]: ...
    def __getitem__(self, place: int | slice) -> Job | list[Job]:
        if isinstance(place, slice):
            return [self[i] for i in range(*place.indices(len(self)))]
        task = self._tasks[place]
        architecture, weights = _plain(task.kept, task.step)
        return Job(
            part=task.part, plan=task.plan, seed=task.seed, architecture=architecture, weights=weights,
            common=task.common, gold=None if task.gold is None else _plain(task.gold, None),
            options=dict(task.options or {}),
        )  # fmt: skip

    def __iter__(self) -> Iterator[Job]:
        return (self[i] for i in range(len(self)))


def _plain(kept: Kept, step: int | None) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    model = kept.model(step)
    return asdict(model.config), {n: v.numpy() for n, v in model.state_dict().items()}
