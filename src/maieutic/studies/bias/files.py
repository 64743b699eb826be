"""Material from the user's files: prompts or pictures already paired, templates with slots, folders of photos.

Checked at the border; a wrong line is named. Formats:

- JSON lines of prompts: ``{"prompt": …, "base": …, "attribute": …, "level": …, "filler": …, "cluster": …}``; the last two
  may be left out. The first level of an attribute is its reference unless a line says ``"reference": true``.
- JSON lines of pictures: the same with ``"image"``, a path relative to the file, for ``"prompt"``.
- TOML or JSON with ``templates`` (texts, or lists of paraphrases), ``slots`` (slot, level, fillers) and ``neutral``.
- a folder of photos: with ``pairs.jsonl`` in it these pairs, else every photo is a base.

What this module does not do: read anything but these.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from maieutic.errors import UserError
from maieutic.stimuli.user import jsonl_rows, read_image, read_text
from maieutic.studies.bias.design import Material, Trial
from maieutic.studies.bias.placebo import scrambled
from maieutic.studies.bias.prompts import prompt_material

PAIRS = "pairs.jsonl"


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    base: str = Field(min_length=1)
    attribute: str = Field(min_length=1)
    level: str = Field(min_length=1)
    filler: str = "-"
    cluster: str = ""
    reference: bool = False


class PromptRow(_Row):
    """A line of a file of prompts."""

    prompt: str = Field(min_length=1)


class PictureRow(_Row):
    """A line of a file of pictures."""

    image: str = Field(min_length=1)


class TemplatePlan(BaseModel):
    """Templates and what fills their slots."""

    model_config = ConfigDict(extra="forbid", strict=True)
    templates: list[str | list[str]] = Field(min_length=1)
    slots: dict[str, dict[str, list[str]]] = Field(min_length=1)
    neutral: dict[str, str] = {}


Row = TypeVar("Row", bound=_Row)


def prompts_from(path: Path, *, chosen: Sequence[str] = ()) -> Material:
    """The material of a file of prompts: JSON lines, or templates in TOML or JSON.

    Raises:
        UserError: it cannot be read, or a line is wrong; says which and why.
    """
    if path.suffix == ".jsonl":
        rows = _rows(path, PromptRow)
        return _paired(path, rows, "text", lambda r: r.prompt, lambda r: partial(str, r.prompt), chosen)
    plan = _plan(path)
    families = [[t] if isinstance(t, str) else t for t in plan.templates]
    return prompt_material(families, plan.slots, neutral=plan.neutral, name=path.name, chosen=chosen)


def pictures_from(path: Path, *, chosen: Sequence[str] = ()) -> Material:
    """The material of a file of pictures that are paired already.

    Raises:
        UserError: a line is wrong, or a picture is missing.
    """
    rows = _rows(path, PictureRow)
    for row in rows:
        if not (path.parent / row.image).is_file():
            raise UserError(f"{path} names {row.image}, which is not there: give paths relative to {path.parent}")
    found = _paired(
        path, rows, "image", lambda r: r.image, lambda r: partial(read_image, path.parent / r.image), chosen
    )
    return replace(found, trials=(*found.trials, *_placebos(found)))


def _placebos(material: Material) -> list[Trial]:
    """One of each base and level: the reference changed as much as the level's first picture changes it."""
    before = {(t.base, t.attribute): t for t in material.trials if t.level == material.references[t.attribute]}
    found: dict[tuple[str, str, str], Trial] = {}
    for t in material.trials:
        old, place = before.get((t.base, t.attribute)), (t.base, t.attribute, t.level)
        if old is None or t.level == material.references[t.attribute] or place in found:
            continue
        load = partial(_scrambled, old, t)
        found[place] = replace(t, key=f"{t.key}|placebo", load=load, role="placebo", said=f"{t.said}, placebo")
    return list(found.values())


def _scrambled(old: Trial, new: Trial) -> Any:
    return scrambled(old.load(), new.load(), seed=int.from_bytes(new.key.encode()[-6:], "big"))


def _rows(path: Path, model: type[Row]) -> list[Row]:
    found: list[Row] = []
    for number, row in enumerate(jsonl_rows(path), start=1):
        try:
            found.append(model.model_validate(row))
        except ValidationError as error:
            raise UserError(f"row {number} of {path}: {_why(error)}: see docs/bias.md") from None
    if not found:
        raise UserError(f"{path} is empty: give one object a line")
    return found


def _plan(path: Path) -> TemplatePlan:
    try:
        text = read_text(path)
        found: Any = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (json.JSONDecodeError, tomllib.TOMLDecodeError) as error:
        raise UserError(
            f"{path} cannot be read ({error}): write TOML, JSON in .json, or JSON lines in .jsonl"
        ) from None
    try:
        return TemplatePlan.model_validate(found)
    except ValidationError as error:
        raise UserError(f"{path}: {_why(error)}: see docs/bias.md") from None


def _why(error: ValidationError) -> str:
    first = error.errors()[0]
    return f"{'.'.join(str(p) for p in first['loc']) or 'the whole'}: {first['msg'].lower()}"


def _paired(
    path: Path,
    rows: Sequence[Row],
    modality: Any,
    key: Callable[[Row], str],
    load: Callable[[Row], Callable[[], Any]],
    chosen: Sequence[str],
) -> Material:
    references: dict[str, str] = {}
    for row in rows:
        references.setdefault(row.attribute, row.level)
    references |= {r.attribute: r.level for r in rows if r.reference}
    for name in chosen:
        if name not in references:
            raise UserError(f"{path} has no attribute {name!r}: choose from {', '.join(references)}")
    kept: Mapping[str, str] = {a: v for a, v in references.items() if not chosen or a in chosen}
    trials = tuple(
        Trial(
            key=key(r), load=load(r), base=r.base, cluster=r.cluster or r.base, attribute=r.attribute, level=r.level,
            filler=r.filler, said=key(r),
        )
        for r in rows if r.attribute in kept
    )  # fmt: skip
    _check_clusters(path, trials)
    return Material(modality=modality, name=path.name, trials=trials, references=kept)


def _check_clusters(path: Path, trials: Sequence[Trial]) -> None:
    seen: dict[str, str] = {}
    for t in trials:
        if seen.setdefault(t.base, t.cluster) != t.cluster:
            raise UserError(
                f"{path}: base {t.base!r} is in the clusters {seen[t.base]!r} and {t.cluster!r}: give it one"
            )
