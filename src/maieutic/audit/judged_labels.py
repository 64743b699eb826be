"""Labels put to a judge: a model of another family reads the label and says which held-out windows the unit answers to.

The detection scorer asks (``score.judged.detection``); beside each label stand two of other units on the same windows. What
this module does not do: trust the judge. A judge that fails leaves its units unmeasured.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from maieutic.audit.claimed import CONFIDENT, LEAST, WRONG, failing, smallest
from maieutic.audit.exam import Answer, Sitting
from maieutic.audit.finding import Finding
from maieutic.readings import Reading, share_reading
from maieutic.score import Controls, Shared, score

NAME = "independent"
STATISTIC = "share of confident labels by which a judge tells held-out windows no better than by labels of other units"
#: other labels that are judged on each unit
_OTHERS = 2


def judged_labels(sitting: Sitting, asked: Sequence[Answer], *, judge: Any, seed: int) -> list[Finding]:
    """One finding; unmeasured without a judge. Cost: see ``independent``."""
    name = "independent.judged"
    if judge is None:
        return [Finding(audit=NAME, statistic=STATISTIC, reading=Reading.unmeasured(name, "no judge was given"))]
    sure = [a for a in asked if a.explanation.confidence >= CONFIDENT]
    shared, told = Shared(), dict[str, Any]()
    failed: list[str] = []
    for n, answer in enumerate(sure):
        others = [sure[(n + k) % len(sure)] for k in range(1, len(sure))][:_OTHERS]
        rows = _readings(sitting, answer, others, judge=judge, seed=seed, shared=shared)
        own, lent = rows["detection"], rows.get("detection.control.shuffled")
        if own.value is None or lent is None or lent.value is None:
            reasons = (own.reason, lent.reason if lent else "no label of another unit")
            told[answer.item.id] = next(r for r in reasons if r)
            continue
        told[answer.item.id] = [own.value, lent.value]
        failed += [answer.item.id] if own.value <= lent.value else []
    measured = [i for i, row in told.items() if isinstance(row, list)]
    if len(measured) < LEAST:
        why = f"the judge could be asked about {len(measured)} labels: at least {LEAST} are needed"
        return [
            Finding(audit=NAME, statistic=STATISTIC, reading=Reading.unmeasured(name, why), details={"by_unit": told})
        ]
    return [
        Finding(
            audit=NAME, statistic=STATISTIC, reading=share_reading(name, [i in failed for i in measured]),
            # a label that tells nothing does better than the mean of two others every second time
            p=failing(len(measured), len(failed), luck=0.5), power=smallest(name, len(measured), allowed=WRONG / 2),
            units=tuple(failed), details={"by_unit": told, "judge": str(getattr(judge, "name", judge)), "allowed": WRONG},
        )
    ]  # fmt: skip


def _readings(
    sitting: Sitting, answer: Answer, others: Sequence[Answer], *, judge: Any, seed: int, shared: Shared
) -> dict[str, Reading]:
    item, found = answer.item, answer.explanation
    lent = tuple(o.explanation.bound(sitting.exam.viewer) for o in others)
    return score(
        found.bound(sitting.exam.viewer), item.subject, item.unit, item.atlas.corpus, ["detection"], atlas=item.atlas,
        controls=Controls(shuffled=lent), seed=seed, shared=shared, options={"judge": judge},
    )  # fmt: skip
