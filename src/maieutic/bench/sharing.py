"""Bench ``sharing``: how many measurements does a unit need when units share them?

Units of a layer of each packaged network are explained by the search twice, with one bank for all of them and with a bank
of their own each. The answers must be the same to the bit (a value does not depend on who asked), so what differs is the
number of passes and the time. Three numbers a unit: questions *asked* (what budgets count), stimuli measured *alone* (a
question asked twice by one unit is measured once), and stimuli measured with *sharing*. Units are taken in the order of
their draw; the share that comes from the bank is told for all of them and for the later half, when it has been filled.

What this does not show: what a sweep of a whole layer saves, which is more the larger the share of the later half.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from maieutic.bench.result import BenchResult, Figure, Table
from maieutic.campaign.run import Run, RunPlan, create_run
from maieutic.errors import UsageError
from maieutic.explain import Explainer, explain
from maieutic.lab import Bank, Budget, Entry, Lab
from maieutic.progress import Report, silent
from maieutic.readings import Reading, mean_reading, share_reading
from maieutic.subjects import Unit

#: modality -> what is harvested
PLANS: Mapping[str, RunPlan] = {
    "text": RunPlan(subject="smollm2-135m", corpus="text", sites=("layers.1.mlp",), size=200, nulls=0),
    "image": RunPlan(subject="efficientnet-lite0", corpus="photos", sites=("head",), size=300, nulls=0),
}
QUICK = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One unit's questions.

    Attributes:
        unit, label: what was explained, and how (why not, when abstained).
        asked: questions.
        alone, shared: stimuli measured with a bank of its own, and with one for all units.
        seconds_alone, seconds_shared: of the whole explanation.
        measuring_alone, measuring_shared: of these, spent on measurements.
        same: whether label and ledger were the same to the bit.
        kinds: kind of question -> asked and fresh with sharing.
    """

    unit: str
    label: str
    asked: int
    alone: int
    shared: int
    seconds_alone: float
    seconds_shared: float
    measuring_alone: float
    measuring_shared: float
    same: bool
    kinds: Mapping[str, tuple[int, int]]

    def to_json(self, modality: str) -> dict[str, Any]:
        counts = {n: getattr(self, n) for n in ("unit", "label", "asked", "alone", "shared", "same")}
        times = {n: round(getattr(self, n), 4) for n in ("seconds_alone", "seconds_shared")}
        return {"modality": modality, **counts, **times, "kinds": {k: list(v) for k, v in self.kinds.items()}}


def run_sharing(
    *,
    seed: int = 0,
    modality: str | None = None,
    quick: bool = False,
    budget: int = 60,
    units: int = 40,
    explainer: str = "search",
    report: Report = silent,
) -> BenchResult:
    """Explain units of real networks with and without sharing.

    Args:
        seed: another seed, other units.
        modality: ``text`` or ``image``; both otherwise.
        quick: ``QUICK`` units each.
        budget: measurements a unit.
        units: how many of each network.
        explainer: a name of ``maieutic.explain.explainers``.
        report: called with progress.

    Cost: two explanations a unit (seconds each).

    Raises:
        UsageError: no such modality.
    """
    if modality is not None and modality not in PLANS:
        raise UsageError(f"modality is {' or '.join(PLANS)}, not {modality!r}: choose one of those")
    started, figures, tables, rows = time.perf_counter(), dict[str, Figure](), list[Table](), list[Mapping[str, Any]]()
    for kind in PLANS if modality is None else [modality]:
        plan = replace(PLANS[kind], seed=seed, sample=QUICK if quick else units)
        with tempfile.TemporaryDirectory() as folder, create_run(Path(folder) / "run", plan, report=report) as run:
            found = compare(run, run.units, explainer=explainer, budget=budget, report=report)
        figures |= {f"{kind}.{name}": figure for name, figure in figures_of(found).items()}
        tables += tables_of(
            f"{plan.subject} {', '.join(plan.sites)}, {len(found)} units, at most {budget} questions each", found
        )
        rows += [f.to_json(kind) for f in found]
    return BenchResult(
        bench="sharing", seed=seed, seconds=time.perf_counter() - started, figures=figures,
        rows=tuple(rows), tables=tuple(tables),
    )  # fmt: skip


def compare(
    run: Run, units: Sequence[Unit], *, explainer: str | Explainer, budget: int, report: Report = silent
) -> list[Asked]:
    """Explain every unit with one bank for all, and with a bank of its own. Nothing is written."""
    common, found = Bank(run.subject, sites=run.sites), list[Asked]()
    for unit in units[:1]:
        # what units of a corpus share beside measurements is made here, so that no unit pays for it
        _explained(run, unit, Bank(run.subject, sites=run.sites), explainer, budget)
    with report("share", run.subject.name) as step:
        for done, unit in enumerate(units):
            step(done, len(units))
            # in turns, so that neither always meets the caches that the other has filled
            banks = [common, Bank(run.subject, sites=run.sites)][:: 1 if done % 2 else -1]
            outcomes = {id(b): _explained(run, unit, b, explainer, budget) for b in banks}
            found.append(_asked(unit, alone=outcomes[id(banks[done % 2])], shared=outcomes[id(common)]))
        step(len(units), len(units))
    return found


