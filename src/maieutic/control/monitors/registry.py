"""Monitors by name: fit one, write it down, read it again. Built-in ones are imported when first asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from inspect import Parameter, signature
from pathlib import Path
from typing import Any, cast

from maieutic import plugins
from maieutic.control.monitors.base import Monitor, MonitorKind
from maieutic.control.monitors.saving import read_about
from maieutic.control.seen import Case
from maieutic.errors import UsageError, UserError, did_you_mean

GROUP = "maieutic.monitors"
BUILT_IN: Mapping[str, str] = {
    "probe": "maieutic.control.monitors.probe:KIND",
    "units": "maieutic.control.monitors.units:KIND",
    "words": "maieutic.control.monitors.words:KIND",
    "model": "maieutic.control.monitors.model:KIND",
    "ensemble": "maieutic.control.monitors.ensemble:KIND",
    "cascade": "maieutic.control.monitors.cascade:KIND",
    "cause": "maieutic.control.monitors.cause:KIND",
}


def monitor_names() -> tuple[str, ...]:
    """Every kind of monitor there is, sorted."""
    return plugins.names(BUILT_IN, GROUP)


def monitor_kind(name: str) -> MonitorKind:
    """The kind of that name.

    Raises:
        UsageError: there is none.
    """
    found = plugins.find(name, BUILT_IN, GROUP)
    if found is None:
        raise plugins.unknown("monitor", name, monitor_names())
    return cast(MonitorKind, found)


def fit_monitor(kind: str, cases: Sequence[Case], /, **options: Any) -> Monitor:
    """Fit a monitor on cases.

    Args:
        kind: see ``monitor_names``.
        cases: transcripts with the truth.
        options: of that kind; ``None`` stands for an option that was not given.

    Raises:
        UsageError: no such kind, or an option that it does not have, or lacks.
        UserError: the cases cannot be fitted on.
    """
    fit = monitor_kind(kind).fit
    given = {k: v for k, v in options.items() if v is not None}
    known = {n: p for n, p in signature(fit).parameters.items() if p.kind is Parameter.KEYWORD_ONLY}
    for option in ("report", "seed"):
        given = given if option in known else {k: v for k, v in given.items() if k != option}
    wrong = next((k for k in given if k not in known), None)
    if wrong is not None:
        raise UsageError(f"the monitor {kind} has no option {wrong!r}{did_you_mean(wrong, known)}: leave it out")
    lacking = next((n for n, p in known.items() if p.default is Parameter.empty and n not in given), None)
    if lacking is not None:
        raise UsageError(f"the monitor {kind} needs {lacking}: give it")
    return fit(cases, **given)


def load_monitor(folder: Path | str, **given: Any) -> Monitor:
    """Read a monitor that was saved.

    Args:
        folder: where.
        given: ``subject`` and ``base_url``, for kinds that take them.

    Raises:
        UserError: there is none, it is of another version or another subject, or its subject was not given.
    """
    path = Path(folder)
    about = read_about(path)
    kind = monitor_kind(str(about["kind"]))
    passed = {k: v for k, v in given.items() if k in kind.takes and v is not None}
    if "subject" in kind.takes and "subject" not in passed and about["kind"] in ("units", "cause"):
        raise UserError(f"the monitor in {path} reads {about.get('subject')}: give its subject")
    return kind.load(path, **passed)
