"""Pictures with a label, a background group and an object instance: what the study trains, decides and tests on.

Training pictures are split into ``discover`` and ``select`` by object instance, so explainers and the rule see those only;
balanced pictures (the oracle's) and test pictures stand apart and are reached by nothing that selects units. What this
module does not do: make pictures (`composites`, `folder`), or edit them (`cuts`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from maieutic.errors import UserError
from maieutic.stimuli.base import Corpus, Split, Stimulus, split_of

Mask = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Example:
    """One labelled picture.

    Attributes:
        stimulus: the picture; its ``group`` is the object instance, which is the cluster of every interval.
        label: number of its class. group: number of its background group.
        mask: gives the object's pixels ``[side, side]`` of a user's picture; ``None``: not known (or the scene knows).
    """

    stimulus: Stimulus
    label: int
    group: int
    mask: Callable[[], Mask] | None = None


@dataclass(frozen=True, kw_only=True)
class Material:
    """All pictures of one replicate.

    Attributes:
        name: of the data. classes, groups: names.
        train: with the spurious correlation. test: all combinations. balanced: the oracle's; may be empty.
        cut: how objects are told from backgrounds: exactly by ``scene`` or ``mask``, or the ``centre`` is taken for them.
        notes: what readers should know of it (which instances are shared by training and test).
    """

    name: str
    classes: tuple[str, ...]
    groups: tuple[str, ...]
    train: tuple[Example, ...]
    test: tuple[Example, ...]
    balanced: tuple[Example, ...] = ()
    cut: Literal["scene", "mask", "centre"]
    notes: tuple[str, ...] = ()

    @cached_property
    def corpus(self) -> Corpus:
        """The training pictures as explainers see them; nothing else of the material is in it."""
        return Corpus(name=f"spurious-{self.name}", modality="image", stimuli=[e.stimulus for e in self.train])

    @cached_property
    def vocabulary(self) -> frozenset[str]:
        """Words for objects: class names, and what training objects are called."""
        things = (c for e in self.train for t in e.stimulus.things for c in (t.name, *t.concepts))
        return frozenset(w.lower() for w in (*self.classes, *things))


def training_split(instance: str) -> Split:
    """``discover`` (seven tenths) or ``select`` for a training object, by hash of its name."""
    return "select" if split_of(f"training {instance}") == "test" else "discover"


def labels_of(examples: Sequence[Example]) -> NDArray[np.int64]:
    """Class numbers ``[picture]``."""
    return np.array([e.label for e in examples], dtype=np.int64)


def groups_of(examples: Sequence[Example]) -> NDArray[np.int64]:
    """Background group numbers ``[picture]``."""
    return np.array([e.group for e in examples], dtype=np.int64)


def instances_of(examples: Sequence[Example]) -> tuple[str, ...]:
    """Object instances ``[picture]``."""
    return tuple(e.stimulus.group for e in examples)


def check(material: Material) -> Material:
    """The material, if a study can be made of it.

    Raises:
        UserError: a class without training or test pictures, or an object on both sides.
    """
    for name, examples in (("training", material.train), ("test", material.test)):
        missing = [c for i, c in enumerate(material.classes) if not any(e.label == i for e in examples)]
        if missing:
            raise UserError(
                f"{material.name} has no {name} picture of {missing[0]!r}: add some, or leave the class out"
            )
    seen = {e.stimulus.id for e in (*material.train, *material.balanced)}
    shared = next((e for e in material.test if e.stimulus.id in seen), None)
    if shared is not None:
        raise UserError(
            f"{material.name} has the same picture in training and test ({shared.stimulus.id[:12]}): remove one"
        )
    objects = set(instances_of(material.train)) & set(instances_of(material.test))
    if objects:
        raise UserError(
            f"{material.name} has the object {min(objects)!r} in training and test: split by object, or name objects apart"
        )
    splits = {e.stimulus.split for e in material.train}
    if "select" not in splits or "discover" not in splits:
        raise UserError(
            f"{material.name} has too few training objects to set some aside for choosing: give more pictures"
        )
    return material
