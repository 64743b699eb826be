"""A pilot read back: what every stage did for every sampled unit, what it cost, and what is paid once.

Everything comes from the run folder's store and from ``plan/``; no model is loaded. Two things are separated that a
campaign pays differently: what each unit costs, and what is paid once a harvest, a worker, or a wave.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from maieutic.campaign.cascade import Record, Stage
from maieutic.campaign.forecast_pilot import noted, timings
from maieutic.campaign.scoring import ONE_SHOT
from maieutic.campaign.spend import Spend
from maieutic.errors import StoreError
from maieutic.store import Store, choices, experiments, explanations, harvests, jobs, scores, sweeps, units

HEADLINE = "predictive"
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What one stage came to for one unit.

    Attributes:
        record, spend: as the sweep that is forecast would see them.
        labelled: it has a label and no abstention.
        seconds: of a worker, without what the first unit of a worker pays for all. explaining: of these, the explainer's.
        measuring: of these, in experiments. fresh: experiments that were measured anew. shown: stimuli by content.
        score: average precision on test; ``None``: unmeasured. scoring: seconds of a worker for it.
    """

    record: Record
    spend: Spend
    labelled: bool
    seconds: float
    explaining: float
    measuring: float
    fresh: int
    shown: tuple[str, ...]
    score: float | None
    scoring: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampled:
    """A unit of a pilot; ``weight``: how much it matters, over the largest of the pilot."""

    role: str
    key: str
    site: str
    weight: float
    stages: tuple[Seen, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """What is paid once, and how busy workers are.

    Attributes:
        harvest: wall seconds of the harvest. harvest_work: of these, seconds of workers, divided by workers.
        start: seconds until a worker is ready. first: that a worker's first units take longer than the rest.
        first_explaining: of these, in the stages of the cascade.
        between: seconds between two waves, in which workers wait.
        efficiency: share of the time between the start of a wave and its end in which workers work, 0 to 1.
        workers, engine: of the pilot. resumed: it was stopped and went on, so what is paid once was paid more often.
        load: programs that wanted a core of the driver's machine, a core, while the pilot ran.
    """

    harvest: float
    harvest_work: float
    start: float
    first: float
    first_explaining: float
    between: float
    efficiency: float
    workers: int
    engine: str
    resumed: bool
    load: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Pilot:
    """A pilot.

    Attributes:
        stages, grants: of the cascade. first: which units come first.
        main, nulls: units. widths: how many units each site has.
        pace: what is paid once.
        about: subject, corpus, their fingerprints, sites, seed and code: what a campaign must share to be compared.
    """

    stages: tuple[Stage, ...]
    grants: tuple[Spend, ...]
    first: str
    main: tuple[Sampled, ...]
    nulls: tuple[Sampled, ...]
    widths: Mapping[str, int]
    pace: Pace
    about: Mapping[str, Any]


def read_pilot(folder: Path) -> Pilot:
    """The pilot of a run folder.

    Raises:
        StoreError: no pilot, or one that is not finished.
    """
    note = noted(folder)
    stages = tuple(Stage(explainer=s["explainer"], budget=s["budget"], options=s["options"]) for s in note["stages"])
    grants = tuple(_grant(s) for s in note["stages"])
    lines = timings(folder)
    with Store.open(folder) as store:
        swept, harvested = store.rows(sweeps), store.rows(harvests)
        if not swept or swept[0]["status"] != "done":
            raise StoreError(f"the pilot in {folder} is not finished: run the same  maieutic plan  again, it goes on")
        sampled = _units(store, stages, grants, _usual(lines))
    main = tuple(s for s in sampled if s.role == "main")
    row = harvested[0]
    about = {
        "subject": row["subject"], "subject_fingerprint": row["subject_fingerprint"], "corpus": row["corpus"],
        "corpus_fingerprint": row["corpus_fingerprint"], "sites": row["sites"], "code": note["code"],
        "seed": swept[0]["settings"]["seed"],
    }  # fmt: skip
    return Pilot(
        stages=stages, grants=grants, first=swept[0]["settings"]["first"], main=main,
        nulls=tuple(s for s in sampled if s.role != "main"), widths=note["widths"],
        pace=_pace(lines, float(row["seconds"] or 0.0), [s.explainer for s in stages]), about=about,
    )  # fmt: skip


def _grant(stage: Row) -> Spend:
    tokens, dollars = stage["most"] or (0, 0.0)
    return Spend(measurements=stage["budget"], llm_tokens=tokens, dollars=dollars or 0.0)


def _units(
    store: Store, stages: Sequence[Stage], grants: Sequence[Spend], seconds: Mapping[tuple[str, str, str, str], float]
) -> list[Sampled]:
    found = {(r["unit"], r["explainer"]): r for r in store.stream(explanations)}
    ended = {(r["unit"], r["explainer"]) for r in store.stream(jobs, kind="explain")}
    scored = {(r["unit"], r["explainer"]): r["value"] for r in store.stream(scores, name=HEADLINE)}
    weight = {r["unit"]: r["importance"] for r in store.stream(choices)}
    asked: dict[tuple[int, str], list[Row]] = defaultdict(list)
    for r in store.stream(experiments):
        asked[r["unit"], r["explainer"]].append(r)
    out: list[Sampled] = []
    for unit in store.stream(units):
        place, seen = (unit["role"], unit["key"]), list[Seen]()
        for stage, grant in zip(stages, grants, strict=True):
            at = unit["id"], stage.explainer
            if at in ended:
                taken = {kind: seconds.get((kind, *place, stage.explainer)) for kind in ("explaining", "scoring")}
                taken["look-up"] = seconds.get(("explaining", *place, ONE_SHOT), 0.0)
                seen.append(_seen(found.get(at), asked[at], grant, scored.get(at), taken))
        if len(seen) == len(stages):
            site = unit["key"].rpartition("/")[0]
            given = weight.get(unit["id"])
            out.append(
                Sampled(
                    role=place[0], key=place[1], site=site, weight=1.0 if given is None else given, stages=tuple(seen)
                )
            )
    return out


def _seen(
    row: Row | None, asked: Sequence[Row], grant: Spend, score: float | None, taken: Mapping[str, float | None]
) -> Seen:
    measured = sum(r["seconds"] for r in asked if r["fresh"])
    told = 0.0 if row is None else float(row["seconds"])
    work = taken["explaining"]
    spend = Spend(
        measurements=len(asked), llm_tokens=grant.llm_tokens if row is None else row["llm_tokens"],
        dollars=grant.dollars if row is None else row["dollars"],
    )  # fmt: skip
    standing = None if row is None else row["standing"]
    return Seen(
        record=Record(standing=standing, measurements=0 if row is None else row["measurements"], failed=row is None),
        spend=spend, labelled=row is not None and row["reason"] is None,
        seconds=told if work is None else work, explaining=told if work is None else min(told, work),
        measuring=measured, fresh=sum(r["fresh"] for r in asked),
        shown=tuple(dict.fromkeys(r["stimulus"] for r in asked)), score=score,
        scoring=(taken["scoring"] or 0.0) + (taken["look-up"] or 0.0),
    )  # fmt: skip


def _jobs_of(lines: Sequence[Row]) -> dict[tuple[str, str], list[Row]]:
    """Timed jobs of units by kind and explainer, in the order they ended."""
    found: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for line in lines:
        if "key" in line:
            found[line["kind"], line["explainer"]].append(line)
    return found


def _firsts(rows: Sequence[Row]) -> list[tuple[Row, bool]]:
    """Jobs of one kind, with whether each was its worker's first."""
    seen: set[tuple[str, str]] = set()
    out: list[tuple[Row, bool]] = []
    for row in rows:
        worker = row["session"], row["worker"]
        out.append((row, worker not in seen))
        seen.add(worker)
    return out


def _usual(lines: Sequence[Row]) -> dict[tuple[str, str, str, str], float]:
    """Seconds of each unit's job; a worker's first of a kind counts as the middle one where it took longer."""
    out: dict[tuple[str, str, str, str], float] = {}
    for (kind, explainer), rows in _jobs_of(lines).items():
        marked = _firsts(rows)
        rest = [r["seconds"] for r, is_first in marked if not is_first]
        middle = float(np.median(rest)) if rest else float("inf")
        for row, is_first in marked:
            seconds = min(row["seconds"], middle) if is_first else row["seconds"]
            out.setdefault((kind, row["role"], row["key"], explainer), seconds)
    return out


def _pace(lines: Sequence[Row], harvest: float, names: Sequence[str]) -> Pace:
    calls = [line for line in lines if "span" in line and line["kind"] in ("explaining", "scoring")]
    sessions = list(dict.fromkeys(line["session"] for line in calls))
    workers = calls[0]["workers"] if calls else 1
    ready = [_ready(lines, session) for session in sessions]
    busy, lasted = 0.0, 0.0
    for n, session in enumerate(sessions):
        own = [c for c in calls if c["session"] == session]
        lasted += sum(c["span"] for c in own) - ready[n]
        busy += sum(line["seconds"] for line in lines if "key" in line and line["session"] == session)
    first = {at: _over(rows) for at, rows in _jobs_of(lines).items()}
    gaps = [c["gap"] for c in calls[1:] if c["gap"] is not None]
    shards = sum(line["seconds"] for line in lines if line["kind"] == "shards" and "at" in line)
    return Pace(
        harvest=harvest, harvest_work=min(shards, harvest * workers), start=float(np.mean(ready)) if ready else 0.0,
        first=sum(first.values()),
        first_explaining=sum(v for (kind, explainer), v in first.items() if kind == "explaining" and explainer in names),
        between=float(np.mean(gaps)) if gaps else 0.0,
        efficiency=float(np.clip(busy / (workers * lasted), 0.05, 1.0)) if lasted > 0 else 1.0, workers=workers,
        engine=calls[0]["engine"] if calls else "in-process", resumed=len(sessions) > 1,
        load=float(np.mean([c.get("load", 0.0) for c in calls])) if calls else 0.0,
    )  # fmt: skip


def _over(rows: Sequence[Row]) -> float:
    """Seconds by which workers' first jobs of a kind took longer than the middle one of the others, the mean over workers."""
    marked = _firsts(rows)
    rest = [r["seconds"] for r, is_first in marked if not is_first]
    over = [r["seconds"] - float(np.median(rest)) for r, is_first in marked if is_first] if rest else []
    return max(0.0, float(np.mean(over))) if over else 0.0


def _ready(lines: Sequence[Row], session: str) -> float:
    """Seconds from the first call for units to the moment that workers began, the mean over workers."""
    own = [line for line in lines if line["session"] == session and "key" in line]
    if not own:
        return 0.0
    number = own[0]["run"]
    begun: dict[str, float] = {}
    for line in (line for line in own if line["run"] == number):
        begun.setdefault(line["worker"], max(0.0, line["at"] - line["seconds"]))
    return float(np.mean(list(begun.values())))
