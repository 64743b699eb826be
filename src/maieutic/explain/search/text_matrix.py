"""The sparse matrix of conditions over discover positions that the text search looks through.

A column is a condition that some predicate evaluates (``Feature.predicate``); a row is a position. The matrix depends
on the corpus and the tokens only, so all units of a subject share it. It knows no activations.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from maieutic.explain.predicates.base import Predicate
from maieutic.explain.predicates.text import HasAffix, TokenIn
from maieutic.explain.predicates.text_windows import among, back, reached, since
from maieutic.explain.search.text_features import NEAR, Feature
from maieutic.explain.search.text_quantities import Binned, Ranges

#: share of the positions from which on it is quicker to go through all of them
_MANY = 0.3


@dataclass(frozen=True, slots=True)
class Words:
    """Some of the conditions of a matrix.

    Attributes:
        chosen: which columns.
        folded: CSR ``[fold x chosen, position]``.
    """

    chosen: NDArray[np.int64]
    folded: Any
    folds: int

    def sums(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sum of the values over the positions of each, ``[fold, chosen]``."""
        return _summed(self.folded, values, self.folds)


@dataclass(frozen=True, kw_only=True)
class FeatureMatrix:
    """Positions by conditions, ``[position, feature]``, 0 or 1, and what else is known of the positions.

    Attributes:
        features: one per column.
        matrix: CSC float32, 0 or 1, ``[position, feature]``.
        fold: cross-validation fold of each position, by group; 0 to ``folds`` - 1.
        lengths: positions of each stimulus, in order.
        levels: per level of ``Phrases``: the key id of each position, and the keys.
        aliases: column -> other conditions that hold at exactly the same positions.
        group: document of each position.
        quantities: amounts of each position, in bins.
        kept: what searches remember of these positions.
        words, previous_words: id of each position's (previous) token without outer spaces, lower case, and the names.
    """

    features: list[Feature]
    matrix: Any
    fold: NDArray[np.int64]
    folds: int
    lengths: NDArray[np.int64]
    levels: Mapping[str, tuple[NDArray[np.int64], list[Any]]]
    aliases: Mapping[int, tuple[Feature, ...]]
    group: NDArray[np.int64]
    words: tuple[NDArray[np.int64], list[str]]
    previous_words: tuple[NDArray[np.int64], list[str]]
    quantities: Sequence[Binned] = ()
    text_level: bool = False
    kept: dict[Any, Any] = field(default_factory=dict[Any, Any], repr=False, compare=False)

    @property
    def positions(self) -> int:
        """Number of positions."""
        return self.matrix.shape[0]

    @cached_property
    def columns(self) -> Any:
        """The transposed matrix as CSR, ``[feature, position]``."""
        return self.matrix.T.tocsr()

    @cached_property
    def rows(self) -> Any:
        """The matrix as CSR."""
        return self.matrix.tocsr()

    @cached_property
    def _cells(self) -> Any:
        """CSR ``[position, fold x feature]``: the condition and the fold in one number."""
        rows, n = self.rows, len(self.features)
        cells = rows.indices + np.repeat(self.fold * n, np.diff(rows.indptr)).astype(rows.indices.dtype)
        return sp.csr_matrix((rows.data, cells, rows.indptr), shape=(rows.shape[0], n * self.folds))

    @cached_property
    def _folded(self) -> Any:
        """CSR ``[fold x feature, position]``."""
        return self._cells.T.tocsr()

    @cached_property
    def counts(self) -> NDArray[np.float64]:
        """Positions of each condition in each fold, ``[fold, feature]``."""
        return np.diff(self._folded.indptr).reshape(self.folds, -1).astype(np.float64)

    def sums(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sum of the values over the positions of each condition, ``[fold, feature]``."""
        return _summed(self._folded, values, self.folds)

    def sums_at(
        self, at: NDArray[np.int64], values: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The same over some positions, ascending, given their values; and how many of them each condition holds at."""
        if len(at) > _MANY * self.positions:
            told, held = np.zeros(self.positions), np.zeros(self.positions)
            told[at], held[at] = values, 1.0
            return self.sums(told), self.sums(held)
        picked = self._cells[at]
        count = np.bincount(picked.indices, minlength=picked.shape[1]).reshape(self.folds, -1)
        return _summed(picked.T, values, self.folds), count.astype(np.float64)

    @cached_property
    def ranges(self) -> Ranges:
        """Ranges and ramps of the quantities."""
        return Ranges(self.quantities, self.fold, self.folds)

    @cached_property
    def ease(self) -> NDArray[np.float64]:
        """How readily a person would say each condition; multiplies its gain."""
        return np.array([f.ease for f in self.features])

    @cached_property
    def _here(self) -> dict[str, int]:
        """Conditions on the token itself, by their predicates."""
        return {repr(f.predicate()): j for j, f in enumerate(self.features) if f.where == 0}

    @cached_property
    def known(self) -> Mapping[str, int]:
        """Token without outer spaces, lower case -> its id in ``words``."""
        return {name: i for i, name in enumerate(self.words[1])}

    def one_of(self, words: Iterable[str]) -> NDArray[np.bool_]:
        """Positions whose token is one of the words."""
        ids, names = self.words
        inside = np.zeros(len(names), dtype=np.bool_)
        inside[[self.known[w] for w in words if w in self.known]] = True
        return inside[ids]

    def where_now(self, predicate: Predicate) -> NDArray[np.bool_] | None:
        """Positions whose own token meets a condition; ``None`` when the matrix does not know it."""
        if isinstance(predicate, TokenIn) and not predicate.exact:
            return self.one_of(predicate.words)
        if isinstance(predicate, HasAffix):
            ids, names = self.levels["word"]
            return np.array([predicate.held_by(w) for w in names], dtype=np.bool_)[ids]
        j = self._here.get(repr(predicate))
        return None if j is None else self.column(j) > 0.5

    @cached_property
    def lookback(self) -> Mapping[int | str, Words]:
        """Words by how far back they are looked for."""
        out: dict[int | str, Words] = {}
        for where in (1, 2, 3, *NEAR, "topic"):
            found = [j for j, f in enumerate(self.features) if f.where == where and f.part == "token"]
            chosen = np.array(found, dtype=np.int64)
            rows = (np.arange(self.folds)[:, None] * len(self.features) + chosen).ravel()
            out[where] = Words(chosen, self._folded[rows], self.folds)
        return out

    @cached_property
    def bounds(self) -> NDArray[np.int64]:
        """First position of each stimulus, and the end of the last, ``[stimulus + 1]``."""
        return np.concatenate([[0], np.cumsum(self.lengths)]).astype(np.int64)

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """First position of the stimulus that each position is in."""
        return np.repeat(self.bounds[:-1], self.lengths)

    def shifted_words(self, n: int) -> NDArray[np.int64]:
        """Id of the word ``n`` positions earlier in the same text; a number of its own where there is none."""
        ids, names = self.words
        at = np.arange(len(ids)) - n
        # names[-1] stands in: the last word by appearance is as rare as any, and counts there for nothing much
        return np.where(at >= self.starts, ids[np.maximum(at, 0)], len(names) - 1)

    def reached(self, inner: NDArray[np.bool_], n: int) -> NDArray[np.float64]:
        """Where ``inner`` holds at any of the ``n`` earlier positions of the same text."""
        return reached(inner, n, self.starts)

    def among(self, inner: NDArray[np.bool_], n: int) -> NDArray[np.float64]:
        """How many of the last ``n`` positions of the text, this one included, meet ``inner``."""
        return among(inner, n, self.starts)

    def since(self, inner: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Positions since ``inner`` last held before in the same text; infinite when never."""
        return since(inner, self.starts)

    def back(self, inner: NDArray[np.bool_], n: int) -> NDArray[np.float64]:
        """Where ``inner`` holds exactly ``n`` positions earlier in the same text."""
        return back(inner, n, self.starts)

    @cached_property
    def line(self) -> NDArray[np.float64]:
        """Token of the line at each position, from 1."""
        found = [q.values for q in self.quantities if q.name == "token of the line"]
        return found[0] if found else np.full(self.positions, np.inf)

    def column(self, j: int) -> NDArray[np.float64]:
        """One condition over all positions, dense."""
        out = np.zeros(self.positions)
        lo, hi = self.matrix.indptr[j], self.matrix.indptr[j + 1]
        out[self.matrix.indices[lo:hi]] = 1.0
        return out


def _summed(matrix: Any, values: NDArray[np.float64], folds: int) -> NDArray[np.float64]:
    """A product in single precision, each sum in the order of positions, so that equal columns have equal sums."""
    return (matrix @ values.astype(np.float32)).reshape(folds, -1).astype(np.float64)


def hash_of(array: NDArray[Any]) -> int:
    """A stable digest of an array (``hash`` of bytes is salted)."""
    data = np.ascontiguousarray(array).tobytes()
    return (zlib.crc32(data) << 32) | zlib.adler32(data)
