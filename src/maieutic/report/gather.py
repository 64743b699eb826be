"""From run folders to a report: reads the store, the atlas and the stimuli, and fills the plain data that pages show.

A run whose model or corpus cannot be loaded is shown as far as its store goes, with the reason.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from maieutic.campaign import Run, null_results, open_run
from maieutic.campaign.effects import read_effects
from maieutic.errors import StoreError, UserError
from maieutic.harvest import Exemplar, Observed
from maieutic.lab import activation_scale
from maieutic.progress import Report, silent
from maieutic.report.confusion import kept_confusion
from maieutic.report.further import further_pages
from maieutic.report.model import (
    ReportExemplar,
    ReportExperiment,
    ReportImage,
    ReportNeighbour,
    ReportRun,
    ReportSection,
    ReportText,
    ReportUnit,
    Shown,
)
from maieutic.report.records import AT_ONCE, Records
from maieutic.report.transcripts import read_transcript
from maieutic.report.write import write_report
from maieutic.score.neighbours import Field, nearest
from maieutic.stimuli import Split
from maieutic.store import CHOSEN, Store, choices
from maieutic.subjects import Unit

if TYPE_CHECKING:
    from PIL.Image import Image

#: exemplars on a unit's page: over the whole range of discover, and the strongest of test
SPECTRUM, HELD_OUT = 12, 4
#: units that fire in the same places
NEIGHBOURS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """A run whose model or corpus cannot be loaded: its store, and why."""

    store: Store
    why: str

    def close(self) -> None:
        self.store.close()


def open_or_closed(folder: Path) -> Run | Closed:
    """The run with its model and corpus, or what can be shown without them.

    Raises:
        StoreError: there is no store that can be read.
    """
    try:
        return open_run(folder)
    except UserError as error:
        return Closed(store=Store.open(folder), why=str(error))


def report_runs(
    folders: Sequence[Path],
    out: Path,
    *,
    explainer: str | None = "search",
    title: str = "maieutic report",
    progress: Report = silent,
) -> Path:
    """Write one report of several runs; returns its ``index.html``.

    Args:
        folders: of the runs.
        out: where to write.
        explainer: whose explanations; ``chosen``: for each unit those that a sweep chose; ``None``: each run's usual ones.
        title: of the report.
        progress: told how it goes on.
    """
    runs = [open_or_closed(f) for f in folders]
    try:
        shown = gather(runs, explainer=explainer, title=title, progress=progress)
        return write_report(shown, out, further=further_pages([run.store for run in runs]))
    finally:
        for run in runs:
            run.close()


def gather(
    runs: Sequence[Run | Closed],
    *,
    explainer: str | None = "search",
    title: str = "maieutic report",
    progress: Report = silent,
) -> ReportRun:
    """Everything a report shows; the evidence of a unit is gathered when its page is written.

    Cost: with the first page one forward pass over the image exemplars of all units, for their heat maps.

    Raises:
        StoreError: a run whose harvest has not begun.
    """
    every = [Records.of(run.store) for run in runs]
    for run, records in zip(runs, every, strict=True):
        if not records.harvest:
            raise StoreError(f"nothing was harvested in {run.store.folder} yet: run  maieutic harvest  first")
    return ReportRun(
        title=title,
        sections=tuple(
            _section(records, run, explainer or records.usual(), progress)
            for run, records in zip(runs, every, strict=True)
        ),
        started=min(r.harvest["started_at"] or "" for r in every),
        seconds=sum(seconds_of(r) for r in every),
        seed=every[0].seed,
        machine=f"{platform.system()} {platform.machine()}, {platform.processor() or 'CPU'}",
        versions=every[0].harvest["versions"],
    )


def seconds_of(records: Records) -> float:
    """How long harvest and explanations took together."""
    return (records.harvest["seconds"] or 0.0) + sum(c.seconds for c in records.spend().values())


def _section(records: Records, run: Run | Closed, explainer: str, progress: Report) -> ReportSection:
    members = records.members()
    with progress("report", records.harvest["subject"]) as step:
        shown: list[ReportUnit] = []
        for at in range(0, len(members), AT_ONCE):
            shown += records.shown(members[at : at + AT_ONCE], explainer)
            step(len(shown), len(members))
    empty = section_of(records, run, explainer)
    return replace(
        empty,
        units=tuple(shown),
        sites=tuple(dict.fromkeys(u.site for u in shown)) or empty.sites,
        full=Evidence.of(records, run, explainer).full,
    )


def section_of(records: Records, run: Run | Closed, explainer: str) -> ReportSection:
    """What the head of a run's overview says, without its units. A harvest that is not finished says so."""
    row = records.harvest
    corpus, notes, positions = row["corpus"], list[str](), list[tuple[str, str]]()
    if isinstance(run, Run):
        splits: tuple[Split, ...] = ("discover", "select", "test")
        sizes = ", ".join(f"{len(run.corpus.split(s))} {s}" for s in splits)
        corpus = f"{run.corpus.name}: {len(run.corpus)} stimuli ({sizes})"
        positions = [("discover positions", f"{run.atlas.sites[run.sites[0]].count:,}")]
        notes += [*run.corpus.notes, *([run.nulls.reason] if run.nulls.reason else [])]
        notes += [
            f"Explained afresh, {n}." for name in _explainers(records, explainer) for n in null_results(run, name)
        ]
    else:
        notes.append(f"Model and corpus are not loaded, so exemplars and measurements are not shown: {run.why}")
    return ReportSection(
        subject=row["subject"],
        modality=row["modality"],
        corpus=corpus,
        sites=tuple(row["sites"]),
        units=(),
        facts=(
            ("units", _chosen(records)),
            *positions,
            ("model fingerprint", row["subject_fingerprint"][:16]),
            ("corpus fingerprint", row["corpus_fingerprint"][:16]),
        ),
        notes=tuple(notes),
        attribution=run.corpus.attribution if isinstance(run, Run) else {},
        nulls=tuple(
            (name, total, tuple(values))
            for who in _explainers(records, explainer)
            for name, (total, values) in records.nulls(who).items()
        ),
        spend=tuple(records.spend().items()),
    )


