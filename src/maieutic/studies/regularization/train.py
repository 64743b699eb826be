"""Train one model of an arm, on one thread, the same again for the same seed.

AdamW (betas 0.9 and 0.95), a linear warm-up and a cosine down to a tenth, gradients clipped by their norm. A seed decides the
start and the order of documents and nothing of an arm enters into either, so replicates of arms pair up.

What this module does not do: choose what is trained (`variants`) or keep it (`keeping`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from maieutic.studies.regularization.arms import Arm, Shape
from maieutic.studies.regularization.asking import text_loss
from maieutic.studies.regularization.config import TrainingConfig
from maieutic.studies.regularization.documents import Ids
from maieutic.studies.regularization.model import Gpt, build_model, model_config
from maieutic.studies.regularization.sparsify import nonzero, weight_rule

#: points of the curve of the training loss
_POINTS = 60
#: an activation counts as strong from this share of its unit's largest magnitude on
STRONG = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Sparsity:
    """How sparse a model came out, by layer, measured on text that it was not trained on.

    Attributes:
        active: mean number of units of a token whose activation is not exactly 0.
        strong: mean number of units of a token above a tenth of their own largest magnitude.
        dead: units that are 0 at every token (magnitude up to 1e-6). units: all units.
        nonzero, entries: entries of the block's matrices that are not 0, and all, summed over layers.
    """

    active: tuple[float, ...]
    strong: tuple[float, ...]
    dead: tuple[int, ...]
    units: int
    nonzero: int
    entries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A model on its way: after ``step`` steps, with its validation loss."""

    step: int
    loss: float
    weights: dict[str, Tensor] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A trained model and what its training was like.

    Attributes:
        model: in evaluation mode, on the CPU.
        curve: (step, training loss in nats per token): means of the steps since the point before, without penalties.
        loss: validation loss, nats per token.
        seconds, cpu_seconds: of the training alone. tokens: trained on.
        parameters: all of the model's.
    """

    model: Gpt
    curve: tuple[tuple[int, float], ...]
    loss: float
    seconds: float
    cpu_seconds: float
    tokens: int
    parameters: int
    sparsity: Sparsity
    checkpoints: tuple[Checkpoint, ...] = ()

    @property
    def tokens_per_second(self) -> float:
        """Of the clock on the wall; 0 where nothing was trained."""
        return self.tokens / self.seconds if self.seconds else 0.0


def train(
    arm: Arm,
    *,
    seed: int,
    shape: Shape,
    vocabulary: int,
    training: Ids,
    validation: Ids,
    settings: TrainingConfig,
    checkpoints: Sequence[float] = (),
    told: Callable[[int, int], None] = lambda done, total: None,
) -> Trained:
    """Train one model.

    Args:
        arm: what is special about it. seed: of its start and of the order of documents.
        shape: before the arm widens it. vocabulary: tokens.
        training, validation: documents ``[document, context + 1]``; training documents come again once all were seen.
        settings: steps, batch, learning rate, precision and device.
        checkpoints: shares of the steps after which to keep the weights.
        told: called with (steps done, all steps).

    Cost: 60 to 100 CPU seconds per million tokens at the presets' shape on a busy machine, less on a free one; weight-sparse
    training, which is twice as wide, 2 to 3 times that.
    """
    model = build_model(model_config(arm, shape, vocabulary=vocabulary), seed=seed).to(settings.device)
    kept: list[Checkpoint] = []
    curve: list[tuple[int, float]] = []
    steps = settings.steps if arm.trained else 0
    wanted = {max(1, round(share * steps)) for share in checkpoints} - {steps} if steps else set[int]()
    with _one_thread(), _seeded(seed, settings.device):
        started, cpu = time.perf_counter(), time.process_time()
        spent = 0.0
        for step, loss in _steps(model, arm, seed=seed, rows=training, settings=settings, steps=steps):
            curve.append((step, loss))
            told(step, steps)
            if step in wanted:
                paused = time.process_time()
                kept.append(_checkpoint(model, step, validation))
                spent += time.process_time() - paused
        seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu
        model = model.float().eval().cpu()
        return Trained(
            model=model,
            curve=_means(curve),
            loss=text_loss(model, validation),
            seconds=max(seconds - spent, 0.0),
            cpu_seconds=max(cpu_seconds - spent, 0.0),
            tokens=steps * settings.batch * shape.context,
            parameters=sum(p.numel() for p in model.parameters()),
            sparsity=measured_sparsity(model, validation),
            checkpoints=tuple(kept),
        )


def _steps(
    model: Gpt, arm: Arm, *, seed: int, rows: Ids, settings: TrainingConfig, steps: int
) -> Generator[tuple[int, float]]:
    """Step after step: its number from 1 and its cross-entropy."""
    optimiser = torch.optim.AdamW(_groups(model, settings), lr=settings.learning_rate, betas=(0.9, 0.95), fused=True)
    rule = weight_rule(arm, model.matrices(), steps=steps)
    order = document_order(len(rows), seed=seed, count=steps * settings.batch)
    documents = torch.as_tensor(rows)
    autocast: Any = (
        torch.autocast(torch.device(settings.device).type, dtype=torch.bfloat16)
        if settings.precision == "bfloat16"
        else nullcontext()
    )
    with _activations(model, wanted=arm.l1_activations > 0) as seen:
        for step in range(1, steps + 1):
            model.train()
            rate = settings.learning_rate * arm.lr_factor * rate_factor(step, steps, settings.warmup)
            for group in optimiser.param_groups:
                group["lr"] = rate
            batch = documents[order[(step - 1) * settings.batch : step * settings.batch]].to(settings.device)
            seen.clear()
            with autocast:
                logits = model(batch[:, :-1])
                loss = F.cross_entropy(logits.flatten(0, 1).float(), batch[:, 1:].flatten())
                penalty = arm.l1_activations * _l1(seen) if seen else 0.0
            optimiser.zero_grad(set_to_none=True)
            (loss + penalty).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), settings.clip)
            optimiser.step()
            if rule is not None:
                rule(step, rate)
            yield step, float(loss.detach())


def _l1(seen: Sequence[Tensor]) -> Tensor:
    """Mean over layers of the mean over tokens of the sum over units of the magnitude."""
    return torch.stack([a.abs().sum(dim=-1).mean() for a in seen]).mean()


def rate_factor(step: int, steps: int, warmup: float) -> float:
    """The learning rate at a step (from 1) as a share of its highest: linear up to 1, then a cosine down to 0.1."""
    rising = max(1, round(warmup * steps))
    if step <= rising:
        return step / rising
    done = (step - rising) / max(1, steps - rising)
    return 0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * done))


def document_order(documents: int, *, seed: int, count: int) -> Tensor:
    """Which documents a seed sees, in order, int64 ``[count]``: all of them in a random order, then all again in another."""
    generator = torch.Generator().manual_seed(seed)
    rounds = [torch.randperm(documents, generator=generator) for _ in range(-(-count // documents))]
    return torch.cat(rounds)[:count] if rounds else torch.zeros(0, dtype=torch.long)


def _groups(model: Gpt, settings: TrainingConfig) -> list[dict[str, Any]]:
    matrices = list(model.matrices().values())
    chosen = {id(p) for p in matrices}
    others = [p for p in model.parameters() if id(p) not in chosen]
    return [{"params": matrices, "weight_decay": settings.weight_decay}, {"params": others, "weight_decay": 0.0}]


def _checkpoint(model: Gpt, step: int, validation: Ids) -> Checkpoint:
    model.eval()
    weights = {n: v.detach().float().cpu().clone() for n, v in model.state_dict().items()}
    return Checkpoint(step=step, loss=text_loss(model, validation), weights=weights)


def _means(curve: Sequence[tuple[int, float]]) -> tuple[tuple[int, float], ...]:
    """At most so many points, each the mean since the one before."""
    if not curve:
        return ()
    parts = np.array_split(np.arange(len(curve)), min(_POINTS, len(curve)))
    return tuple((curve[int(p[-1])][0], float(np.mean([curve[int(n)][1] for n in p]))) for p in parts)


@torch.no_grad()
def measured_sparsity(model: Gpt, ids: Ids, *, documents: int = 128) -> Sparsity:
    """How sparse a model is on the first documents of ``ids [document, context + 1]``."""
    rows = torch.as_tensor(ids[:documents, :-1]).to(next(model.parameters()).device)
    with _activations(model, wanted=True) as seen:
        model.eval()(rows)
    values = [a.abs().flatten(0, 1) for a in seen]
    tops = [v.amax(dim=0) for v in values]
    weights = model.matrices()
    return Sparsity(
        active=tuple(float((v > 0).sum(dim=1).float().mean()) for v in values),
        strong=tuple(
            float(((v > STRONG * t) & (t > 1e-6)).sum(dim=1).float().mean()) for v, t in zip(values, tops, strict=True)
        ),
        dead=tuple(int((t <= 1e-6).sum()) for t in tops),
        units=model.config.d_mlp,
        nonzero=sum(nonzero(weights).values()),
        entries=sum(w.numel() for w in weights.values()),
    )


@contextmanager
def _activations(model: Gpt, *, wanted: bool) -> Generator[list[Tensor]]:
    """The hidden activations (before any extra LayerNorm) of each pass, by layer."""
    seen: list[Tensor] = []
    handles: list[Any] = []

    def note(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
        seen.append(output)

    try:
        if wanted:
            handles += [mlp.act.register_forward_hook(note) for mlp in model.mlps()]
        yield seen
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _one_thread() -> Generator[None]:
    """Sums depend on how many threads share them, and so would the weights."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _seeded(seed: int, device: str) -> Generator[None]:
    """Draws of dropout come from the seed; the global random state is put back."""
    devices = [torch.device(device)] if torch.device(device).type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield
