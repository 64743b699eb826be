"""Bench ``units``: on the units of real runs, how many labels beat every control, by explainer?

For each run folder and each explainer (the search, the same without experiments, the look-up of top exemplars) the run's
units are explained and scored if they are not yet, under the same budget, each explainer beside its own nulls. A unit
counts when the 95 % interval of every paired difference of its primary score (AP on the test split) lies above 0;
an abstention, a control that could not be had and a unit too silent to be scored count as not beaten, and the share is of
all units of the run.

The one-shot control *is* the look-up's label, so for the look-up "every control" cannot be said; beside it stands the
share that beats every *other* control, which all three have, and on which they are compared, unit by unit. What this
does not show: whether a label is right; on real units nobody knows. An explainer that is good at labelling random
directions too has the harder control there.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maieutic.bench.result import BenchResult, Figure, Table
from maieutic.campaign import ONE_SHOT, Run, explain_units, open_run, score_units, stored_explanation, stored_readings
from maieutic.errors import UsageError
from maieutic.lab import Budget
from maieutic.progress import Report, silent
from maieutic.readings import Reading, mean_reading, share_reading
from maieutic.score import CONTROLS
from maieutic.store import explanations

#: the one that is measured, then the baselines
EXPLAINERS = ("search", "search-no-experiments", ONE_SHOT)
#: measurements a unit where nothing in the run says otherwise
BUDGET = 120
_HOW = (
    "bench units needs the folder of a run: make one with  maieutic demo  (it says where), then  "
    "maieutic bench units --run FOLDER"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One label of one real unit.

    Attributes:
        label: what was found; empty when the explainer raised.
        abstained: why there is no label.
        ap: the primary score, or why there is none.
        beats: per control whether it is beaten; ``None`` when that was not measured.
    """

    subject: str
    explainer: str
    unit: str
    label: str
    abstained: str | None
    ap: Reading
    beats: Mapping[str, bool | None]

    @property
    def beats_every(self) -> bool:
        return self.abstained is None and all(b is True for b in self.beats.values())

    @property
    def beats_others(self) -> bool:
        """Every control but the one-shot label."""
        return self.abstained is None and all(b is True for c, b in self.beats.items() if c != "one_shot")

    def to_json(self) -> dict[str, Any]:
        return {
            "subject": self.subject, "explainer": self.explainer, "unit": self.unit, "label": self.label,
            "abstained": self.abstained, "ap": self.ap.value, "why": self.ap.reason, "beats": dict(self.beats),
        }  # fmt: skip


def run_units(
    *,
    seed: int = 0,
    runs: Sequence[Path | str] = (),
    explainers: Sequence[str] = EXPLAINERS,
    budget: int = BUDGET,
    report: Report = silent,
) -> BenchResult:
    """Compare explainers on the units of run folders; what is missing there is explained and scored, and written.

    Args:
        seed: only written down: a run has the seed it was made with.
        runs: run folders, or folders that hold some.
        explainers: the first is under test.
        budget: measurements a unit, for a run in which nothing is explained yet; else that run's own.
        report: called with progress.

    Raises:
        UsageError: no run was given.
        StoreError: a folder is no run, or is in use.

    Cost: seconds a unit and explainer for what is not explained yet; nothing for what is stored.
    """
    folders = [f for given in runs for f in _folders(Path(given))]
    if not folders:
        raise UsageError(_HOW)
    started, standings = time.perf_counter(), list[Standing]()
    for folder in folders:
        with open_run(folder, write=True) as run:
            for explainer in explainers:
                _complete(run, explainer, budget, report)
                standings += [standing(run, u.key, explainer) for u in run.units]
    found = figures(standings, explainers)
    return BenchResult(
        bench="units", seed=seed, seconds=time.perf_counter() - started, figures=found,
        rows=tuple(s.to_json() for s in standings), tables=tuple(_tables(standings, found, explainers)),
    )  # fmt: skip


def _folders(folder: Path) -> list[Path]:
    """The folder, or the runs inside it."""
    if (folder / "store.sqlite").exists() or not folder.is_dir():
        return [folder]
    inside = sorted(p.parent for p in folder.glob("*/store.sqlite"))
    return inside or [folder]


def _complete(run: Run, explainer: str, budget: int, report: Report) -> None:
    """Explain and score what is not yet explained and scored by this explainer."""
    missing = [u for u in run.units if stored_explanation(run, "main", u, explainer=explainer) is None]
    nulls = any(stored_explanation(run, "direction", u, explainer=explainer) is None for u in run.nulls.directions)
    if missing or nulls:
        known = [r["settings"]["budget"] for r in run.store.rows(explanations)]
        same = Budget(measurements=max(known, default=budget))
        explain_units(run, missing, explainer=explainer, budget=same, nulls=nulls, report=report)
    explained = [u for u in run.units if stored_explanation(run, "main", u, explainer=explainer) is not None]
    if any("predictive" not in stored_readings(run, u, explainer=explainer) for u in explained):
        score_units(run, explainer=explainer, report=report)


