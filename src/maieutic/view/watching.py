"""How far a run has come, from its folder alone: another process writes there, and nothing here disturbs it.

Units done, failed and left, their rate, the time that is left at that rate, what was spent, waves, the latest labels. What cannot
be told is said to be unmeasured with the reason. What this module does not do: ask the process that works, or foretell what a
cascade will decide (units that a later stage will take are not among those left until a wave names them).
"""

from __future__ import annotations

import heapq
import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from maieutic.campaign.run import MAIN
from maieutic.campaign.spend import Limits, Spend
from maieutic.errors import StoreError
from maieutic.readings import Reading
from maieutic.store import FILE, Store, choices, explanations, harvests, jobs, now, sweeps, units, waves

#: labels and failures that are shown
_LABELS, _FAILURES = 12, 6
#: jobs whose times say how fast it goes, and seconds that they reach back
_RECENT, _WINDOW = 400, 1200.0
#: seconds after a write in which the writer is taken to be there without looking
_FRESH = 15.0
#: share of a core that looking may take
_SHARE = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Explaining or scoring by one explainer.

    Attributes:
        kind: ``explain`` or ``score``. explainer: whose labels.
        done, failed: units under study that ended well, or with an error.
        total: how many there are to do as far as is known.
        nulls: control units (random directions, untrained copy) that ended.
        stage: place in the cascade of a sweep, from 1; ``None`` outside one.
    """

    kind: str
    explainer: str
    done: int
    failed: int
    total: int
    nulls: int = 0
    stage: int | None = None

    @property
    def left(self) -> int:
        return max(self.total - self.done - self.failed, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """Something that is spent; ``limit`` is the most that may be, ``None``: none was set."""

    name: str
    used: float
    limit: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Latest:
    """A label that was written lately; ``reason`` says why there is none."""

    unit: str
    explainer: str
    label: str
    reason: str | None
    at: str
    role: str = "main"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How far a run has come.

    Attributes:
        state: ``harvesting``, ``explaining``, ``scoring``, ``stopped`` (nobody writes and something is left) or ``done``.
        writing: whether a process holds the run; ``None`` where that cannot be told.
        subject, corpus: what is studied. units, nulls: how many. sites: where.
        shards: of a harvest that runs: (done, of).
        tasks: in the order in which they were begun.
        rate: units a minute lately, of the task that ran last. left: seconds for what is left of it at that rate.
        spent: what was used.
        wave: of a sweep: (number of the last wave, units of it that ended, units in it).
        first, last: when something was first and last written, UTC.
        labels, failures: the latest.
        read: when this was read, UTC.
    """

    state: str
    writing: bool | None
    subject: str
    corpus: str
    units: int
    nulls: int
    sites: tuple[str, ...]
    shards: tuple[int, int] | None
    tasks: tuple[Task, ...]
    rate: Reading
    left: Reading
    spent: tuple[Amount, ...]
    wave: tuple[int, int, int] | None
    first: str
    last: str
    labels: tuple[Latest, ...]
    failures: tuple[Latest, ...]
    read: str

    def to_json(self) -> dict[str, Any]:
        plain = asdict(self)
        return {
            **plain, "rate": self.rate.to_json(), "left": self.left.to_json(),
            "tasks": [{**asdict(t), "left": t.left} for t in self.tasks],
        }  # fmt: skip


@dataclass
class Watch:
    """Looks at a run when asked, at most so often that looking costs little."""

    store: Store
    _stamp: tuple[Any, ...] = ()
    _standing: Standing | None = None
    _cost: float = 0.0
    _at: float = field(default=-1e9)

    def look(self) -> Standing:
        """How far the run has come; what was read last, where nothing has changed or it was read just now.

        Cost: about a second for 100,000 units with two explainers; then not again for twenty times as long.
        """
        began = time.monotonic()
        stamp = (*_changed(self.store.folder), is_written(self.store.folder))
        # whether somebody writes is told at once, what was written after a while
        fresh = stamp == self._stamp or (stamp[-1:] == self._stamp[-1:] and began - self._at < self._cost / _SHARE)
        if self._standing is None or not fresh:
            self._standing = standing_of(self.store, writing=stamp[-1])
            self._stamp, self._at = stamp, time.monotonic()
            self._cost = self._at - began
        return self._standing


def _changed(folder: Path) -> tuple[int, ...]:
    """Sizes and times of the store's files."""
    found: list[int] = []
    for name in (FILE, f"{FILE}-wal"):
        try:
            told = (folder / name).stat()
            # an empty log is made by whoever reads
            found += [told.st_mtime_ns, told.st_size] if told.st_size else [0, 0]
        except FileNotFoundError:
            found += [0, 0]
    return tuple(found)


def is_written(folder: Path) -> bool | None:
    """Whether a process holds the run for writing; ``None`` where that cannot be told (a disk that cannot be written).

    Where something was written just now nobody looks: taking the lock for a moment could meet a writer who begins.
    """
    changed = max(_changed(folder)[0::2], default=0)
    if time.time() - changed / 1e9 < _FRESH:
        return True
    if not (folder / ".lock").exists():
        return False
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    except OSError:
        return None
    lock.release()
    return False


