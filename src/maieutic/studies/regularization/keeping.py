"""The models of a study in its run folder: trained by an executor, one folder each, and taken up again where a run stopped.

    RUN/study.json                       the configuration and its claims
    RUN/models/PURPOSE/ARM/seed-N/       model.safetensors, checkpoint-STEP.safetensors, and record.json, written last

Workers give weights back and the driver alone writes. Every file is written under another name and renamed; a model whose
record is there is done. What this module does not do: measure more than training itself tells.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from maieutic.errors import StoreError, UserError
from maieutic.executors import Broken, Executor, Work
from maieutic.progress import Report, silent
from maieutic.studies.regularization.asking import right
from maieutic.studies.regularization.config import BASELINE, StudyConfig
from maieutic.studies.regularization.corpora import forgotten, load_study_corpus
from maieutic.studies.regularization.documents import Ids, StudyCorpus, check_apart
from maieutic.studies.regularization.facts import FactsCorpus
from maieutic.studies.regularization.model import Gpt, ModelConfig, load_model, model_config, save_model
from maieutic.studies.regularization.train import Trained, train
from maieutic.studies.regularization.variants import Variant, variants_of

RECORD, MODEL, STUDY = "record.json", "model.safetensors", "study.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A trained model of a run folder.

    Attributes:
        variant: what it is. folder: where it is.
        record: what its training was like: ``loss``, ``recall_seen`` and ``recall_held_out`` (of the facts corpus, else
            ``None``), ``curve``, ``sparsity``, ``seconds``, ``cpu_seconds``, ``tokens``, ``tokens_per_second``,
            ``parameters``, ``checkpoints`` (by step: ``loss``).
    """

    variant: Variant
    folder: Path
    record: Mapping[str, Any]

    def model(self, step: int | None = None) -> Gpt:
        """The model, or the one of a checkpoint."""
        return load_model(self.folder / (MODEL if step is None else f"checkpoint-{step}.safetensors"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """A model that could not be trained, and why; it belongs in the report, like the others."""

    variant: Variant
    reason: str


def train_all(
    config: StudyConfig,
    folder: Path,
    executor: Executor,
    *,
    variants: Sequence[Variant] | None = None,
    report: Report = silent,
) -> list[Kept | Failed]:
    """Train every model of a study that is not trained yet.

    Args:
        config: what to train. folder: of the run; made when it is not there.
        executor: who does it. variants: only these; all by default.
        report: called with progress.

    Returns:
        every variant, in order, trained or failed.

    Raises:
        StoreError: the folder holds models of another configuration, or cannot be written.
    """
    wanted = tuple(variants_of(config) if variants is None else variants)
    settings = {v.name: _digest(config, v) for v in wanted}
    waiting = [v for v in wanted if not _done(folder, v, settings[v.name])]
    write_json(folder / STUDY, config.model_dump(mode="json"))
    failed: dict[str, str] = {}
    work = Work(
        prepare="maieutic.studies.regularization.keeping:prepare",
        perform="maieutic.studies.regularization.keeping:perform",
        arguments={"config": config.model_dump(mode="json")},
    )
    with report("train", f"{len(wanted)} models") as step:
        done = len(wanted) - len(waiting)
        step(done, len(wanted))
        with closing(executor.run(work, waiting)) as endings:  # pyright: ignore[reportArgumentType]
            for ending in endings:
                variant = waiting[ending.index]
                if isinstance(ending, Broken):
                    failed[variant.name] = ending.reason
                else:
                    _keep(folder, variant, ending.result, settings[variant.name])
                done += 1
                step(done, len(wanted), note=variant.name)
    return [
        Failed(variant=v, reason=failed[v.name]) if v.name in failed else load_kept(folder, v) for v in wanted
    ]  # fmt: skip


def load_kept(folder: Path, variant: Variant) -> Kept:
    """One trained model.

    Raises:
        StoreError: it is not there, or its record cannot be read.
    """
    place = _place(folder, variant)
    try:
        return Kept(variant=variant, folder=place, record=json.loads((place / RECORD).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        raise StoreError(f"{place} holds no trained model: run the study again with this folder") from None


def all_kept(config: StudyConfig, folder: Path) -> list[Kept | Failed]:
    """Every variant of a study, those that are not there as failed."""
    found: list[Kept | Failed] = []
    for v in variants_of(config):
        try:
            found.append(load_kept(folder, v))
        except StoreError as error:
            found.append(Failed(variant=v, reason=str(error)))
    return found


# --- in a worker -------------------------------------------------------------------------------------------------------


@dataclass(kw_only=True)
class Bench:
    """What a worker has at hand: the corpus and its documents; the text without the forgotten facts once it is needed."""

    config: StudyConfig
    corpus: StudyCorpus
    training: Ids
    validation: Ids
    without: Ids | None = None

    def text(self, variant: Variant) -> Ids:
        """What a variant is trained on."""
        if variant.purpose != "gold":
            return self.training
        if self.without is None:
            assert isinstance(self.corpus, FactsCorpus)
            gone = forgotten(self.corpus, subjects=self.config.forget)
            self.without = self.corpus.training(self.config.corpus.training, without=gone)
        return self.without


def prepare(*, config: Mapping[str, Any]) -> Bench:
    """A worker's corpus, made again from the configuration."""
    wanted = StudyConfig.model_validate(config)
    corpus = load_study_corpus(wanted)
    training = corpus.training(wanted.corpus.training)
    validation = corpus.documents(wanted.corpus.measured).ids
    check_apart(training, validation)
    return Bench(config=wanted, corpus=corpus, training=training, validation=validation)


def perform(bench: Bench, variant: Variant) -> dict[str, Any]:
    """Train one variant: its record, its architecture and weights, those of its checkpoints."""
    config = bench.config
    trained = train(
        variant.treatment,
        seed=variant.seed,
        shape=config.shape.shape(d_mlp=variant.d_mlp),
        vocabulary=len(bench.corpus.words),
        training=bench.text(variant),
        validation=bench.validation,
        settings=config.training,
        checkpoints=config.training.checkpoints if variant.purpose == "main" and variant.arm == BASELINE else (),
    )
    if not all(bool(torch.isfinite(p).all()) for p in trained.model.parameters()):
        raise UserError(f"the weights of {variant.name} are not finite: lower its learning rate or its strength")
    return {
        "record": _record(trained, bench.corpus),
        "weights": {n: v.numpy() for n, v in trained.model.state_dict().items()},
        "checkpoints": {c.step: {n: v.numpy() for n, v in c.weights.items()} for c in trained.checkpoints},
    }


def _record(trained: Trained, corpus: StudyCorpus) -> dict[str, Any]:
    recall: dict[str, float | None] = {"recall_seen": None, "recall_held_out": None}
    if isinstance(corpus, FactsCorpus):
        recall = {
            "recall_seen": float(right(trained.model, corpus.prompts(which="seen")).float().mean()),
            "recall_held_out": float(right(trained.model, corpus.prompts(which="held-out")).float().mean()),
        }
    return {
        "loss": trained.loss,
        **recall,
        "curve": [list(point) for point in trained.curve],
        "sparsity": asdict(trained.sparsity),
        "seconds": trained.seconds,
        "cpu_seconds": trained.cpu_seconds,
        "tokens": trained.tokens,
        "tokens_per_second": trained.tokens_per_second,
        "parameters": trained.parameters,
        "checkpoints": {str(c.step): {"loss": c.loss} for c in trained.checkpoints},
        "model": asdict(trained.model.config),
    }


# --- in the driver -----------------------------------------------------------------------------------------------------


def _keep(folder: Path, variant: Variant, result: Mapping[str, Any], settings: str) -> None:
    place = _place(folder, variant)
    record = result["record"]

    def model(weights: Mapping[str, Any]) -> Gpt:
        made = Gpt(ModelConfig(**record["model"]))
        values: dict[str, Tensor] = {n: torch.from_numpy(v.copy()) for n, v in weights.items()}
        made.load_state_dict(values)
        return made

    save_model(model(result["weights"]), place / MODEL)
    for step, weights in result["checkpoints"].items():
        save_model(model(weights), place / f"checkpoint-{step}.safetensors")
    write_json(place / RECORD, {**record, "variant": asdict(variant), "settings": settings})


def _done(folder: Path, variant: Variant, settings: str) -> bool:
    if not (_place(folder, variant) / RECORD).is_file():
        return False
    if load_kept(folder, variant).record.get("settings") != settings:
        raise StoreError(
            f"{folder} holds models of another configuration ({variant.name}): use the same, or another folder"
        )
    return True


def _place(folder: Path, variant: Variant) -> Path:
    return folder / "models" / variant.name


def _digest(config: StudyConfig, variant: Variant) -> str:
    """Digest of everything that decides a model's weights."""
    shape = config.shape.shape(d_mlp=variant.d_mlp)
    said = {
        "arm": asdict(variant.treatment),
        "model": asdict(model_config(variant.treatment, shape, vocabulary=1)),
        "training": config.training.model_dump(mode="json"),
        "corpus": config.corpus.model_dump(mode="json"),
        "forget": config.forget if variant.purpose == "gold" else 0,
        "seed": variant.seed,
    }
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]


def write_json(path: Path, value: Any) -> None:
    """Write under another name and rename.

    Raises:
        StoreError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f"{path.name}.{os.getpid()}.part")
        unfinished.write_text(json.dumps(value, indent=1), encoding="utf-8")
        unfinished.replace(path)
    except OSError as error:
        raise StoreError(f"{path} cannot be written ({error.strerror}): make room or choose another folder") from None
