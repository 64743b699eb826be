"""Attention heads as units: by how much each adds to the residual stream.

The output projection of attention is a sum over heads: ``sum_h W_h z_h + b``, with ``z_h`` what head ``h`` gives and ``W_h`` its
columns of the projection. A head's reading is the length of ``W_h z_h`` at each position; the bias belongs to no head. With
grouped queries there are as many heads as queries. Heads are found by structure: a linear map of a usual name inside a
module called attention, whose input splits into the heads that the module or its configuration counts.

What this module does not do: attention that never calls its projection as a module (``torch.nn.MultiheadAttention``),
attention in windows (Swin), or linear attention; such layers have no site.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from maieutic.errors import UserError
from maieutic.subjects.base import Intervention, Site, Subject, Unit
from maieutic.subjects.image_sites import watch
from maieutic.subjects.language_sites import linear_shape
from maieutic.subjects.lenses.base import Lens, step
from maieutic.subjects.networks import NetworkSubject

#: last parts of the paths of output projections
_NAMES = frozenset(["o_proj", "out_proj", "c_proj", "proj", "dense", "wo", "out_lin", "o", "to_out.0", "projection"])
_COUNTS = ("num_attention_heads", "num_heads", "n_heads", "n_head", "heads")
_SIZES = ("head_dim", "attention_head_size", "head_size")
_ATTENTION = re.compile(r"attn|attention", re.IGNORECASE)


class HeadsLens:
    """The heads in the input of an attention module's output projection."""

    def __init__(self, projection: nn.Module, heads: int) -> None:
        """Look through a projection, which is referred to and not copied.

        Args:
            projection: a linear map (torch's, or the transposed one of GPT-2).
            heads: number of equal parts that its input splits into.
        """
        self.projection = projection
        self.heads = heads
        self._factors: Tensor | None = None

    @property
    def width(self) -> int:
        """Number of heads."""
        return self.heads

    @property
    def fingerprint(self) -> str:
        """How many heads; the weights are in the subject's own digest."""
        return f"heads/1:{self.heads}"

    def weights(self) -> Tensor:
        """``[head, output, input of the head]``, float32: what each head's values are multiplied by."""
        weight = cast(Tensor, self.projection.weight).detach().float()
        if not isinstance(self.projection, nn.Linear):
            weight = weight.T
        return weight.unflatten(1, (self.heads, -1)).transpose(0, 1)

    def read(self, raw: Tensor) -> Tensor:
        """Lengths ``[..., head]`` of what the heads add. Cost: a matrix of the head's size for each, not the projection."""
        parts = raw.float().unflatten(-1, (self.heads, -1))
        return torch.einsum("...hd,hkd->...hk", parts, self._triangles().to(raw.device)).norm(dim=-1)

    def _triangles(self) -> Tensor:
        """R of each ``W = Q R`` with orthonormal Q, so that ``R z`` is as long as ``W z``; computed once."""
        if self._factors is None:
            with torch.inference_mode(False):
                self._factors = cast(Tensor, torch.linalg.qr(self.weights(), mode="r").R)
        return self._factors

    def change(self, raw: Tensor, change: Intervention, where: Tensor) -> Tensor:
        """What the heads give, scaled so that lengths are as wanted; a head that adds nothing has no direction and stays.

        Lengths below 0 are 0.
        """
        lengths = self.read(raw)
        moved = step(change, lengths, where)
        unit = change.unit
        if unit.index is not None:
            onto = torch.zeros(self.heads, device=raw.device)
            onto[unit.index] = 1.0
        else:
            onto = torch.as_tensor(unit.vector, dtype=torch.float32, device=raw.device)
        wanted = (lengths + moved[..., None] * onto).clamp_min(0.0)
        gains = torch.where(lengths > 0, wanted / lengths, torch.ones_like(lengths))
        gains = torch.where((where & (moved != 0))[..., None] & (onto != 0), gains, torch.ones_like(gains))
        return (raw.unflatten(-1, (self.heads, -1)) * gains[..., None].to(raw.dtype)).flatten(-2)

    def along(self, unit: Unit) -> Tensor | None:
        """``None``: which way a head adds depends on what it attends to."""
        del unit
        return None

    def fresh(self, seed: int, module: nn.Module) -> HeadsLens:
        """The heads of the untrained copy."""
        del seed
        return HeadsLens(module, self.heads)


