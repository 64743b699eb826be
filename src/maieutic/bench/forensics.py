"""Bench ``forensics``: is the exact cause of an act found, and what does it cost?

Planted policies (``maieutic.forensics.planted``) in transcripts of about 40 sentences: AND, OR, k of n, mixed, and causes that
depend on the place, deterministic and noisy; beside them controls that act by chance or always. A policy is *exact* when the
set of all minimal sufficient sets that ``find_cause`` gives is the planted one, sentence by sentence. A control counts as a
*false cause* when any set is given.

Beside it leave-one-out, the ContextCite surrogate and sampled Shapley values on the same policies. They give scores, not
sets, so they are asked for less: which sentences matter at all, and they are told how many there are. Each is run with
growing budgets; told is the smallest with which it is right as often as ``find_cause`` is (which is not told the number).

What this does not show: how real models fail, whose causes are graded and whose parts interact with the way of removing.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from maieutic.bench.result import BenchResult, Figure, Table
from maieutic.forensics.attribution import Attribution, Cause, Settings, Trials, find_cause, leave_one_out, shapley
from maieutic.forensics.attribution.surrogate import surrogate
from maieutic.forensics.partition import partition
from maieutic.forensics.planted import KINDS, LEVEL, Kind, Planted, plant
from maieutic.forensics.removal import Filler
from maieutic.progress import Report, silent
from maieutic.readings import Reading, mean_reading, share_reading

#: policies of each kind, deterministic and noisy each; and with ``quick``
EACH, QUICK = 22, 3
#: controls for each policy of a kind: those that act always need few, chance is what can mislead
CONTROLS: Mapping[bool, float] = {False: 0.5, True: 4.0}
#: of these, every so many-th is given to the baselines
SPARSE = 5
TARGETS: Mapping[str, tuple[float, bool]] = {
    "sure.exact": (0.95, True), "noisy.exact": (0.85, True), "controls.false_cause": (0.05, False),
}  # fmt: skip
#: what it takes to name the sets: the rest (places, other ways of removing) says more about them
CORE = ("ends", "search", "confirm")
#: method -> budgets: samples of each condition, masks, orders
BUDGETS: Mapping[str, tuple[int, ...]] = {
    "leave one out": (1, 4, 16), "contextcite": (64, 256, 512, 1024), "shapley": (2, 8, 32),
}  # fmt: skip
_METHODS: Mapping[str, Callable[[Trials, int, int], Attribution]] = {
    "leave one out": lambda trials, budget, seed: leave_one_out(trials, samples=budget),
    "contextcite": lambda trials, budget, seed: surrogate(trials, masks=budget, seed=seed, resamples=0),
    "shapley": lambda trials, budget, seed: shapley(trials, orders=budget, seed=seed),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One policy.

    Attributes:
        planted: what was planted.
        cause: what was found.
        exact: whether that is the planted truth; of a control: whether nothing was found.
        parts: whether at least the right sentences were named.
        calls: samples and passes for the sets, and all of them.
        baselines: (method, budget) -> whether the right sentences came first, and the calls; empty where not tried.
    """

    planted: Planted
    cause: Cause
    exact: bool
    parts: bool
    calls: int
    all_calls: int
    baselines: Mapping[tuple[str, int], tuple[bool, int]]

    @property
    def group(self) -> str:
        return "controls" if self.planted.kind == "none" else "noisy" if self.planted.noisy else "sure"

    def to_json(self) -> dict[str, object]:
        p, c = self.planted, self.cause
        return {
            "id": p.id, "kind": p.kind, "variant": p.variant, "noisy": p.noisy, "low": p.low, "high": p.high,
            "exact": self.exact, "verdict": c.verdict, "summary": c.summary(), "confidence": c.confidence,
            "positional": c.positional, "stages": dict(c.stages),
            "truth": sorted(sorted(s) for s in p.truth),
            "found": sorted(sorted(part.id for part in s) for s in c.sufficient),
            "baselines": {f"{m} {b}": list(v) for (m, b), v in self.baselines.items()},
        }  # fmt: skip


