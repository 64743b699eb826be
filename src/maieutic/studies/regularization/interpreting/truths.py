"""Predicates of a corpus as one sparse matrix, and the split of its tokens: what units are compared with.

A predicate is a value of a label (``category = town``). Predicates that hold at the very same tokens are one: the first.

What this module does not do: compare (`predicates`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maieutic.errors import UserError
from maieutic.stimuli.base import SPLITS, Split
from maieutic.studies.regularization.documents import Documents

#: tokens at which a predicate holds at least, by split: choosing needs more than testing
LEAST: Mapping[Split, int] = {"discover": 20, "select": 5, "test": 5}
#: share of tokens at which it holds at most
MOST = 0.5
#: labels that only say which word stands there: kept apart from what the context says
LEXICAL = ("token", "previous")


@dataclass(frozen=True, slots=True, kw_only=True)
class Truths:
    """Predicates and where they hold.

    Attributes:
        names: (label, value) of each.
        holds: ``[predicate, token]`` in compressed rows (scipy), 1 where it holds; tokens of all documents in a row.
        places: indices of the tokens of each split.
    """

    names: tuple[tuple[str, str], ...]
    holds: Any
    places: Mapping[Split, NDArray[np.int64]]

    def of(self, split: Split) -> Any:
        """``[predicate, token of the split]``, compressed rows."""
        return self.holds[:, self.places[split]]

    def at(self, predicates: NDArray[np.int64], split: Split) -> NDArray[np.bool_]:
        """Where some predicates hold, dense: bool ``[given predicate, token of the split]``."""
        return self.of(split)[predicates].toarray() > 0

    def lexical(self) -> NDArray[np.bool_]:
        """Which predicates only say which word stands there, ``[predicate]``."""
        return np.array([label in LEXICAL for label, _ in self.names])


def truths_of(documents: Documents) -> Truths:
    """Every predicate that holds often enough in each split and at no more than half of the tokens.

    Raises:
        UserError: a split has no documents, or no predicate holds often enough.
    """
    from scipy import sparse

    width = documents.ids.shape[1] - 1
    split = np.repeat(np.array([SPLITS.index(s) for s in documents.splits]), width)
    places: dict[Split, NDArray[np.int64]] = {s: np.flatnonzero(split == n) for n, s in enumerate(SPLITS)}
    names: list[tuple[str, str]] = []
    rows: list[NDArray[np.int64]] = []
    known: set[bytes] = set()
    for label, value, mask in documents.predicates(least=sum(LEAST.values()), most=MOST):
        found = np.flatnonzero(mask.reshape(-1))
        counts = np.bincount(split[found], minlength=len(SPLITS))
        enough = all(counts[SPLITS.index(s)] >= least for s, least in LEAST.items())
        if enough and found.tobytes() not in known:
            known.add(found.tobytes())
            names.append((label, value))
            rows.append(found)
    if not names:
        raise UserError("no label holds often enough to compare units with: measure on more documents")
    ends = np.cumsum([0, *map(len, rows)])
    holds = sparse.csr_matrix(
        (np.ones(int(ends[-1]), np.float32), np.concatenate(rows), ends), shape=(len(rows), len(split))
    )
    return Truths(names=tuple(names), holds=holds, places=places)
