"""Labelled units as the features of a monitor: a reviewer sees which concepts fired, and how much each weighed.

Units come from a run whose explainer labelled them, or, without a run, from a site of the subject; then a unit is named by
the tokens on which it was strongest in the cases, and says so. Few units are used, picked inside the folds. A label is a
claim with a score of its own in its run; this monitor uses the unit, whatever it is called.

What this module does not do: explain units, or say that a unit caused the act.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from maieutic.control.monitors.along import Along, At, check_at, feature
from maieutic.control.monitors.base import SUSPICION, MonitorKind, failed
from maieutic.control.monitors.linear import FOLDS, Linear, choose
from maieutic.control.monitors.probe import check_subject
from maieutic.control.monitors.saving import read_about, read_arrays, write_monitor
from maieutic.control.seen import Activations, Case, Seen
from maieutic.errors import UsageError, UserError
from maieutic.progress import Report, silent
from maieutic.readings import FloatArray, Reading

if TYPE_CHECKING:
    from maieutic.subjects.base import Unit
    from maieutic.subjects.language import LanguageSubject

#: numbers of units that folds choose from
KEEP = (4, 8, 16, 32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Concept:
    """A unit with what it is called.

    Attributes:
        unit: an index at a site, with its sign.
        label: of a run; or tokens.
        source: ``run`` (an explainer's label) or ``tokens`` (strongest tokens: a hint, tested by nobody).
    """

    unit: Unit
    label: str
    source: Literal["run", "tokens"]


@dataclass(frozen=True, kw_only=True)
class UnitsMonitor:
    """Concepts to suspicion.

    Attributes:
        name: for people.
        along: reads the subject; ``None``: activations only.
        concepts: in the order of the weights.
        at: where units are read.
        model: the classifier.
        about: how it was fitted.
    """

    name: str
    along: Along | None = field(repr=False)
    concepts: tuple[Concept, ...]
    at: At
    model: Linear = field(repr=False)
    about: dict[str, Any] = field(default_factory=dict[str, Any], repr=False)

    def __call__(self, seen: Sequence[Seen], /) -> list[Reading]:
        """See `Monitor`. Cost: one pass a transcript, none for activations."""
        return [self._one(one) for one in seen]

    def _one(self, seen: Seen) -> Reading:
        sites = list(dict.fromkeys(c.unit.site for c in self.concepts))
        try:
            read, cost = (self.along or Along.given()).read(seen, sites)
            x = features(read, [c.unit for c in self.concepts], self.at)
        except UserError as error:
            return failed(str(error))
        parts = self.model.parts(x[None])[0]
        order = np.argsort(-np.abs(parts), kind="stable")[:8].tolist()
        fired = [
            {
                "unit": self.concepts[i].unit.key, "label": self.concepts[i].label, "source": self.concepts[i].source,
                "value": round(float(x[i]), 4), "adds": round(float(parts[i]), 4), "token": strongest(read, self.concepts[i].unit),
            }
            for i in order
        ]  # fmt: skip
        value = float(self.model.probabilities(x[None])[0])
        return Reading(name=SUSPICION, value=value, n=1, cost=cost, details={"concepts": fired, "at": self.at})

    def save(self, folder: Path) -> None:
        """See `Saved`."""
        concepts = [{"unit": c.unit.key, "label": c.label, "source": c.source} for c in self.concepts]
        write_monitor(
            folder, "units", {"name": self.name, "at": self.at, "concepts": concepts, **self.about}, self.model.arrays()
        )

    @classmethod
    def load(cls, folder: Path, *, subject: LanguageSubject) -> UnitsMonitor:
        """Read one.

        Raises:
            UserError: no such monitor, or one of another subject.
        """
        about = read_about(folder)
        check_subject(about, subject)
        concepts = [
            Concept(unit=subject.parse_unit(c["unit"]), label=c["label"], source=c["source"]) for c in about["concepts"]
        ]
        known = ("maieutic_monitor", "kind", "name", "at", "concepts")
        return cls(
            name=about["name"], along=Along(subject, plain=bool(about.get("plain"))), concepts=tuple(concepts),
            at=check_at(about["at"]), model=Linear.of_arrays(read_arrays(folder)),
            about={k: v for k, v in about.items() if k not in known},
        )  # fmt: skip


def features(read: Activations, units: Sequence[Unit], at: At) -> FloatArray:
    """Readings of units at a place, ``[unit]``; for ``greatest`` of each unit's own sign."""
    per: dict[tuple[str, int], FloatArray] = {}
    row: list[float] = []
    for unit in units:
        assert unit.index is not None, "concepts are neurons or channels"
        key = (unit.site, unit.sign)
        if key not in per:
            signed = {unit.site: unit.sign * read.values[unit.site]}
            per[key] = feature(replace(read, values=signed), unit.site, at)
        row.append(float(per[key][unit.index]))
    return np.array(row, np.float64)


def strongest(read: Activations, unit: Unit) -> str | None:
    """The token on which a unit was strongest, where tokens are known."""
    if not read.tokens:
        return None
    return read.tokens[int(np.argmax(unit.sign * read.values[unit.site][:, unit.index or 0]))]


def concepts_of_run(run: Path, subject: LanguageSubject, *, explainer: str = "search") -> list[Concept]:
    """Labelled units of a run.

    Args:
        run: a run folder of this subject.
        subject: the network that acts.
        explainer: whose labels.

    Raises:
        UserError: the run is of another subject, or has no labelled unit.
    """
    from maieutic.forensics.internals import units_of_run

    found = units_of_run(run, subject, explainer=explainer)
    return [Concept(unit=u.unit, label=u.label, source="run") for u in found if u.unit.vector is None]


def fit_units(
    cases: Sequence[Case],
    *,
    subject: LanguageSubject,
    run: Path | str | None = None,
    explainer: str = "search",
    concepts: Sequence[Concept] | None = None,
    sites: Sequence[str] | None = None,
    at: str = "greatest",
    plain: bool = False,
    name: str = "units",
    keep: Sequence[int] = KEEP,
    folds: int = FOLDS,
    seed: int = 0,
    along: Along | None = None,
    report: Report = silent,
) -> UnitsMonitor:
    """Fit on readings of units.

    Args:
        cases: transcripts with the truth.
        subject: the network that acted.
        run: a run whose labels name the units; ``concepts`` gives them directly.
        explainer: whose labels of the run.
        concepts: units with labels.
        sites: without either: units of these sites, named by tokens; all ``mlp`` sites when not given.
        at: see `At`; ``greatest``: the greatest reading of each unit before the act.
        plain: leave the chat template aside.
        name: for people.
        keep: how many units may be used; folds choose.
        folds: parts of the scenarios.
        seed: of the parts.
        along: a reader to share.
        report: called with progress.

    Cost: one pass a case.

    Raises:
        UserError: too few cases, or one that cannot be read.
    """
    place, reader = check_at(at), along or Along(subject, plain=plain)
    given = list(concepts) if concepts else concepts_of_run(Path(run), subject, explainer=explainer) if run else []
    units = [c.unit for c in given] or units_of(subject, sites)
    needed = list(dict.fromkeys(u.site for u in units))
    rows: list[FloatArray] = []
    seen: dict[str, FloatArray] = {}
    with report("read", subject.name) as step:
        for done, case in enumerate(cases):
            step(done, len(cases))
            read, _ = reader.read(case.seen, needed)
            rows.append(features(read, units, place))
            if not given:
                _note(seen, read, needed)
        step(len(cases), len(cases))
    attack = np.array([c.attack for c in cases], np.bool_)
    found = choose(
        {"units": np.stack(rows)}, attack, [c.scenario for c in cases], folds=folds, keep=tuple(keep), seed=seed
    )
    used = np.flatnonzero(found.model.weights)
    model = replace(
        found.model, mean=found.model.mean[used], scale=found.model.scale[used], weights=found.model.weights[used]
    )
    named = [given[i] if given else _by_tokens(units[i], seen) for i in used.tolist()]
    about = {
        "subject": subject.name, "fingerprint": subject.fingerprint, "plain": plain, "penalty": found.penalty,
        "cases": len(cases), "attacks": int(attack.sum()), "of_units": len(units),
        "folds_auroc": round(found.auroc["units"], 4),
    }  # fmt: skip
    return UnitsMonitor(name=name, along=reader, concepts=tuple(named), at=place, model=model, about=about)


def units_of(subject: LanguageSubject, sites: Sequence[str] | None) -> list[Unit]:
    """Every unit of some sites, both tails where readings may be negative is left to the weights.

    Raises:
        UsageError: no such site, or one of unknown width.
    """
    chosen = [subject.site(s) for s in sites] if sites else [s for s in subject.sites() if s.name.endswith(".mlp")]
    unknown = [s.name for s in chosen if s.width is None]
    if unknown or not chosen:
        raise UsageError(f"{subject.name} has no site of known width ({', '.join(unknown) or 'no mlp'}): give  sites")
    return [subject.unit(s.name, i) for s in chosen for i in range(s.width or 0)]


def _note(seen: dict[str, FloatArray], read: Activations, sites: Sequence[str]) -> None:
    """Remember each unit's greatest reading on each token, ``token -> [unit]`` by site."""
    for site in sites:
        for token, values in zip(read.tokens, read.values[site], strict=False):
            key = f"{site}\0{token}"
            known = seen.get(key)
            seen[key] = np.asarray(values, np.float64) if known is None else np.maximum(known, values)


def _by_tokens(unit: Unit, seen: Mapping[str, FloatArray]) -> Concept:
    """Named by the three tokens on which it was strongest."""
    at = unit.index or 0
    values = [(float(v[at]), key.partition("\0")[2]) for key, v in seen.items() if key.startswith(f"{unit.site}\0")]
    top = sorted(values, key=lambda pair: (-pair[0], pair[1]))[:3]
    return Concept(unit=unit, label=" / ".join(token for _, token in top) or "unnamed", source="tokens")


#: what the registry knows
KIND = MonitorKind(fit=fit_units, load=UnitsMonitor.load, takes=("subject",))