def attach(subject: Subject, argument: str = "") -> Subject:
    """The subject with a site ``layers.N.heads`` for every layer whose attention splits into heads.

    Args:
        subject: a network over texts or images.
        argument: none is known.

    Cost: one forward pass over one small stimulus.

    Raises:
        UserError: an argument, a black box, or no such layer.
    """
    if argument:
        raise UserError(f"+heads takes nothing behind a colon, not {argument!r}: leave it out")
    if not isinstance(subject, NetworkSubject):
        raise UserError(f"{subject.name} is no network: only networks have attention heads")
    sites: list[Site] = []
    for path, module, heads in _seen_once(subject, projections(subject.network)):
        lens: Lens = HeadsLens(module, heads)
        sites.append(
            Site(
                name=_name(path, subject.sites(), [s.name for s in sites]),
                module=path,
                io="in",
                width=heads,
                positions="token" if subject.modality == "text" else "spatial",
                what=f"{heads} attention heads: length of what each adds",
                lens=lens,
            )
        )
    if not sites:
        raise UserError(
            f"{subject.name} has no attention whose output projection splits into heads: use its other sites "
            f"(maieutic models {subject.name})"
        )
    return subject.with_sites(sites, called="heads")


def projections(network: nn.Module) -> list[tuple[str, nn.Module, int]]:
    """Path, module and number of heads of each output projection of attention, in the order of the modules."""
    modules = dict(network.named_modules())
    found: list[tuple[str, nn.Module, int]] = []
    for path, module in modules.items():
        parts, shape = path.split("."), linear_shape(module)
        inside = [i for i, part in enumerate(parts[:-1]) if _ATTENTION.search(part)]
        named = parts[-1].lower() in _NAMES or ".".join(parts[-2:]) in _NAMES
        if shape is None or not inside or not named or "linear_attn" in path:
            continue
        # from the projection's parent up to the outermost module called attention, each with what is right below it
        near = [modules[".".join(parts[: i + 1])] for i in range(len(parts) - 2, inside[0] - 1, -1)]
        near = [m for parent in near for m in (parent, *parent.children())]
        heads = _heads([*near, network], shape[0])
        if heads is not None:
            found.append((path, module, heads))
    return found


def _heads(near: Sequence[nn.Module], inputs: int) -> int | None:
    """How many heads the first of these that tells says, where they split the inputs evenly."""
    told: list[Any] = [*near, *(c for m in near if (c := getattr(m, "config", None)) is not None)]
    for names, by_size in ((_COUNTS, False), (_SIZES, True)):
        for teller in told:
            for name in names:
                value: Any = getattr(teller, name, None)
                if isinstance(value, int) and value > 0 and inputs % value == 0:
                    return inputs // value if by_size else value
    return None


def _seen_once(
    subject: NetworkSubject, found: Sequence[tuple[str, nn.Module, int]]
) -> list[tuple[str, nn.Module, int]]:
    """Those that run once in a pass and get a value for each position of each stimulus."""
    plain = [s for s in subject.sites() if s.lens is None]
    if not plain or not found:
        return []
    ran, _ = watch(subject.network, lambda: subject.forward(_examples(subject), [plain[-1].name]))
    kept: list[tuple[str, nn.Module, int]] = []
    for path, module, heads in found:
        seen = ran.get(path)
        if seen is not None and seen.calls == 1 and len(seen.given) == 3 and seen.given[0] == 2:
            kept.append((path, module, heads))
    return kept


def _examples(subject: Subject) -> list[Any]:
    """Two small stimuli."""
    if subject.modality == "text":
        return ["a b", "a b"]
    from maieutic.subjects.vision import noise_images

    return list(noise_images(2, seed=0, size=64))


def _name(path: str, sites: Sequence[Site], taken: Sequence[str]) -> str:
    """``layers.3.heads``: called as the other sites of that block are, else by the path of the attention."""
    before = _ATTENTION.split(path, maxsplit=1)[0]
    numbered = re.match(r"(?:.*\.)?(\d+)(?=\.)", before)
    if numbered is not None:
        block, number = numbered.group(), numbered.group(1)
        for site in sites:
            begins = re.match(rf"(?:.*?\.)?{number}(?=\.|$)", site.name)
            if begins is not None and f"{site.module}.".startswith(f"{block}.") and site.lens is None:
                name = f"{begins.group()}.heads"
                return name if name not in taken else f"{begins.group()}.{path.split('.')[-2]}.heads"
        return f"{block}.heads"
    return f"{path.rpartition('.')[0]}.heads"
