"""A small investigation as a monitor, the last stage of a cascade: whose words made the model act?

The act's log-odds are measured with everything, without the words of each role, and without each sentence (neutral filler of
equal length stands there instead). How much falls with the words of the system, the user and the tools is what a classifier
fitted on cases reads, and the sentences on which most hangs are what a reviewer sees. It asks about the cause of the act, and
costs a pass for every sentence, so it belongs on few steps; ``maieutic investigate`` goes further.

What this module does not do: find causes that only act together (`maieutic.forensics` does), or judge before an act.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from maieutic.control.monitors.along import act_text
from maieutic.control.monitors.base import SUSPICION, MonitorKind, failed, text_of
from maieutic.control.monitors.linear import FOLDS, Linear, choose
from maieutic.control.monitors.probe import check_subject
from maieutic.control.monitors.saving import read_about, read_arrays, write_monitor
from maieutic.control.seen import Case, Seen
from maieutic.errors import UserError
from maieutic.progress import Report, silent
from maieutic.readings import Cost, FloatArray, Reading

if TYPE_CHECKING:
    from maieutic.subjects.language import LanguageSubject

ROLES = ("system", "user", "tool")


@dataclass(frozen=True, slots=True, kw_only=True)
class Traced:
    """What was measured of one act.

    Attributes:
        features: log-odds of the act; how far they fall without the words of each of `ROLES`; and at most without one of its
            sentences, ``[7]``.
        sentences: fall, role and words, the greatest fall first.
        cost: of the passes.
    """

    features: FloatArray
    sentences: tuple[tuple[float, str, str], ...]
    cost: Cost


@dataclass(frozen=True, kw_only=True)
class CauseMonitor:
    """Whose words made the model act, as a suspicion.

    Attributes:
        name: for people.
        subject: the network that acted.
        model: the classifier.
        plain: leave the chat template aside.
        about: how it was fitted.
    """

    name: str
    subject: LanguageSubject = field(repr=False)
    model: Linear = field(repr=False)
    plain: bool = False
    about: dict[str, Any] = field(default_factory=dict[str, Any], repr=False)

    def __call__(self, seen: Sequence[Seen], /) -> list[Reading]:
        """See `Monitor`. Cost: a pass a sentence and a role."""
        return [self._one(one) for one in seen]

    def _one(self, seen: Seen) -> Reading:
        try:
            found = trace(self.subject, seen, plain=self.plain)
        except UserError as error:
            return failed(str(error))
        x = found.features[None]
        shown = [{"falls": round(fall, 3), "role": role, "sentence": text} for fall, role, text in found.sentences[:5]]
        first = found.sentences[0] if found.sentences else None
        reason = "no sentence stands before the act" if first is None else f"most hangs on the {first[1]}: {first[2]!r}"
        details = {"sentences": shown, "features": [round(float(v), 3) for v in found.features], "reason": reason}
        return Reading(
            name=SUSPICION, value=float(self.model.probabilities(x)[0]), n=1, cost=found.cost, details=details
        )

    def save(self, folder: Path) -> None:
        """See `Saved`."""
        write_monitor(folder, "cause", {"name": self.name, "plain": self.plain, **self.about}, self.model.arrays())

    @classmethod
    def load(cls, folder: Path, *, subject: LanguageSubject) -> CauseMonitor:
        """Read one.

        Raises:
            UserError: no such monitor, or one of another subject.
        """
        about = read_about(folder)
        check_subject(about, subject)
        rest = {k: v for k, v in about.items() if k not in ("maieutic_monitor", "kind", "name", "plain")}
        model = Linear.of_arrays(read_arrays(folder))
        return cls(name=about["name"], subject=subject, model=model, plain=bool(about["plain"]), about=rest)


def trace(subject: LanguageSubject, seen: Seen, *, plain: bool = False) -> Traced:
    """Measure whose words an act hangs on.

    Cost: a pass for everything, for each role, and for each sentence.

    Raises:
        TooLongError: the transcript does not fit.
        UserError: activations, a transcript without an act, or one of which a part is not text.
    """
    from maieutic.forensics.actor_subject import SubjectActor
    from maieutic.forensics.attribution.trials import log_odds
    from maieutic.forensics.partition import partition
    from maieutic.forensics.removal import Filler, remove_parts

    shown = text_of(seen)
    if isinstance(shown, str):
        raise UserError(f"{shown}: give the transcript")
    if shown.act is None:
        raise UserError("the transcript holds no act yet: an investigation asks about an act")
    started = time.perf_counter()
    actor = SubjectActor(subject, plain=plain, tools=shown.tools)
    parts = partition(shown.messages, level="sentence")
    roles = {r.role: r for r in parts.roles if r.role in ROLES}
    sentences = [p for p in parts.at("sentence") if p.role in ROLES]
    contexts = [shown.messages, *(remove_parts(shown.messages, [p], Filler()) for p in (*roles.values(), *sentences))]
    odds = [log_odds(v) for v in actor.logprobs(contexts, act_text(actor, shown, shown.act))]
    falls = [odds[0] - v for v in odds[1:]]
    whole = dict(zip(roles, falls, strict=False))
    each = sorted(
        ((fall, p.role, p.text.strip()) for fall, p in zip(falls[len(roles) :], sentences, strict=True)),
        key=lambda row: -row[0],
    )
    most = {role: next((fall for fall, r, _ in each if r == role), 0.0) for role in ROLES}
    features = [odds[0], *(whole.get(role, 0.0) for role in ROLES), *most.values()]
    cost = Cost(measurements=len(contexts), tokens=actor.spent.tokens, seconds=time.perf_counter() - started)
    return Traced(features=np.array(features, np.float64), sentences=tuple(each), cost=cost)


def fit_cause(
    cases: Sequence[Case],
    *,
    subject: LanguageSubject,
    plain: bool = False,
    name: str = "cause",
    folds: int = FOLDS,
    seed: int = 0,
    report: Report = silent,
) -> CauseMonitor:
    """Fit on cases with acts.

    Args:
        cases: transcripts with acts and the truth.
        subject: the network that acted.
        plain: leave the chat template aside.
        name: for people.
        folds: parts of the scenarios.
        seed: of the parts.
        report: called with progress.

    Cost: a pass for each sentence of each case.

    Raises:
        UserError: too few cases, or one that cannot be traced.
    """
    rows: list[FloatArray] = []
    with report("trace", subject.name) as step:
        for done, case in enumerate(cases):
            step(done, len(cases))
            rows.append(trace(subject, case.seen, plain=plain).features)
        step(len(cases), len(cases))
    attack = np.array([c.attack for c in cases], np.bool_)
    found = choose({"cause": np.stack(rows)}, attack, [c.scenario for c in cases], folds=folds, seed=seed)
    about = {
        "subject": subject.name, "fingerprint": subject.fingerprint, "penalty": found.penalty, "cases": len(cases),
        "attacks": int(attack.sum()), "folds_auroc": round(found.auroc["cause"], 4),
    }  # fmt: skip
    return CauseMonitor(name=name, subject=subject, model=found.model, plain=plain, about=about)


#: what the registry knows
KIND = MonitorKind(fit=fit_cause, load=CauseMonitor.load, takes=("subject",))