def _chosen(records: Records) -> str:
    named = list(records.plan["units"])
    if named == ["all"]:
        return "every unit of the sites"
    return f"named: {len(named)}" if named else f"drawn at random with seed {records.seed}"


def _explainers(records: Records, explainer: str) -> list[str]:
    """Every explainer that is shown."""
    if explainer != CHOSEN:
        return [explainer]
    return sorted({str(name) for (name,) in records.store.columns(choices, ("explainer",))})


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Gathers what a unit's page shows, for one unit at a time.

    Attributes:
        records: of the run.
        run: with model and corpus, or ``None``: then what the store has is shown.
        units: of the run, by key.
        heat: maps of exemplars by unit key and stimulus.
        tokens: splits a text as the subject does.
        field: what units of a site are compared by.
    """

    records: Records
    run: Run | None
    units: Mapping[str, Unit]
    heat: Callable[[], Heat]
    tokens: Callable[[str], tuple[str, ...]] | None
    field: Callable[[str], Field | None]

    @classmethod
    def of(cls, records: Records, run: Run | Closed, explainer: str, *, heat: bool = True) -> Evidence:
        """The gatherer of a run; without ``heat`` no map is measured (the app asks for them one by one)."""
        if not isinstance(run, Run):
            return cls(records=records, run=None, units={}, heat=dict, tokens=None, field=_no_field)
        subject = run.subject

        def split(text: str) -> tuple[str, ...]:
            return tuple(t.text for t in subject.tokens(text))

        return cls(
            records=records,
            run=run,
            units={u.key: u for u in run.units},
            heat=cache(partial(heat_maps, run, run.units)) if heat else dict,
            tokens=lru_cache(maxsize=4096)(split) if subject.modality == "text" else None,
            field=lru_cache(maxsize=1)(partial(Field.of, run.atlas)),
        )

    def full(self, shown: ReportUnit) -> ReportUnit:
        """The unit with its experiments and transcript, and where the run is open its exemplars and histogram."""
        return self.measured(self.stored(shown))

    def stored(self, shown: ReportUnit) -> ReportUnit:
        """The unit with what the run folder says of it: experiments and transcript."""
        member = self.records.member(shown.key)
        rows = self.records.ledger(member[0], shown.explainer) if member else []
        names = self.records.asked(member[0]) if member else []
        several = member is not None and set(names) - {shown.explainer}
        return replace(
            shown,
            answers=tuple(self.records.shown([member], n)[0] for n in names) if member and several else (),
            experiments=tuple(self._experiment(r) for r in rows),
            transcript=read_transcript(self.folder / "transcripts", shown.key, shown.explainer),
            confusion=kept_confusion(self.records, shown.key, shown.predicate_json)
            if shown.abstained is None
            else None,
            effects=read_effects(self.folder, shown.key),
        )

    def measured(self, shown: ReportUnit) -> ReportUnit:
        """The unit with its exemplars, histogram and scale; as it is where the run is not open."""
        run, unit = self.run, self.units.get(shown.key)
        if run is None or unit is None:
            return shown
        observed = {s: run.atlas.observed(unit, s) for s in _SHOWN_SPLITS}
        discover = [o.values for o in observed["discover"]]
        counts, edges = np.histogram(np.concatenate(discover), bins=40)
        values = {o.stimulus.id: o.values for split in observed.values() for o in split}
        heat = self.heat()
        exemplars = [
            ReportExemplar(
                shown=self._shown(run, e, values[e.stimulus.id], heat.get((unit.key, e.stimulus.id))),
                value=e.value,
                quantile=e.quantile,
                split=e.stimulus.split,
                source=e.stimulus.source,
            )
            for e in shown_exemplars(run, unit, test=observed["test"])
        ]
        return replace(
            shown,
            scale=activation_scale(discover, modality=run.subject.modality),
            exemplars=tuple(exemplars),
            histogram=(tuple(edges.tolist()), tuple(counts.tolist())),
            neighbours=self._neighbours(run, unit, shown.explainer),
        )

    def _neighbours(self, run: Run, unit: Unit, explainer: str) -> tuple[ReportNeighbour, ...] | str:
        """The most correlated units of the site, with their labels where they are studied too."""
        if unit.index is None:
            return "directions have no neighbours"
        found = nearest(run.atlas, unit, n=NEIGHBOURS, field=self.field(unit.site))
        if isinstance(found, str):
            return found
        members = [self.records.member(n.unit.key) for n in found]
        known = [m for m in members if m is not None]
        labels = {
            u.key: None if u.abstained is not None else u.label
            for u in self.records.shown(known, explainer, tally=False)
        }
        return tuple(
            ReportNeighbour(key=n.unit.key, r=n.r, label=labels.get(n.unit.key), known=n.unit.key in labels)
            for n in found
        )

    @property
    def folder(self) -> Path:
        return self.records.store.folder

    def _shown(self, run: Run, exemplar: Exemplar, values: Any, heat: Any) -> Shown:
        stimulus = exemplar.stimulus
        if run.subject.modality == "image":
            alt = ", ".join(t.name for t in stimulus.things) or ", ".join(stimulus.tags) or "image"
            return ReportImage(load=stimulus.load, heat=heat, alt=alt, id=stimulus.id)
        assert self.tokens is not None, "texts have tokens"
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
        if self.records.modality == "text":
            if self.tokens is None:
                return str(row["shown"])
            return ReportText(tokens=self.tokens(row["shown"]), position=row["position"])
        path = kept_picture(self.folder, row["stimulus"])
        if not path.is_file():
            return f"[a picture that is not kept] {row['shown']}"
        return ReportImage(load=partial(_stored, path), alt=row["hypothesis"], id=f"{KEPT}{row['stimulus']}")


def _no_field(site: str) -> None:
    """Without a harvest there is nothing to compare by."""


#: how ids of pictures that experiments kept begin
KEPT = "kept "


def kept_picture(folder: Path, stimulus: str) -> Path:
    """Where a run keeps the picture of an experiment."""
    return folder / "images" / stimulus[:2] / f"{stimulus}.webp"


_SHOWN_SPLITS: tuple[Split, ...] = ("discover", "test")
#: activation maps by unit key and stimulus id
Heat = dict[tuple[str, str], Any]
#: maps of early layers are shrunk to this: pages do not show more
_MAP_SIDE = 56


def shown_exemplars(run: Run, unit: Unit, *, test: Sequence[Observed] | None = None) -> list[Exemplar]:
    """The exemplars of a unit's page: over its range on discover, and the strongest of test."""
    observed = run.atlas.observed(unit, "test") if test is None else test
    return run.atlas.exemplars(unit, SPECTRUM, where="spectrum") + _held_out(run, unit, observed)


def has_maps(run: Run, unit: Unit) -> bool:
    """Whether there is a map of where in a picture the unit is active."""
    return run.subject.modality == "image" and run.subject.site(unit.site).positions == "spatial"


def heat_maps(run: Run, units: Sequence[Unit]) -> Heat:
    """Maps of every image exemplar of some units.

    Cost: each image passes once, however many units show it.
    """
    sites = sorted({u.site for u in units if has_maps(run, u)})
    wanted: dict[str, list[Unit]] = {}
    stimuli: dict[str, Any] = {}
    for unit in (u for u in units if u.site in sites):
        for e in shown_exemplars(run, unit):
            wanted.setdefault(e.stimulus.id, []).append(unit)
            stimuli[e.stimulus.id] = e.stimulus
    heat, ids = Heat(), sorted(stimuli)
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


def _stored(path: Path) -> Image:
    from PIL import Image

    return Image.open(path).convert("RGB")
