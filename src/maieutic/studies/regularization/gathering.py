"""The table of a study from its run folder: what training told of each model, what was measured, and why the rest was not.

Beside the rows of the measures there are those that follow from them (`derived`) and those of training: loss, speed, measured
sparsity. A measure that other models of the study have and this one lacks is an unmeasured row with the reason. What this
module does not do: measure, or compare.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from maieutic.readings import Reading
from maieutic.studies.regularization.config import StudyConfig
from maieutic.studies.regularization.derived import derived_rows
from maieutic.studies.regularization.keeping import Failed, Kept
from maieutic.studies.regularization.measured import Measured, Table
from maieutic.studies.regularization.measuring import read_part
from maieutic.studies.regularization.rows import About, Row

_PARTS = ("known", "behaviour", "interpretability", "editing", "explainer")


def gather(config: StudyConfig, models: Sequence[Kept | Failed]) -> Table:
    """Everything that is known of the models of a study.

    Args:
        config: which parts were wanted. models: trained ones and those that failed; gold models are no arm and are left out.
    """
    found: list[Measured] = []
    missing: list[tuple[str, str]] = []
    lacking: dict[int, dict[str, str]] = {}
    for m in models:
        if isinstance(m, Failed):
            missing.append((m.variant.name, m.reason))
        elif m.variant.purpose != "gold":
            for step in (None, *(int(s) for s in m.record["checkpoints"])):
                one, why = _measured(config, m, step)
                lacking[len(found)] = why
                found.append(one)
                missing += [(_name(m, step, part), reason) for part, reason in why.items()]
    return Table(models=tuple(_completed(found, lacking)), missing=tuple(missing))


def _name(kept: Kept, step: int | None, part: str) -> str:
    return f"{kept.variant.name}{'' if step is None else f' after {step} steps'}, {part}"


def _measured(config: StudyConfig, kept: Kept, step: int | None) -> tuple[Measured, dict[str, str]]:
    """A model with its rows, and of each part that is wanted and not there the reason."""
    wanted = config.parts(kept.variant.purpose, step=step)
    rows = list(trained_rows(kept.record, step))
    why: dict[str, str] = {}
    for part in _PARTS:
        told = read_part(kept, part, step)
        if part == "known" and (told is None or "failed" not in told):
            continue
        if told is not None and "failed" not in told:
            rows += [_row(r) for r in told["rows"]]
        elif told is not None:
            why[part] = f"it failed: {told['failed']}"
        elif part in wanted:
            why[part] = "the run was stopped before it"
    rows += derived_rows(rows)
    recall = next((r.reading.value for r in rows if r.measure == "recall.seen"), None)
    loss = kept.record["loss"] if step is None else kept.record["checkpoints"][str(step)]["loss"]
    if recall is None and step is None:
        recall = kept.record["recall_seen"]
    return Measured(variant=kept.variant, loss=loss, rows=tuple(rows), recall=recall, step=step), why


def _row(told: Mapping[str, Any]) -> Row:
    own = ("about", "measure", "where", "better")
    reading = Reading.from_json({k: v for k, v in told.items() if k not in own})
    return Row(**{k: told[k] for k in own}, reading=reading)


def _completed(models: Sequence[Measured], lacking: Mapping[int, Mapping[str, str]]) -> Iterator[Measured]:
    """Models with an unmeasured row for everything that others have and they, for a reason, do not."""
    kinds: dict[tuple[str, str], Row] = {}
    for m in models:
        for row in m.rows:
            kinds.setdefault((row.measure, row.where), row)
    for place, m in enumerate(models):
        why = lacking[place]
        have = {(r.measure, r.where) for r in m.rows}
        added = [
            replace(row, reading=Reading.unmeasured(row.measure, why[part]))
            for key, row in kinds.items()
            if key not in have and (part := _part_of(row.about)) in why
        ]
        yield replace(m, rows=(*m.rows, *added))


def _part_of(about: About) -> str:
    """The part that measures what is about this."""
    if about in ("interpretability", "hiding"):
        return "interpretability"
    return "editing" if about == "editability" else "behaviour"


def trained_rows(record: Mapping[str, Any], step: int | None = None) -> Iterator[Row]:
    """What training told of a model; of a checkpoint its loss alone."""
    if step is not None:
        yield _plain("performance", "loss", record["checkpoints"][str(step)]["loss"], better=-1)
        return
    sparsity = record["sparsity"]
    yield _plain("performance", "loss", record["loss"], better=-1)
    if record["tokens"]:
        yield _plain("performance", "tokens-per-second", record["tokens"] / max(record["cpu_seconds"], 1e-9), better=1)
    else:
        yield Row(
            about="performance", measure="tokens-per-second",
            reading=Reading.unmeasured("tokens-per-second", "it was not trained"),
        )  # fmt: skip
    yield _plain("performance", "parameters", float(record["parameters"]), better=0)
    units = sparsity["units"]
    for layer, (active, strong, dead) in enumerate(
        zip(sparsity["active"], sparsity["strong"], sparsity["dead"], strict=True)
    ):
        where = f"blocks.{layer}.mlp.act"
        yield _plain("sparsity", "sparsity.active", active / units, where=where, better=0)
        yield _plain("sparsity", "sparsity.strong", strong / units, where=where, better=0)
        yield _plain("sparsity", "sparsity.dead", dead / units, where=where, better=-1)
    yield _plain("sparsity", "sparsity.nonzero", sparsity["nonzero"] / sparsity["entries"], better=0)
    yield _plain("sparsity", "sparsity.nonzero-weights", float(sparsity["nonzero"]), better=0)


def _plain(about: About, measure: str, value: float, *, better: Any, where: str = "") -> Row:
    return Row(
        about=about, measure=measure, where=where, reading=Reading(name=measure, value=value, n=1), better=better
    )
