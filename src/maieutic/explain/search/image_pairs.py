"""Clauses of two conditions: "A and B", "A but not B", "A left of B", scored all at once against what is unexplained.

For conditions that hold or not, what a pair explains follows from sums over images, so that all pairs of a few hundred
conditions cost a few matrix products. Relations are tried for the best pairs of things only. It chooses nothing: the
beam search of `image_fit` does.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from maieutic.explain.search.image_table import Clause, ImageTable

Floats = NDArray[np.float64]
#: conditions that the first of a pair is chosen from, and the second
_FIRST, _SECOND = 120, 320
#: pairs kept of each sort, and pairs of things whose relations are tried
_KEPT, _RELATED = 5, 40
#: weight of images that a pair must hold on, as a share of the whole
_LEAST = 0.003
_RIDGE = 2.0


class Pairs:
    """Pairs of some conditions of a table, for images of given weights.

    Args:
        table: all conditions.
        weight: of each image, ``[image]``.
        keep: conditions that may be used, ``[clause]``.
    """

    def __init__(self, table: ImageTable, weight: Floats, keep: NDArray[np.bool_]) -> None:
        self._table, self._weight = table, weight
        self._crisp = table.crisp[keep[table.crisp]]
        self._columns = table.matrix[:, self._crisp]
        self._w = (weight / weight.sum()).astype(np.float32)
        self._mass = self._columns.T @ self._w

    def best(self, residual: Floats) -> list[Clause]:
        """The pairs that explain most of what is left, and more than either part: a few of each sort."""
        crisp, columns, mass, w = self._crisp, self._columns, self._mass, self._w
        if not len(crisp):
            return []
        total = float(self._weight.sum())
        wr = w * (residual - np.average(residual, weights=self._weight)).astype(np.float32)
        slope = columns.T @ wr
        single = _gain(slope, mass, total)
        rising = np.where(slope > 0, single, 0.0)
        first = np.argsort(-rising, kind="stable")[:_FIRST]
        first = first[rising[first] > 0]
        # the second may be anything when it is denied, and anything that rises when both are asked for
        second = np.argsort(-np.where(slope > 0, single + 1.0, mass), kind="stable")[:_SECOND]
        a, b = columns[:, first], columns[:, second]
        held_slope, held_mass = (a * wr[:, None]).T @ b, (a * w[:, None]).T @ b
        alone = np.maximum(single[first][:, None], np.where(slope[second] > 0, single[second], 0.0)[None])
        both = _gain(held_slope, held_mass, total)
        both = np.where((held_slope > 0) & (held_mass > _LEAST) & (both > 1.02 * alone), both, 0.0)
        out = self._both(_top(both, _RELATED), first, second, wr)
        rest_slope, rest_mass = slope[first][:, None] - held_slope, mass[first][:, None] - held_mass
        apart = _gain(rest_slope, rest_mass, total)
        apart = np.where(
            (rest_slope > 0) & (rest_mass > _LEAST) & (held_mass > _LEAST) & (apart > 1.02 * single[first][:, None]),
            apart,
            0.0,
        )
        clauses = self._table.clauses
        return out + [
            clauses[crisp[first[i]]].joined(clauses[crisp[second[j]]], without=True) for i, j in _top(apart, _KEPT)
        ]

    def _both(
        self, found: list[tuple[int, int]], first: NDArray[np.int64], second: NDArray[np.int64], wr: NDArray[np.float32]
    ) -> list[Clause]:
        """The best pairs that hold together, each once, and relations of the things that pairs name."""
        clauses, crisp = self._table.clauses, self._crisp
        pairs = [(int(crisp[first[i]]), int(crisp[second[j]])) for i, j in found]
        picked: dict[frozenset[int], tuple[int, int]] = {}
        for pair in pairs:
            picked.setdefault(frozenset(pair), pair)
        out = [clauses[i].joined(clauses[j]) for i, j in list(picked.values())[:_KEPT]]
        named = dict.fromkeys((min(pair), max(pair)) for pair in pairs)
        return out + _related(self._table, list(named), wr, self._w)


def best_pair_gain(table: ImageTable, y: Floats, weight: Floats) -> float:
    """The largest share of the weighted variance that two conditions together take away, or one without another."""
    residual = y - np.average(y, weights=weight)
    columns = table.matrix[:, table.crisp]
    w = (weight / weight.sum()).astype(np.float32)
    wr = w * residual.astype(np.float32)
    slope, mass = columns.T @ wr, columns.T @ w
    first = np.argsort(-np.where(slope > 0, _gain(slope, mass, float(weight.sum())), 0.0), kind="stable")[:_FIRST]
    a = columns[:, first]
    held_slope, held_mass = (a * wr[:, None]).T @ columns, (a * w[:, None]).T @ columns
    both = np.where(held_mass > _LEAST, _gain(held_slope, held_mass, float(weight.sum())), 0.0)
    rest_slope, rest_mass = slope[first][:, None] - held_slope, mass[first][:, None] - held_mass
    apart = np.where(rest_mass > _LEAST, _gain(rest_slope, rest_mass, float(weight.sum())), 0.0)
    total = float(np.average(residual**2, weights=weight))
    return max(float(both.max(initial=0.0)), float(apart.max(initial=0.0))) / max(total, 1e-12)


def _gain(slope: NDArray[np.float32], mass: NDArray[np.float32], total: float) -> NDArray[np.float32]:
    """Squared residual that a condition takes away, from its weighted sums (as if it held or not)."""
    return slope**2 / (np.maximum(mass - mass * mass, np.float32(1e-6)) + np.float32(_RIDGE / total))


def _top(gains: NDArray[np.float32], n: int) -> list[tuple[int, int]]:
    """Row and column of the largest positive gains."""
    flat = gains.ravel()
    some = np.argpartition(-flat, min(n, flat.size - 1))[:n] if flat.size else np.zeros(0, dtype=np.int64)
    order = sorted((int(k) for k in some if flat[k] > 0), key=lambda k: (-float(flat[k]), k))
    return [(k // gains.shape[1], k % gains.shape[1]) for k in order]


def _related(
    table: ImageTable, pairs: list[tuple[int, int]], wr: NDArray[np.float32], w: NDArray[np.float32]
) -> list[Clause]:
    """Relations of the things that the best pairs name, where they explain more than being together."""
    names: list[tuple[str, str]] = []
    for i, j in pairs:
        a, b = (getattr(table.clauses[k].predicate, "concept", "") for k in (i, j))
        if a and b and ":" not in f"{a}{b}":
            names += [(a, b), (b, a)]
    ridge = _RIDGE * float(w.max())
    scored: list[tuple[float, int, Clause]] = []
    for k, (a, b) in enumerate(dict.fromkeys(names)):
        for clause in table.related(a, b):
            slope, mass = float(clause.column @ wr), float(clause.column @ w)
            if slope > 0 and mass > _LEAST:
                scored.append((-(slope**2 / (max(mass - mass * mass, 1e-6) + ridge)), k, clause))
    return [clause for _, _, clause in sorted(scored, key=lambda s: s[:2])[:_KEPT]]
