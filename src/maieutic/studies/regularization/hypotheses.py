"""The claims of the study, answered: supported, against, or undecided, each with its figures.

The rules, written before any full run. *Reliably* above or below means: the paired difference has that sign and its p after
Holm's correction over the family named is at most 0.05. *Beside GELU* means at equal loss: GELU stopped early where its loss is
the arm's, or the arm along its own sweep at GELU's loss + 0.02 nats, whichever can be done for more seeds (the first when alike).
*Treatments* are all arms of the run that are no controls. What was not measured never supports a claim and is named.

H1  Family: ``neurons.gap`` of every treatment beside GELU. Supported: every treatment is reliably above 0. Against: one is
    reliably below. Undecided: everything else.
H2  SoLU minus SoLU with LayerNorm, at equal tokens. Family: ``loss`` at every width that was trained, and ``bands.low`` at the
    study's own width. Supported: the loss is reliably above 0 at some width and reliably below at none, and ``bands.low`` is
    reliably above 0. Against: ``bands.low`` is reliably below 0, or the loss is at some width and reliably above at none.
H3  Weight-sparse training, pruning and L1 on weights beside GELU. Families: ``circuit.units`` and ``circuit.edges`` of all
    three; ``neurons.gap`` of all three. Supported: for each that is in the run, both circuit measures are reliably below 0 and
    the gap is not reliably above 0. Against: some circuit measure is reliably above 0, or some gap is.
H4  Points: arm x seed x layer of the trained headline models. Spearman's correlation of ``interference.rms`` with the damage
    1 - ``edit.locality`` (locality where edits reach an efficacy of 0.95), 95 % interval over resamples that draw seeds, then
    arms. Supported: the interval lies above 0. Against: below. Undecided: it holds 0. At least 3 arms and 2 seeds.
H5  Arms that are reliably above 0 in ``neurons.gap`` (the family of H1) gained. Family: ``edit.locality`` and ``edit.score`` of
    those arms beside GELU. Supported: some arm that gained is reliably below 0 in one of the two. Against: some arm gained, and
    every one that did is reliably above 0 in at least one and reliably below in neither. Undecided: everything else.

A claim that is not supported is not thereby false: with 3 to 5 seeds only large differences are reliable.
What this module does not do: choose what is compared (`headlines`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from maieutic.readings import Reading
from maieutic.studies.regularization.arms import ARMS
from maieutic.studies.regularization.comparing import ALPHA, Contrast, beside, corrected
from maieutic.studies.regularization.config import StudyConfig
from maieutic.studies.regularization.headlines import EDGES, GAP, LOCALITY, LOSS, LOW, SCORE, UNITS, matched, treatments
from maieutic.studies.regularization.measured import Table

Verdict = Literal["supported", "against", "undecided"]
FloatArray = NDArray[np.float64]
SPARSE_WEIGHTS = ("weight-sparse", "pruning", "weight-l1")
_SOLU, _SOLU_NORM = "solu", "solu-ln"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a study says about a claim.

    Attributes:
        id: ``H1`` to ``H5``. claim: as the configuration has it, written before the run.
        because: why, a sentence each.
        contrasts: the comparisons that decided, and those that could not be made. readings: other figures.
    """

    id: str
    claim: str
    verdict: Verdict
    because: tuple[str, ...]
    contrasts: tuple[Contrast, ...] = ()
    readings: tuple[Reading, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id, "claim": self.claim, "verdict": self.verdict, "because": list(self.because),
            "contrasts": [c.to_json() for c in self.contrasts], "readings": [r.to_json() for r in self.readings],
        }  # fmt: skip


def answer_all(table: Table, config: StudyConfig) -> tuple[Answer, ...]:
    """All claims in order."""
    rules = {"H1": gap_rises, "H2": norm_smuggles, "H3": sparse_not_cleaner, "H4": interference_foretells,
             "H5": gain_not_editable}  # fmt: skip
    return tuple(rule(table, config, config.hypotheses.get(name, "")) for name, rule in rules.items())


def sign(contrast: Contrast) -> int:
    """1 reliably above 0, -1 reliably below, 0 neither or unmeasured."""
    p = contrast.corrected
    if p is None or p > ALPHA or contrast.reading.value is None:
        return 0
    return int(np.sign(contrast.reading.value))


# --- H1 ----------------------------------------------------------------------------------------------------------------


def gap_rises(table: Table, config: StudyConfig, claim: str) -> Answer:
    """Does every treatment raise the gap of neurons over random rotations, at equal loss?"""
    found = _gaps(table, config)
    above, below = _named(found, 1), _named(found, -1)
    open_ = [c.arm for c in found if not sign(c)]
    verdict: Verdict = "against" if below else "supported" if found and not open_ else "undecided"
    because = [_listed("reliably above GELU", above), _listed("reliably below GELU", below),
               _listed("no difference seen", [a for a in open_ if a not in _unmeasured(found)])]  # fmt: skip
    return _answer("H1", claim, verdict, [*because, *_missing(found)], found)


