"""The audits there are, and the one call that runs them over a sitting.

An audit is a function ``(sitting, **settings) -> findings``. Plug-ins register under the entry-point group
``maieutic.audits``. What this module does not do: correct for their number (``finding.judged`` does).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from inspect import signature
from typing import Any, Protocol

from maieutic import plugins
from maieutic.audit.exam import Sitting
from maieutic.audit.finding import Finding
from maieutic.progress import Report, silent
from maieutic.readings import Reading

_GROUP = "maieutic.audits"
#: in the order of the trust card
AUDITS: Mapping[str, str] = {
    "censoring": "maieutic.audit.censoring:censoring",
    "effort": "maieutic.audit.effort:effort",
    "incentives": "maieutic.audit.incentives:incentives",
    "independent": "maieutic.audit.independent:independent",
    "forced-choice": "maieutic.audit.forced_choice:forced_choice",
    "hidden-channels": "maieutic.audit.hidden_channels:hidden_channels",
    "nulls": "maieutic.audit.nulls:nulls",
    "claims": "maieutic.audit.claims:claims",
    "touches": "maieutic.audit.touches:touches",
    "leaks": "maieutic.audit.leaks:leaks",
}


class Audit(Protocol):
    """One test of an explainer; keyword arguments are its settings (``judge``, ``report`` ...)."""

    def __call__(self, sitting: Sitting, /) -> Sequence[Finding]: ...


def audit_names() -> tuple[str, ...]:
    """Every audit there is."""
    return (*AUDITS, *(n for n in plugins.names(AUDITS, _GROUP) if n not in AUDITS))


def run_audits(
    sitting: Sitting, audits: Sequence[str] | None = None, *, report: Report = silent, **settings: Any
) -> tuple[Finding, ...]:
    """Run audits over a sitting; verdicts are not set yet.

    Args:
        sitting: an exam that an explainer took.
        audits: names; all when not given.
        settings: each audit is given those it has.

    Raises:
        UsageError: no audit of that name.
    """
    found: list[Finding] = []
    for name in audits or audit_names():
        audit = plugins.find(name, AUDITS, _GROUP)
        if audit is None:
            raise plugins.unknown("audit", name, audit_names())
        has = signature(audit).parameters
        given = {k: v for k, v in {**settings, "report": report}.items() if k in has and v is not None}
        try:
            found += audit(sitting, **given)
        except Exception as error:  # an audit that breaks has measured nothing, and says so: it never passes
            reason = f"the audit failed: {type(error).__name__}: {error}"
            found.append(Finding(audit=name, statistic="none", reading=Reading.unmeasured(name, reason)))
    return tuple(found)
