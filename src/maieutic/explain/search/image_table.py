"""Candidate clauses for images, as columns over the discover split: what a search over predicates chooses from.

A column holds one predicate's value on every image. Concepts (with all their hypernyms) become clauses when at least
three groups of images show them; visual features become rising and falling ramps between their own quantiles. The table
depends on the corpus alone, so it is built once and shared by all units. It knows no activation.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Container, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from maieutic.explain.predicates.base import And, Not, Predicate
from maieutic.explain.predicates.image import Colour, Count, Formed, Placed, Relation, Shows, Texture
from maieutic.explain.predicates.image_pixels import COLOURS, NAMES, SHAPES
from maieutic.explain.search.image_columns import Columns
from maieutic.explain.views_image import ImageView, ImageViewer
from maieutic.stimuli.base import Stimulus
from maieutic.stimuli.scenes import Scene

Column = NDArray[np.float32]
#: groups of images (stamps, photos) that must show a concept before it can be a clause
SUPPORT = 3
#: images that must show one that is known from other images as well
FEW = 4
_PLACES = ("left", "right", "top", "bottom", "centre")
_FORMS = ("tall", "wide")
RELATIONS = ("left of", "right of", "above", "below", "overlapping")
#: pairs of things whose relations are kept
_RELATED = 4096
_RANGES = ((0.50, 0.98), (0.10, 0.90))
#: parts that the images are dealt to for fitting, one left out each time
FOLDS = 4


@dataclass(frozen=True, slots=True)
class Clause:
    """A predicate with its values on the table's images.

    Attributes:
        predicate: the executable form.
        column: its values, ``[image]`` in [0, 1].
        atoms: how many elementary conditions it holds: its price in the search.
    """

    predicate: Predicate
    column: Column
    atoms: int = 1

    def joined(self, other: Clause, *, without: bool = False) -> Clause:
        """Both (or, ``without``: this and not the other)."""
        part: Predicate = Not(part=other.predicate) if without else other.predicate
        column = 1.0 - other.column if without else other.column
        held = self.predicate.parts if isinstance(self.predicate, And) else (self.predicate,)
        return Clause(And(parts=(*held, part)), np.minimum(self.column, column), self.atoms + other.atoms)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Folds:
    """A partition of the images.

    Attributes:
        number: fold of each image, ``[image]``.
        order: the images fold by fold, ``[image]``.
        parts: where each fold lies in that order.
    """

    number: NDArray[np.int64]
    order: NDArray[np.int64]
    parts: tuple[slice, ...]

    @classmethod
    def of(cls, number: NDArray[np.int64]) -> Folds:
        ends = np.cumsum([0, *(int((number == k).sum()) for k in range(FOLDS))]).tolist()
        parts = tuple(slice(a, b) for a, b in pairwise(ends))
        return cls(number=number, order=np.argsort(number, kind="stable"), parts=parts)


@dataclass(frozen=True, kw_only=True)
class ImageTable:
    """Images with their views, groups and candidate clauses.

    Attributes:
        stimuli: the images, in the order of the rows.
        views: what predicates see of them.
        groups: group number of each image (its stamp or photo), ``[image]``: folds and intervals keep groups whole.
        grounds: number of the background of each image, ``[image]``; a photo is its own.
        clauses: candidates.
        matrix: their columns, float32 ``[image, clause]``.
        named: how many of the first clauses are about concepts (the others about visual features).
    """

    stimuli: tuple[Stimulus, ...]
    views: tuple[ImageView, ...]
    groups: NDArray[np.int64]
    grounds: NDArray[np.int64]
    clauses: tuple[Clause, ...]
    matrix: NDArray[np.float32]
    named: int
    columns: Columns

    @cached_property
    def squares(self) -> NDArray[np.float32]:
        """The matrix with every value squared."""
        return self.matrix * self.matrix

    def folds(self, seed: int) -> tuple[Folds, ...]:
        """Partitions that leave out stamps and, where those are others, backgrounds; made once a seed."""
        if seed not in self._folds:
            every = (self.groups,) if np.array_equal(self.groups, self.grounds) else (self.groups, self.grounds)
            self._folds[seed] = tuple(Folds.of(folds_of(g, FOLDS, seed=seed)) for g in every)
        return self._folds[seed]

    @cached_property
    def _folds(self) -> dict[int, tuple[Folds, ...]]:
        return {}

    def clause(self, predicate: Predicate, atoms: int = 1) -> Clause:
        """Any predicate as a clause."""
        return Clause(predicate, self.columns.of(predicate), atoms)

    def related(self, a: str, b: str) -> tuple[Clause, ...]:
        """How two things stand to each other, in as far as some image shows it; overlapping in one order only."""
        found = self._related.get((a, b))
        if found is None:
            made = [self.clause(Relation(a=a, relation=r, b=b), 2) for r in (RELATIONS if a < b else RELATIONS[:-1])]
            found = self._related[a, b] = tuple(c for c in made if c.column.any())
            if len(self._related) > _RELATED:
                del self._related[next(iter(self._related))]
        return found

    @cached_property
    def _related(self) -> dict[tuple[str, str], tuple[Clause, ...]]:
        return {}

    @cached_property
    def twins(self) -> dict[str, tuple[str, ...]]:
        """Concept -> others that are on exactly the same images; only other images can tell them apart."""
        same: dict[bytes, list[str]] = {}
        for concept in sorted(self._shown):
            same.setdefault(self.columns.presence[concept].tobytes(), []).append(concept)
        return {c: tuple(o for o in names if o != c) for names in same.values() for c in names if len(names) > 1}

    @cached_property
    def distinct(self) -> NDArray[np.bool_]:
        """Clauses whose column no clause before them has, ``[clause]``; plain presence comes before other forms."""
        seen: set[bytes] = set()
        first = np.zeros(len(self.clauses), dtype=bool)
        plain = [isinstance(c.predicate, Shows) and not c.predicate.full for c in self.clauses]
        for j in sorted(range(len(self.clauses)), key=lambda j: not plain[j]):
            key = self.clauses[j].column.tobytes()
            first[j] = key not in seen
            seen.add(key)
        return first

    @cached_property
    def crisp(self) -> NDArray[np.int64]:
        """Clauses that two conditions are made of: distinct ones but for graded sizes, numbers and falling ramps."""
        kept = [
            j
            for j, c in enumerate(self.clauses)
            if self.distinct[j]
            and not (isinstance(c.predicate, Shows) and c.predicate.full)
            and not isinstance(c.predicate, Count)
            and (j < self.named or (isinstance(c.predicate, Colour) and c.predicate.where == "ground"))
        ]
        return np.array(kept, dtype=np.int64)

    @cached_property
    def _shown(self) -> dict[str, frozenset[int]]:
        clauses = [(c.predicate, c.column) for c in self.clauses[: self.named]]
        return {p.concept: frozenset(np.flatnonzero(x).tolist()) for p, x in clauses if isinstance(p, Shows)}

    def presence(self, concept: str) -> NDArray[np.bool_]:
        """Which images show the concept, ``[image]``; none when it is too rare to be a clause."""
        return self.columns.shows(concept)

    def within(self, narrow: str, wide: str) -> bool:
        """Whether every image that shows the one shows the other, and not the other way round."""
        return self._shown.get(narrow, frozenset()) < self._shown.get(wide, frozenset())


def build_table(
    stimuli: Sequence[Stimulus], viewer: ImageViewer, *, elsewhere: Container[str] = frozenset()
) -> ImageTable:
    """The table of these images. Costs about 5 ms an image once, or next to nothing where another process left features.

    Args:
        stimuli: the images.
        viewer: what predicates see of them.
        elsewhere: concepts that other images show too: of those ``FEW`` images are enough, whatever their groups.
    """
    views = tuple(viewer(s) for s in stimuli)
    groups = _numbered([s.group or s.id for s in stimuli])
    grounds = _numbered([_ground(s) for s in stimuli])
    columns = Columns(views)
    concepts = _concept_clauses(columns, groups, elsewhere)
    clauses = (*concepts, *_pixel_clauses(columns))
    matrix = np.stack([c.column for c in clauses], axis=1) if clauses else np.zeros((len(views), 0), dtype=np.float32)
    return ImageTable(
        stimuli=tuple(stimuli), views=views, groups=groups, grounds=grounds, clauses=clauses, matrix=matrix,
        named=len(concepts), columns=columns,
    )  # fmt: skip


def _numbered(names: Sequence[str]) -> NDArray[np.int64]:
    number = {name: i for i, name in enumerate(sorted(set(names)))}
    return np.array([number[name] for name in names], dtype=np.int64)


def _ground(stimulus: Stimulus) -> str:
    return stimulus.scene.background.key if isinstance(stimulus.scene, Scene) else stimulus.group or stimulus.id


def _concept_clauses(columns: Columns, groups: NDArray[np.int64], elsewhere: Container[str]) -> list[Clause]:
    """Presence, size, place, form and number of every concept with enough support."""
    views, out = columns.views, list[Clause]()

    def add(*predicates: Predicate, least: int = 1) -> None:
        made = [Clause(p, columns.of(p)) for p in predicates]
        out.extend(c for c in made if c.column.sum() >= least)

    for concept in sorted(columns.presence):
        index = np.flatnonzero(columns.presence[concept])
        enough = len(set(groups[index].tolist())) >= SUPPORT or (len(index) >= FEW and concept in elsewhere)
        if not enough or len(index) > 0.95 * len(views):
            continue
        shares = np.array([views[i].share(concept) for i in index])
        full = float(np.round(np.quantile(shares, 0.8), 2))
        add(Shows(concept=concept))
        if np.std(shares) > 0.03 and full > 0:
            add(Shows(concept=concept, full=full))
        boxed = any(views[i].boxes(concept) for i in index[:5])
        if len(index) >= 6 and boxed:
            add(*(Formed(concept=concept, form=f) for f in _FORMS), least=3)
        if len(index) >= 10 and boxed:
            add(*(Placed(concept=concept, where=w) for w in _PLACES), least=5)
            if sum(len(views[i].boxes(concept)) > 1 for i in index) >= 5:
                add(Count(concept=concept, full=3))
    if sum(bool(v.things) for v in views) > len(views) // 2:
        most = max(len(v.things) for v in views)
        add(*(Formed(concept="", form=f) for f in _FORMS))
        if most > 1:
            add(Count(concept="", full=most))
    return out


def _pixel_clauses(columns: Columns) -> list[Clause]:
    """Ramps of every visual feature that varies: from the median up and down, and over the middle 80 %."""
    if not columns.views:
        return []
    out: list[Clause] = []
    for j, name in enumerate(NAMES):
        values = columns.features[:, j]
        ends = {tuple(round(float(q), 3) for q in np.quantile(values, pair)) for pair in _RANGES}
        ends |= {(b, a) for a, b in ends} | {tuple(round(float(q), 3) for q in np.quantile(values, (0.5, 0.02)))}
        for low, high in sorted(ends):
            if abs(high - low) >= 0.02 and not (name.partition("@")[0] in COLOURS and high < low):
                ramp = _ramp(name, low, high)
                out.append(Clause(ramp, columns.of(ramp)))
    return out


def _ramp(name: str, low: float, high: float) -> Predicate:
    feature, _, where = name.partition("@")
    if feature in COLOURS:
        return Colour(name=feature, where=where, low=low, high=high)
    return Texture(feature=feature, where="whole" if feature in SHAPES else where, low=low, high=high)


def folds_of(groups: NDArray[np.int64], n: int, *, seed: int = 0) -> NDArray[np.int64]:
    """Fold of each image, ``[image]``: whole groups, large ones first, each to the smallest fold so far."""
    sizes = Counter(groups.tolist())
    shuffled = np.random.default_rng(seed).permutation(sorted(sizes))
    load = np.zeros(n, dtype=np.int64)
    fold: dict[int, int] = {}
    for g in sorted(shuffled.tolist(), key=lambda g: -sizes[g]):
        fold[g] = int(np.argmin(load))
        load[fold[g]] += sizes[g]
    return np.array([fold[g] for g in groups.tolist()], dtype=np.int64)


_tables: OrderedDict[str, ImageTable] = OrderedDict()


def shared_table(
    key: str, stimuli: Sequence[Stimulus], viewer: ImageViewer, *, elsewhere: Container[str] = frozenset()
) -> ImageTable:
    """The table of a corpus split, built once per process; the last two are kept."""
    found = _tables.get(key)
    if found is None or [s.id for s in found.stimuli] != [s.id for s in stimuli]:
        found = _tables[key] = build_table(stimuli, viewer, elsewhere=elsewhere)
        viewer.keep_features()
    _tables.move_to_end(key)
    while len(_tables) > 2:
        _tables.popitem(last=False)
    return found


_columns: OrderedDict[str, Columns] = OrderedDict()


def shared_columns(key: str, stimuli: Sequence[Stimulus], viewer: ImageViewer) -> Columns:
    """Columns over a corpus split without clauses of its own, built once per process; the last two are kept."""
    found = _columns.get(key)
    if found is None or len(found.views) != len(stimuli):
        found = _columns[key] = Columns([viewer(s) for s in stimuli])
    _columns.move_to_end(key)
    while len(_columns) > 2:
        _columns.popitem(last=False)
    return found
