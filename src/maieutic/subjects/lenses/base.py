"""What a lens is: units of another kind at a module, so that heads, latents, named directions and logits are ordinary sites.

A lens stands at a `Site` beside its module. Hooks hand it what the module gives (or gets), units on the last axis; what it
returns is what everybody downstream sees. So a lens site has integer units, and harvest, explainers, scorers and reports
need not know of lenses.

What this module does not do: it runs no network and holds no lens (see its neighbours).
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn

from maieutic.subjects.base import Intervention, Unit


class Lens(Protocol):
    """From what stands at a module to units of another kind, and back.

    Tensors may come in any float dtype and on any device; a lens moves its own along. ``hidden`` is the width of the
    module, ``width`` the number of units seen. One and the same input gives the same bits whatever stands beside it.
    """

    @property
    def width(self) -> int:
        """Number of units."""
        ...

    @property
    def fingerprint(self) -> str:
        """Hex digest or short text that changes with what the lens reads; part of the subject's fingerprint."""
        ...

    def read(self, raw: Tensor) -> Tensor:
        """``[..., hidden]`` to readings ``[..., width]``, float32, on the same device, sharing no memory with ``raw``."""
        ...

    def change(self, raw: Tensor, change: Intervention, where: Tensor) -> Tensor:
        """What stands at the module after an intervention on one unit (an index, or a direction in the lens's space).

        What the lens does not see (the error of a reconstruction, other positions) stays as it is, bit by bit where
        nothing is asked for. `step` says by how much the unit has to move.

        Args:
            raw: ``[..., hidden]``; never written into.
            change: with its sign, offset and value; ``at`` is already in ``where``.
            where: bool ``[...]``: positions that change.

        Raises:
            UserError: the unit cannot be changed, and why.
        """
        ...

    def along(self, unit: Unit) -> Tensor | None:
        """By what the module's values grow when the unit grows by 1: ``[hidden]``, float32.

        ``None`` where that depends on the input (the norm of a head).
        """
        ...

    def fresh(self, seed: int, module: nn.Module) -> Lens:
        """What stands at the untrained copy's module: the same architecture without the training."""
        ...


def step(change: Intervention, reading: Tensor, where: Tensor) -> Tensor:
    """How far a unit has to move along its own vector for an intervention: ``[...]``, 0 where ``where`` is false.

    ``ablate_zero``, ``ablate_mean`` and ``set`` give the unit's reading (with its sign and offset) the value 0 or
    ``value`` by the least movement; ``add`` moves it by ``sign * value``.

    Args:
        change: what to do. A unit's vector is the unit vector of its index, or its direction.
        reading: what stands there, ``[..., unit]``.
        where: bool ``[...]``.
    """
    unit = change.unit
    target = unit.sign * (0.0 if change.kind == "ablate_zero" else change.value)
    if change.kind == "add":
        found = torch.full(reading.shape[:-1], target, dtype=reading.dtype, device=reading.device)
    elif unit.index is not None:
        found = target - reading[..., unit.index]
    else:
        vector = torch.as_tensor(unit.vector, dtype=reading.dtype, device=reading.device)
        found = (target - unit.offset - reading @ vector) / vector.square().sum().clamp_min(1e-30)
    return torch.where(where, found, torch.zeros_like(found))
