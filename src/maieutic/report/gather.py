"""From run folders to a report: reads the store, the atlas and the stimuli, and fills the plain data that pages show."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from maieutic.campaign import Run, null_results, open_run, stored_explanation, stored_readings
from maieutic.explain import Explanation
from maieutic.harvest import Exemplar
from maieutic.lab import activation_scale
from maieutic.progress import Report, silent
from maieutic.readings import Reading
from maieutic.report.model import (
    ReportControl,
    ReportExemplar,
    ReportExperiment,
    ReportImage,
    ReportRun,
    ReportScores,
    ReportSection,
    ReportTest,
    ReportText,
    ReportUnit,
    Shown,
)
from maieutic.report.transcripts import read_transcript
from maieutic.report.write import write_report
from maieutic.score.controls import CONTROLS
from maieutic.stimuli import Split
from maieutic.store import experiments, explanations, harvests, jobs
from maieutic.subjects import Unit

if TYPE_CHECKING:
    from PIL.Image import Image

#: exemplars on a unit's page: over the whole range of discover, and the strongest of test
SPECTRUM, HELD_OUT = 12, 4
CONTROL_NAMES = {
    "constant": "constant label",
    "shuffled": "another unit's label",
    "one_shot": "one-shot label",
    "untrained": "untrained network",
    "random_direction": "random directions",
}
#: further scorers: their name in tables, and what they do
TESTS = {
    "generative": (
        "made stimuli",
        "average precision over about 50 stimuli made from the label alone, ranked by measured activation: what it "
        "claims against near misses (one edit undoes the claim) and neutrals",
    ),
    "discrimination": (
        "neighbours",
        "share of the unit's ten nearest neighbours that the label fits less well than its own unit",
    ),
    "interventional": (
        "interventions",
        "average precision with which the label foretells where the unit matters: where ablating it changes the outputs "
        "more than steps of the same length along random and unrelated directions",
    ),
    "detection": (
        "judge: detection",
        "balanced accuracy with which a language model, told the label alone, says which held-out windows or pictures the "
        "unit is active in",
    ),
    "fuzzing": (
        "judge: fuzzing",
        "balanced accuracy with which a language model, told the label alone, says whether the marked words are those at "
        "which the unit is active",
    ),
    "simulation": (
        "judge: simulation",
        "correlation of the activations that a language model, told the label alone, foretells for every token of held-out "
        "windows with those measured",
    ),
    "delphi-detection": ("judge: detection as delphi", "detection with the counts and the form of EleutherAI's delphi"),
    "delphi-fuzzing": ("judge: fuzzing as delphi", "fuzzing with the counts and the form of EleutherAI's delphi"),
    "embedding": (
        "sentence embedding",
        "AUROC of held-out windows ranked by how near in meaning a sentence encoder finds them to the label",
    ),
}


def report_runs(
    folders: Sequence[Path],
    out: Path,
    *,
    explainer: str = "search",
    title: str = "maieutic report",
    progress: Report = silent,
) -> Path:
    """Write one report of several runs; returns its ``index.html``."""
    runs = [open_run(f) for f in folders]
    try:
        return write_report(gather(runs, explainer=explainer, title=title, progress=progress), out)
    finally:
        for run in runs:
            run.close()


def gather(
    runs: Sequence[Run], *, explainer: str = "search", title: str = "maieutic report", progress: Report = silent
) -> ReportRun:
    """Everything a report shows. Cost: one forward pass over the image exemplars of each unit, for their heat maps."""
    rows = [run.store.rows(harvests)[0] for run in runs]
    return ReportRun(
        title=title,
        sections=tuple(_section(run, explainer, progress) for run in runs),
        started=min(r["started_at"] or "" for r in rows),
        seconds=sum(_seconds(run, row) for run, row in zip(runs, rows, strict=True)),
        seed=runs[0].seed,
        machine=f"{platform.system()} {platform.machine()}, {platform.processor() or 'CPU'}",
        versions=rows[0]["versions"],
    )


def _seconds(run: Run, harvest: Mapping[str, Any]) -> float:
    return (harvest["seconds"] or 0.0) + sum(r["seconds"] for r in run.store.rows(explanations))


def _section(run: Run, explainer: str, progress: Report) -> ReportSection:
    row = run.store.rows(harvests)[0]
    plan = row["settings"]["plan"]
    splits: tuple[Split, ...] = ("discover", "select", "test")
    sizes = ", ".join(f"{len(run.corpus.split(s))} {s}" for s in splits)
    chosen = f"named: {len(plan['units'])}" if plan["units"] else f"drawn at random with seed {run.seed}"
    shown: list[ReportUnit] = []
    chosen_exemplars = {
        u.key: run.atlas.exemplars(u, SPECTRUM, where="spectrum") + _held_out(run, u) for u in run.units
    }
    heat = _heat(run, chosen_exemplars)
    with progress("report", run.subject.name) as step:
        for done, unit in enumerate(run.units, start=1):
            shown.append(_unit(run, unit, explainer, chosen_exemplars[unit.key], heat))
            step(done, len(run.units))
    return ReportSection(
        subject=run.subject.name,
        modality=run.subject.modality,
        corpus=f"{run.corpus.name}: {len(run.corpus)} stimuli ({sizes})",
        sites=(run.site,),
        units=tuple(shown),
        facts=(
            ("units", chosen),
            ("discover positions", f"{run.atlas.sites[run.site].count:,}"),
            ("model fingerprint", row["subject_fingerprint"][:16]),
            ("corpus fingerprint", row["corpus_fingerprint"][:16]),
        ),
        notes=(
            *run.corpus.notes,
            *([run.nulls.reason] if run.nulls.reason else []),
            *(f"Explained afresh, {line}." for line in null_results(run, explainer)),
        ),
        attribution=run.corpus.attribution,
    )


def _unit(run: Run, unit: Unit, explainer: str, exemplars: Sequence[Exemplar], heat: Heat) -> ReportUnit:
    found = stored_explanation(run, "main", unit, explainer=explainer)
    if found is None:
        found = Explanation.unexplained(unit.key, _not_explained(run, unit, explainer), explainer=explainer)
    discover = [o.values for o in run.atlas.observed(unit, "discover")]
    values = np.concatenate(discover)
    counts, edges = np.histogram(values, bins=40)
    return ReportUnit(
        key=unit.key,
        site=unit.site,
        label=found.label,
        abstained=found.reason,
        predicate=found.predicate.describe(),
        predicate_json=found.predicate.to_json(),
        confidence=found.confidence,
        explainer=explainer,
        scale=activation_scale(discover, modality=run.subject.modality),
        scores=_scores(stored_readings(run, unit, explainer=explainer)),
        exemplars=tuple(_exemplars(run, unit, exemplars, heat)),
        histogram=(tuple(edges.tolist()), tuple(counts.tolist())),
        experiments=tuple(_experiments(run, unit, explainer)),
        considered=found.considered,
        evidence=found.evidence,
        measurements=found.cost.measurements,
        transcript=read_transcript(run.folder / "transcripts", unit.key, explainer),
        cost=found.cost,
        seed=run.seed,
    )


def _not_explained(run: Run, unit: Unit, explainer: str) -> str:
    """Why a unit has no explanation: its explainer failed, or was not asked."""
    if ("main", unit.key) in run.ids:
        for job in run.store.rows(jobs, unit=run.ids["main", unit.key], kind="explain", explainer=explainer):
            if job["status"] == "failed":
                return f"failed: {job['error']}"
    return "not explained yet"


def _scores(readings: Mapping[str, Reading]) -> ReportScores | None:
    if "predictive" not in readings:
        return None
    own = {n: r for n, r in readings.items() if n == "predictive" or n.startswith("predictive.")}
    special = {"predictive", "predictive.pearson"}
    further = [n for n in readings if "." not in n and n != "predictive"]
    return ReportScores(
        primary=readings["predictive"],
        pearson=readings["predictive.pearson"],
        controls=_controls("predictive", readings),
        others=tuple(r for n, r in own.items() if n not in special and not _beside(n)),
        tests=tuple(
            _test(name, readings) for name in [n for n in TESTS if n in further] + sorted(set(further) - set(TESTS))
        ),
    )


def _beside(name: str) -> bool:
    return ".control." in name or ".beats." in name


def _controls(headline: str, readings: Mapping[str, Reading]) -> tuple[ReportControl, ...]:
    return tuple(
        ReportControl(
            name=CONTROL_NAMES[c],
            reading=readings[f"{headline}.control.{c}"],
            difference=readings.get(f"{headline}.beats.{c}"),
        )
        for c in CONTROLS
        if f"{headline}.control.{c}" in readings
    )


def _test(name: str, readings: Mapping[str, Reading]) -> ReportTest:
    """One further scorer; what a plug-in gives is shown under its own name."""
    title, what = TESTS.get(name, (name.replace("_", " "), f"scorer {name}"))
    head = readings[name]
    chance = head.details.get("base_rate", head.details.get("chance"))
    rows = [e for e in head.details.get("examples", []) if isinstance(e, dict)]
    return ReportTest(
        name=title,
        what=what,
        reading=head,
        chance=float(chance) if isinstance(chance, (int, float)) else None,
        controls=_controls(name, readings),
        others=tuple(r for n, r in readings.items() if n.startswith(f"{name}.") and not _beside(n)),
        examples=tuple((str(e["sort"]), str(e["edit"]), str(e["shown"]), float(e["value"])) for e in rows),
    )


#: activation maps by unit key and stimulus id
Heat = dict[tuple[str, str], Any]


def _heat(run: Run, exemplars: Mapping[str, Sequence[Exemplar]]) -> Heat:
    """Maps of every image exemplar: each image passes once, however many units show it."""
    if run.subject.modality != "image" or run.subject.site(run.site).positions != "spatial":
        return {}
    wanted: dict[str, list[str]] = {}
    stimuli = {e.stimulus.id: e.stimulus for es in exemplars.values() for e in es}
    for key, chosen in exemplars.items():
        for e in chosen:
            wanted.setdefault(e.stimulus.id, []).append(key)
    units, heat, ids = {u.key: u for u in run.units}, Heat(), sorted(stimuli)
    for at in range(0, len(ids), run.subject.batch_size):
        batch = ids[at : at + run.subject.batch_size]
        maps = run.subject.forward([stimuli[i].content for i in batch], [run.site], maps=True).values[run.site]
        for row, stimulus in enumerate(batch):
            for key in wanted[stimulus]:
                unit = units[key]
                heat[key, stimulus] = unit.sign * maps[row, unit.index].numpy().copy()
    return heat


def _exemplars(run: Run, unit: Unit, chosen: Sequence[Exemplar], heat: Heat) -> list[ReportExemplar]:
    """The whole range of discover, then the strongest of the test split."""
    values = {o.stimulus.id: o.values for s in ("discover", "test") for o in run.atlas.observed(unit, s)}
    return [
        ReportExemplar(
            shown=_shown(run, e, values[e.stimulus.id], heat.get((unit.key, e.stimulus.id))),
            value=e.value,
            quantile=e.quantile,
            split=e.stimulus.split,
            source=e.stimulus.source,
        )
        for e in chosen
    ]


def _held_out(run: Run, unit: Unit) -> list[Exemplar]:
    sample = np.sort(run.atlas.sample(unit))
    observed = sorted(run.atlas.observed(unit, "test"), key=lambda o: -float(o.values.max(initial=-np.inf)))
    return [
        Exemplar(
            stimulus=o.stimulus,
            position=int(np.argmax(o.values)),
            value=float(o.values.max()),
            quantile=float(np.searchsorted(sample, o.values.max()) / max(len(sample), 1)),
        )
        for o in observed[:HELD_OUT]
        if len(o.values)
    ]


def _shown(run: Run, exemplar: Exemplar, values: Any, heat: Any) -> Shown:
    stimulus = exemplar.stimulus
    if run.subject.modality == "image":
        alt = ", ".join(t.name for t in stimulus.things) or ", ".join(stimulus.tags) or "image"
        return ReportImage(load=stimulus.load, heat=heat, alt=alt)
    tokens = tuple(t.text for t in run.subject.tokens(stimulus.content))
    same = len(tokens) == len(values)
    return ReportText(
        tokens=tokens, values=tuple(float(v) for v in values) if same else (), position=exemplar.position
    )  # fmt: skip


def _experiments(run: Run, unit: Unit, explainer: str) -> list[ReportExperiment]:
    if ("main", unit.key) not in run.ids:
        return []
    rows = run.store.rows(experiments, unit=run.ids["main", unit.key], explainer=explainer)
    return [
        ReportExperiment(
            id=r["entry"],
            kind=r["kind"],
            hypothesis=r["hypothesis"],
            shown=_asked(run, r),
            expect=r["expect"],
            scaled=r["scaled"],
            value=r["value"],
            pair=r["pair"],
        )
        for r in rows
    ]


def _asked(run: Run, row: Mapping[str, Any]) -> Shown:
    if run.subject.modality == "text":
        return ReportText(tokens=tuple(t.text for t in run.subject.tokens(row["shown"])), position=row["position"])
    path = run.folder / "images" / row["stimulus"][:2] / f"{row['stimulus']}.webp"
    return ReportImage(load=partial(_stored, path), alt=row["hypothesis"])


def _stored(path: Path) -> Image:
    from PIL import Image

    return Image.open(path).convert("RGB")
