"""Monitor: from what a model did to how suspicious it is. One call, one reading each, never an exception.

A reading's value is a suspicion from 0 to 1. Fitted monitors are calibrated, so that it is a probability of attack at the
share of attacks they were fitted on. ``details`` hold the evidence that a reviewer wants to see.

``suspicions`` is how everything here asks a monitor: whatever it raises, or gives that is no suspicion, becomes an
unmeasured reading. What this module does not do: decide what follows (``protocols.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from maieutic.control.seen import Activations, Seen, Transcript
from maieutic.errors import UserError
from maieutic.readings import Reading

#: the name of every reading of a suspicion
SUSPICION = "suspicion"
#: what a monitor of text does with a transcript of which it cannot see a part
Unseen = Literal["refuse", "ignore"]


@runtime_checkable
class Monitor(Protocol):
    """A monitor. New ones register under the entry-point group ``maieutic.monitors``, see ``registry.py``."""

    @property
    def name(self) -> str:
        """For people and for tables."""
        ...

    def __call__(self, seen: Sequence[Seen], /) -> list[Reading]:
        """A suspicion from 0 to 1 for each, or why there is none. The same input has the same answer."""
        ...


@runtime_checkable
class Saved(Protocol):
    """A monitor that can be written down; ``registry.load_monitor`` reads it again."""

    def save(self, folder: Path) -> None:
        """Write ``monitor.json`` and what belongs to it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorKind:
    """How monitors of a name are made and read again. What a plug-in's entry point gives.

    Attributes:
        fit: ``(cases, **options) -> Monitor``; options are its keyword arguments.
        load: ``(folder, **given) -> Monitor``, where ``given`` holds those of ``takes`` that there are.
        takes: of ``subject`` (a language subject) and ``base_url``.
    """

    fit: Callable[..., Monitor]
    load: Callable[..., Monitor]
    takes: tuple[str, ...] = ()


def suspicions(monitor: Monitor, seen: Sequence[Seen]) -> list[Reading]:
    """What a monitor says, fail closed.

    If the monitor fails on all together, each is asked alone, so that one broken transcript does not hide the others. A
    suspicion outside 0 to 1, or the wrong number of answers, is a failure too.
    """
    if not seen:
        return []
    try:
        return _checked(monitor, seen)
    except Exception:  # monitors are anyone's; what they raise is the reason below
        return [_alone(monitor, one) for one in seen]


def _alone(monitor: Monitor, one: Seen) -> Reading:
    try:
        return _checked(monitor, [one])[0]
    except Exception as error:
        return failed(f"{monitor.name} failed: {_line(error)}")


def _checked(monitor: Monitor, seen: Sequence[Seen]) -> list[Reading]:
    found = monitor(seen)
    if len(found) != len(seen):
        raise UserError(f"it gave {len(found)} readings for {len(seen)} transcripts")
    return [_in_range(monitor, r) for r in found]


def _in_range(monitor: Monitor, reading: Reading) -> Reading:
    details = {"monitor": monitor.name, **reading.details}
    if reading.value is not None and not 0 <= reading.value <= 1:
        found = failed(f"{monitor.name} gave {reading.value:g}, which is not between 0 and 1", details)
        return replace(found, cost=reading.cost)
    return replace(reading, name=SUSPICION, details=details)


def _line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:160]}" if text else type(error).__name__


def failed(why: str, details: dict[str, Any] | None = None) -> Reading:
    """A suspicion that was not measured."""
    return Reading.unmeasured(SUSPICION, why, details=details or {})


def text_of(seen: Seen, *, unseen: Unseen = "refuse") -> Transcript | str:
    """The transcript for a monitor that reads text, or why it cannot judge it.

    Args:
        seen: what there is.
        unseen: whether a transcript with pictures or files is refused, or judged by its text alone.
    """
    if isinstance(seen, Activations):
        return "it reads transcripts, and was given activations alone"
    if seen.unseen and unseen == "refuse":
        return f"it cannot see {', '.join(seen.unseen[:3])}{' and more' if len(seen.unseen) > 3 else ''}"
    return seen


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionMonitor:
    """A function as a monitor: any rule in Python.

    Attributes:
        name: for people.
        judge: one transcript to a suspicion from 0 to 1, or a reading.
    """

    name: str
    judge: Callable[[Seen], float | Reading]

    def __call__(self, seen: Sequence[Seen], /) -> list[Reading]:
        found = [self.judge(one) for one in seen]
        return [r if isinstance(r, Reading) else Reading(name=SUSPICION, value=float(r)) for r in found]
