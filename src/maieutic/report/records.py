"""What a run's store says of its units, as plain data for pages. No model, corpus or harvest is read here.

Units are asked for some at a time: a run may hold a million. What was measured on stimuli (exemplars, heat) is gathered by
`gather.Evidence`, which needs the model.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from maieutic.campaign.run import MAIN, Role
from maieutic.campaign.scoring import readings_of
from maieutic.errors import UserError
from maieutic.explain.predicates import from_json
from maieutic.readings import Cost, Reading
from maieutic.report.model import TOLERANCE, Outcome, ReportControl, ReportScores, ReportTest, ReportUnit
from maieutic.score.controls import CONTROLS
from maieutic.store import CHOSEN, Store, choices, experiments, explanations, harvests, jobs, scores, units
from maieutic.subjects import Modality

#: units that are read at once
AT_ONCE = 500
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
NOT_YET = "not explained yet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """The store of a run, read in the words of pages.

    Attributes:
        store: open for reading.
        harvest: the row of the run; empty while the harvest has not begun.
    """

    store: Store
    harvest: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @classmethod
    def of(cls, store: Store) -> Records:
        rows = store.rows(harvests, name=MAIN)
        return cls(store=store, harvest=rows[0] if rows else {})

    @property
    def plan(self) -> Mapping[str, Any]:
        return self.harvest["settings"]["plan"] if self.harvest else {}

    @property
    def modality(self) -> Modality:
        return self.harvest["modality"] if self.harvest else "text"

    @property
    def seed(self) -> int:
        return int(self.plan.get("seed", 0))

    def called(self, key: str) -> str:
        """What the model calls a unit (a class, a token, a named direction); empty where it has no name."""
        site, _, place = key.rpartition("/")
        place = place.removesuffix("-")
        known: Sequence[str] = self.harvest.get("settings", {}).get("units", {}).get(site, {}).get("called", ())
        return str(known[int(place)]).strip() if place.isdecimal() and int(place) < len(known) else ""

    def members(self, role: Role = "main") -> list[tuple[int, str]]:
        """(store id, key) of every unit of a role, in the order in which they were entered."""
        return sorted(self.store.columns(units, ("id", "key"), harvest=MAIN, role=role))

    def member(self, key: str, role: Role = "main") -> tuple[int, str] | None:
        """One of them by its key."""
        return next(iter(self.store.columns(units, ("id", "key"), key=key, harvest=MAIN, role=role)), None)

    def explainers(self) -> list[str]:
        """Every explainer that explained a unit."""
        return sorted({name for (name,) in self.store.columns(explanations, ("explainer",), distinct=True)})

    def usual(self) -> str:
        """Whose explanations pages show if nobody says: those a sweep chose, else the search's, else another's."""
        if self.store.count(choices):
            return CHOSEN
        names = self.explainers()
        return "search" if "search" in names or not names else names[0]

    # --- units ---------------------------------------------------------------------------------------------------
    def shown(self, members: Sequence[tuple[int, str]], explainer: str, *, tally: bool = True) -> list[ReportUnit]:
        """What tables and the head of a page show of some units, in their order.

        Args:
            members: (store id, key).
            explainer: whose explanations; ``chosen``: for each unit the one that a sweep chose.
            tally: count experiments that came out as predicted too.

        Cost: about half a millisecond a unit.
        """
        return [
            u
            for at in range(0, len(members), AT_ONCE)
            for u in self._some(members[at : at + AT_ONCE], explainer, tally)
        ]

    def _some(self, members: Sequence[tuple[int, str]], explainer: str, tally: bool) -> list[ReportUnit]:
        ids = [i for i, _ in members]
        picked = {r["unit"]: r for r in self.store.stream(choices, unit=ids)}
        whose = {i: _whose(explainer, picked.get(i)) for i in ids}
        names = sorted(set(whose.values()))
        found = {(r["unit"], r["explainer"]): r for r in self.store.stream(explanations, unit=ids, explainer=names)}
        read: dict[tuple[int, str], list[dict[str, Any]]] = {
            key: list(rows)
            for key, rows in groupby(
                self.store.stream(scores, unit=ids, explainer=names), key=lambda r: (r["unit"], r["explainer"])
            )
        }
        failed = {
            (unit, who): why
            for unit, who, why in self.store.columns(
                jobs, ("unit", "explainer", "error"), unit=ids, kind="explain", status="failed"
            )
        }
        tallies = self._tallies(ids, names) if tally else {}
        return [
            _unit(
                key, whose[i], found.get((i, whose[i])), picked.get(i, {}),
                readings=readings_of(read.get((i, whose[i]), ())), failed=failed.get((i, whose[i])),
                tally=tallies.get((i, whose[i]), (0, 0)), seed=self.seed, name=self.called(key),
            )
            for i, key in members
        ]  # fmt: skip

    def _tallies(self, ids: Sequence[int], names: Sequence[str]) -> dict[tuple[int, str], tuple[int, int]]:
        """How many experiments had a prediction, and how many of these came out within the tolerance."""
        out: dict[tuple[int, str], tuple[int, int]] = {}
        columns = ("unit", "explainer", "expect", "scaled")
        for unit, who, expect, scaled in self.store.columns(experiments, columns, unit=ids, explainer=names):
            if expect is not None:
                made, held = out.get((unit, who), (0, 0))
                out[unit, who] = made + 1, held + (abs(scaled - expect) <= TOLERANCE + 1e-9)
        return out

    def ledger(self, unit: int, explainer: str) -> list[dict[str, Any]]:
        """The experiments of a unit, in order."""
        return self.store.rows(experiments, unit=unit, explainer=explainer)

    def asked(self, unit: int) -> list[str]:
        """The explainers that have an explanation of a unit, those that failed on it after them."""
        own = [r for (r,) in self.store.columns(explanations, ("explainer",), unit=unit)]
        tried = [r for (r,) in self.store.columns(jobs, ("explainer",), unit=unit, kind="explain")]
        return [*sorted(own), *sorted(set(tried) - set(own))]

    # --- the run as a whole --------------------------------------------------------------------------------------
    def spend(self) -> dict[str, Cost]:
        """What each explainer's explanations took, over all units of all roles."""
        totals: dict[str, list[float]] = {}
        columns = ("explainer", "measurements", "llm_tokens", "dollars", "seconds")
        for who, *amounts in self.store.columns(explanations, columns):
            before = totals.setdefault(who, [0, 0, 0.0, 0.0])
            for i, amount in enumerate(amounts):
                before[i] += amount
        return {
            who: Cost(measurements=int(m), llm_tokens=int(t), dollars=d, seconds=s)
            for who, (m, t, d, s) in sorted(totals.items())
        }

    def nulls(self, explainer: str) -> dict[str, tuple[int, list[float | None]]]:
        """Per kind of null unit that was explained afresh: how many there are, and the scores of those with a label."""
        out: dict[str, tuple[int, list[float | None]]] = {}
        roles: tuple[tuple[Role, str], ...] = (("untrained", "untrained copy"), ("direction", "random directions"))
        for role, name in roles:
            members = self.members(role)
            shown = self.shown(members, explainer, tally=False) if members else []
            labelled = [u for u in shown if u.abstained is None and u.scores is not None]
            if members and any(u.outcome != "waiting" for u in shown):
                out[name] = len(members), [u.ap for u in labelled]
        return out


