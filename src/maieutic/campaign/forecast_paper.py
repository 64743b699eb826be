"""A campaign that nobody has run, worked out on paper: from a table of rates, each with where it comes from.

Only arithmetic: a product of a measured rate and assumed amounts is no measurement, and there are no intervals here. A
pilot (`forecast_pilot`) on the model itself replaces the assumptions by figures that have them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import Field

from maieutic.campaign.prices import Part, read_toml

FILE = "frontier.toml"
#: arithmetic operations of a forward pass for each parameter that takes part (Kaplan et al. 2020, section 2.1)
_OPERATIONS = 2.0


class Rate(Part):
    """A figure, its unit, and where it comes from."""

    value: float = Field(ge=0)
    unit: str
    source: str = Field(alias="from")


_NONE = Rate(value=0.0, unit="", **{"from": "none"})


class Campaign(Part):
    """How large the campaign is, and what works on it."""

    units: Rate
    tokens_harvested: Rate
    exemplars: Rate
    active_at_once: Rate
    cores: Rate
    gpus: Rate


class Model(Part):
    """The model under study and the GPUs that it runs on."""

    active_parameters: Rate
    width: Rate
    gpu_speed: Rate
    depth_read: Rate


class Harvest(Part):
    """What a harvest costs and keeps."""

    reduction: Rate
    summary_bytes: Rate
    nonzero_bytes: Rate


class PaperStage(Part):
    """One explainer: the share of units that come to it, and what one of them costs."""

    name: str
    share: Rate
    core_seconds: Rate
    measurements: Rate = _NONE
    fresh: Rate = _NONE
    tokens_in: Rate = _NONE
    tokens_out: Rate = _NONE
    ledger_bytes: Rate = _NONE


class WorkRates(Part):
    """What else a unit costs."""

    tokens_a_measurement: Rate
    score_seconds: Rate
    efficiency: Rate
    job_seconds: Rate


class StoreRates(Part):
    """What a run folder costs."""

    row_bytes: Rate
    exemplar_bytes: Rate
    row_seconds: Rate
    exemplar_seconds: Rate


class PaperPrices(Part):
    """Dollars."""

    core_hour: Rate
    gpu_hour: Rate
    tokens_in: Rate
    tokens_out: Rate


class Rates(Part):
    """The table."""

    campaign: Campaign
    model: Model
    harvest: Harvest
    stages: tuple[PaperStage, ...] = Field(min_length=1)
    work: WorkRates
    store: StoreRates
    prices: PaperPrices


class Line(NamedTuple):
    """One figure: its name, value and unit (``s``, ``$`` and ``h`` are seconds, dollars, hours), and how it comes about."""

    name: str
    value: float
    unit: str
    source: str


def read_rates(file: Path | None = None) -> Rates:
    """A user's table, or the packaged one.

    Raises:
        UsageError: as ``prices.load_prices``.
    """
    return read_toml(file, Rates, packaged=FILE)


def on_paper(rates: Rates) -> list[Line]:
    """The campaign's figures, in the order in which they follow from the table."""
    c, gpu = rates.campaign, _gpu(rates)
    harvest, searching, experiments = _harvest(rates, gpu), _searching(rates), _experiments(rates, gpu)
    known = {line.name: line.value for line in (*gpu, *harvest, *searching, *experiments)}
    hours = known["harvest, GPU-hours"] + known["experiments, GPU-hours"]
    work = known["explaining and scoring, core-hours"]
    calls = sum(s.share.value for s in rates.stages) + 1.0
    driver = c.units.value * (calls * rates.work.job_seconds.value + rates.store.row_seconds.value)
    walls = {
        "harvest, wall time": 3600 * known["harvest, GPU-hours"] / c.gpus.value,
        "experiments, wall time": 3600 * known["experiments, GPU-hours"] / c.gpus.value,
        "explaining, wall time": 3600 * work / (c.cores.value * rates.work.efficiency.value),
        "driver, wall time": driver,
    }
    slowest = max(v for n, v in walls.items() if not n.startswith("harvest"))
    reserved = slowest / 3600 * c.cores.value
    tokens = (
        rates.prices.tokens_in.value * known["tokens read"] + rates.prices.tokens_out.value * known["tokens written"]
    )
    dollars = {
        "GPUs": hours * rates.prices.gpu_hour.value, "cores": reserved * rates.prices.core_hour.value,
        "language models": tokens / 1e6,
    }  # fmt: skip
    how = {
        "harvest, wall time": "over all GPUs", "experiments, wall time": "over all GPUs",
        "explaining, wall time": "over all cores, at the efficiency",
        "driver, wall time": "handing out jobs and writing rows, one process",
    }  # fmt: skip
    return [
        *gpu, *harvest, *searching, *experiments, *_stored(rates),
        *(Line(name, value, "s", how[name]) for name, value in walls.items()),
        Line("wall time", walls["harvest, wall time"] + slowest, "s", "harvest, then the slowest of the other three"),
        *(Line(f"dollars, {name}", value, "$", "hours or tokens times their price") for name, value in dollars.items()),
        Line("dollars", sum(dollars.values()), "$", "all three"),
        Line("dollars a unit", sum(dollars.values()) / c.units.value, "$", ""),
    ]  # fmt: skip


