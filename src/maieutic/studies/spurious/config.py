"""What the study of spurious features does, written down before it runs: sizes, seeds, and the rule that keeps units.

What this module does not do: read pictures, or decide anything from results.
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from maieutic.errors import UsageError, UserError

#: set before the first run; the study prints it and says whether it was met
TARGET = "kept units beat all units in worst-group accuracy: the 95 % interval of the margin lies above 0"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Rule(_Frozen):
    """Which units are kept. Everything it reads comes from discover and select pictures; groups and balanced labels never.

    A unit is kept when all of these hold:

    1. the explainer explains it (it did not abstain);
    2. its predicate claims the object: of the variance of its predictions over the crossed pictures, at least ``claim``
       comes from which object is shown (the rest from which background, and from both together);
    3. the claim is right about the object: on the same backgrounds, objects that the predicate claims move the unit more
       than other objects do, and more than no object (95 % intervals over objects above 0);
    4. the claim survives background swaps: of the variance of the measured activation over the crossed pictures, the share
       that follows the object, not the background, is at least ``survival``.
    """

    claim: float = Field(default=0.5, ge=0, le=1)
    survival: float = Field(default=0.7, ge=0, le=1)

    def lines(self) -> tuple[str, ...]:
        """The rule in plain words."""
        return (
            "the explainer gave it a meaning (it did not abstain)",
            f"its predicate speaks of the object: at least {self.claim:.0%} of what it foretells on crossed pictures "
            "follows the object and not the background",
            "the claim holds: on the same backgrounds, claimed objects move it more than other objects and more than no "
            "object (95 % intervals above 0)",
            f"it survives background swaps: at least {self.survival:.0%} of how its activation varies between objects and "
            "between backgrounds follows the object",
        )


class SpuriousConfig(_Frozen):
    """One study.

    Attributes:
        seeds: replicates: each draws pictures, trains a network and decides anew.
        classes: kinds of objects, each a concept of the packaged stamps.
        groups: kinds of backgrounds; the i-th goes with the i-th class (``wood``, ``stone``, ``town``, ``plain``).
        correlation: share of training pictures of a class that stand on its own background.
        per_class: training pictures of each class. repeats: test pictures of each test stamp on each background.
        side: pixels of a picture.
        size: longest side of the object as a share of the picture, from and to.
        units: width of the last layer. most: units that are explained; of a wider layer those that a head leans on most.
        block: of the packaged network, whose expansion units it has. epochs: of training.
        explainer, options: who gives units their meaning. measurements: what a unit may cost it.
        objects, backgrounds: of the crossed pictures: every object on every background.
        penalty: of the l1 logistic head. draws: random selections of units.
        rule: which units are kept.
        holdout: whose stamps are the test; ``select`` is for development, which then never sees test stamps.
    """

    seeds: tuple[int, ...] = (0, 1, 2)
    classes: tuple[str, ...] = ("bird", "ungulate", "vehicle", "fruit")
    groups: tuple[str, ...] = ("wood", "stone", "town", "plain")
    correlation: float = Field(default=0.95, ge=0, le=1)
    per_class: int = Field(default=150, ge=8)
    repeats: int = Field(default=6, ge=1)
    side: int = Field(default=128, ge=32)
    size: tuple[float, float] = (0.45, 0.75)
    units: int = Field(default=128, ge=2)
    most: int = Field(default=128, ge=2)
    block: int = Field(default=14, ge=1, le=15)
    epochs: int = Field(default=10, ge=1)
    explainer: str = "search"
    options: dict[str, Any] = Field(default_factory=dict)
    measurements: int = Field(default=24, ge=0)
    objects: int = Field(default=24, ge=4)
    backgrounds: int = Field(default=8, ge=3)
    penalty: float = Field(default=0.01, gt=0)
    draws: int = Field(default=100, ge=20)
    rule: Rule = Rule()
    holdout: Literal["test", "select"] = "test"

    @model_validator(mode="after")
    def _matched(self) -> SpuriousConfig:
        if (
            len(self.classes) != len(self.groups)
            or len(set(self.classes)) != len(self.classes)
            or len(self.classes) < 2
        ):
            raise ValueError("give at least two classes, each once, and as many groups")
        if not self.seeds or len(set(self.seeds)) != len(self.seeds):
            raise ValueError("give at least one seed, each once")
        return self

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return self.model_dump(mode="json")


def quick(config: SpuriousConfig | None = None) -> SpuriousConfig:
    """One seed of the study; everything else as it is."""
    base = config or SpuriousConfig()
    return base.model_copy(update={"seeds": base.seeds[:1]})


def load_config(path: Path) -> SpuriousConfig:
    """A configuration of a TOML or JSON file.

    Raises:
        UserError: it cannot be read. UsageError: an unknown name or a value that does not do.
    """
    try:
        text = path.read_text(encoding="utf-8")
        data = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except OSError as error:
        raise UserError(f"cannot read {path} ({error.strerror}): check the path") from error
    except ValueError as error:
        raise UserError(f"{path} is neither TOML nor JSON ({error}): correct it") from error
    try:
        return SpuriousConfig.model_validate(data)
    except ValidationError as error:
        raise UsageError(f"{path}: {first_problem(error)}: correct it") from None


def first_problem(error: ValidationError) -> str:
    """The first thing that is wrong, in one line."""
    found = error.errors()[0]
    where = ".".join(str(p) for p in found["loc"])
    return f"{where}: {found['msg']}" if where else str(found["msg"])
