"""What both planted networks are trained with: planted units that carry concepts, and decide the outputs.

Three losses: the outputs follow the law of the concepts (cross entropy against the exact probabilities); the planted
units equal the truth of their concepts (squared error); and in half of the stimuli the planted units are *set* to random
strengths, where the outputs must follow the law of the strengths that were set (interchange intervention training,
Geiger et al., arXiv 2112.00826). The last closes every way round them: what a unit carries is what decides.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from maieutic.errors import StoreError
from maieutic.store import read_tensors, write_tensors
from maieutic.subjects.packages import cache_folder
from maieutic.subjects.planted.network_law import PULL, Law

#: weight of the detector loss beside the cross entropy
DETECTORS = 4.0


class TensorLaw:
    """``Law`` on tensors, float32."""

    def __init__(self, law: Law) -> None:
        self.background, self.raised = tensor(law.background), tensor(law.raised)
        self.used = self.raised.any(dim=1)

    def __call__(self, strengths: Tensor) -> Tensor:
        used = strengths * self.used
        total = used.sum(-1, keepdim=True)
        share = PULL * total.clamp_max(1.0)
        return (1 - share) * self.background + (share / total.clamp_min(1e-12) * used) @ self.raised


class Swap:
    """Stands at the planted units (the first ``count`` on ``axis``): keeps their values, sets them where told."""

    def __init__(self, count: int, *, axis: int = -1) -> None:
        self.count, self.axis = count, axis
        self.values = self.set_to = self.where = torch.zeros(0)

    def __call__(self, x: Tensor) -> Tensor:
        rest = x.shape[self.axis] - self.count
        self.values, others = x.split([self.count, rest], dim=self.axis)
        chosen = torch.where(self.where, self.set_to, self.values)
        return torch.cat([chosen, others], dim=self.axis)


def settings(rng: np.random.Generator, shape: tuple[int, ...], *, on: float = 0.15) -> tuple[Tensor, Tensor]:
    """Which planted units are set, in every second stimulus, and to what: off, on, or something between.

    Args:
        rng: draws.
        shape: ``(stimulus, ..., concept)``.
        on: share of those set that are not off.
    """
    even = (np.arange(shape[0]) % 2 == 0).reshape(-1, *[1] * (len(shape) - 1))
    where = (rng.random(shape) < 0.5) & even
    strengths = np.where(rng.random(shape) < 0.2, rng.random(shape), 1.0) * (rng.random(shape) < on)
    return torch.from_numpy(where), tensor(strengths)


def detector_loss(values: Tensor, truth: Tensor, missed: Tensor) -> Tensor:
    """Squared error ``[..., concept]``: active, resting and nearly active positions of each concept count alike."""
    error = (values - truth).square().flatten(0, -2)
    on = (truth.flatten(0, -2) > 0).float()
    parts = (on, 1 - on, missed.flatten(0, -2))
    return torch.stack([(error * part).sum(0) / part.sum(0).clamp_min(1.0) for part in parts]).sum(0).mean()


def cut_off(weight: Tensor, used: Tensor) -> Any:
    """Zero the input columns of a map that ``used`` (bool) leaves out, and keep them so; gives the handle of the hook."""
    with torch.no_grad():
        weight[:, ~used] = 0.0
    return weight.register_hook(lambda gradient: gradient * used)


@contextmanager
def repeatable(seed: int) -> Generator[None]:
    """One thread (sums depend on how many share them) and torch's random state from ``seed``; both are put back."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(threads)


def trained(module: nn.Module, name: str, train: Callable[[], None]) -> None:
    """Give the module the weights kept in the user cache under this name, or train it and keep them there.

    Any change to these modules or to torch is another name. A cache that cannot be read or written costs a training.
    """
    digest = hashlib.sha256(torch.__version__.encode())
    for source in sorted(Path(__file__).parent.glob("network_*.py")):
        digest.update(source.read_bytes())
    path = cache_folder() / "planted" / f"{name}-{digest.hexdigest()[:12]}.safetensors"
    try:
        arrays, _ = read_tensors(path)
        module.load_state_dict({name: torch.from_numpy(a) for name, a in arrays.items()})
    except (StoreError, RuntimeError):
        train()
    else:
        return
    try:
        write_tensors(path, {name: value.numpy() for name, value in module.state_dict().items()})
    except (StoreError, OSError):
        return


def tensor(values: Any) -> Tensor:
    """Float32, contiguous."""
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
