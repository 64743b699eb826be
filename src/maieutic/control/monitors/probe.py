"""Linear probes: what a network held just before or in the act, read along one direction and calibrated.

The layer is chosen by folds over scenarios. A probe finds what separated the cases it was fitted on, which may be their
topic rather than their danger, and it can be evaded by whoever trains against it: measure it on shifted cases.

What this module does not do: change the network, or explain the direction (`units.py` does, by named units).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from maieutic.control.monitors.along import Along, At, check_at, feature
from maieutic.control.monitors.base import SUSPICION, MonitorKind, failed
from maieutic.control.monitors.linear import FOLDS, Linear, Method, choose
from maieutic.control.monitors.saving import read_about, read_arrays, write_monitor
from maieutic.control.seen import Case, Seen
from maieutic.errors import UsageError, UserError
from maieutic.progress import Report, silent
from maieutic.readings import Reading

if TYPE_CHECKING:
    from maieutic.subjects.language import LanguageSubject


@dataclass(frozen=True, kw_only=True)
class ProbeMonitor:
    """A probe at one site of one subject.

    Attributes:
        name: for people.
        along: reads the subject; ``None``: it can judge activations only.
        site, at: where it reads.
        model: the classifier.
        about: subject, fingerprint, how the site was chosen.
    """

    name: str
    along: Along | None = field(repr=False)
    site: str
    at: At
    model: Linear = field(repr=False)
    about: dict[str, Any] = field(default_factory=dict[str, Any], repr=False)

    def __call__(self, seen: Sequence[Seen], /) -> list[Reading]:
        """See `Monitor`. Cost: one pass a transcript, none for activations."""
        return [self._one(one) for one in seen]

    def _one(self, seen: Seen) -> Reading:
        try:
            read, cost = (self.along or Along.given()).read(seen, [self.site])
            x = feature(read, self.site, self.at)
        except UserError as error:
            return failed(str(error))
        if len(x) != len(self.model.weights):
            return failed(f"{self.site} has {len(x)} units, the probe was fitted on {len(self.model.weights)}")
        score, chance = float(self.model.scores(x[None])[0]), float(self.model.probabilities(x[None])[0])
        details: dict[str, Any] = {"site": self.site, "at": self.at, "score": round(score, 4)}
        if read.tokens:
            along = self.model.scores(np.asarray(read.values[self.site], np.float64))
            top = np.argsort(-along, kind="stable")[:5]
            details["tokens"] = [[read.tokens[i], round(float(along[i]), 3)] for i in top.tolist()]
        return Reading(name=SUSPICION, value=chance, n=1, cost=cost, details=details)

    def save(self, folder: Path) -> None:
        """See `Saved`."""
        about = {"name": self.name, "site": self.site, "at": self.at, **self.about}
        write_monitor(folder, "probe", about, self.model.arrays())

    @classmethod
    def load(cls, folder: Path, *, subject: LanguageSubject | None = None) -> ProbeMonitor:
        """Read a probe; without a subject it judges activations only.

        Raises:
            UserError: no probe, or one of another subject.
        """
        about = read_about(folder)
        check_subject(about, subject)
        return cls(
            name=about["name"], site=about["site"], at=check_at(about["at"]),
            along=None if subject is None else Along(subject, plain=bool(about.get("plain")), lead=str(about.get("lead") or "")),
            model=Linear.of_arrays(read_arrays(folder)),
            about={k: v for k, v in about.items() if k not in ("maieutic_monitor", "kind", "name", "site", "at")},
        )  # fmt: skip


def check_subject(about: dict[str, Any], subject: LanguageSubject | None) -> None:
    """Whether a subject is the one that a monitor was fitted on.

    Raises:
        UserError: it is another one.
    """
    if subject is not None and about.get("fingerprint") not in (None, subject.fingerprint):
        raise UserError(
            f"the monitor {about.get('name')} was fitted on {about.get('subject')}, and {subject.name} has other weights: "
            "fit one for it"
        )


def fit_probe(
    cases: Sequence[Case],
    *,
    subject: LanguageSubject,
    method: Method = "logistic",
    sites: Sequence[str] | None = None,
    at: str = "before",
    plain: bool = False,
    lead: str = "",
    name: str = "probe",
    folds: int = FOLDS,
    seed: int = 0,
    along: Along | None = None,
    report: Report = silent,
) -> ProbeMonitor:
    """Fit a probe on cases.

    Args:
        cases: transcripts (or activations that hold the sites) with the truth.
        subject: the network that acted.
        method: ``logistic`` or ``means``.
        sites: among which the folds choose; the residual stream after each block when not given.
        at: see `At`.
        plain: leave the chat template aside.
        lead: words put into the subject's mouth before it acts, see `Along`; with ``at=before``.
        name: for people.
        folds: parts of the scenarios.
        seed: of the parts.
        along: a reader to share; one of its own otherwise.
        report: called with progress.

    Cost: one pass a case.

    Raises:
        UsageError: unknown site or place, no language model.
        UserError: too few cases; a case that cannot be read.
    """
    place = check_at(at)
    if method not in ("logistic", "means"):
        raise UsageError(f"method is logistic or means, not {method!r}: choose one of those")
    chosen = [subject.site(s).name for s in sites or resid_sites(subject)]
    reader = along or Along(subject, plain=plain, lead=lead)
    rows: dict[str, list[Any]] = {s: [] for s in chosen}
    with report("read", subject.name) as step:
        for done, case in enumerate(cases):
            step(done, len(cases))
            read, _ = reader.read(case.seen, chosen)
            for site in chosen:
                rows[site].append(feature(read, site, place))
        step(len(cases), len(cases))
    attack = np.array([c.attack for c in cases], np.bool_)
    found = choose(
        {s: np.stack(r) for s, r in rows.items()}, attack, [c.scenario for c in cases],
        method=method, folds=folds, seed=seed,
    )  # fmt: skip
    about = {
        "subject": subject.name, "fingerprint": subject.fingerprint, "plain": plain, "lead": lead, "method": method,
        "penalty": found.penalty, "cases": len(cases), "attacks": int(attack.sum()),
        "folds_auroc": {s: round(v, 4) for s, v in found.auroc.items()},
    }  # fmt: skip
    return ProbeMonitor(name=name, along=reader, site=found.option, at=place, model=found.model, about=about)


def resid_sites(subject: LanguageSubject) -> list[str]:
    """The residual stream after each block, in order."""
    return [s.name for s in subject.sites() if s.name.endswith(".resid")]


#: what the registry knows
KIND = MonitorKind(fit=fit_probe, load=ProbeMonitor.load, takes=("subject",))
