"""A run: one subject, one corpus, some sites, some units, and the nulls that every score stands beside.

``create_run`` harvests and fills the store; ``open_run`` brings the same run back. A run's folder is self-describing:
the specifications of subject and corpus are stored with their fingerprints, and anything that has changed since is
noticed, never mixed in.
"""

from __future__ import annotations

import hashlib
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import numpy as np

from maieutic.campaign.nulls import Nulls, lensed, mixable, null_directions, read_directions, write_directions
from maieutic.errors import StoreError, UsageError
from maieutic.executors import Executor
from maieutic.harvest import Atlas, Sparse, column, fingerprint, harvest, load_atlas, slug
from maieutic.harvest.shards import Source
from maieutic.progress import Report, silent
from maieutic.stimuli import Corpus, load_corpus
from maieutic.store import Store, harvests, now
from maieutic.store import units as units_table
from maieutic.subjects import Subject, Unit, load_subject

Role = Literal["main", "untrained", "direction"]
MAIN = "main"
#: as units of a plan: every unit of the site
EVERY = ("all",)


@dataclass(kw_only=True)
class Run:
    """An open run.

    Attributes:
        store: the run folder.
        subject, corpus, atlas: what was harvested.
        units: the units under study.
        nulls: untrained copy and random directions, with their units.
        ids: store id of each unit, by (role, key).
        plan: what was harvested.
        seed: of everything random in the run.
        station: what this process explains and scores with, once it did.
    """

    store: Store
    subject: Subject
    corpus: Corpus
    atlas: Atlas
    units: tuple[Unit, ...]
    nulls: Nulls
    ids: dict[tuple[str, str], int] = field(default_factory=dict)
    plan: RunPlan
    seed: int = 0
    station: Any = field(default=None, repr=False)

    @property
    def folder(self) -> Path:
        return self.store.folder

    @property
    def sites(self) -> tuple[str, ...]:
        """The hook points that were harvested."""
        return self.plan.sites

    def unit_id(self, role: Role, unit: Unit) -> int:
        """The unit's row in the store, made if it is new (a unit asked for after the harvest)."""
        if (role, unit.key) not in self.ids:
            with self.store.transaction() as connection:
                self.ids[role, unit.key] = _insert_unit(connection, role, unit.key)
        return self.ids[role, unit.key]

    def close(self) -> None:
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """What to harvest.

    Attributes:
        subject: a name for ``load_subject``.
        corpus: a name, folder or file for ``load_corpus``; ``size`` limits the packaged ones.
        sites: the hook points, all read in one pass; one may be given as a plain string.
        units: keys to study (``SITE/INDEX``), ``("all",)`` for every unit of the sites, or none: ``sample`` of each site are
            drawn with the seed.
        sample: how many of each site.
        nulls: how many units of an untrained copy, and how many random directions, of each site.
        seed: of the draw, the untrained weights and the directions.
        sparse: keep every non-zero of the sites over all positions as well, sorted by unit.
    """

    subject: str
    corpus: str
    sites: tuple[str, ...]
    units: tuple[str, ...] = ()
    sample: int = 24
    size: int | None = None
    nulls: int = 8
    seed: int = 0
    sparse: bool = False


def create_run(
    folder: str | Path,
    plan: RunPlan,
    *,
    subject: Subject | None = None,
    corpus: Corpus | None = None,
    executor: Executor | None = None,
    report: Report = silent,
) -> Run:
    """Harvest into a run folder, or go on with one that was interrupted; a finished one is opened.

    Args:
        folder: new, empty, or holding this very run.
        plan: what to harvest.
        subject, corpus: objects to use instead of loading the plan's names (then the run is re-opened by giving them
            again).
        executor: who reads the shards of the harvest; ``None``: this process.
        report: called with progress.
    """
    subject = subject or load_subject(plan.subject)
    for site in plan.sites:
        subject.site(site)
    corpus = corpus or load_corpus(plan.corpus, size=plan.size)
    chosen = _chosen(subject, plan)
    store = Store.open(folder, create=True)
    try:
        directions = _directions(store.folder, subject, corpus, plan)
        keep = _kept(subject, plan.sites, chosen) + directions
        sparse = Sparse(sites=plan.sites) if plan.sparse else None
        settings = _settings(plan, fingerprint(subject, corpus, plan.sites, keep, sparse=sparse), subject)
        started = time.perf_counter()
        _announce(store, plan, subject, corpus, settings)
        with report("harvest", subject.name) as step:
            source = Source(subject=plan.subject, corpus=plan.corpus, size=plan.size)
            atlas = harvest(
                subject, corpus, plan.sites, run=folder, keep=keep, progress=step, executor=executor, source=source,
                sparse=sparse,
            )  # fmt: skip
        nulls = _nulls(store.folder, subject, corpus, plan, directions, report, executor)
        units = tuple(oriented(atlas, u, subject.modality) if plan.units in ((), EVERY) else u for u in chosen)
        _finish(store, units, nulls, seconds=time.perf_counter() - started)
    except BaseException:
        store.close()
        raise
    return _run(store, subject, corpus, atlas, plan, units, nulls)