# --- reading a store ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Job:
    unit: int
    kind: str
    explainer: str
    status: str
    at: str


def standing_of(store: Store, *, writing: bool | None) -> Standing:
    """How far a run has come.

    Raises:
        StoreError: the store cannot be read.
    """
    made = {r["name"]: r for r in store.rows(harvests)}
    if MAIN not in made:
        raise StoreError(f"nothing was harvested into {store.folder} yet: open the page again when a harvest has begun")
    row = made[MAIN]
    places = {int(u): (str(role), str(key)) for u, role, key in store.columns(units, ["id", "role", "key"])}
    names = ["unit", "kind", "explainer", "status", "finished_at"]
    ended = [_Job(u, k, e, s, at or "") for u, k, e, s, at in store.columns(jobs, names)]
    written = list(store.columns(explanations, _WRITTEN))
    swept = store.rows(sweeps)
    wave = _wave(store, ended, places, swept)
    tasks = _tasks(ended, places, swept, wave, store)
    shards = None if row["status"] == "done" else _shards(store.folder)
    state = _state(row["status"], tasks, swept, writing)
    rate, left = _pace(ended, tasks, active=state in ("explaining", "scoring"))
    times = [t for t in (row["started_at"], row["finished_at"], *(j.at for j in ended)) if t]
    return Standing(
        state=state, writing=writing, subject=row["subject"], corpus=row["corpus"], sites=tuple(row["sites"]),
        units=sum(role == "main" for role, _ in places.values()),
        nulls=sum(role != "main" for role, _ in places.values()), shards=shards, tasks=tasks, rate=rate, left=left,
        spent=_spent(written, swept), wave=wave, first=min(times, default=""), last=max(times, default=""),
        labels=_latest(store, written, places), failures=_failures(store, ended, places), read=now(),
    )  # fmt: skip


_WRITTEN = ["unit", "explainer", "written_at", "measurements", "llm_tokens", "dollars"]


def _state(harvest: str, tasks: Sequence[Task], swept: Sequence[Mapping[str, Any]], writing: bool | None) -> str:
    if harvest != "done":
        return "stopped" if writing is False else "harvesting"
    going = any(s["status"] != "done" for s in swept)
    if writing is False:
        return "stopped" if going or any(t.left for t in tasks) else "done"
    if not going and not any(t.left for t in tasks):
        return "done"
    scoring = bool(tasks) and tasks[-1].kind == "score"
    return "scoring" if scoring else "explaining"


def _shards(folder: Path) -> tuple[int, int] | None:
    """Shards of the harvests that run: done, and of how many."""
    done = of = 0
    for plan in folder.glob("harvest/*/parts/plan.json"):
        of += int(_json(plan).get("shards", 0))
        done += len({n for part in plan.parent.glob("*/part.json") for n in _json(part).get("shards", [])})
    return (done, of) if of else None


