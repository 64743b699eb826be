"""Keys: what stands at the input of an MLP's output matrix; and how they are spread over text.

``C = E[k k^T]`` over the tokens of a text (uncentred, as in ROME: Meng et al. 2022, appendix E.5), plus a ridge that is a share
of the mean of its diagonal. Sparse activations leave units that are never on, and C without a ridge cannot be inverted there;
so the ridge is set before anything is measured, and what depends on it is measured for other ridges beside.

What this module does not do: edit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from maieutic.studies.regularization.documents import Ids
from maieutic.studies.regularization.editing.sites import Site, halfway, halfway_prompts
from maieutic.studies.regularization.facts import Prompt
from maieutic.studies.regularization.model import Gpt

#: of the mean of the diagonal; set before the first run
RIDGE = 1e-3
#: what interference is measured for beside it
OTHER_RIDGES = (1e-4, 1e-2)
_DOCUMENTS = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How keys are spread over text.

    Attributes:
        moment: ``E[k k^T]`` in double precision, ``[d_mlp, d_mlp]``, without a ridge. tokens: behind it.
    """

    moment: Tensor
    tokens: int

    def with_ridge(self, share: float = RIDGE) -> Tensor:
        """C: the moment with ``share`` of the mean of its diagonal added to the diagonal; symmetric, positive definite."""
        mean = self.moment.diagonal().mean().clamp_min(torch.finfo(torch.float64).tiny)
        return self.moment + share * mean * torch.eye(len(self.moment), dtype=torch.float64)

    def whitened(self, keys: Tensor, *, share: float = RIDGE) -> Tensor:
        """``C^-1 k`` for keys ``[..., d_mlp]``, in double precision."""
        factor = torch.linalg.cholesky(self.with_ridge(share))
        flat = keys.double().reshape(-1, keys.shape[-1])
        return torch.cholesky_solve(flat.T, factor).T.reshape(keys.shape)


@torch.no_grad()
def spread(model: Gpt, ids: Ids, *, layer: int) -> Spread:
    """How a layer's keys are spread over texts ``ids [document, position]``."""
    rows = torch.as_tensor(ids)
    width = model.config.d_mlp
    total = torch.zeros(width, width, dtype=torch.float64)
    for part in rows.split(_DOCUMENTS):
        last = torch.full((len(part),), part.shape[1] - 1)
        keys = halfway(model, part, last, layer=layer).keys.reshape(-1, width).double()
        total += keys.T @ keys
    return Spread(moment=total / rows.numel(), tokens=rows.numel())


@torch.no_grad()
def mean_keys(model: Gpt, prompts: Sequence[Sequence[Prompt]], *, site: Site) -> Tensor:
    """The mean key of each group of prompts at a site's token, float32 ``[group, d_mlp]``.

    Args:
        prompts: for each edit, the ways of asking over which its key is averaged.
    """
    flat = [p for group in prompts for p in group]
    before = halfway_prompts(model, flat, layer=site.layer)
    keys = before.keys[torch.arange(len(flat)), torch.tensor([site.place(p) for p in flat])]
    sizes = [len(group) for group in prompts]
    return torch.stack([part.mean(dim=0) for part in keys.split(sizes)])
