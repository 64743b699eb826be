"""A submission at the workbench as an explanation: for people and MCP clients, who answer once and are taken at their word.

The confidence is the one stated. What this does not do: run anything, or weigh several answers (see ``explain/agent``).
"""

from __future__ import annotations

from collections.abc import Sequence

from maieutic.explain.agent.conclude import executable
from maieutic.explain.explanation import Explanation, Viewer
from maieutic.lab import Lab
from maieutic.lab.workbench import Hypothesis, Submission
from maieutic.readings import Cost


def explanation_of(
    submission: Submission, lab: Lab, viewer: Viewer, *, explainer: str, hypotheses: Sequence[Hypothesis] = ()
) -> Explanation:
    """The explanation that a submission gives.

    Args:
        submission: about the lab's unit.
        lab: where it was questioned; its ledger is the evidence and the cost.
        viewer: of the lab's subject.
        explainer: name under which it is kept.
        hypotheses: those rejected are listed as considered.

    Raises:
        UserError: nothing of the label or predicate can be executed.
    """
    considered = tuple((h.text, h.because or "rejected") for h in hypotheses if h.status == "rejected")
    evidence = tuple(e for e in submission.evidence if e.rpartition("#")[0] == lab.ledger.unit)
    cost = sum((e.cost for e in lab.ledger.entries), Cost())
    if submission.label is None:
        return Explanation.unexplained(
            lab.unit.key, submission.unexplained or "", explainer=explainer, evidence=evidence,
            considered=considered, cost=cost,
        )  # fmt: skip
    predicate = executable(submission.label, submission.predicate, lab, viewer)
    return Explanation(
        unit=lab.unit.key, label=submission.label, predicate=predicate, explainer=explainer,
        confidence=submission.confidence or 0.0, evidence=evidence, considered=considered, cost=cost,
    )  # fmt: skip
