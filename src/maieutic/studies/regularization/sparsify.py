"""What makes weights sparse, after each step of the optimiser: proximal L1, magnitude pruning, weight-sparse training.

- ``l1``: ``w <- sign(w) * max(|w| - lr * lambda, 0)``: the proximal step of the penalty ``lambda * |w|``, which gives exact zeros
  (its sub-gradient under Adam hardly ever does).
- ``pruning``: the smallest entries of each matrix are 0; their share follows Zhu & Gupta 2017,
  ``s_t = s_f + (s_i - s_f) (1 - (t - t0) / (t1 - t0))**3``; masks are drawn anew every few steps until ``t1``, then fixed.
- ``weight-sparse``: after *every* step only the largest entries of each matrix stay; the share falls linearly from 1 to its end
  (Gao et al. 2025, section 2). Gradients and moments of the optimiser stay dense, so entries come back. Of the choices of
  that paper that its text and its script make differently, this is the text's; no entry is kept only to keep a neuron alive.

All rules apply to the matrices of the blocks, to each by itself; embeddings, biases and LayerNorms stay dense. What this
module does not do: make sparse weights fast.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor, nn

from maieutic.studies.regularization.arms import Arm

#: steps between two draws of a pruning mask, as a share of the schedule
_DRAWS = 50


class Rule(Protocol):
    """What happens to weights after a step."""

    def __call__(self, step: int, learning_rate: float) -> None:
        """Change the matrices in place.

        Args:
            step: of the optimiser, from 1. learning_rate: of that step.
        """
        ...


def soft_threshold(weight: Tensor, threshold: float) -> Tensor:
    """``sign(w) * max(|w| - threshold, 0)``."""
    return weight.sign() * (weight.abs() - threshold).clamp_min(0)


def cubic_sparsity(step: int, *, start: int, end: int, final: float, initial: float = 0.0) -> float:
    """The share of zeros at a step: ``initial`` until ``start``, ``final`` from ``end`` on (Zhu & Gupta 2017, equation 1)."""
    if step >= end:
        return final
    done = max(0.0, (step - start) / (end - start))
    return final + (initial - final) * (1 - done) ** 3


def linear_keep(step: int, *, end: int, final: float) -> float:
    """The share of entries that stay: 1 at step 0, ``final`` from ``end`` on."""
    return final if step >= end else 1 + (final - 1) * step / end


def kept_count(size: int, share: float) -> int:
    """How many of ``size`` entries a share is; at least 1."""
    return max(1, round(share * size))


def largest(weight: Tensor, count: int) -> Tensor:
    """Bool mask of exactly the ``count`` entries of largest magnitude, whatever ties there are."""
    mask = torch.zeros(weight.numel(), dtype=torch.bool, device=weight.device)
    mask[weight.detach().abs().reshape(-1).topk(count, sorted=False).indices] = True
    return mask.view_as(weight)


class ProximalL1:
    """See the header; ``strength`` is lambda."""

    def __init__(self, matrices: Mapping[str, nn.Parameter], *, strength: float) -> None:
        self._matrices, self._strength = dict(matrices), strength

    @torch.no_grad()
    def __call__(self, step: int, learning_rate: float) -> None:
        for weight in self._matrices.values():
            weight.copy_(soft_threshold(weight, learning_rate * self._strength))


class Pruning:
    """See the header.

    Args:
        matrices: what is pruned. sparsity: share of zeros in the end.
        start, end: steps between which it grows.
    """

    def __init__(self, matrices: Mapping[str, nn.Parameter], *, sparsity: float, start: int, end: int) -> None:
        self._matrices, self._sparsity, self._start, self._end = dict(matrices), sparsity, start, end
        self._every = max(1, (end - start) // _DRAWS)
        self._masks: dict[str, Tensor] = {}

    @torch.no_grad()
    def __call__(self, step: int, learning_rate: float) -> None:
        if step < self._start:
            return
        draws = step <= self._end and ((step - self._start) % self._every == 0 or step == self._end)
        share = 1 - cubic_sparsity(step, start=self._start, end=self._end, final=self._sparsity)
        for name, weight in self._matrices.items():
            if draws or name not in self._masks:
                self._masks[name] = largest(weight, kept_count(weight.numel(), share))
            weight.mul_(self._masks[name])


class WeightSparse:
    """See the header; ``keep`` is the share of entries that stay from step ``end`` on."""

    def __init__(self, matrices: Mapping[str, nn.Parameter], *, keep: float, end: int) -> None:
        self._matrices, self._keep, self._end = dict(matrices), keep, end

    @torch.no_grad()
    def __call__(self, step: int, learning_rate: float) -> None:
        share = linear_keep(step, end=self._end, final=self._keep)
        for weight in self._matrices.values():
            weight.mul_(largest(weight, kept_count(weight.numel(), share)))


def weight_rule(arm: Arm, matrices: Mapping[str, nn.Parameter], *, steps: int) -> Rule | None:
    """The rule of an arm for a training of so many steps; ``None``: weights are left alone."""
    end = max(1, round(arm.anneal * steps))
    if arm.weight_rule == "l1":
        return ProximalL1(matrices, strength=arm.weight_l1)
    if arm.weight_rule == "pruning":
        return Pruning(matrices, sparsity=arm.sparsity, start=min(end - 1, round(0.1 * steps)), end=end)
    if arm.weight_rule == "weight-sparse":
        return WeightSparse(matrices, keep=arm.keep, end=end)
    return None


def nonzero(matrices: Mapping[str, nn.Parameter]) -> dict[str, int]:
    """How many entries of each matrix are not exactly 0."""
    return {name: int(weight.count_nonzero()) for name, weight in matrices.items()}