def open_run(
    folder: str | Path, *, subject: Subject | None = None, corpus: Corpus | None = None, write: bool = False
) -> Run:
    """Open a harvested run.

    Raises:
        StoreError: no finished harvest there, or subject or corpus changed since.
    """
    store = Store.open(folder, write=write)
    try:
        rows = {r["name"]: r for r in store.rows(harvests)}
        if MAIN not in rows or rows[MAIN]["status"] != "done":
            raise StoreError(
                f"the harvest in {folder} is not finished: run  maieutic harvest … --run {folder}  again, it resumes"
            )
        row = rows[MAIN]
        plan = _plan_of(row["settings"]["plan"])
        subject = subject or load_subject(plan.subject)
        corpus = corpus or load_corpus(plan.corpus, size=plan.size)
        for what, before, after in (
            ("model", row["subject_fingerprint"], subject.fingerprint),
            ("corpus", row["corpus_fingerprint"], corpus.fingerprint),
        ):
            if before != after:
                raise StoreError(
                    f"the {what} changed since {folder} was harvested: harvest again into a new --run folder"
                )
        atlas = load_atlas(subject, corpus, harvest_folder(store.folder, subject))
        directions = read_directions(store.folder, plan.sites)
        nulls = _nulls(store.folder, subject, corpus, plan, directions, silent)
        keys = [r["key"] for r in store.rows(units_table, harvest=MAIN, role="main")]
        units = tuple(subject.parse_unit(k) for k in keys)
    except BaseException:
        store.close()
        raise
    return _run(store, subject, corpus, atlas, plan, units, nulls)


def _run(
    store: Store,
    subject: Subject,
    corpus: Corpus,
    atlas: Atlas,
    plan: RunPlan,
    units: tuple[Unit, ...],
    nulls: Nulls,
) -> Run:
    ids = {(r["role"], r["key"]): r["id"] for r in store.rows(units_table)}
    return Run(
        store=store, subject=subject, corpus=corpus, atlas=atlas, units=units, nulls=nulls, ids=ids, plan=plan,
        seed=plan.seed,
    )  # fmt: skip


def _chosen(subject: Subject, plan: RunPlan) -> tuple[Unit, ...]:
    """The plan's units, every unit of its sites, or a seeded draw from each without replacement."""
    if plan.units and plan.units != EVERY:
        units = tuple(subject.parse_unit(k) for k in plan.units)
        other = next((u for u in units if u.site not in plan.sites), None)
        if other is not None:
            raise UsageError(f"{other.key} is not at {', '.join(plan.sites)}: name its site too, as in  --site A,B")
        return units
    if not plan.units and plan.sample < 1:
        raise UsageError("no units selected: give --units SITE/INDEX or a --sample of at least 1")
    return tuple(u for site in plan.sites for u in _of_site(subject, plan, site))


def _of_site(subject: Subject, plan: RunPlan, site: str) -> tuple[Unit, ...]:
    width = subject.site(site).width
    if width is None:
        raise UsageError(f"{site} does not say how many units it has: name them with --units {site}/0")
    if plan.units == EVERY:
        return tuple(subject.unit(site, i) for i in range(width))
    rng = np.random.default_rng([plan.seed, _number(subject.name), _number(site)])
    picks = np.sort(rng.choice(width, size=min(plan.sample, width), replace=False))
    return tuple(subject.unit(site, int(i)) for i in picks)


