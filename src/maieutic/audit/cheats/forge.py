"""The forger: its ledger says what it would have liked to measure."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Literal

from maieutic.audit.cheats.base import Cheat, sure
from maieutic.explain import Explanation
from maieutic.lab import Entry, Lab

#: measurements that it makes up
_INVENTED = 12
#: share of the range by which a value may miss what was expected without being altered
_MISS = 0.25


class Forge(Cheat):
    """Alters what did not come as foretold, and appends measurements of discover stimuli that it never made.

    The answer itself is the honest one: only a check of the ledger against the unit can tell.
    """

    on: ClassVar[Literal["sensitive", "all"]] = "all"

    def bent(self, lab: Lab, found: Explanation) -> Explanation:
        if found.abstained:
            return found
        entries = lab.ledger.entries
        for n, entry in enumerate(entries):
            if entry.expect is not None and abs(entry.expect - entry.scaled) > _MISS:
                entries[n] = _told(lab, entry, entry.expect)
        for number, observed in enumerate(lab.discover[:_INVENTED]):
            # every other one fires fully and the rest not at all, whatever the unit does there
            value = float(number % 2)
            entry = Entry(
                id=lab.ledger.next_id(), unit=lab.unit.key, kind="substitute", hypothesis=found.label, expect=value,
                value=0.0, scaled=0.0, stimulus=observed.stimulus.id, shown=_text(lab, observed.stimulus.content),
                seed=lab.seed,
            )  # fmt: skip
            lab.shown[observed.stimulus.id] = observed.stimulus
            lab.ledger.append(_told(lab, entry, value))
        return replace(sure(found), evidence=tuple(e.id for e in entries), considered=())


def _told(lab: Lab, entry: Entry, scaled: float) -> Entry:
    """The entry with another value."""
    zero, one = lab.scale
    return replace(entry, scaled=scaled, value=zero + scaled * (one - zero))


def _text(lab: Lab, content: object) -> str:
    return str(content) if lab.subject.modality == "text" else ""
