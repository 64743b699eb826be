"""The matrix of conditions made from a corpus, once for all units of a subject.

What is at a position (token, word, classes, structure, endings, numbers, place) is read from the book's columns; what came
before it follows by products with matrices that look back. It knows no activations.
"""

from __future__ import annotations

import zlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from maieutic.explain.search.text_features import EARLY, NEAR, NUMBERS, TOPIC, Feature, Named, Part
from maieutic.explain.search.text_matrix import FeatureMatrix, hash_of
from maieutic.explain.search.text_quantities import binned
from maieutic.explain.views_text import LEVELS
from maieutic.explain.views_text_book import Column, TextBook

#: a row of the table of what is at each position: position, number of the condition, its rank at the position
Held = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]


def build(book: TextBook, groups: Sequence[str], *, folds: int = 4, support: int = 8) -> FeatureMatrix:
    """The matrix of these texts; of texts with one value each, a condition holds where any token meets it.

    Args:
        book: the texts.
        groups: document of each text; positions of one document share a fold.
        folds: cross-validation folds.
        support: fewest positions (and 3 documents) that a condition must hold at.

    Cost: about 2 s for 60,000 positions.
    """
    here, names = _here(book.per_token)
    lengths, whole = book.lengths, book.text_level
    known = {g: i for i, g in enumerate(dict.fromkeys(groups))}
    group = np.array([known[g] for g in groups], dtype=np.int64)
    blocks, features = _blocks(here, names, book.starts, support=support)
    everything = sp.hstack(blocks, format="csc")
    if whole:
        everything = _per_text(everything, lengths)
    else:
        group = np.repeat(group, lengths)
    matrix, features, aliases = _supported(everything, features, group, support)
    none: Column = (np.zeros(0, dtype=np.int64), [])
    return FeatureMatrix(
        features=features, matrix=matrix, fold=_balanced_folds(group, folds), folds=folds,
        lengths=lengths, group=group, aliases=aliases,
        levels={} if whole else {level: book.column(level) for level in LEVELS},
        words=none if whole else book.column("key"),
        previous_words=none if whole else _previous(book),
        quantities=() if whole else binned(book),
        text_level=whole,
    )  # fmt: skip


