"""What monitors say of one recorded act: why somebody would have looked at it at all.

What this module does not do: investigate. A flag is no evidence of a cause, and an unflagged act is not a harmless one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from maieutic.control.monitors import Monitor, suspicions
from maieutic.control.seen import Transcript
from maieutic.errors import UserError
from maieutic.forensics.action import Action
from maieutic.forensics.dossier import Flag


def flags_of(
    action: Action, monitors: Sequence[Monitor], *, levels: Mapping[str, float] | None = None
) -> tuple[Flag, ...]:
    """How suspicious each monitor finds the act that was seen.

    Args:
        action: with the message in which the model acted.
        monitors: asked one after another.
        levels: suspicion from which each flags, by name, where one is known.

    Raises:
        UserError: the action does not hold what the model did.
    """
    if not monitors:
        return ()
    if action.observed is None:
        raise UserError(f"{action.id} does not hold the message in which the model acted: leave --monitor out")
    seen = Transcript.of(action)
    found: list[Flag] = []
    for monitor in monitors:
        reading = suspicions(monitor, [seen])[0]
        why = str(reading.details.get("reason", ""))
        found.append(Flag(name=monitor.name, reading=reading, level=(levels or {}).get(monitor.name), why=why))
    return tuple(found)
