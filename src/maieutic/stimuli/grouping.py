"""Put near-duplicates together and every group on one side of the three-way split.

Documents whose windows share a third of their word 5-shingles become one group; pictures with nearly equal difference
hashes and colours too. A group's split follows from its name by hash (`base.split_of`); only when that would leave a
split of a small corpus empty are groups dealt by the rank of their hash, which the notes then say.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

from maieutic.stimuli.base import SPLITS, Split, Stimulus, split_of
from maieutic.stimuli.near import Clusters, Look, near_looks, near_texts


def text_groups(texts: Sequence[str], documents: Sequence[str]) -> list[str]:
    """The group of every text: the first document (in order of appearance) of its cluster of near-duplicates."""
    clusters = Clusters(len(texts))
    clusters.join_equal(documents)
    for i, j in near_texts(texts):
        clusters.join(i, j)
    return [documents[root] for root in clusters.roots()]


def image_groups(looks: Sequence[Look], names: Sequence[str]) -> list[str]:
    """The group of every picture: the first name of its cluster of near-duplicates, mirrored ones included."""
    clusters = Clusters(len(looks))
    clusters.join_equal(names)
    for i, j in near_looks(looks):
        clusters.join(i, j)
    return [names[root] for root in clusters.roots()]


def assign_splits(groups: Sequence[str]) -> tuple[Mapping[str, Split], tuple[str, ...]]:
    """The split of every group, and notes for the user.

    By hash; but when a split would be empty and there are three groups or more, the groups are put in the order of
    their hash and dealt: the first half (rounded down, at least one) to discover, a fifth (at least one) to select, the
    rest to test. With fewer than three groups some splits must be empty.
    """
    distinct = sorted(set(groups), key=lambda g: hashlib.sha256(b"maieutic-rank:" + g.encode()).digest())
    by_hash: dict[str, Split] = {g: split_of(g) for g in distinct}
    if set(by_hash.values()) == set(SPLITS):
        return by_hash, ()
    n = len(distinct)
    if n >= 3:
        discover, select = max(1, n // 2), max(1, n // 5)
        ranked: dict[str, Split] = {
            g: "discover" if i < discover else "select" if i < discover + select else "test"
            for i, g in enumerate(distinct)
        }
        note = f"only {n} independent groups: splits dealt by hash rank so that none is empty; scores will be rough"
        return ranked, (note,)
    sides: tuple[Split, ...] = ("discover", "test")
    missing = "select and test are" if n == 1 else "select is"
    note = (
        f"only {n} independent group{'s' if n != 1 else ''} (near-duplicates and parts of one document count as one): "
        f"{missing} empty, so nothing can be scored on held-out data; add documents or images"
    )
    return dict(zip(distinct, sides, strict=False)), (note,)


def grouped(stimuli: Sequence[Stimulus], groups: Sequence[str]) -> tuple[list[Stimulus], tuple[str, ...]]:
    """The stimuli with their groups and splits set, and notes. Exact duplicates are dropped but for the first."""
    kept: dict[str, int] = {}
    for i, stimulus in enumerate(stimuli):
        kept.setdefault(stimulus.id, i)
    dropped = len(stimuli) - len(kept)
    splits, notes = assign_splits([groups[i] for i in kept.values()])
    result = [replace(stimuli[i], group=groups[i], split=splits[groups[i]]) for i in kept.values()]
    if dropped:
        notes = (*notes, f"{dropped} exact duplicate{'s' if dropped > 1 else ''} left out")
    return result, notes