def run_forensics(
    *, seed: int = 0, quick: bool = False, each: int | None = None, baselines: bool = True, report: Report = silent
) -> BenchResult:
    """Find planted causes.

    Args:
        seed: other policies, other transcripts.
        quick: ``QUICK`` policies of each kind instead of ``EACH``.
        each: another number.
        baselines: whether the usual methods are run beside.
        report: called with progress.

    Cost: about 100 s on one core, 12 s without baselines; ``quick`` 25 s.
    """
    started, tried = time.perf_counter(), list[Tried]()
    size = each or (QUICK if quick else EACH)
    wanted: list[tuple[Kind, bool, int]] = [
        (kind, noisy, i)
        for kind in KINDS
        for noisy in (False, True)
        for i in range(math.ceil(size * CONTROLS[noisy]) if kind == "none" else size)
    ]
    with report("find causes", "planted policies") as step:
        for done, (kind, noisy, i) in enumerate(wanted):
            step(done, len(wanted))
            beside = baselines and kind != "none" and i % SPARSE == 0
            tried.append(try_policy(kind, (seed, i), noisy=noisy, baselines=beside))
        step(len(wanted), len(wanted))
    found = figures(tried)
    return BenchResult(
        bench="forensics", seed=seed, seconds=time.perf_counter() - started, figures=found,
        rows=tuple(t.to_json() for t in tried), tables=tables(tried),
    )  # fmt: skip


def try_policy(
    kind: Kind, seed: tuple[int, int], *, noisy: bool, baselines: bool, settings: Settings | None = None
) -> Tried:
    """Plant one policy, look for its cause, compare."""
    planted = plant(kind, seed, noisy=noisy)
    cause = find_cause(planted.action, planted.actor(), settings=settings)
    found = frozenset(frozenset(p.id for p in s) for s in cause.sufficient)
    return Tried(
        planted=planted, cause=cause, exact=found == planted.truth and (kind == "none" or cause.verdict == "found"),
        parts=frozenset(p.id for p in cause.parts) == planted.relevant,
        calls=sum(cause.stages.get(s, 0) for s in CORE), all_calls=cause.spent.calls,
        baselines=_baselines(planted, seed[1]) if baselines else {},
    )  # fmt: skip


def _baselines(planted: Planted, seed: int) -> dict[tuple[str, int], tuple[bool, int]]:
    """Whether each method puts the right sentences first, told how many there are."""
    parts = partition(planted.action.messages, level=LEVEL).at(LEVEL)
    done: dict[tuple[str, int], tuple[bool, int]] = {}
    for method, budgets in BUDGETS.items():
        for budget in budgets:
            if method == "leave one out" and not planted.noisy and budget > 1:
                continue  # the same again
            trials = Trials(planted.action, planted.actor(), parts, Filler())
            scores = _METHODS[method](trials, budget, seed)
            first = frozenset(p.id for p in scores.strongest(len(planted.relevant)))
            done[method, budget] = first == planted.relevant, scores.spent.calls
    return done


# --- figures -----------------------------------------------------------------------------------------------------


def figures(tried: Sequence[Tried]) -> dict[str, Figure]:
    """Shares with Wilson intervals, means with bootstrap intervals over policies."""
    readings: dict[str, Reading] = {}
    for group in ("sure", "noisy"):
        rows = [t for t in tried if t.group == group]
        readings[f"{group}.exact"] = share_reading("exact", [t.exact for t in rows])
        readings[f"{group}.parts"] = share_reading("parts", [t.parts for t in rows])
        readings[f"{group}.calls"] = _mean("calls", [t.calls for t in rows])
        readings[f"{group}.calls.everything"] = _mean("calls", [t.all_calls for t in rows])
        for kind in dict.fromkeys(t.planted.kind for t in rows):
            readings[f"{group}.exact.{kind}"] = share_reading(kind, [t.exact for t in rows if t.planted.kind == kind])
        told = [t.cause.positional is (t.planted.kind == "position") for t in rows if t.exact]
        readings[f"{group}.place_told"] = share_reading("place told", told)
        lost = [t.cause.verdict == "none" for t in rows]
        readings[f"{group}.said_no_cause"] = share_reading("said no cause", lost)
        readings |= {f"{group}.{name}": r for name, r in _beside(rows).items()}
    controls = [t for t in tried if t.group == "controls"]
    readings["controls.false_cause"] = share_reading("false cause", [not t.exact for t in controls])
    readings["controls.calls"] = _mean("calls", [t.all_calls for t in controls])
    none = (None, True)
    return {
        name: Figure(reading=r, target=TARGETS.get(name, none)[0], at_least=TARGETS.get(name, none)[1])
        for name, r in readings.items()
    }