def _previous(book: TextBook) -> Column:
    """The token before each, ``""`` at the beginning of a text."""
    ids, names = book.column("key")
    none = book.known("key").get("", len(names))
    before = np.where(book.place > 0, np.concatenate([[0], ids])[: len(ids)], none)
    codes, first, inverse = np.unique(before, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return rank[inverse], [[*names, ""][int(c)] for c in codes[order]]


# --- what is at a position -----------------------------------------------------------------------------------------
def _here(book: TextBook) -> tuple[Any, list[Named]]:
    """CSR ``[position, condition]`` of what holds at each position itself, and the conditions by first appearance."""
    names: dict[Named, int] = {}
    key, word = book.column("key"), book.column("word")
    other = np.array(key[1], dtype=object)[key[0]] != np.array(word[1], dtype=object)[word[0]]
    number, place = book.quantity("number"), book.place
    parts: list[Held] = [
        _spread(names, "token", key, lambda k: [k]),
        _spread(names, "word", word, lambda w: [w], at=np.flatnonzero(other)),
        _spread(names, "class", book.column("classes"), list),
        _spread(names, "structure", book.column("structure"), list),
        _spread(names, "affix", word, _affixes),
        *(_where(names, "number", f"{lo:g}..{hi:g}", (number >= lo) & (number <= hi)) for lo, hi in NUMBERS),
        *(_where(names, "position", str(e), place <= e) for e in EARLY),
    ]
    row, feature = (np.concatenate([p[i] for p in parts]) for i in (0, 1))
    rank = np.concatenate([p[2] + 1000 * k for k, p in enumerate(parts)])
    first = np.full(len(names), np.iinfo(np.int64).max)
    np.minimum.at(first, feature, row * (1000 * len(parts)) + rank)
    seen = np.flatnonzero(first < np.iinfo(np.int64).max)
    order = seen[np.argsort(first[seen])]
    renamed = np.full(len(names), -1)
    renamed[order] = np.arange(len(order))
    shape = (book.size, len(order))
    here = sp.csr_matrix((np.ones(len(row), np.float32), (row, renamed[feature])), shape=shape)
    found = list(names)
    return here, [found[int(j)] for j in order]


def _affixes(word: str) -> list[str]:
    if not word.isalpha():
        return []
    lengths = [k for k in (2, 3, 4) if len(word) > k]
    return [*(f"-{word[-k:]}" for k in lengths), *(f"{word[:k]}-" for k in lengths)]


def _spread(
    names: dict[Named, int], part: Part, column: Column, values: Callable[[Any], Sequence[str]],
    *, at: NDArray[np.int64] | None = None,
) -> Held:  # fmt: skip
    """Every position with each of the conditions that its item brings."""
    ids, items = column
    at = np.arange(len(ids)) if at is None else at
    brought = [[names.setdefault((part, v), len(names)) for v in dict.fromkeys(values(i))] for i in items]
    count = np.array([len(b) for b in brought], dtype=np.int64)
    flat = np.array([j for b in brought for j in b], dtype=np.int64)
    begin = np.concatenate([[0], np.cumsum(count)]).astype(np.int64)
    many = count[ids[at]]
    rank = np.arange(int(many.sum())) - np.repeat(np.cumsum(many) - many, many)
    return np.repeat(at, many), flat[np.repeat(begin[ids[at]], many) + rank], rank


def _where(names: dict[Named, int], part: Part, value: str, held: NDArray[np.bool_]) -> Held:
    at, j = np.flatnonzero(held), names.setdefault((part, value), len(names))
    return at, np.full(len(at), j), np.zeros(len(at), dtype=np.int64)


# --- what came before it -------------------------------------------------------------------------------------------
def _per_text(matrix: Any, lengths: NDArray[np.int64]) -> Any:
    owner = np.repeat(np.arange(len(lengths)), lengths)
    gather = sp.csr_matrix(
        (np.ones(len(owner), np.float32), (owner, np.arange(len(owner)))), shape=(len(lengths), len(owner))
    )
    out = (gather @ matrix).tocsc()
    out.data[:] = 1.0
    return out


def _balanced_folds(group: NDArray[np.int64], folds: int) -> NDArray[np.int64]:
    order = np.random.default_rng(0).permutation(int(group.max()) + 1 if len(group) else 1)
    return order[group] % folds


def _blocks(
    here: Any, names: list[Named], start: NDArray[np.int64], *, support: int
) -> tuple[list[Any], list[Feature]]:
    count = np.asarray(here.sum(axis=0)).ravel()
    kind = np.array([n[0] for n in names])
    content = np.array([n[0] == "token" and len(n[1]) > 2 and n[1].isalpha() for n in names])
    enough = count >= support
    wanted: list[tuple[int | str, NDArray[np.bool_]]] = [
        (0, enough),
        (1, enough & np.isin(kind, ["token", "word", "class", "affix", "number"])),
        (2, enough & np.isin(kind, ["token", "class"])),
        (3, enough & (kind == "token")),
        ("near", enough & (kind == "token")),
        ("further", enough & (kind == "token")),
        ("topic", enough & content),
    ]
    blocks: list[Any] = []
    features: list[Feature] = []
    for where, mask in wanted:
        columns = np.flatnonzero(mask)
        block = here[:, columns]
        if isinstance(where, int):
            block = _back(block, start, where)
        else:
            reach = range(TOPIC) if where == "topic" else range(1, NEAR[where] + 1)
            block = _any(block, start, reach)
        blocks.append(block)
        features += [Feature(names[j][0], names[j][1], where) for j in columns]
    return blocks, features


def _back(block: Any, start: NDArray[np.int64], back: int) -> Any:
    if back == 0:
        return block
    n = block.shape[0]
    at = np.arange(n)
    inside = at - back >= start
    mover = sp.csr_matrix((np.ones(int(inside.sum()), np.float32), (at[inside], at[inside] - back)), shape=(n, n))
    return mover @ block


def _any(block: Any, start: NDArray[np.int64], reach: range) -> Any:
    n = block.shape[0]
    at = np.arange(n)
    rows = np.concatenate([at[at - b >= start] for b in reach])
    columns = np.concatenate([at[at - b >= start] - b for b in reach])
    out = sp.csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), shape=(n, n)) @ block
    out.data[:] = 1.0
    return out


def _supported(
    matrix: Any, features: list[Feature], group: NDArray[np.int64], support: int
) -> tuple[Any, list[Feature], dict[int, tuple[Feature, ...]]]:
    """Drop conditions that are rare, nearly always true, in too few documents, or alike in all positions to another."""
    n = matrix.shape[0]
    by_group = sp.csr_matrix((np.ones(n, np.float32), (group, np.arange(n))), shape=(int(group.max()) + 1, n)) @ matrix
    documents = np.diff(by_group.tocsc().indptr)
    count = np.diff(matrix.indptr)
    keep = np.flatnonzero((count >= support) & (documents >= 3) & (count < 0.95 * n))
    seen: dict[int, int] = {}
    unique: list[int] = []
    aliases: dict[int, tuple[Feature, ...]] = {}
    matrix.sort_indices()
    for j in keep:
        digest = hash_of(matrix.indices[matrix.indptr[j] : matrix.indptr[j + 1]])
        if digest in seen:
            aliases[seen[digest]] = (*aliases.get(seen[digest], ()), features[j])
            continue
        seen[digest] = len(unique)
        unique.append(int(j))
    return matrix[:, unique], [features[j] for j in unique], aliases


# --- shared --------------------------------------------------------------------------------------------------------
#: the latest matrices, by the digest of the texts with their tokens and of their documents
_MATRICES: OrderedDict[tuple[int, int, bool], FeatureMatrix] = OrderedDict()
_KEPT = 2


def matrix_of(book: TextBook, groups: Sequence[str]) -> FeatureMatrix:
    """The matrix of a book, made once; subjects that split texts alike (an untrained copy) share it."""
    key = (book.digest, zlib.crc32("\0".join(groups).encode("utf-8", "surrogatepass")), book.text_level)
    if key not in _MATRICES:
        _MATRICES[key] = build(book, groups)
        while len(_MATRICES) > _KEPT:
            _MATRICES.popitem(last=False)
    return _MATRICES[key]