def standing(run: Run, key: str, explainer: str) -> Standing:
    """How a unit's label stands, from the store."""
    unit = run.subject.parse_unit(key)
    found = stored_explanation(run, "main", unit, explainer=explainer)
    readings = stored_readings(run, unit, explainer=explainer)
    differences = {c: readings.get(f"predictive.beats.{c}") for c in CONTROLS}
    beats = {c: None if r is None or r.low is None else r.low > 0 for c, r in differences.items()}
    if explainer == ONE_SHOT:
        beats["one_shot"] = None
    return Standing(
        subject=run.subject.name, explainer=explainer, unit=key,
        label="" if found is None else found.label,
        abstained="the explainer failed" if found is None else found.reason,
        ap=readings.get("predictive", Reading.unmeasured("predictive", "not scored")), beats=beats,
    )  # fmt: skip


# --- figures -------------------------------------------------------------------------------------------------------


def figures(standings: Sequence[Standing], explainers: Sequence[str]) -> dict[str, Figure]:
    """``<subject>.<explainer>.<what>``, and what the first explainer gains over each baseline on the same units."""
    found: dict[str, Figure] = {}
    for subject in dict.fromkeys(s.subject for s in standings):
        by = {e: [s for s in standings if s.subject == subject and s.explainer == e] for e in explainers}
        for explainer, rows in by.items():
            for what, reading in _of(explainer, rows).items():
                found[f"{subject}.{explainer}.{what}"] = Figure(reading=reading)
        for baseline in explainers[1:]:
            for what, reading in _gains(by[explainers[0]], by[baseline]).items():
                found[f"{subject}.{explainers[0]}.{what}.{baseline}"] = Figure(reading=reading)
    return found


def _of(explainer: str, rows: Sequence[Standing]) -> dict[str, Reading]:
    every = share_reading("beats every control", [s.beats_every for s in rows])
    if explainer == ONE_SHOT:
        every = Reading.unmeasured("beats every control", "one control is its own label", n=len(rows))
    return {
        "beats_every_control": every,
        "beats_every_other_control": share_reading("beats every other control", [s.beats_others for s in rows]),
        "labelled": share_reading("labelled", [s.abstained is None for s in rows]),
        "ap": mean_reading("ap", [s.ap for s in rows]),
    }


def _gains(tested: Sequence[Standing], baseline: Sequence[Standing]) -> dict[str, Reading]:
    """Differences unit by unit; the interval is a bootstrap over units."""
    other = {s.unit: s for s in baseline}
    pairs = [(s, other[s.unit]) for s in tested]
    shares = [Reading(name="gain", value=float(a.beats_others) - float(b.beats_others)) for a, b in pairs]
    return {
        "gain_over": mean_reading("gain", shares),
        "ap_gain_over": mean_reading("ap gain", [_gap(*p) for p in pairs]),
    }


def _gap(a: Standing, b: Standing) -> Reading:
    if a.ap.value is None or b.ap.value is None:
        return Reading.unmeasured("ap gain", "one of the two has no AP")
    return Reading(name="ap gain", value=a.ap.value - b.ap.value)


def _tables(standings: Sequence[Standing], found: Mapping[str, Figure], explainers: Sequence[str]) -> list[Table]:
    out: list[Table] = []
    columns = ("labels of", "beat all", "all but one-shot", "AP", "search's gain", "AP gain")
    for subject in dict.fromkeys(s.subject for s in standings):
        rows: list[tuple[str, ...]] = []
        for e in explainers:
            own = [_said(found[f"{subject}.{e}.{w}"].reading, whole=w == "beats_every_other_control") for w in _COLUMNS]
            gains = [found.get(f"{subject}.{explainers[0]}.{w}.{e}") for w in ("gain_over", "ap_gain_over")]
            rows.append(
                (
                    _SHORT.get(e, e),
                    *own,
                    *("" if g is None else _said(g.reading, whole=i == 0) for i, g in enumerate(gains)),
                )
            )
        units = len({s.unit for s in standings if s.subject == subject})
        out.append(Table(title=f"{subject}: share of {units} units", columns=columns, rows=tuple(rows)))
    lost = [
        (f"{s[:14]} {_SHORT.get(e, e)}",
         *(str(sum(r.beats[c] is not True for r in standings if (r.subject, r.explainer) == (s, e))) for c in CONTROLS))
        for s in dict.fromkeys(r.subject for r in standings) for e in explainers
    ]  # fmt: skip
    heads = ("units that do not beat", "constant", "shuffled", "one shot", "untrained", "random")
    assert len(heads) == len(CONTROLS) + 1
    return [*out, Table(title="controls not beaten", columns=heads, rows=tuple(lost))]


_COLUMNS = ("beats_every_control", "beats_every_other_control", "ap")
_SHORT = {"search": "search", "search-no-experiments": "no exp.", ONE_SHOT: "look-up"}


def _said(reading: Reading, *, whole: bool = True) -> str:
    if reading.value is None:
        return "–"
    if not whole or reading.low is None or reading.high is None:
        return f"{reading.value:.2f}"
    return f"{reading.value:.2f} [{reading.low:.2f}, {reading.high:.2f}]"
