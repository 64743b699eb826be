"""From what the runs answered to one explanation: executable labels, equivalent answers, agreement as confidence.

Two answers are equivalent when their predicates foretell nearly the same on the discover split (Pearson correlation of
0.8 or more over all positions), whatever their words. The confidence of the largest group of ``m`` of ``k`` runs is
``(m + 1) / (k + 2)``, the mean of the posterior of its frequency under an even prior: one run alone is worth 0.67, and no
number of runs makes certain. A run that failed counts among the ``k`` and agrees with nobody.
What this does not do: judge the label. Scores on the test split do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from maieutic.errors import UserError, did_you_mean
from maieutic.explain.agent.predicate_kinds import predicate_kinds
from maieutic.explain.explanation import Viewer
from maieutic.explain.predicates import Constant, Predicate, from_json
from maieutic.explain.predicates.vocabulary import vocabulary
from maieutic.explain.reading import read_for, whole
from maieutic.lab import Lab
from maieutic.lab.workbench import Submission

#: correlation of predictions above which two labels say the same
SAME = 0.8
#: discover stimuli that answers are compared on, at most
_COMPARED = 400
#: strings in a predicate at most
_WORDS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclusion:
    """What one run came to.

    Attributes:
        run: number of the run, from 1.
        label: its label; empty when it gave none.
        predicate: the executable form; ``None`` when it gave none.
        reason: why it left the unit unexplained; ``None`` with a label.
        failed: why the run gave no answer at all; ``None`` otherwise.
        stated: the confidence that the model stated (kept, not used).
        evidence: ledger ids.
        rejected: hypotheses that the run rejected, with why.
    """

    run: int
    label: str = ""
    predicate: Predicate | None = None
    reason: str | None = None
    failed: str | None = None
    stated: float | None = None
    evidence: tuple[str, ...] = ()
    rejected: tuple[tuple[str, str], ...] = ()


def executable(label: str, predicate: Mapping[str, Any] | None, lab: Lab, viewer: Viewer) -> Predicate:
    """The predicate that a submission is scored with: the one given, or else the label as it can be read.

    Raises:
        UserError: the predicate is none, or nothing of the label can be executed.
    """
    if predicate is not None:
        found = whole(from_json(_allowed(predicate, lab)), viewer)
    elif (read := read_for(label, lab, viewer).predicate) is not None:
        found = read
    else:
        raise UserError(
            f"nothing of the label {label!r} can be executed: name words, classes or concepts in it, or give a predicate"
        )
    _tried(found, lab, viewer)
    return found


def _allowed(predicate: Mapping[str, Any], lab: Lab) -> Mapping[str, Any]:
    """The predicate, when it is a small one of the kinds offered: a long list of words is no explanation."""
    words, kinds = list[str](), predicate_kinds(lab.subject.modality)

    def walk(value: Any) -> None:
        if isinstance(value, Mapping):
            fields = cast(Mapping[str, Any], value)
            op = str(fields.get("op"))
            if op not in kinds:
                raise UserError(f"no predicate {op!r}{did_you_mean(op, kinds)}: use one of {', '.join(kinds)}")
            for name, inner in fields.items():
                known = vocabulary().get((op, name), ())
                if known and inner not in known and not (op == "pattern" and "variables" in str(inner)):
                    near = did_you_mean(str(inner), known)
                    raise UserError(f"{op} has no {name} {inner!r}{near}: use one of {', '.join(known)}")
                walk(inner if name != "op" else None)
        elif isinstance(value, (list, tuple)):
            for inner in cast(Sequence[Any], value):
                walk(inner)
        elif isinstance(value, str):
            words.append(value)

    walk(predicate)
    if len(words) > _WORDS or sum(map(len, words)) > 20 * _WORDS:
        raise UserError(f"the predicate lists {len(words)} words: name what they share in at most {_WORDS}")
    return predicate


def _tried(predicate: Predicate, lab: Lab, viewer: Viewer) -> None:
    """Run a predicate once, so that a wrong field shows now and not in a scorer."""
    example = lab.discover[0]
    try:
        found = predicate.evaluate(viewer(example.stimulus))
    except Exception as error:  # whatever a field of the wrong type or a concept unknown leads to
        raise UserError(f"the predicate cannot be run ({type(error).__name__}: {error}): mend its fields") from error
    if len(found) != len(example.values) or not np.isfinite(found).all() or found.min() < 0 or found.max() > 1:
        raise UserError("the predicate gives something else than a value from 0 to 1 at each position: mend its fields")


def read_back(lab: Lab, viewer: Viewer) -> Callable[[str, Any], str]:
    """The ``reads`` of a workbench: how a submission will be scored, in words."""

    def reads(label: str, predicate: Any) -> str:
        found = executable(label, predicate, lab, viewer)
        return f"It will be scored as: {found.describe()}."

    return reads


def concluded(
    submission: Submission | None, *, run: int, lab: Lab, viewer: Viewer, ended: str | None, ids: Mapping[str, str]
) -> Conclusion:
    """A run's submission as a conclusion; ``ids`` renumbers its evidence."""
    if submission is None:
        return Conclusion(run=run, failed=ended or "the run ended without an answer")
    evidence = tuple(ids[e] for e in submission.evidence if e in ids)
    if submission.label is None:
        return Conclusion(run=run, reason=submission.unexplained, evidence=evidence)
    try:
        predicate = executable(submission.label, submission.predicate, lab, viewer)
    except UserError as error:
        return Conclusion(run=run, failed=str(error))
    return Conclusion(
        run=run, label=submission.label, predicate=predicate, stated=submission.confidence, evidence=evidence
    )


