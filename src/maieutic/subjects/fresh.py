"""Untrained copies of networks, and the digest of trained ones.

A fresh copy has the architecture and none of the training: the null beside every score. Weights are drawn as each
layer draws them when constructed; BatchNorm statistics are then measured on a calibration batch, because with
running mean 0 and variance 1 the signal of a deep network dies out or explodes and the null would be silent units.

What this module does not do: it never touches the global random state (it is put back), and copies no optimiser.
"""

from __future__ import annotations

import copy
import hashlib
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage]


def fresh_copy(module: nn.Module, *, seed: int, calibration: Tensor | None = None) -> nn.Module:
    """A copy with fresh random weights, in evaluation mode; the same for the same seed.

    Args:
        module: the network; not changed.
        seed: of the draws.
        calibration: a batch of inputs for the BatchNorm statistics; ``None`` leaves them at mean 0, variance 1.
    """
    copied = copy.deepcopy(module)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        for child in copied.modules():
            reset = getattr(child, "reset_parameters", None)
            if callable(reset):
                reset()
                continue
            # parameters that stand alone (class tokens, position tables) belong to no layer that could draw them
            for parameter in child.parameters(recurse=False):
                nn.init.normal_(parameter, std=0.02)
        if calibration is not None:
            _calibrate(copied, calibration)
    return copied.eval().requires_grad_(False)


def _calibrate(module: nn.Module, batch: Tensor) -> None:
    norms = [m for m in module.modules() if isinstance(m, _BatchNorm)]
    if not norms:
        return
    kept = [m.momentum for m in norms]
    module.eval()  # dropout stays off
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # plain average, so one batch gives exactly its own statistics
        norm.train()
    parameter = next(module.parameters())
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # sums depend on how many threads share them, and these weights have a fingerprint
    try:
        module(batch.to(parameter.device, parameter.dtype))
    finally:
        torch.set_num_threads(threads)
    for norm, momentum in zip(norms, kept, strict=True):
        norm.momentum = momentum
        norm.eval()


def weights_digest(module: nn.Module, *more: str) -> str:
    """Hex digest (16 digits) over parameters and buffers by name, and further strings (the preprocessing)."""
    digest = hashlib.blake2b(digest_size=8)
    seen: set[int] = set()
    for name, value in sorted(module.state_dict().items()):
        if value.data_ptr() in seen and value.numel():
            continue  # tied weights
        seen.add(value.data_ptr())
        digest.update(f"{name}\t{value.dtype}\t{tuple(value.shape)}\n".encode())
        digest.update(_bytes(value))
    for text in more:
        digest.update(text.encode() + b"\0")
    return digest.hexdigest()


def _bytes(value: Tensor) -> memoryview:
    flat = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
    return cast("Any", flat.numpy()).data
