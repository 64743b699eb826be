"""Activation functions of the study's MLPs: GELU, ReLU, top-k, SoLU; each a module, so that its output is a hook point.

SoLU is ``x * softmax(x)`` over the whole hidden layer (Elhage et al. 2022, "Softmax Linear Units", section 3). It can be
softened or sharpened: ``x * softmax(x / temperature)``; at temperature 1 it is the published one. Top-k keeps the ``k``
entries of largest magnitude of GELU (Gao et al. 2025, "Weight-sparse transformers", AbsTopK) and sets the others to 0.

What this module does not do: the LayerNorm that may follow is the model's; what is interpreted is what stands before it.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from maieutic.errors import UsageError, did_you_mean

ActivationName = Literal["gelu", "relu", "topk", "solu"]
NAMES: tuple[ActivationName, ...] = ("gelu", "relu", "topk", "solu")


def solu(x: Tensor, *, temperature: float = 1.0) -> Tensor:
    """``x * softmax(x / temperature)`` over the last axis; same shape and dtype."""
    return x * torch.softmax(x / temperature, dim=-1)


def keep_largest(x: Tensor, k: int) -> Tensor:
    """The ``k`` entries of largest magnitude of the last axis, exactly ``k`` also among equal ones; the others are 0.

    Gradients flow through what is kept. Same shape and dtype.
    """
    if k >= x.shape[-1]:
        return x
    places = x.detach().abs().topk(k, dim=-1).indices
    return torch.zeros_like(x).scatter(-1, places, x.gather(-1, places))


class Gelu(nn.Module):
    """Exact GELU."""

    def forward(self, x: Tensor) -> Tensor:
        return F.gelu(x)


class Relu(nn.Module):
    """ReLU."""

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x)


class TopK(nn.Module):
    """GELU of which the ``k`` values of largest magnitude stay."""

    def __init__(self, k: int) -> None:
        super().__init__()
        self.k = k

    def forward(self, x: Tensor) -> Tensor:
        return keep_largest(F.gelu(x), self.k)


class Solu(nn.Module):
    """SoLU, without a LayerNorm."""

    def __init__(self, temperature: float = 1.0) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, x: Tensor) -> Tensor:
        return solu(x, temperature=self.temperature)


def make_activation(name: str, *, k: int = 0, temperature: float = 1.0) -> nn.Module:
    """The module of an activation's name.

    Args:
        name: ``gelu``, ``relu``, ``topk`` or ``solu``.
        k: entries that ``topk`` keeps, at least 1.
        temperature: of ``solu``, above 0.

    Raises:
        UsageError: an unknown name, or a number out of its range.
    """
    if name not in NAMES:
        raise UsageError(f"no activation {name!r}{did_you_mean(name, NAMES)}: choose from {', '.join(NAMES)}")
    if name == "topk" and k < 1:
        raise UsageError(f"topk keeps at least 1 entry, not {k}: raise its share")
    if name == "solu" and temperature <= 0:
        raise UsageError(f"a temperature is above 0, not {temperature}")
    if name == "topk":
        return TopK(k)
    if name == "solu":
        return Solu(temperature)
    return Gelu() if name == "gelu" else Relu()
