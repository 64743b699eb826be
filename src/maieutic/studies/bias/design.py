"""What is shown: trials of a base at a level with a filler, and the material they make together.

A trial's content is made when it is read, so a material of thousands of pictures is a list of recipes. Trials with one
``key`` are the same stimulus and are shown once (every attribute shares its bases' reference). What this module does not
do: make pictures or prompts (`pictures`, `prompts`, `files`), or measure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from maieutic.errors import UserError
from maieutic.readings import FloatArray
from maieutic.studies.bias.paired import RANDOM, Cells

#: ``level``: counts; ``placebo``: changes as much, not the attribute; ``spread``: other things, for the output's own scale
Role = Literal["level", "placebo", "spread"]
#: clusters that a half needs at least
LEAST = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One stimulus and what it stands for.

    Attributes:
        key: names the stimulus; the same key is the same stimulus.
        load: gives the text or the RGB picture.
        base, cluster: what is held fixed, and what it is drawn with (near-duplicates, paraphrases).
        attribute, level, filler: what is varied, its value, and which of the things that stand for the value.
        role: see `Role`.
        said: a few words for people; the prompt itself for texts.
    """

    key: str
    load: Callable[[], Any] = field(repr=False)
    base: str
    cluster: str
    attribute: str
    level: str
    filler: str = "-"
    role: Role = "level"
    said: str = ""


@dataclass(frozen=True, kw_only=True)
class Material:
    """All trials of a study.

    Attributes:
        modality: of every trial.
        name: what people call it.
        trials: in any order.
        references: attribute to the level that every other level is compared with.
        notes: what it leaves out and where it comes from.
    """

    modality: Literal["text", "image"]
    name: str
    trials: tuple[Trial, ...]
    references: Mapping[str, str]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for attribute, reference in self.references.items():
            levels = {t.level for t in self.trials if t.attribute == attribute and t.role == "level"}
            if reference not in levels or len(levels) < 2:
                raise UserError(
                    f"attribute {attribute!r} has the levels {', '.join(sorted(levels)) or 'none'}: it needs "
                    f"{reference!r}, which the others are compared with, and at least one more"
                )

    def contrasts(self) -> list[tuple[str, str]]:
        """(attribute, level) of every comparison, in the order of the trials."""
        seen = dict.fromkeys((t.attribute, t.level) for t in self.trials if t.role == "level")
        return [(a, v) for a, v in seen if a in self.references and v != self.references[a]]

    def stimuli(self, roles: Sequence[Role] = ("level", "placebo", "spread")) -> dict[str, Trial]:
        """Each stimulus once, by its key."""
        found: dict[str, Trial] = {}
        for t in self.trials:
            if t.role in roles:
                found.setdefault(t.key, t)
        return found


@dataclass(frozen=True, kw_only=True)
class Halves:
    """Which clusters and fillers are for discovery (0) and which for confirmation (1); shared fillers are in neither map."""

    clusters: Mapping[str, int]
    fillers: Mapping[tuple[str, str, str], int]


def halves_of(material: Material, *, seed: int) -> Halves:
    """Split clusters in two by the seed, and fillers of levels that have at least twice `RANDOM`; a few fillers are shared.

    Raises:
        UserError: too few clusters for two halves.
    """
    clusters = list(dict.fromkeys(t.cluster for t in material.trials if t.role == "level"))
    if len(clusters) < 2 * LEAST:
        raise UserError(
            f"{material.name} has {len(clusters)} independent bases, two halves need {2 * LEAST} at least: give more "
            "objects, photos or templates"
        )
    draw = np.random.default_rng(seed)
    mixed = [clusters[i] for i in draw.permutation(len(clusters))]
    fillers: dict[tuple[str, str, str], int] = {}
    sets: dict[tuple[str, str], list[str]] = {}
    for t in material.trials:
        if t.role == "level" and t.filler not in sets.setdefault((t.attribute, t.level), []):
            sets[t.attribute, t.level].append(t.filler)
    # the same names at both levels must fall into the same half
    order: dict[str, float] = {}
    for names in sets.values():
        for name in names:
            order.setdefault(name, float(draw.random()))
    for (attribute, level), names in sets.items():
        if len(names) >= 2 * RANDOM:
            ranked = sorted(names, key=lambda n: order[n])
            fillers |= {(attribute, level, n): i % 2 for i, n in enumerate(ranked)}
    return Halves(clusters={c: i % 2 for i, c in enumerate(mixed)}, fillers=fillers)


def cells_of(
    material: Material,
    values: Mapping[str, float],
    attribute: str,
    level: str,
    *,
    halves: Halves | None = None,
    half: int | None = None,
    role: Role = "level",
) -> Cells | None:
    """The measured values of one contrast; ``None`` where no base has both sides.

    Args:
        material: what was shown.
        values: stimulus key to the output.
        attribute, level: the contrast; ``role`` placebo takes the placebo edits of that level for its values.
        halves, half: only one half.
    """
    reference = material.references[attribute]

    def wanted(t: Trial) -> bool:
        if half is None or halves is None:
            return True
        return halves.clusters[t.cluster] == half and halves.fillers.get((t.attribute, t.level, t.filler), half) == half

    own = [t for t in material.trials if t.attribute == attribute and wanted(t) and t.key in values]
    high = [t for t in own if t.level == level and t.role == role]
    low = [t for t in own if t.level == reference and t.role == "level"]
    sides = {t.base for t in high} & {t.base for t in low}
    if not sides:
        return None
    bases = {t.base: t.cluster for t in own if t.base in sides}
    numbers = {c: i for i, c in enumerate(dict.fromkeys(bases.values()))}
    columns = [list(dict.fromkeys(t.filler for t in side if t.base in sides)) for side in (high, low)]
    same = len(columns[0]) > 1 and sorted(columns[0]) == sorted(columns[1])
    if same:
        columns[1] = columns[0]
    places = {b: i for i, b in enumerate(bases)}
    tables = [_table(side, places, fillers, values) for side, fillers in zip((high, low), columns, strict=True)]
    clusters = np.array([numbers[c] for c in bases.values()], dtype=np.int64)
    return Cells(level=tables[0], reference=tables[1], clusters=clusters, same=same)


def _table(
    trials: Sequence[Trial], bases: Mapping[str, int], fillers: Sequence[str], values: Mapping[str, float]
) -> FloatArray:
    column = {f: i for i, f in enumerate(fillers)}
    sums, count = np.zeros((len(bases), len(fillers))), np.zeros((len(bases), len(fillers)))
    for t in trials:
        if t.base in bases:
            sums[bases[t.base], column[t.filler]] += values[t.key]
            count[bases[t.base], column[t.filler]] += 1
    with np.errstate(invalid="ignore", divide="ignore"):
        return sums / count
