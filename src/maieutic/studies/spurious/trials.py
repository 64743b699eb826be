"""Counterfactual trials: every chosen object on every chosen background, and the backgrounds alone, measured by each unit.

The pictures are edits of training pictures (discover and select), the same for all units; each unit's claim is what its
predicate foretells of them, written into its ledger before the value. Objects are drawn over the training labels, and
backgrounds without looking at groups. What this module does not do: decide (`rule`), or show any test picture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maieutic.explain import Explanation
from maieutic.lab import Lab
from maieutic.lab.lab import Question, measure_together
from maieutic.stimuli.base import Stimulus
from maieutic.stimuli.studio import rng
from maieutic.studies.spurious.config import SpuriousConfig
from maieutic.studies.spurious.cuts import emptied, swapped
from maieutic.studies.spurious.material import Example, Material

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Grid:
    """The crossed pictures: ``pictures[o][b]`` shows object ``o`` on background ``b``; ``empty[b]`` the background alone."""

    objects: tuple[Example, ...]
    donors: tuple[Example, ...]
    pictures: tuple[tuple[Stimulus, ...], ...]
    empty: tuple[Stimulus, ...]

    def stimuli(self) -> list[Stimulus]:
        """All of them in one list: objects by background, then the empty ones."""
        return [*(s for row in self.pictures for s in row), *self.empty]


@dataclass(frozen=True, kw_only=True)
class Trials:
    """What one unit did and what was foretold of it, raw activation and 0 to 1.

    Attributes:
        measured, foretold: ``[object, background]``. bare, bare_foretold: of empty backgrounds, ``[background]``.
    """

    measured: Floats
    foretold: Floats
    bare: Floats
    bare_foretold: Floats


def crossed(material: Material, config: SpuriousConfig, seed: int) -> Grid:
    """Draw objects (as many of each class as can be, one picture an instance) and backgrounds, and make the pictures."""
    objects = _objects(material, config.objects, seed)
    order = rng(seed, "grounds").permutation(len(material.train)).tolist()
    donors: dict[str, Example] = {}
    for i in order:
        example = material.train[i]
        donors.setdefault(_ground_of(example), example)
        if len(donors) == config.backgrounds:
            break
    chosen = tuple(donors.values())
    pictures = tuple(tuple(swapped(o, d, material) for d in chosen) for o in objects)
    return Grid(objects=objects, donors=chosen, pictures=pictures, empty=tuple(emptied(d, material) for d in chosen))


def _objects(material: Material, n: int, seed: int) -> tuple[Example, ...]:
    """Turn by turn one of each class; instances first that are not among those chosen, select and discover alike."""
    queues: list[list[Example]] = []
    for label in range(len(material.classes)):
        mine = [e for e in material.train if e.label == label]
        order = rng(seed, "objects", str(label)).permutation(len(mine)).tolist()
        queues.append(list({mine[i].stimulus.group: mine[i] for i in order}.values()))
    chosen: list[Example] = []
    for turn in range(max(len(q) for q in queues)):
        chosen += [q[turn] for q in queues if turn < len(q)]
    return tuple(chosen[:n])


def _ground_of(example: Example) -> str:
    """What tells one background from another: its recipe, or the picture that it is in."""
    scene = example.stimulus.scene
    return repr(scene.background) if scene is not None else example.stimulus.id


def measure(labs: Sequence[Lab], found: Sequence[Explanation], grid: Grid) -> list[Trials]:
    """Foretell and measure every picture of the grid for every unit, in one pass; all of it stands in the labs' ledgers.

    Args:
        labs: of one subject, each with the budget that the grid takes. found: their units' explanations, bound.

    Cost: one forward pass a picture, whatever the number of units.
    """
    shown = grid.stimuli()
    foretold = [np.asarray(e.predict(shown), dtype=np.float64) for e in found]
    kinds = ["background"] * (len(shown) - len(grid.empty)) + ["remove"] * len(grid.empty)
    asked = [
        [
            Question(stimulus=s, hypothesis=e.label, kind=kind, expect=None if e.abstained else float(p))
            for s, kind, p in zip(shown, kinds, expected, strict=True)
        ]
        for e, expected in zip(found, foretold, strict=True)
    ]
    entries = measure_together(labs, asked)
    shape = (len(grid.objects), len(grid.donors))
    trials: list[Trials] = []
    for rows, expected in zip(entries, foretold, strict=True):
        values = np.array([e.value for e in rows], dtype=np.float64)
        cut = shape[0] * shape[1]
        trials.append(
            Trials(
                measured=values[:cut].reshape(shape), foretold=expected[:cut].reshape(shape),
                bare=values[cut:], bare_foretold=expected[cut:],
            )
        )  # fmt: skip
    return trials


def as_arrays(trials: Sequence[Trials]) -> dict[str, Floats]:
    """The trials of all units, stacked ``[unit, ...]``."""
    return {n: np.stack([getattr(t, n) for t in trials]) for n in ("measured", "foretold", "bare", "bare_foretold")}


def from_arrays(arrays: Mapping[str, Floats]) -> list[Trials]:
    """The trials that ``as_arrays`` stacked."""
    return [
        Trials(**{n: arrays[n][i] for n in ("measured", "foretold", "bare", "bare_foretold")})
        for i in range(len(arrays["bare"]))
    ]