def agreed(conclusions: Sequence[Conclusion], lab: Lab, viewer: Viewer) -> tuple[list[Conclusion], float]:
    """The largest group of equivalent answers, best first, and the confidence in it; empty when no run answered.

    Of groups of one size the one whose best member fits the select split best; of a group the member that does.
    """
    answered = [c for c in conclusions if c.failed is None]
    if not answered:
        return [], 0.0
    foretold = {c.run: _foretold(c, lab, viewer) for c in answered}
    groups: list[list[Conclusion]] = []
    for c in answered:
        group = next((g for g in groups if _same(g[0], c, foretold)), None)
        groups.append([c]) if group is None else group.append(c)
    fits = {c.run: _fit(c, lab, viewer) for c in answered}
    ranked = [sorted(g, key=lambda c: (-fits[c.run], c.run)) for g in groups]
    best = max(ranked, key=lambda g: (len(g), fits[g[0].run], -g[0].run))
    return best, (len(best) + 1) / (len(conclusions) + 2)


def _same(a: Conclusion, b: Conclusion, foretold: Mapping[int, NDArray[np.float64]]) -> bool:
    if a.predicate is None or b.predicate is None:
        return a.predicate is None and b.predicate is None
    x, y = foretold[a.run], foretold[b.run]
    if a.predicate == b.predicate:
        return True
    return bool(np.ptp(x) > 0 and np.ptp(y) > 0 and np.corrcoef(x, y)[0, 1] >= SAME)


def _foretold(c: Conclusion, lab: Lab, viewer: Viewer) -> NDArray[np.float64]:
    predicate = c.predicate or Constant(value=0.0)
    return np.concatenate([predicate.evaluate(viewer(o.stimulus)) for o in lab.discover[:_COMPARED]])


def _fit(c: Conclusion, lab: Lab, viewer: Viewer) -> float:
    """Correlation with the select split; 0 for an abstention."""
    if c.predicate is None:
        return 0.0
    chosen = lab.select[:_COMPARED]
    said = np.concatenate([c.predicate.evaluate(viewer(o.stimulus)) for o in chosen])
    was = np.concatenate([o.values for o in chosen])
    return float(np.corrcoef(said, was)[0, 1]) if np.ptp(said) > 0 and np.ptp(was) > 0 else 0.0
