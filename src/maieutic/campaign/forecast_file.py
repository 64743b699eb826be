"""A forecast on disk, in ``plan/forecast.json`` of the pilot's run folder: written before the campaign, read after it.

The file holds all that a comparison needs: what was forecast with its intervals, the settings, the prices, and of which
model, corpus, sites and code. Nothing is forecast anew when it is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from maieutic.campaign.cascade import Rules
from maieutic.campaign.forecast import Scenario
from maieutic.campaign.forecast_pilot import FOLDER
from maieutic.campaign.forecast_read import Pilot
from maieutic.campaign.forecast_simulate import Setting
from maieutic.campaign.prices import Prices
from maieutic.campaign.spend import Limits
from maieutic.errors import StoreError
from maieutic.readings import Reading
from maieutic.store import now, writing

FILE, VERSION = "forecast.json", 1


class Forecast(BaseModel):
    """The file.

    Attributes:
        written_at: when. about: of which subject, corpus, sites, seed and code.
        stages: explainer and measurements a unit. first: which units come first.
        sampled: units of the pilot. engine: that it ran on. prices: that were used.
        once: what is paid once, in seconds, and the efficiency of workers.
        scenarios: ``stages`` (how many), ``enough``, ``least``, ``limits``, ``workers``, ``units``, ``readings``.
    """

    model_config = ConfigDict(frozen=True)
    version: int = VERSION
    written_at: str
    about: dict[str, Any]
    stages: list[dict[str, Any]]
    first: str
    sampled: int
    engine: str
    prices: Prices
    once: dict[str, Any]
    scenarios: list[dict[str, Any]]

    def read(self) -> list[Scenario]:
        """The scenarios."""
        return [
            Scenario(
                setting=Setting(
                    stages=s["stages"], rules=Rules(enough=s["enough"], least=s["least"]), limits=Limits(**s["limits"])
                ),
                workers=s["workers"], units=s["units"],
                readings={name: Reading.from_json(r) for name, r in s["readings"].items()},
            )
            for s in self.scenarios
        ]  # fmt: skip


def write_forecast(folder: Path, pilot: Pilot, scenarios: Sequence[Scenario], prices: Prices) -> Forecast:
    """Write a forecast into the pilot's folder; an earlier one is replaced."""
    made = Forecast(
        written_at=now(), about=dict(pilot.about), first=pilot.first, sampled=len(pilot.main), engine=pilot.pace.engine,
        stages=[{"explainer": s.explainer, "budget": s.budget} for s in pilot.stages], prices=prices,
        once=asdict(pilot.pace),
        scenarios=[
            {
                "stages": s.setting.stages, "enough": s.setting.rules.enough, "least": s.setting.rules.least,
                "limits": asdict(s.setting.limits), "workers": s.workers, "units": s.units,
                "readings": {name: r.to_json() for name, r in s.readings.items()},
            }
            for s in scenarios
        ],
    )  # fmt: skip
    with writing(folder / FOLDER / FILE) as temporary:
        temporary.write_text(made.model_dump_json(indent=1), encoding="utf-8")
    return made


def read_forecast(folder: Path) -> Forecast:
    """The forecast of a pilot's folder.

    Raises:
        StoreError: there is none, or it cannot be read.
    """
    file = folder / FOLDER / FILE
    try:
        made = Forecast.model_validate_json(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StoreError(f"{folder} holds no forecast: make one with  maieutic plan --run {folder}") from None
    except (OSError, ValidationError) as error:
        raise StoreError(f"cannot read {file}: make it again with  maieutic plan --run {folder}") from error
    if made.version != VERSION:
        raise StoreError(f"{file} was written by another version: make it again with  maieutic plan --run {folder}")
    return made
