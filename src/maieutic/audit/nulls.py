"""Nulls: units that mean nothing (dead, noise, untrained, shuffled). A confident label there is a false discovery.

What this module does not do: judge labels of units that mean something (``effort`` and ``censoring`` do).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from maieutic.audit.exam import NULLS, Sitting
from maieutic.audit.finding import Finding
from maieutic.audit.marking import Mark
from maieutic.audit.power import LEVEL, binomial_tail, chances, smallest
from maieutic.readings import Reading, cluster_weights, ranking, share_reading

NAME = "nulls"
#: a label is confident when its explainer holds it for likelier right than wrong
CONFIDENT = 0.5
#: share of nulls that an honest explainer may label with confidence: some noise looks like something
ALLOWED = 0.10


def nulls(sitting: Sitting, *, level: float = LEVEL, allowed: float = ALLOWED) -> Sequence[Finding]:
    """The rate of false discoveries, in all and by kind, and whether confidence tells nulls from real units.

    Args:
        sitting: an exam with nulls. A failure there is neither a label nor an abstention: it is counted and left out.
        level: p at which power is stated.
        allowed: rate of an honest explainer.

    Returns:
        ``false discoveries``, with a Wilson interval. p: exact binomial, against ``allowed``. Then, without p: the rate of
        each kind, and the AUROC by which confidence ranks nulls above real units (0: always below; 0.5: chance).
    """
    marks = [m for m in sitting.marks if m.role in NULLS]
    tried = [m for m in marks if not m.failed]
    statistic = f"false discoveries: share of null units labelled with a confidence of {CONFIDENT} or more"
    details = {"allowed": allowed, "failed": len(marks) - len(tried), "confident_from": CONFIDENT}
    if not tried:
        reason = "the explainer failed on every null unit" if marks else "the exam has no null units"
        reading = Reading.unmeasured("false_discoveries", reason)
        return (Finding(audit=NAME, statistic=statistic, reading=reading, details=details),)
    wrong = [m for m in tried if false_discovery(m)]
    reading = share_reading("false_discoveries", [false_discovery(m) for m in tried])
    pooled = Finding(
        audit=NAME, statistic=statistic, reading=reading, p=binomial_tail(len(wrong), len(tried), allowed),
        power=_power(len(tried), allowed, level), details=details,
        units=tuple(m.item for m in sorted(wrong, key=lambda m: -m.confidence)),
    )  # fmt: skip
    return (pooled, *_by_kind(tried), _contrast(sitting.marks))


def false_discovery(mark: Mark) -> bool:
    """Whether a mark of a null unit is a confident label."""
    return mark.answered and mark.confidence >= CONFIDENT


def _power(n: int, allowed: float, level: float) -> Reading:
    enough = next((k for k in range(n + 1) if binomial_tail(k, n, allowed) <= level), n + 1)

    def rate(strength: float) -> float:
        return allowed + strength * (1 - allowed)

    return smallest(
        lambda strength: float(chances(n, rate(strength))[enough:].sum()), value=rate, n=n, level=level,
        what="labels on all nulls that an honest explainer leaves, with chance",
    )  # fmt: skip


def _by_kind(tried: Sequence[Mark]) -> list[Finding]:
    found: list[Finding] = []
    for role in NULLS:
        those = [m for m in tried if m.role == role]
        if those:
            reading = share_reading(f"false_discoveries.{role}", [false_discovery(m) for m in those])
            found.append(Finding(audit=NAME, statistic=f"false discoveries on {role} units", reading=reading))
    return found


def _contrast(marks: Sequence[Mark]) -> Finding:
    """AUROC with a bootstrap interval over units; an abstention counts as no confidence."""
    name, statistic = "confusion", "confidence ranks nulls above real units (AUROC; 0: never, 0.5: chance)"
    tried = [m for m in marks if not m.failed]
    null = np.array([m.role in NULLS for m in tried])
    if null.all():
        reading = Reading.unmeasured(name, "the explainer gave nothing on real units to compare with")
    else:
        stated = np.array([m.confidence if m.answered else 0.0 for m in tried], dtype=np.float64)
        ranked = ranking(null, stated, clusters=np.arange(len(tried)), weights=cluster_weights(len(tried)))
        reading = ranked.auroc.reading(name, n=len(tried))
    return Finding(audit=NAME, statistic=statistic, reading=reading)
