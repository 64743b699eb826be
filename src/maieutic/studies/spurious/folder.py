"""A user's own pictures: a folder ``ROOT/<split>/<class>/<group>/*.jpg``, or a CSV with ``path,label,group`` and a split.

Splits are ``train`` (with the correlation), ``test``, and, if there is one, ``balanced`` (for the oracle alone). A CSV may
name each picture's ``object`` (what it shows an instance of; intervals and splits go by it) and its ``mask`` (white where
the object is). What is wrong ends in one line at the border. What this module does not do: download, guess labels, or find
objects: without masks the middle of a picture is taken for the object, and the report says so.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from maieutic.errors import UserError
from maieutic.stimuli.base import Stimulus
from maieutic.stimuli.photos import square
from maieutic.stimuli.scenes import image_id
from maieutic.stimuli.user import IMAGE_SUFFIXES, read_image, read_text
from maieutic.studies.spurious.config import first_problem
from maieutic.studies.spurious.material import Example, Mask, Material, check, training_split

Side = Literal["train", "test", "balanced"]
SIDES: tuple[Side, ...] = ("train", "test", "balanced")
_COLUMNS = ("path", "label", "group", "split", "object", "mask")


class Row(BaseModel):
    """A picture of a user.

    Attributes:
        path: of the picture. label: its class. group: its kind of background.
        split: ``train``, ``test`` or ``balanced``. object: the instance that it shows; the picture itself by default.
        mask: path of a picture of the same shape, white where the object is.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    path: str = Field(min_length=1)
    label: str = Field(min_length=1)
    group: str = Field(min_length=1)
    split: Side = "train"
    object: str = ""
    mask: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """A row with its picture read once."""

    row: Row
    stimulus: Stimulus


def load_folder(root: Path, *, side: int) -> Material:
    """The material of a user's folder or CSV. Cost: every picture is read once (some 10 ms each) and kept, squared.

    Args:
        root: the folder, or a ``.csv`` file; paths in it are relative to it.
        side: pixels of the squares that are cut from the middle of the pictures.

    Raises:
        UserError: nothing there, another layout, a row or a picture that cannot be read, an object on both sides.
    """
    if not root.exists():
        raise UserError(f"no file or folder {root}: check the path")
    rows = _rows_of_csv(root) if root.is_file() else _rows_of_folder(root)
    base = root.parent if root.is_file() else root
    classes = tuple(dict.fromkeys(sorted(r.label for r in rows)))
    groups = tuple(dict.fromkeys(sorted(r.group for r in rows)))
    if len(classes) < 2 or len(groups) < 2:
        raise UserError(
            f"{root} has {len(classes)} classes and {len(groups)} groups of backgrounds: a study needs two of each"
        )
    masked = sum(bool(r.mask) for r in rows)
    if 0 < masked < len(rows):
        raise UserError(
            f"{masked} of {len(rows)} pictures of {root} have a mask: give one for every picture, or for none"
        )
    examples = {s: [_example(r, base, side, classes, groups) for r in rows if r.split == s] for s in SIDES}
    return check(
        Material(
            name=root.stem,
            classes=classes,
            groups=groups,
            train=_unique(examples["train"]),
            test=_unique(examples["test"]),
            balanced=_unique(examples["balanced"]),
            cut="mask" if masked else "centre",
            notes=_notes(rows, masked),
        )
    )


def _rows_of_csv(table: Path) -> list[Row]:
    reader = csv.DictReader(io.StringIO(read_text(table)))
    header = [c.strip() for c in reader.fieldnames or ()]
    missing = [c for c in ("path", "label", "group") if c not in header]
    if missing:
        raise UserError(f"{table} has no column {missing[0]!r}: the first line names {', '.join(_COLUMNS)}")
    rows: list[Row] = []
    for number, values in enumerate(reader, start=2):
        given = {(k or "").strip(): v for k, v in values.items() if k and k.strip() in _COLUMNS and v and v.strip()}
        try:
            rows.append(Row.model_validate(given))
        except ValidationError as error:
            raise UserError(f"line {number} of {table}: {first_problem(error)}: correct it") from None
    if not rows:
        raise UserError(f"{table} has no rows: give one picture a line behind the header")
    return rows


def _rows_of_folder(root: Path) -> list[Row]:
    rows: list[Row] = []
    for path in sorted((p for p in root.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES), key=lambda p: p.as_posix()):
        parts = path.relative_to(root).parts
        if len(parts) != 4 or parts[0] not in SIDES:
            raise UserError(
                f"{path} does not lie in {root}/<split>/<class>/<group>/ with a split of {', '.join(SIDES)}: move it"
            )
        rows.append(Row(path=path.relative_to(root).as_posix(), split=parts[0], label=parts[1], group=parts[2]))
    if not rows:
        raise UserError(f"{root} holds no pictures: lay them out as <split>/<class>/<group>/*.jpg, or give a CSV")
    return rows


def _example(row: Row, base: Path, side: int, classes: Sequence[str], groups: Sequence[str]) -> Example:
    picture = square(read_image(base / row.path), side)
    instance = f"{row.label}/{row.object}" if row.object else row.path
    stimulus = Stimulus(
        id=image_id(picture),
        modality="image",
        load=lambda: picture,
        group=instance,
        split="test" if row.split == "test" else training_split(instance),
        tags=(row.label, row.group),
        source="user",
    )
    mask = _mask(base / row.mask, side) if row.mask else None
    return Example(
        stimulus=stimulus,
        label=classes.index(row.label),
        group=groups.index(row.group),
        mask=None if mask is None else lambda: mask,
    )


def _mask(path: Path, side: int) -> Mask:
    found = np.asarray(square(read_image(path), side).convert("L")) > 127
    if not found.any():
        raise UserError(f"the mask {path} is black all over: make it white where the object is")
    return found


def _unique(examples: Sequence[Example]) -> tuple[Example, ...]:
    """Each picture once; copies would count twice."""
    return tuple({e.stimulus.id: e for e in reversed(examples)}.values())[::-1]


def _notes(rows: Sequence[Row], masked: int) -> tuple[str, ...]:
    shared = {r.group for r in rows if r.split == "test"} <= {r.group for r in rows if r.split == "train"}
    return (
        "objects are cut out by your masks"
        if masked
        else "no masks: the middle of each picture is taken for the object",
        "objects are told apart by your column 'object'"
        if any(r.object for r in rows)
        else "every picture is taken for an object of its own: intervals are too narrow where pictures share one",
        "whether training and test share background instances is not known"
        if shared
        else "some test backgrounds are of kinds that training has not",
    )