def _gpu(rates: Rates) -> list[Line]:
    m, c = rates.model, rates.campaign
    forward = _OPERATIONS * m.active_parameters.value * m.depth_read.value
    encode = _OPERATIONS * m.width.value * c.units.value
    reduced = rates.harvest.reduction.value * c.units.value
    harvested, measured = (m.gpu_speed.value / x for x in (forward + encode + reduced, forward + encode))
    return [
        Line("forward pass to the layer", forward, "operations a token", "2 x active parameters x depth read"),
        Line("SAE encoder", encode, "operations a token", "2 x width x latents"),
        Line("harvest's reduction", reduced, "operations a token", "reduction x latents"),
        Line("a GPU harvests", harvested, "tokens a second", "GPU speed / all three"),
        Line("a GPU measures", measured, "tokens a second", "GPU speed / the first two"),
    ]


def _harvest(rates: Rates, gpu: Sequence[Line]) -> list[Line]:
    c, h = rates.campaign, rates.harvest
    hours = c.tokens_harvested.value / gpu[-2].value / 3600
    kept = c.tokens_harvested.value * c.active_at_once.value * h.nonzero_bytes.value
    return [
        Line("harvest, GPU-hours", hours, "h", "tokens / speed"),
        Line("summaries", c.units.value * h.summary_bytes.value / 1e9, "GB", "latents x bytes, flat in the corpus"),
        Line("every non-zero", kept / 1e9, "GB", "tokens x active latents x bytes: only if kept"),
    ]


def _searching(rates: Rates) -> list[Line]:
    units = rates.campaign.units.value
    out = [
        Line(
            f"{s.name}, core-hours", units * s.share.value * s.core_seconds.value / 3600, "h", "units x share x seconds"
        )
        for s in rates.stages
    ]
    score = units * rates.work.score_seconds.value / 3600
    read, written = (
        units * sum(s.share.value * getattr(s, kind).value for s in rates.stages)
        for kind in ("tokens_in", "tokens_out")
    )
    return [
        *out, Line("scoring, core-hours", score, "h", "units x seconds"),
        Line("explaining and scoring, core-hours", sum(o.value for o in out) + score, "h", "all of these"),
        Line("tokens read", read, "tokens", "units x share x tokens"),
        Line("tokens written", written, "tokens", "units x share x tokens"),
    ]  # fmt: skip


def _experiments(rates: Rates, gpu: Sequence[Line]) -> list[Line]:
    units = rates.campaign.units.value
    asked, fresh = (
        units * sum(s.share.value * getattr(s, kind).value for s in rates.stages) for kind in ("measurements", "fresh")
    )
    hours = fresh * rates.work.tokens_a_measurement.value / gpu[-1].value / 3600
    return [
        Line("measurements", asked, "", "units x share x measurements"),
        Line("measured anew", fresh, "", "units x share x fresh"),
        Line("experiments, GPU-hours", hours, "h", "fresh x tokens / speed"),
    ]


def _stored(rates: Rates) -> list[Line]:
    units, rows = rates.campaign.units.value, rates.campaign.units.value * rates.campaign.exemplars.value
    ledgers = units * sum(s.share.value * s.ledger_bytes.value for s in rates.stages)
    return [
        Line("store, rows", units * rates.store.row_bytes.value / 1e9, "GB", "units x bytes"),
        Line("store, exemplars", rows * rates.store.exemplar_bytes.value / 1e9, "GB", "rows x bytes"),
        Line("store, ledgers", ledgers / 1e9, "GB", "units x share x bytes"),
        Line("writing exemplars", rows * rates.store.exemplar_seconds.value, "s", "rows x seconds"),
    ]


def given(rates: Rates) -> list[Line]:
    """Every figure of the table, with where it comes from."""
    out: list[Line] = []
    for part in ("campaign", "model", "harvest", "work", "store", "prices"):
        found = getattr(rates, part)
        out += [_line(f"{part}.{name}", getattr(found, name)) for name in type(found).model_fields]
    for stage in rates.stages:
        named = {n: getattr(stage, n) for n in type(stage).model_fields if n != "name"}
        out += [_line(f"{stage.name}.{name}", rate) for name, rate in named.items() if rate.source != "none"]
    return out


def _line(name: str, rate: Rate) -> Line:
    return Line(name, rate.value, rate.unit, rate.source)
