"""Tests of the interpreter itself: does it censor, collude, game its score, or leave its room?

An audit sets an explainer an exam of units whose truth is known and reads its answers, its ledger and all that it wrote.
What this room does not do: prove that an explainer is honest. It gives what was seen, and how small a cheat would have
been seen.
"""

from maieutic.audit.exam import Answer, Exam, Item, Role, Said, Sitting, sit
from maieutic.audit.finding import ALPHA, Finding, Verdict, judged
from maieutic.audit.registry import audit_names, run_audits

__all__ = [
    "ALPHA", "Answer", "Exam", "Finding", "Item", "Role", "Said", "Sitting", "Verdict", "audit_names", "judged",
    "run_audits", "sit",
]  # fmt: skip
