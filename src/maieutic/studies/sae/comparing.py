"""Can latents be explained better than neurons, components and random directions of the same layer, by the same explainer?

Units are drawn by a rule fixed before (`bases`), each is explained under the same budget and scored: average precision (AP) of its
label at held-out positions of the test split; an abstention gets the constant's AP. The questions, also fixed before, are the
mean AP of latents minus that of each other kind: four differences, two-sided, corrected by Holm over the four. Resamples draw
units of each kind apart (they are different units) and documents together (they are the same documents).

What this module does not do: say that latents are what the model computes with. A kind that cannot be explained by this
explainer may be explained by another; one SAE and one layer of one model are one sample.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from maieutic.errors import UserError
from maieutic.explain import Explanation, Viewer, explain, viewer_of
from maieutic.explain.predicates import from_json
from maieutic.forensics.sequential import holm
from maieutic.harvest import Atlas, harvest
from maieutic.lab import Bank, Budget, Lab
from maieutic.progress import Report, silent
from maieutic.readings import RESAMPLES, Estimate, Reading, share_reading
from maieutic.score import Shared, trial
from maieutic.stimuli import Corpus
from maieutic.store import writing
from maieutic.studies.compare import UnitScore, mean_of_units, unit_draws, unit_score
from maieutic.studies.sae.bases import Bases, Kind, draw_bases
from maieutic.subjects import Subject, Unit

ALPHA = 0.05
#: fewer scored units on a side carry no difference: a bootstrap over a few of them knows nothing of the others
LEAST = 5
UNITS, DATA = "units.jsonl", "compare.json"
Verdict = Literal["better", "worse", "no difference seen", "unmeasured"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """An explained unit: ``confidence`` is the explainer's, ``measurements`` what it asked for."""

    kind: str
    score: UnitScore
    confidence: float = 0.0
    measurements: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A kind with what was found.

    Attributes:
        kind: its units. scored: one row each.
        ap: mean AP of those that can be scored. over_constant: the same less the AP of a constant.
        half: share of them with AP 0.5 or more. labelled: share with a label.
    """

    kind: Kind
    scored: tuple[Scored, ...]
    ap: Reading
    over_constant: Reading
    half: Reading
    labelled: Reading


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """Latents beside another kind: the difference of mean AP, its p and Holm's."""

    other: str
    reading: Reading
    p: float | None = None
    corrected: float | None = None

    @property
    def verdict(self) -> Verdict:
        if self.reading.value is None or self.corrected is None:
            return "unmeasured"
        if self.corrected > ALPHA:
            return "no difference seen"
        return "better" if self.reading.value > 0 else "worse"


@dataclass(frozen=True, kw_only=True)
class Compared:
    """All of it.

    Attributes:
        subject, corpus, site, explainer, budget, seed: what was asked.
        groups: the kinds, latents first. contrasts: latents beside each other kind.
        documents: of the test split.
    """

    subject: str
    corpus: str
    site: str
    explainer: str
    budget: int
    seed: int
    groups: tuple[Group, ...]
    contrasts: tuple[Contrast, ...]
    documents: int

    def lines(self) -> list[str]:
        """In words, a line each."""
        told = [
            f"{self.site} of {self.subject}, {self.corpus}, {self.documents} test documents; {self.explainer}, "
            f"{self.budget} measurements a unit"
        ]
        for g in self.groups:
            told.append(
                f"{g.kind.name:14} {len(g.scored)} of {g.kind.live:,} live ({g.kind.of:,} in all): AP {g.ap}; labelled "
                f"{g.labelled}; AP 0.5 or more {g.half}"
            )
        for c in self.contrasts:
            p = "" if c.corrected is None else f", p = {c.corrected:.3g} (Holm)"
            told.append(f"latents minus {c.other:14} {c.reading}{p}: {c.verdict}")
        return [*told, *self.notes]

    @property
    def notes(self) -> tuple[str, ...]:
        """What to be careful of."""
        return (
            "Units of one kind hang together, so intervals are rather too narrow; one SAE of one layer is one sample.",
            f"AP is what the explainer {self.explainer} gets with its budget; another may do better on any kind.",
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "subject": self.subject, "corpus": self.corpus, "site": self.site, "explainer": self.explainer,
            "budget": self.budget, "seed": self.seed, "documents": self.documents, "notes": list(self.notes),
            "kinds": [_group_json(g) for g in self.groups],
            "contrasts": [
                {"other": c.other, "p": c.p, "corrected": c.corrected, "verdict": c.verdict, "reading": c.reading.to_json()}
                for c in self.contrasts
            ],
        }  # fmt: skip