def _number(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")


def _kept(subject: Subject, sites: Sequence[str], chosen: tuple[Unit, ...]) -> tuple[Unit, ...]:
    """Units whose values the harvest keeps: all of an image site (a value an image), the chosen ones of a text site."""
    kept: list[Unit] = []
    for site in sites:
        width = subject.site(site).width
        if subject.modality == "image" and width is not None:
            kept += [subject.unit(site, i) for i in range(width)]
        else:
            kept += [Unit(site=u.site, index=u.index) for u in chosen if u.site == site]
    return tuple(kept)


def oriented(atlas: Atlas, unit: Unit, modality: str) -> Unit:
    """The tail of a signed neuron that reaches further from its mean (on discover); image units keep the positive one."""
    if modality == "image" or unit.index is None:
        return unit
    s, i = atlas.sites[unit.site], unit.index
    mean = float(s.total[i] / max(s.count, 1))
    top = float(s.top_value[i][s.top_stimulus[i] >= 0].mean()) - mean
    low = mean - float(s.low_value[i][s.low_stimulus[i] >= 0].mean())
    return unit if top >= low else Unit(site=unit.site, index=i, sign=-1)


def _directions(folder: Path, subject: Subject, corpus: Corpus, plan: RunPlan) -> tuple[Unit, ...]:
    """Random z-scored directions: read back when a harvest began with them, else drawn and written."""
    wanted = [s for s in plan.sites if plan.nulls and mixable(subject.site(s))]
    missing = [s for s in wanted if not read_directions(folder, [s])]
    if missing:
        for site, drawn in null_directions(subject, corpus, missing, n=plan.nulls, seed=plan.seed).items():
            write_directions(folder, site, drawn)
    return read_directions(folder, wanted)


def _nulls(
    folder: Path,
    subject: Subject,
    corpus: Corpus,
    plan: RunPlan,
    directions: tuple[Unit, ...],
    report: Report,
    executor: Executor | None = None,
) -> Nulls:
    """The untrained copy's harvest and units; a black box has neither."""
    if not plan.nulls or not (directions or lensed(subject, plan.sites)):
        reason = "nulls were switched off" if not plan.nulls else f"{subject.name} has no other units and no weights"
        return Nulls(reason=reason)
    untrained = subject.untrained(plan.seed)
    drawn = _chosen(untrained, RunPlan(subject="", corpus="", sites=plan.sites, sample=plan.nulls, seed=plan.seed))
    # the studied units are kept too: their labels are scored on the same units of the untrained copy
    kept = {column(u): u for u in (*_chosen(subject, plan), *drawn)}
    keep = _kept(untrained, plan.sites, tuple(kept.values()))
    with report("harvest", untrained.name) as step:
        source = Source(subject=partial(untrained_copy, plan.subject, plan.seed), corpus=plan.corpus, size=plan.size)
        atlas = harvest(
            untrained, corpus, plan.sites, run=folder, keep=keep, progress=step, executor=executor, source=source
        )
    units = tuple(oriented(atlas, u, subject.modality) for u in drawn)
    return Nulls(subject=untrained, atlas=atlas, untrained=units, directions=directions)


def untrained_copy(subject: str, seed: int) -> Subject:
    """The untrained copy of a named subject, as workers elsewhere make it."""
    return load_subject(subject).untrained(seed)


def harvest_folder(folder: Path, subject: Subject) -> Path:
    """Where a run keeps the harvest of a subject."""
    return folder / "harvest" / slug(subject.name)


def _plan_of(stored: Mapping[str, Any]) -> RunPlan:
    """The plan that a run was made with.

    Raises:
        StoreError: it is of a version that kept plans otherwise.
    """
    if "sites" not in stored:
        raise StoreError("an older version made this harvest: harvest again into a new run folder")
    lists = {name: tuple(stored[name]) for name in ("sites", "units")}
    values: dict[str, Any] = {**stored, **lists}
    return RunPlan(**values)


def _settings(plan: RunPlan, key: str, subject: Subject) -> dict[str, Any]:
    from dataclasses import asdict

    plain = {**asdict(plan), "sites": list(plan.sites), "units": list(plan.units)}
    if not plan.sparse:
        del plain["sparse"]  # as in runs that were made before there was a choice
    told = {s: subject.site(s).to_json() for s in plan.sites}
    called = {s: {"called": t["names"]} for s, t in told.items() if "names" in t}
    return {"plan": plain, "fingerprint": key, **({"units": called} if called else {})}


def _announce(store: Store, plan: RunPlan, subject: Subject, corpus: Corpus, settings: dict[str, Any]) -> None:
    before = store.rows(harvests, name=MAIN)
    if before:
        if before[0]["settings"] != settings:
            raise StoreError(
                f"{store.folder} holds a run with other settings: use another --run folder, or delete this one"
            )
        return
    row = {
        "name": MAIN,
        "subject": subject.name,
        "subject_fingerprint": subject.fingerprint,
        "corpus": corpus.name,
        "corpus_fingerprint": corpus.fingerprint,
        "modality": subject.modality,
        "sites": list(plan.sites),
        "settings": settings,
        "versions": versions(),
        "status": "running",
        "started_at": now(),
    }
    with store.transaction() as connection:
        store.put(harvests, [row], connection=connection)


def _finish(store: Store, units: Sequence[Unit], nulls: Nulls, *, seconds: float) -> None:
    """Enter the units and mark the harvest done, in one transaction; a run already done stays as it is."""
    row = store.rows(harvests, name=MAIN)[0]
    if row["status"] == "done":
        return
    roles: dict[Role, Sequence[Unit]] = {"main": units, "direction": nulls.directions, "untrained": nulls.untrained}
    with store.transaction() as connection:
        for role, members in roles.items():
            for unit in members:
                _insert_unit(connection, role, unit.key)
        store.put(
            harvests, [{**row, "status": "done", "finished_at": now(), "seconds": seconds}], connection=connection
        )


def _insert_unit(connection: Any, role: Role, key: str) -> int:
    result = connection.execute(units_table.insert().values(harvest=MAIN, role=role, key=key))
    return int(result.inserted_primary_key[0])


def versions() -> dict[str, str]:
    """Versions of what decides the numbers."""
    out = {"python": platform.python_version()}
    for package in ("maieutic", "torch", "transformers", "numpy", "pillow"):
        try:
            out[package] = version(package)
        except PackageNotFoundError:
            out[package] = "not installed"
    return out
