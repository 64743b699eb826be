"""Many edits of one matrix at once (MEMIT: Meng et al. 2023, "Mass-editing memory in a transformer", equation 14).

``dW = R K^T (lambda C + K K^T)^-1`` with the keys as columns of K and ``r = v* - W k*`` as columns of R: the least change, as C
weighs it, among those that come near every value. Worked out as ``R (lambda I + K^T C^-1 K)^-1 K^T C^-1``, which is the same
(Woodbury) and stays exact as lambda goes to 0, where every value is met and one edit is the rank-one edit.

One layer is changed, where the published method spreads the change over several: the models of the study have three. What
this module does not do: find values.
"""

from __future__ import annotations

import torch
from torch import Tensor

from maieutic.studies.regularization.editing.keys import RIDGE, Spread

#: weight of what text has at its keys against one edit; chosen on development seeds from 100 on
STIFFNESS = 200.0


def memit(
    weight: Tensor,
    keys: Tensor,
    values: Tensor,
    spread: Spread,
    *,
    stiffness: float = STIFFNESS,
    ridge: float = RIDGE,
) -> Tensor:
    """What is added to the matrix, ``[d_model, d_mlp]``; worked out in double precision.

    Args:
        weight: the matrix, ``[d_model, d_mlp]``. keys: ``[edit, d_mlp]``. values: ``[edit, d_model]``.
        spread: of keys over text. stiffness: lambda; at 0 the keys must be linearly independent.
        ridge: share of the mean diagonal of C.
    """
    wide = keys.double()
    residual = values.double() - wide @ weight.double().T
    white = spread.whitened(wide, share=ridge)
    system = stiffness * torch.eye(len(wide), dtype=torch.float64) + wide @ white.T
    return (residual.T @ torch.linalg.solve(system, white)).to(weight.dtype)