def _group_json(group: Group) -> dict[str, Any]:
    readings = {n: getattr(group, n).to_json() for n in ("ap", "over_constant", "half", "labelled")}
    units = [
        {
            "unit": s.score.key, "label": s.score.label, "ap": s.score.value, "base_rate": s.score.base_rate,
            "reason": s.score.reason, "confidence": s.confidence, "measurements": s.measurements,
        }
        for s in group.scored
    ]  # fmt: skip
    return {"kind": group.kind.name, "what": group.kind.what, "site": group.kind.site, "live": group.kind.live,
            "of": group.kind.of, **readings, "units": units}  # fmt: skip


def compare_bases(
    subject: Subject,
    corpus: Corpus,
    latents: str,
    out: Path,
    *,
    n: int = 20,
    explainer: str = "search",
    options: Mapping[str, Any] | None = None,
    budget: int = 100,
    seed: int = 0,
    report: Report = silent,
) -> Compared:
    """Explain and score ``n`` units of each kind; run again, it goes on behind the last unit that was explained.

    Args:
        subject: with an SAE. corpus: texts. latents: the site of the SAE.
        out: folder for the harvest and the rows of units.
        n: units of each kind. explainer, options, budget: who explains, with how many measurements a unit.
        seed: of everything random.
        report: called with progress.

    Cost: two passes of the corpus up to the site, then the explainer; the search takes about a second a unit.

    Raises:
        UserError: see `draw_bases`, and whatever the explainer needs.
    """
    bases = draw_bases(subject, corpus, latents, n=n, seed=seed, report=report)
    with report("harvest", bases.subject.name) as step:
        atlas = harvest(bases.subject, corpus, bases.sites, run=out, keep=bases.units, progress=step)
    key = _key(bases, corpus, explainer, options or {}, budget, seed)
    rows = _explained(bases, atlas, out / UNITS, key, explainer, options or {}, budget, seed, report)
    groups, documents = _groups(bases, atlas, rows, seed)
    found = Compared(
        subject=subject.name, corpus=corpus.name, site=latents, explainer=explainer, budget=budget, seed=seed,
        groups=tuple(groups), contrasts=tuple(_contrasts(groups, seed)), documents=documents,
    )  # fmt: skip
    with writing(out / DATA) as temporary:
        temporary.write_text(json.dumps(found.to_json(), indent=1) + "\n", encoding="utf-8")
    return found


# --- explaining --------------------------------------------------------------------------------------------------------


def _key(bases: Bases, corpus: Corpus, explainer: str, options: Mapping[str, Any], budget: int, seed: int) -> str:
    """What a row belongs to."""
    text = json.dumps(
        [bases.subject.fingerprint, corpus.fingerprint, explainer, dict(options), budget, seed], default=str
    )
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _explained(
    bases: Bases,
    atlas: Atlas,
    file: Path,
    key: str,
    explainer: str,
    options: Mapping[str, Any],
    budget: int,
    seed: int,
    report: Report,
) -> dict[str, dict[str, Any]]:
    """A row a unit, by its key; those on disk are not made again."""
    rows = _read_rows(file, key)
    bank = Bank(bases.subject, sites=bases.sites)
    waiting = [u for u in bases.units if u.key not in rows]
    with report("explain", bases.subject.name) as step:
        for done, unit in enumerate(waiting, start=1):
            lab = Lab(bases.subject, unit, atlas, budget=Budget(measurements=budget), seed=seed, bank=bank)
            rows[unit.key] = {"key": key, "unit": unit.key, **_row(lab, explainer, options)}
            _write_rows(file, rows.values())
            step(len(bases.units) - len(waiting) + done, len(bases.units))
    return rows


def _row(lab: Lab, explainer: str, options: Mapping[str, Any]) -> dict[str, Any]:
    try:
        found = explain(lab, explainer, **options)
    except UserError as error:
        return {"failed": str(error).splitlines()[0]}
    return {
        "label": found.label, "predicate": found.predicate.to_json(), "confidence": found.confidence,
        "reason": found.reason, "measurements": found.cost.measurements, "explainer": found.explainer,
    }  # fmt: skip


def _read_rows(file: Path, key: str) -> dict[str, dict[str, Any]]:
    """Rows of this comparison.

    Raises:
        UserError: the file holds rows of another one.
    """
    rows: dict[str, dict[str, Any]] = {}
    for line in file.read_text(encoding="utf-8").splitlines() if file.is_file() else ():
        row: dict[str, Any] = json.loads(line)
        if row["key"] != key:
            raise UserError(f"{file} holds another comparison: give a new folder with --out")
        rows[row["unit"]] = row
    return rows