def _whose(explainer: str, choice: Mapping[str, Any] | None) -> str:
    if explainer != CHOSEN:
        return explainer
    return CHOSEN if choice is None else str(choice["explainer"])


def _unit(
    key: str,
    explainer: str,
    row: Mapping[str, Any] | None,
    choice: Mapping[str, Any],
    *,
    readings: Mapping[str, Reading],
    failed: str | None,
    tally: tuple[int, int],
    seed: int,
    name: str,
) -> ReportUnit:
    outcome, reason = _outcome(row, failed)
    row = row or {"label": "unexplained", "predicate": None, "confidence": 0.0, "evidence": (), "considered": (),
                  "measurements": 0, "llm_tokens": 0, "dollars": 0.0, "seconds": 0.0}  # fmt: skip
    words, stored = _predicate(row["predicate"])
    return ReportUnit(
        key=key,
        site=key.rpartition("/")[0],
        label=row["label"],
        abstained=reason,
        outcome=outcome,
        predicate=words,
        predicate_json=stored,
        confidence=row["confidence"],
        explainer=explainer,
        scores=_scores(readings),
        considered=tuple((str(a), str(b)) for a, b in row["considered"]),
        evidence=tuple(row["evidence"]),
        measurements=row["measurements"],
        cost=Cost(
            measurements=row["measurements"], llm_tokens=row["llm_tokens"], dollars=row["dollars"],
            seconds=row["seconds"],
        ),
        seed=seed,
        name=name,
        tally=tally,
        standing=choice.get("standing"),
        importance=choice.get("importance"),
        why=str(choice.get("why", "")) if choice.get("explainer") == explainer else "",
    )  # fmt: skip


def _outcome(row: Mapping[str, Any] | None, failed: str | None) -> tuple[Outcome, str | None]:
    if row is not None:
        return ("labelled", None) if row["reason"] is None else ("abstained", str(row["reason"]))
    return ("failed", f"failed: {failed}") if failed is not None else ("waiting", NOT_YET)


def _predicate(stored: Mapping[str, Any] | None) -> tuple[str, Mapping[str, Any] | None]:
    """A predicate in words and as stored; one of another version is shown as stored alone."""
    if stored is None:
        return "", None
    try:
        return from_json(stored).describe(), stored
    except (UserError, TypeError, ValueError, AttributeError) as error:
        return f"(cannot be read: {str(error)[:200]})", stored


def _scores(readings: Mapping[str, Reading]) -> ReportScores | None:
    if "predictive" not in readings:
        return None
    own = {n: r for n, r in readings.items() if n == "predictive" or n.startswith("predictive.")}
    special = {"predictive", "predictive.pearson"}
    further = [n for n in readings if "." not in n and n != "predictive"]
    return ReportScores(
        primary=readings["predictive"],
        pearson=readings.get("predictive.pearson"),
        controls=_controls("predictive", readings),
        others=tuple(r for n, r in own.items() if n not in special and not _beside(n)),
        tests=tuple(_test(name, readings) for name in in_order(further)),
    )


def in_order(further: Iterable[str]) -> list[str]:
    """Further scorers in the order of tables: those that are known, then plug-ins by name."""
    names = set(further)
    return [n for n in TESTS if n in names] + sorted(names - set(TESTS))


def test_title(name: str) -> str:
    """A further scorer's name in tables."""
    return TESTS[name][0] if name in TESTS else name.replace("_", " ")


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
    what = TESTS[name][1] if name in TESTS else f"scorer {name}"
    head = readings[name]
    chance = head.details.get("base_rate", head.details.get("chance"))
    rows = [e for e in head.details.get("examples", []) if isinstance(e, dict)]
    return ReportTest(
        name=test_title(name),
        what=what,
        reading=head,
        chance=float(chance) if isinstance(chance, (int, float)) else None,
        controls=_controls(name, readings),
        others=tuple(r for n, r in readings.items() if n.startswith(f"{name}.") and not _beside(n)),
        examples=tuple((str(e["sort"]), str(e["edit"]), str(e["shown"]), float(e["value"])) for e in rows),
    )
