"""Packaged pictures with a planted background correlation: stamps of objects over textures, photos and plain grounds.

As in Spawrious (four classes, four backgrounds, one of them nearly always with each class in training, all combinations in
the test), made of packaged cut-outs so that every background can be swapped exactly. Stamps and grounds of the test stand
in no training picture. What this module does not do: make photographs; a composite is evidence about composites.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from maieutic.errors import UsageError, UserError, did_you_mean
from maieutic.stimuli.base import Split, Stimulus, split_of
from maieutic.stimuli.library import Library, Picture
from maieutic.stimuli.scenes import Background, Scene
from maieutic.stimuli.studio import PLAIN_COLOURS, background_of, place, rng, shows
from maieutic.studies.spurious.config import SpuriousConfig
from maieutic.studies.spurious.material import Example, Material, check, training_split

#: kinds of grounds: where they lie in the library, as (kind of picture, first folder)
GROUNDS: dict[str, tuple[str, str]] = {
    "wood": ("texture", "Wood"),
    "stone": ("texture", "Stone"),
    "town": ("photo", "town"),
    "plain": ("plain", ""),
}


def composites(config: SpuriousConfig, seed: int, library: Library) -> Material:
    """The pictures of one replicate. Cost: about 1.5 ms a picture.

    Raises:
        UsageError: an unknown kind of ground. UserError: a class with too few stamps.
    """
    train_splits: tuple[Split, ...] = ("discover", "select") if config.holdout == "test" else ("discover",)
    makers = {
        "train": _Maker(config=config, seed=seed, library=library, splits=train_splits, tag="train"),
        "balanced": _Maker(config=config, seed=seed, library=library, splits=train_splits, tag="balanced"),
        "test": _Maker(config=config, seed=seed, library=library, splits=(config.holdout,), tag="test"),
    }
    train = [e for c in range(len(config.classes)) for e in makers["train"].dealt(c, config.correlation)]
    even = 1.0 / len(config.groups)
    balanced = [e for c in range(len(config.classes)) for e in makers["balanced"].dealt(c, even)]
    return check(
        Material(
            name="composites",
            classes=config.classes,
            groups=config.groups,
            train=_once(train),
            balanced=_once(balanced),
            test=_once(makers["test"].crossed()),
            cut="scene",
            notes=_notes(makers["train"], makers["test"]),
        )
    )


@dataclass(frozen=True, kw_only=True)
class _Maker:
    """Makes pictures of the stamps and grounds of some splits."""

    config: SpuriousConfig
    seed: int
    library: Library
    splits: tuple[Split, ...]
    tag: str

    def stamps(self, label: int) -> list[Picture]:
        """Stamps of a class that fall under no other."""
        named, others = self.config.classes[label], [c for i, c in enumerate(self.config.classes) if i != label]
        found = [
            p
            for p in self.library.of("stamp")
            if p.split in self.splits and shows(p, named) and not any(shows(p, o) for o in others)
        ]
        if len({p.group for p in found}) < 3:
            raise UserError(
                f"there are too few stamps of {named!r} ({len(found)} for {self.tag}): choose another class"
            )
        return found

    def grounds(self, group: int) -> list[str]:
        """Keys of the pictures (or colours) of a kind of ground, in order."""
        name = self.config.groups[group]
        if name not in GROUNDS:
            raise UsageError(f"no ground is called {name!r}{did_you_mean(name, GROUNDS)}: use {', '.join(GROUNDS)}")
        kind, folder = GROUNDS[name]
        if kind == "plain":
            return [c for c in PLAIN_COLOURS if split_of(f"plain {c}") in self.splits]
        pictures = [p for p in self.library.of(kind) if p.split in self.splits and p.folders[:1] == (folder,)]
        if not pictures:
            raise UserError(f"there is no ground of {name!r} for {self.tag}: choose another")
        return [p.key for p in pictures]

    def dealt(self, label: int, share: float) -> list[Example]:
        """Pictures of a class, ``share`` of them on the class's own ground, the others spread over the other grounds."""
        n, stamps, groups = self.config.per_class, self.stamps(label), len(self.config.groups)
        own = round(share * n)
        others = [g for g in range(groups) if g != label]
        grounds = [label] * own + [others[i % len(others)] for i in range(n - own)]
        order = rng(self.seed, self.tag, "deal", str(label)).permutation(n).tolist()
        return [self._example(label, grounds[order[i]], stamps[i % len(stamps)], str(i)) for i in range(n)]

    def crossed(self) -> list[Example]:
        """Every stamp on every kind of ground, ``repeats`` times."""
        return [
            self._example(label, group, stamp, f"{group}-{k}")
            for label in range(len(self.config.classes))
            for stamp in self.stamps(label)
            for group in range(len(self.config.groups))
            for k in range(self.config.repeats)
        ]

    def _example(self, label: int, group: int, stamp: Picture, number: str) -> Example:
        draw = rng(self.seed, self.tag, stamp.key, str(label), number)
        keys = self.grounds(group)
        ground = _ground(self.library, keys[int(draw.integers(len(keys)))], draw.spawn(1)[0])
        small, large = self.config.size
        placement = place(
            stamp,
            x=float(draw.uniform(0.25, 0.75)),
            y=float(draw.uniform(0.3, 0.75)),
            scale=float(draw.uniform(small, large)),
            flip=bool(draw.random() < 0.5),
        )
        scene = Scene(background=ground, placements=(placement,), size=self.config.side, library=self.library)
        return Example(stimulus=_stimulus(scene, stamp), label=label, group=group)


def _ground(library: Library, key: str, draw: object) -> Background:
    from numpy.random import Generator

    assert isinstance(draw, Generator)
    if key.startswith("#"):
        return Background(kind="plain", key=key, shade=round(float(draw.uniform(0.0, 0.3)), 3))
    found = background_of(library.pictures[key], draw)
    # radii are drawn for pictures of 256 pixels
    return replace(found, blur=round(found.blur / 2, 2)) if found.blur else found


def _stimulus(scene: Scene, stamp: Picture) -> Stimulus:
    made = scene.stimulus(tags=("scene", f"background:{scene.background.kind}", f"background:{scene.background.name}"))
    return replace(made, split=training_split(stamp.group))


def _once(examples: Sequence[Example]) -> tuple[Example, ...]:
    """Each picture once, in order."""
    return tuple({e.stimulus.id: e for e in reversed(examples)}.values())[::-1]


def _notes(train: _Maker, test: _Maker) -> tuple[str, ...]:
    """How many instances there are on either side; none is on both, because each belongs to one split of the library."""
    labels, groups = range(len(train.config.classes)), range(len(train.config.groups))
    stamps = ", ".join(f"{train.config.classes[i]} {len(train.stamps(i))} and {len(test.stamps(i))}" for i in labels)
    grounds = ", ".join(f"{train.config.groups[g]} {len(train.grounds(g))} and {len(test.grounds(g))}" for g in groups)
    return (
        f"stamps for training and for the test, none shared: {stamps}",
        f"grounds for training and for the test, none shared: {grounds}",
    )
