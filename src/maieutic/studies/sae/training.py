"""Train a top-k SAE (Gao et al. 2024, "Scaling and evaluating sparse autoencoders", sections 2.3, 2.4 and appendix A).

With x an activation divided by the typical size of its entries, v = E (x - b_dec) + b, and a the k largest entries of v (those
below 0 set to 0): x' = D' a + b_dec. The loss is |x - x'|^2 over the variance of x, plus 1/32 of the same for how well the
``aux_k`` strongest *dead* latents reconstruct what is left over, x - x' (AuxK, section 2.4): so latents that were never active
learn what nobody else explains, and come back. Rows of the decoder have norm 1: the part of a gradient along its own row is
taken away before a step of Adam, and rows are normed after it (app. A.3).

Everything random comes from the seed and from the number of the step, so a run that was killed goes on from its checkpoint to
the same weights, bit by bit on the same machine with as many threads. What this module does not do: read texts, write the
final files, or choose its own settings.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from maieutic.errors import UserError
from maieutic.progress import Report, silent
from maieutic.store import read_tensors, write_tensors
from maieutic.studies.sae.settings import TrainSettings
from maieutic.subjects.lenses.sae import Sae

CHECKPOINT = "checkpoint.safetensors"
#: rows that the first bias and the size of activations are worked out from
PILOT = 8192
#: Adam's, as Gao et al. set them (app. A.3)
BETAS, EPSILON = (0.9, 0.999), 6.25e-10
_NAMES = ("encoder", "decoder", "encoder_bias", "decoder_bias")


class Chunks(Protocol):
    """What training needs of its data: `Activations`, or anything with rows in chunks."""

    @property
    def hidden(self) -> int: ...
    @property
    def sizes(self) -> tuple[int, ...]: ...
    def rows(self, number: int, *, report: Report = silent) -> NDArray[np.float32]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What training gave.

    Attributes:
        sae: in raw model units, rows of norm 1.
        history: (step, loss as a share of the variance, share of dead latents), every so often.
        steps: how many were done in all.
    """

    sae: Sae
    history: tuple[tuple[int, float, float], ...]
    steps: int


@dataclass(slots=True, kw_only=True)
class _State:
    """Everything that changes.

    Attributes:
        parameters: encoder and decoder ``[latent, hidden]``, and their biases.
        first, second: Adam's moments of each.
        idle: positions since each latent was last active, int64 ``[latent]``.
        scale: what activations are divided by. variance: of a scaled activation, summed over its entries.
        step: steps done.
    """

    parameters: dict[str, Tensor]
    first: dict[str, Tensor]
    second: dict[str, Tensor]
    idle: Tensor
    scale: float
    variance: float
    step: int = 0
    history: list[tuple[int, float, float]] = field(default_factory=list[tuple[int, float, float]])


def train(
    data: Chunks,
    settings: TrainSettings,
    *,
    folder: Path | None = None,
    device: str = "cpu",
    about: str = "",
    report: Report = silent,
) -> Trained:
    """Train an SAE, or go on with one.

    Args:
        data: activations. settings: how.
        folder: where checkpoints are kept; ``None``: nowhere. about: what else a checkpoint belongs to (model, corpus).
        device: of the arithmetic.
        report: called with progress.

    Cost: a step is about ``6 x batch x hidden x latents`` floating-point operations, half of it for the encoder's gradient.

    Raises:
        UserError: the folder holds a checkpoint of other settings, or training diverged.
    """
    steps = total_steps(data.sizes, settings)
    key = _key(settings, about, steps)
    state = _resumed(folder, key, device)
    if state is None:
        state = _begun(data, settings, device, report)
    held: tuple[int, NDArray[np.float32]] | None = None
    with report("train", f"{settings.latents} latents") as told:
        for number, places in _batches(data.sizes, settings, start=state.step, steps=steps):
            if held is None or held[0] != number:
                held = None  # two chunks need not be in memory at once
                held = (number, data.rows(number))
            x = torch.from_numpy(held[1][places]).to(device) / state.scale
            loss = _step(state, x, settings, steps)
            if not np.isfinite(loss):
                raise UserError(f"training diverged at step {state.step}: give a smaller learning rate with --lr")
            if state.step % 50 == 0 or state.step == steps:
                dead = float((state.idle >= settings.dead_after).float().mean())
                state.history.append((state.step, round(loss, 6), round(dead, 6)))
                told(state.step, steps, f"unexplained {loss:.3f}, dead {dead:.1%}")
            if folder is not None and state.step % settings.save_every == 0 and state.step < steps:
                _save(state, folder / CHECKPOINT, key)
    return Trained(sae=_finished(state, settings), history=tuple(state.history), steps=state.step)