def _json(file: Path) -> dict[str, Any]:
    """A file of a harvest; nothing where it went away while it was looked for."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _tasks(
    ended: Sequence[_Job],
    places: Mapping[int, tuple[str, str]],
    swept: Sequence[Mapping[str, Any]],
    wave: tuple[int, int, int] | None,
    store: Store,
) -> tuple[Task, ...]:
    """One for each explainer and kind, those of a cascade by stage even before they have begun."""
    stages = [s["explainer"] for s in swept[0]["settings"]["stages"]] if swept else []
    counts: Counter[tuple[str, str, str, bool]] = Counter()
    first: dict[tuple[str, str], str] = {}
    for j in ended:
        own = j.unit in places and places[j.unit][0] == "main"
        counts[j.kind, j.explainer, j.status, own] += 1
        first[j.kind, j.explainer] = min(first.get((j.kind, j.explainer), "~"), j.at)
    mains = sum(role == "main" for role, _ in places.values())
    explained = {e: sum(counts["explain", e, s, True] for s in ("done", "failed")) for _, e in first}
    to_score = _to_score(store, explained, places)
    found: list[tuple[tuple[int, int, str], Task]] = []
    for kind, name in {**first, **{("explain", s): "" for s in stages}}:
        done, failed = counts[kind, name, "done", True], counts[kind, name, "failed", True]
        stage = stages.index(name) if kind == "explain" and name in stages else None
        total = mains if stage in (None, 0) else done + failed
        if kind == "score":
            total = max(to_score.get(name, 0), done + failed)
        nulls = sum(counts[kind, name, s, False] for s in ("done", "failed"))
        order = (int(kind == "score"), len(stages) if stage is None else stage, first.get((kind, name), "~"))
        task = Task(
            kind=kind, explainer=name, done=done, failed=failed, total=total, nulls=nulls,
            stage=None if stage is None else stage + 1,
        )  # fmt: skip
        found.append((order, task))
    tasks = [t for _, t in sorted(found, key=lambda f: f[0])]
    if wave is not None and wave[2] > wave[1]:
        tasks = _with_wave(tasks, wave[2] - wave[1])
    return tuple(tasks)


def _with_wave(tasks: list[Task], left: int) -> list[Task]:
    """A later stage that a wave named and that is not done: those units are known to be left."""
    first_done = all(t.left == 0 for t in tasks if t.stage == 1)
    for n, t in enumerate(tasks):
        if first_done and t.stage is not None and t.stage > 1:
            return [*tasks[:n], replace(t, total=t.total + left), *tasks[n + 1 :]]
    return tasks


def _to_score(store: Store, explained: Mapping[str, int], places: Mapping[int, tuple[str, str]]) -> dict[str, int]:
    """Units with an explanation, by whose labels are scored; in a sweep each unit is scored under the one chosen for it."""
    picked = store.columns(choices, ["unit", "explainer"])
    chosen = Counter(str(e) for u, e in picked if places.get(int(u), ("",))[0] == "main")
    return {e: chosen.get(e, 0) if chosen else n for e, n in explained.items()}


def _wave(
    store: Store, ended: Sequence[_Job], places: Mapping[int, tuple[str, str]], swept: Sequence[Mapping[str, Any]]
) -> tuple[int, int, int] | None:
    rows = store.rows(waves, number=store.count(waves)) if swept else []
    if not rows:
        return None
    stages = [s["explainer"] for s in swept[0]["settings"]["stages"]]
    over = {(places[j.unit], j.explainer) for j in ended if j.kind == "explain" and j.unit in places}
    planned = [((str(role), str(key)), stages[int(stage)]) for role, key, stage, _ in rows[0]["jobs"]]
    return int(rows[0]["number"]), sum(p in over for p in planned), len(planned)


def _pace(ended: Sequence[_Job], tasks: Sequence[Task], *, active: bool) -> tuple[Reading, Reading]:
    """Units a minute lately, and the seconds that the task which ran last still takes at that rate."""
    rate_name, left_name = "units a minute", "seconds left"
    if not ended:
        why = "no unit has ended yet"
        return Reading.unmeasured(rate_name, why), Reading.unmeasured(left_name, why)
    latest = max(ended, key=lambda j: j.at)
    own = [j.at for j in ended if (j.kind, j.explainer) == (latest.kind, latest.explainer) and j.at]
    recent = heapq.nlargest(_RECENT, own)
    times = sorted(t for t in map(_seconds, recent) if t >= _seconds(latest.at) - _WINDOW)
    span = times[-1] - times[0] if times else 0.0
    if len(times) < 3 or span < 2:
        why = "too few units have ended to tell"
        return Reading.unmeasured(rate_name, why), Reading.unmeasured(left_name, why)
    pace = 60 * (len(times) - 1) / span
    rate = Reading(name=rate_name, value=pace, n=len(times))
    left = sum(t.left for t in tasks if (t.kind, t.explainer) == (latest.kind, latest.explainer))
    if not active:
        return rate, Reading.unmeasured(left_name, "nothing is running")
    return rate, Reading(name=left_name, value=60 * left / pace, n=left)


def _seconds(at: str) -> float:
    return datetime.fromisoformat(at).replace(tzinfo=UTC).timestamp() if at else 0.0


def _spent(written: Sequence[tuple[Any, ...]], swept: Sequence[Mapping[str, Any]]) -> tuple[Amount, ...]:
    """What explanations asked for, with the limits of a sweep (which counts failed units too, so it may stop earlier)."""
    limits = Limits(**swept[0]["settings"]["limits"]) if swept and swept[0]["settings"]["limits"] else Limits()
    used = Spend(
        measurements=sum(int(r[3] or 0) for r in written), llm_tokens=sum(int(r[4] or 0) for r in written),
        dollars=sum(float(r[5] or 0.0) for r in written),
    )  # fmt: skip
    return (
        Amount(name="measurements", used=used.measurements, limit=limits.measurements),
        Amount(name="tokens", used=used.llm_tokens, limit=limits.llm_tokens),
        Amount(name="dollars", used=used.dollars, limit=limits.dollars),
    )


def _latest(
    store: Store, written: Sequence[tuple[Any, ...]], places: Mapping[int, tuple[str, str]]
) -> tuple[Latest, ...]:
    newest = heapq.nlargest(_LABELS, written, key=lambda r: (str(r[2] or ""), int(r[0])))
    found: list[Latest] = []
    for unit, explainer, at, *_ in newest:
        for row in store.rows(explanations, unit=unit, explainer=explainer):
            role, key = places.get(int(unit), ("main", "?"))
            found.append(
                Latest(unit=key, explainer=explainer, label=row["label"], reason=row["reason"], at=at or "", role=role)
            )
    return tuple(found)


def _failures(
    store: Store, ended: Sequence[_Job], places: Mapping[int, tuple[str, str]]
) -> tuple[Latest, ...]:  # fmt: skip
    newest = heapq.nlargest(_FAILURES, (j for j in ended if j.status == "failed"), key=lambda j: (j.at, j.unit))
    found: list[Latest] = []
    for j in newest:
        for row in store.rows(jobs, unit=j.unit, kind=j.kind, explainer=j.explainer):
            role, key = places.get(j.unit, ("main", "?"))
            found.append(Latest(unit=key, explainer=j.explainer, label="", reason=row["error"], at=j.at, role=role))
    return tuple(found)
