"""Selections of units that the kept ones are set against, each of the same number where a number is asked for.

None reads balanced labels or test pictures: ``l1`` reads training labels, ``invariant`` the crossed pictures without any
label or predicate, ``words`` labels of the explainer alone, ``random`` nothing. What this module does not do: fit heads.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maieutic.explain import Explanation
from maieutic.stimuli.studio import rng
from maieutic.studies.spurious.heads import l1_choice
from maieutic.studies.spurious.material import Material
from maieutic.studies.spurious.rule import Decision

Floats = NDArray[np.float64]
Masks = NDArray[np.bool_]

#: names of the heads in the order in which reports show them, with what each is
ARMS: dict[str, str] = {
    "kept": "the units that the rule keeps",
    "all": "all units",
    "trained": "the head that the network was trained with, on all units",
    "random": "as many units, drawn at random",
    "l1": "as many units, chosen by an l1 penalty on the training labels",
    "invariant": "as many units, those that survive background swaps best, with no meaning asked for (no labels)",
    "words": "the units whose label alone speaks of an object and of no background (no experiments)",
    "swapped": "all units, with the training objects also shown on other training backgrounds",
    "oracle": "all units, trained on balanced pictures, which nobody else has",
}


@dataclass(frozen=True, kw_only=True)
class Choices:
    """Which units each selection has, ``[unit]``; of the random ones ``[draw, unit]``."""

    named: dict[str, Masks]
    random: Masks


def choose(
    decisions: Sequence[Decision],
    found: Sequence[Explanation],
    indices: Sequence[int],
    *,
    features: Floats,
    labels: NDArray[np.int64],
    blind: Material,
    draws: int,
    seed: int,
) -> Choices:
    """All selections.

    Args:
        decisions, found: of the units that were explained, whose numbers are ``indices``.
        features, labels: of the training pictures, ``[picture, unit]`` and ``[picture]``.
        blind: the material without test and balanced pictures.
        draws: random selections. seed: of these.
    """
    width = features.shape[1]
    alive = np.flatnonzero(features.std(axis=0) > 1e-9)
    kept = _mask(width, [i for i, d in zip(indices, decisions, strict=True) if d.kept])
    number = int(kept.sum())
    measured = [(d.survival.value or 0.0, i) for i, d in zip(indices, decisions, strict=True) if d.survival.measured]
    best = [i for _, i in sorted(measured, key=lambda p: (-p[0], p[1]))[:number]]
    spoken = [i for i, e in zip(indices, found, strict=True) if by_words(e, blind)]
    random = np.zeros((draws, width), dtype=bool)
    for d in range(draws):
        random[d, rng(seed, "random units", str(d)).choice(alive, size=min(number, len(alive)), replace=False)] = True
    named = {
        "kept": kept,
        "all": np.ones(width, dtype=bool),
        "l1": l1_choice(features, labels, units=number, classes=len(blind.classes)),
        "invariant": _mask(width, best),
        "words": _mask(width, spoken),
    }
    return Choices(named=named, random=random)


def by_words(found: Explanation, blind: Material) -> bool:
    """Whether the label alone speaks of an object (any word that names a training object) and of no background."""
    if found.abstained:
        return False
    label = found.label.lower()
    words = set(re.findall(r"[a-z]+", label))
    grounds = {w for g in blind.groups for w in re.findall(r"[a-z]+", g.lower())}
    if words & (grounds | {"background", "backgrounds", "ground"}):
        return False
    return any(_said(term, label) for term in blind.vocabulary)


def _said(term: str, label: str) -> bool:
    """Whether a term stands in the label as whole words, in the singular or the plural."""
    return re.search(rf"\b{re.escape(term)}(s|es)?\b", label) is not None


def _mask(width: int, units: Sequence[int]) -> Masks:
    mask = np.zeros(width, dtype=bool)
    mask[list(units)] = True
    return mask