def total_steps(sizes: tuple[int, ...], settings: TrainSettings) -> int:
    """Steps of a run over chunks of these sizes.

    Raises:
        UserError: no chunk fills a batch.
    """
    each = sum(n // settings.batch for n in sizes)
    if not each:
        raise UserError(
            f"{sum(sizes)} tokens do not fill a batch of {settings.batch}: give a larger corpus or a smaller --batch"
        )
    return settings.steps or max(round(settings.epochs * each), 1)


def _batches(
    sizes: tuple[int, ...], settings: TrainSettings, *, start: int, steps: int
) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """(chunk, rows of it) of each step from ``start`` on; what does not fill a batch is left out of its epoch."""
    done = epoch = 0
    while done < steps:
        for number in np.random.default_rng([settings.seed, 1, epoch]).permutation(len(sizes)).tolist():
            own = min(sizes[number] // settings.batch, steps - done)
            if done + own > start:
                order = np.random.default_rng([settings.seed, 2, epoch, number]).permutation(sizes[number])
                for i in range(max(start - done, 0), own):
                    yield number, np.sort(order[i * settings.batch : (i + 1) * settings.batch])
            done += own
        epoch += 1


# --- a step ------------------------------------------------------------------------------------------------------------


def _step(state: _State, x: Tensor, settings: TrainSettings, steps: int) -> float:
    """One step of the optimiser; gives the loss as a share of the variance, without the part for dead latents."""
    p = state.parameters
    for tensor in p.values():
        tensor.requires_grad_(True)
        tensor.grad = None
    bf16 = settings.precision == "bf16"
    with torch.autocast(x.device.type, dtype=torch.bfloat16) if bf16 else nullcontext():
        v = F.linear(x - p["decoder_bias"], p["encoder"], p["encoder_bias"])
    v = v.float()
    largest, places = v.topk(settings.k, dim=-1)
    largest = largest.relu()
    rest = x - (_decoded(places, largest, p["decoder"]) + p["decoder_bias"])
    own = rest.square().sum() / (len(x) * state.variance)
    loss = own
    dead = state.idle >= settings.dead_after
    if bool(dead.any()) and settings.aux:
        loss = loss + settings.aux * _revival(v, rest.detach(), dead, p["decoder"], settings) / (
            len(x) * state.variance
        )
    torch.autograd.backward([loss])
    _update(state, settings.rate * settings.height(state.step, steps), settings.clip)
    state.idle += len(x)
    state.idle[places[largest > 0].unique()] = 0
    state.step += 1
    return float(own.detach())


def _decoded(places: Tensor, amounts: Tensor, rows: Tensor) -> Tensor:
    """Sum of ``amounts`` times the rows at ``places``, ``[position, hidden]``; only those rows are read."""
    return F.embedding_bag(places, rows, per_sample_weights=amounts, mode="sum")


def _revival(v: Tensor, rest: Tensor, dead: Tensor, rows: Tensor, settings: TrainSettings) -> Tensor:
    """Squared error of the strongest dead latents as a reconstruction of what is left over."""
    which = dead.nonzero()[:, 0]
    most = min(settings.dead_k(rows.shape[1]), len(which))
    largest, places = v[:, which].topk(most, dim=-1)
    return (rest - _decoded(which[places], largest.relu(), rows)).square().sum()


@torch.no_grad()
def _update(state: _State, rate: float, clip: float) -> None:
    """A step of Adam on clipped gradients; the decoder moves along the sphere that its rows lie on."""
    gradients = {name: p.grad for name, p in state.parameters.items()}
    known = {name: torch.zeros_like(state.parameters[name]) if g is None else g for name, g in gradients.items()}
    rows = state.parameters["decoder"]
    known["decoder"] = known["decoder"] - (known["decoder"] * rows).sum(dim=-1, keepdim=True) * rows
    norm = float(torch.stack([g.square().sum() for g in known.values()]).sum().sqrt())
    shrink = min(1.0, clip / (norm + 1e-6))
    n = state.step + 1
    for name, parameter in state.parameters.items():
        g = known[name] * shrink
        state.first[name].lerp_(g, 1 - BETAS[0])
        state.second[name].lerp_(g.square(), 1 - BETAS[1])
        mean, square = state.first[name] / (1 - BETAS[0] ** n), state.second[name] / (1 - BETAS[1] ** n)
        parameter.requires_grad_(False)
        parameter -= rate * mean / (square.sqrt() + EPSILON)
    rows /= rows.norm(dim=-1, keepdim=True)


# --- beginning and end -------------------------------------------------------------------------------------------------


def _begun(data: Chunks, settings: TrainSettings, device: str, report: Report) -> _State:
    """The first weights: decoder rows drawn from all directions alike, the encoder their transpose."""
    rows = data.rows(0, report=report)
    pilot = torch.from_numpy(rows[np.random.default_rng([settings.seed, 3]).permutation(len(rows))[:PILOT]])
    scale = float(pilot.norm(dim=-1).mean()) / data.hidden**0.5
    if scale == 0:
        raise UserError("the site is zero everywhere: choose another")
    pilot = pilot / scale
    centre = geometric_median(pilot) if settings.centre == "median" else pilot.mean(dim=0)
    source = torch.Generator().manual_seed(settings.seed)
    decoder = torch.randn(settings.latents, data.hidden, generator=source)
    decoder /= decoder.norm(dim=-1, keepdim=True)
    parameters = {
        "encoder": decoder.clone().to(device),
        "decoder": decoder.to(device),
        "encoder_bias": torch.zeros(settings.latents, device=device),
        "decoder_bias": centre.to(device),
    }
    return _State(
        parameters=parameters,
        first={n: torch.zeros_like(p) for n, p in parameters.items()},
        second={n: torch.zeros_like(p) for n, p in parameters.items()},
        idle=torch.zeros(settings.latents, dtype=torch.int64, device=device),
        scale=scale,
        variance=float((pilot - pilot.mean(dim=0)).square().sum(dim=-1).mean()),
    )


def geometric_median(points: Tensor, *, iterations: int = 50) -> Tensor:
    """The point with the least sum of distances to the rows of ``points``, by Weiszfeld's iteration."""
    found = points.mean(dim=0)
    for _ in range(iterations):
        weight = 1 / (points - found).norm(dim=-1).clamp_min(1e-8)
        moved = (weight[:, None] * points).sum(dim=0) / weight.sum()
        if float((moved - found).norm()) <= 1e-6 * float(moved.norm()):
            return moved
        found = moved
    return found


def _finished(state: _State, settings: TrainSettings) -> Sae:
    """The SAE in raw units: with x = raw / s, latents and biases are s times as large, rows keep their norm."""
    p = {name: t.detach().cpu() for name, t in state.parameters.items()}
    return Sae(
        kind="topk", k=settings.k, encoder=p["encoder"].T.contiguous(), decoder=p["decoder"].clone(),
        encoder_bias=p["encoder_bias"] * state.scale, decoder_bias=p["decoder_bias"] * state.scale,
    )  # fmt: skip


# --- checkpoints -------------------------------------------------------------------------------------------------------


def _key(settings: TrainSettings, about: str, steps: int) -> str:
    """What a checkpoint belongs to; how often it is saved and where activations are kept changes nothing."""
    said = {k: v for k, v in settings.to_json().items() if k not in ("save_every", "cache")}
    text = json.dumps([said, about, steps], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _save(state: _State, file: Path, key: str) -> None:
    tensors: dict[str, NDArray[Any]] = {"idle": state.idle.cpu().numpy()}
    for name in _NAMES:
        tensors[name] = state.parameters[name].detach().cpu().numpy()
        tensors[f"{name}.first"] = state.first[name].cpu().numpy()
        tensors[f"{name}.second"] = state.second[name].cpu().numpy()
    note = {
        "key": key, "step": state.step, "scale": state.scale, "variance": state.variance, "history": state.history,
    }  # fmt: skip
    write_tensors(file, tensors, note=note)


def _resumed(folder: Path | None, key: str, device: str) -> _State | None:
    if folder is None or not (folder / CHECKPOINT).is_file():
        return None
    tensors, note = read_tensors(folder / CHECKPOINT)
    if note.get("key") != key:
        raise UserError(
            f"{folder} holds a run with other settings, another model or corpus: give the same ones, or another --out"
        )
    loaded = {name: torch.from_numpy(t).to(device) for name, t in tensors.items()}
    return _State(
        parameters={n: loaded[n] for n in _NAMES},
        first={n: loaded[f"{n}.first"] for n in _NAMES},
        second={n: loaded[f"{n}.second"] for n in _NAMES},
        idle=loaded["idle"],
        scale=float(note["scale"]),
        variance=float(note["variance"]),
        step=int(note["step"]),
        history=[(int(s), float(a), float(b)) for s, a, b in note["history"]],
    )
