"""Prices and speeds that a plan is made with: a small TOML table that people edit.

What a language model's tokens cost stands in the user's own table first (`llm/prices.py`): explanations of models with a
price there carry their dollars. This table is asked for tokens without a price, and for what machines cost. Nothing here
looks anything up.
"""

from __future__ import annotations

import tomllib
from importlib.resources import files
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from maieutic.errors import UsageError

FILE = "prices.toml"
Table = TypeVar("Table", bound=BaseModel)


class Part(BaseModel):
    """A part of a table: nothing unknown in it."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Machine(Part):
    """What workers cost.

    Attributes:
        core_hour, gpu_hour: dollars. gpus_per_worker: held by each worker.
        speed: of a worker over a worker of the pilot.
        repeat: relative standard deviation of the seconds of the same work when it is run again.
    """

    core_hour: float = Field(ge=0)
    gpu_hour: float = Field(ge=0)
    gpus_per_worker: float = Field(ge=0)
    speed: float = Field(gt=0)
    repeat: float = Field(ge=0, le=1)


class Tokens(Part):
    """Dollars a million tokens of models without a price of their own; ``output_share``: of all tokens, 0 to 1."""

    input: float = Field(ge=0)
    output: float = Field(ge=0)
    output_share: float = Field(ge=0, le=1)

    @property
    def one(self) -> float:
        """Dollars a token, read and written ones mixed."""
        return (self.input * (1 - self.output_share) + self.output * self.output_share) / 1e6


class Prices(Part):
    """The table."""

    machine: Machine
    tokens: Tokens


def load_prices(file: Path | None = None) -> Prices:
    """The table of a file, or the packaged one.

    Raises:
        UsageError: no such file, no TOML, a figure that is missing, unknown or out of range.
    """
    return read_toml(file, Prices, packaged=FILE)


def read_toml(file: Path | None, table: type[Table], *, packaged: str) -> Table:
    """A checked table of a user, or the packaged one of that name.

    Raises:
        UsageError: as ``load_prices``.
    """
    place = file or files("maieutic.campaign") / packaged
    try:
        found = tomllib.loads(place.read_text(encoding="utf-8"))
        return table.model_validate(found)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"{place}: {where}: {first['msg'].lower()}: compare with the packaged {packaged}") from error
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read the table {place} ({error}): correct it, or leave the option out") from error
