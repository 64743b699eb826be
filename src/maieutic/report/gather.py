"""From run folders to a report: reads the store, the atlas and the stimuli, and fills the plain data that pages show."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from maieutic.campaign import Run, null_results, open_run, stored_explanation, stored_readings
from maieutic.explain import Explanation
from maieutic.harvest import Exemplar, Observed
from maieutic.lab import activation_scale
from maieutic.progress import Report, silent
from maieutic.readings import Reading
from maieutic.report.model import (
    TOLERANCE,
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
from maieutic.store import CHOSEN, choices, experiments, explanations, harvests, jobs
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
    """Write one report of several runs; returns its ``index.html``.

    Args:
        folders: of the runs.
        out: where to write.
        explainer: whose explanations; ``chosen``: for each unit those that a sweep chose.
        title: of the report.
        progress: told how it goes on.
    """
    runs = [open_run(f) for f in folders]
    try:
        return write_report(gather(runs, explainer=explainer, title=title, progress=progress), out)
    finally:
        for run in runs:
            run.close()


def gather(
    runs: Sequence[Run], *, explainer: str = "search", title: str = "maieutic report", progress: Report = silent
) -> ReportRun:
    """Everything a report shows; the evidence of a unit is gathered when its page is written.

    Cost: with the first page one forward pass over the image exemplars of all units, for their heat maps.
    """
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
    return (harvest["seconds"] or 0.0) + sum(r["seconds"] for r in run.store.stream(explanations))


def _section(run: Run, explainer: str, progress: Report) -> ReportSection:
    row = run.store.rows(harvests)[0]
    plan = row["settings"]["plan"]
    splits: tuple[Split, ...] = ("discover", "select", "test")
    sizes = ", ".join(f"{len(run.corpus.split(s))} {s}" for s in splits)
    chosen = f"named: {len(plan['units'])}" if plan["units"] else f"drawn at random with seed {run.seed}"
    picked = Picked.of(run, explainer)
    with progress("report", run.subject.name) as step:
        shown: list[ReportUnit] = []
        for done, unit in enumerate(run.units, start=1):
            shown.append(_unit(run, unit, picked))
            step(done, len(run.units))
    return ReportSection(
        subject=run.subject.name,
        modality=run.subject.modality,
        corpus=f"{run.corpus.name}: {len(run.corpus)} stimuli ({sizes})",
        sites=tuple(dict.fromkeys(u.site for u in run.units)) or run.sites,
        units=tuple(shown),
        facts=(
            ("units", chosen),
            ("discover positions", f"{run.atlas.sites[run.sites[0]].count:,}"),
            ("model fingerprint", row["subject_fingerprint"][:16]),
            ("corpus fingerprint", row["corpus_fingerprint"][:16]),
        ),
        notes=(
            *run.corpus.notes,
            *([run.nulls.reason] if run.nulls.reason else []),
            *(f"Explained afresh, {line}." for name in picked.explainers() for line in null_results(run, name)),
        ),
        attribution=run.corpus.attribution,
        full=Evidence.of(run, picked).full,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Picked:
    """Whose explanation each unit is shown with.

    Attributes:
        explainer: an explainer's name, or ``chosen``: the one that a sweep chose for each unit.
        choices: rows of the table ``choices`` by unit id.
    """

    explainer: str
    choices: Mapping[int, Mapping[str, Any]]

    @classmethod
    def of(cls, run: Run, explainer: str) -> Picked:
        return cls(explainer=explainer, choices={r["unit"]: r for r in run.store.stream(choices)})

    def of_unit(self, run: Run, unit: Unit) -> str:
        """The explainer shown; ``chosen`` itself where nothing was chosen."""
        if self.explainer != CHOSEN:
            return self.explainer
        return str(self.choice(run, unit).get("explainer", CHOSEN))

    def choice(self, run: Run, unit: Unit) -> Mapping[str, Any]:
        """The unit's choice; empty where there is none."""
        return self.choices.get(run.ids.get(("main", unit.key), -1), {})

    def explainers(self) -> list[str]:
        """Every explainer that is shown."""
        if self.explainer != CHOSEN:
            return [self.explainer]
        return sorted({str(r["explainer"]) for r in self.choices.values()})