def _gaps(table: Table, config: StudyConfig) -> tuple[Contrast, ...]:
    return corrected([matched(table, a, GAP, "loss") for a in treatments(config)])


# --- H2 ----------------------------------------------------------------------------------------------------------------


def norm_smuggles(table: Table, config: StudyConfig, claim: str) -> Answer:
    """Does the LayerNorm behind SoLU regain loss, and lose the cleanliness of weak firings?"""
    own = _solu(table, LOSS.measure, where="")
    sized = [_solu(table, LOSS.measure, where="", d_mlp=d) for d in config.capacity]
    *losses, low = corrected([own, *sized, _solu(table, LOW.measure)])
    signs = {sign(c) for c in losses}
    lost = 1 in signs and -1 not in signs
    if lost and sign(low) > 0:
        verdict: Verdict = "supported"
    elif sign(low) < 0 or (-1 in signs and 1 not in signs):
        verdict = "against"
    else:
        verdict = "undecided"
    widths = [config.shape.d_mlp, *config.capacity]
    because = [
        f"loss of SoLU minus SoLU with LayerNorm, MLPs of {w}: {_says(c)}" for w, c in zip(widths, losses, strict=True)
    ]
    because.append(f"precision of weak firings, SoLU minus SoLU with LayerNorm: {_says(low)}")
    shown = tuple(replace(c, arm=f"{_SOLU}, MLPs of {w}") for w, c in zip(widths, losses, strict=True))
    return _answer("H2", claim, verdict, because, (*shown, low))


def _solu(table: Table, measure: str, *, where: str | None = None, d_mlp: int | None = None) -> Contrast:
    purpose = "main" if d_mlp is None else "capacity"
    sides = [table.of(a, purpose=purpose, d_mlp=d_mlp) for a in (_SOLU, _SOLU_NORM)]
    return replace(beside(table, measure, sides[0], sides[1], arm=_SOLU, where=where), baseline=_SOLU_NORM)


# --- H3 ----------------------------------------------------------------------------------------------------------------


def sparse_not_cleaner(table: Table, config: StudyConfig, claim: str) -> Answer:
    """Do sparse weights shrink circuits and leave the gap of neurons where it was?"""
    arms = [a for a in SPARSE_WEIGHTS if a in config.arms]
    circuits = corrected([matched(table, a, h, "loss") for a in arms for h in (UNITS, EDGES)])
    gaps = corrected([matched(table, a, GAP, "loss") for a in arms])
    seen = all(c.reading.measured for c in gaps)
    if any(sign(c) > 0 for c in (*circuits, *gaps)):
        verdict: Verdict = "against"
    elif arms and seen and all(sign(c) < 0 for c in circuits):
        verdict = "supported"
    else:
        verdict = "undecided"
    because = [f"{c.measure} of {c.arm} minus GELU: {_says(c)}" for c in (*circuits, *gaps)]
    return _answer("H3", claim, verdict, because or ["no arm with sparse weights is in the run"], (*circuits, *gaps))


# --- H4 ----------------------------------------------------------------------------------------------------------------

#: x and y of each layer, by seed and arm
Points = Mapping[int, Mapping[str, FloatArray]]


def interference_foretells(table: Table, config: StudyConfig, claim: str) -> Answer:
    """Does the interference of facts foretell how much an edit damages?"""
    points = interference_points(table)
    name = "correlation of interference and damage"
    arms = {a for row in points.values() for a in row}
    if len(arms) < 3 or len(points) < 2:
        why = f"{len(arms)} arms and {len(points)} seeds have both; 3 and 2 are needed"
        return _answer("H4", claim, "undecided", [why], (), (Reading.unmeasured(name, why),))
    reading = clustered_spearman(name, points)
    verdict: Verdict = "undecided"
    if reading.low is not None and reading.high is not None:
        verdict = "supported" if reading.low > 0 else "against" if reading.high < 0 else "undecided"
    layers = [
        clustered_spearman(f"{name}, layer {n}", _layer(points, n)) for n in range(config.shape.layers)
    ]  # fmt: skip
    because = [f"over {len(arms)} arms, {len(points)} seeds and their layers: Spearman {reading}"]
    because += [f"layer {n} alone: {r}" for n, r in enumerate(layers)]
    return _answer("H4", claim, verdict, because, (), (reading, *layers))


