"""What monitors say of a recorded act: a suspicion beside its level; unmeasured counts as flagged."""

from __future__ import annotations

from dataclasses import replace

import pytest

from maieutic.control import FunctionMonitor
from maieutic.control.flags import flags_of
from maieutic.errors import UserError
from maieutic.forensics.dossier import Flag
from maieutic.forensics.organism import ACT, suspect
from maieutic.readings import Reading


def _calls(seen: object) -> float:
    act = getattr(seen, "act", None)
    return 0.9 if act is not None and any(c.name == ACT for c in act.tool_calls) else 0.1


def _broken(seen: object) -> float:
    raise RuntimeError("no weights")


def test_a_monitor_sees_the_act_itself_and_a_broken_one_flags() -> None:
    action = suspect("guilty").action
    monitors = [FunctionMonitor(judge=_calls, name="calls"), FunctionMonitor(judge=_broken, name="broken")]
    calls, broken = flags_of(action, monitors, levels={"calls": 0.9, "broken": 0.5})
    assert calls.reading.value == 0.9 and calls.flagged is True
    assert broken.reading.value is None and broken.flagged is True
    assert flags_of(action, monitors[:1])[0].flagged is None, "nobody set a level"


def test_below_its_level_nothing_is_flagged() -> None:
    assert Flag(name="m", reading=Reading(name="suspicion", value=0.89, n=1), level=0.9).flagged is False


def test_an_action_without_the_act_cannot_be_judged() -> None:
    action = replace(suspect("guilty").action, observed=None)
    assert flags_of(action, []) == ()
    with pytest.raises(UserError, match="leave --monitor out"):
        flags_of(action, [FunctionMonitor(judge=_calls, name="calls")])