@dataclass(frozen=True, slots=True)
class _Outcome:
    label: str
    entries: Sequence[Entry]
    seconds: float


def _explained(run: Run, unit: Unit, bank: Bank, explainer: str | Explainer, budget: int) -> _Outcome:
    lab = Lab(run.subject, unit, run.atlas, budget=Budget(measurements=budget), seed=run.seed, bank=bank)
    started = time.perf_counter()
    found = explain(lab, explainer)
    seconds = time.perf_counter() - started
    return _Outcome(
        found.label if found.reason is None else f"unexplained: {found.reason}", lab.ledger.entries, seconds
    )


def _asked(unit: Unit, *, alone: _Outcome, shared: _Outcome) -> Asked:
    kinds: dict[str, tuple[int, int]] = {}
    for entry in shared.entries:
        asked, fresh = kinds.get(entry.kind, (0, 0))
        kinds[entry.kind] = asked + 1, fresh + entry.fresh
    return Asked(
        unit=unit.key, label=shared.label, asked=len(shared.entries),
        alone=sum(e.fresh for e in alone.entries), shared=sum(e.fresh for e in shared.entries),
        seconds_alone=alone.seconds, seconds_shared=shared.seconds,
        measuring_alone=sum(e.cost.seconds for e in alone.entries),
        measuring_shared=sum(e.cost.seconds for e in shared.entries),
        same=alone.label == shared.label and list(map(_told, alone.entries)) == list(map(_told, shared.entries)),
        kinds=kinds,
    )  # fmt: skip


def _told(entry: Entry) -> Entry:
    """The entry without what may depend on when it was measured."""
    return replace(entry, fresh=True, cost=replace(entry.cost, seconds=0.0))


def figures_of(found: Sequence[Asked]) -> dict[str, Figure]:
    """Means over units with bootstrap intervals; ``same_answers`` has the target 1."""
    late = found[len(found) // 2 :]
    means = {
        "asked": [float(f.asked) for f in found],
        "measured_alone": [float(f.alone) for f in found],
        "measured_shared": [float(f.shared) for f in found],
        "from_bank": [1 - f.shared / f.asked for f in found if f.asked],
        "from_bank.later_half": [1 - f.shared / f.asked for f in late if f.asked],
        "seconds_alone": [f.seconds_alone for f in found],
        "seconds_shared": [f.seconds_shared for f in found],
        "measuring_seconds_alone": [f.measuring_alone for f in found],
        "measuring_seconds_shared": [f.measuring_shared for f in found],
    }
    readings = {
        name: mean_reading(name, [Reading(name=name, value=v) for v in values]) for name, values in means.items()
    }
    same = share_reading("same_answers", [f.same for f in found])
    return {name: Figure(reading=r) for name, r in readings.items()} | {"same_answers": Figure(reading=same, target=1)}


def tables_of(title: str, found: Sequence[Asked]) -> list[Table]:
    """Means a unit, then what kinds of questions the bank answered."""
    n, late = max(len(found), 1), found[len(found) // 2 :]

    def share(rows: Sequence[Asked]) -> str:
        asked = sum(f.asked for f in rows)
        return f"{1 - sum(f.shared for f in rows) / asked:.0%}" if asked else "–"

    each = (
        ("asked", f"{sum(f.asked for f in found) / n:.1f}", f"{sum(f.asked for f in found) / n:.1f}"),
        ("measured", f"{sum(f.alone for f in found) / n:.1f}", f"{sum(f.shared for f in found) / n:.1f}"),
        (
            "seconds",
            f"{sum(f.seconds_alone for f in found) / n:.2f}",
            f"{sum(f.seconds_shared for f in found) / n:.2f}",
        ),
        (
            "of these measuring",
            f"{sum(f.measuring_alone for f in found) / n:.2f}",
            f"{sum(f.measuring_shared for f in found) / n:.2f}",
        ),
        ("from the bank", "", share(found)),
        ("from the bank, later half", "", share(late)),
    )
    kinds = {k: None for f in found for k in f.kinds}
    sums = {k: [sum(f.kinds.get(k, (0, 0))[i] for f in found) for i in (0, 1)] for k in kinds}
    by_kind = tuple(
        (k, f"{asked / n:.1f}", f"{1 - fresh / asked:.0%}")
        for k, (asked, fresh) in sorted(sums.items(), key=lambda item: (-item[1][0], item[0]))
    )
    return [
        Table(title=title, columns=("a unit", "alone", "shared"), rows=each),
        Table(title="by kind of question", columns=("kind", "asked a unit", "from the bank"), rows=by_kind),
    ]