def interference_points(table: Table) -> Points:
    """Interference and damage, ``[layer, 2]``, of every trained headline model that has both at some layer.

    A layer that lacks one is ``nan`` and left out of correlations.
    """
    found: dict[int, dict[str, FloatArray]] = {}
    places = sorted({r.where for m in table.models for r in m.rows if r.measure == "interference.rms"})
    for arm in table.arms:
        if not ARMS[arm].trained:
            continue
        for seed, m in table.of(arm).items():
            pairs = [(m.value("interference.rms", w), m.value(LOCALITY.measure, w)) for w in places]
            rows = np.array([[np.nan, np.nan] if a is None or b is None else [a, 1 - b] for a, b in pairs], np.float64)
            if len(rows) and np.isfinite(rows).all(axis=1).any():
                found.setdefault(seed, {})[arm] = rows
    return found


def _layer(points: Points, layer: int) -> Points:
    return {s: {a: rows[layer : layer + 1] for a, rows in by.items()} for s, by in points.items()}


def clustered_spearman(name: str, points: Points, *, resamples: int = 1000, seed: int = 0) -> Reading:
    """Spearman's correlation over all points, with a 95 % interval over resamples that draw seeds, then arms of each."""
    value = spearman(np.concatenate([rows for by in points.values() for rows in by.values()]))
    if not np.isfinite(value):
        return Reading.unmeasured(name, "one side never changes, or there are fewer than 4 points")
    rng = np.random.default_rng(seed)
    seeds = sorted(points)
    drawn: list[float] = []
    for _ in range(resamples):
        rows: list[FloatArray] = []
        for s in rng.choice(len(seeds), len(seeds)):
            by = list(points[seeds[int(s)]].values())
            rows += [by[int(i)] for i in rng.choice(len(by), len(by))]
        drawn.append(spearman(np.concatenate(rows)))
    known = np.array(drawn)[np.isfinite(drawn)]
    n = sum(int(np.isfinite(r).all(axis=1).sum()) for by in points.values() for r in by.values())
    if 2 * len(known) < resamples:
        return Reading(name=name, value=value, n=n)
    low, high = np.quantile(known, [0.025, 0.975])
    return Reading(name=name, value=value, low=float(low), high=float(high), n=n)


def spearman(rows: FloatArray) -> float:
    """Spearman's correlation of two columns, ties sharing ranks; ``nan`` with fewer than 4 points or without spread."""
    from scipy.stats import rankdata

    known = rows[np.isfinite(rows).all(axis=1)]
    if len(known) < 4 or not (np.ptp(known, axis=0) > 0).all():
        return float("nan")
    ranks = rankdata(known, axis=0)
    return float(np.corrcoef(ranks.T)[0, 1])


# --- H5 ----------------------------------------------------------------------------------------------------------------


def gain_not_editable(table: Table, config: StudyConfig, claim: str) -> Answer:
    """Are the arms that became easier to interpret also easier to edit?"""
    gaps = _gaps(table, config)
    gained = _named(gaps, 1)
    edits = corrected([matched(table, a, h, "loss") for a in gained for h in (LOCALITY, SCORE)])
    worse = list(dict.fromkeys(c.arm for c in edits if sign(c) < 0))
    better = [a for a in gained if a not in worse and any(sign(c) > 0 for c in edits if c.arm == a)]
    if worse:
        verdict: Verdict = "supported"
    elif gained and set(better) == set(gained):
        verdict = "against"
    else:
        verdict = "undecided"
    because = [_listed("gained interpretability", gained)]
    if gained:
        because += [_listed("of these, edited worse", worse), _listed("of these, edited better", better)]
    return _answer("H5", claim, verdict, [*because, *_missing(edits)], (*gaps, *edits))


# --- words -------------------------------------------------------------------------------------------------------------


def _answer(
    name: str,
    claim: str,
    verdict: Verdict,
    because: Sequence[str],
    contrasts: Sequence[Contrast],
    readings: Sequence[Reading] = (),
) -> Answer:
    return Answer(
        id=name, claim=claim, verdict=verdict, because=tuple(b for b in because if b), contrasts=tuple(contrasts),
        readings=tuple(readings),
    )  # fmt: skip


def _named(contrasts: Sequence[Contrast], wanted: int) -> list[str]:
    return [c.arm for c in contrasts if sign(c) == wanted]


def _unmeasured(contrasts: Sequence[Contrast]) -> list[str]:
    return [c.arm for c in contrasts if not c.reading.measured]


def _listed(what: str, arms: Sequence[str]) -> str:
    return f"{what}: {', '.join(arms) if arms else 'none'}"


def _missing(contrasts: Sequence[Contrast]) -> list[str]:
    missing = [c for c in contrasts if not c.reading.measured]
    names = ", ".join(dict.fromkeys(c.arm for c in missing))
    told = [f"{c.measure} of {c.arm}: {c.reading.reason}" for c in missing]
    return [f"unmeasured: {names}", *told] if missing else []


def _says(contrast: Contrast) -> str:
    if not contrast.reading.measured:
        return f"unmeasured, {contrast.reading.reason}"
    told = {1: "reliably above 0", -1: "reliably below 0", 0: "no difference seen"}[sign(contrast)]
    return f"{contrast.reading}, {told}"
