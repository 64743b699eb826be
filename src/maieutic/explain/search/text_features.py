"""The sparse matrix of conditions over discover positions that the text search looks through.

A column is a condition that some predicate evaluates (``Feature.predicate``); a row is a position. The matrix depends
on the corpus and the tokens only, so it is built once and shared by all units of a subject. It knows no activations.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from maieutic.explain.predicates.base import Predicate
from maieutic.explain.predicates.text import (
    HasAffix,
    NumberRange,
    Position,
    PreviousIs,
    Structure,
    TokenClass,
    TokenIn,
    TopicWords,
    WithinLast,
    WordIn,
)
from maieutic.explain.predicates.text_rules import LEVELS, Anywhere, phrase_keys
from maieutic.explain.search.text_quantities import Binned, binned
from maieutic.explain.views_text import TextView

Part = Literal["token", "word", "class", "affix", "structure", "number", "position"]
Named = tuple[Part, str]

#: number ranges that people name
NUMBERS: tuple[tuple[float, float], ...] = (
    (0, 1),
    (0, 9),
    (1, 12),
    (10, 31),
    (10, 99),
    (100, 999),
    (1000, 9999),
    (1500, 2100),
    (10000, 1e15),
)
_EARLY = (0, 1, 2, 3, 7, 15)
_TOPIC = 30
#: reach of "within the last n tokens"; the search later settles n more finely
_NEAR: Mapping[str, int] = {"near": 4, "further": 16}


@dataclass(frozen=True, slots=True)
class Feature:
    """A condition: ``part`` with ``value``, held by the token (``where`` 0), so many tokens back, or in a window."""

    part: Part
    value: str
    where: int | str = 0

    def predicate(self, *, text_level: bool = False) -> Predicate:
        """The condition as a predicate; with ``text_level``, of the whole text."""
        if text_level:
            return Anywhere(part=self.predicate())
        if self.where == "topic":
            return TopicWords(words=(self.value,), n=_TOPIC)
        here = self._here()
        if self.where == 0:
            return here
        if isinstance(self.where, str):
            return WithinLast(part=here, n=_NEAR[self.where])
        return PreviousIs(part=here, back=self.where)

    def _here(self) -> Predicate:
        builders: dict[str, Callable[[str], Predicate]] = {
            "token": lambda v: TokenIn(words=(v,)),
            "word": lambda v: WordIn(words=(v,)),
            "class": lambda v: TokenClass(name=v),
            "structure": lambda v: Structure(name=v),
            "affix": lambda v: HasAffix(suffix=v[1:]) if v[0] == "-" else HasAffix(prefix=v[:-1]),
            "number": lambda v: NumberRange(low=float(v.split("..")[0]), high=float(v.split("..")[1])),
            "position": lambda v: Position(last=int(v)),
        }
        return builders[self.part](self.value)


@dataclass(frozen=True, kw_only=True)
class FeatureMatrix:
    """Positions by conditions.

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

    @cached_property
    def rows(self) -> Any:
        """The matrix as CSR."""
        return self.matrix.tocsr()

    @cached_property
    def columns(self) -> Any:
        """The transposed matrix as CSR, ``[feature, position]``."""
        return self.matrix.T.tocsr()

    @cached_property
    def onehot(self) -> NDArray[np.float32]:
        """``[position, fold]``."""
        out = np.zeros((self.matrix.shape[0], self.folds), dtype=np.float32)
        out[np.arange(len(out)), self.fold] = 1.0
        return out

    @cached_property
    def counts(self) -> NDArray[np.float64]:
        """Positions of each condition in each fold, ``[feature, fold]``."""
        return np.asarray(self.columns @ self.onehot, dtype=np.float64)

    @cached_property
    def ease(self) -> NDArray[np.float64]:
        """How readily a person would say each condition; multiplies its gain."""
        return np.array([_ease(f) for f in self.features])

    @cached_property
    def _here(self) -> dict[str, int]:
        """Conditions on the token itself, by their predicates."""
        return {repr(f.predicate()): j for j, f in enumerate(self.features) if f.where == 0}

    def where_now(self, predicate: Predicate) -> NDArray[np.bool_] | None:
        """Positions whose own token meets a condition; ``None`` when the matrix does not know it."""
        if isinstance(predicate, TokenIn) and not predicate.exact:
            ids, names = self.words
            known = {name: i for i, name in enumerate(names)}
            return np.isin(ids, [known[w] for w in predicate.words if w in known])
        if isinstance(predicate, HasAffix):
            ids, names = self.levels["word"]
            return np.array([affixed(str(w), predicate) for w in names], dtype=np.bool_)[ids]
        j = self._here.get(repr(predicate))
        return None if j is None else self.column(j) > 0.5

    @cached_property
    def lookback(self) -> Mapping[int | str, tuple[Any, NDArray[np.int64]]]:
        """Words by how far back they are looked for: the transposed columns, and which features they are."""
        out: dict[int | str, tuple[Any, NDArray[np.int64]]] = {}
        for where in (1, 2, 3, *_NEAR, "topic"):
            chosen = np.array(
                [j for j, f in enumerate(self.features) if f.where == where and f.part == "token"], dtype=np.int64
            )
            out[where] = (self.columns[chosen], chosen)
        return out

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """First position of the stimulus that each position is in."""
        return np.repeat(np.concatenate([[0], np.cumsum(self.lengths)[:-1]]).astype(np.int64), self.lengths)

    def reached(self, inner: NDArray[np.bool_], n: int) -> NDArray[np.float64]:
        """Where ``inner`` holds at any of the ``n`` earlier positions of the same text."""
        total = np.concatenate([[0], np.cumsum(inner)])
        at = np.arange(len(inner))
        return (total[at] - total[np.maximum(at - n, self.starts)] > 0).astype(np.float64)

    def shifted_words(self, back: int) -> NDArray[np.int64]:
        """Id of the word ``back`` positions earlier in the same text; a number of its own where there is none."""
        ids, names = self.words
        at = np.arange(len(ids)) - back
        # names[-1] stands in: the last word by appearance is as rare as any, and counts there for nothing much
        return np.where(at >= self.starts, ids[np.maximum(at, 0)], len(names) - 1)

    def among(self, inner: NDArray[np.bool_], n: int) -> NDArray[np.float64]:
        """How many of the last ``n`` positions of the text, this one included, meet ``inner``."""
        total = np.concatenate([[0], np.cumsum(inner)])
        at = np.arange(1, len(inner) + 1)
        return (total[at] - total[np.maximum(at - n, self.starts)]).astype(np.float64)

    def since(self, inner: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Positions since ``inner`` last held before in the same text; infinite when never."""
        at = np.arange(len(inner), dtype=np.float64)
        last = np.maximum.accumulate(np.where(inner, at, -np.inf))
        before = np.concatenate([[-np.inf], last[:-1]])
        return np.where(before >= self.starts, at - before, np.inf)

    @cached_property
    def line(self) -> NDArray[np.float64]:
        """Token of the line at each position, from 1."""
        found = [q.values for q in self.quantities if q.name == "token of the line"]
        return found[0] if found else np.full(self.matrix.shape[0], np.inf)

    def back(self, inner: NDArray[np.bool_], n: int) -> NDArray[np.float64]:
        """Where ``inner`` holds exactly ``n`` positions earlier in the same text."""
        at = np.arange(len(inner)) - n
        return np.where(at >= self.starts, inner[np.maximum(at, 0)], False).astype(np.float64)

    def column(self, j: int) -> NDArray[np.float64]:
        """One condition over all positions, dense."""
        out = np.zeros(self.matrix.shape[0])
        lo, hi = self.matrix.indptr[j], self.matrix.indptr[j + 1]
        out[self.matrix.indices[lo:hi]] = 1.0
        return out


def affixed(word: str, test: HasAffix) -> bool:
    """Whether a word is longer than, and begins or ends with, the letters."""
    longer = len(word) > len(test.prefix) + len(test.suffix) and word.isalpha()
    return longer and word.startswith(test.prefix) and word.endswith(test.suffix)


def _ease(feature: Feature) -> float:
    ease = {"token": 1.0, "word": 1.0, "class": 1.05, "structure": 1.0, "number": 1.0, "position": 0.95, "affix": 0.85}[
        feature.part
    ]
    far = {0: 1.0, 1: 1.0, 2: 0.95, 3: 0.9, "near": 0.95, "further": 0.95, "topic": 0.9}[feature.where]
    return ease * far


def _here_features(view: TextView) -> list[list[Named]]:
    rows: list[list[Named]] = []
    for i in range(len(view.tokens)):
        key, word = view.key[i], view.word[i]
        row: list[Named] = [("token", key)]

        def add(part: Part, values: Iterable[str], row: list[Named] = row) -> None:
            row.extend((part, v) for v in dict.fromkeys(values))

        add("word", [word] if word != key else [])
        add("class", view.classes[i])
        add("structure", view.structure[i])
        if word.isalpha():
            add("affix", [f"-{word[-k:]}" for k in (2, 3, 4) if len(word) > k])
            add("affix", [f"{word[:k]}-" for k in (2, 3, 4) if len(word) > k])
        if not np.isnan(view.number[i]):
            add("number", [f"{lo:g}..{hi:g}" for lo, hi in NUMBERS if lo <= view.number[i] <= hi])
        add("position", [str(e) for e in _EARLY if i <= e])
        rows.append(row)
    return rows


def build(
    views: Sequence[TextView], groups: Sequence[str], *, folds: int = 4, support: int = 8, text_level: bool = False
) -> FeatureMatrix:
    """The matrix of these texts. Cost: about 5 s for 60,000 positions.

    Args:
        views: one per text, in order.
        groups: document of each text; positions of one document share a fold.
        folds: cross-validation folds.
        support: fewest positions (and 3 documents) that a condition must hold at.
        text_level: rows are whole texts: a condition holds where any token of the text meets it.
    """
    ids: dict[tuple[Part, str], int] = {}
    indices: list[int] = []
    indptr = [0]
    lengths: list[int] = []
    for view in views:
        for row in _here_features(view):
            indices.extend(ids.setdefault(f, len(ids)) for f in row)
            indptr.append(len(indices))
        lengths.append(len(view.tokens))
    n = len(indptr) - 1
    here = sp.csr_matrix((np.ones(len(indices), np.float32), np.array(indices), np.array(indptr)), shape=(n, len(ids)))
    names = list(ids)
    known = {g: i for i, g in enumerate(dict.fromkeys(groups))}
    group = np.repeat(np.array([known[g] for g in groups], dtype=np.int64), lengths)
    start = np.repeat(np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.int64), lengths)
    blocks, features = _blocks(here, names, start, support=support)
    everything = sp.hstack(blocks, format="csc")
    if text_level:
        everything, group = _per_text(everything, lengths), np.array([known[g] for g in groups], dtype=np.int64)
    matrix, features, aliases = _supported(everything, features, group, support)
    return FeatureMatrix(
        features=features, matrix=matrix, fold=_balanced_folds(group, folds), folds=folds,
        lengths=np.array(lengths), group=group, aliases=aliases,
        levels={} if text_level else {level: _ids(phrase_keys(v, level) for v in views) for level in LEVELS},
        words=_ids(() if text_level else (v.key for v in views)),
        previous_words=_ids(() if text_level else ((["", *v.key])[: len(v.tokens)] for v in views)),
        quantities=() if text_level else binned(views),
        text_level=text_level,
    )  # fmt: skip


def _per_text(matrix: Any, lengths: Sequence[int]) -> Any:
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
    here: Any, names: list[tuple[Part, str]], start: NDArray[np.int64], *, support: int
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
            reach = range(_TOPIC) if where == "topic" else range(1, _NEAR[where] + 1)
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


def hash_of(array: NDArray[Any]) -> int:
    """A stable digest of an array (``hash`` of bytes is salted)."""
    import zlib

    data = np.ascontiguousarray(array).tobytes()
    return (zlib.crc32(data) << 32) | zlib.adler32(data)


def _ids(rows: Iterable[Sequence[Any]]) -> tuple[NDArray[np.int64], list[Any]]:
    ids: dict[Any, int] = {}
    out = [ids.setdefault(k, len(ids)) for row in rows for k in row]
    return np.array(out, dtype=np.int64), list(ids)


_CACHE: OrderedDict[tuple[str, str, bool], FeatureMatrix] = OrderedDict()


def shared(key: tuple[str, str, bool], make: Callable[[], FeatureMatrix]) -> FeatureMatrix:
    """The matrix under ``key`` (corpus fingerprint, subject, text level), made once; the two latest are kept."""
    if key not in _CACHE:
        _CACHE[key] = make()
        while len(_CACHE) > 2:
            _CACHE.popitem(last=False)
    return _CACHE[key]
