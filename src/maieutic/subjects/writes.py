"""What a unit writes into the residual stream of a language model, and what the end of the model reads from there.

An MLP neuron writes its column of the output projection; a direction or a coordinate of the residual stream writes itself; a
unit seen through a lens (an SAE latent) writes what the lens says; a head, whose contribution depends on the input, writes
its mean contribution on given texts. The end of the model is its last norm and its unembedding. The norm is applied to the
written vector alone (less what it makes of nothing), so lengths drop out: RMS norms leave the direction and their gains,
layer norms also take the mean away.

What this module does not do: effects that pass through later layers (`maieutic.explain.output.steering`), or image networks,
where what is written goes through further convolutions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from maieutic.errors import UserError
from maieutic.readings import FloatArray
from maieutic.subjects.base import Intervention, Subject, Unit
from maieutic.subjects.gradients import differentiate, network_of, tap_of

#: texts over which a contribution that depends on the input is averaged
CONTEXTS = 8


@dataclass(frozen=True, kw_only=True)
class Readout:
    """The end of a language model: ``norm`` (identity where there is none) and ``unembed``, ``[output, hidden]``."""

    norm: Callable[[Tensor], Tensor]
    unembed: Tensor

    def logits(self, written: FloatArray) -> FloatArray:
        """What written vectors ``[..., hidden]`` add to the logits, ``[..., output]``, up to a positive factor."""
        with torch.inference_mode():
            rows = torch.as_tensor(np.asarray(written, np.float32), device=self.unembed.device)
            nothing = self.norm(torch.zeros_like(rows))
            return ((self.norm(rows) - nothing).float() @ self.unembed.float().T).cpu().numpy().astype(np.float64)


def readout_of(subject: Subject) -> Readout:
    """The last norm and the unembedding of a language model.

    Raises:
        UserError: they were not found; steering still measures what a unit does.
    """
    model = cast("Any", network_of(subject))
    head = model.get_output_embeddings() if hasattr(model, "get_output_embeddings") else None
    if not isinstance(head, nn.Module) or not isinstance(getattr(head, "weight", None), Tensor):
        raise UserError(f"{subject.name} has no unembedding that can be named: measure effects by steering instead")
    weight = cast(Tensor, head.weight).detach()
    norm = _last_norm(cast(nn.Module, model), weight.shape[1])
    return Readout(norm=norm if norm is not None else _same, unembed=weight)


def _same(x: Tensor) -> Tensor:
    return x


def _last_norm(model: nn.Module, hidden: int) -> nn.Module | None:
    """The norm beside the list of blocks that stands after it; ``None`` where there is none."""
    blocks = [(path, m) for path, m in model.named_modules() if isinstance(m, nn.ModuleList) and len(m)]
    if not blocks:
        return None
    path = max(blocks, key=lambda found: len(found[1]))[0]
    parent = model.get_submodule(path.rpartition(".")[0])
    children = list(parent.named_children())
    place = next(i for i, (name, _) in enumerate(children) if name == path.rpartition(".")[2])
    behind = [m for name, m in children[place + 1 :] if "norm" in type(m).__name__.lower() or "ln" in name.split("_")]
    sized = [m for m in behind if any(p.shape == (hidden,) for p in m.parameters()) or not list(m.parameters())]
    return sized[-1] if sized else None


def write_of(subject: Subject, unit: Unit, *, contexts: Sequence[Any] = ()) -> FloatArray:
    """What the residual stream gains when the unit's reading rises, ``[hidden]`` (of a neuron or latent: by 1).

    Args:
        subject: a language model.
        unit: of a site that writes into the residual stream.
        contexts: texts to average over where the contribution depends on the input (heads).

    Raises:
        UserError: the site does not write into the residual stream, or its contribution depends on the input and there
            are no contexts.
    """
    site = subject.site(unit.site)
    lens = getattr(site, "lens", None)
    if lens is None:
        here = _own(unit, site.width)
    else:
        along = lens.along(unit)
        here = along.detach().float().cpu() * unit.sign if along is not None else None
    if here is None:
        here = _mean_contribution(subject, unit, lens, contexts)
    return _into_stream(subject, unit, here).double().numpy()


def random_writes(subject: Subject, unit: Unit, *, n: int, seed: int = 0, contexts: Sequence[Any] = ()) -> FloatArray:
    """What ``n`` random directions of the unit's own kind write, ``[direction, hidden]``.

    Gaussian over the units of the site (neurons, coordinates, latents), then written as the unit is; of a head, Gaussian over
    the inputs of its own slice of the output projection.
    """
    rng = np.random.default_rng([seed, 47])
    site = subject.site(unit.site)
    lens = getattr(site, "lens", None)
    if lens is not None and lens.along(unit) is None:
        own = _mean_contribution(subject, unit, lens, contexts)
        mask = (own != 0).double()
        rows = [torch.as_tensor(rng.standard_normal(len(own))) * mask for _ in range(n)]
        return np.stack([_into_stream(subject, unit, r.float()).double().numpy() for r in rows])
    width = site.width or 0
    drawn = [
        Unit(site=unit.site, vector=rng.standard_normal(width).astype(np.float32), name=f"random-{i}") for i in range(n)
    ]
    return np.stack([write_of(subject, u) for u in drawn])


def _own(unit: Unit, width: int | None) -> Tensor:
    if unit.vector is not None:
        # adding to a reading moves the activation along the vector
        return torch.as_tensor(unit.vector, dtype=torch.float32) * unit.sign
    assert unit.index is not None and width is not None, "sites of networks say how wide they are"
    here = torch.zeros(width)
    here[unit.index] = float(unit.sign)
    return here


def _into_stream(subject: Subject, unit: Unit, here: Tensor) -> Tensor:
    """From what stands at the module to the residual stream: through the projection that reads it, or as it is."""
    tap = tap_of(subject, unit.site)
    hidden = readout_of(subject).unembed.shape[1]
    if tap.io == "in":
        weight = cast("Any", tap.module).weight.detach().float().cpu()
        # GPT-2's Conv1D holds the transposed matrix
        through = here @ weight if type(tap.module).__name__ == "Conv1D" else weight @ here
        if through.shape == (hidden,):
            return through
    elif here.shape == (hidden,):
        return here
    raise UserError(f"{unit.site} does not write into the residual stream: measure its effects by steering instead")


def _mean_contribution(subject: Subject, unit: Unit, lens: Any, contexts: Sequence[Any]) -> Tensor:
    """The mean over positions of what the unit puts into what stands at its module."""
    if not contexts:
        raise UserError(f"what {unit.key} writes depends on the input: give texts to average over")
    total, count = None, 0
    ablation = Intervention(unit=unit, kind="ablate_zero")
    for text in list(contexts)[:CONTEXTS]:
        raw = differentiate(subject, text, [unit.site], lambda out: out.sum()).values[unit.site]
        where = torch.ones(raw.shape[0], dtype=torch.bool)
        part = (raw - lens.change(raw, ablation, where).float().cpu()).sum(dim=0)
        total, count = part if total is None else total + part, count + raw.shape[0]
    assert total is not None
    return total / max(count, 1) * unit.sign
