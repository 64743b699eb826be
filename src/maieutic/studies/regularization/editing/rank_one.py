"""Rank-one edits of one output matrix (ROME: Meng et al. 2022, "Locating and editing factual associations in GPT", equation 2).

``W' = W + strength * (v* - W k*) (C^-1 k*)^T / ((C^-1 k*)^T k*)``. At strength 1 the edited matrix maps the key to the value:
``W' k* = v*``; keys that are orthogonal to ``k*`` under ``C^-1`` are mapped as before.

What this module does not do: find values (`values`) or keys (`keys`).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from maieutic.studies.regularization.editing.keys import RIDGE, Spread


@dataclass(frozen=True, slots=True, kw_only=True)
class RankOne:
    """Edits of one matrix, each by itself: ``W + strength * outer(left[n], right[n])``.

    Attributes:
        left: ``[edit, d_model]``: what an edit adds at its own key.
        right: ``[edit, d_mlp]``: how much of it a key gets, ``right . k``; 1 at its own.
    """

    left: Tensor
    right: Tensor

    def __len__(self) -> int:
        return len(self.left)

    def change(self, edit: int, *, strength: float = 1.0) -> Tensor:
        """What is added to the matrix, ``[d_model, d_mlp]``."""
        return strength * torch.outer(self.left[edit], self.right[edit])

    def added(self, keys: Tensor, edits: Tensor, *, strength: float = 1.0) -> Tensor:
        """What edits add to the residual stream.

        Args:
            keys: ``[row, position, d_mlp]``. edits: which edit a row has, ``[row]``.

        Returns:
            ``[row, position, d_model]``.
        """
        share = (keys @ self.right[edits].unsqueeze(-1)) * strength
        return share * self.left[edits].unsqueeze(1)

    def norms(self) -> Tensor:
        """Frobenius norm of each change at strength 1, ``[edit]``: that of a rank-one matrix is a product."""
        return self.left.norm(dim=1) * self.right.norm(dim=1)


def rank_one(weight: Tensor, keys: Tensor, values: Tensor, spread: Spread, *, ridge: float = RIDGE) -> RankOne:
    """The edits that map each key to its value.

    Args:
        weight: the matrix, ``[d_model, d_mlp]``. keys: ``[edit, d_mlp]``. values: ``[edit, d_model]``.
        spread: of keys over text. ridge: share of the mean diagonal of C.
    """
    wide = keys.double()
    white = spread.whitened(wide, share=ridge)
    right = white / (white * wide).sum(dim=1, keepdim=True)
    left = values.double() - wide @ weight.double().T
    return RankOne(left=left.to(weight.dtype), right=right.to(weight.dtype))
