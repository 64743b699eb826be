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
#: labels that only say which word stands there, or before: kept apart from what the context says
LEXICAL = ("token", "previous")
#: so is every predicate that the word alone foretells with this F1
FORETOLD = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Truths:
    """Predicates and where they hold.

    Attributes:
        names: (label, value) of each.
        holds: ``[predicate, token]`` in compressed rows (scipy), 1 where it holds; tokens of all documents in a row.
        places: indices of the tokens of each split.
        lexical: whether the word that stands there, or before, decides it, bool ``[predicate]``. Units of an untrained model
            are functions of the word, so scores against such predicates say little about what was learnt.
    """

    names: tuple[tuple[str, str], ...]
    holds: Any
    places: Mapping[Split, NDArray[np.int64]]
    lexical: NDArray[np.bool_]

    def of(self, split: Split) -> Any:
        """``[predicate, token of the split]``, compressed rows."""
        return self.holds[:, self.places[split]]

    def at(self, predicates: NDArray[np.int64], split: Split) -> NDArray[np.bool_]:
        """Where some predicates hold, dense: bool ``[given predicate, token of the split]``."""
        return self.of(split)[predicates].toarray() > 0

    def contextual(self) -> Truths:
        """Those that only the context decides; all where there are none."""
        chosen = np.flatnonzero(~self.lexical)
        if not len(chosen):
            return self
        return Truths(
            names=tuple(self.names[n] for n in chosen),
            holds=self.holds[chosen],
            places=self.places,
            lexical=self.lexical[chosen],
        )


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
    named = np.array([label in LEXICAL for label, _ in names])
    lexical = named | (foretold(holds, documents.ids[:, :-1].reshape(-1)) >= FORETOLD)
    return Truths(names=tuple(names), holds=holds, places=places, lexical=lexical)


def foretold(holds: Any, ids: NDArray[np.int64]) -> NDArray[np.float64]:
    """F1 of the best prediction of each predicate from the word alone, on these very tokens, ``[predicate]``.

    Args:
        holds: sparse ``[predicate, token]``. ids: the word at each token.
    """
    from scipy import sparse

    words = sparse.csr_matrix((np.ones(len(ids), np.float32), (np.arange(len(ids)), ids)))
    counts = (holds @ words).toarray()
    whole = np.asarray(words.sum(axis=0)).reshape(-1)
    said = 2 * counts > whole
    right, shown = (counts * said).sum(axis=1), (whole * said).sum(axis=1)
    return 2 * right / np.maximum(shown + counts.sum(axis=1), 1)