def _write_rows(file: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    with writing(file) as temporary:
        temporary.write_text("".join(json.dumps(r, sort_keys=True) + "\n" for r in rows), encoding="utf-8")


def _explanation(row: Mapping[str, Any], viewer: Viewer) -> Explanation | None:
    if "failed" in row:
        return None
    return Explanation(
        unit=row["unit"], label=row["label"], predicate=from_json(row["predicate"]), explainer=row["explainer"],
        confidence=row["confidence"], reason=row["reason"], viewer=viewer,
    )  # fmt: skip


# --- scoring -----------------------------------------------------------------------------------------------------------


def _groups(bases: Bases, atlas: Atlas, rows: Mapping[str, Mapping[str, Any]], seed: int) -> tuple[list[Group], int]:
    """Scores by kind, and the number of test documents."""
    shared, viewer = Shared(), viewer_of(bases.subject, atlas.corpus)
    groups: list[Group] = []
    documents = 0
    for kind in bases.kinds:
        scored: list[Scored] = []
        for unit in kind.units:
            on = trial(_observer(atlas, unit), modality=bases.subject.modality, seed=seed)
            documents = documents or (0 if isinstance(on, str) else len(on.test.groups))
            row = rows[unit.key]
            score = unit_score(unit.key, on, _explanation(row, viewer), shared)
            if "failed" in row:
                score = UnitScore(key=unit.key, value=None, reason=f"no explanation: {row['failed']}")
            scored.append(
                Scored(kind=kind.name, score=score, confidence=row.get("confidence", 0.0), measurements=row.get("measurements", 0))
            )  # fmt: skip
        groups.append(group_of(kind, scored, seed=seed))
    return groups, documents


def _observer(atlas: Atlas, unit: Unit) -> Any:
    return lambda split: atlas.observed(unit, split)


@dataclass(frozen=True, slots=True)
class _Means:
    """Means over units with their resamples."""

    ap: Estimate
    constant: Estimate
    n: int = field(default=0)


def _means(scored: Sequence[Scored], number: int, seed: int) -> _Means | None:
    live = [s.score for s in scored if s.score.value is not None]
    if not live:
        return None
    drawn = unit_draws(len(live), np.random.default_rng([seed, 31, number]))
    values, base = np.array([u.value for u in live], np.float64), np.array([u.base_rate for u in live], np.float64)
    own, constant = np.stack([u.replicates for u in live]), np.stack([u.constant for u in live])
    ap = mean_of_units(values, own, drawn)
    return _Means(ap, mean_of_units(values - base, own - constant, drawn), len(live))


def group_of(kind: Kind, scored: Sequence[Scored], *, seed: int) -> Group:
    """A kind with its readings."""
    means = _means(scored, _number(kind.name), seed)
    live = [s.score for s in scored if s.score.value is not None]
    if means is None:
        why = f"no unit of {kind.what} can be scored"
        ap, over = Reading.unmeasured("ap", why), Reading.unmeasured("over_constant", why)
    else:
        ap, over = means.ap.reading("ap", n=means.n), means.constant.reading("over_constant", n=means.n)
    return Group(
        kind=kind, scored=tuple(scored), ap=ap, over_constant=over,
        half=share_reading("half", [(u.value or 0.0) >= 0.5 for u in live]),
        labelled=share_reading("labelled", [bool(u.label) for u in live]),
    )  # fmt: skip


def _number(name: str) -> int:
    from maieutic.studies.sae.bases import KINDS

    return list(KINDS).index(name)


def _contrasts(groups: Sequence[Group], seed: int) -> Iterator[Contrast]:
    """Latents beside each other kind, with Holm's correction over all of them."""
    means = [_means(g.scored, _number(g.kind.name), seed) for g in groups]
    readings: list[Reading] = []
    ps: list[float | None] = []
    for group, other in zip(groups[1:], means[1:], strict=True):
        name = f"latents minus {group.kind.name}"
        few = next(((g, m) for g, m in ((groups[0], means[0]), (group, other)) if m is None or m.n < LEAST), None)
        if means[0] is None or other is None or few is not None:
            what, n = ("", 0) if few is None else (few[0].kind.what, 0 if few[1] is None else few[1].n)
            readings.append(Reading.unmeasured(name, f"{n} {what} can be scored: at least {LEAST} are needed"))
            ps.append(None)
            continue
        apart = means[0].ap - other.ap
        readings.append(apart.reading(name, n=min(means[0].n, other.n)))
        ps.append(bootstrap_p(apart))
    known = [p for p in ps if p is not None]
    fixed = iter(holm(known))
    for group, reading, p in zip(groups[1:], readings, ps, strict=True):
        yield Contrast(other=group.kind.name, reading=reading, p=p, corrected=None if p is None else next(fixed))


def bootstrap_p(found: Estimate) -> float:
    """Two-sided p that a difference is 0, from its resamples: twice the smaller share on either side, at least 2 / (n + 1)."""
    known = found.replicates[np.isfinite(found.replicates)]
    below, above = int((known <= 0).sum()), int((known >= 0).sum())
    return min(2 * (min(below, above) + 1) / (len(known) + 1), 1.0) if len(known) >= RESAMPLES // 2 else 1.0