def _beside(rows: Sequence[Tried]) -> dict[str, Reading]:
    """Each method and budget: how often right, and calls; and the calls of `find_cause` on the same policies."""
    rows = [t for t in rows if t.baselines]
    found: dict[str, Reading] = {}
    for key in dict.fromkeys(k for t in rows for k in t.baselines):
        name = f"{key[0].replace(' ', '_')}.{key[1]}"
        have = [t.baselines[key] for t in rows if key in t.baselines]
        found[f"{name}.parts"] = share_reading("parts", [right for right, _ in have])
        found[f"{name}.calls"] = _mean("calls", [calls for _, calls in have])
    return found


def equal_accuracy(rows: Sequence[Tried]) -> list[tuple[str, str, str, str]]:
    """Method, calls at the accuracy of `find_cause` (or how near its largest budget comes), how often right, times as many."""
    rows = [t for t in rows if t.baselines]
    if not rows:
        return []
    ours, calls = sum(t.parts for t in rows) / len(rows), sum(t.calls for t in rows) / len(rows)
    lines = [("find_cause", f"{calls:.0f}", f"{ours:.0%}", "1")]
    for method in BUDGETS:
        shares: list[tuple[float, float]] = []
        for budget in BUDGETS[method]:
            have = [t.baselines[method, budget] for t in rows if (method, budget) in t.baselines]
            if have:
                shares.append((sum(r for r, _ in have) / len(have), sum(c for _, c in have) / len(have)))
        if not shares:
            lines.append((method, "not tried", "–", "–"))
            continue
        enough = next((s for s in shares if s[0] >= ours), None)
        share, cost = enough or max(shares)
        told = f"{cost:.0f}" if enough else f"not with {shares[-1][1]:.0f}"
        lines.append((method, told, f"{share:.0%}", f"{cost / calls:.1f}" if enough else "–"))
    return lines


def tables(tried: Sequence[Tried]) -> tuple[Table, ...]:
    """By kind; then calls beside the usual methods."""
    rows: list[tuple[str, ...]] = []
    for noisy in (False, True):
        for kind in KINDS:
            here = [t for t in tried if t.planted.kind == kind and t.planted.noisy is noisy]
            if not here:
                continue
            word = "control" if kind == "none" else "noisy" if noisy else "deterministic"
            exact = sum(t.exact for t in here)
            calls = [sum(getattr(t, n) for t in here) / len(here) for n in ("calls", "all_calls")]
            rows.append((f"{kind}, {word}", str(len(here)), f"{exact / len(here):.0%}", *(f"{c:.0f}" for c in calls)))
    made = [Table(title="exact cause", columns=("kind", "policies", "exact", "calls", "calls, all"), rows=tuple(rows))]
    for group, word in (("sure", "deterministic"), ("noisy", "noisy")):
        lines = equal_accuracy([t for t in tried if t.group == group])
        if lines:
            columns = ("method", "calls", "right sentences", "times")
            made.append(Table(title=f"calls at equal accuracy, {word}", columns=columns, rows=tuple(lines)))
    return tuple(made)


def _mean(name: str, values: Sequence[float]) -> Reading:
    return mean_reading(name, [Reading(name=name, value=float(v)) for v in values])