def _unit(run: Run, unit: Unit, picked: Picked) -> ReportUnit:
    """What tables show of a unit; its evidence is gathered when its page is written."""
    explainer, choice = picked.of_unit(run, unit), picked.choice(run, unit)
    found = stored_explanation(run, "main", unit, explainer=explainer)
    if found is None:
        found = Explanation.unexplained(unit.key, _not_explained(run, unit, explainer), explainer=explainer)
    made = [e for e in _ledger(run, unit, explainer) if e["expect"] is not None]
    return ReportUnit(
        key=unit.key,
        site=unit.site,
        label=found.label,
        abstained=found.reason,
        predicate=found.predicate.describe(),
        predicate_json=found.predicate.to_json(),
        confidence=found.confidence,
        explainer=explainer,
        scores=_scores(stored_readings(run, unit, explainer=explainer)),
        considered=found.considered,
        evidence=found.evidence,
        measurements=found.cost.measurements,
        cost=found.cost,
        seed=run.seed,
        tally=(len(made), sum(abs(e["scaled"] - e["expect"]) <= TOLERANCE + 1e-9 for e in made)),
        standing=choice.get("standing"),
        importance=choice.get("importance"),
        why=str(choice.get("why", "")) if choice.get("explainer") == explainer else "",
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Gathers what a unit's page shows, for one unit at a time."""

    run: Run
    picked: Picked
    units: Mapping[str, Unit]
    heat: Callable[[], Heat]
    tokens: Callable[[str], tuple[str, ...]]

    @classmethod
    def of(cls, run: Run, picked: Picked) -> Evidence:
        def split(text: str) -> tuple[str, ...]:
            return tuple(t.text for t in run.subject.tokens(text))

        return cls(
            run=run,
            picked=picked,
            units={u.key: u for u in run.units},
            heat=cache(partial(_heat, run)),
            tokens=lru_cache(maxsize=4096)(split),
        )

    def full(self, shown: ReportUnit) -> ReportUnit:
        """The unit with its exemplars, experiments, histogram and transcript."""
        run, unit = self.run, self.units[shown.key]
        observed = {s: run.atlas.observed(unit, s) for s in _SHOWN_SPLITS}
        discover = [o.values for o in observed["discover"]]
        counts, edges = np.histogram(np.concatenate(discover), bins=40)
        chosen = run.atlas.exemplars(unit, SPECTRUM, where="spectrum") + _held_out(run, unit, observed["test"])
        values = {o.stimulus.id: o.values for split in observed.values() for o in split}
        heat = self.heat()
        exemplars = [
            ReportExemplar(
                shown=self._shown(e, values[e.stimulus.id], heat.get((unit.key, e.stimulus.id))),
                value=e.value,
                quantile=e.quantile,
                split=e.stimulus.split,
                source=e.stimulus.source,
            )
            for e in chosen
        ]
        return replace(
            shown,
            scale=activation_scale(discover, modality=run.subject.modality),
            exemplars=tuple(exemplars),
            histogram=(tuple(edges.tolist()), tuple(counts.tolist())),
            experiments=tuple(self._experiment(r) for r in _ledger(run, unit, shown.explainer)),
            transcript=read_transcript(run.folder / "transcripts", unit.key, shown.explainer),
        )

    def _shown(self, exemplar: Exemplar, values: Any, heat: Any) -> Shown:
        stimulus = exemplar.stimulus
        if self.run.subject.modality == "image":
            alt = ", ".join(t.name for t in stimulus.things) or ", ".join(stimulus.tags) or "image"
            return ReportImage(load=stimulus.load, heat=heat, alt=alt, id=stimulus.id)
        tokens = self.tokens(stimulus.content)
        same = len(tokens) == len(values)
        return ReportText(
            tokens=tokens, values=tuple(float(v) for v in values) if same else (), position=exemplar.position
        )  # fmt: skip

    def _experiment(self, row: Mapping[str, Any]) -> ReportExperiment:
        return ReportExperiment(
            id=row["entry"],
            kind=row["kind"],
            hypothesis=row["hypothesis"],
            shown=self._asked(row),
            expect=row["expect"],
            scaled=row["scaled"],
            value=row["value"],
            pair=row["pair"],
            fresh=bool(row["fresh"]),
        )

    def _asked(self, row: Mapping[str, Any]) -> Shown:
        if self.run.subject.modality == "text":
            return ReportText(tokens=self.tokens(row["shown"]), position=row["position"])
        path = self.run.folder / "images" / row["stimulus"][:2] / f"{row['stimulus']}.webp"
        return ReportImage(load=partial(_stored, path), alt=row["hypothesis"], id=f"kept {row['stimulus']}")


_SHOWN_SPLITS: tuple[Split, ...] = ("discover", "test")
#: activation maps by unit key and stimulus id
Heat = dict[tuple[str, str], Any]
#: maps of early layers are shrunk to this: pages do not show more
_MAP_SIDE = 56


def _heat(run: Run) -> Heat:
    """Maps of every image exemplar: each image passes once, however many units show it."""
    maps = {s for s in run.sites if run.subject.modality == "image" and run.subject.site(s).positions == "spatial"}
    if not maps:
        return {}
    wanted: dict[str, list[Unit]] = {}
    stimuli: dict[str, Any] = {}
    for unit in (u for u in run.units if u.site in maps):
        held_out = _held_out(run, unit, run.atlas.observed(unit, "test"))
        for e in run.atlas.exemplars(unit, SPECTRUM, where="spectrum") + held_out:
            wanted.setdefault(e.stimulus.id, []).append(unit)
            stimuli[e.stimulus.id] = e.stimulus
    heat, ids, sites = Heat(), sorted(stimuli), [s for s in run.sites if s in maps]
    for at in range(0, len(ids), run.subject.batch_size):
        batch = ids[at : at + run.subject.batch_size]
        values = run.subject.forward([stimuli[i].content for i in batch], sites, maps=True).values
        for row, stimulus in enumerate(batch):
            for unit in wanted[stimulus]:
                heat[unit.key, stimulus] = unit.sign * _small(values[unit.site][row, unit.index])
    return heat


def _small(heat: Any) -> Any:
    """A map ``[height, width]`` as float32, at most `_MAP_SIDE` wide and high."""
    import torch

    high, wide = heat.shape
    size = (min(high, _MAP_SIDE), min(wide, _MAP_SIDE))
    if size != (high, wide):
        heat = torch.nn.functional.adaptive_avg_pool2d(heat[None, None], size)[0, 0]
    return heat.float().numpy().copy()


def _held_out(run: Run, unit: Unit, observed: Sequence[Observed]) -> list[Exemplar]:
    """The strongest of the test split."""
    sample = np.sort(run.atlas.sample(unit))
    strongest = sorted(observed, key=lambda o: -float(o.values.max(initial=-np.inf)))
    return [
        Exemplar(
            stimulus=o.stimulus,
            position=int(np.argmax(o.values)),
            value=float(o.values.max()),
            quantile=float(np.searchsorted(sample, o.values.max()) / max(len(sample), 1)),
        )
        for o in strongest[:HELD_OUT]
        if len(o.values)
    ]


def _ledger(run: Run, unit: Unit, explainer: str) -> list[dict[str, Any]]:
    if ("main", unit.key) not in run.ids:
        return []
    return run.store.rows(experiments, unit=run.ids["main", unit.key], explainer=explainer)


def _stored(path: Path) -> Image:
    from PIL import Image

    return Image.open(path).convert("RGB")
